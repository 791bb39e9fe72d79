"""The rows of a unit that come back from disk, held against the unit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.data.dataset import Dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.training.evaluate import CERTAINTY, PARTS, curve_columns
from harness.training.status import SETTLED, Status
from harness.training.units import Unit, unit_keys, varies_split

# what a score or loss lies between
_RANGES = {
    "accuracy": (0.0, 1.0),
    "r2": (-np.inf, 1.0),
    "rmse": (0.0, np.inf),
    "loss": (0.0, np.inf),
}


def check_rows(rows: pd.DataFrame, unit: Unit, experiment: Experiment, dataset: Dataset) -> None:
    """Raise ValueError unless these can be the rows of a unit: its keys, and values that can be.

    Every row has a settled status; one that is ok has scores and losses in their range, a label for every
    test sample, and the accuracy that these labels have.
    """
    measures = [(f"{part}_{m}", m) for part in PARTS for m in (*experiment.metrics, "loss")]
    columns = ["status", "reason", "predicted", "seconds", "epoch", *curve_columns(experiment)]
    keys = pd.DataFrame(unit_keys(unit, experiment))
    for column in (*keys, *(name for name, _ in measures), *columns):
        if column not in rows:
            raise ValueError(f"it has no column {column!r}")
    if len(rows) != unit.size:
        raise ValueError(f"it has {len(rows)} rows for {unit.size} networks")
    for column in keys:
        if list(rows[column]) != list(keys[column]):
            raise ValueError(f"its {column} are not those of the unit")
    if not rows["status"].isin(SETTLED).all():
        raise ValueError("it has a status that no finished unit has")
    ok = rows[rows["status"] == Status.OK]
    for column, measure in measures:
        low, high = _RANGES[measure]
        values = ok[column].to_numpy(np.float64)
        if (values < low).any() or (values > high).any():
            raise ValueError(f"it has a {column} that is not within {low:g} and {high:g}")
    for repeat, own in ok.groupby("repeat"):
        test = split_rows(
            dataset, experiment, int(str(repeat)) if varies_split(experiment) else 0
        ).test
        if any(len(labels) != len(test) for labels in own["predicted"]):
            raise ValueError(f"it has not a prediction for each of the {len(test)} test samples")
        for column in (name for name in CERTAINTY if name in rows):
            for values in own[column]:
                if len(values) not in (0, len(test)):
                    raise ValueError(f"its {column} is not one of each of the {len(test)} samples")
        if experiment.metrics[0] == "accuracy":
            right = [float((labels == dataset.y[test]).mean()) for labels in own["predicted"]]
            if right != list(own["test_accuracy"]):
                raise ValueError("its labels do not have the accuracy it says")
