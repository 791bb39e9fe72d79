"""The statistics of a study, each against another implementation or a simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from harness.stats.ranks import (
    critical_difference,
    rank_groups,
    ranking,
    signed_rank_probabilities,
)
from harness.stats.variance_shares import variance_shares


def design(*shape: int, times: int = 1) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, shape))) * times)


def test_shares_are_those_of_analysis_of_variance():
    """statsmodels' type II sums of squares, also where cells are missing."""
    draws = np.random.default_rng(3)
    levels = design(3, 2, 4, times=2)[5:]
    y = levels @ (1.0, 0.5, 0.1) + draws.normal(size=len(levels))
    frame = pd.DataFrame(levels, columns=["a", "b", "c"]).assign(y=y)
    fit = smf.ols("y ~ C(a) + C(b) + C(c)", frame).fit()
    table = sm.stats.anova_lm(fit, typ=2)
    total = ((y - y.mean()) ** 2).sum()
    omega = (table["sum_sq"] - table["df"] * fit.mse_resid).iloc[:3] / (total + fit.mse_resid)
    shares = variance_shares(y, levels)
    assert shares.share == pytest.approx(omega.clip(0).to_numpy(), abs=1e-12)
    assert shares.rest == pytest.approx(1 - omega.clip(0).sum())
    assert (shares.low <= shares.share).all()
    assert (shares.share <= shares.high).all()


def test_intervals_of_shares_hold_what_is_true_in_95_of_100():
    draws, levels = np.random.default_rng(1), design(3, 4, times=2)
    effect = np.array([-1.0, 0, 1.0])[levels[:, 0]]
    true = effect.var() / (effect.var() + 1)
    held = [0, 0]
    for _ in range(200):
        shares = variance_shares(effect + draws.normal(size=len(levels)), levels)
        held[0] += shares.low[0] <= true <= shares.high[0]
        held[1] += shares.low[1] <= 0
    # 190 expected; a coin of 0.95 gives fewer than 177 of 200 once in ten thousand
    assert held[0] >= 177
    assert held[1] >= 177


def test_shares_of_what_does_not_vary_and_of_what_leaves_nothing_over():
    levels = design(2, 2)
    assert np.isnan(variance_shares(np.ones(4), levels).share).all()
    exact = variance_shares(levels[:, 0].astype(float), levels)
    assert exact.share.tolist() == pytest.approx([1, 0])
    assert np.isnan(exact.low).all()


def test_the_interval_of_a_large_effect_on_few_degrees_of_freedom_is_exact():
    """F = 3000 with 1 and 4: the noncentral F has 97.5 % below it at 361, 2.5 % at 8366."""
    levels = np.array([0, 0, 0, 1, 1, 1])[:, None]
    y = np.sqrt(2000.0) * levels[:, 0] + np.array([-1.0, 0, 1, -1, 0, 1])
    assert stats.f_oneway(y[:3], y[3:]).statistic == pytest.approx(3000)
    shares, others = variance_shares(y, levels), 4 + 1
    ends = [float(v[0]) * others / (1 - float(v[0])) for v in (shares.low, shares.high)]
    assert ends == pytest.approx([361, 8366], rel=2e-3)
    draws = np.random.default_rng(0)  # F is (chi2(1, size) / 1) / (chi2(4) / 4)
    for size, below in zip(ends, (0.975, 0.025), strict=True):
        f = draws.noncentral_chisquare(1, size, 40_000) / (draws.chisquare(4, 40_000) / 4)
        assert (f < 3000).mean() == pytest.approx(below, abs=0.005)


def test_axes_that_go_together_share_nothing_twice():
    levels = design(4)
    both = np.concatenate([levels, levels], axis=1).repeat(3, axis=0)
    y = both[:, 0] + np.random.default_rng(0).normal(size=len(both))
    assert variance_shares(y, both).share.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("treatments", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)]
)
def test_the_critical_difference_is_that_of_the_table(treatments, q):
    """Demšar 2006, table 5a."""
    sets = 14
    expected = q * np.sqrt(treatments * (treatments + 1) / (6 * sets))
    assert critical_difference(sets, treatments) == pytest.approx(expected, rel=3e-4)


def test_ranks_groups_and_p_are_those_of_other_implementations():
    """scikit-posthocs' Nemenyi test says the same of every pair; SciPy ranks and Friedman."""
    posthocs = pytest.importorskip("scikit_posthocs")
    draws = np.random.default_rng(5)
    for sets, treatments in ((6, 4), (12, 5), (30, 3)):
        scores = draws.normal(size=(sets, treatments)) + np.linspace(0, 1.5, treatments)
        ranked = ranking(scores)
        assert ranked.p == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
        p = posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
        ranks = np.empty(treatments)
        ranks[list(ranked.order)] = ranked.ranks
        assert ranks == pytest.approx(stats.rankdata(-scores, axis=1).mean(axis=0))
        for i, j in itertools.combinations(range(treatments), 2):
            assert (abs(ranks[i] - ranks[j]) <= ranked.critical) == (p[i, j] >= 0.05)


def test_neighbours_that_cannot_be_told_apart_are_one_group():
    assert rank_groups(np.array([1.0, 1.5, 3.0, 3.2, 5.0]), 1.0) == ((0, 1), (2, 3))
    assert rank_groups(np.array([1.0, 2.0, 3.0]), 1.0) == ((0, 1), (1, 2))
    assert rank_groups(np.array([1.0, 2.0, 3.0]), 5.0) == ((0, 2),)
    assert rank_groups(np.array([1.0, 3.0]), 1.0) == ()


def test_the_last_digit_of_a_mean_breaks_no_tie():
    scores = np.array([[0.1 + 0.2, 0.3, 0.2], [0.5, 0.5, 0.4], [0.7, 0.7, 0.1], [0.9, 0.9, 0.3]])
    assert scores[0, 0] != scores[0, 1]
    ranked = ranking(scores)
    assert ranked.ranks.tolist() == [1.5, 1.5, 3.0]


def test_without_a_difference_of_all_nobody_is_told_apart():
    scores = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1], [1, 2, 3], [1, 3, 2]])
    ranked = ranking(scores)
    assert ranked.p >= 0.05
    assert ranked.groups == ((0, 2),)
    two = ranking(np.array([[k, k + 0.5 + 0.1 * k] for k in range(8)], dtype=float))
    assert two.p < 0.05
    assert two.groups == ()  # Wilcoxon's test has told the two apart


def test_all_alike_is_no_difference():
    ranked = ranking(np.ones((4, 3)))
    assert ranked.p == 1
    assert ranked.groups == ((0, 2),)


def signed_rank_by_hand(left: np.ndarray, right: np.ndarray, rope: float) -> np.ndarray:
    """The test by its definition: Dirichlet weights on the differences and one at 0, pairs of them summed."""
    z = np.concatenate([[0.0], left - right])
    weights = np.random.default_rng(9).dirichlet([0.5, *np.ones(len(left))], 20_000)
    pairs = z[:, None] + z[None, :]
    sides = [pairs > 2 * rope, np.abs(pairs) <= 2 * rope, pairs < -2 * rope]
    mass = [np.einsum("si,ij,sj->s", weights, side.astype(float), weights) for side in sides]
    return np.bincount(np.argmax(mass, axis=0), minlength=3) / len(weights)


def test_the_bayesian_comparison_is_its_definition():
    pytest.importorskip("baycomp")
    draws = np.random.default_rng(2)
    left = 0.9 + draws.normal(0, 0.02, 8)
    right = left - draws.normal(0.01, 0.01, 8)
    chances = signed_rank_probabilities(left.tolist(), right.tolist(), 0.01)
    assert sum(chances) == pytest.approx(1)
    # a sample of 5,000: standard error 0.007
    assert chances == pytest.approx(signed_rank_by_hand(left, right, 0.01), abs=0.03)
    assert signed_rank_probabilities([0.9] * 5, [0.5] * 5, 0.01)[0] > 0.9
    assert signed_rank_probabilities([0.5] * 5, [0.9] * 5, 0.01)[2] > 0.9
    assert signed_rank_probabilities([0.9] * 5, [0.9] * 5, 0.01)[1] == 1
