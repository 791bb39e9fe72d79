"""How far two sides agree on the same test samples: in their chosen cells, and cell by cell."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report import numbers
from harness.report.selection import Choice
from harness.report.side import Side

KAPPAS = 400  # cells, over all pairs, that Cohen's kappa is computed for: a millisecond each
LISTED = 5  # cells that a table of the least alike shows for each pair


@dataclass(frozen=True, eq=False)
class CellAgreement:
    """One side against a reference, on the cells that both have; arrays of shape (eta, lmbd).

    ``status`` is ok where both are, else what the one that is not says. ``difference`` is the mean test
    score of the side minus the reference's. ``alike`` is the share of test samples that both label the
    same; for regression the correlation of what they predict. ``kappa`` is Cohen's, over all repeats
    together; NaN where undefined or not computed.
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


def cells(side: Side, reference: Side, kappas: int = KAPPAS) -> CellAgreement:
    """One side against its reference, cell by cell; kappa in the ``kappas`` cells that are least alike."""
    eta, i, k = np.intersect1d(side.eta, reference.eta, return_indices=True)
    lmbd, j, m = np.intersect1d(side.lmbd, reference.lmbd, return_indices=True)
    mine, theirs = np.ix_(i, j), np.ix_(k, m)
    status = np.where(
        side.status[mine] == "ok", reference.status[theirs], side.status[mine]
    ).astype(object)
    column = f"test_{side.metric}"
    difference = side.mean(column)[mine] - reference.mean(column)[theirs]
    a, b = side.predicted[mine], reference.predicted[theirs]
    alike = np.full(status.shape, np.nan)
    for at in zip(*np.nonzero(status == "ok"), strict=True):
        alike[at] = likeness(*_pooled(a[at], b[at]), side.metric)
    kappa = np.full(status.shape, np.nan)
    if side.metric == "accuracy":
        order = np.argsort(alike, axis=None)[: min(kappas, int((status == "ok").sum()))]
        for at in zip(*np.unravel_index(order, alike.shape), strict=True):
            kappa[at] = cohen_kappa(*_pooled(a[at], b[at]))
    return CellAgreement(side, reference, eta, lmbd, status, difference, alike, kappa)


def _pooled(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two sides' predictions of the repeats that both have, one after the other."""
    common = min(len(a), len(b))
    return np.concatenate(list(a[:common])), np.concatenate(list(b[:common]))


def likeness(a: NDArray[Any], b: NDArray[Any], metric: str) -> float:
    """The share of equal labels; of real predictions Pearson's r, NaN where one of them is constant."""
    if metric == "accuracy":
        return float(np.mean(a == b))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])


def cohen_kappa(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Cohen's kappa; NaN where both know a single, common label and it is undefined."""
    from sklearn.metrics import cohen_kappa_score

    if np.array_equal(a, b):  # 1 by definition, and the commonest case by far
        return 1.0 if np.ptp(a) else float("nan")
    with warnings.catch_warnings():  # an undefined kappa is NaN here, not news on the terminal
        warnings.simplefilter("ignore")
        return float(cohen_kappa_score(a, b))


def chosen_agreement(choices: Sequence[Choice]) -> pd.DataFrame:
    """Every pair of sides, each in its own chosen cell."""
    rows = []
    for one, other in combinations(choices, 2):
        if not same_samples(one.side, other.side):
            continue
        metric = one.side.metric
        a, b = _pooled(
            one.side.predicted[one.row, one.column], other.side.predicted[other.row, other.column]
        )
        row: dict[str, Any] = {
            "pair": f"{one.side.label} and {other.side.label}",
            "same cell": (one.eta, one.lmbd) == (other.eta, other.lmbd),
            "test difference": numbers.points(other.test - one.test, metric),
        }
        if metric == "accuracy":
            row["labelled alike"] = numbers.score(likeness(a, b, metric), metric)
            row["labels that differ"] = f"{int((a != b).sum())} of {len(a)}"
            row["Cohen's kappa"] = f"{cohen_kappa(a, b):.4f}".replace("nan", "undefined")
        else:
            row["correlation of predictions"] = f"{likeness(a, b, metric):.6f}"
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
                row["kappa, lowest"] = f"{_least(c.kappa):.4f}".replace("nan", "undefined")
            else:
                row["correlation, median"] = f"{np.nanmedian(c.alike):.6f}"
                row["correlation, lowest"] = f"{_least(c.alike):.6f}"
        rows.append(row)
    return pd.DataFrame(rows)


def _least(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else float("nan")


def least_alike(compared: Sequence[CellAgreement]) -> pd.DataFrame:
    """The cells in which sides and references differ most, up to five a pair."""
    rows = []
    for c in compared:
        metric = c.side.metric
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
                row["Cohen's kappa"] = f"{c.kappa[at]:.4f}".replace("nan", "undefined")
            else:
                row["correlation of predictions"] = f"{c.alike[at]:.6f}"
            rows.append(row)
    return pd.DataFrame(rows)
