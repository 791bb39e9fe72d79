"""Small made-up data sets for teaching: two features or one, so that what is learnt can be drawn.

Drawn from a legacy ``RandomState``, whose numbers are the same in every version of NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLES = 400
_SEED = 0


@dataclass(frozen=True)
class TeachingSet:
    """A data set as scikit-learn's loaders give theirs; ``target_names`` are empty for regression."""

    data: NDArray[np.float64]
    target: NDArray[Any]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()


def xor() -> TeachingSet:
    """Points of a square, class 1 where their coordinates have different signs: no line divides them."""
    x = np.random.RandomState(_SEED).uniform(-1, 1, (SAMPLES, 2))
    return TeachingSet(x, (x[:, 0] * x[:, 1] < 0).astype(np.int64), ("x1", "x2"), ("0", "1"))


def two_moons() -> TeachingSet:
    """scikit-learn's ``make_moons`` with noise 0.15: two half circles that reach into each other."""
    from sklearn.datasets import make_moons

    x, y = make_moons(SAMPLES, noise=0.15, random_state=_SEED)
    return TeachingSet(x, y, ("x1", "x2"), ("upper", "lower"))


def spirals() -> TeachingSet:
    """Two arms of a spiral, r = t / 2 pi at the angles t and t + pi, t from pi/2 to 7 pi/2, noise 0.04."""
    rng = np.random.RandomState(_SEED)
    y = np.arange(SAMPLES) % 2
    t = rng.uniform(np.pi / 2, 7 * np.pi / 2, SAMPLES)
    angle, radius = t + np.pi * y, t / (2 * np.pi)
    x = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return TeachingSet(x + rng.normal(0, 0.04, x.shape), y, ("x1", "x2"), ("one", "other"))


def runge() -> TeachingSet:
    """Runge's function 1 / (1 + 25 x^2) on -1 to 1, with noise 0.05: polynomials through it swing out."""
    rng = np.random.RandomState(_SEED)
    x = np.sort(rng.uniform(-1, 1, SAMPLES))
    return TeachingSet(x[:, None], runge_function(x) + rng.normal(0, 0.05, SAMPLES), ("x",))


def runge_function(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + 25 x^2), without noise."""
    return 1 / (1 + 25 * x * x)


TEACHING_SETS: dict[str, Callable[[], TeachingSet]] = {
    "xor": xor,
    "two_moons": two_moons,
    "spirals": spirals,
    "runge": runge,
}
