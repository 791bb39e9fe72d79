"""Backends by name: the four of this package, those of installed packages, and ``module:Class``.

Another package offers a backend through the entry-point group ``harness.backends``:

    [project.entry-points."harness.backends"]
    mine = "my_package.my_module:MyBackend"

Looking a backend up imports its module but no framework.
"""

from __future__ import annotations

import importlib
import importlib.metadata

from backends.base import Backend
from backends.frameworks import EngineInUse, load
from backends.settings import not_known

GROUP = "harness.backends"

BUILT_IN = {
    "numpy": "backends.numpy_backend:NumPyBackend",
    "sklearn": "backends.sklearn_backend:SklearnBackend",
    "tensorflow": "backends.tensorflow_backend:TensorFlowBackend",
    "keras": "backends.keras_backend:KerasBackend",
}


class UnusableBackend(Exception):
    """A backend that cannot be used here; ``reason`` says why, and what installs what is missing."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def known() -> dict[str, str]:
    """Where each backend lives, as ``module:Class``, by name; built-in ones first."""
    installed = importlib.metadata.entry_points(group=GROUP)
    return BUILT_IN | {e.name: e.value for e in installed if e.name not in BUILT_IN}


def find(name: str) -> Backend:
    """The backend of this name, or of this ``module:Class``; its library is not imported.

    Raises KeyError for a name that nothing is known by, with the nearest one that is, and
    :class:`UnusableBackend` for a backend whose module cannot be imported or whose library is not
    installed.
    """
    places = known()
    if name not in places and ":" not in name:
        raise KeyError(not_known("backend", name, [*places, "package.module:Class"]))
    place = places.get(name, name)
    module, _, attribute = place.partition(":")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        reason = f"{place} cannot be imported ({error})"
        raise UnusableBackend(name, _with_remedy(reason, error, module)) from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UnusableBackend(name, f"{place} is not a subclass of backends.base.Backend")
    if not getattr(cls, "name", ""):
        raise UnusableBackend(name, f"{place} has no class attribute 'name'")
    backend = cls()
    if backend.library and version(backend) is None:
        raise UnusableBackend(name, _install(f"{backend.library} is not installed", backend))
    return backend


def usable(name: str) -> Backend:
    """As :func:`find`, its library imported; :class:`UnusableBackend` if that fails, too."""
    backend = find(name)
    import_library(backend)
    return backend


def import_library(backend: Backend) -> None:
    """Import what a backend trains with; raises :class:`UnusableBackend` if that fails."""
    try:
        for module in backend.modules:
            load(module)
    except EngineInUse as error:
        raise UnusableBackend(backend.name, str(error)) from error
    except ImportError as error:
        reason = _with_remedy(f"cannot be imported ({error})", error, backend=backend)
        raise UnusableBackend(backend.name, reason) from error


def version(backend: Backend) -> str | None:
    """The installed version of the backend's library; None if it is not installed."""
    try:
        return importlib.metadata.version(backend.library) if backend.library else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def _with_remedy(
    what: str, error: Exception, plugin: str = "", backend: Backend | None = None
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
        return _install(what, backend)
    return f"{what}; install it with: python -m pip install {top}"


def _install(what: str, backend: Backend) -> str:
    return f"{what}; install it with: python -m pip install {backend.library or backend.name}"
