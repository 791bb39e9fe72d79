"""The learning curves of a few cells, beside the baseline's: what was changed shows here first.

Some stable cells of every backend are trained once, on the baseline's own draws. Where code is equivalent
their losses are the baseline's to round-off; fewer epochs, a smaller eta and wrong labels move them at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backends.network import Cells
from backends.registry import usable
from harness.check.baseline import Baseline
from harness.check.changes import loss_tolerance, shift_of
from harness.data.dataset import load_dataset
from harness.document.number_words import cell, grid
from harness.results.result import CELL, Result
from harness.training.contract import BackendFault, guarded_backend
from harness.training.evaluate import curve_epochs, evaluate_curves
from harness.training.prepare import prepare
from harness.training.status import Status

FEW_CELLS = 3  # of each backend
_ALIKE = 1e-3  # relative distance of two losses up to which one stands for the other


def few_cells(result: Result, chaotic: set[tuple[str, float, float]]) -> pd.DataFrame:
    """Up to ``FEW_CELLS`` stable cells of each backend, evenly spaced over the grid: columns ``CELL``."""
    first = result.records[result.records["repeat"] == 0]
    ok = first[first["status"] == Status.OK][CELL]
    calm = ok[~pd.MultiIndex.from_frame(ok).isin(list(chaotic))]
    parts = []
    for _, own in calm.groupby("backend", sort=False):
        places = np.linspace(0, len(own) - 1, min(FEW_CELLS, len(own))).round().astype(int)
        parts.append(own.iloc[np.unique(places)])
    return pd.concat(parts) if parts else ok.iloc[:0]


def curve_words(
    baseline: Baseline, backends: Sequence[str], redrawn: Sequence[str] = ()
) -> list[str]:
    """What the curves of a few cells say, a line for those that are the baseline's and one for each other.

    A backend whose draws are not the baseline's is left out: its curves are other ones.
    """
    experiment = baseline.experiment
    names = [b for b in backends if b not in redrawn and experiment.draws == "seed"]
    cells = few_cells(baseline.result, baseline.chaotic)
    said, same = [], []
    for name in names:
        own = cells[cells["backend"] == name]
        if not len(own):
            continue
        try:
            worst = _furthest(baseline, own, _curves(baseline, name, own))
        except BackendFault as fault:
            said.append(f"{name}: {fault}")
            continue
        if worst is None:
            same.append(name)
        else:
            said.append(f"{name}: {worst}")
    if same:
        few = "the baseline's, to round-off, in a few stable cells"
        said.insert(0, f"{', '.join(same)}: learning curves are {few}")
    return said


def _curves(baseline: Baseline, backend: str, cells: pd.DataFrame) -> pd.DataFrame:
    """The first repeat's curves of some cells: eta, lmbd, epoch, validation_loss."""
    experiment = baseline.experiment
    prepared = prepare(experiment, load_dataset(experiment), backend, [0])
    recipe = experiment.recipe(backend)
    epochs = curve_epochs(recipe.epochs)
    points = [epoch * (prepared.plan.steps // recipe.epochs) for epoch in epochs]
    fit = guarded_backend(usable(experiment.place(backend))).train(
        prepared.x,
        prepared.y,
        prepared.network,
        prepared.training,
        Cells.of(cells["eta"].tolist(), cells["lmbd"].tolist()),
        prepared.plan.at(points),
    )
    curves = evaluate_curves(prepared, fit, epochs, experiment)
    losses = {"epoch": curves["epoch"], "validation_loss": curves["curve_validation_loss"]}
    return cells.assign(**losses).explode([*losses], ignore_index=True)


def _furthest(baseline: Baseline, cells: pd.DataFrame, now: pd.DataFrame) -> str | None:
    """The cell whose loss at the end is furthest from the baseline's, in words; None if round-off is all."""
    last = now.groupby(CELL, sort=False).last().reset_index()
    records = baseline.result.records
    then = cells.merge(records[records["repeat"] == 0], on=CELL)
    ends = baseline.result.curves.groupby(CELL, sort=False).last()["validation_loss"]
    # of large data a curve is that of a sample: its end is held against the baseline's curve's end
    known = then[CELL].merge(ends.reset_index(), on=CELL, how="left")["validation_loss"]
    then["validation_loss"] = known.fillna(then["validation_loss"])
    shift = shift_of(then["validation_loss"], last["validation_loss"].astype(float))
    beyond = shift.fillna(np.inf) / loss_tolerance(baseline, then)
    if (beyond <= 1).all():
        return None
    k = int(beyond.argmax())
    row = last.iloc[k]
    said = (
        f"another learning curve, most at {cell(row['eta'], row['lmbd'])}: validation loss "
        f"{grid(float(row['validation_loss']))}, {grid(then['validation_loss'][k])} in the baseline"
    )
    kept = baseline.result.curves
    kept = kept[(kept[CELL] == row[CELL].to_numpy()).all(axis=1)] if len(kept) else kept
    if not len(kept):
        return said
    path = now[(now["eta"] == row["eta"]) & (now["lmbd"] == row["lmbd"])]
    both = kept.merge(path, on="epoch", suffixes=("_then", "_now"))
    gap = shift_of(both["validation_loss_then"], both["validation_loss_now"].astype(float))
    first = both["epoch"][gap.fillna(np.inf) > _ALIKE]
    if len(first):
        said += f"; apart from epoch {first.iloc[0]} on"
    near = shift_of(kept["validation_loss"], float(row["validation_loss"]))
    if (
        near.min() <= _ALIKE
        and (early := int(kept["epoch"].iloc[int(near.argmin())])) < kept["epoch"].max()
    ):
        said += f"; it ends where the baseline was after {early} of {kept['epoch'].max()} epochs"
    return said
