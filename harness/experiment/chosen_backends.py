"""Which backends an experiment runs on."""

from __future__ import annotations

from backends.base import Backend
from backends.registry import UnusableBackend, find, known
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment


def resolve(experiment: Experiment) -> tuple[Experiment, dict[str, Backend], dict[str, str]]:
    """The experiment with ``all`` spelled out, its backends, and why those that are missing are.

    :class:`~harness.errors.InputError` for a name that no backend has.
    """
    names: list[str] = []
    for name in experiment.backends:
        names.extend(known() if name == "all" else [name])
    names = list(dict.fromkeys(names))
    usable: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            usable[name] = find(name)
        except UnusableBackend as error:
            missing[name] = error.reason
        except KeyError as error:
            if ":" in name:
                raise InputError(error.args[0]) from None
            raise unknown("backend", name, [*known(), "all", "package.module:Class"]) from None
    return experiment.model_copy(update={"backends": tuple(names)}), usable, missing
