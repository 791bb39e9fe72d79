"""How a run goes, on a terminal as bars, elsewhere as plain lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from harness.results.run_folder import RunFolder
    from harness.runner import Work
    from harness.training.units import UnitOutcome


# what takes seconds to load, before the first network is trained
_SLOW_TO_LOAD = {"tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch", "jax": "JAX"}
_EVERYTHING = "all"  # the row of all backends together


class Silent:
    """Says nothing but that a run was stopped."""

    def __init__(self, out: Console, jobs: int = 1) -> None:
        self.out, self.jobs = out, jobs
        self.done: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}  # of a network, by backend, once one is known

    def begin(self, work: Work, folder: RunFolder) -> None:
        self.done, self.total = Counter(), Counter()  # a check that goes on begins more than once
        for unit in work.units:
            self.total[unit.backend] += unit.size
            self.done[unit.backend] += unit.size if unit in work.done else 0
        self.at_first = self.done.total()

    def finished(self, outcome: UnitOutcome) -> None:
        unit, took = outcome.unit, outcome.timings
        self.done[unit.backend] += unit.size
        if took:
            work = took["train_seconds"] + took["evaluate_seconds"]
            self.seconds[unit.backend] = work / unit.size

    def interrupted(self) -> None:
        self.out.print(
            f"stopped with {self.done.total()} of {self.total.total()} networks finished and kept; "
            "the same command goes on from there",
            highlight=False,
        )

    def left(self) -> str:
        """An estimate of the time left, from what networks of each backend have taken so far.

        A backend that none is known of is taken to be as fast as the others are on average.
        """
        missing = self.total - self.done
        if not self.seconds or not missing:
            return ""
        typical = sum(self.seconds.values()) / len(self.seconds)
        work = sum(n * self.seconds.get(name, typical) for name, n in missing.items())
        return f"about {duration(work / self.jobs)} left"


def duration(seconds: float) -> str:
    """Seconds, or minutes where there are many."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Lines(Silent):
    """A line for every finished unit."""

    def begin(self, work: Work, folder: RunFolder) -> None:
        super().begin(work, folder)
        kept = f", {self.at_first} of them from before ({work.done_when})" if self.at_first else ""
        self._say(
            f"{self.total.total()} networks in {len(work.units)} units{kept}: {folder.address}"
        )
        if work.dataset.decisions:
            self._say(f"{work.dataset.name}: {'; '.join(work.dataset.decisions)}")
        for name, (status, reason) in work.reasons.items():
            self._say(f"{name}: {status}: {reason}")
        waiting = [work.backends[n] for n in self.total if self.done[n] < self.total[n]]
        modules = dict.fromkeys(module for backend in waiting for module in backend.modules)
        if slow := [_SLOW_TO_LOAD[module] for module in modules if module in _SLOW_TO_LOAD]:
            self._say(f"loading {' and '.join(slow)}, which takes some seconds")

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
