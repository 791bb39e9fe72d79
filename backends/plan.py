"""The plan: everything random about a training, drawn once, in NumPy, before any backend sees it.

A plan holds one or several *streams*. A stream is a set of initial weights and an order of minibatches;
cells that share a stream start from the same weights and see the same samples at every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backends.draws import (
    InitialBias,
    InitialWeights,
    Minibatches,
    Sources,
    draw_order,
    draw_weights,
    sources_of,
)
from backends.memory import require_training_memory
from backends.network import Array, Network, Weights
from backends.settings import rows_of_batch


@dataclass(frozen=True)
class Plan:
    """Initial weights and minibatches, for every stream.

    Attributes
    ----------
    initial : Weights
        Initial weights; leading axis streams.
    order : int array, (streams, draws)
        Row numbers, one minibatch after the other.
    bounds : int array, (steps + 1,)
        Step s takes the rows ``order[:, bounds[s]:bounds[s + 1]]``.
    checkpoints : tuple of int
        Numbers of steps after which weights are wanted; ascending, the last is the plan's length.
    steps_per_epoch : int or None
        Steps that make an epoch; None if nobody counts epochs.
    validation : int array or None
        Row numbers of the validation part, by which training may stop early; never trained on.
    """

    initial: Weights
    order: NDArray[np.integer]
    bounds: NDArray[np.integer]
    checkpoints: tuple[int, ...]
    steps_per_epoch: int | None = None
    validation: NDArray[np.integer] | None = None

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return len(self.bounds) - 1

    @property
    def streams(self) -> int:
        return len(self.order)

    @property
    def batch_size(self) -> int:
        """Samples in a full minibatch (the largest there is)."""
        return int(np.diff(self.bounds).max()) if self.steps else 0

    def rows(self, step: int) -> NDArray[np.integer]:
        """The rows of step ``step``, counted from 0; shape (streams, rows)."""
        return self.order[:, self.bounds[step] : self.bounds[step + 1]]

    def epoch(self, step: int) -> int:
        """The epoch of a step, both counted from 0."""
        if self.steps_per_epoch is None:
            raise ValueError("a schedule of eta needs a plan that counts epochs")
        return step // self.steps_per_epoch

    def start(self) -> tuple[list[Array], list[Array]]:
        """Copies of the initial weight matrices and biases of a plan of one stream."""
        self._one_stream()
        return [W[0].copy() for W in self.initial.W], [b[0].copy() for b in self.initial.b]

    def batches(self) -> Iterator[NDArray[np.integer]]:
        """The rows of every step of a plan of one stream, in order; each of shape (rows,)."""
        self._one_stream()
        for step in range(self.steps):
            yield self.rows(step)[0]

    def segments(self) -> Iterator[tuple[int, int]]:
        """The stretches (first step, step after the last) between checkpoints."""
        return zip((0, *self.checkpoints[:-1]), self.checkpoints, strict=True)

    def first(self, steps: int) -> Plan:
        """The plan's first ``steps`` steps, with one checkpoint at their end."""
        if not 0 <= steps <= self.steps:
            raise ValueError(f"the plan has {self.steps} steps, not {steps}")
        return replace(
            self,
            order=self.order[:, : self.bounds[steps]],
            bounds=self.bounds[: steps + 1],
            checkpoints=(steps,),
        )

    def at(self, checkpoints: Sequence[int]) -> Plan:
        """The same plan, asking for the weights after these numbers of steps, and cut after the last."""
        wanted = tuple(sorted(set(checkpoints)))
        if not wanted:
            raise ValueError("at least one checkpoint is needed")
        return replace(self.first(wanted[-1]), checkpoints=wanted)

    def select(self, streams: Sequence[int] | NDArray[np.integer]) -> Plan:
        """The plan of some streams, in the order given."""
        index = np.asarray(streams, dtype=np.intp)
        return replace(self, initial=self.initial[index], order=self.order[index])

    @classmethod
    def concatenate(cls, plans: Sequence[Plan]) -> Plan:
        """One plan with the streams of several that are alike in everything else, in their order."""
        return replace(
            plans[0],
            initial=Weights.concatenate([plan.initial for plan in plans]),
            order=np.concatenate([plan.order for plan in plans]),
        )

    def rows_permuted(self, seed: int) -> Plan:
        """The same minibatches with the rows inside each in another order.

        The mathematics does not change, only the order of summation: a measure of how far round-off
        alone carries a training.
        """
        rng = np.random.default_rng(seed)
        order = self.order.copy()
        for step in range(self.steps):
            order[:, self.bounds[step] : self.bounds[step + 1]] = rng.permuted(
                self.rows(step), axis=1
            )
        return replace(self, order=order)

    def _one_stream(self) -> None:
        if self.streams != 1:
            raise ValueError(f"the plan has {self.streams} streams; select one first")

    @classmethod
    def draw(
        cls,
        network: Network,
        rows: NDArray[np.integer] | Sequence[NDArray[np.integer]],
        seeds: Sequence[int | np.random.SeedSequence | Sources],
        *,
        epochs: int,
        batch_size: int | Literal["all"],
        keep_last_batch: bool = False,
        minibatches: Minibatches = "permutation",
        initial_weights: InitialWeights = "glorot_uniform",
        weight_scale: float = 1.0,
        initial_bias: InitialBias = 0.0,
        dtype: str = "float32",
        rounded: bool = True,
    ) -> Plan:
        """Draw a plan, one stream for every seed, one after the other.

        rows: the row numbers to train on, (samples,); or one such array for each seed, all of the
        same length. ``batch_size``: clipped to their number, which ``all`` is. seeds: numbers, or in
        their place two generators, which may be one and the same: the first draws the weights, then the
        second the order. Unless ``rounded`` is False, initial weights are representable in float32 whatever
        ``dtype``, so that runs in both precisions start from the same point.

        :class:`~backends.memory.NotEnoughMemory` for what this machine could not hold.
        The choices of ``minibatches`` and ``initial_weights`` are told in :mod:`backends.draws`; an
        epoch's short last minibatch is dropped unless ``keep_last_batch``.
        """
        pools = [rows] * len(seeds) if isinstance(rows, np.ndarray) else list(rows)
        samples = len(pools[0])
        require_training_memory(network, samples, epochs)
        batch = rows_of_batch(batch_size, samples)
        sizes = [batch] * (samples // batch)
        if keep_last_batch and minibatches != "independent" and samples % batch:
            sizes.append(samples % batch)
        initial, order = [], []
        for seed, pool in zip(seeds, pools, strict=True):
            for_weights, for_order = sources_of(seed)
            initial.append(
                draw_weights(network, for_weights, initial_weights, weight_scale, initial_bias)
            )
            order.append(draw_order(pool, for_order, epochs, sizes, minibatches))
        weights = Weights.stack(initial)
        return cls(
            initial=(weights.astype("float32") if rounded else weights).astype(dtype),
            order=np.stack(order),
            bounds=np.concatenate([[0], np.cumsum(sizes * epochs)]).astype(np.int64),
            checkpoints=(len(sizes) * epochs,),
            steps_per_epoch=len(sizes),
        )
