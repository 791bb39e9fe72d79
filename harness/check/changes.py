"""What moved between a baseline and a run, record by record, and by how much more than round-off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from harness.check.baseline import Baseline, label_hashes
from harness.results.result import CELL, KEY, Result
from harness.stats.differences import false_discovery, one_sample

Word = Literal["identical", "same", "changed"]

ROUND_OFF = 1e-4  # relative change of a loss; stable cells in float32 stay three orders below it
MAP_ALPHA = 0.05  # false discoveries among the cells of the warning map
CARRIED = 10.0  # times the distance that a twin's weights have: another machine rounds otherwise
LOSSES = ("validation_loss", "test_loss")


def moves(baseline: Baseline, run: Result, backends: Sequence[str], repeats: int) -> pd.DataFrame:
    """A row for each of the baseline's records of these backends and first ``repeats`` repeats.

    Columns: the key; status_then, status_now ("missing" if the run has no such record); then and now
    (test scores); same_labels; shift, the largest relative change of the validation and the test loss;
    chaotic; moved, whether status or losses changed by more than round-off can in a stable cell.
    """
    score = f"test_{run.metric}"
    columns = [*KEY, "status", score, *LOSSES, "labels"]
    old = baseline.result.records
    old = old[old["backend"].isin(backends) & (old["repeat"] < repeats)][columns]
    new = run.records.assign(labels=label_hashes(run.predictions))[columns]
    frame = old.merge(new, on=KEY, how="left", suffixes=("_then", "_now"))
    frame = frame.rename(columns={f"{score}_then": "then", f"{score}_now": "now"})
    frame["status_now"] = frame["status_now"].fillna("missing")
    frame["same_labels"] = frame["labels_then"] == frame["labels_now"]
    shifts = []
    for loss in LOSSES:
        before, after = frame[f"{loss}_then"], frame[f"{loss}_now"]
        shifts.append(((after - before).abs() / before.abs().clip(lower=1e-6)).to_numpy())
    frame["shift"] = np.fmax(*shifts)
    frame["chaotic"] = pd.MultiIndex.from_frame(frame[CELL]).isin(baseline.chaotic)
    other = frame["status_then"] != frame["status_now"]
    frame["moved"] = (other | (frame["shift"] > _tolerance(baseline, frame))) & ~frame["chaotic"]
    kept = [*KEY, "status_then", "status_now", "then", "now", "same_labels", "shift", "chaotic"]
    return frame[[*kept, "moved"]]


def _tolerance(baseline: Baseline, frame: pd.DataFrame) -> pd.Series[float]:
    """What round-off may shift a loss by, row by row: more where it carried the weights further."""
    if baseline.chaos is None:
        return pd.Series(ROUND_OFF, index=frame.index)
    known = frame[CELL].merge(baseline.chaos, on=CELL, how="left")["difference"]
    return (CARRIED * known).clip(lower=ROUND_OFF).fillna(ROUND_OFF)


def changed_cells(moved: pd.DataFrame) -> pd.DataFrame:
    """The stable cells that moved: backend, eta, lmbd, then, now (mean scores), shift (the largest)."""
    cells = moved[moved["moved"]].groupby(CELL, sort=False)
    frame = cells.agg(then=("then", "mean"), now=("now", "mean"), shift=("shift", "max"))
    return frame.reset_index().sort_values("shift", ascending=False, ignore_index=True)


def word(moved: pd.DataFrame) -> Word:
    """In a word: ``identical`` predictions everywhere, ``same`` up to round-off, or ``changed``.

    Chaotic cells may move without that being a change.
    """
    if moved["moved"].any():
        return "changed"
    same = moved["same_labels"] & (moved["status_then"] == moved["status_now"])
    return "identical" if same.all() else "same"


def fallen(moved: pd.DataFrame) -> pd.DataFrame:
    """The stable cells whose score fell (paired, one-sided) under false-discovery control.

    Columns: backend, eta, lmbd, then, now, difference, q. A warning, whatever it says.
    """
    d = (moved["now"] - moved["then"]).where(~moved["chaotic"])
    wide = moved.assign(d=d).pivot(index=CELL, columns="repeat", values="d").dropna()
    if wide.shape[1] < 2 or not len(wide):
        return pd.DataFrame(columns=[*CELL, "then", "now", "difference", "q"])
    q = false_discovery(one_sample(wide.to_numpy(), 0.0, "less"))
    means = moved.groupby(CELL)[["then", "now"]].mean().loc[wide.index]
    frame = means.assign(difference=means["now"] - means["then"], q=q)
    low = frame[(frame["q"] < MAP_ALPHA) & (frame["difference"] < 0)]
    return low.sort_values("difference").reset_index()
