"""Units of work: a backend, some repeats, a chunk of the grid's cells.

The cut depends on the experiment alone, never on how many workers there are, so every executor
computes the same units and with them the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import Backend
from backends.network import Network
from backends.registry import version
from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment, Recipe

MEMORY_BUDGET = 256 * 2**20  # bytes that one unit's training may hold
STACKED_CELLS = 49  # at most, in one unit of a backend that stacks; more fall out of the cache
LOOPED_CELLS = 8  # in one unit of a backend that trains one cell after the other
COPIES = 8  # arrays of the size of weights and of activations that training holds at once


@dataclass(frozen=True)
class Unit:
    """Cells ``first`` .. ``last - 1`` of the grid, for these repeats, on one backend."""

    backend: str
    repeats: tuple[int, ...]
    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of networks it trains."""
        return len(self.repeats) * (self.last - self.first)

    def __str__(self) -> str:
        repeats = f"repeats {self.repeats[0]}-{self.repeats[-1]}"
        return f"{self.backend}, {repeats}, cells {self.first}-{self.last - 1}"


def bytes_per_cell(network: Network, batch: int, itemsize: int) -> int:
    """Memory that the training of one cell takes, estimated: weights and activations, with copies."""
    return COPIES * itemsize * (network.parameters + batch * sum(network.sizes))


def cut(
    experiment: Experiment,
    name: str,
    backend: Backend,
    network: Network,
    samples: int,
    bounds: Sequence[int] = (),
) -> list[Unit]:
    """The units of one backend, in order of repeats and cells.

    Repeats share a unit where they share their split and fit together into one stack. A grid whose
    cells must be trained in turn is one unit. ``bounds``: numbers of repeats that no unit goes beyond on
    both sides, so that a run of so many can be added to without training anything twice.
    """
    cells = len(experiment.cells)
    if in_turn(experiment, name):
        return [Unit(name, (repeat,), 0, cells) for repeat in range(experiment.repeats)]
    recipe = experiment.recipe(name)
    batch = min(recipe.batch_size, samples)
    itemsize = 4 if recipe.dtype == "float32" else 8
    fits = max(1, MEMORY_BUDGET // bytes_per_cell(network, batch, itemsize))
    most = min(fits, STACKED_CELLS if backend.stacks else LOOPED_CELLS)
    pieces = -(-cells // most)
    size = -(-cells // pieces)  # chunks of nearly equal size compile once
    together = 1 if varies_split(experiment) or pieces > 1 else max(1, most // cells)
    ends = [*sorted(n for n in bounds if n < experiment.repeats), experiment.repeats]
    return [
        Unit(
            name, tuple(range(repeat, min(repeat + together, end))), first, min(first + size, cells)
        )
        for begin, end in zip([0, *ends], ends, strict=False)
        for repeat in range(begin, end, together)
        for first in range(0, cells, size)
    ]


def varies_split(experiment: Experiment) -> bool:
    """Whether each repeat has a split of its own."""
    return experiment.vary == "split" or experiment.folds is not None


def in_turn(experiment: Experiment, backend: str) -> bool:
    """Whether what is drawn for one cell depends on when the training of the cell before stopped."""
    recipe = experiment.recipe(backend)
    return (
        experiment.draws == "notebook"
        and recipe.patience is not None
        and "minibatches" in recipe.shared_stream
    )


def digest(unit: Unit, experiment: Experiment, dataset: Dataset, backend: Backend) -> str:
    """The name of a unit's part: a hash of everything that its result depends on."""
    grid = experiment.cells[unit.first : unit.last]
    defining = {
        "unit": {"backend": unit.backend, "repeats": unit.repeats, "cells": grid},
        "library": version(backend),
        "recipe": experiment.recipe(unit.backend).model_dump(mode="json"),
        "experiment": experiment.digest(
            "preset", "backends", "overrides", "eta", "lmbd", "repeats", *recipe_settings()
        ),
        "dataset": dataset.sha256,
    }
    if experiment.draws == "notebook":  # a cell's draws depend on the whole grid before it
        defining["stream"] = experiment.digest("preset", "backends", "repeats")
    return hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()[:20]


def recipe_settings() -> tuple[str, ...]:
    """The settings that a recipe holds; a backend's own values of them count, not the common ones."""
    return tuple(Recipe.model_fields)
