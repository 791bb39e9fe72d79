"""The deterministic layer: every backend's first steps against the reference in float64.

It takes seconds and sees what accuracy never shows: a penalty twice too strong, a step a tenth too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from harness.check.baseline import Baseline
from harness.check.findings import Finding
from harness.document.number_words import cell
from harness.experiment.experiment import Experiment
from harness.parity.parity import parity

FIRST_STEPS = 30


@dataclass(frozen=True)
class FirstSigns:
    """What seconds of training show: what fails the check at once, and what is said of every backend."""

    failures: tuple[Finding, ...] = ()
    words: tuple[str, ...] = ()
    agreeing: tuple[str, ...] = ()  # backends that are on the reference's path

    @property
    def lines(self) -> list[str]:
        """All of it, one line each."""
        return [*(f"FAIL {finding}" for finding in self.failures), *self.words]


def reference_paths(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """By backend, how it stands to the reference over ``FIRST_STEPS`` steps, in its own dtype.

    outcome (of :class:`harness.parity.verdict.BackendVerdict`), needed (the tolerance that would have been)
    and where (the step, tensor and cell that used most of it).
    """
    own = {name: experiment.recipe(name).dtype for name in experiment.backends}
    found = parity(experiment, steps=FIRST_STEPS, dtypes=sorted(set(own.values())))
    facts = {}
    for verdict in (v for v in found.verdicts if v.dtype == own[v.backend]):
        worst = verdict.worst or {}
        where = (
            f"step {worst['step']}, {worst['tensor']}, {cell(worst['eta'], worst['lmbd'])}"
            if worst
            else ""
        )
        needed = float(f"{verdict.needed:.3g}") if verdict.needed < float("inf") else None
        outcome = (
            "agrees" if verdict.agrees else "disagrees" if verdict.disagrees else verdict.outcome
        )
        facts[verdict.backend] = {"outcome": str(outcome), "needed": needed, "where": where}
    return facts


def first_steps(baseline: Baseline, backends: Sequence[str]) -> FirstSigns:
    """A failure for each backend that left the reference's path since the baseline was saved."""
    now = reference_paths(baseline.experiment.model_copy(update={"backends": tuple(backends)}))
    failures, words = [], []
    for backend, found in now.items():
        if found["outcome"] != "disagrees":
            continue
        then = baseline.facts["parity"].get(backend, {}).get("outcome", "agrees")
        if then == "disagrees":
            words.append(f"{backend}: not on the reference's path, as in the baseline")
            continue
        needed = (
            "no tolerance" if found["needed"] is None else f"a tolerance of {found['needed']:.1e}"
        )
        config = quote(f"{baseline.address.rstrip('/')}/experiment.toml")
        where = (
            f"furthest at {found['where']}; `python -m harness parity --config {config} "
            f"--backend {quote(backend)} --steps {FIRST_STEPS}` names the first step"
        )
        what = f"left the reference's path within {FIRST_STEPS} steps ({needed} would be needed)"
        failures.append(Finding("parity", backend, what, where))
    agree = [backend for backend, found in now.items() if found["outcome"] == "agrees"]
    if agree:
        words.insert(0, f"{', '.join(agree)}: on the reference's path for {FIRST_STEPS} steps")
    return FirstSigns(tuple(failures), tuple(words), tuple(agree))
