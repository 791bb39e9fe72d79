"""Which backends an experiment runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backends.base import Backend
from backends.registry import UnusableBackend, find, known, taken_by_all, taken_by_every
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment


def resolve(
    experiment: Experiment, say: Callable[[str], None] = lambda doing: None
) -> tuple[Experiment, dict[str, Backend], dict[str, str]]:
    """The experiment with ``all`` and ``every`` spelled out, its backends, and why the missing ones are.

    ``say`` is told of environments that are made.
    :class:`~harness.errors.InputError` for a name that no backend has.
    """
    names: list[str] = []
    for name in experiment.backends:
        names.extend(_taken(name))
    names = list(dict.fromkeys(names))
    usable: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            usable[name] = find(name, say)
        except UnusableBackend as error:
            missing[name] = error.reason
        except KeyError:
            base = name.partition("@")[0]
            allowed = [*known(), "all", "every", "package.module:Class"]
            raise unknown("backend", base, allowed) from None
        except ValueError as error:
            raise InputError(str(error)) from None
    return experiment.model_copy(update={"backends": tuple(names)}), usable, missing


def _taken(name: str) -> Iterable[str]:
    if name == "every":
        return taken_by_every()
    return taken_by_all() if name == "all" else [name]
