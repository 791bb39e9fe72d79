"""A run or a study as a command carries it out: shown while it trains, reported, ended as it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from shlex import quote
from typing import TYPE_CHECKING, TypeVar

import typer

from harness.cli.places import unwritten_is_told
from harness.cli.progress import progress_display, told
from harness.cli.sections import tell_faults
from harness.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from harness.cli.waiting import Waiting
    from harness.document.writer import PageAddress
    from harness.results.result import Result
    from harness.runner import Progress
    from harness.study.study import StudyResult

_Trained = TypeVar("_Trained", bound="Result | StudyResult")


def train_and_report(
    train: Callable[[Progress, Callable[[_Trained], None]], _Trained],
    write: Callable[[_Trained], PageAddress],
    out: Console,
    waiting: Waiting,
    *,
    jobs: int,
    quiet: bool,
    saving: str = "saving",
) -> tuple[_Trained, PageAddress | None]:
    """What was trained, and its page; None for a page that could not be written, which is told.

    ``train`` is given what to tell of progress, and what to call with the result while its folder is still
    this command's. Ctrl-C ends the command as unfinished. ``saving``: what is done before the report.
    """
    pages: list[PageAddress] = []
    with (
        progress_display(out, jobs, quiet=quiet) as progress,
        nullcontext() if quiet else told(out),
    ):

        def report(result: _Trained) -> None:
            waiting.until(progress.began, "loading and planning")
            waiting.until(progress.ended, "training")
            waiting.until(time.perf_counter(), saving)
            with unwritten_is_told(f"the report of {result.address!r}"):
                pages.append(write(result))
            waiting.until(time.perf_counter(), "report")

        try:
            result = train(progress, report)
        except KeyboardInterrupt:
            progress.interrupted()
            raise typer.Exit(ExitCode.UNFINISHED) from None
    return result, pages[0] if pages else None


def show_page(page: PageAddress | None, out: Console, waiting: Waiting) -> None:
    """What was waited for, and where the page is."""
    out.print(waiting.words(), highlight=False, soft_wrap=True)
    out.print(f"report: {page or 'none'}", highlight=False, soft_wrap=True)


def end_unless_whole(result: Result | StudyResult, page: PageAddress | None) -> None:
    """Nothing; the end of the command, as unfinished, if networks, the page or a part of it are lacking."""
    from harness.training.status import TRAINED

    faults = page.faults if page is not None else ()
    lacking = tell_faults(faults, f"report {quote(result.address)}")
    trained = result.records["status"].isin(TRAINED).any()
    if lacking or page is None or not result.complete or not trained:
        raise typer.Exit(ExitCode.UNFINISHED)
