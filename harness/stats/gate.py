"""The one-sided tests of the regression check, for a few primary quantities together.

For each quantity the run's values stand against the baseline's, lowered by the margin:

    worse      H0: mean(new) >= mean(base) - margin     rejected, with Holm's correction: fail
    as good    H0: mean(new) <= mean(base) - margin     rejected for every quantity: pass

and else the answer is inconclusive. That all must pass needs no correction (intersection-union).

A run that repeats the baseline's draws pairs with it, repeat by repeat, where round-off stays small.
There two tests are taken, each at half the error: the paired one, which sees a small loss that all
repeats share, and that of two samples, which has all of the baseline's repeats and sees a large erratic
one (repeats in common only make it more careful). Elsewhere (other draws, chaotic cells) the run is a
new sample, and only the second is taken. It pools the variances: Welch's test, with 20 baseline and 5
new repeats, alarms twice as often as it says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from scipy import stats

from harness.stats.alpha_spending import sequential_p
from harness.stats.differences import Floats, flat, holm, one_sample

Decision = Literal["pass", "fail", "inconclusive"]


def non_inferiority(
    base: Floats, new: Floats, margin: float, paired: bool, looks: Sequence[int] = ()
) -> tuple[Floats, Floats]:
    """p values for "worse by more than the margin" and for "as good within the margin".

    base: (quantities, repeats); new: (quantities, repeats). Paired, the first repeats of base belong to
    those of new. Fewer than two repeats give NaN. ``looks``: the numbers of new repeats at which the
    test was or will be looked at, by default once, at all there are; p values then allow for those so
    far (:mod:`harness.stats.alpha_spending`).
    """
    planned = tuple(looks) or (new.shape[1],)
    have = base.shape[1]
    both = _over_looks(
        two_samples, base, new, margin, [(n, 1 / (1 / n + 1 / have)) for n in planned]
    )
    if not paired:
        return both
    pairs = _over_looks(in_pairs, base, new, margin, [(n, n) for n in planned if n <= have])
    worse, good = (np.minimum(1.0, 2 * np.fmin(*sides)) for sides in zip(both, pairs, strict=True))
    return worse, good


def _over_looks(
    test: Callable[[Floats, Floats, float], tuple[Floats, Floats]],
    base: Floats,
    new: Floats,
    margin: float,
    looks: Sequence[tuple[int, float]],
) -> tuple[Floats, Floats]:
    """A test's two p values over the looks so far; looks are numbers of repeats, with the information."""
    done = [n for n, _ in looks if n <= new.shape[1]]
    if not done:
        return _untested(new)
    tested = [test(base, new[:, :n], margin) for n in done]
    information = [known for _, known in looks]
    worse, good = (
        sequential_p(np.stack(side, axis=1), information) for side in zip(*tested, strict=True)
    )
    return worse, good


def in_pairs(base: Floats, new: Floats, margin: float) -> tuple[Floats, Floats]:
    """The p values of the paired test alone, over the repeats that both have."""
    both = min(new.shape[1], base.shape[1])
    if both < 2:
        return _untested(new)
    d = new[:, :both] - base[:, :both]
    return one_sample(d, -margin, "less"), one_sample(d, -margin, "greater")


def two_samples(base: Floats, new: Floats, margin: float) -> tuple[Floats, Floats]:
    """The p values of the test of two samples with pooled variance alone."""
    if new.shape[1] < 2 or base.shape[1] < 2:
        return _untested(new)
    lowered = base - margin
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # without spread; set below
        worse = np.array(stats.ttest_ind(new, lowered, axis=1, alternative="less").pvalue)
        good = np.array(stats.ttest_ind(new, lowered, axis=1, alternative="greater").pvalue)
    still = flat(base) & flat(new)
    lower = new[still, 0] < lowered[still, 0]
    worse[still], good[still] = np.where(lower, 0.0, 1.0), np.where(lower, 1.0, 0.0)
    return worse, good


def _untested(new: Floats) -> tuple[Floats, Floats]:
    return np.full(len(new), np.nan), np.full(len(new), np.nan)


def gate_decisions(
    worse: Floats, good: Floats, alpha: float
) -> tuple[Decision, list[Decision], Floats]:
    """The gate's answer, that of each quantity, and Holm's adjusted p values for "worse"."""
    adjusted = holm(worse)
    each: list[Decision] = [
        "fail" if w < alpha else "pass" if g < alpha else "inconclusive"
        for w, g in zip(adjusted, good, strict=True)
    ]
    for outcome in ("fail", "inconclusive"):
        if outcome in each:
            return outcome, each, adjusted
    return "pass", each, adjusted
