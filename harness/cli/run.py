"""``harness run``: the main job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import takes_run
from harness.cli.waiting import Waiting
from harness.errors import ExitCode, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.document.section import Section
    from harness.document.writer import PageAddress
    from harness.experiment.experiment import Experiment
    from harness.results.result import Result

_REPORT = "Beside the report"
_WHAT = "What to run"  # panels of the settings
_EXECUTION = "How to run it"


@takes_run
def run_command(
    settings: dict[str, Any],
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what would run and how much work it is; train nothing.",
            rich_help_panel=_EXECUTION,
            show_default=False,
        ),
    ] = False,
    references: Annotated[
        bool,
        typer.Option(
            "--references",
            help="Add other methods on the same split to the report: logistic (linear) regression, "
            "random forest, gradient boosting, nearest neighbours.",
            rich_help_panel=_REPORT,
            show_default=False,
        ),
    ] = False,
    tensorboard: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Write graphs, curves and the grid for TensorBoard into a folder there.",
            rich_help_panel=_REPORT,
            show_default=False,
        ),
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING=VALUES",
            help="An outer axis: a grid for each value of a setting, such as activation=tanh,relu; values "
            "that hold commas parted by semicolons (hidden=50;100,50), of one backend keras.hidden=50;100. "
            "Repeatable; a table over in a file.",
            rich_help_panel=_WHAT,
            show_default=False,
        ),
    ] = None,
    zipped: Annotated[
        bool,
        typer.Option(
            "--zip",
            help="Go through the values of all axes together, in place of their product.",
            rich_help_panel=_WHAT,
            show_default=False,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print only what went wrong.", show_default=False),
    ] = False,
) -> None:
    """Train the grid of eta and lmbd on every backend and write the report.

    The default is the preset [b]fair[/b]: scikit-learn's digits, a 64-50-10 network, 49 cells, on all
    backends. The same command again takes up where a stopped run was, or just makes its report again.

    With --over it is a study: such a grid at every point of the axes, in one folder with one page.
    """
    from harness.cli.study import axes_of, study_run

    settings, axes, file_zips = axes_of(settings, over or [])
    zipped = zipped or bool(file_zips)
    if zipped and not axes:
        raise InputError("zip: found without over; allowed: with it")
    if axes:
        for name, asked in (("references", references), ("tensorboard", tensorboard is not None)):
            if asked:
                raise InputError(f"{name}: found beside over; allowed: for one run")
        study_run(settings, axes, zipped=zipped, dry_run=dry_run, quiet=quiet)
        return
    from harness.executors.by_name import prepare_executor
    from harness.experiment.config import sort_settings

    experiment, execution = sort_settings(settings)
    if not dry_run:
        prepare_executor(execution.executor)  # it starts while this process goes on importing
    from harness.api import run as run_experiment
    from harness.api import write_report
    from harness.cli.console import console
    from harness.cli.places import require_lasting
    from harness.cli.training import end_unless_whole, show_page, train_and_report
    from harness.work import plan_work

    require_lasting(execution.output)

    out, waiting = console(), Waiting()
    if dry_run:
        from harness.cli.dry_run import show_work

        show_work(plan_work(experiment), execution, out)
        _print_folds(experiment, settings, out)
        return
    if tensorboard is not None:
        from harness.report.tensorboard import check_tensorboard, write_tensorboard

        check_tensorboard(tensorboard)

    def write(result: Result) -> PageAddress:
        extra = _references(result) if references else ()
        waiting.until(time.perf_counter(), "other methods")
        return write_report(result, extra=extra, held=True)

    result, page = train_and_report(
        lambda progress, report: run_experiment(
            experiment, execution, progress=progress, finish=report
        ),
        write,
        out,
        waiting,
        jobs=execution.jobs,
        quiet=quiet,
        saving="saving and second looks",
    )
    if not quiet:
        _print_result(result, out)
    if tensorboard is not None:
        events = write_tensorboard(result, tensorboard)
        waiting.until(time.perf_counter(), "TensorBoard")
        if not quiet:
            out.print(f"TensorBoard: {events}", highlight=False, soft_wrap=True)
    if not quiet:
        _print_folds(experiment, settings, out)
        show_page(page, out, waiting)
        _print_next(result, out)
    from rich.text import Text

    for status, reason, count in _failures(result):
        told_why = Text.assemble((status, "red"), f" ({count} networks): {reason}")
        console(stderr=True).print(told_why, highlight=False)
    end_unless_whole(result, page)
    if result.disputes is None:
        raise typer.Exit(ExitCode.UNFINISHED)


def _references(result: Result) -> list[Section]:
    """The section on other methods on the run's split."""
    from harness.data.dataset import load_dataset
    from harness.document.attempt import attempt_sections
    from harness.report.reference_section import reference_section

    return attempt_sections(
        "Reference methods", lambda: reference_section(result, load_dataset(result.experiment))
    )


def _print_result(result: Result, out: Any) -> None:
    """The chosen cell of each backend, and whether they agree."""
    from harness.cli.tables import show_table
    from harness.document.number_words import NAMES
    from harness.report.agreement import agreement_words
    from harness.report.run_warnings import learnt_nothing, undefined_scores

    chooses = result.choose_by
    measured = [f"validation_{chooses}", *(f"test_{name}" for name in result.shown_scores)]
    titles = [f"validation {NAMES[chooses]}", *(f"test {NAMES[n]}" for n in result.shown_scores)]
    header = ["backend", "eta", "lmbd", *titles, "networks"]
    rows = []
    best = result.best().set_index("backend")
    for backend in result.backends:
        counts = result.of(backend)["status"].value_counts()
        networks = ", ".join(f"{number} {status}" for status, number in counts.items())
        if backend in best.index:
            row = best.loc[backend]
            scores = [f"{row[column]:.4f}".replace("nan", "undefined") for column in measured]
            rows.append([backend, f"{row['eta']:g}", f"{row['lmbd']:g}", *scores, networks])
        else:
            rows.append([backend, "-", "-", *("-" for _ in measured), networks])
    numeric = [False, True, True, *(True for _ in measured), False]
    show_table(out, header, rows, numeric, f"Chosen on validation {NAMES[chooses]}")
    if len(result.shown_scores) > 1:
        share = f"{100 * result.largest_class:.1f} %"
        out.print(
            f"naming the largest class alone is right in {share} of the samples", highlight=False
        )
    for line in (*undefined_scores(result), *learnt_nothing(result)):
        out.print(line, highlight=False, style="yellow")
    for line in agreement_words(result):
        out.print(line, highlight=False)
    for note in result.manifest.get("notes", []):
        out.print(f"note: {note}", highlight=False)


def _print_folds(experiment: Experiment, settings: Mapping[str, Any], out: Console) -> None:
    """What the folds mean for the number of repeats, and the repeats for the folds."""
    if experiment.folds and "repeats" not in settings:
        out.print(
            f"repeats = {experiment.repeats}: with folds and no repeats given, every fold tests once",
            highlight=False,
        )
    elif experiment.folds and experiment.repeats < experiment.folds:
        out.print(
            f"{experiment.repeats} of {experiment.folds} folds tested; all with --repeats "
            f"{experiment.folds}",
            highlight=False,
        )


def _print_next(result: Result, out: Console) -> None:
    """What a person may want to know next, and the command that tells."""
    experiment = result.experiment
    if not result.complete or "://" in result.address:
        return
    lines = [("see it", "open that page in a browser")]
    if experiment.draws == "seed":
        config = quote(f"{result.address.rstrip('/')}/experiment.toml")
        lines += [("prove it", f"python -m harness parity --config {config}")]
    if experiment.repeats == 1:
        lines += [("how sure", "the same command with --repeats 10")]
    for question, answer in lines:
        out.print(f"{question + ':':<13}{answer}", highlight=False, soft_wrap=True)


def _failures(result: Result) -> list[tuple[str, str, int]]:
    """What did not run, as (status, backend and reason, networks); most frequent first."""
    from harness.training.status import BROKEN

    bad = result.records[result.records["status"].isin(BROKEN)]
    keys = zip(bad["status"], bad["backend"], bad["reason"], strict=True)
    counts = Counter((str(s), f"{backend}: {reason}") for s, backend, reason in keys)
    return [(status, reason, number) for (status, reason), number in counts.most_common()]
