"""Places that a verb writes to: known to take files before the work, and no fault of the verdict after."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InputError


def require_lasting(output: str) -> None:
    """Nothing; :class:`InputError` for a storage that ends with this command."""
    if output.startswith("memory:"):
        raise InputError(
            f"output: found {output!r}, which is gone when this command ends; allowed: a path, or the "
            "address of a storage that stays"
        )


def require_writable(flag: str, file: str | None) -> None:
    """Nothing; :class:`InputError` if a file cannot be written. Asked before the work; makes nothing."""
    if file is None:
        return
    place = Path(file)
    try:
        if place.exists():
            with place.open("ab"):
                return
        above = next(path for path in place.absolute().parents if path.exists())
        reason = "" if above.is_dir() else f"{str(above)!r} is a file"
        if above.is_dir() and not os.access(above, os.W_OK):
            reason = f"{str(above)!r} is not writable"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason or not file.strip():
        raise InputError(
            f"{flag}: {file!r} cannot be written ({reason or 'no name'}); allowed: a file in a folder "
            "that can be written to"
        )


def write_text(place: str, content: str) -> None:
    """Write a file that was asked for, its folder as well; if that cannot be, it is told."""
    with unwritten_is_told(repr(place)):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(content, encoding="utf-8", errors="surrogateescape")


def write_in_place(place: str, name: str, comment: str) -> None:
    """Write a comment into a file, in the place of the last one of that name, and keep all else there."""
    from harness.document.pull_request import in_place

    file, before = Path(place), ""
    with unwritten_is_told(repr(place)):
        if file.is_file():
            before = file.read_text(encoding="utf-8", errors="surrogateescape")
        write_text(place, in_place(before, name, comment))


@contextmanager
def unwritten_is_told(what: str) -> Iterator[None]:
    """Inside, a file that cannot be written is told in one line, and what was found out stands."""
    try:
        yield
    except OSError as error:
        print(f"error: {what} cannot be written ({error.strerror or error})", file=sys.stderr)
