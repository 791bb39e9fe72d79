"""What a number of repeats can decide: repeats needed, smallest drop caught, expected false alarms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from harness.stats.differences import Floats
from harness.stats.gate import non_inferiority

MOST_REPEATS = 1000  # repeats beyond which a question counts as undecidable
_TRIED = np.unique(
    np.geomspace(2, MOST_REPEATS, 120).round().astype(int)
)  # that are tried, in this order


def repeats_needed(
    difference: ArrayLike, sd: ArrayLike, margin: float, alpha: float, power: float = 0.8
) -> NDArray[np.intp]:
    """Paired repeats with which a difference would be told from the margin; for each cell, (cells,).

    Inside the margin it is the number with which TOST would say so with this power (the error of
    type II is halved between its two sides), outside it that of the one-sided test. -1 where more
    than ``MOST_REPEATS`` would be needed or where nothing is known (NaN).
    """
    difference, sd = np.atleast_1d(difference).astype(float), np.atleast_1d(sd).astype(float)
    inside = np.abs(difference) < margin
    wanted = np.where(inside, 1 - (1 - power) / 2, power)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.abs(margin - np.abs(difference)) / sd
    needed = np.where(np.isinf(effect), 2, -1)
    left = np.flatnonzero(np.isfinite(effect) & (effect > 0))
    for n in _TRIED:
        if not len(left):
            break
        reached = TTestPower().power(effect[left], n, alpha, alternative="larger") >= wanted[left]
        needed[left[reached]] = n
        left = left[~reached]
    return needed


def new_repeats_needed(
    difference: float,
    sd: float,
    margin: float,
    alpha: float,
    paired: bool,
    ratio: float = 2.0,
    power: float = 0.8,
) -> int:
    """Repeats of a run with which the gate would decide, if this difference is the true one.

    difference: new - base; sd: of paired differences, else of single repeats; ratio: repeats of the
    baseline to one of the run. -1 if more than ``MOST_REPEATS`` would be needed or nothing is known.
    """
    effect = abs(difference + margin) / sd if sd > 0 else float("nan")
    if not np.isfinite(effect) or effect == 0:
        return -1
    for n in _TRIED:
        if paired:
            reached = TTestPower().power(effect, n, alpha, alternative="larger")
        else:
            reached = TTestIndPower().power(effect, n, alpha, ratio=ratio, alternative="larger")
        if reached >= power:
            return int(n)
    return -1


def smallest_drop(
    sd: float, base: int, new: int, margin: float, alpha: float, power: float
) -> float:
    """The drop that the gate's test of two samples catches with this power.

    sd: of single repeats. ``base`` and ``new`` count repeats. Where repeats pair, ``alpha`` is half.
    """
    if new < 2:
        return float("nan")
    effect = TTestIndPower().solve_power(
        None, nobs1=new, ratio=base / new, alpha=alpha, power=power, alternative="larger"
    )
    return float(margin + effect * sd)


def false_alarm(
    base: Floats,
    new: int,
    margin: float,
    alpha: float,
    lucky: float = 0.0,
    *,
    paired: bool = False,
    draws: int = 20_000,
) -> float:
    """How often a run with fresh draws and no drop fails against this very baseline, by simulation.

    base: the baseline's values, (repeats,). The run's ``new`` values come from the normal distribution
    with the baseline's sd whose mean lies ``lucky`` standard errors below the baseline's mean:
    0 takes the baseline at its word, 1.645 supposes it to be the luckiest of twenty. Paired, it is
    tested against draws that it knows nothing of.
    """
    sd = float(np.std(base, ddof=1))
    if sd == 0 or new < 2:
        return 0.0
    mean = float(np.mean(base) - lucky * sd / np.sqrt(len(base)))
    rng = np.random.default_rng(0)

    def test(values: Floats, axis: int) -> Floats:
        held = np.broadcast_to(base, (len(values), len(base)))
        return non_inferiority(held, values, margin, paired)[0]

    def fresh(*, size: tuple[int, ...]) -> Floats:
        return rng.normal(mean, sd, size)

    simulated = stats.power(
        test, fresh, (new,), significance=alpha, vectorized=True, n_resamples=draws
    )
    return float(np.asarray(simulated.power).item())
