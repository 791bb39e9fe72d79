"""What every backend is given: the data, network, training and plan of one recipe, for the whole grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan
from harness.data.dataset import Dataset
from harness.data.split import Split
from harness.experiment.experiment import Experiment
from harness.training.prepare import prepare
from harness.training.units import even_chunks

_LOOKED_AT = (1, 10, 100, 1000)
TOGETHER = 98  # cells trained at a time, at most
_STEP = 5000  # weights whose update costs as much as a step does whatever its size
_LONG = 1e6  # updates of a weight
_BY_ITSELF = {"patience", "tol", "monitor"}  # of no effect where it is scikit-learn's own rule
OF_NO_EFFECT = {"dtype", "shared_stream", "drawn_before"}


@dataclass(frozen=True)
class Trial:
    """One recipe in one dtype, on the first repeat's split and plan.

    ``cells`` are those of the grid, all on the plan's only stream.
    """

    x: Array
    y: NDArray[Any]
    split: Split
    network: Network
    training: Training
    plan: Plan
    cells: Cells

    @property
    def dtype(self) -> str:
        return self.training.dtype

    @property
    def checkpoints(self) -> tuple[int, ...]:
        return self.plan.checkpoints

    @property
    def is_long(self) -> bool:
        """Whether training it takes longer than starting a process does (a few hundredths of a second)."""
        weights = len(self.cells) * sum(
            t[0].size for t in (*self.plan.initial.W, *self.plan.initial.b)
        )
        return self.plan.steps * (weights + _STEP) > _LONG

    def of(self, cells: NDArray[np.integer] | slice) -> Trial:
        """The same for some of the cells."""
        return replace(self, cells=self.cells[cells])

    def at(self, *steps: int) -> Trial:
        """The same with weights wanted after these numbers of steps."""
        return replace(self, plan=self.plan.at(steps))

    def chunks(self) -> list[slice]:
        """The cells in stretches of nearly equal length that are trained together."""
        return [slice(c.start, c.stop) for c in even_chunks(len(self.cells), TOGETHER)]

    def train(self, backend: Backend) -> tuple[Weights, ...]:
        """The weights after every checkpoint."""
        return self.fit(backend).path

    def fit(self, backend: Backend) -> Fit:
        """The whole of what a backend gives, also after how many steps each cell has stopped."""
        return backend.train(self.x, self.y, self.network, self.training, self.cells, self.plan)


def trial(
    experiment: Experiment,
    dataset: Dataset,
    backend: str,
    dtype: str,
    steps: int | None = None,
    repeat: int = 0,
) -> Trial:
    """What a backend's recipe comes to in one dtype, looked at after 1, 10, 100, 1000 and all steps.

    ``steps``: as many steps in place of the experiment's epochs. Weights and minibatches are drawn from
    the experiment's seed. Training stops early by the validation part alone: by scikit-learn's own rule not
    everybody would take the same steps.
    """
    ignored = OF_NO_EFFECT
    if not experiment.recipe(backend).watches_validation:
        ignored = OF_NO_EFFECT | _BY_ITSELF
    common = experiment.model_copy(
        update={
            "draws": "seed",
            "dtype": dtype,
            "patience": None if ignored > OF_NO_EFFECT else experiment.patience,
            "overrides": {
                name: {k: v for k, v in changes.items() if k not in ignored}
                for name, changes in experiment.overrides.items()
            },
        }
    )
    prepared = prepare(common, dataset, backend, [repeat])
    plan = prepared.plan
    if steps is not None and steps > plan.steps:
        epochs = -(-steps // (plan.steps // common.recipe(backend).epochs))
        longer = common.model_copy(
            update={
                "epochs": epochs,
                "overrides": {
                    name: {k: v for k, v in changes.items() if k != "epochs"}
                    for name, changes in common.overrides.items()
                },
            }
        )
        plan = prepare(longer, dataset, backend, [repeat]).plan
    last = steps or plan.steps
    grid = experiment.cells
    return Trial(
        prepared.x,
        prepared.y,
        prepared.split,
        prepared.network,
        prepared.training,
        plan.at([*(k for k in _LOOKED_AT if k < last), last]),
        Cells.of([eta for eta, _ in grid], [lmbd for _, lmbd in grid]),
    )


def recipes(
    experiment: Experiment, names: Sequence[str], *, dtypes: bool = False
) -> list[list[str]]:
    """The backends in groups that train the same network in the same way (``dtypes``: in the same dtype)."""
    groups: dict[str, list[str]] = {}
    for name in names:
        recipe = experiment.recipe(name)
        ignored = OF_NO_EFFECT - {"dtype"} if dtypes else OF_NO_EFFECT
        if not recipe.watches_validation:
            ignored = ignored | _BY_ITSELF
        settings = recipe.model_dump_json(exclude=ignored)
        groups.setdefault(settings, []).append(name)
    return list(groups.values())
