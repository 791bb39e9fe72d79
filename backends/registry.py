"""Backends by name: the four of this package, those of installed packages, and ``module:Class``.

Another package offers a backend through the entry-point group ``harness.backends``:

    [project.entry-points."harness.backends"]
    mine = "my_package.my_module:MyBackend"

Looking a backend up imports its module but no framework.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass

from backends.base import Backend
from backends.frameworks import load

GROUP = "harness.backends"

BUILT_IN = {
    "numpy": "backends.numpy_backend:NumPyBackend",
    "sklearn": "backends.sklearn_backend:SklearnBackend",
    "tensorflow": "backends.tensorflow_backend:TensorFlowBackend",
    "keras": "backends.keras_backend:KerasBackend",
}


@dataclass(frozen=True)
class Unavailable:
    """A backend that cannot be used here: the reason, with the line that installs what is missing."""

    name: str
    reason: str


def known() -> dict[str, str]:
    """Where each backend lives, as ``module:Class``, by name; built-in ones first."""
    installed = importlib.metadata.entry_points(group=GROUP)
    return BUILT_IN | {e.name: e.value for e in installed if e.name not in BUILT_IN}


def find(name: str) -> Backend | Unavailable:
    """The backend of this name, or of this ``module:Class``.

    Raises KeyError for a name that nothing is known by. A backend whose module cannot be imported,
    or whose library is not installed, comes back as :class:`Unavailable`.
    """
    places = known()
    if name not in places and ":" not in name:
        raise KeyError(name)
    place = places.get(name, name)
    module, _, attribute = place.partition(":")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        return Unavailable(name, f"{place} cannot be imported ({error})")
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        return Unavailable(name, f"{place} is not a subclass of backends.base.Backend")
    if not getattr(cls, "name", ""):
        return Unavailable(name, f"{place} has no class attribute 'name'")
    backend = cls()
    if backend.library and version(backend) is None:
        return Unavailable(name, _install(f"{backend.library} is not installed", backend))
    return backend


class UnusableBackend(Exception):
    """A backend that cannot be used here; ``reason`` says why, and what installs it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


def usable(name: str) -> Backend:
    """The backend of this name, or of this ``module:Class``, its library imported.

    Raises KeyError for a name that nothing is known by, :class:`UnusableBackend` for a backend whose
    module or library cannot be imported.
    """
    found = find(name)
    missing = found if isinstance(found, Unavailable) else start(found)
    if missing is not None:
        raise UnusableBackend(name, missing.reason)
    assert isinstance(found, Backend)
    return found


def version(backend: Backend) -> str | None:
    """The installed version of the backend's library; None if it is not installed."""
    try:
        return importlib.metadata.version(backend.library) if backend.library else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def start(backend: Backend) -> Unavailable | None:
    """Import the backend's library; the reason if that fails."""
    try:
        for module in backend.modules:
            load(module)
    except ImportError as error:
        return Unavailable(backend.name, _install(f"cannot be imported ({error})", backend))
    return None


def _install(what: str, backend: Backend) -> str:
    return f"{what}; install it with: python -m pip install {backend.library or backend.name}"
