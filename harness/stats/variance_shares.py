"""How much of a score's variance each axis of a study explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

_LARGE = 2000  # noncentrality, ...
_MANY = 200  # ... and degrees of freedom, from which on an F is as good as normal


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the variance: of each axis by itself, (axes,), with an interval, and of all the rest.

    ``rest``: interactions between axes, and the spread between repeats. All NaN where nothing varies;
    intervals are NaN where no residual is left to tell how sure a share is.
    """

    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rest: float


def variance_shares(
    y: NDArray[np.float64], levels: NDArray[np.intp], confidence: float = 0.95
) -> VarianceShares:
    """The share of each axis's main effect in the variance of ``y``, (values,): omega squared.

    levels: the number of the axis's value that each y belongs to, (values, axes). The sum of squares of an
    axis is what it adds to a model of all the others' main effects (type II); omega squared takes off what
    chance alone would give it: (SS - df MSE) / (SS_total + MSE), at least 0 (Hays, Statistics for
    Psychologists, 1963); where no residual tells what that is, nothing is taken off. The interval is that
    of the noncentrality of the axis's F (Steiger, Psychological Methods 9, 2004), against the rest of the
    sum of squares as it is here.
    """
    axes = levels.shape[1]
    nothing = np.full(axes, np.nan)
    total = float(((y - y.mean()) ** 2).sum())
    if total <= 1e-14 * max(1.0, float((y**2).sum())):
        return VarianceShares(nothing, nothing, nothing, np.nan)
    moments = _moments(y - y.mean(), levels)
    squares, dimensions = _explained(*moments, -1)
    fewer = [_explained(*moments, axis) for axis in range(axes)]
    own = np.array([max(squares - other, 0.0) for other, _ in fewer])
    df = np.array([dimensions - other for _, other in fewer])
    left, free = max(total - squares, 0.0), len(y) - dimensions
    if free < 1 or left <= 1e-12 * total:
        return VarianceShares(own / total, nothing, nothing, left / total)
    error = left / free
    share = np.maximum(own - df * error, 0) / (total + error)
    ends = [
        _noncentralities(f, d, free, confidence) if d else (0.0, 0.0)
        for f, d in zip(own / np.maximum(df, 1) / error, df, strict=True)
    ]
    low, high = np.array(ends).T
    others = (total - own) / error + df
    rest = max(0.0, float(1 - share.sum()))
    return VarianceShares(share, low / (low + others), high / (high + others), rest)


def _moments(
    y: NDArray[np.float64], levels: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Products of the levels' indicators with each other and with y, and the axis that each is of."""
    codes = [np.unique(own, return_inverse=True)[1] for own in levels.T]
    counts = [int(code.max()) + 1 for code in codes]
    blocks = [
        [
            np.bincount(one * m + other, minlength=n * m).reshape(n, m).astype(np.float64)
            for other, m in zip(codes, counts, strict=True)
        ]
        for one, n in zip(codes, counts, strict=True)
    ]
    sums = [np.bincount(c, weights=y, minlength=n) for c, n in zip(codes, counts, strict=True)]
    return np.block(blocks), np.concatenate(sums), np.repeat(np.arange(len(counts)), counts)


def _explained(
    products: NDArray[np.float64], sums: NDArray[np.float64], axes: NDArray[np.intp], without: int
) -> tuple[float, int]:
    """The sum of squares that main effects but one's explain, and the dimensions of their model."""
    kept = axes != without
    if not kept.any():
        return 0.0, 1  # the constant
    values, vectors = np.linalg.eigh(products[np.ix_(kept, kept)])
    real = values > 1e-10 * values.max()  # levels that always go together count once
    seen = vectors[:, real].T @ sums[kept] / np.sqrt(values[real])
    return float((seen**2).sum()), int(real.sum())


def _noncentralities(f: float, df: int, free: int, confidence: float) -> tuple[float, float]:
    """The ends of the interval of the noncentrality of an F with ``df`` and ``free`` degrees of freedom."""
    tail = (1 - confidence) / 2
    size = f * df - df
    if (
        size > _LARGE and free >= _MANY
    ):  # where the F's distribution is normal, and its exact form slow
        width = np.sqrt(4 * size + 2 * df + 2 * (f * df) ** 2 / free) * stats.norm.ppf(1 - tail)
        return max(0.0, size - width), size + width

    def end(p: float) -> float:
        """The noncentrality under which an F as large as this one or smaller has the probability p."""
        if stats.f.cdf(f, df, free) <= p:
            return 0.0
        guess = f * df
        high = guess + 10 * np.sqrt(2 * df + 4 * guess) + 10 + guess * 10 / np.sqrt(free)
        return float(
            optimize.brentq(lambda size: stats.ncf.cdf(f, df, free, size) - p, 0.0, high, xtol=1e-6)
        )

    return end(1 - tail), end(tail)
