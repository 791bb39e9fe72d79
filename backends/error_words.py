"""What an error says, as far as it can be said on one line."""

from __future__ import annotations

import traceback
from pathlib import PurePath

_LONGEST = 500  # characters of a message; what is longer is cut


def error_words(error: BaseException) -> str:
    """The kind of an error and its message on one line, cut where it is long; always valid Unicode.

    What somebody else's code raises may have a text that cannot be made, printed or encoded.
    """
    kind = type(error).__name__
    try:
        text = str(error)
    except BaseException as another:  # noqa: BLE001 (whatever a stranger's __str__ does)
        return one_line(f"{kind}, whose text cannot be made ({type(another).__name__})")
    return one_line(f"{kind}: {one_line(text) or 'no message'}")


def one_line(text: str) -> str:
    """A text on one line, cut after some hundred characters, with nothing that UTF-8 has no code for."""
    line = " ".join(text[: 4 * _LONGEST].split()).encode("utf-8", "backslashreplace").decode()
    if len(line) <= _LONGEST and len(text) <= 4 * _LONGEST:
        return line
    return f"{line[:_LONGEST]} ... ({len(text):,} characters)"


def whole_error(error: BaseException) -> str:
    """Traceback and message of an error, uncut, as far as they can be had."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 (whatever a stranger's __str__ does)
        return "".join(traceback.format_tb(error.__traceback__)) + error_words(error) + "\n"


def place_of(error: BaseException, files: frozenset[str]) -> str:
    """``file.py:31``: the last line of one of these files that the error went through, or its last line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files] or list(frames)
    return f"{PurePath(own[-1].filename).name}:{own[-1].lineno}" if own else ""
