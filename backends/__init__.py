"""The definition: what a small neural network is, and how each library trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.estimator import MLPBackendClassifier, MLPBackendRegressor

__all__ = ["MLPBackendClassifier", "MLPBackendRegressor"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from backends import estimator

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
