"""The tables of a run: what became of all its units, one row for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from harness.data.dataset import Dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.results.result import CELL, KEY
from harness.training.evaluate import CERTAINTY, PARTS
from harness.training.run_unit import without_result
from harness.training.scores import score_names
from harness.training.status import TRAINED, Status
from harness.training.units import Unit, UnitOutcome, varies_split


def run_tables(
    experiment: Experiment,
    dataset: Dataset,
    outcomes: Sequence[UnitOutcome],
    reasons: Mapping[str, tuple[Status, str]],
) -> dict[str, pd.DataFrame]:
    """Records, predictions, curves and targets, in the order of the experiment, by name.

    ``outcomes``: of all units; ``reasons``: why backends have none, as (status, reason). With ``regions``
    where there are any.
    """
    frames = []
    for outcome in outcomes:
        if outcome.rows is not None:
            frames.append(outcome.rows)
        else:
            assert outcome.status != "done"
            frames.append(without_result(outcome.unit, experiment, outcome.status, outcome.reason))
    for name, (status, reason) in reasons.items():
        everything = Unit(name, tuple(range(experiment.repeats)), 0, len(experiment.cells))
        frames.append(without_result(everything, experiment, status, reason))
    rows = pd.concat(frames, ignore_index=True)
    rows["backend"] = pd.Categorical(rows["backend"], list(experiment.backends), ordered=True)
    rows = rows.sort_values(KEY, kind="stable", ignore_index=True)
    rows["backend"] = rows["backend"].astype(str)
    names = (*score_names(experiment, len(dataset.classes)), "loss")
    measured = [f"{part}_{name}" for part in PARTS for name in names]
    stops = ["epochs"] if "epochs" in rows else []
    if stops:
        whole = rows["backend"].map(lambda name: experiment.recipe(name).epochs)
        taken = rows["epochs"].fillna(whole).where(rows["status"].isin(TRAINED))
        rows["epochs"] = taken.astype("Int64")
    rows = rows.reindex(columns=[*rows.columns, *(c for c in measured if c not in rows)])
    tables = {
        "records": rows[[*KEY, "status", "reason", *measured, *stops, "seconds"]],
        "predictions": rows[[*KEY, "predicted", *(name for name in CERTAINTY if name in rows)]],
        "curves": _curves(rows),
        "targets": _targets(experiment, dataset),
    }
    if "region" in rows:
        tables["regions"] = rows.loc[rows["region"].notna(), [*CELL, "region"]]
        tables["regions"] = tables["regions"].reset_index(drop=True)
    return tables


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Learning curves in long form, from rows that hold a list for each."""
    columns = [str(c) for c in rows.columns if str(c).startswith("curve_")]
    long = rows[[*KEY, "epoch", *columns]].explode(["epoch", *columns], ignore_index=True)
    long = long.dropna(subset=["epoch"]).rename(
        columns={c: c.removeprefix("curve_") for c in columns}
    )
    kinds = {c.removeprefix("curve_"): "float32" for c in columns}
    return long.astype({"epoch": "int32", **kinds}).reset_index(drop=True)


def _targets(experiment: Experiment, dataset: Dataset) -> pd.DataFrame:
    """The test samples: once for all repeats where they share the split, else for each."""
    repeats = range(experiment.repeats) if varies_split(experiment) else (-1,)
    frames = []
    for repeat in repeats:
        test = split_rows(dataset, experiment, max(repeat, 0)).test
        frames.append(pd.DataFrame({"repeat": repeat, "row": test, "target": dataset.y[test]}))
    return pd.concat(frames, ignore_index=True)
