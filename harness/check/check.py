"""The course of a check: deterministic layer, run, verdict."""

from __future__ import annotations

from collections.abc import Sequence

from harness.check.baseline import Baseline
from harness.check.fresh_run import experiment_of, redrawn, rerun, unavailable
from harness.check.reference_path import deterministic
from harness.check.verdict import Rules, Verdict, judge
from harness.experiment.execution import Execution
from harness.results.result import load_result
from harness.runner import Progress


def check(
    baseline: Baseline,
    run: str | None = None,
    *,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    rules: Rules | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Run a baseline's experiment again, or take the run folder ``run``, and judge it.

    A backend that cannot be used here makes the two not comparable. The deterministic layer belongs to
    the code at hand, so it is left out where a run is given.
    """
    experiment = experiment_of(baseline, backends, repeats)
    names = experiment.backends
    layer = None
    if run is not None:
        result = load_result(run)
    else:
        reasons = unavailable(names)
        if reasons:
            return Verdict(baseline, names, rules or Rules(), obstacles=tuple(reasons))
        layer = deterministic(baseline, names)
        result = rerun(baseline, names, experiment.repeats, execution, progress)
    return judge(
        baseline,
        result,
        backends=names,
        repeats=experiment.repeats,
        redrawn=redrawn(baseline, names),
        layer=layer,
        rules=rules,
    )
