"""How far two sides agree on the same test samples: in their chosen cells, and cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import numbers
from harness.report.backend_grid import Side
from harness.report.chosen_cells import Choice
from harness.roundoff.disputed_cells import kinds
from harness.stats.agreement import kappa

TOGETHER = 2**21  # labels of a side that are compared at once
LISTED = 5  # cells that a table of the least alike shows for each pair


@dataclass(frozen=True, eq=False)
class CellAgreement:
    """One side against a reference, on the cells that both have; arrays of shape (eta, lmbd).

    ``status`` is ok where both are, else what the one that is not says. ``difference`` is the mean test
    score of the side minus the reference's. ``alike`` is the share of test samples that both label the
    same; for regression the correlation of what they predict. ``kappa`` is Cohen's; NaN where undefined.
    Both are over all repeats together.
    """

    side: Side
    reference: Side
    eta: NDArray[np.float64]
    lmbd: NDArray[np.float64]
    status: NDArray[np.object_]
    difference: NDArray[np.float64]
    alike: NDArray[np.float64]
    kappa: NDArray[np.float64]

    @property
    def both(self) -> NDArray[np.bool_]:
        """Where both trained."""
        return np.asarray(self.status == "ok")


def same_samples(a: Side, b: Side) -> bool:
    """Whether two sides were tested on the same samples in every repeat that both have."""
    if a.result is b.result:
        return True
    if a.metric != b.metric:
        return False
    if a.result.manifest["dataset"]["sha256"] != b.result.manifest["dataset"]["sha256"]:
        return False
    common = range(min(a.repeats, b.repeats))
    return all(np.array_equal(_rows(a, r), _rows(b, r)) for r in common)


def _rows(side: Side, repeat: int) -> NDArray[Any]:
    targets = side.result.targets
    own = targets[targets["repeat"] == repeat]
    return (own if len(own) else targets[targets["repeat"] == -1])["row"].to_numpy()


def pairs(sides: Sequence[Side]) -> list[tuple[Side, Side]]:
    """Which side is set against which reference, as (side, reference).

    Within the first run the reference is its first backend that trained; a side of a later run has the
    same backend of the first run as its reference. Pairs without a test sample or cell in common are
    left out.
    """
    if not sides:
        return []
    own = [side for side in sides if side.result is sides[0].result]
    first = next((side for side in own if side.ok.any()), own[0])
    partner = {side.backend: side for side in own}
    found = [
        (side, first if side in own else partner.get(side.backend, first))
        for side in sides
        if side is not first
    ]
    return [
        (a, b)
        for a, b in found
        if len(np.intersect1d(a.eta, b.eta))
        and len(np.intersect1d(a.lmbd, b.lmbd))
        and same_samples(a, b)
    ]


def cells(side: Side, reference: Side) -> CellAgreement:
    """One side against its reference, cell by cell."""
    eta, i, k = np.intersect1d(side.eta, reference.eta, return_indices=True)
    lmbd, j, m = np.intersect1d(side.lmbd, reference.lmbd, return_indices=True)
    mine, theirs = np.ix_(i, j), np.ix_(k, m)
    own = side.status[mine]
    status = np.where(own == "ok", reference.status[theirs], own).astype(object)
    column = f"test_{side.metric}"
    difference = side.mean(column)[mine] - reference.mean(column)[theirs]
    alike, chance_corrected = np.full((2, *status.shape), np.nan)
    places = np.nonzero(status == "ok")
    a, b = side.predicted[mine][places], reference.predicted[theirs][places]
    if len(a):
        alike[places], chance_corrected[places] = _alike(a, b, side.metric)
    return CellAgreement(side, reference, eta, lmbd, status, difference, alike, chance_corrected)


def _alike(
    a: NDArray[np.object_], b: NDArray[np.object_], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Likeness and kappa of two sides' predictions, arrays in each of (cells, repeats)."""
    samples = sum(len(labels) for labels in a[0])
    block = max(1, TOGETHER // samples)
    found = []
    for start in range(0, len(a), block):
        rows = range(start, min(start + block, len(a)))
        pooled = [pool(a[row], b[row]) for row in rows]
        left, right = (np.stack(part) for part in zip(*pooled, strict=True))
        if metric == "accuracy":
            found.append(((left == right).mean(axis=1), cohen_kappa(left, right)))
        else:
            likeness = [correlation(x, y) for x, y in zip(left, right, strict=True)]
            found.append((np.array(likeness), np.full(len(left), np.nan)))
    alike, chance_corrected = (np.concatenate(part) for part in zip(*found, strict=True))
    return alike, chance_corrected


def pool(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two sides' predictions of the repeats that both have, one after the other."""
    common = min(len(a), len(b))
    return np.concatenate(list(a[:common])), np.concatenate(list(b[:common]))


def cohen_kappa(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Cohen's kappa of each row of labels, (cells, samples); NaN where both know one label only."""
    return kappa(a[:, None], b[:, None], int(max(a.max(), b.max())) + 1)


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's r of two sides' real predictions; NaN where one of them is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])


def chosen_agreement(choices: Sequence[Choice]) -> pd.DataFrame:
    """Every pair of sides, each in its own chosen cell."""
    rows = []
    for one, other in combinations(choices, 2):
        if not same_samples(one.side, other.side):
            continue
        metric = one.side.metric
        a, b = pool(
            one.side.predicted[one.row, one.column], other.side.predicted[other.row, other.column]
        )
        row: dict[str, Any] = {
            "pair": f"{one.side.label} and {other.side.label}",
            "same cell": (one.eta, one.lmbd) == (other.eta, other.lmbd),
            "test difference": numbers.points(one.test - other.test, metric),
        }
        if metric == "accuracy":
            row["labelled alike"] = numbers.score(float((a == b).mean()), metric)
            row["labels that differ"] = f"{int((a != b).sum())} of {len(a)}"
            row["Cohen's kappa"] = _shown(cohen_kappa(a[None], b[None])[0])
        else:
            row["correlation of predictions"] = _shown(correlation(a, b), 6)
            row["largest difference of predictions"] = float(np.abs(a - b).max())
        rows.append(row)
    return pd.DataFrame(rows)


def summary(compared: Sequence[CellAgreement]) -> pd.DataFrame:
    """A line for every side and its reference: how alike they are over all cells that both trained."""
    rows = []
    for c in compared:
        metric = c.side.metric
        row: dict[str, Any] = {
            "backend": c.side.label,
            "against": c.reference.label,
            "cells both trained": f"{int(c.both.sum())} of {c.status.size}",
        }
        if c.both.any():
            gap = np.nanmax(np.abs(c.difference))
            row["largest test difference"] = numbers.span(float(gap), metric)
            row["mean test difference"] = numbers.points(float(np.nanmean(c.difference)), metric)
            if metric == "accuracy":
                row["cells labelled identically"] = int((c.alike == 1).sum())
                row["alike, median"] = numbers.score(float(np.nanmedian(c.alike)), metric)
                row["alike, lowest"] = numbers.score(float(np.nanmin(c.alike)), metric)
                row["kappa, lowest"] = _shown(_least(c.kappa))
            else:
                row["correlation, median"] = _shown(float(np.nanmedian(c.alike)), 6)
                row["correlation, lowest"] = _shown(_least(c.alike), 6)
        rows.append(row)
    return pd.DataFrame(rows)


def _shown(value: float, digits: int = 4) -> str:
    return "undefined" if np.isnan(value) else f"{value:.{digits}f}"


def _least(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else float("nan")


def least_alike(compared: Sequence[CellAgreement]) -> pd.DataFrame:
    """The cells in which sides and references differ most, up to five a pair.

    ``training`` says what kind it is there, where that was looked at: chaotic, sensitive or stable.
    """
    rows = []
    for c in compared:
        metric = c.side.metric
        known = kinds(c.side.result) if c.side.result is c.reference.result else {}
        gap = np.where(np.isnan(c.alike), np.inf, c.alike)
        for at in zip(
            *np.unravel_index(np.argsort(gap, axis=None)[:LISTED], gap.shape), strict=True
        ):
            if not c.both[at] or c.alike[at] == 1:
                continue
            row = {
                "backend": c.side.label,
                "against": c.reference.label,
                "eta": numbers.grid(c.eta[at[0]]),
                "lmbd": numbers.grid(c.lmbd[at[1]]),
                "test difference": numbers.points(float(c.difference[at]), metric),
            }
            if metric == "accuracy":
                row["labelled alike"] = numbers.score(float(c.alike[at]), metric)
                row["Cohen's kappa"] = _shown(c.kappa[at])
            else:
                row["correlation of predictions"] = _shown(c.alike[at], 6)
            if known:
                row["training"] = known.get((c.eta[at[0]], c.lmbd[at[1]]), "not looked at")
            rows.append(row)
    return pd.DataFrame(rows)
