"""What a check with a baseline can see, and how often it would alarm without cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.check.baseline import Baseline
from harness.check.decisive_tests import Quantity, quantities
from harness.document import numbers
from harness.document.numbers import count
from harness.document.section import Section, Table
from harness.stats.power import false_alarm, smallest_drop

_LUCKY = 1.645  # standard errors: the luckiest of twenty baselines


@dataclass(frozen=True)
class Expectation:
    """One primary quantity: sd of its repeats, smallest drops caught with 80 and 95 % power, and how
    often it fails a run with fresh draws and no drop, taken at its word and if the baseline was lucky.
    """

    quantity: Quantity
    sd: float
    drop80: float
    drop95: float
    alarm: float
    lucky: float


def expectations(
    baseline: Baseline, repeats: int, margin: float, alpha: float, backends: Sequence[str]
) -> list[Expectation]:
    """Every primary quantity, tested at Holm's first and hardest step, alpha / quantities."""
    found = quantities(baseline, backends, backends)
    share = alpha / max(1, len(found))
    made = []
    for quantity in found:
        base, paired = quantity.values, quantity.paired
        sd = float(base.std(ddof=1))
        drops = [
            smallest_drop(sd, len(base), repeats, margin, share / (1 + paired), power)
            for power in (0.8, 0.95)
        ]
        alarms = [
            false_alarm(base, repeats, margin, share, luck, paired=paired) for luck in (0.0, _LUCKY)
        ]
        made.append(Expectation(quantity, sd, *drops, *alarms))
    return made


def power_section(
    baseline: Baseline,
    repeats: int,
    margin: float,
    alpha: float,
    backends: Sequence[str],
    runs_per_year: int,
) -> Section:
    """The expectations in words and a table."""
    metric = baseline.result.metric
    found = expectations(baseline, repeats, margin, alpha, backends)
    rows = [
        {
            "quantity": e.quantity.name,
            "sd": numbers.span(e.sd, metric),
            "caught, 80 %": numbers.span(e.drop80, metric),
            "caught, 95 %": numbers.span(e.drop95, metric),
            "repeats": "pair" if e.quantity.paired else "new samples",
        }
        for e in found
    ]
    rates = [min(1.0, float(np.sum([getattr(e, k) for e in found]))) for k in ("alarm", "lucky")]
    yearly = [
        "fewer than 0.1" if n < 0.1 else f"{n:.2g}" for n in np.multiply(rates, runs_per_year)
    ]
    return Section(
        f"What a check against {baseline.name} can see",
        text=[
            f"{count(repeats, 'repeat')} against {baseline.experiment.repeats}, margin "
            f"{numbers.span(margin, metric)}, family alpha {alpha:g} over {count(len(found), 'test')}."
        ],
        points=[
            "Unchanged code on the same machine gives the same predictions and passes without a "
            "test: no false alarm, however many runs.",
            f"If every run drew its randomness anew, {yearly[0]} false alarms would be expected in "
            f"{runs_per_year} runs a year; were this baseline the luckiest of twenty, {yearly[1]}. "
            f"On the margin's edge it would be {alpha * runs_per_year:.2g}.",
            "The table's drops are caught whatever the run has in common with the baseline. Where "
            "its repeats stay close to the baseline's own, drops from just beyond the margin are.",
        ],
        tables=[Table(pd.DataFrame(rows), "Smallest drops that are caught with this power")],
    )
