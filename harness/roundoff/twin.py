"""A training that is the same in mathematics and another in round-off.

The rows inside each minibatch, the features and the hidden units are put in another order. Sums over
them are then taken in another order, forward and backward, and nothing else changes: what separates the
two trainings is round-off and what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.network import Weights
from harness.roundoff.trial import Trial


@dataclass(frozen=True)
class Twin:
    """A trial with everything permuted, and the order of the units of each layer, inputs first."""

    trial: Trial
    orders: tuple[NDArray[np.intp], ...]

    def train(self, backend: Backend) -> tuple[Weights, ...]:
        """The weights after every checkpoint, put back into the trial's own order."""
        back = [np.argsort(order) for order in self.orders]
        return tuple(_permuted(weights, back) for weights in self.trial.train(backend))


def twin(trial: Trial, seed: int) -> Twin:
    """A trial's twin; ``seed`` draws the orders."""
    rng = np.random.default_rng(seed)
    orders = tuple(rng.permutation(size) for size in trial.network.sizes[:-1])
    orders = (*orders, np.arange(trial.network.outputs))
    plan = trial.plan.rows_permuted(seed)
    plan = replace(plan, initial=_permuted(plan.initial, orders))
    x = np.ascontiguousarray(trial.x[:, orders[0]])
    return Twin(replace(trial, x=x, plan=plan), orders)


def _permuted(
    weights: Weights, orders: tuple[NDArray[np.intp], ...] | list[NDArray[np.intp]]
) -> Weights:
    """The same network with the units of each layer in another order."""
    layers = zip(weights.W, orders[:-1], orders[1:], strict=True)
    return Weights(
        tuple(np.ascontiguousarray(W[:, rows][:, :, columns]) for W, rows, columns in layers),
        tuple(b[:, order] for b, order in zip(weights.b, orders[1:], strict=True)),
    )
