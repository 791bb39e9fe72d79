"""A small problem that every check of the conformance kit is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.distance import Tolerance, furthest
from backends.network import Activation, Array, Cells, Network, Training, Weights
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan

SAMPLES, FEATURES, BATCH = 46, 6, 10
GRID = Cells.grid([0.05, 0.4], [0.0, 0.2])


@dataclass(frozen=True)
class Problem:
    """Samples, a network for them, and how to train it; everything drawn from fixed seeds."""

    x: Array
    y: NDArray[Any]
    network: Network
    training: Training

    def plan(self, seeds: tuple[int, ...] = (1,), **settings: Any) -> Plan:
        """A plan of two epochs of four minibatches; ``settings`` as of :meth:`Plan.draw`."""
        drawn: dict[str, Any] = {"epochs": 2, "batch_size": BATCH, "dtype": self.training.dtype}
        return Plan.draw(self.network, np.arange(SAMPLES), seeds, **(drawn | settings))

    def train(self, backend: Backend, plan: Plan, cells: Cells = GRID) -> tuple[Weights, ...]:
        """A backend's weights after every checkpoint, trained on copies of everything."""
        fit = backend.train(self.x.copy(), self.y.copy(), self.network, self.training, cells, plan)
        return fit.path

    def error(self, backend: Backend, plan: Plan, cells: Cells = GRID) -> float:
        """The largest relative error of the final weights against the NumPy backend in float64."""
        exact = problem(self.network, self.training, "float64")
        wide = replace(plan, initial=plan.initial.astype("float64"))
        truth = exact.train(NumPyBackend(), wide, cells)[-1]
        return self.apart(self.train(backend, plan, cells)[-1], truth, plan, cells)

    def apart(self, one: Weights, other: Weights, plan: Plan, cells: Cells = GRID) -> float:
        """The largest relative distance of any tensor of any cell; infinite if only one is finite."""
        if one.W[0].shape != other.W[0].shape or len(one.W) != len(other.W):
            return np.inf
        return float(np.nan_to_num(furthest(one, other, plan.initial[cells.stream]), nan=0.0).max())

    def allowed(self, plan: Plan) -> float:
        """The tolerance after the plan's steps."""
        return Tolerance(self.training.dtype).at(plan.steps)


def network_of(kind: str = "several", activation: Activation = "tanh", layers: int = 2) -> Network:
    """A network for ``several`` classes, ``two`` or ``regression``."""
    hidden = (5, 4, 3)[:layers]
    if kind == "regression":
        return Network.regressor(FEATURES, hidden, activation)
    return Network.classifier(FEATURES, hidden, {"several": 3, "two": 2}[kind], activation)


def problem(network: Network, training: Training, dtype: str | None = None) -> Problem:
    """The samples for a network, in the training's dtype or in another."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    score = x @ rng.normal(size=(FEATURES, max(2, network.classes)))
    y: NDArray[Any] = score.argmax(axis=1)
    real = dtype or training.dtype
    if network.output == "identity":
        y = np.tanh(score[:, 0]).astype(np.float32).astype(real)
    exact = replace(training, dtype=real)  # type: ignore[arg-type]
    return Problem(x.astype(real), y, network, exact)
