"""What can be wrong with the input, said once, in words for the person who gave it."""

from __future__ import annotations

from collections.abc import Iterable

from backends.settings import not_known


class InputError(ValueError):
    """A fault in what the user asked for; the command line prints it on one line and exits with 2."""


def unknown(what: str, found: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among the allowed ones, with the nearest right spelling."""
    return InputError(not_known(what, found, allowed))
