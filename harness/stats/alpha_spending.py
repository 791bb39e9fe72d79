"""Tests that are looked at more than once: what each look may spend of the error.

A group-sequential test looks at growing data, at fractions t of the information it would have at last.
Up to t it has spent

    alpha(t) = 2 - 2 Phi(z(1 - alpha / 2) / sqrt(t))

of its one-sided error alpha: next to nothing at first, all of it at t = 1 (Lan and DeMets, Biometrika 70,
1983, the function of O'Brien and Fleming's kind). The level of look k is the c for which

    P(Z1 < z(1 - c1), ..., Zk-1 < z(1 - ck-1), Zk >= z(1 - c)) = alpha(tk) - alpha(tk-1)

where the Z are normal with correlations sqrt(ti / tj); the p values of t tests are held against the same
levels (Jennison and Turnbull, Group Sequential Methods, 2000, section 11.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from harness.stats.differences import Floats

_ALPHAS = np.array([1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 0.8])  # worked out
_PRECISION = 1e-7  # of a multivariate normal probability
_POINTS = 20_000  # at which one is taken, at most
_SMALL = 2e-5  # a share of which earlier looks take nothing that could be seen


def spent_alpha(alpha: float | Floats, fraction: float) -> Floats:
    """What a test of one-sided error ``alpha`` has spent at a fraction of its information."""
    return np.asarray(2 * stats.norm.sf(stats.norm.isf(np.asarray(alpha) / 2) / np.sqrt(fraction)))


def nominal_levels(alpha: float, information: Sequence[float]) -> list[float]:
    """The level of every look, for looks that have this much information, the last one all."""
    t = np.asarray(information) / information[-1]
    bounds: list[float] = []
    before = 0.0
    for k, fraction in enumerate(t):
        total = float(spent_alpha(alpha, fraction))
        bounds.append(_bound(bounds, t[: k + 1], total - before))
        before = total
    return [float(stats.norm.sf(bound)) for bound in bounds]


def _bound(earlier: Sequence[float], t: Floats, share: float) -> float:
    """Where Z must lie at the last of these looks to be beyond it with this probability, and not before."""
    if not earlier or share < _SMALL:
        return float(stats.norm.isf(share))
    signs = np.r_[np.ones(len(earlier)), -1.0]
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t)) * np.outer(signs, signs)

    def excess(bound: float) -> float:
        beyond = stats.multivariate_normal.cdf(
            [*earlier, -bound], cov=correlation, maxpts=_POINTS, abseps=_PRECISION, rng=0
        )
        return float(beyond) - share

    highest = float(
        stats.norm.isf(share)
    )  # as if nothing had been spent before: too strict by a little
    return float(brentq(excess, -3.0, highest + 1e-3, xtol=1e-4))


@cache
def _levels(information: tuple[float, ...]) -> Floats:
    """Levels by ``_ALPHAS`` and look, as normal quantiles."""
    return np.array([stats.norm.isf(nominal_levels(a, information)) for a in _ALPHAS])


def sequential_p(p: Floats, information: Sequence[float]) -> Floats:
    """The smallest one-sided error with which a test would have rejected by now.

    p: p values of the looks so far, (tests, looks); ``information`` of all looks that are planned. With
    one look planned it is the p value itself. NaN, of a look that tested nothing, rejects nothing. Such
    values may be corrected by Holm as any p values are (Maurer and Bretz, Statistics in
    Biopharmaceutical Research 5, 2013).
    """
    if len(information) == 1:
        return np.asarray(p[:, 0])
    found = np.full(p.shape, np.nan)
    quantiles = stats.norm.isf(_ALPHAS)
    for k in range(p.shape[1]):
        if k == 0:  # the spending function itself, turned round
            root = np.sqrt(information[0] / information[-1])
            found[:, k] = 2 * stats.norm.sf(root * stats.norm.isf(p[:, k] / 2))
            continue
        z = stats.norm.isf(p[:, k])
        levels = _levels(tuple(information))[:, k]
        z_alpha = np.interp(z, levels[::-1], quantiles[::-1], left=-np.inf)
        found[:, k] = np.where(np.isnan(z), np.nan, stats.norm.sf(z_alpha))
    return np.fmin.reduce(found, axis=1)
