"""A check from beginning to end: the first steps, the baseline's experiment once more, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from backends.registry import UnusableBackend, find
from harness.check.baseline import Baseline, draw_hashes
from harness.check.decisive_tests import MOST_TIMES, CheckRules, planned_looks
from harness.check.learning_curves import curve_words
from harness.check.reference_path import FirstSigns, first_steps
from harness.check.verdict import CheckVerdict, judge_run
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.errors import InputError, unknown
from harness.executors.by_name import prepare_executor
from harness.experiment.chosen_backends import tell_imports
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.result import Result, load_result
from harness.runner import Progress, train_and_save
from harness.work import plan_work


def check(
    baseline: Baseline,
    run: str | None = None,
    *,
    backends: Sequence[str] | None = None,
    repeats: int | None = None,
    until_decided: bool | None = None,
    most_repeats: int | None = None,
    rules: CheckRules | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> CheckVerdict:
    """Run a baseline's experiment again, or take the run folder ``run``, and judge it.

    A backend that cannot be used here makes the two not comparable. The first steps belong to the code
    at hand, so they are left out where a run is given. until_decided: add repeats while the answer is
    inconclusive, up to ``most_repeats`` (by default ``MOST_TIMES`` the baseline's); the default of a
    fresh run. Of a given one it looks at the repeats that are there. ``say`` is told what is found on
    the way.
    """
    experiment = checked_experiment(baseline, backends, repeats)
    names, first, have = experiment.backends, experiment.repeats, baseline.experiment.repeats
    most = MOST_TIMES * have if most_repeats is None else most_repeats
    if most < first:
        raise InputError(
            f"most-repeats: found {most}; allowed: {first}, with which it begins, or more"
        )
    goes_on = run is None if until_decided is None else until_decided
    rules = rules or CheckRules()
    if run is None and (
        reasons := [*changed_data(baseline), *unusable_reasons(baseline.experiment, names)]
    ):
        return CheckVerdict(baseline, names, rules, obstacles=tuple(reasons))
    redrawn = redrawn_backends(baseline, names)
    if run is None:
        say("taking the first steps of every backend ...")
        signs = first_steps(baseline, names)
        signs = replace(signs, words=(*signs.words, *curve_words(baseline, names, redrawn)))
        for line in signs.lines:
            say(line)
        given = None
    else:
        given, signs = load_result(run), FirstSigns()
        first = min(first, given.experiment.repeats)
        most = max(first, min(most, given.experiment.repeats))
    looks = planned_looks(first, have, most if goes_on else first)
    for n in looks:
        if given is None:
            result = run_again(baseline, names, n, execution, progress, looks)
        else:
            result = _first_repeats(given, n)
        verdict = judge_run(
            baseline, result, backends=names, looks=looks, redrawn=redrawn, signs=signs, rules=rules
        )
        if verdict.outcome != "inconclusive":
            break
        more = [look for look in looks if look > n]
        further = f"; on to {more[0]} of at most {looks[-1]}" if more else ""
        say(f"{n} repeats do not decide{further}")
    return verdict


def _first_repeats(result: Result, repeats: int) -> Result:
    """The same run, as if it had no more repeats than these."""
    experiment = result.experiment.model_copy(update={"repeats": repeats})
    return replace(result, experiment=experiment)


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
    looks: Sequence[int] = (),
) -> Result:
    """The baseline's experiment, trained afresh; into ``check-NAME`` unless named otherwise.

    What an earlier check left there is discarded: its parts may have been made by other code. ``looks``:
    the numbers of repeats that this is one of; those after the first add to what the one before left.
    """
    execution = execution or Execution(executor="serial")
    name = execution.name or f"check-{baseline.name}"
    wanted = baseline.repeats if repeats is None else repeats
    fresh = not looks or wanted == looks[0]
    execution = execution.model_copy(update={"name": name, "fresh": fresh})
    prepare_executor(execution.executor)
    names = tuple(backends or baseline.result.backends)
    experiment = baseline.experiment.model_copy(update={"backends": names, "repeats": wanted})
    return train_and_save(plan_work(experiment, looks), execution, progress=progress)


def changed_data(baseline: Baseline) -> list[str]:
    """Why the data that this code reads are not the baseline's, in words; by their hashes."""
    experiment, then = baseline.experiment, baseline.facts["dataset"]
    dataset = load_dataset(experiment)
    if dataset.sha256 != then["sha256"]:
        return [
            f"other data: {then['name']!r} is not what it was when the baseline was made "
            f"(sha256 {dataset.sha256[:12]}, then {then['sha256'][:12]})"
        ]
    if split_rows(dataset, experiment).sha256 != then["split_sha256"]:
        return ["another split into train, validation and test"]
    return []


def unusable_reasons(experiment: Experiment, backends: Sequence[str]) -> list[str]:
    """Why some of these backends of an experiment cannot run here, in words; none if all can."""
    reasons = []
    tell_imports(map(experiment.place, backends))
    for name in backends:
        try:
            find(experiment.place(name))
        except UnusableBackend as missing:
            reasons.append(f"{name}: {missing.reason}")
    return reasons


def redrawn_backends(baseline: Baseline, backends: Sequence[str] | None = None) -> list[str]:
    """The backends for which this code draws other initial weights or minibatches than the baseline's.

    Their repeats are new samples and do not pair with the baseline's.
    """
    names = tuple(backends or baseline.result.backends)
    now = draw_hashes(baseline.experiment.model_copy(update={"backends": names}))
    return [name for name in names if now[name] != baseline.facts["draws"].get(name)]
