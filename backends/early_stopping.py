"""Early stopping by the validation part: one rule for all backends, which none of them computes itself.

After each epoch e the mean cost v_e of the validation rows, without the penalty, is computed from the
weights in float64 by the formulas of :mod:`backends.formulas`. With best = infinity at first,

    v_e < best - tol     best = v_e, and none have been waited
    otherwise            one epoch more has been waited; after ``patience`` of them the cell stops

which is Keras's ``EarlyStopping(monitor="val_loss", min_delta=tol)``. The weights kept are those that the
cell has then, the last ones, as Keras leaves them; scikit-learn puts the best ones back. Backends whose
weights agree to round-off stop at the same epoch, unless a loss and the best one agree to round-off as
well. A loss that is not a number is no improvement.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backends.formulas import logits, sample_cost
from backends.network import Array, Fit, Network, Training, Weights
from backends.plan import Plan

STOPPING = "ours, where patience is asked for: by the validation loss in float64 after each epoch"
_ROWS_AT_ONCE = 1024  # whose activations are held


class TrainingPath:
    """The weights of a stack on the way through a plan; each cell's stay as they are once it has stopped.

    A backend trains from segment to segment and gives its weights after each:

        path = TrainingPath(x, y, network, training, plan)
        for first, last in path.segments():
            ...  # the optimiser steps first .. last - 1
            path.add(weights)
        return path.fit()

    Without ``patience``, or with scikit-learn's rule in its place, the segments are the plan's.
    ``ends``: the numbers of steps that they end after. ``stopped``: the numbers of the cells that
    have stopped; they may be left out of the work, or trained on in vain.

    ValueError where the plan counts no epochs or has no validation part.
    """

    def __init__(
        self, x: Array, y: NDArray, network: Network, training: Training, plan: Plan
    ) -> None:
        self.network, self.training, self.plan = network, training, plan
        self.ends: tuple[int, ...] = plan.checkpoints
        self.stopped: tuple[int, ...] = ()
        self._points: list[Weights] = []
        self._added = 0
        if not training.watches_validation:
            return
        rows, per_epoch = plan.validation, plan.steps_per_epoch
        if rows is None or not len(rows):
            raise ValueError("stopping early needs a plan with a validation part")
        if per_epoch is None:
            raise ValueError("stopping early needs a plan that counts epochs")
        epochs = range(per_epoch, plan.steps + 1, per_epoch)
        self.ends = tuple(sorted({*plan.checkpoints, *epochs}))
        self._x, self._y = x[rows].astype(np.float64), y[rows]
        self._last: Weights | None = None
        self._steps = self._waited = np.empty(0, np.int64)
        self._best = np.empty(0)

    def segments(self) -> Iterator[tuple[int, int]]:
        """The stretches (first step, step after the last) to be trained, until all cells have stopped."""
        for first, last in zip((0, *self.ends[:-1]), self.ends, strict=True):
            if self._all_stopped():
                return
            yield first, last

    def add(self, weights: Weights) -> None:
        """Take down the weights after the segment that was trained last."""
        step = self.ends[self._added]
        self._added += 1
        if self.training.watches_validation:
            weights = self._looked_at(weights, step)
        if step in self.plan.checkpoints:
            self._points.append(weights)

    def fit(self) -> Fit:
        """What was trained; checkpoints after the last cell has stopped hold its last weights."""
        if not self.training.watches_validation:
            return Fit(tuple(self._points))
        assert self._last is not None
        missing = len(self.plan.checkpoints) - len(self._points) if self._all_stopped() else 0
        return Fit((*self._points, *[self._last] * missing), tuple(self._steps.tolist()))

    def _all_stopped(self) -> bool:
        return bool(self.stopped) and len(self.stopped) == len(self._steps)

    def _looked_at(self, weights: Weights, step: int) -> Weights:
        """The weights, but of cells that have stopped as they then were; after an epoch some more stop."""
        if self._last is None:
            self._best = np.full(len(weights), np.inf)
            self._waited = np.zeros(len(weights), np.int64)
            self._steps = np.full(len(weights), self.plan.steps)
        elif self.stopped:
            weights = _replaced(weights, self._last, np.array(self.stopped))
        self._last = weights
        per_epoch, patience = self.plan.steps_per_epoch, self.training.patience
        assert per_epoch is not None
        assert patience is not None
        if step == 0 or step % per_epoch:
            return weights
        going = np.setdiff1d(np.arange(len(weights)), self.stopped)
        losses = self._losses(weights[going])
        better = losses < self._best[going] - self.training.tol
        self._best[going] = np.where(better, losses, self._best[going])
        self._waited[going] = np.where(better, 0, self._waited[going] + 1)
        now = going[self._waited[going] >= patience]
        self._steps[now] = step
        self.stopped = (*self.stopped, *now.tolist())
        return weights

    def _losses(self, weights: Weights) -> NDArray[np.float64]:
        """Mean cost of the validation rows by these weights, (cells,)."""
        exact, total = weights.astype("float64"), np.zeros(len(weights))
        with np.errstate(all="ignore"):  # cells that overflow are no news
            for start in range(0, len(self._x), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                z = logits(self._x[rows], self.network, exact)
                total += sample_cost(z, self._y[rows], self.network).sum(axis=1)
        return total / len(self._x)


def _replaced(weights: Weights, by: Weights, cells: NDArray[np.intp]) -> Weights:
    """The weights with those of some cells as in ``by``."""

    def replaced(tensor: Array, other: Array) -> Array:
        tensor = tensor.copy()
        tensor[cells] = other[cells]
        return tensor

    return Weights(
        tuple(map(replaced, weights.W, by.W)),
        tuple(map(replaced, weights.b, by.b)),
    )
