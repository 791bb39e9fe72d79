"""The few quantities that decide: each backend's chosen cell, and the mean of its stable cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from harness.check.baseline import Baseline
from harness.check.changes import score_levels
from harness.document.numbers import count
from harness.results.result import CELL, Result
from harness.stats.differences import Floats, flat
from harness.stats.gate import Decision, gate_decisions, in_pairs, non_inferiority, two_samples
from harness.stats.power import new_repeats_needed
from harness.stats.repeats import repeat_table

CHOSEN_CELL: Literal["chosen cell"] = "chosen cell"
STABLE_MEAN: Literal["mean of stable cells"] = (
    "mean of stable cells"  # that learned, in every repeat
)


@dataclass(frozen=True)
class Quantity:
    """One primary quantity: its values in the baseline, and whether a repeat of a run pairs with them.

    cells: (eta, lmbd) of each cell that it is the mean of. values: (repeats,), all of the baseline's.
    """

    backend: str
    kind: Literal["chosen cell", "mean of stable cells"]
    cells: tuple[tuple[float, float], ...]
    values: Floats
    paired: bool

    @property
    def name(self) -> str:
        """In words."""
        if self.kind == CHOSEN_CELL:
            eta, lmbd = self.cells[0]
            return f"{self.backend}, chosen cell (eta {eta:g}, lmbd {lmbd:g})"
        return f"{self.backend}, mean of {count(len(self.cells), 'stable cell')} that learn"

    def of(self, scores: pd.DataFrame, repeats: int) -> Floats:
        """Its values in a run's table of test scores, (repeats,); NaN where a cell was not ok."""
        return _values(scores, self.backend, self.cells)[:repeats]


@dataclass(frozen=True)
class Primary:
    """A quantity tested.

    pairs: whether the answer comes from paired repeats, else from two samples. then and now are means,
    the difference between them has a 95 % interval.

    p_worse is Holm's adjusted p value for "worse by more than the margin", p_good that for "as good
    within it" (uncorrected: all must be). needed: repeats of a run that would decide, 0 if decided,
    -1 if no number would.
    """

    quantity: Quantity
    pairs: bool
    then: float
    now: float
    difference: float
    low: float
    high: float
    p_worse: float
    p_good: float
    outcome: Decision
    needed: int


def quantities(
    baseline: Baseline, backends: Sequence[str], paired: Sequence[str]
) -> list[Quantity]:
    """The primary quantities of a baseline; ``paired`` are the backends whose draws are unchanged.

    A chosen cell that is chaotic is not paired: there round-off alone makes a run a new sample. The mean
    is over stable cells that learned in every repeat: what others score is luck, and hides a loss.
    """
    result, chaotic = baseline.result, baseline.chaotic
    learned = score_levels(result).learned
    scores = repeat_table(result.records, f"test_{result.metric}")
    best = result.best()
    chosen = dict(zip(best["backend"], zip(best["eta"], best["lmbd"], strict=True), strict=True))
    found = []
    for backend in backends:
        same = backend in paired
        if cell := chosen.get(backend):
            values = _values(scores, backend, (cell,))
            found.append(
                Quantity(
                    backend, CHOSEN_CELL, (cell,), values, same and (backend, *cell) not in chaotic
                )
            )
        whole = scores.index[(scores > learned).all(axis=1)]
        calm = [cell for cell in whole if cell[0] == backend and cell not in chaotic]
        stable = tuple((eta, lmbd) for _, eta, lmbd in calm)
        if stable:
            values = _values(scores, backend, stable)
            found.append(Quantity(backend, STABLE_MEAN, stable, values, same))
    return found


def test_quantities(
    found: Sequence[Quantity], run: Result, repeats: int, margin: float, alpha: float
) -> list[Primary]:
    """Every quantity of a run against the baseline, by :mod:`harness.stats.gate`."""
    if not found:
        return []
    scores = repeat_table(run.records, f"test_{run.metric}")
    news = [quantity.of(scores, repeats) for quantity in found]
    p = [_p(quantity, new, margin) for quantity, new in zip(found, news, strict=True)]
    worse, good = (np.array(side) for side in zip(*p, strict=True))
    _, outcomes, adjusted = gate_decisions(worse, good, alpha)
    made = []
    for k, (quantity, new) in enumerate(zip(found, news, strict=True)):
        failed = outcomes[k] == "fail"
        pairs = _still(quantity, new) or (
            quantity.paired and _pairs_say_more(quantity, new, margin, failed)
        )
        old = quantity.values[: len(new)] if pairs else quantity.values
        low, high, sd = (_paired_interval if pairs else _pooled_interval)(old, new)
        difference = float(new.mean() - old.mean())
        needed = 0
        if outcomes[k] == "inconclusive":
            share = alpha / len(found) / (1 + quantity.paired)
            ratio = len(quantity.values) / len(new)
            needed = new_repeats_needed(difference, sd, margin, share, pairs, ratio)
        means = float(old.mean()), float(new.mean())
        p_values = float(adjusted[k]), float(good[k])
        made.append(
            Primary(quantity, pairs, *means, difference, low, high, *p_values, outcomes[k], needed)
        )
    return made


def _p(quantity: Quantity, new: Floats, margin: float) -> tuple[float, float]:
    """p values for worse and for as good; where nothing at all moved there is nothing to test."""
    if _still(quantity, new):
        return 1.0, 0.0
    worse, good = non_inferiority(quantity.values[None], new[None], margin, quantity.paired)
    return float(worse[0]), float(good[0])


def _still(quantity: Quantity, new: Floats) -> bool:
    """Whether every repeat has the baseline's value, to the last digit."""
    return not np.any(new - quantity.values[: len(new)])


def _pairs_say_more(quantity: Quantity, new: Floats, margin: float, failed: bool) -> bool:
    """Whether the answer comes from the paired test rather than from that of two samples."""
    side = 0 if failed else 1
    paired, pooled = (
        test(quantity.values[None], new[None], margin)[side][0] for test in (in_pairs, two_samples)
    )
    return bool(np.isnan(paired) or paired <= pooled)


def _paired_interval(old: Floats, new: Floats) -> tuple[float, float, float]:
    """The 95 % interval of the mean paired difference, and the differences' sd."""
    d = new - old
    if len(d) < 2 or flat(d):
        return float(d.mean()), float(d.mean()), 0.0
    interval = stats.ttest_1samp(d, 0).confidence_interval()
    return float(interval.low), float(interval.high), float(d.std(ddof=1))


def _pooled_interval(old: Floats, new: Floats) -> tuple[float, float, float]:
    """The 95 % interval of the difference of means, and the sd of a single repeat."""
    if len(new) < 2 or (flat(old) and flat(new)):
        mean = float(new.mean() - old.mean())
        return mean, mean, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of the two may have no spread
        interval = stats.ttest_ind(new, old).confidence_interval()
    variances, weights = zip(*((v.var(ddof=1), len(v) - 1) for v in (old, new)), strict=True)
    sd = float(np.sqrt(np.average(variances, weights=weights)))
    return float(interval.low), float(interval.high), sd


def _values(scores: pd.DataFrame, backend: str, cells: Sequence[tuple[float, float]]) -> Floats:
    """Test scores of some cells, their mean for each repeat; NaN if any of them is not ok."""
    index = pd.MultiIndex.from_tuples([(backend, *cell) for cell in cells], names=CELL)
    return scores.reindex(index).to_numpy().mean(axis=0)
