"""Several treatments on several data sets: ranks, what difference of them counts, a Bayesian comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEAST_SETS = 3  # data sets; ranks of fewer say nothing
_SAMPLES = 5_000  # of the posterior: chances to a percent
_SEED = 0


@dataclass(frozen=True)
class Ranking:
    """Treatments on data sets, best mean rank first.

    order: numbers of the treatments, best first; ranks: their mean ranks in that order (1 is best); p: of
    Friedman's test that all are alike; critical: the difference of mean ranks that counts (Nemenyi); groups:
    stretches of ``order``, as (first, last), of which no two can be told apart, the longest possible.
    """

    order: tuple[int, ...]
    ranks: NDArray[np.float64]
    p: float
    critical: float
    groups: tuple[tuple[int, int], ...]


def ranking(scores: NDArray[np.float64], alpha: float = 0.05) -> Ranking:
    """Treatments ranked on each data set; scores: (data sets, treatments), higher is better.

    Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006. Ties share their
    mean rank, also where they differ in the last digits of a mean. With two treatments p is that of
    Wilcoxon's signed-rank test, as there. Groups are told only where p is below alpha: Nemenyi's test is
    one that follows (with two there is nothing to follow).
    """
    scores = scores.round(12)
    each = stats.rankdata(-scores, axis=1)
    mean = each.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    alike = bool((scores == scores[:, :1]).all())
    if alike:
        p = 1.0
    elif scores.shape[1] == 2:
        p = float(stats.wilcoxon(scores[:, 0], scores[:, 1]).pvalue)
    else:
        p = float(stats.friedmanchisquare(*scores.T).pvalue)
    critical = critical_difference(len(scores), scores.shape[1], alpha)
    many = len(order)
    if p >= alpha:
        groups: tuple[tuple[int, int], ...] = ((0, many - 1),)
    else:
        groups = () if many == 2 else rank_groups(mean[order], critical)
    return Ranking(tuple(order.tolist()), mean[order], p, critical, groups)


def critical_difference(sets: int, treatments: int, alpha: float = 0.05) -> float:
    """Nemenyi's: two mean ranks that differ by more are different, at the level alpha for all pairs."""
    q = stats.studentized_range.ppf(1 - alpha, treatments, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(treatments * (treatments + 1) / (6 * sets)))


def rank_groups(ranks: NDArray[np.float64], critical: float) -> tuple[tuple[int, int], ...]:
    """Longest stretches of ascending ranks within the critical difference, as places (first, last)."""
    groups: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks - ranks[first] <= critical + 1e-12).max())
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return tuple(groups)


def signed_rank_probabilities(
    left: Sequence[float], right: Sequence[float], rope: float
) -> tuple[float, float, float]:
    """How likely left is better, both are the same within ``rope``, right is better; over data sets.

    The Bayesian signed-rank test (Benavoli and others, Time for a Change, JMLR 18, 2017), baycomp's. Raises
    ImportError where baycomp is not installed.
    """
    import baycomp

    chances = baycomp.SignedRankTest.probs(
        np.asarray(left), np.asarray(right), rope, nsamples=_SAMPLES, random_state=_SEED
    )
    better, same, worse = (float(chance) for chance in chances)
    return better, same, worse
