"""Hard failures: what fails a check without any statistics."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.results.result import CELL, Result
from harness.stats.repeats import guessing

LOST = ("failed", "timeout", "unavailable", "unsupported", "missing")
LEARNED_R2 = 0.1


@dataclass(frozen=True)
class Levels:
    """Scores of a test part: at or below ``chance`` nothing is known; above ``learned`` it is no luck."""

    chance: float
    learned: float


def levels(result: Result) -> Levels:
    """Chance is the share of the largest class, or an R2 of 0; see also :func:`guessing`."""
    if result.metric != "accuracy":
        return Levels(0.0, LEARNED_R2)
    return Levels(*guessing(result.target(0).astype(int)))


def hard_failures(
    moved: pd.DataFrame, level: Levels, chosen: set[tuple[str, float, float]]
) -> pd.DataFrame:
    """A row for each cell and kind of failure: backend, eta, lmbd, kind, repeats (how many).

    kind: ``missing`` (a repeat that the baseline has did not run), ``non-finite`` and ``collapsed``
    (to chance, although the baseline learned in every repeat). The last two count in stable cells and
    in the ``chosen`` ones, as (backend, eta, lmbd); elsewhere chaos may do that.
    """
    keys = pd.MultiIndex.from_frame(moved[CELL])
    counts = ~moved["chaotic"] | keys.isin(list(chosen))
    was_ok = moved["status_then"] == "ok"
    learned = (
        moved["then"]
        .where(was_ok)
        .gt(level.learned)
        .groupby([moved[c] for c in CELL])
        .transform("all")
    )
    lost = moved["status_now"].isin(LOST)
    kinds = {
        "missing": lost,
        "non-finite": counts & was_ok & (moved["status_now"] == "diverged"),
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
