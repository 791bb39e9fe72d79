"""Everything that a backend is given: data, network, training and plan of some repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Network, Training
from backends.plan import Plan
from harness.data.dataset import Dataset
from harness.data.notebook_stream import notebook_plan
from harness.data.recipe_plan import draw_recipe, repeat_seeds
from harness.data.scaling import scaled, target_scale
from harness.data.split import Split, split_rows
from harness.errors import InputError
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
    All arrays are read-only.
    """
    split = split_rows(dataset, experiment, repeats[0])
    dtype = experiment.recipe(backend).dtype
    # a view that can be locked without locking what the data set holds
    x = np.asarray(scaled(dataset, split, experiment)).astype(dtype, copy=False).view()
    shift, width = target_scale(dataset, split, experiment)
    y = dataset.y.copy()  # a backend that makes it writable again changes nobody else's
    if not dataset.classes:
        y = ((dataset.y - shift) / width).astype("f4").astype(dtype)
    network = experiment.network(backend, x.shape[1], len(dataset.classes))
    if experiment.draws == "notebook":
        counts = len(x), x.shape[1], len(dataset.classes)
        plan = notebook_plan(experiment, counts, backend, repeats, cells)
    else:
        seeds = repeat_seeds(experiment.seed, repeats)
        plan = draw_recipe(experiment.recipe(backend), network, split.train, seeds)
        if experiment.recipe(backend).watches_validation:
            if np.array_equal(split.validation, split.test):
                raise InputError("patience: found without a validation part; allowed: with one")
            plan = replace(plan, validation=split.validation)
    for array in (x, y, *plan.initial.W, *plan.initial.b, plan.order, plan.bounds):
        array.flags.writeable = False  # no backend may change what the next one is given
    return Prepared(x, y, split, network, experiment.training(backend), plan, (shift, width))
