"""Units of work: a backend, some repeats, a chunk of the grid's cells.

The cut depends on the experiment alone, never on how many workers there are, so every executor
computes the same units and with them the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from backends.base import Backend
from backends.memory import NotEnoughMemory, require_memory, require_training_memory
from backends.network import Network, Weights
from backends.settings import rows_of_batch
from harness.data.notebook_stream import draws_in_turn
from harness.errors import InputError
from harness.experiment.experiment import Experiment
from harness.training.status import Status

MEMORY_BUDGET = 256 * 2**20  # bytes that one unit's training may hold
STACKED_CELLS = 49  # at most, in one unit of a backend that stacks; more fall out of the cache
LOOPED_CELLS = 8  # in one unit of a backend that trains one cell after the other
_RECORD_BYTES, _LABEL_BYTES = 500, 4  # of a network in the tables, and of a sample that it labels
COPIES = 8  # arrays of the size of weights and of activations that training holds at once


@dataclass(frozen=True)
class Unit:
    """Cells ``first`` .. ``last - 1`` of the grid, for these repeats, on one backend.

    ``point`` is the number of its experiment, where several are carried out together. ``keep_weights``:
    its outcome is to have the final weights; to nobody it is another unit for that.
    """

    backend: str
    repeats: tuple[int, ...]
    first: int
    last: int
    point: int = 0
    keep_weights: bool = field(default=False, compare=False)

    @property
    def size(self) -> int:
        """Number of networks it trains."""
        return len(self.repeats) * (self.last - self.first)

    def __str__(self) -> str:
        repeats = f"repeats {self.repeats[0]}-{self.repeats[-1]}"
        return f"{self.backend}, {repeats}, cells {self.first}-{self.last - 1}"


@dataclass(frozen=True)
class UnitOutcome:
    """What became of a unit: ``done`` with its rows and timings, or a status with a reason.

    ``rows`` are one for each repeat and cell, ``timings`` in seconds and bytes; ``finished`` is the time
    in UTC at which the rows were on disk. ``weights``: the networks' last ones, if they are to be kept.
    """

    unit: Unit
    status: Literal["done"] | Status
    reason: str = ""
    rows: pd.DataFrame | None = None
    timings: dict[str, float] = field(default_factory=dict)
    finished: str = ""
    weights: Weights | None = None


def unit_keys(unit: Unit, experiment: Experiment) -> dict[str, Any]:
    """The key columns of a unit's rows: repeat by repeat, in each the cells in their order."""
    grid = experiment.cells[unit.first : unit.last]
    return {
        "backend": [unit.backend] * unit.size,
        "eta": [eta for eta, _ in grid] * len(unit.repeats),
        "lmbd": [lmbd for _, lmbd in grid] * len(unit.repeats),
        "repeat": np.repeat(unit.repeats, len(grid)),
    }


def even_chunks(total: int, most: int) -> list[range]:
    """0 .. total - 1 cut into as few stretches of at most ``most`` as possible, of nearly equal length."""
    size = math.ceil(total / math.ceil(total / most))
    return [range(first, min(first + size, total)) for first in range(0, total, size)]


def bytes_per_cell(network: Network, batch: int, itemsize: int) -> int:
    """Memory that the training of one cell takes, estimated: weights and activations, with copies."""
    return COPIES * itemsize * (network.parameters + batch * sum(network.sizes))


def require_unit_memory(
    experiment: Experiment, backend: str, network: Network, samples: int, test: int
) -> None:
    """Refuse what this machine could never hold: a network, its minibatches, or what all of them predict.

    :class:`~harness.errors.InputError` with the figure. ``samples`` of the training part, ``test`` of
    the test part.
    """
    backends, cells = len(experiment.backends), len(experiment.eta) * len(experiment.lmbd)
    networks = backends * cells * experiment.repeats
    try:
        require_training_memory(network, samples, experiment.recipe(backend).epochs)
        require_memory(
            f"repeats: records and predictions of {networks:,} networks ({experiment.repeats:,} repeats of "
            f"{cells:,} cells)",
            networks * (_RECORD_BYTES + test * _LABEL_BYTES),
        )
    except NotEnoughMemory as error:
        raise InputError(str(error)) from None


def cut_units(
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
    if draws_in_turn(experiment, name):
        return [Unit(name, (repeat,), 0, cells) for repeat in range(experiment.repeats)]
    recipe = experiment.recipe(name)
    batch = rows_of_batch(recipe.batch_size, samples)
    itemsize = 4 if recipe.dtype == "float32" else 8
    fits = max(1, MEMORY_BUDGET // bytes_per_cell(network, batch, itemsize))
    most = min(fits, STACKED_CELLS if backend.stacks else LOOPED_CELLS)
    chunks = even_chunks(cells, most)  # a library compiles once for all of one length
    together = 1 if varies_split(experiment) or len(chunks) > 1 else max(1, most // cells)
    ends = [*sorted(n for n in bounds if n < experiment.repeats), experiment.repeats]
    return [
        Unit(name, tuple(range(repeat, min(repeat + together, end))), chunk.start, chunk.stop)
        for begin, end in zip([0, *ends], ends, strict=False)
        for repeat in range(begin, end, together)
        for chunk in chunks
    ]


def varies_split(experiment: Experiment) -> bool:
    """Whether each repeat has a split of its own."""
    return experiment.vary == "split" or experiment.folds is not None
