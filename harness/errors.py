"""What can be wrong with the input, said once, in words for the person who gave it; how a command ends."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum

SHORT_LIST = 12  # names that are listed although the one that was meant is known


class ExitCode(IntEnum):
    """How a command ends."""

    DONE = 0
    AGAINST = 1  # a verdict against
    INPUT = 2  # usage or input
    UNFINISHED = 3  # unfinished, inconclusive or not comparable; a fault in a backend's code


class InputError(ValueError):
    """A fault in what the user asked for; the command line prints it on one line and exits with 2."""


def unknown(what: str, found: str, allowed: Iterable[str], meant: str | None = None) -> InputError:
    """The error for a name that is not among the allowed ones, with the nearest right spelling.

    ``meant`` is the right name where it is known and spelt otherwise.
    """
    names = list(allowed)
    near = [meant] if meant else difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if near and len(names) > SHORT_LIST:
        return InputError(f"{what}: {found!r} is not known; {hint.rstrip()}")
    return InputError(f"{what}: {found!r} is not known; {hint}allowed: {', '.join(names)}")
