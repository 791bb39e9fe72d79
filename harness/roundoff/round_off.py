"""How far round-off alone carries a training, and how far a right library may be off for that reason.

The reference is set against twins of itself: the same mathematics with every result perturbed in its last
place (:class:`harness.roundoff.reference.Noise`) and every sum taken in another order. Reordering alone
misses the rounding of exp, tanh and division, perturbation alone that of sums which cancel.

How far libraries go beyond the twins was measured, not chosen: NumPy, scikit-learn, TensorFlow and Keras in
330 random right experiments (tests/random_experiments.py), 190,589 tensors in a cell after some steps. In
99.99 % of them, kinks aside, a library was at most 7 times as far from the reference as the furthest of
``TWINS`` twins; of 6 twins, at most 4.5 times (10.4 in one tensor; in 196 experiments more, 10.1 times the
furthest of 18 twins in one; both behind TensorFlow's tanh, before twins allowed for one as inexact). So
``TIMES_ROUND_OFF`` is 10, and where somebody goes beyond it, more twins are asked before anybody is blamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from backends.distance import Errors, relative_errors
from backends.network import Weights
from harness.executors.fork import beside
from harness.roundoff.reference import reference_path
from harness.roundoff.trial import Trial

Path = tuple[Weights, ...]  # the weights after every checkpoint

TWINS = 2  # trainings that the reference is compared with itself by
TIMES_ROUND_OFF = 10.0  # that a library may be off (see above)
PARTED = 1e-3  # relative distance of weights from which on two right programs may end anywhere


@dataclass(frozen=True)
class RoundOff:
    """What round-off does to a trial.

    ``path``: what the twins are compared with, usually the reference's weights after every checkpoint.
    ``twins``: the weights of each twin after every checkpoint, in the trial's own order of units.
    """

    trial: Trial
    path: Path
    twins: tuple[Path, ...]

    @cached_property
    def distance(self) -> Errors:
        """The largest relative distance of each tensor to a twin's, (checkpoints, tensors, cells)."""
        start = self.trial.plan.initial
        return np.array(
            [
                np.max([relative_errors(twin[k], weights, start) for twin in self.twins], axis=0)
                for k, weights in enumerate(self.path)
            ]
        )


def allowed_by(distance: Errors, dtype: str) -> Errors:
    """How far a right library may be off where round-off alone goes as far as ``distance``.

    At least as for one unit in the last place of a tensor's largest entry.
    """
    return TIMES_ROUND_OFF * np.maximum(distance, np.finfo(dtype).eps)


def round_off(
    trial: Trial, path: Path | None = None, seeds: Sequence[int] = range(TWINS)
) -> RoundOff:
    """Measure it for a trial; one twin for every seed.

    ``path``: what they are compared with, by default the unperturbed training in the trial's dtype. If it
    is given, that of a trial in float32 is a twin as well: what every library loses there alike (updates
    below half a unit in the last place, say) random perturbations may well bring back.
    """
    tasks = [partial(twin_path, trial, seed) for seed in seeds]
    others = list(map(beside, tasks)) if trial.is_long else tasks
    if path is None:
        return RoundOff(trial, reference_path(trial), tuple(other() for other in others))
    alike = [reference_path(trial)] if trial.dtype == "float32" else []
    return RoundOff(trial, path, (*alike, *(other() for other in others)))


def twin_path(trial: Trial, seed: int) -> Path:
    """The weights of a twin after every checkpoint, put back into the trial's own order.

    The rows inside each minibatch, the features and the hidden units are put in another order, and every
    result is perturbed in its last place. ``seed`` draws both.
    """
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(size) for size in trial.network.sizes[:-1]]
    orders.append(np.arange(trial.network.outputs))
    plan = trial.plan.rows_permuted(seed)
    plan = replace(plan, initial=_permuted(plan.initial, orders))
    x = np.ascontiguousarray(trial.x[:, orders[0]])
    back = [np.argsort(order) for order in orders]
    path = reference_path(replace(trial, x=x, plan=plan), noise=seed)
    return tuple(_permuted(weights, back) for weights in path)


def _permuted(weights: Weights, orders: Sequence[NDArray[np.intp]]) -> Weights:
    """The same network with the units of each layer in another order."""
    layers = zip(weights.W, orders[:-1], orders[1:], strict=True)
    return Weights(
        tuple(np.ascontiguousarray(W[:, rows][:, :, columns]) for W, rows, columns in layers),
        tuple(b[:, order] for b, order in zip(weights.b, orders[1:], strict=True)),
    )
