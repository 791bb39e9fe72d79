"""The verdict of a check, put together from its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from harness.check import findings
from harness.check.baseline import Baseline, test_part_hashes
from harness.check.changes import (
    ChangeWord,
    change_word,
    changed_cells,
    fallen_cells,
    hard_failures,
    record_changes,
    score_levels,
)
from harness.check.decisive_tests import (
    ChaoticChoice,
    CheckRules,
    Primary,
    chaotic_choices,
    quantities,
    test_quantities,
)
from harness.check.findings import Finding
from harness.check.reference_path import FirstSigns
from harness.document.number_words import cell, count
from harness.document.words import plural
from harness.experiment.recipe import Recipe
from harness.results.result import Result
from harness.results.run_differences import RunDifference, run_differences
from harness.training.status import Status

CheckOutcome = Literal["pass", "fail", "inconclusive", "not comparable"]
_EXIT_CODES: dict[CheckOutcome, int] = {
    "pass": 0,
    "fail": 1,
    "inconclusive": 3,
    "not comparable": 3,
}

_AROUND = ("version", "machine", "threads", "variable")  # beside code, data and settings


@dataclass(frozen=True)
class CheckVerdict:
    """What a check found.

    word, of two that are comparable: ``identical`` (the same predictions), ``same`` (up to round-off) or
    ``changed`` (not the same). obstacles: why the two are not comparable. failures: what fails the
    check. primaries: the tests; chaotic: chosen cells that none of them is about. looks: the numbers of
    repeats at which the run was or would have been looked at, ``repeats`` the one it stands at. moved:
    every record (:func:`harness.check.changes.record_changes`), changed: the stable cells that moved,
    fallen: the warning map. signs: what its first steps and a few curves showed. notes: what else is not
    the same around the two runs.
    """

    baseline: Baseline
    backends: tuple[str, ...]
    rules: CheckRules
    outcome: CheckOutcome = "not comparable"
    run: Result | None = None
    repeats: int = 0
    looks: tuple[int, ...] = ()
    word: ChangeWord | Literal[""] = ""
    obstacles: tuple[str, ...] = ()
    failures: tuple[Finding, ...] = ()
    primaries: tuple[Primary, ...] = ()
    chaotic: tuple[ChaoticChoice, ...] = ()
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)
    changed: pd.DataFrame = field(default_factory=pd.DataFrame)
    fallen: pd.DataFrame = field(default_factory=pd.DataFrame)
    signs: FirstSigns = field(default_factory=FirstSigns)
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return self.baseline.result.metric

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive or not comparable."""
        return _EXIT_CODES[self.outcome]


def judge_run(
    baseline: Baseline,
    run: Result,
    *,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    looks: Sequence[int] = (),
    redrawn: Sequence[str] = (),
    signs: FirstSigns | None = None,
    rules: CheckRules | None = None,
) -> CheckVerdict:
    """Hold a run against a baseline.

    backends: all of the baseline's by default. repeats: how many of the run's count, by default and at
    most half of the baseline's. looks: in place of it, the numbers of repeats at which a run that goes
    on until it is decided is looked at; the largest that this run has is the one it stands at. redrawn:
    backends whose draws are not the baseline's any more, so that repeats do not pair.
    """
    names = tuple(backends or baseline.result.backends)
    rules, signs = rules or CheckRules(), signs or FirstSigns()
    have = run.experiment.repeats
    once = min(repeats or baseline.repeats, baseline.repeats, have)
    planned = tuple(looks) if looks and looks[0] <= have else (once,)
    used = max(n for n in planned if n <= have)
    differences = run_differences(baseline.result, run)
    around = [d for d in differences if d.kind in _AROUND]
    verdict = CheckVerdict(
        baseline,
        names,
        rules,
        run=run,
        repeats=used,
        looks=planned,
        obstacles=tuple(obstacles(baseline, run, differences, names)),
        signs=signs,
        notes=tuple(f"{d.name}: {d.first} in the baseline, {d.second} now" for d in around),
    )
    if verdict.obstacles:
        return verdict
    moved = record_changes(baseline, run, names, used)
    found = quantities(baseline, names, [b for b in names if b not in redrawn])
    primaries = test_quantities(found, run, planned, rules, moved)
    changed = changed_cells(moved)
    failures = [
        *signs.failures,
        *findings.hard_findings(hard_failures(moved, score_levels(run))),
        *(findings.worse_finding(p, baseline, run, used) for p in primaries if p.outcome == "fail"),
    ]
    if rules.strict and len(changed):
        failures.append(findings.changed_finding(changed))
    chaotic = chaotic_choices(baseline, run, names, used)
    calm = {c.backend for c in chaotic if not c.other and c.backend in signs.agreeing}
    open_ = not primaries or any(
        primary.outcome == "inconclusive" and not (primary.quantity.chaotic and backend in calm)
        for primary in primaries
        for backend in (primary.quantity.backend,)
    )
    return replace(
        verdict,
        outcome="fail" if failures else "inconclusive" if open_ else "pass",
        word=change_word(moved),
        failures=tuple(failures),
        primaries=tuple(primaries),
        chaotic=tuple(chaotic),
        moved=moved,
        changed=changed,
        fallen=fallen_cells(moved),
    )


def obstacles(
    baseline: Baseline, run: Result, differences: Sequence[RunDifference], backends: Sequence[str]
) -> list[str]:
    """Why a run cannot be compared with a baseline, in words; none if it can."""
    found = [_other_data(d, baseline, run) for d in differences if d.kind in ("data", "split")]
    if not found:
        own = test_part_hashes(run)
        parts = baseline.facts["held_out"].items()
        if changed := [repeat for repeat, digest in parts if own.get(repeat, digest) != digest]:
            of_all = changed == ["-1"]
            where = "" if of_all else f" in {plural(len(changed), 'repeat')} {', '.join(changed)}"
            found.append(f"other test samples{where}")
    found += _settings(baseline, run, differences, backends)
    missing = sorted(set(baseline.experiment.cells) - set(run.experiment.cells))
    if missing:
        lacking = f"{count(len(missing), 'cell')} {plural(len(missing), 'is', 'are')} missing"
        found.append(f"another grid: {lacking}, first {cell(*missing[0])}")
    for backend in backends:
        found += _backend(baseline, run, backend)
    return found


def _other_data(difference: RunDifference, baseline: Baseline, run: Result) -> str:
    if difference.kind == "split":
        return "another split into train, validation and test"
    then, now = (r.manifest["dataset"]["name"] for r in (baseline.result, run))
    return f"other data: {now!r} is not what the baseline's {then!r} was"


def _settings(
    baseline: Baseline, run: Result, differences: Sequence[RunDifference], backends: Sequence[str]
) -> list[str]:
    """Settings that differ, those of a recipe only for these backends."""
    other = {d.name: (d.first, d.second) for d in differences if d.kind == "setting"}
    other = {k: both for k, both in other.items() if k not in ("overrides", *Recipe.model_fields)}
    for backend in backends:
        then, now = (r.experiment.recipe(backend) for r in (baseline.result, run))
        names = [name for name in Recipe.model_fields if getattr(then, name) != getattr(now, name)]
        other |= {name: (getattr(then, name), getattr(now, name)) for name in names}
    return [f"{name}: {old!r} in the baseline, {new!r} now" for name, (old, new) in other.items()]


def _backend(baseline: Baseline, run: Result, backend: str) -> list[str]:
    if backend not in run.backends:
        return [f"{backend}: not in the run"]
    own = run.of(backend)
    if (own["status"] == Status.UNAVAILABLE).all():
        return [f"{backend}: {own['reason'].iloc[0]}"]
    then = baseline.facts["networks"].get(backend)
    now = run.manifest.get("backends", {}).get(backend, {}).get("network")
    if then and now and then != now:
        return [f"{backend}: another network, {then} in the baseline, {now} now"]
    return []
