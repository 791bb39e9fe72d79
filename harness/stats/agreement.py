"""Agreement of predicted labels: flips, kappa, and tests on per-sample correctness.

Labels are integer arrays (cells, repeats, samples); -1 marks what was not measured.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.inter_rater import cohens_kappa

MISSING = -1

Labels = NDArray[np.integer]
Floats = NDArray[np.float64]


def flips(left: Labels, right: Labels) -> Floats:
    """Share of samples with different labels, for each cell and repeat; (cells, repeats).

    NaN where one side was not measured.
    """
    measured = (left[..., 0] != MISSING) & (right[..., 0] != MISSING)
    return np.where(measured, (left != right).mean(axis=-1), np.nan)


def kappa(left: Labels, right: Labels, classes: int) -> Floats:
    """Cohen's kappa of each cell, its repeats' tables of labels added up; (cells,).

    NaN where nothing was measured, or where both sides name one and the same class throughout.
    """
    tables = np.zeros((len(left), classes * classes), dtype=np.int64)
    measured = (left != MISSING) & (right != MISSING)
    code = np.where(measured, left.astype(np.int64) * classes + right, classes * classes)
    for cell, row in enumerate(code.reshape(len(left), -1)):
        tables[cell] = np.bincount(row, minlength=classes * classes + 1)[:-1]
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
    only this side gets right), p, min(1, 2 F(min; only_left + only_right, 1/2)) with F the binomial
    distribution, as ``statsmodels.stats.contingency_tables.mcnemar(exact=True)`` has it. NaN where a
    side was not measured. Not for pooling over repeats: they share their test samples.
    """
    measured = (left[:, 0] != MISSING) & (right[:, 0] != MISSING)
    a, b = left == target, right == target
    only_left, only_right = (a & ~b).sum(axis=1), (b & ~a).sum(axis=1)
    discordant = only_left + only_right
    p = np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(only_left, only_right), discordant, 0.5))
    columns = {"only_left": only_left, "only_right": only_right, "p": p}
    return pd.DataFrame(columns).astype(np.float64).where(pd.Series(measured), np.nan)


def cochran(labels: Labels, target: Labels) -> Floats:
    """p values of Cochran's Q of each cell: do three or more backends get the same share right?

    labels: (cells, backends, samples). NaN where one was not measured, or where all backends are
    right on the same samples.
    """
    p = np.full(len(labels), np.nan)
    right = labels == target
    undecided = (labels[..., 0] != MISSING).all(axis=1) & (right != right[:, :1]).any(axis=(1, 2))
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
