"""A check from beginning to end: the first steps, the baseline's experiment once more, the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from backends.registry import UnusableBackend, find
from harness.check.baseline import Baseline, draw_hashes
from harness.check.reference_path import first_steps
from harness.check.verdict import CheckRules, CheckVerdict, judge_run
from harness.errors import InputError, unknown
from harness.executors.by_name import prepare_executor
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.result import Result, load_result
from harness.runner import Progress, plan_work, train_and_save


def check(
    baseline: Baseline,
    run: str | None = None,
    *,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    rules: CheckRules | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> CheckVerdict:
    """Run a baseline's experiment again, or take the run folder ``run``, and judge it.

    A backend that cannot be used here makes the two not comparable. The deterministic layer belongs to
    the code at hand, so it is left out where a run is given.
    """
    experiment = checked_experiment(baseline, backends, repeats)
    names = experiment.backends
    layer = None
    if run is not None:
        result = load_result(run)
    else:
        reasons = unusable_reasons(names)
        if reasons:
            return CheckVerdict(baseline, names, rules or CheckRules(), obstacles=tuple(reasons))
        layer = first_steps(baseline, names)
        result = run_again(baseline, names, experiment.repeats, execution, progress)
    return judge_run(
        baseline,
        result,
        backends=names,
        repeats=experiment.repeats,
        redrawn=redrawn_backends(baseline, names),
        layer=layer,
        rules=rules,
    )


def checked_experiment(
    baseline: Baseline, backends: Sequence[str] | None = None, repeats: int | None = None
) -> Experiment:
    """The baseline's experiment for some of its backends and its first ``repeats`` repeats.

    By default half of them, which is also the most: a reference needs twice the repeats of what is
    held against it.
    """
    names = tuple(backends or baseline.result.backends)
    for name in names:
        if name not in baseline.result.backends:
            raise unknown("backend: not in the baseline", name, baseline.result.backends)
    wanted = baseline.repeats if repeats is None else repeats
    if not 1 <= wanted <= baseline.repeats:
        raise InputError(
            f"repeats: found {wanted}; allowed: 1 to {baseline.repeats}, half of the "
            f"{baseline.experiment.repeats} that {baseline.name!r} has"
        )
    return baseline.experiment.model_copy(update={"backends": names, "repeats": wanted})


def run_again(
    baseline: Baseline,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> Result:
    """The baseline's experiment, trained afresh; into ``check-NAME`` unless named otherwise.

    What an earlier check left there is discarded: its parts may have been made by other code.
    """
    execution = execution or Execution(executor="serial")
    name = execution.name or f"check-{baseline.name}"
    fresh = execution.model_copy(update={"name": name, "fresh": True})
    prepare_executor(fresh.executor)
    work = plan_work(checked_experiment(baseline, backends, repeats))
    return train_and_save(work, fresh, progress=progress)


def unusable_reasons(backends: Sequence[str]) -> list[str]:
    """Why some of these backends cannot run here, in words; none if all can."""
    reasons = []
    for name in backends:
        try:
            find(name)
        except UnusableBackend as missing:
            reasons.append(str(missing))
    return reasons


def redrawn_backends(baseline: Baseline, backends: Sequence[str] | None = None) -> list[str]:
    """The backends for which this code draws other initial weights or minibatches than the baseline's.

    Their repeats are new samples and do not pair with the baseline's.
    """
    names = tuple(backends or baseline.result.backends)
    now = draw_hashes(baseline.experiment.model_copy(update={"backends": names}))
    return [name for name in names if now[name] != baseline.facts["draws"].get(name)]
