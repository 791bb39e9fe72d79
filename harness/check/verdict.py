"""The verdict of a check, put together from its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from harness.check import findings
from harness.check.baseline import Baseline
from harness.check.changes import changed_cells, fallen, moves, word
from harness.check.comparable import obstacles, surroundings
from harness.check.decisive_tests import CHOSEN, Primary, quantities, tested
from harness.check.findings import Finding
from harness.check.hard_failures import hard_failures, levels
from harness.check.reference_path import Layer
from harness.errors import InputError
from harness.results.result import Result

Outcome = Literal["pass", "fail", "inconclusive", "not comparable"]
EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": 1, "not comparable": 2, "inconclusive": 3}


@dataclass(frozen=True)
class Rules:
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
class Verdict:
    """What a check found.

    word, of two that are comparable: ``identical`` (the same predictions), ``same`` (up to round-off) or
    ``changed`` (not the same). obstacles: why the two are not comparable. failures: what fails the
    check. primaries: the tests. moved: every record (:func:`harness.check.changes.moves`), changed:
    the stable cells that moved, fallen: the warning map. layer: the deterministic one. notes: what else
    is not the same around the two runs.
    """

    baseline: Baseline
    backends: tuple[str, ...]
    rules: Rules
    outcome: Outcome = "not comparable"
    run: Result | None = None
    repeats: int = 0
    word: Literal["identical", "same", "changed", ""] = ""
    obstacles: tuple[str, ...] = ()
    failures: tuple[Finding, ...] = ()
    primaries: tuple[Primary, ...] = ()
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)
    changed: pd.DataFrame = field(default_factory=pd.DataFrame)
    fallen: pd.DataFrame = field(default_factory=pd.DataFrame)
    layer: Layer = field(default_factory=Layer)
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return self.baseline.result.metric

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 not comparable, 3 inconclusive."""
        return EXIT_CODES[self.outcome]


def judge(
    baseline: Baseline,
    run: Result,
    *,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    redrawn: Sequence[str] = (),
    layer: Layer | None = None,
    rules: Rules | None = None,
) -> Verdict:
    """Hold a run against a baseline.

    backends: all of the baseline's by default. repeats: how many of the run's count, at most half of
    the baseline's. redrawn: backends whose draws are not the baseline's any more, so that repeats do
    not pair.
    """
    names = tuple(backends or baseline.result.backends)
    rules, layer = rules or Rules(), layer or Layer()
    used = min(repeats or baseline.repeats, baseline.repeats, run.experiment.repeats)
    verdict = Verdict(
        baseline,
        names,
        rules,
        run=run,
        repeats=used,
        obstacles=tuple(obstacles(baseline, run, names)),
        layer=layer,
        notes=tuple(surroundings(baseline, run)),
    )
    if verdict.obstacles:
        return verdict
    moved = moves(baseline, run, names, used)
    found = quantities(baseline, names, [b for b in names if b not in redrawn])
    primaries = tested(found, run, used, rules.margin, rules.alpha)
    chosen = {(q.backend, *q.cells[0]) for q in found if q.kind == CHOSEN}
    changed = changed_cells(moved)
    failures = [
        *layer.failures,
        *findings.hard(hard_failures(moved, levels(run), chosen)),
        *(findings.worse(p, baseline, run, used) for p in primaries if p.outcome == "fail"),
    ]
    if rules.strict and len(changed):
        failures.append(findings.strict(changed))
    open_ = not primaries or any(primary.outcome == "inconclusive" for primary in primaries)
    return replace(
        verdict,
        outcome="fail" if failures else "inconclusive" if open_ else "pass",
        word=word(moved),
        failures=tuple(failures),
        primaries=tuple(primaries),
        moved=moved,
        changed=changed,
        fallen=fallen(moved),
    )
