"""What can be wrong with the input, said once, in words for the person who gave it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A fault in what the user asked for; the command line prints it on one line and exits with 2."""


def unknown(what: str, found: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among the allowed ones, with the nearest right spelling."""
    names = list(allowed)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"{what}: {found!r} is not known; {hint}allowed: {', '.join(names)}")
