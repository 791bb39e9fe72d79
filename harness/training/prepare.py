"""Everything that a backend is given: data, network, training and plan of some repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Network, Training
from backends.plan import Plan
from harness.data.dataset import Dataset
from harness.data.notebook_stream import NotebookStream, draw_recipe
from harness.data.scaling import scaled, target_scale
from harness.data.split import Split, split_rows
from harness.experiment.experiment import Experiment


@dataclass(frozen=True)
class Prepared:
    """Everything that a backend is given for some repeats of an experiment.

    ``target_scale``: what was subtracted from real targets, and what they were then divided by.
    """

    x: Array
    y: NDArray[Any]
    split: Split
    network: Network
    training: Training
    plan: Plan
    target_scale: tuple[float, float] = (0.0, 1.0)

    def in_units(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Real targets or predictions, as trained on, in the units the data came in."""
        shift, width = self.target_scale
        return targets * width + shift if width != 1 or shift else targets


def prepare(
    experiment: Experiment,
    dataset: Dataset,
    backend: str,
    repeats: Sequence[int],
    cells: range = range(1),
) -> Prepared:
    """Data, network, training and plan of one backend; the plan has one stream for each repeat.

    The repeats must share their split. The plan depends on the backend only through its recipe. Where
    each cell draws on its own, there is a stream for each repeat and each of ``cells``, these fastest.
    """
    split = split_rows(dataset, experiment, repeats[0])
    dtype = experiment.recipe(backend).dtype
    x = scaled(dataset, split, experiment).astype(dtype)
    shift, width = target_scale(dataset, split, experiment)
    y = dataset.y if dataset.classes else ((dataset.y - shift) / width).astype("f4").astype(dtype)
    network = experiment.network(backend, x.shape[1], len(dataset.classes))
    if experiment.draws == "notebook":
        plan = _notebook_plan(experiment, dataset, backend, split.train, repeats, cells)
    else:
        plan = draw_plan(experiment, backend, network, split.train, repeats)
    training = experiment.training(backend)
    return Prepared(x, y, split, network, training, plan, (shift, width))


def draw_plan(
    experiment: Experiment,
    backend: str,
    network: Network,
    rows: NDArray[np.intp],
    repeats: Sequence[int],
) -> Plan:
    """The plan of some repeats; each repeat's stream depends on (seed, repeat) alone."""
    seeds = [np.random.SeedSequence(experiment.seed, spawn_key=(repeat,)) for repeat in repeats]
    return draw_recipe(experiment.recipe(backend), network, rows, seeds)


def _notebook_plan(
    experiment: Experiment,
    dataset: Dataset,
    backend: str,
    rows: NDArray[np.intp],
    repeats: Sequence[int],
    cells: range,
) -> Plan:
    """The plan of some cells of some repeats, each repeat's random stream wound forward to them."""
    plans = []
    for repeat in repeats:
        stream = NotebookStream(experiment, dataset.counts, repeat)
        stream.wind(backend, rows)
        stream.skip(backend, rows, range(cells.start))
        plans.append(stream.plan(backend, rows, cells))
    return Plan.concatenate(plans)
