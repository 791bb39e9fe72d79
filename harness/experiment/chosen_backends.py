"""Which backends an experiment runs on."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

from backends.base import Backend
from backends.elsewhere import CannotStart, Elsewhere
from backends.frameworks import gpus_shown
from backends.registry import UnusableBackend, find, known, taken_by_all, taken_by_every
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment
from harness.experiment.variants import is_variant_name

_log = logging.getLogger(__name__)


def resolve(experiment: Experiment) -> tuple[Experiment, dict[str, Backend], dict[str, str]]:
    """The experiment with ``all`` and ``every`` spelled out, its backends, and why the missing ones are.

    A plug-in given as ``module:Class`` is called by the ``name`` that its class says, from here on: the
    experiment's ``variants`` have its place. Environments that are made for backends elsewhere are told of
    in the log.
    :class:`~harness.errors.InputError` for a name that no backend has, be it of a module or of its class.
    """
    names: list[str] = []
    for name in experiment.backends:
        names.extend(_taken(name))
    names = list(dict.fromkeys(names))
    tell_imports(map(experiment.place, names))
    usable: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            usable[name] = find(experiment.place(name), _log.warning)
        except UnusableBackend as error:
            _require_spelt(experiment.place(name).partition("@")[0], error.__cause__)
            missing[name] = error.reason
        except KeyError as error:
            base = experiment.place(name).partition("@")[0]
            if ":" in base:
                raise InputError(error.args[0]) from None
            allowed = [*known(), *experiment.variants, "all", "every", "package.module:Class"]
            raise unknown("backend", base, allowed) from None
        except ValueError as error:
            raise InputError(str(error)) from None
    called = _names_of_plugins(experiment, usable)
    names = list(dict.fromkeys(_called(name, called) for name in names))
    variants = experiment.variants | {
        name: place for place, name in called.items() if name != place
    }
    experiment = experiment.model_copy(update={"backends": tuple(names), "variants": variants})
    usable = {_called(name, called): backend for name, backend in usable.items()}
    return experiment, usable, missing


def require_gpus(
    experiment: Experiment, backends: Mapping[str, Backend]
) -> dict[str, tuple[str, ...]]:
    """The GPUs that the libraries see, of the backends that are to train on one, by backend.

    They are asked in a process of their own. :class:`~harness.errors.InputError` if one sees none.
    """
    found = {}
    for name, backend in backends.items():
        if experiment.recipe(name).device == "cpu" or "device" not in backend.heeds:
            continue
        found[name] = _gpus_seen(experiment.place(name))
        if not found[name]:
            whose = backend.library or name
            raise InputError(
                f"device: found gpu for {name}, but {whose} sees none here; allowed: cpu"
            )
    return found


@cache
def _gpus_seen(place: str) -> tuple[str, ...]:
    """What a backend's library sees, from a process that is not this one and ends with the answer."""
    with gpus_shown():
        elsewhere = find(place if "@" in place else f"{place}@threads=1")
        assert isinstance(elsewhere, Elsewhere)
        try:
            return elsewhere.gpus()
        except CannotStart as error:
            raise InputError(f"device: whether {place} sees a GPU is not known: {error}") from None
        finally:
            elsewhere.end()


def _names_of_plugins(experiment: Experiment, backends: Mapping[str, Backend]) -> dict[str, str]:
    """What the plug-ins given by their places are called, by place.

    By the name in the class's own body (an inherited one is another's); by their place where there is
    none, or where another backend has it.
    """
    taken, own = known() | experiment.variants, {}
    for name, backend in backends.items():
        place = name.partition("@")[0]
        if ":" in place and place not in experiment.variants:
            own[place] = str(vars(backend.program).get("name", ""))
    times = Counter(own.values())
    return {
        place: name
        if is_variant_name(name) and times[name] == 1 and taken.get(name, place) == place
        else place
        for place, name in own.items()
    }


def _called(name: str, called: Mapping[str, str]) -> str:
    base, at, where = name.partition("@")
    return f"{called.get(base, base)}{at}{where}"


def _taken(name: str) -> Iterable[str]:
    if name == "every":
        return taken_by_every()
    return taken_by_all() if name == "all" else [name]


def tell_imports(names: Iterable[str]) -> None:
    """Log of every ``module:Class`` that is about to be imported for the first time where its code lies.

    The name may come from a file that somebody else wrote, and importing a module runs it.
    """
    bases = [name.partition("@")[0] for name in names]
    for module in dict.fromkeys(base.partition(":")[0] for base in bases if ":" in base):
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
