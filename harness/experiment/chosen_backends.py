"""Which backends an experiment runs on."""

from __future__ import annotations

from backends.base import Backend
from backends.registry import Unavailable, UnusableBackend, find, known
from harness.errors import unknown
from harness.experiment.experiment import Experiment


def resolve(experiment: Experiment) -> tuple[Experiment, dict[str, Backend | Unavailable]]:
    """The experiment with ``all`` spelled out, and its backends, which may be unavailable here."""
    names: list[str] = []
    for name in experiment.backends:
        names.extend(known() if name == "all" else [name])
    names = list(dict.fromkeys(names))
    found: dict[str, Backend | Unavailable] = {}
    for name in names:
        try:
            found[name] = find(name)
        except UnusableBackend as missing:
            found[name] = missing
        except KeyError:
            raise unknown("backend", name, [*known(), "all", "package.module:Class"]) from None
    return experiment.model_copy(update={"backends": tuple(names)}), found
