"""Consecutive steps of one training, seen from outside, and how well given rules account for them.

Every step is judged from the weights that the suspect itself had before it, so that errors do not pile up:
what a step makes of them by the rules is compared with what the suspect made of them. What it remembers
beside the weights (velocities, moments) is followed by the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from backends.network import Array
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, stepped, tensors

_TWINS = 6  # perturbed twins of a step that its round-off is measured on
_MOST = 1e30  # what is not finite is as bad as this
# What right libraries leave unexplained of a tensor in a step, in units of round-off, and a margin: NumPy,
# scikit-learn, TensorFlow and Keras on iris and raw digits, with sigmoid, tanh, relu, momentum and Adam,
# in both dtypes, 112 trainings of 8 steps: root mean square at most 1 (5.4 with TensorFlow's tanh behind
# Adam in float64), largest entry 5 (200).
RMS_LIMIT = 10.0
LARGEST_LIMIT = 1000.0
Misfits = NDArray[np.float64]  # (steps, tensors)


@dataclass(frozen=True)
class StepTrace:
    """Consecutive steps of a training of one cell.

    ``rules``: the canonical ones of the cell. ``start``: where it stood before the first of the steps,
    the optimiser's memory included. ``batches`` and ``weights``: the minibatch of each step, and the
    suspect's weights after it, or None where they were not kept: then it is judged from one step whose
    weights were kept to the next, and that is what "step" means below.
    """

    rules: StepRules
    start: State
    batches: tuple[Batch, ...]
    weights: tuple[Tensors | None, ...]

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def kept(self) -> list[Tensors]:
        """The weights that were kept, in their order."""
        return [seen for seen in self.weights if seen is not None]

    @property
    def names(self) -> list[str]:
        return list(self.start.weights)

    def first(self, steps: int) -> StepTrace:
        """The first steps of it."""
        return replace(self, batches=self.batches[:steps], weights=self.weights[:steps])

    def finite(self) -> StepTrace:
        """The steps up to the first whose weights overflow."""
        good = [
            step is None or all(np.isfinite(t).all() for t in step.values())
            for step in self.weights
        ]
        return self.first(good.index(False)) if False in good else self

    def states(self, rules: StepRules) -> list[State]:
        """Where each step begins, by these rules, from the suspect's own weights; one more at the end."""
        found = [self.start]
        for batch, seen in zip(self.batches, self.weights, strict=True):
            state = stepped(found[-1], batch, rules)
            found.append(state if seen is None else state.moved(seen))
        return found

    def predicted(
        self, rules: StepRules, compute: Callable[..., Tensors] = tensors
    ) -> list[Tensors]:
        """The weights after each step by these rules, each from the suspect's own before it."""
        state, found = self.start, []
        with np.errstate(all="ignore"):
            for batch, seen in zip(self.batches, self.weights, strict=True):
                state = stepped(state, batch, rules, compute)
                if seen is not None:
                    found.append(state.weights)
                    state = state.moved(seen)
        return found

    def round_off(self, *mistakes: Mistake) -> list[Tensors]:
        """What round-off may change in each weight in each step, by rules with these mistakes.

        The spread of twins whose every result is perturbed in its last place, and that place itself.
        """
        if not len(self):
            return []
        rules, eps = self.rules.but(*mistakes), float(np.finfo(self.rules.training.dtype).eps)
        clean = self.predicted(rules)
        squares: list[Tensors] = [
            {name: np.zeros_like(t) for name, t in step.items()} for step in clean
        ]
        for seed in range(_TWINS):
            twin = self.predicted(replace(rules, noise=_noise(seed, self.rules.training.dtype)))
            for square, one, true in zip(squares, twin, clean, strict=True):
                for name in square:
                    square[name] += np.square(one[name] - true[name]) / _TWINS
        befores = [self.start.weights, *self.kept[:-1]]
        return [
            {
                name: np.sqrt(square[name])
                + eps
                * (np.abs(true[name]) + np.abs(before[name]) + np.abs(true[name] - before[name]))
                + 1e-300
                for name in true
            }
            for square, true, before in zip(squares, clean, befores, strict=True)
        ]

    @cached_property
    def own_round_off(self) -> list[Tensors]:
        """That of the canonical rules."""
        return self.round_off()

    def ratios(
        self,
        rules: StepRules,
        scales: Sequence[Tensors] | None = None,
        compute: Callable[..., Tensors] = tensors,
    ) -> list[list[Array]]:
        """What rules leave unexplained, in units of round-off: an array for each step and tensor."""
        scales = scales or self.own_round_off
        steps = zip(self.kept, self.predicted(rules, compute), scales, strict=True)
        with np.errstate(all="ignore"):
            return [
                [_finite((seen[name] - made[name]) / scale[name]) for name in self.names]
                for seen, made, scale in steps
            ]

    def wrong(self, rules: StepRules, scales: Sequence[Tensors] | None = None) -> NDArray[np.bool_]:
        """Which tensors of which steps are not what rules make of them, (steps, tensors)."""
        if not self.kept:
            return np.zeros((0, len(self.names)), dtype=bool)
        ratios = self.ratios(rules, scales)
        return (root_mean_squares(ratios) > RMS_LIMIT) | (largest(ratios) > LARGEST_LIMIT)


def _finite(ratio: Array) -> Array:
    return cast(Array, np.fmin(np.fmax(ratio, -_MOST), _MOST))  # NaN is -_MOST


def root_mean_squares(ratios: Sequence[Sequence[Array]]) -> Misfits:
    """The root mean square of every tensor's ratios; (steps, tensors)."""
    with np.errstate(over="ignore"):
        return np.array([[float(np.sqrt(np.mean(r * r))) for r in step] for step in ratios])


def largest(ratios: Sequence[Sequence[Array]]) -> Misfits:
    """The largest of every tensor's ratios; (steps, tensors)."""
    return np.array([[float(np.abs(r).max()) for r in step] for step in ratios])


def _noise(seed: int, dtype: str) -> Callable[..., Array]:
    rng = np.random.default_rng(seed)

    def noise(value: Array, dtype: str = dtype) -> Array:
        eps = float(np.finfo(dtype).eps)
        return value * (1 + 2 * eps * (rng.random(value.shape) - 0.5))

    return noise
