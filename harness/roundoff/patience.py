"""Early stopping as the reference has it, written a second time: no rule is to judge itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from backends.network import Array, Network, Training
from backends.plan import Plan


class Patience:
    """When the cells of a stack stop: Keras's EarlyStopping on the validation loss, each for itself.

    ``stops``: the numbers of steps after which they have, ``steps`` where they have not.
    """

    def __init__(self, training: Training, plan: Plan, cells: int) -> None:
        self.training, self.per_epoch = training, plan.steps_per_epoch
        self.stops = np.full(cells, plan.steps)
        self.going = np.ones(cells, bool)
        self._lowest = np.full(cells, np.inf)
        self._since = np.zeros(cells, int)

    def look(self, step: int, losses: Callable[[], NDArray[np.float64]]) -> None:
        """Decide by the validation losses, (cells,), if an epoch has ended with this step."""
        limit = self.training.patience if self.training.watches_validation else None
        if limit is None or not step or step % (self.per_epoch or 1):
            return
        now = losses()
        lower = now < self._lowest - self.training.tol
        self._lowest[lower] = now[lower]
        self._since += 1
        self._since[lower] = 0
        stopping = self.going & (self._since >= limit)
        self.stops[stopping] = step
        self.going &= ~stopping

    def held(self, change: Array) -> Array:
        """What is added to a tensor, (cells, ...): nothing in the cells that have stopped."""
        if self.going.all():
            return change
        still = self.going.reshape(-1, *[1] * (change.ndim - 1))
        return np.where(still, change, change.dtype.type(0))


def mean_costs(z: Array, y: NDArray[np.number], network: Network) -> NDArray[np.float64]:
    """The mean cost of samples, (cells,), from z of the output layer, (cells, samples, outputs)."""
    if network.output == "softmax":
        right = np.take_along_axis(log_softmax(z, axis=-1), y[None, :, None].astype(int), axis=-1)
        costs = -right[..., 0]
    elif network.output == "logistic":
        z = z[..., 0]
        costs = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - y * z
    else:
        costs = np.square(z[..., 0] - y) / 2
    mean: NDArray[np.float64] = costs.mean(axis=1)
    return mean
