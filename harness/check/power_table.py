"""What a check with a baseline can see, and how often it would alarm without cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.check.baseline import Baseline
from harness.check.decisive_tests import CheckRules, Quantity, quantities
from harness.document import number_words
from harness.document.number_words import count
from harness.document.section import Section, Table
from harness.document.words import render
from harness.stats.differences import Floats
from harness.stats.gate import non_inferiority
from harness.stats.power import false_alarm, smallest_drop

_SIMULATED = 500  # runs for each loss
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


@dataclass(frozen=True)
class Chances:
    """What becomes of runs that lost this much in every quantity: shares of pass, fail and inconclusive,
    and repeats they take on average.
    """

    loss: float
    passed: float
    failed: float
    undecided: float
    repeats: float


def chances(
    found: Sequence[Quantity], looks: Sequence[int], rules: CheckRules, losses: Sequence[float]
) -> list[Chances]:
    """What a check says of code with these losses, by simulation.

    Baselines and runs are drawn from a normal distribution with the covariance that the quantities have
    over the baseline's repeats. A run's repeats are new draws, which pair with nothing: what unchanged code
    on the same machine gives, the baseline's own predictions, passes always.
    """
    values = np.stack([quantity.values for quantity in found])
    covariance = np.atleast_2d(np.cov(values))
    have, most = values.shape[1], looks[-1]
    rng = np.random.default_rng(0)
    noise = rng.multivariate_normal(
        np.zeros(len(found)), covariance, (_SIMULATED, have + most), method="svd"
    )
    base, new = np.moveaxis(noise, 2, 1)[..., :have], np.moveaxis(noise, 2, 1)[..., have:]
    made = []
    for loss in losses:
        worse, good = _p_by_look(base, new - loss, looks, rules.margin, found)
        failed = (len(found) * worse.min(axis=1)) < rules.alpha  # as Holm rejects anything at all
        passed = (good < rules.alpha).all(axis=1) & ~failed
        ended = failed | passed
        first = np.where(ended.any(axis=1), ended.argmax(axis=1), len(looks) - 1)
        at = np.arange(_SIMULATED), first
        shares = failed[at].mean(), passed[at].mean(), 1 - ended[at].mean()
        made.append(
            Chances(loss, shares[1], shares[0], shares[2], float(np.array(looks)[first].mean()))
        )
    return made


def _p_by_look(
    base: Floats, new: Floats, looks: Sequence[int], margin: float, found: Sequence[Quantity]
) -> tuple[Floats, Floats]:
    """Both p values of every simulated run, quantity and look, as of that look: (runs, quantities, looks)."""
    sides = np.ones((2, *base.shape[:2], len(looks)))
    for k, quantity in enumerate(found):
        for j, n in enumerate(looks):
            sides[:, :, k, j] = non_inferiority(
                base[:, k], new[:, k, :n], margin, quantity.paired, looks
            )
    return sides[0], sides[1]


def power_section(
    baseline: Baseline,
    looks: Sequence[int],
    rules: CheckRules,
    backends: Sequence[str],
    runs_per_year: int,
) -> Section:
    """What a check that looks at these numbers of repeats can see, in words and two tables."""
    metric = baseline.result.metric
    found = expectations(baseline, looks[0], rules.margin, rules.alpha, backends)
    primaries = [e.quantity for e in found]
    rows = [
        {
            "quantity": f"{', '.join(names)}: {e.quantity.what}",
            "sd": number_words.span(e.sd, metric),
            "caught, 80 %": number_words.span(e.drop80, metric),
            "caught, 95 %": number_words.span(e.drop95, metric),
        }
        for names, e in _alike(found)
    ]
    each = _seconds(baseline, backends)
    table = pd.DataFrame(
        {
            "loss": "none" if not c.loss else number_words.amount(c.loss, metric),
            "pass": _share(c.passed),
            "fail": _share(c.failed),
            "inconclusive": _share(c.undecided),
            "repeats": f"{c.repeats:.0f}",
            "training": number_words.seconds(c.repeats * each),
        }
        for c in _expected(primaries, looks, rules, metric)
    )
    table = table.drop(columns=[] if np.isfinite(each) else "training", errors="ignore")
    rates = [min(1.0, float(np.sum([getattr(e, k) for e in found]))) for k in ("alarm", "lucky")]
    yearly = [
        "fewer than 0.1" if n < 0.1 else f"{n:.2g}" for n in np.multiply(rates, runs_per_year)
    ]
    return Section(
        f"What a check against {baseline.name} can see",
        text=[
            render(
                "check/sentences.jinja",
                "power",
                looks=looks,
                held=baseline.experiment.repeats,
                rules=rules,
                tests=len(found),
                metric=metric,
            )
        ],
        points=[
            f"Unchanged code on the same machine gives the same predictions and passes without a test, "
            f"after {count(looks[0], 'repeat')}: no false alarm, however many runs.",
            f"If every run drew its randomness anew, {yearly[0]} false alarms would be expected in "
            f"{runs_per_year} runs a year; were this baseline the luckiest of twenty, {yearly[1]}. "
            f"On the margin's edge it would be {rules.alpha * runs_per_year:.2g}.",
            "Both tables suppose that a run's repeats have nothing in common with the baseline's. Where "
            "they stay close to its own, smaller losses are decided, and sooner.",
            "A loss on the margin's edge is decided by no number of repeats.",
            *_time(each, looks),
        ],
        tables=[
            Table(
                table,
                f"Chances, of {_SIMULATED} simulated runs that lost as much everywhere",
            ),
            Table(
                pd.DataFrame(rows),
                f"Smallest drops that {count(looks[0], 'repeat')} catch with this power",
            ),
        ],
    )


def _alike(found: Sequence[Expectation]) -> list[tuple[list[str], Expectation]]:
    """Quantities that have the same values in several backends, together."""
    groups: dict[tuple[str, bytes], list[Expectation]] = {}
    for e in found:
        groups.setdefault((e.quantity.what, e.quantity.values.tobytes()), []).append(e)
    return [([e.quantity.backend for e in group], group[0]) for group in groups.values()]


def _expected(
    found: Sequence[Quantity], looks: Sequence[int], rules: CheckRules, metric: str
) -> list[Chances]:
    """The chances of losses that a reader thinks in: 0.5, 1, 2 and 3 points of accuracy."""
    losses = (
        (0.0, 0.005, 0.01, 0.02, 0.03) if metric == "accuracy" else (0.0, 0.01, 0.02, 0.05, 0.1)
    )
    return chances(found, looks, rules, losses) if found else []


def _time(each: float, looks: Sequence[int]) -> list[str]:
    """How long a check trains; nothing where its baseline does not know."""
    if not np.isfinite(each):
        return ["How long a repeat trains was not kept in this baseline; one saved anew keeps it."]
    ends = " to ".join(number_words.seconds(n * each) for n in dict.fromkeys((looks[0], looks[-1])))
    return [
        f"Training takes {ends}, all workers together, on the machine the baseline was made on."
    ]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _seconds(baseline: Baseline, backends: Sequence[str]) -> float:
    """Seconds of training that a repeat of these backends took when the baseline was made; NaN if unknown."""
    took = baseline.facts.get("seconds", {})
    return sum(took.get(backend, float("nan")) for backend in backends)
