"""Paired differences of cells: how large, whether equivalent, whether beyond the margin.

Rows are cells, columns repeats; left and right of a pair share a repeat's draws, so its difference is
taken repeat by repeat. The claim of every test is about this split.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

CONFIDENCE = 0.95
_CONSTANT = 3  # repeats from which a difference without any spread decides by its size alone
_RESAMPLES = 9999  # of a permutation test, where not all sign changes can be gone through
_BUDGET = 2e8  # numbers that all permutation tests of one call may draw

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "less", "greater"]


def paired(
    left: Floats,
    right: Floats,
    margin: float,
    level: float = CONFIDENCE,
    quantum: float | None = None,
) -> pd.DataFrame:
    """Differences left - right of every cell; arrays (cells, repeats), NaN where not measured.

    quantum: what all scores are whole multiples of, if they are (accuracies), for the permutation test.

    Columns: n; difference (mean), sd, low and high (Student's interval); p_difference (paired t test),
    p_permutation (sign changes), p_equivalent (TOST: the larger of the two one-sided p values against
    -margin and +margin), p_beyond (twice the smaller one-sided p value of being outside the margin);
    identical, whether all differences are 0. There p values of differences are NaN: nothing is left to
    test. A difference that is the same in all repeats has no spread to be held against: from
    ``_CONSTANT`` repeats on its size decides (p is 0 or 1), below that nothing does (NaN).
    """
    d = np.asarray(left - right, dtype=np.float64)
    frame = pd.DataFrame(np.nan, index=np.arange(len(d)), columns=_COLUMNS)
    frame["n"] = np.isfinite(d).sum(axis=1)
    frame["identical"] = (frame["n"] > 0) & (np.nan_to_num(d) == 0).all(axis=1)
    for rows, values in _by_count(d):
        frame.loc[rows, ["difference"]] = values.mean(axis=1)[:, None]
        if values.shape[1] < 2:
            continue
        frame.loc[rows, ["sd"]] = values.std(axis=1, ddof=1)[:, None]
        above = one_sample(values, -margin, "greater"), one_sample(values, margin, "less")
        beyond = one_sample(values, margin, "greater"), one_sample(values, -margin, "less")
        tested = {
            "p_difference": one_sample(values, 0.0, "two-sided"),
            "p_permutation": permutation(values, quantum),
            "p_equivalent": np.maximum(*above),
            "p_beyond": np.minimum(1.0, 2 * np.minimum(*beyond)),
        }
        interval = np.stack(_interval(values, level))
        if quantum is not None:  # accuracies: their difference is within [-1, 1]
            interval = np.clip(interval, -1, 1)
        frame.loc[rows, ["low"]], frame.loc[rows, ["high"]] = (
            interval[0][:, None],
            interval[1][:, None],
        )
        for name, p in tested.items():
            frame.loc[rows, [name]] = p[:, None]
    frame.loc[frame["identical"], ["p_difference", "p_permutation"]] = np.nan
    return frame


_COLUMNS = [
    "difference",
    "sd",
    "low",
    "high",
    "p_difference",
    "p_permutation",
    "p_equivalent",
    "p_beyond",
]


def one_sample(values: Floats, mean: float, alternative: Alternative) -> Floats:
    """p values of the t test of each row's mean against ``mean``; values (rows, repeats >= 2).

    A row without spread: 0 or 1 by the side it lies on, NaN with fewer than ``_CONSTANT`` repeats.
    """
    constant = flat(values)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # rows without spread make SciPy warn; their p values are set below
        warnings.simplefilter("ignore", RuntimeWarning)
        p = np.array(stats.ttest_1samp(values, mean, axis=1, alternative=alternative).pvalue)
    shift = values[constant, 0] - mean
    on_side = {"greater": shift > 0, "less": shift < 0, "two-sided": shift != 0}[alternative]
    p[constant] = np.where(on_side, 0.0, 1.0) if values.shape[1] >= _CONSTANT else np.nan
    return p


def flat(values: Floats) -> NDArray[np.bool_]:
    """Which rows have the same number in every repeat, up to the last digits."""
    return np.asarray(np.ptp(values, axis=-1) < 1e-12)


def permutation(values: Floats, quantum: float | None = None, seed: int = 0) -> Floats:
    """p values of the sign-change permutation test of each row's mean against 0; (rows, repeats >= 2).

    Exact for up to 13 repeats; above, by random sign changes from a fixed seed, fewer of them where
    there are very many rows. Values that are multiples of a ``quantum`` are counted in it: sums of whole
    numbers tie where they are equal, those of fractions only where they round alike, and a tie that is
    lost makes p too small.
    """
    if quantum is not None:
        values = np.rint(values / quantum)
    rows, repeats = values.shape
    affordable = int(_BUDGET / max(1, rows * repeats))
    draws = min(_RESAMPLES, max(999, affordable))
    if is_exact(repeats):
        draws = 2**repeats  # all of them: SciPy then counts instead of drawing
    step = max(1, int(2e6 / (draws * repeats)))
    p = np.empty(rows)
    for start in range(0, rows, step):
        block = values[start : start + step]
        p[start : start + step] = stats.permutation_test(
            (block,),
            _mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=draws,
            axis=-1,
            rng=np.random.default_rng(seed),
        ).pvalue
    return p


def is_exact(repeats: int) -> bool:
    """Whether :func:`permutation` goes through all sign changes of so many repeats."""
    return 2**repeats <= _RESAMPLES


def holm(p: Floats) -> Floats:
    """Holm's adjusted p values over all that are not NaN: for claims about single cells."""
    return _adjusted(p, lambda q: multipletests(q, method="holm")[1])


def false_discovery(p: Floats) -> Floats:
    """Benjamini and Hochberg's adjusted p values over all that are not NaN: for a map."""
    return _adjusted(p, stats.false_discovery_control)


def _adjusted(p: Floats, adjust: Callable[[Floats], Floats]) -> Floats:
    tested = np.isfinite(p)
    adjusted = np.full(len(p), np.nan)
    if tested.any():
        adjusted[tested] = adjust(np.asarray(p)[tested])
    return adjusted


def _by_count(d: Floats) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Rows with the same number of measured repeats, and those repeats, as (rows, n); n >= 1."""
    measured = np.isfinite(d)
    counts = measured.sum(axis=1)
    for n in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == n)
        order = np.argsort(~measured[rows], axis=1, kind="stable")[:, :n]
        yield rows, np.take_along_axis(d[rows], order, axis=1)


def _interval(values: Floats, level: float) -> tuple[Floats, Floats]:
    """Student's interval of each row's mean; of no width for rows without spread."""
    n = values.shape[1]
    mean = values.mean(axis=1)
    half = stats.t.isf((1 - level) / 2, n - 1) * stats.sem(values, axis=1)
    return mean - half, mean + half


def _mean(values: Floats, axis: int) -> Floats:
    return np.asarray(np.mean(values, axis=axis))
