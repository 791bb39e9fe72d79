"""The one-sided tests of the regression check, for a few primary quantities together.

For each quantity the run's values stand against the baseline's, lowered by the margin:

    worse      H0: mean(new) >= mean(base) - margin     rejected, with Holm's correction: fail
    as good    H0: mean(new) <= mean(base) - margin     rejected for every quantity: pass

and else the answer is inconclusive. That all must pass needs no correction (intersection-union).

Paired where a repeat of the run is the baseline's repeat over again, up to round-off: same draws, in
cells where round-off stays small. Elsewhere (other draws, chaotic cells) the run is a new sample, and
the test is that of two samples with pooled variance: Welch's, with 20 baseline and 5 new repeats,
alarms twice as often as it says.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.statistics.differences import flat, holm, one_sample

Outcome = Literal["pass", "fail", "inconclusive"]
Floats = NDArray[np.float64]


def non_inferiority(
    base: Floats, new: Floats, margin: float, paired: bool
) -> tuple[Floats, Floats]:
    """p values for "worse by more than the margin" and for "as good within the margin".

    base: (quantities, repeats); new: (quantities, repeats), no more than base has. Paired, the first
    repeats of base belong to those of new. Fewer than two repeats give NaN.
    """
    if new.shape[1] < 2 or base.shape[1] < 2:
        nothing = np.full(len(new), np.nan)
        return nothing, nothing.copy()
    if paired:
        d = new - base[:, : new.shape[1]]
        return one_sample(d, -margin, "less"), one_sample(d, -margin, "greater")
    lowered = base - margin
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # without spread; set below
        worse = np.array(stats.ttest_ind(new, lowered, axis=1, alternative="less").pvalue)
        good = np.array(stats.ttest_ind(new, lowered, axis=1, alternative="greater").pvalue)
    still = flat(base) & flat(new)
    lower = new[still, 0] < lowered[still, 0]
    worse[still], good[still] = np.where(lower, 0.0, 1.0), np.where(lower, 1.0, 0.0)
    return worse, good


def decide(worse: Floats, good: Floats, alpha: float) -> tuple[Outcome, list[Outcome], Floats]:
    """The gate's answer, that of each quantity, and Holm's adjusted p values for "worse"."""
    adjusted = holm(worse)
    each: list[Outcome] = [
        "fail" if w < alpha else "pass" if g < alpha else "inconclusive"
        for w, g in zip(adjusted, good, strict=True)
    ]
    for outcome in ("fail", "inconclusive"):
        if outcome in each:
            return outcome, each, adjusted
    return "pass", each, adjusted
