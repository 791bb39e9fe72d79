"""``harness run --over``: a grid at every point of outer axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.experiment.execution import Execution
    from harness.study.study import StudyPlan, StudyResult

_ROWS = 12  # of a table on a terminal


def axes_of(
    settings: Mapping[str, Any], given: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any], bool | None]:
    """The settings without ``over`` and ``zip``, the axes of file and flags, and the file's ``zip``."""
    from harness.experiment.study import parse_axes

    rest = {name: value for name, value in settings.items() if name not in ("over", "zip")}
    over, zipped = settings.get("over", {}), settings.get("zip")
    if not isinstance(over, Mapping):
        raise InputError(f"over: found {over!r}; allowed: a table of settings with their values")
    if zipped not in (None, True, False):
        raise InputError(f"zip: found {zipped!r}; allowed: true or false")
    return rest, {**over, **parse_axes(given)}, zipped


def map_axes(text: str) -> tuple[str, str]:
    """The two axes in ``ROWS,COLUMNS``."""
    rows, _, columns = (part.strip() for part in text.partition(","))
    if not rows or not columns or "," in columns:
        raise InputError(f"map: found {text!r}; allowed: two axes, as activation,hidden")
    return rows, columns


def study_run(
    settings: Mapping[str, Any],
    over: Mapping[str, Any],
    *,
    zipped: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Carry a study out, tell of it, and end the command as its outcome is."""
    from harness.executors.by_name import prepare_executor
    from harness.experiment.execution import Execution
    from harness.experiment.study import Study

    how = {name: value for name, value in settings.items() if name in Execution.model_fields}
    what = {name: value for name, value in settings.items() if name not in how}
    execution = Execution(**how)
    if not dry_run:
        prepare_executor(execution.executor)
    study = Study.of(what, over, zipped=zipped)
    from harness.cli.console import console
    from harness.cli.places import require_lasting
    from harness.cli.training import end_unless_whole, show_page, train_and_report
    from harness.cli.waiting import Waiting
    from harness.study.page import write_study
    from harness.study.study import plan_study, train_study

    require_lasting(execution.output)
    out, waiting = console(), Waiting()
    plan = plan_study(study)
    if dry_run:
        _show_plan(plan, execution, out)
        return
    result, page = train_and_report(
        lambda progress, report: train_study(plan, execution, progress=progress, finish=report),
        partial(write_study, held=True),
        out,
        waiting,
        jobs=execution.jobs,
        quiet=quiet,
    )
    if not quiet:
        _print_study(result, out)
        show_page(page, out, waiting)
    end_unless_whole(result, page)


def _show_plan(plan: StudyPlan, execution: Execution, out: Console) -> None:
    """Axes, points, networks, steps, time and room on disk; nothing was trained."""
    from harness.cli.dry_run import least_seconds, time_words
    from harness.cli.tables import show_table
    from harness.document.number_words import count, size
    from harness.experiment.study import POINTS_WORDS
    from harness.study.study import column_of, study_address, study_bytes

    study = plan.study
    rows = []
    for k, point in enumerate(study.points):
        work = plan.works.get(k)
        if work is None:
            rows.append([*point.labels, f"unsupported: {plan.reasons[k]}", "", "", ""])
            continue
        told = "; ".join(f"{n} {s}: {why}" for n, (s, why) in work.reasons.items())
        steps = sum(work.steps[unit.backend] * unit.size for unit in work.units)
        backends = ", ".join(n for n in work.experiment.backends if n not in work.reasons)
        who = "; ".join(filter(None, (backends, told)))
        rows.append(
            [*point.labels, who, *(f"{n:,}" for n in (work.networks, steps, len(work.units)))]
        )
    shown = rows if len(rows) <= _ROWS else rows[: _ROWS - 1]
    header = [*map(column_of, study.axes), "backends", "networks", "steps", "units"]
    words = [False] * (len(study.axes) + 1)
    show_table(out, header, shown, [*words, True, True, True])
    if len(shown) < len(rows):
        out.print(f"... and {len(rows) - len(shown)} more points", highlight=False)
    works = plan.works.values()
    steps = sum(w.steps[unit.backend] * unit.size for w in works for unit in w.units)
    units = sum(len(work.units) for work in works)
    out.print(
        f"{count(len(study.points), 'point')} ({POINTS_WORDS[study.zipped]} "
        f"{', '.join(study.axes)}), {len(plan.reasons)} of them unsupported; {plan.networks:,} networks, "
        f"{steps:,} steps; {units:,} units on {execution.jobs} worker(s) of {execution.threads} thread(s); "
        f"{size(study_bytes(plan))} on disk, in {study_address(study, execution)}",
        highlight=False,
        soft_wrap=True,
    )
    seconds = sum(least_seconds(work) for work in works)
    out.print(time_words(seconds, execution.jobs), highlight=False)


def _print_study(result: StudyResult, out: Console) -> None:
    """The best points and what the axes matter, on one screen."""
    from harness.cli.sections import show_section
    from harness.study.section import study_summary

    for section in study_summary(result):
        show_section(section, out)
