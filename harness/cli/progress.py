"""How a run goes, on a terminal as bars, elsewhere as plain lines."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from harness.cli.interruption import tell_stopped
from harness.report.run_tally import RunTally, about_duration

if TYPE_CHECKING:
    from harness.experiment.experiment import Experiment
    from harness.results.run_folder import RunFolder
    from harness.training.units import UnitOutcome
    from harness.work import Work


# what takes seconds to load, before the first network is trained
_SLOW_TO_LOAD = {"tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch", "jax": "JAX"}
_SHOWN = 10  # values of an axis
_EVERYTHING = "all"  # the row of all backends together


class Silent(RunTally):
    """Says nothing but that a run was stopped."""

    def __init__(self, out: Console, jobs: int = 1) -> None:
        super().__init__(jobs)
        self.out = out

    def interrupted(self) -> None:
        if not self.total:
            tell_stopped("stopped before the first network was trained", sys.stdout)
            return
        tell_stopped(
            f"stopped with {self.done.total()} of {self.total.total()} networks finished and kept; "
            "the same command goes on from there",
            sys.stdout,
        )


def grid_words(experiment: Experiment) -> str:
    """The values of eta and lmbd, as they were understood; the first and the last of many."""
    axes = {"eta": experiment.eta, "lmbd": experiment.lmbd}
    told = []
    for name, values in axes.items():
        shown = [f"{value:g}" for value in values]
        if len(shown) > _SHOWN:
            shown = [*shown[: _SHOWN - 1], "...", shown[-1]]
        told.append(f"{name} {', '.join(shown)}")
    return "; ".join(told)


class Steps:
    """Work done in a known number of steps: says of each which of how many it is, and what time is left.

    The first ``loading`` steps say nothing of how long the others will take.
    """

    def __init__(self, total: int, loading: int = 0) -> None:
        self.total, self.loading, self.begun = total, loading, 0
        self.first = 0.0

    def __call__(self, what: str) -> str:
        """The words for the step that begins now; those that are unforeseen have no number."""
        if self.begun == self.loading:
            self.first = time.perf_counter()
        self.begun += 1
        if self.begun > self.total:
            return what
        done, left = self.begun - 1 - self.loading, ""
        if done > 0:
            took = time.perf_counter() - self.first
            left = f", {about_duration(took / done * (self.total - self.begun + 1))} left"
        return f"{what} ({self.begun} of {self.total}{left})"


@contextmanager
def status_line(out: Console, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """What to call with the words of a line that changes, on a terminal; elsewhere they are not shown.

    The line has no thread that would turn a spinner: a process forks only where it has none.
    """
    if quiet or not out.is_terminal:
        yield lambda words: None
        return
    with Live(console=out, auto_refresh=False, transient=True) as live:
        yield lambda words: live.update(Text(f"{words} ..."), refresh=True)


@contextmanager
def told_steps(
    out: Console, what: str, *, quiet: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """What to call with the number of a step and how many there are, before it begins.

    On a terminal one line that changes; elsewhere ``what`` once.
    """
    steps: list[Steps] = []
    with status_line(out, quiet=quiet) as say:

        def begin(number: int, total: int) -> None:
            if number == 1:
                steps.append(Steps(total))
            say(steps[-1](what))
            if number == 1 and len(steps) == 1 and not (quiet or out.is_terminal):
                out.print(f"{what} ...", highlight=False)

        yield begin


def loading_words(modules: Iterable[str]) -> str:
    """What of these modules takes seconds to load, in words; empty if none does."""
    slow = [_SLOW_TO_LOAD[m] for m in dict.fromkeys(modules) if m in _SLOW_TO_LOAD]
    return f"loading {' and '.join(slow)}, which takes some seconds" if slow else ""


class Lines(Silent):
    """A line for every finished unit."""

    def begin(self, work: Work, folder: RunFolder) -> None:
        super().begin(work, folder)
        kept = f", {self.at_first} of them from before ({work.done_when})" if self.at_first else ""
        self._say(
            f"{self.total.total()} networks in {len(work.units)} units{kept}: {folder.address}"
        )
        self._say(grid_words(work.experiment))
        if work.dataset.decisions:
            self._say(f"{work.dataset.name}: {'; '.join(work.dataset.decisions)}")
        for name, (status, reason) in work.reasons.items():
            self._say(f"{name}: {status}: {reason}")
        waiting = [work.backends[n] for n in self.total if self.done[n] < self.total[n]]
        if words := loading_words(module for backend in waiting for module in backend.modules):
            self._say(words)

    def finished(self, outcome: UnitOutcome) -> None:
        super().finished(outcome)
        name = outcome.unit.backend
        trouble = "" if outcome.status == "done" else f" {outcome.status}: {outcome.reason}"
        self._say(f"{name} {self.done[name]}/{self.total[name]}{trouble}  {self.left()}")

    def _say(self, line: str) -> None:
        self.out.print(line.rstrip(), highlight=False, soft_wrap=True, markup=False)


class _Clock(TimeElapsedColumn):
    """The time since the beginning, in the row of everything: when a backend begins is not known here."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["clock"] else Text("")


class Bars(Lines):
    """A bar for every backend and one for all, with the time since the beginning and the time left."""

    def __init__(self, out: Console, jobs: int = 1) -> None:
        super().__init__(out, jobs)
        self.bars = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Clock(),
            TextColumn("{task.fields[left]}"),
            console=out,
        )

    def begin(self, work: Work, folder: RunFolder) -> None:
        super().begin(work, folder)
        self.tasks = {
            name: self.bars.add_task(
                name, total=total, completed=self.done[name], left="", clock=False
            )
            for name, total in self.total.items()
        }
        self.everything = self.bars.add_task(
            _EVERYTHING, total=self.total.total(), completed=self.at_first, left="", clock=True
        )
        self.bars.start()
        self._end_when_done()

    def finished(self, outcome: UnitOutcome) -> None:
        Silent.finished(self, outcome)
        name = outcome.unit.backend
        if outcome.status != "done":
            self._say(f"{name} {outcome.status}: {outcome.reason}")
        self.bars.update(self.tasks[name], completed=self.done[name])
        self.bars.update(self.everything, completed=self.done.total(), left=self.left())
        self._end_when_done()

    def _end_when_done(self) -> None:
        """Leave the bars standing and their thread behind: what follows has words of its own."""
        if self.done == self.total:
            self.bars.stop()


@contextmanager
def progress_display(out: Console, jobs: int = 1, *, quiet: bool) -> Iterator[Silent]:
    """The display that fits where ``out`` goes."""
    if quiet:
        yield Silent(out, jobs)
    elif not out.is_terminal:
        yield Lines(out, jobs)
    else:
        display = Bars(out, jobs)
        try:
            yield display
        finally:
            display.bars.stop()


class _Told(logging.Handler):
    """Prints what the harness logs as a line."""

    def __init__(self, out: Console) -> None:
        super().__init__(logging.INFO)
        self.out = out

    def emit(self, record: logging.LogRecord) -> None:
        self.out.print(record.getMessage(), highlight=False, soft_wrap=True, markup=False)


@contextmanager
def told(out: Console) -> Iterator[None]:
    """Print what parts of the harness that take their time log of their progress."""
    logger, handler = logging.getLogger("harness"), _Told(out)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
