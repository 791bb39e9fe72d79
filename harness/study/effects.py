"""How much each axis of a study matters, and how its values rank over several data sets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from harness.results.result import CELL
from harness.stats.ranks import LEAST_SETS, Ranking, ranking, signed_rank_probabilities
from harness.stats.variance_shares import variance_shares
from harness.study.maps import BACKEND, StudyTable, axis_values, inner_axes
from harness.study.study import StudyResult, column_of
from harness.training.status import Status

REST = "interactions and repeats"
ALL_AXES = "all axes, which go together"


def axis_shares(result: StudyResult, *, chosen: bool) -> pd.DataFrame:
    """The share of each axis in the variance of the test score, a row an axis: axis, share, low, high.

    chosen: of the chosen cells of every point, record by record; else of all cells that were trained, with
    eta and lmbd as axes, by the names of ``inner_axes``. Zipped axes, which nobody can tell apart, are one.
    Backends that are no axis are averaged over: where they train the same network, each is no further
    evidence.
    """
    score = f"test_{result.metric}"
    records = result.records[result.records["status"] == Status.OK]
    if chosen:
        cells = result.chosen()[["point", *CELL]]
        records = records.merge(cells, on=["point", *CELL])
    columns = {ALL_AXES: "point"} if result.facts["zipped"] else _columns(result)
    grid = {axis: column for axis, column in inner_axes(result).items() if column != BACKEND}
    columns |= {} if chosen else grid
    if "backends" not in result.axes:
        own = [] if chosen else ["eta", "lmbd"]
        keys = ["point", *result.columns, *own, "repeat"]
        records = records.groupby(keys, sort=False)[[score]].mean().reset_index()
    varying = {axis: c for axis, c in columns.items() if len(records[c].unique()) > 1}
    finite = records[np.isfinite(records[score])]
    if not varying or not len(finite):
        return pd.DataFrame(columns=["axis", "share", "low", "high"])
    codes = [pd.factorize(finite[c])[0] for c in varying.values()]
    shares = variance_shares(finite[score].to_numpy(np.float64), np.stack(codes, axis=1))
    rows = zip(varying, shares.share, shares.low, shares.high, strict=True)
    frame = pd.DataFrame(rows, columns=["axis", "share", "low", "high"])
    frame = frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    rest = pd.DataFrame([[REST, shares.rest, np.nan, np.nan]], columns=frame.columns)
    return pd.concat([frame, rest], ignore_index=True)


def _columns(result: StudyResult) -> dict[str, str]:
    return {axis: column_of(axis) for axis in result.axes}


@dataclass(frozen=True)
class AxisRanking:
    """The values of an axis ranked over data sets.

    scores: data sets down, values across: the test score of what is best on the validation part.
    left_out: data sets or values without a number.
    chances: a row for each two neighbours in rank: better, worse (values), left, same, right (how likely);
    None where baycomp is not installed.
    rope: what counts as the same.
    """

    axis: str
    scores: pd.DataFrame
    left_out: list[str]
    ranking: Ranking
    chances: pd.DataFrame | None
    rope: float

    @property
    def values(self) -> list[str]:
        """The values, best mean rank first."""
        return [str(self.scores.columns[k]) for k in self.ranking.order]

    @property
    def groups(self) -> list[list[str]]:
        """Values that cannot be told apart, neighbours in rank, the best group first; no one is left out."""
        stretches = list(self.ranking.groups)
        grouped = {k for first, last in stretches for k in range(first, last + 1)}
        stretches += [(k, k) for k in range(len(self.values)) if k not in grouped]
        return [self.values[first : last + 1] for first, last in sorted(stretches)]


def axis_rankings(
    table: StudyTable, margin: float = 0.01, alpha: float = 0.05
) -> list[AxisRanking]:
    """The values of every axis but the data sets, and the backends, ranked over the data sets.

    None with fewer than three data sets.
    """
    result = table.result
    if len(result.axes.get("dataset", [])) < LEAST_SETS or result.facts["zipped"]:
        return []
    others = [axis for axis in result.axes if axis not in ("dataset", "seed")]
    if "backends" not in result.axes:
        others.append(BACKEND)
    made = [_axis_ranking(table, axis, margin, alpha) for axis in others]
    return [one for one in made if one is not None]


def _axis_ranking(table: StudyTable, axis: str, margin: float, alpha: float) -> AxisRanking | None:
    column, values = axis_values(table.result, axis)
    best = table.best(["dataset", column])[f"test_{table.result.metric}"]
    scores = best.unstack(column).reindex(index=table.result.axes["dataset"], columns=values)
    lost = [str(value) for value in values if scores[value].isna().all()]
    scores = scores.drop(columns=lost)
    gaps = [str(name) for name in scores.index[scores.isna().any(axis=1)]]
    scores = scores.drop(index=gaps)
    if len(scores) < LEAST_SETS or scores.shape[1] < 2:
        return None
    ranked = ranking(scores.to_numpy(), alpha)
    order = [scores.columns[k] for k in ranked.order]
    rows = []
    try:
        for one, other in pairwise(order):
            left, right = (scores[value].tolist() for value in (one, other))
            rows.append([one, other, *signed_rank_probabilities(left, right, margin)])
    except ImportError:
        return AxisRanking(axis, scores, [*lost, *gaps], ranked, None, margin)
    chances = pd.DataFrame(rows, columns=["better", "worse", "left", "same", "right"])
    return AxisRanking(axis, scores, [*lost, *gaps], ranked, chances, margin)
