"""The chaos map: how far round-off alone carries a training, in every cell of the grid.

The reference is set against twins of itself (:mod:`harness.roundoff.round_off`): the same mathematics, and
other round-off. No difference between libraries can be expected to grow less. A cell is

``stable``     round-off stays within what is usual (:class:`backends.distance.Tolerance`);
``sensitive``  it grows further, but the trainings still end in the same place;
``chaotic``    it grows to a thousandth of the weights and more: two right programs part, and may end
               with other labels;
``diverged``   weights overflow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.distance import Errors, Tolerance
from backends.formulas import predict
from backends.network import Weights
from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment
from harness.roundoff.round_off import PARTED, TWINS, RoundOff, round_off
from harness.roundoff.trial import Trial, trial
from harness.training.scores import score

CHAOS_COLUMNS = [
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


def chaos_map(
    experiment: Experiment,
    dataset: Dataset,
    recipe: str,
    repeats: Sequence[int] = (0,),
    cells: NDArray[np.integer] | None = None,
    twins: int = TWINS,
) -> pd.DataFrame:
    """How far round-off alone carries the trainings of a recipe, one row for each repeat and cell.

    ``recipe`` names a backend that has it, and whose dtype is taken: chaos belongs to the training, not to
    the library. ``cells``: the numbers of some cells of the grid, by default all; ``twins``: how many
    trainings the reference is set against.

    Columns: repeat, eta, lmbd, dtype, steps; ``difference``, the largest relative distance of any tensor
    after the last step; ``growth``, the same in units of the dtype's round-off; ``status`` (see above);
    ``chaotic``, a bool; and ``swing``, the range of the reference's test score and its twins'.
    """
    frames = []
    for repeat in repeats:
        dtype = experiment.recipe(recipe).dtype
        whole = trial(experiment, dataset, recipe, dtype, repeat=repeat)
        whole = whole.at(whole.plan.steps)
        whole = whole if cells is None else whole.of(cells)
        for chunk in whole.chunks():
            part = round_off(whole.of(chunk), seeds=range(twins))
            frames.append(chaos_frame(part, repeat=repeat))
    return pd.concat(frames, ignore_index=True)


def chaos_frame(measured: RoundOff, repeat: int = 0) -> pd.DataFrame:
    """The chaos map of a trial's cells, with the columns of :func:`chaos_map`."""
    trial, last = measured.trial, measured.distance[-1].max(axis=0)
    usual = Tolerance(trial.dtype).at(trial.checkpoints[-1])
    with np.errstate(invalid="ignore"):
        status = np.select(
            [
                ~measured.path[-1].finite() | ~np.isfinite(last),
                last <= usual,
                last < PARTED,
            ],
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
            "swing": _swing(measured),
        },
        columns=CHAOS_COLUMNS,
    )


def _swing(measured: RoundOff) -> Errors:
    """The range of the test score after the last checkpoint, (cells,)."""
    paths = (measured.path, *measured.twins)
    scores = np.array([_test_scores(measured.trial, path[-1]) for path in paths])
    swing: Errors = np.fmax.reduce(scores) - np.fmin.reduce(scores)
    return np.nan_to_num(swing)


def _test_scores(trial: Trial, weights: Weights) -> Errors:
    """Test accuracy, or r2 for regression, of every cell; NaN where weights are not finite."""
    rows = trial.split.test
    metric = "accuracy" if trial.network.classes else "r2"
    outputs = predict(trial.x[rows], trial.network, weights)
    answers = outputs.argmax(axis=2) if trial.network.classes else outputs[..., 0]
    with np.errstate(all="ignore"):
        return np.where(weights.finite(), score(metric, answers, trial.y[rows]), np.nan)
