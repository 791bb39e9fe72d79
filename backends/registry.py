"""Backends by name: those of this package, those of installed packages, and ``module:Class``; ``@WHERE``.

Another package offers a backend through the entry-point group ``harness.backends``:

    [project.entry-points."harness.backends"]
    mine = "my_package.my_module:MyBackend"

Looking a backend up imports its module but no framework; a plug-in's that exits, crashes or sleeps while it
loads is found out in a process of its own (:mod:`backends.plugin_probe`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import multiprocessing
import sys
from collections.abc import Callable

from backends.base import Backend, Convention
from backends.elsewhere import CannotStart, Elsewhere
from backends.error_words import error_words, one_line
from backends.frameworks import KERAS_ENGINES, EngineInUse, keras_engine
from backends.plugin_probe import LIMIT, QUESTIONS, load_limit, obstacle
from backends.process_state import NotInTime, own_thread
from backends.settings import not_known
from backends.where import Where

GROUP = "harness.backends"

BUILT_IN = {
    "numpy": "backends.numpy_backend:NumPyBackend",
    "sklearn": "backends.sklearn_backend:SklearnBackend",
    "tensorflow": "backends.tensorflow_backend:TensorFlowBackend",
    "keras": "backends.keras_backend:KerasBackend",
}
ON_REQUEST = {
    "torch": "backends.torch_backend:TorchBackend",
    "jax": "backends.jax_backend:JaxBackend",
}

# class attributes that hold several values, and of which kind these are
_SEQUENCES = {
    "modules": str,
    "activations": str,
    "optimizers": str,
    "heeds": str,
    "conventions": Convention,
}


class UnusableBackend(Exception):
    """A backend that cannot be used here; ``reason`` says why, and what installs what is missing."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def known() -> dict[str, str]:
    """Where each backend lives that has a name, as ``module:Class``; built-in ones first."""
    return taken_by_all() | ON_REQUEST


def taken_by_all() -> dict[str, str]:
    """Those that ``all`` stands for: the four, and those of installed packages."""
    installed = importlib.metadata.entry_points(group=GROUP)
    own = BUILT_IN | ON_REQUEST
    return BUILT_IN | {e.name: e.value for e in installed if e.name not in own}


def taken_by_every() -> list[str]:
    """The names that ``every`` stands for: all that have one, and Keras on its other engines."""
    others = [engine for engine in KERAS_ENGINES if engine != keras_engine()]
    return [*known(), *(f"keras@{engine}" for engine in others)]


def find(name: str, say: Callable[[str], None] = lambda doing: None) -> Backend:
    """The backend of this name, of this ``module:Class``, or of one of them ``@WHERE``; not its library.

    ``say`` is told of an environment that is made. Raises KeyError for a name that nothing is known by,
    or a ``module:Class`` that is not there, with the nearest one that is; ValueError for a WHERE that is
    none; and :class:`UnusableBackend` for a backend whose module cannot be imported, found out in bounded
    time, whose library is not installed, or whose environment cannot be made.
    """
    base, at, where = name.partition("@")
    places = known()
    if base not in places and ":" not in base:
        raise KeyError(not_known("backend", base, [*places, "package.module:Class"]))
    backend = _backend_at(places.get(base, base), name, typed=base not in places)
    if at:
        try:
            place = Where.parse(where)
        except ValueError as error:
            raise ValueError(f"backend {name}: {error}") from None
        if place.engine and base != "keras":
            raise ValueError(f"backend {name}: {place.engine} is an engine of keras, not of {base}")
        backend = Elsewhere(name, backend, place, places.get(base, base))
        try:
            backend.make(say)
        except CannotStart as error:
            raise UnusableBackend(name, str(error)) from error
    for library in (backend.library, *backend.needs()):
        if library and library not in backend.versions():
            raise UnusableBackend(
                name, _install(f"{library} is not installed", library, there=bool(at))
            )
    return backend


def _backend_at(place: str, name: str, *, typed: bool) -> Backend:
    """An object of the class at a place. ``typed``: a person gave the place, perhaps misspelt."""
    module, _, attribute = place.partition(":")
    # a worker is given what was looked up before it was started
    asked_first = multiprocessing.parent_process() is None and _may_not_return(module, attribute)
    if asked_first and (reason := obstacle(place)):
        raise UnusableBackend(name, f"{place} {reason}")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        if typed and (near := _misspelt(place, error)):
            raise KeyError(not_known("backend", name, near)) from None
        reason = f"{place} cannot be imported ({error_words(error)})"
        raise UnusableBackend(name, _with_remedy(reason, error, module)) from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UnusableBackend(name, f"{place} is not a subclass of backends.base.Backend")
    if not getattr(cls, "name", ""):
        raise UnusableBackend(name, f"{place} has no class attribute 'name'")
    try:
        backend = cls()
    except (Exception, SystemExit) as error:
        reason = f"{place} cannot be made without arguments ({error_words(error)})"
        raise UnusableBackend(name, reason) from error
    if fault := _attribute_fault(backend):
        raise UnusableBackend(name, f"{place}: {fault}")
    try:
        for method in QUESTIONS:
            getattr(backend, method)()
    except (Exception, SystemExit) as error:
        raise UnusableBackend(name, f"{place}: {method} raises {error_words(error)}") from error
    return backend


def _may_not_return(module: str, attribute: str) -> bool:
    """Whether looking this up runs code that has not run here before and is not this package's own."""
    if f"{module}:{attribute}" in {**BUILT_IN, **ON_REQUEST}.values():
        return False
    if module not in sys.modules:
        return True
    cls = getattr(sys.modules[module], attribute, None)
    own = isinstance(cls, type) and issubclass(cls, Backend) and module != "__main__"
    asked = ("__init__", *QUESTIONS)
    return own and any(getattr(cls, name) is not getattr(Backend, name) for name in asked)


def _misspelt(place: str, error: BaseException) -> list[str]:
    """What a place may have been meant for, if the error says that nothing is there."""
    module, _, attribute = place.partition(":")
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return ["package.module:Class", *known()]
    if isinstance(error, AttributeError) and module in sys.modules:
        names = vars(sys.modules[module])
        if attribute not in names:
            classes = {
                n for n, c in names.items() if isinstance(c, type) and issubclass(c, Backend)
            }
            return [f"{module}:{name}" for name in sorted(classes - {"Backend"})] or [
                "package.module:Class"
            ]
    return []


def _attribute_fault(backend: Backend) -> str:
    """What is wrong with the class attributes of a backend, if anything."""
    for name in ("name", "library"):
        if not isinstance(value := getattr(backend, name), str):
            return f"{name} is of type {type(value).__name__}; it must be a string"
    for name, kind in _SEQUENCES.items():
        value = getattr(backend, name)
        if not isinstance(value, tuple | list) or not all(isinstance(v, kind) for v in value):
            return f"{name} is {one_line(repr(value))}; it must be a tuple of {kind.__name__}"
    return ""


def usable(name: str) -> Backend:
    """As :func:`find`, its library imported; :class:`UnusableBackend` if that fails, too."""
    backend = find(name)
    import_library(backend)
    return backend


def import_library(backend: Backend) -> None:
    """Import what a backend trains with; raises :class:`UnusableBackend` if that fails."""
    error = _load_error(backend)
    if error is None:
        return
    if isinstance(error, EngineInUse | CannotStart):
        reason = str(error)
    elif isinstance(error, NotInTime):
        reason = f"its import {error}; {LIMIT} sets another limit"
    elif isinstance(error, ImportError):
        reason = _with_remedy(f"cannot be imported ({error})", error, backend=backend)
    else:
        reason = f"cannot be imported ({error_words(error)})"
    raise UnusableBackend(backend.name, reason) from error


def _load_error(backend: Backend) -> BaseException | None:
    """What importing the library raises, if anything; a plug-in's is not waited for without an end."""
    if not backend.program.__module__.startswith(f"{__package__}."):
        return own_thread(backend.load, load_limit())[1]
    try:
        backend.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (told by who asked)
        return error
    return None


def version(backend: Backend) -> str | None:
    """The installed version of the backend's library; None if it is not installed."""
    return backend.versions().get(backend.library) if backend.library else ""


def _with_remedy(
    what: str, error: BaseException, plugin: str = "", backend: Backend | None = None
) -> str:
    """What went wrong, and the line that installs the module that is missing, if one is.

    That of the library where its own module is missing, else that of the module which it asks for.
    A plug-in's own module comes from nowhere.
    """
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    top = (missing or "").partition(".")[0]
    if not top or top == plugin.partition(".")[0]:
        return what
    if backend and top in (module.partition(".")[0] for module in backend.modules):
        return _install(what, backend.library or backend.name)
    return f"{what}; install it with: python -m pip install {top}"


def _install(what: str, library: str, *, there: bool = False) -> str:
    return f"{what} there" if there else f"{what}; install it with: python -m pip install {library}"
