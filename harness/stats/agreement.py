"""Agreement of two sides on the same test samples: labels that differ, kappa, tests on what is right.

Labels are integer arrays (cells, repeats, samples); ``NO_LABEL`` marks what was not predicted.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test
from statsmodels.stats.inter_rater import cohens_kappa

from harness.results.backend_grid import NO_LABEL
from harness.stats.differences import Floats

Labels = NDArray[np.integer]


def label_agreement(left: Labels, right: Labels) -> pd.DataFrame:
    """How far two sides label alike in each cell, all repeats together.

    A row a cell. Columns: labels (how many both sides have), flips (those that differ), alike (the share
    that does not), kappa (Cohen's); NaN where undefined.
    """
    differ, labels = flips(left, right)
    classes = int(max(left.max(initial=0), right.max(initial=0))) + 1
    alike = 1 - differ / np.where(labels > 0, labels, np.nan)
    kappas = kappa(left, right, classes)
    return pd.DataFrame({"labels": labels, "flips": differ, "alike": alike, "kappa": kappas})


def value_agreement(left: NDArray[np.object_], right: NDArray[np.object_]) -> pd.DataFrame:
    """How far two sides predict alike in each cell, all repeats together.

    left, right: (cells, repeats), an array of real predictions in each, empty where there are none. A row
    a cell. Columns: alike, Pearson's r, and apart, the largest difference; NaN where undefined.
    """
    both = [_pooled(a, b) for a, b in zip(left, right, strict=True)]
    alike = [_correlation(a, b) for a, b in both]
    apart = [float(np.abs(a - b).max()) if len(a) else np.nan for a, b in both]
    return pd.DataFrame({"alike": alike, "apart": apart})


def _pooled(a: NDArray[np.object_], b: NDArray[np.object_]) -> tuple[Floats, Floats]:
    """Two sides' predictions of the repeats that both have, one after the other."""
    both = [(x, y) for x, y in zip(a, b, strict=True) if len(x) and len(y)]
    one, other = (
        np.concatenate([np.empty(0), *(pair[k] for pair in both)]).astype(np.float64)
        for k in (0, 1)
    )
    return one, other


def _correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; NaN where one side is constant or there is nothing."""
    if not len(a) or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def flips(left: Labels, right: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many labels of each cell differ, and how many both sides have; (cells,) each."""
    both = (left != NO_LABEL) & (right != NO_LABEL)
    return ((left != right) & both).sum(axis=(1, 2)), both.sum(axis=(1, 2))


def kappa(left: Labels, right: Labels, classes: int) -> Floats:
    """Cohen's kappa of each cell, its repeats' tables of labels added up; (cells,).

    NaN where nothing was measured, or where both sides name one and the same class throughout.
    """
    tables = np.zeros((len(left), classes * classes), dtype=np.int64)
    for cell, (a, b) in enumerate(zip(left, right, strict=True)):
        both = (a != NO_LABEL) & (b != NO_LABEL)
        codes = a[both].astype(np.int64) * classes + b[both]
        tables[cell] = np.bincount(codes, minlength=classes * classes)
    return _kappas(tables.reshape(-1, classes, classes))


def own_flips(labels: Labels, classes: int) -> tuple[Floats, Floats]:
    """How far a backend's repeats differ among themselves: share of flips and kappa; (cells,) each.

    Over all pairs of a cell's measured repeats; NaN with fewer than two. A sample that c_k repeats
    give class k has sum_k c_k (c_k - 1) ordered pairs that agree.
    """
    counts = np.stack([(labels == k).sum(axis=1) for k in range(classes)], axis=-1)
    counts = counts.astype(np.float64)  # (cells, samples, classes)
    repeats = counts.sum(axis=-1)[:, 0]
    pairs = np.where(repeats > 1, repeats * (repeats - 1), np.nan)
    agree = (counts * (counts - 1)).sum(axis=-1).mean(axis=-1)
    # ordered pairs of different repeats: c c^T without each repeat's pair with itself
    tables = np.einsum("csk,csl->ckl", counts, counts)
    tables -= np.eye(classes) * counts.sum(axis=1)[:, None, :]
    values = _kappas(tables)
    return 1 - agree / pairs, np.where(repeats > 1, values, np.nan)


def mcnemar(left: Labels, right: Labels, target: Labels) -> pd.DataFrame:
    """McNemar's exact test of each cell's one run: does one side get more samples right?

    left, right: (cells, samples); target: (samples,). Columns: only_left, only_right (samples that
    only this side gets right), p. NaN where a side was not measured. Not for pooling over repeats: they
    share their test samples.
    """
    measured = (left[:, 0] != NO_LABEL) & (right[:, 0] != NO_LABEL)
    a, b = left == target, right == target
    only_left, only_right = (a & ~b).sum(axis=1), (b & ~a).sum(axis=1)
    p = [  # the test takes nothing from the diagonal, on which both sides do the same
        mcnemar_test([[0, one], [other, 0]], exact=True).pvalue
        for one, other in zip(only_left, only_right, strict=True)
    ]
    columns = {"only_left": only_left, "only_right": only_right, "p": p}
    return pd.DataFrame(columns).astype(np.float64).where(pd.Series(measured), np.nan)


def cochran(labels: Labels, target: Labels) -> Floats:
    """p values of Cochran's Q of each cell: do three or more backends get the same share right?

    labels: (cells, backends, samples). NaN where one was not measured, or where all backends are
    right on the same samples.
    """
    p = np.full(len(labels), np.nan)
    right = labels == target
    undecided = (labels[..., 0] != NO_LABEL).all(axis=1) & (right != right[:, :1]).any(axis=(1, 2))
    for cell in np.flatnonzero(undecided):
        p[cell] = cochrans_q(right[cell].T.astype(int)).pvalue
    return p


def _kappas(tables: NDArray[np.number]) -> Floats:
    values = np.full(len(tables), np.nan)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 where there is one class only
        for cell in np.flatnonzero(tables.sum(axis=(1, 2)) > 0):
            values[cell] = cohens_kappa(tables[cell], return_results=False)
    return values
