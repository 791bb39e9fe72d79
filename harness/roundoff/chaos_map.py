"""The chaos map: how far round-off alone carries a training, in every cell of the grid.

A backend is set against itself, once as planned and once with everything permuted that may be
(:mod:`harness.roundoff.twin`). What grows between the two is round-off, and no difference between
libraries can be expected to grow less. A cell is

``stable``     round-off stays below a fifth of the tolerance: a larger difference is a fault;
``sensitive``  it comes near the tolerance, but the trainings still end in the same place;
``chaotic``    it grows to a thousandth of the weights and more: two right programs part, and may end
               with other labels;
``diverged``   weights overflow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend
from backends.distance import Errors, Tolerance, relative_errors
from backends.formulas import predict
from backends.network import Weights
from backends.registry import UnusableBackend, find
from harness.data.dataset import Dataset
from harness.errors import InputError
from harness.executors.fork import beside
from harness.experiment.experiment import Experiment
from harness.roundoff.trial import Trial, trial
from harness.roundoff.twin import twin
from harness.training.evaluate import score

TWINS = 3  # trainings that a backend is compared with itself by
MARGIN = (
    5.0  # two libraries round more differently than one and its twin, measured up to four times
)
PARTED = 1e-3  # relative distance of weights from where on labels may change
COLUMNS = [
    "repeat",
    "eta",
    "lmbd",
    "dtype",
    "steps",
    "difference",
    "growth",
    "status",
    "chaotic",
    "swing",
]


@dataclass(frozen=True)
class RoundOff:
    """What round-off alone does to a trial.

    ``path``: the weights as planned, after every checkpoint. ``distance``: the largest relative distance
    of each tensor to any twin's, (checkpoints, tensors, cells). ``swing``: the largest change of the test
    score after the last checkpoint, (cells,).
    """

    path: tuple[Weights, ...]
    distance: Errors
    swing: Errors


def round_off(
    backend: Backend,
    trial: Trial,
    path: Sequence[Weights] | None = None,
    seeds: Sequence[int] = range(TWINS),
) -> RoundOff:
    """Measure it for a trial; one twin for every seed. ``path``: what the backend took, if known."""
    others = [_begun(backend, trial, seed) for seed in seeds]
    path = trial.train(backend) if path is None else path
    distance = np.zeros((len(path), len(trial.plan.initial.named()), len(trial.cells)))
    swing = np.zeros(len(trial.cells))
    scores = _scores(trial, path[-1])
    for other in others:
        twins = other()
        for k, (weights, twisted) in enumerate(zip(path, twins, strict=True)):
            apart = relative_errors(twisted, weights, trial.plan.initial)
            distance[k] = np.maximum(distance[k], apart)
        swing = np.fmax(swing, np.abs(_scores(trial, twins[-1]) - scores))
    return RoundOff(tuple(path), distance, swing)


def _begun(backend: Backend, trial: Trial, seed: int) -> Callable[[], tuple[Weights, ...]]:
    """The training of a twin, under way where the backend needs nothing that a fork would lack."""
    task = partial(twin(trial, seed).train, backend)
    return task if backend.modules else beside(task)


def _scores(trial: Trial, weights: Weights) -> NDArray[np.float64]:
    """Test accuracy, or r2 for regression, of every cell; NaN where weights are not finite."""
    rows = trial.split.test
    metric = "accuracy" if trial.network.classes else "r2"
    outputs = predict(trial.x[rows], trial.network, weights)
    found = outputs.argmax(axis=2) if trial.network.classes else outputs[..., 0]
    with np.errstate(all="ignore"):
        return np.where(weights.finite(), score(metric, found, trial.y[rows]), np.nan)


def stable(distance: Errors, trial: Trial, tolerance: Tolerance) -> NDArray[np.bool_]:
    """Where round-off stays below a fifth of the tolerance; in the shape of ``distance``."""
    allowed = np.array([tolerance.at(k) for k in trial.checkpoints])
    with np.errstate(invalid="ignore"):
        return np.asarray(distance * MARGIN <= allowed[:, None, None])


def as_frame(
    trial: Trial, found: RoundOff, tolerance: Tolerance | None = None, repeat: int = 0
) -> pd.DataFrame:
    """The chaos map of a trial's cells, as :func:`chaos_map` gives it."""
    tolerance = tolerance or Tolerance(trial.dtype)
    last = found.distance[-1].max(axis=0)
    calm = stable(found.distance, trial, tolerance)[-1].all(axis=0)
    with np.errstate(invalid="ignore"):
        status = np.select(
            [~found.path[-1].finite() | ~np.isfinite(last), calm, last < PARTED],
            ["diverged", "stable", "sensitive"],
            "chaotic",
        )
    return pd.DataFrame(
        {
            "repeat": repeat,
            "eta": trial.cells.eta,
            "lmbd": trial.cells.lmbd,
            "dtype": trial.dtype,
            "steps": trial.checkpoints[-1],
            "difference": last,
            "growth": last / np.finfo(trial.dtype).eps,
            "status": status,
            "chaotic": status == "chaotic",
            "swing": found.swing,
        },
        columns=COLUMNS,
    )


def chaos_map(
    experiment: Experiment,
    dataset: Dataset,
    backend: str = "numpy",
    dtype: str | None = None,
    repeats: Sequence[int] = (0,),
    recipe: str | None = None,
    cells: NDArray[np.integer] | None = None,
    twins: int = TWINS,
) -> pd.DataFrame:
    """How far round-off alone carries one backend, one row for each repeat and cell.

    ``recipe`` names the backend whose recipe is trained, by default its own; ``cells`` the numbers of
    some cells of the grid, by default all; ``twins`` how many trainings it is set against.

    Columns: repeat, eta, lmbd, dtype, steps; ``difference``, the largest relative distance of any tensor
    after the last step; ``growth``, the same in units of the dtype's round-off; ``status`` (see above);
    ``chaotic``, a bool; and ``swing``, how much the test score moved. ``dtype`` is by default that of
    the backend's recipe. :class:`~harness.errors.InputError` for a backend that cannot be used.
    """
    try:
        found = find(backend)
    except UnusableBackend as missing:
        raise InputError(f"backend: {missing.reason}") from None
    frames = []
    for repeat in repeats:
        own = recipe or backend
        precision = dtype or experiment.recipe(own).dtype
        whole = trial(experiment, dataset, own, precision, repeat=repeat)
        whole = whole.at(whole.plan.steps)
        whole = whole if cells is None else whole.of(cells)
        for chunk in whole.chunks():
            part = whole.of(chunk)
            grown = round_off(found, part, seeds=range(twins))
            frames.append(as_frame(part, grown, repeat=repeat))
    return pd.concat(frames, ignore_index=True)
