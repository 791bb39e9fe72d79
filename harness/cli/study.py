"""``harness run --over``: a grid at every point of outer axes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from harness.errors import ExitCode, InputError

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
    from harness.cli.places import require_lasting, unwritten_is_told
    from harness.cli.progress import progress_display, told
    from harness.cli.sections import tell_faults
    from harness.cli.waiting import Waiting
    from harness.document.writer import PageAddress
    from harness.study.page import write_study
    from harness.study.study import plan_study, train_study
    from harness.training.status import TRAINED

    require_lasting(execution.output)
    out, waiting = console(), Waiting()
    plan = plan_study(study)
    if dry_run:
        _show_plan(plan, execution, out)
        return
    pages: list[PageAddress] = []
    with (
        progress_display(out, execution.jobs, quiet=quiet) as progress,
        nullcontext() if quiet else told(out),
    ):

        def report(result: StudyResult) -> None:
            waiting.until(progress.began, "loading and planning")
            waiting.until(progress.ended, "training")
            waiting.until(time.perf_counter(), "saving")
            with unwritten_is_told(f"the report of {result.address!r}"):
                pages.append(write_study(result, held=True))
            waiting.until(time.perf_counter(), "report")

        try:
            result = train_study(plan, execution, progress=progress, finish=report)
        except KeyboardInterrupt:
            progress.interrupted()
            raise typer.Exit(ExitCode.UNFINISHED) from None
    page = pages[0] if pages else PageAddress("none")
    if not quiet:
        _print_study(result, out)
        out.print(waiting.words(), highlight=False, soft_wrap=True)
        out.print(f"report: {page}", highlight=False, soft_wrap=True)
    lacking = tell_faults(page.faults, f"report {quote(result.address)}")
    trained = result.records["status"].isin(TRAINED).any()
    if lacking or not pages or not result.complete or not trained:
        raise typer.Exit(ExitCode.UNFINISHED)


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


def study_comparison(
    study: str,
    other: str | None,
    margin: float,
    alpha: float,
    *,
    chaos: bool,
    output: str | None,
    json: bool,
) -> NoReturn:
    """Compare the points of a study, or of two, and end the command as the outcome is."""
    from harness.cli.console import console
    from harness.cli.places import unwritten_is_told
    from harness.cli.progress import told_steps
    from harness.cli.sections import show_section
    from harness.study.comparison import (
        compare_study,
        study_comparison_json,
        study_comparison_section,
        write_study_comparison,
    )
    from harness.study.study import load_study

    first = load_study(study)
    second = None if other is None else load_study(other)
    with told_steps(console(stderr=True), "comparing point by point", quiet=json) as begin:
        made = compare_study(first, second, margin=margin, alpha=alpha, chaos=chaos, begin=begin)
    page = ""
    with unwritten_is_told("the comparison"):
        page = write_study_comparison(made, output or f"{study.rstrip('/')}/compare")
    if json:
        from json import dumps

        print(dumps(study_comparison_json(made), indent=2, allow_nan=False))
    else:
        out = console()
        show_section(study_comparison_section(made, short=True), out, rest="in compare.md")
        out.print(f"comparison: {page}", highlight=False, soft_wrap=True)
    raise typer.Exit(made.exit_code)
