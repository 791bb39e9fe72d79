"""What moved between a baseline and a run, record by record: beyond round-off, downwards, or to ruin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from harness.check.baseline import Baseline, label_hashes
from harness.results.result import CELL, KEY, Result
from harness.stats.differences import false_discovery, one_sample
from harness.stats.repeats import guessing
from harness.training.status import NOT_TRAINED, Status

NO_RECORD = "missing"  # the status of a record that a run does not have
ChangeWord = Literal["identical", "same", "changed"]

_ROUND_OFF = 1e-4  # relative change of a loss; stable cells in float32 stay three orders below it
_MAP_ALPHA = 0.05  # false discoveries among the cells of the warning map
_CARRIED = 10.0  # times the distance that a twin's weights have: another machine rounds otherwise
_LEARNED_R2 = 0.1  # of regression: above it, a network learned
_LOSSES = ("validation_loss", "test_loss")


def record_changes(
    baseline: Baseline, run: Result, backends: Sequence[str], repeats: int
) -> pd.DataFrame:
    """A row for each of the baseline's records of these backends and first ``repeats`` repeats.

    Columns: the key; status_then, status_now (``NO_RECORD`` if the run has no such record); then and now
    (test scores); same_labels; shift, the largest relative change of the validation and the test loss;
    chaotic; moved, whether status or losses changed by more than round-off can in a stable cell.
    """
    score = f"test_{run.metric}"
    columns = [*KEY, "status", score, *_LOSSES, "labels"]
    old = baseline.result.records
    old = old[old["backend"].isin(backends) & (old["repeat"] < repeats)][columns]
    new = run.records.assign(labels=label_hashes(run.predictions))[columns]
    frame = old.merge(new, on=KEY, how="left", suffixes=("_then", "_now"))
    frame = frame.rename(columns={f"{score}_then": "then", f"{score}_now": "now"})
    frame["status_now"] = frame["status_now"].fillna(NO_RECORD)
    frame["same_labels"] = frame["labels_then"] == frame["labels_now"]
    shifts = []
    for loss in _LOSSES:
        shifts.append(shift_of(frame[f"{loss}_then"], frame[f"{loss}_now"]).to_numpy())
    frame["shift"] = np.fmax(*shifts)
    frame["chaotic"] = pd.MultiIndex.from_frame(frame[CELL]).isin(baseline.chaotic)
    other = frame["status_then"] != frame["status_now"]
    frame["moved"] = (other | (frame["shift"] > loss_tolerance(baseline, frame))) & ~frame[
        "chaotic"
    ]
    kept = [*KEY, "status_then", "status_now", "then", "now", "same_labels", "shift", "chaotic"]
    return frame[[*kept, "moved"]]


def shift_of(before: pd.Series[float], after: pd.Series[float] | float) -> pd.Series[float]:
    """The relative change of a loss."""
    return (after - before).abs() / before.abs().clip(lower=1e-6)


def loss_tolerance(baseline: Baseline, frame: pd.DataFrame) -> pd.Series[float]:
    """What round-off may shift a loss by, row by row: more where it carried the weights further."""
    if baseline.chaos is None:
        return pd.Series(_ROUND_OFF, index=frame.index)
    known = frame[CELL].merge(baseline.chaos, on=CELL, how="left")["difference"]
    return (_CARRIED * known).clip(lower=_ROUND_OFF).fillna(_ROUND_OFF)


def changed_cells(moved: pd.DataFrame) -> pd.DataFrame:
    """The stable cells that moved: backend, eta, lmbd, then, now (mean scores), shift (the largest)."""
    cells = moved[moved["moved"]].groupby(CELL, sort=False)
    frame = cells.agg(then=("then", "mean"), now=("now", "mean"), shift=("shift", "max"))
    return frame.reset_index().sort_values("shift", ascending=False, ignore_index=True)


def change_word(moved: pd.DataFrame) -> ChangeWord:
    """In a word: ``identical`` predictions everywhere, ``same`` up to round-off, or ``changed``.

    Chaotic cells may move without that being a change.
    """
    if moved["moved"].any():
        return "changed"
    same = moved["same_labels"] & (moved["status_then"] == moved["status_now"])
    return "identical" if same.all() else "same"


def fallen_cells(moved: pd.DataFrame) -> pd.DataFrame:
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
    low = frame[(frame["q"] < _MAP_ALPHA) & (frame["difference"] < 0)]
    return low.sort_values("difference").reset_index()


@dataclass(frozen=True)
class ScoreLevels:
    """Scores of a test part: at or below ``chance`` nothing is known; above ``learned`` it is no luck."""

    chance: float
    learned: float


def score_levels(result: Result) -> ScoreLevels:
    """Chance is the share of the largest class, or an R2 of 0; see also :func:`guessing`."""
    if result.metric != "accuracy":
        return ScoreLevels(0.0, _LEARNED_R2)
    return ScoreLevels(*guessing(result.target(0).astype(int)))


def hard_failures(moved: pd.DataFrame, level: ScoreLevels) -> pd.DataFrame:
    """A row for each cell and kind of failure: backend, eta, lmbd, kind, repeats (how many).

    kind: ``missing`` (a repeat that the baseline has did not run), ``non-finite`` and ``collapsed``
    (to chance, although the baseline learned in every repeat). The last two count in stable cells:
    elsewhere chaos may do that.
    """
    counts = ~moved["chaotic"]
    was_ok = moved["status_then"] == Status.OK
    learned = (
        moved["then"]
        .where(was_ok)
        .gt(level.learned)
        .groupby([moved[c] for c in CELL])
        .transform("all")
    )
    lost = moved["status_now"].isin([*NOT_TRAINED, NO_RECORD])
    kinds = {
        "missing": lost,
        "non-finite": counts & was_ok & (moved["status_now"] == Status.DIVERGED),
        "collapsed": counts & learned & (moved["now"] <= level.chance),
    }
    frames = [
        moved[where]
        .groupby(CELL, sort=False)
        .size()
        .rename("repeats")
        .reset_index()
        .assign(kind=kind)
        for kind, where in kinds.items()
    ]
    return pd.concat(frames, ignore_index=True)[[*CELL, "kind", "repeats"]]
