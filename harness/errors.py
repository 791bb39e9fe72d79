"""What can be wrong with the input, said once, in words for the person who gave it; how a command ends."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from backends.settings import not_known


class ExitCode(IntEnum):
    """How a command ends."""

    DONE = 0
    AGAINST = 1  # a verdict against
    INPUT = 2  # usage or input
    UNFINISHED = 3  # unfinished, inconclusive or not comparable; a fault in a backend's code


class InputError(ValueError):
    """A fault in what the user asked for; the command line prints it on one line and exits with 2."""


class Unfinished(Exception):
    """Work that cannot go on, by no fault of input or backend; the command line says so and exits with 3."""


def unknown(what: str, found: str, allowed: Iterable[str], meant: str | None = None) -> InputError:
    """The error for a name that is not among the allowed ones, with the nearest right spelling.

    ``meant`` is the right name where it is known and spelt otherwise.
    """
    return InputError(not_known(what, found, allowed, meant))
