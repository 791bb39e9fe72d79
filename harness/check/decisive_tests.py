"""The few quantities that decide: each backend's chosen cell, and the mean of its stable cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from harness.check.baseline import Baseline
from harness.check.changes import score_levels
from harness.document.number_words import cell, count
from harness.errors import InputError
from harness.results.result import CELL, Result
from harness.stats.differences import Floats, flat
from harness.stats.gate import Decision, gate_decisions, in_pairs, non_inferiority, two_samples
from harness.stats.power import new_repeats_needed
from harness.stats.repeats import repeat_table

QuantityKind = Literal["chosen cell", "best stable cell", "mean of stable cells"]
CHOSEN_CELL: QuantityKind = "chosen cell"
STABLE_CELL: QuantityKind = "best stable cell"  # in place of a chosen one that is chaotic
STABLE_MEAN: QuantityKind = "mean of stable cells"  # that learned, in every repeat
MOST_TIMES = 4  # the baseline's repeats, before a check gives up deciding
_OTHER = 0.01  # p from which two distributions are told apart
_TIES = 0.002  # share of labels that round-off may turn: those of samples between two classes


@dataclass(frozen=True)
class CheckRules:
    """What decides: losses up to ``margin`` are let pass, ``alpha`` is the error of all tests together,
    ``strict`` makes a change without a loss a failure. InputError if they are no such numbers.
    """

    margin: float = 0.01
    alpha: float = 0.01
    strict: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.margin < 1 and 0 < self.alpha < 1):
            raise InputError(
                f"margin, alpha: found {self.margin:g}, {self.alpha:g}; "
                "allowed: a margin of 0 to 1, an alpha between 0 and 1"
            )


@dataclass(frozen=True)
class Quantity:
    """One primary quantity: its values in the baseline, and whether a repeat of a run pairs with them.

    cells: (eta, lmbd) of each cell that it is the mean of. values: (repeats,), all of the baseline's.
    """

    backend: str
    kind: QuantityKind
    cells: tuple[tuple[float, float], ...]
    values: Floats
    paired: bool
    chaotic: bool = (
        False  # held to for want of a stable cell: on the reference's path it may stay open
    )

    @property
    def what(self) -> str:
        """In words, without the backend."""
        if self.kind == STABLE_MEAN:
            return f"mean of {count(len(self.cells), 'stable cell')} that learn"
        return f"{self.kind} ({cell(*self.cells[0])})"

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.backend}, {self.what}"

    def of(self, scores: pd.DataFrame, repeats: int) -> Floats:
        """Its values in a run's table of test scores, (repeats,); NaN where a cell was not ok."""
        return _values(scores, self.backend, self.cells)[:repeats]


@dataclass(frozen=True)
class Primary:
    """A quantity tested.

    test: where the answer comes from: paired repeats, two samples, or, where nothing moved by more than
    round-off, none. then and now are means over ``repeats`` of the baseline's and the run's, the
    difference between them has a 95 % interval.

    p_worse is Holm's adjusted p value for "worse by more than the margin", p_good that for "as good
    within it" (uncorrected: all must be). needed: repeats of a run that would decide, 0 if decided,
    -1 if no number would.
    """

    quantity: Quantity
    test: Literal["paired", "two samples", "none needed"]
    repeats: tuple[int, int]
    then: float
    now: float
    difference: float
    low: float
    high: float
    p_worse: float
    p_good: float
    outcome: Decision
    needed: int


def planned_looks(first: int, baseline: int, most: int) -> tuple[int, ...]:
    """The numbers of repeats at which a check that goes on looks: each twice the last, up to ``most``.

    All of the baseline's repeats are one of them: beyond it repeats pair with nothing.
    """
    looks = [first]
    while looks[-1] < most:
        after = 2 * looks[-1]
        passed = looks[-1] < baseline < after
        looks.append(min(baseline if passed else after, most))
    return tuple(looks)


def quantities(
    baseline: Baseline, backends: Sequence[str], paired: Sequence[str]
) -> list[Quantity]:
    """The primary quantities of a baseline; ``paired`` are the backends whose draws are unchanged.

    A chosen cell that is chaotic gives way to the stable cell with the best validation score: there
    round-off alone makes a run a new sample, whatever the code. Only a backend without a stable cell
    is held to its chaotic one, which is not paired. The mean is over stable cells that learned in every
    repeat: what others score is luck, and hides a loss.
    """
    result, chaotic = baseline.result, baseline.chaotic
    learned = score_levels(result).learned
    scores = repeat_table(result.records, f"test_{result.metric}")
    whole = scores.index[(scores > learned).all(axis=1)]
    calm = [cell for cell in whole if cell not in chaotic]
    keys = pd.MultiIndex.from_frame(result.records[CELL])
    steady = replace(result, records=result.records[keys.isin(calm)]).best() if calm else None
    best = result.best()
    found = []
    for backend in backends:
        same = backend in paired
        stable = tuple((eta, lmbd) for own, eta, lmbd in calm if own == backend)
        kind, one = CHOSEN_CELL, _cell_of(best, backend)
        if stable and one not in stable:
            kind, one = STABLE_CELL, _cell_of(steady, backend)
        if one is not None:
            wild = (backend, *one) in chaotic
            values = _values(scores, backend, (one,))
            found.append(Quantity(backend, kind, (one,), values, same and not wild, wild))
        if stable:
            values = _values(scores, backend, stable)
            found.append(Quantity(backend, STABLE_MEAN, stable, values, same))
    return found


def _cell_of(best: pd.DataFrame | None, backend: str) -> tuple[float, float] | None:
    """The backend's cell in a frame as :meth:`Result.best` gives it."""
    if best is None or not (best["backend"] == backend).any():
        return None
    row = best[best["backend"] == backend].iloc[0]
    return float(row["eta"]), float(row["lmbd"])


@dataclass(frozen=True)
class ChaoticChoice:
    """A chosen cell that is chaotic, compared as a distribution over repeats: nothing hangs on it.

    then and now are means over the repeats that are ok; p is that of the two-sample test of Kolmogorov
    and Smirnov.
    """

    backend: str
    cell: tuple[float, float]
    then: float
    now: float
    p: float

    @property
    def other(self) -> bool:
        """Whether the two distributions are told apart."""
        return self.p < _OTHER


def chaotic_choices(
    baseline: Baseline, run: Result, backends: Sequence[str], repeats: int
) -> list[ChaoticChoice]:
    """The chosen cells of these backends that are chaotic, in baseline and run."""
    score = f"test_{run.metric}"
    then, now = (repeat_table(r.records, score) for r in (baseline.result, run))
    best = baseline.result.best()
    made = []
    for backend in backends:
        one = _cell_of(best, backend)
        if one is None or (backend, *one) not in baseline.chaotic:
            continue
        old, new = (_values(scores, backend, (one,)) for scores in (then, now))
        new = new[:repeats][np.isfinite(new[:repeats])]
        if len(new):
            p = float(stats.ks_2samp(old, new).pvalue)
            made.append(ChaoticChoice(backend, one, float(old.mean()), float(new.mean()), p))
    return made


def test_quantities(
    found: Sequence[Quantity],
    run: Result,
    looks: Sequence[int],
    rules: CheckRules,
    moved: pd.DataFrame,
) -> list[Primary]:
    """Every quantity of a run against the baseline, by :mod:`harness.stats.gate`.

    looks: the numbers of repeats at which the run is looked at; those that it has count. moved: what
    changed, as :func:`harness.check.changes.record_changes` gives it.
    """
    if not found:
        return []
    repeats = max(n for n in looks if n <= run.experiment.repeats)
    scores = repeat_table(run.records, f"test_{run.metric}")
    news = [quantity.of(scores, repeats) for quantity in found]
    still = [_unmoved(quantity, moved, len(run.target(0))) for quantity in found]
    p = [
        (1.0, 0.0) if calm else _p(quantity, new, rules.margin, looks)
        for quantity, new, calm in zip(found, news, still, strict=True)
    ]
    worse, good = (np.array(side) for side in zip(*p, strict=True))
    _, outcomes, adjusted = gate_decisions(worse, good, rules.alpha)
    share = rules.alpha / len(found)
    made = []
    for k, (quantity, new) in enumerate(zip(found, news, strict=True)):
        failed = outcomes[k] == "fail"
        pairs = still[k] or (
            quantity.paired and _pairs_say_more(quantity, new, rules.margin, failed)
        )
        old = quantity.values[: len(new)] if pairs else quantity.values
        new = new[: len(old)] if pairs else new
        low, high, sd = (_paired_interval if pairs else _pooled_interval)(old, new)
        if run.metric == "accuracy":  # their difference is within [-1, 1]
            low, high = max(low, -1.0), min(high, 1.0)
        difference = float(new.mean() - old.mean())
        needed = 0
        if outcomes[k] == "inconclusive":
            level, ratio = share / (1 + quantity.paired), len(quantity.values) / len(new)
            needed = new_repeats_needed(difference, sd, rules.margin, level, pairs, ratio)
        made.append(
            Primary(
                quantity,
                "none needed" if still[k] else "paired" if pairs else "two samples",
                (len(old), len(new)),
                float(old.mean()),
                float(new.mean()),
                difference,
                low,
                high,
                float(adjusted[k]),
                float(good[k]),
                outcomes[k],
                needed,
            )
        )
    return made


def _p(quantity: Quantity, new: Floats, margin: float, looks: Sequence[int]) -> tuple[float, float]:
    """p values for worse and for as good."""
    worse, good = non_inferiority(quantity.values[None], new[None], margin, quantity.paired, looks)
    return float(worse[0]), float(good[0])


def _unmoved(quantity: Quantity, moved: pd.DataFrame, samples: int) -> bool:
    """Whether nothing moved in its cells by more than round-off: then there is nothing to test.

    Losses say whether weights moved. Labels are the library's own, and few may differ (those of
    ``_TIES``, or a single one): losses alone would not see a fault in its prediction.
    """
    own = moved[moved["backend"] == quantity.backend]
    own = own[pd.MultiIndex.from_frame(own[CELL[1:]]).isin(list(quantity.cells))]
    turned = (own["now"] - own["then"]).abs()
    if not turned.notna().all():
        return False
    few = turned.mean() <= max(_TIES, 1 / (samples * len(own)))
    return not turned.any() or bool(few and not own["moved"].any())


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
