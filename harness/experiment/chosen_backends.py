"""Which backends an experiment runs on."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterable

from backends.base import Backend
from backends.registry import UnusableBackend, find, known, taken_by_all, taken_by_every
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment

_log = logging.getLogger(__name__)


def resolve(experiment: Experiment) -> tuple[Experiment, dict[str, Backend], dict[str, str]]:
    """The experiment with ``all`` and ``every`` spelled out, its backends, and why the missing ones are.

    Environments that are made for backends elsewhere are told of in the log.
    :class:`~harness.errors.InputError` for a name that no backend has, be it of a module or of its class.
    """
    names: list[str] = []
    for name in experiment.backends:
        names.extend(_taken(name))
    names = list(dict.fromkeys(names))
    tell_imports(name.partition("@")[0] for name in names)
    usable: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            usable[name] = find(name, _log.warning)
        except UnusableBackend as error:
            _require_spelt(name.partition("@")[0], error.__cause__)
            missing[name] = error.reason
        except KeyError as error:
            if ":" in name:
                raise InputError(error.args[0]) from None
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


def tell_imports(names: Iterable[str]) -> None:
    """Log of every ``module:Class`` that is about to be imported for the first time where its code lies.

    The name may come from a file that somebody else wrote, and importing a module runs it.
    """
    for module in dict.fromkeys(name.partition(":")[0] for name in names if ":" in name):
        top = module.partition(".")[0]
        if module not in sys.modules and (spec := importlib.util.find_spec(top)) is not None:
            place = spec.origin or next(iter(spec.submodule_search_locations or ()), "")
            _log.warning("importing %s from %s", module, place)


def _require_spelt(name: str, cause: BaseException | None) -> None:
    """Nothing; :class:`InputError` if the module or the class of a ``module:Class`` does not exist."""
    module, _, attribute = name.partition(":")
    if not attribute:
        return
    if isinstance(cause, ModuleNotFoundError) and f"{module}.".startswith(f"{cause.name}."):
        raise InputError(
            f"backend: found {name!r}, but there is no module {cause.name!r}; allowed: package.module:Class "
            "of a module in the working directory, on PYTHONPATH or installed"
        )
    there = sys.modules.get(module)
    if isinstance(cause, AttributeError) and there and not hasattr(there, attribute):
        classes = [
            key
            for key, value in vars(there).items()
            if isinstance(value, type) and issubclass(value, Backend) and value.__module__ == module
        ]
        raise unknown(f"backend: class in {module}", attribute, classes)
