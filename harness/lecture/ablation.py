"""What each convention does to the grid: it is switched to the fair one, one after another."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from backends.formulas import predict
from backends.network import Cells
from backends.numpy_backend import NumPyBackend
from harness.data.dataset import Dataset
from harness.experiment.execution import cores
from harness.experiment.experiment import Experiment
from harness.training.prepare import prepare

logger = logging.getLogger(__name__)

GOOD = 0.9  # test accuracy from which a learning rate counts as one that works
FAIR: dict[str, Any] = {
    "hidden": [50],
    "dtype": "float32",
    "minibatches": "permutation",
    "initial_weights": "glorot_uniform",
    "weight_scale": 1.0,
    "initial_bias": 0.0,
}
FAIR_START = {k: FAIR[k] for k in ("initial_weights", "weight_scale", "initial_bias")}

# Settings switched to the fair ones, each on top of those before it.
SWITCHES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "numpy": (
        ("the cost is averaged, not summed", {"cost": "mean"}),
        ("Glorot weights, biases 0", FAIR_START),
    ),
    "sklearn": (
        ("never stops early", {"patience": None, "tol": 0.0}),
        ("SGD in place of Adam", {"optimizer": "sgd"}),
    ),
    "tensorflow": (
        ("Glorot weights, biases 0", FAIR_START),
        ("a permutation an epoch", {"minibatches": "permutation"}),
    ),
    "keras": (
        ("penalty lmbd * W in every layer", {"penalty_factor": 1.0, "penalised": "all"}),
        ("the short last minibatch dropped", {"keep_last_batch": False}),
    ),
}
WRITTEN = "as written"
EVERYTHING = "everything: the fair recipe"


@dataclass(frozen=True)
class Effect:
    """The grid of one program with some conventions switched.

    accuracy: test accuracy, (eta, lmbd); NaN where training diverged.
    """

    program: str
    switched: str
    eta: tuple[float, ...]
    lmbd: tuple[float, ...]
    accuracy: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float, float]:
        """eta, lmbd and accuracy of the best cell, chosen on the test part as the notes do."""
        highest = np.nan_to_num(self.accuracy, nan=-1.0).argmax()
        row, column = np.unravel_index(highest, self.accuracy.shape)
        return self.eta[row], self.lmbd[column], float(self.accuracy[row, column])

    @property
    def by_eta(self) -> NDArray[np.float64]:
        """The best accuracy at each eta."""
        return np.asarray(np.nan_to_num(self.accuracy, nan=0.0).max(axis=1))

    @property
    def working(self) -> tuple[float, ...]:
        """The etas that reach 90 % with some lmbd."""
        return tuple(eta for eta, best in zip(self.eta, self.by_eta, strict=True) if best >= GOOD)


def effects(experiment: Experiment, dataset: Dataset, programs: Sequence[str]) -> list[Effect]:
    """Train the grid for every switch of these programs, and once with the fair recipe.

    All of it by the NumPy backend, which trains what any other would, on the experiment's split; every
    cell on the same draws, in float32.
    """
    variants: list[tuple[str, str, dict[str, Any]]] = []
    for program in programs:
        recipe: dict[str, Any] = dict(experiment.overrides.get(program, {}))
        for name, change in SWITCHES.get(program, ()):
            recipe |= change
            variants.append((program, name, dict(recipe)))
    variants.append(("all", EVERYTHING, FAIR))
    number = len(variants)
    # a thread for each grid at work and none within one: small products gain nothing from more
    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        grids = []
        for grid in pool.map(lambda v: _accuracy(experiment, dataset, v[2]), variants):
            grids.append(grid)
            logger.info("one convention after another switched: grid %d of %d", len(grids), number)
    return [
        Effect(program, name, experiment.eta, experiment.lmbd, grid)
        for (program, name, _), grid in zip(variants, grids, strict=True)
    ]


def _accuracy(
    experiment: Experiment, dataset: Dataset, recipe: Mapping[str, Any]
) -> NDArray[np.float64]:
    mine = {**recipe, "dtype": "float32", "drawn_before": [], "shared_stream": []}
    variant = Experiment(**(experiment.model_dump() | {"overrides": {"numpy": mine}}))
    p = prepare(variant, dataset, "numpy", [0])
    cells = Cells.grid(variant.eta, variant.lmbd)
    weights = NumPyBackend().train(p.x, p.y, p.network, p.training, cells, p.plan).weights
    predicted = predict(p.x[p.split.test], p.network, weights).argmax(axis=-1)
    accuracy = (predicted == p.y[p.split.test]).mean(axis=1)
    shape = (len(variant.eta), len(variant.lmbd))
    return np.where(weights.finite(), accuracy, np.nan).reshape(shape)


def to_frame(found: Sequence[Effect]) -> pd.DataFrame:
    """Effects in long form: program, switched, eta, lmbd, test_accuracy."""
    return pd.DataFrame(
        [
            {
                "program": e.program,
                "switched": e.switched,
                "eta": eta,
                "lmbd": lmbd,
                "test_accuracy": a,
            }
            for e in found
            for eta, row in zip(e.eta, e.accuracy, strict=True)
            for lmbd, a in zip(e.lmbd, row, strict=True)
        ]
    )


def from_frame(frame: pd.DataFrame) -> list[Effect]:
    """The effects that :func:`to_frame` wrote."""
    found = []
    for (program, switched), rows in frame.groupby(["program", "switched"], sort=False):
        eta, lmbd = tuple(rows["eta"].unique()), tuple(rows["lmbd"].unique())
        grid = rows["test_accuracy"].to_numpy(np.float64).reshape(len(eta), len(lmbd))
        found.append(Effect(str(program), str(switched), eta, lmbd, grid))
    return found
