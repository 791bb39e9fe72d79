"""How far a run is: networks finished of each backend, and the time left; and a notebook's line of it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.results.run_folder import RunFolder
    from harness.training.units import UnitOutcome
    from harness.work import Work

_SECONDS = 0.1  # between two changes of a line, at least


class RunTally:
    """Counts what is finished; ``jobs``: how many units are carried out at once."""

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self.done: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.began: float | None = None  # when training did, and when it ended
        self.ended: float | None = None
        self.seconds: dict[str, float] = {}  # of a network, by backend, once one is known

    def begin(self, work: Work, folder: RunFolder) -> None:
        self.done, self.total = Counter(), Counter()  # a check that goes on begins more than once
        for unit in work.units:
            self.total[unit.backend] += unit.size
            self.done[unit.backend] += unit.size if unit in work.done else 0
        self.at_first = self.done.total()
        self.began = self.ended = time.perf_counter()

    def finished(self, outcome: UnitOutcome) -> None:
        unit, took = outcome.unit, outcome.timings
        self.ended = time.perf_counter()
        self.done[unit.backend] += unit.size
        if took:
            work = took["train_seconds"] + took["evaluate_seconds"]
            self.seconds[unit.backend] = work / unit.size

    def left(self) -> str:
        """An estimate of the time left, from what networks of each backend have taken so far.

        A backend that none is known of is taken to be as fast as the others are on average.
        """
        missing = self.total - self.done
        if not self.seconds or not missing:
            return ""
        typical = sum(self.seconds.values()) / len(self.seconds)
        work = sum(n * self.seconds.get(name, typical) for name, n in missing.items())
        return f"{about_duration(work / self.jobs)} left"


class NotebookLine(RunTally):
    """A line of text under a notebook's cell that changes while the run goes on."""

    def begin(self, work: Work, folder: RunFolder) -> None:
        super().begin(work, folder)
        self.place, self.trouble, self.shown = folder.address, "", 0.0
        self.line: Any = None
        self._show()

    def finished(self, outcome: UnitOutcome) -> None:
        super().finished(outcome)
        if outcome.status != "done":
            self.trouble = f" · {outcome.unit.backend} {outcome.status}: {outcome.reason}"
        if self.done == self.total or time.perf_counter() - self.shown > _SECONDS:
            self._show()

    def _show(self) -> None:
        assert self.began is not None
        assert self.ended is not None
        done, total = self.done.total(), self.total.total()
        told = [
            f"{name} {self.done[name]}/{n}" for name, n in self.total.items() if self.done[name] < n
        ]
        took = f"trained in {duration(self.ended - self.began)}" if done > self.at_first else ""
        parts = [f"{done} of {total} networks", *told, self.left()]
        if done == total:
            parts = [f"{total} networks", took or "all from before", self.place]
        text = {"text/plain": " · ".join(filter(None, parts)) + self.trouble}
        if self.line is None:
            show = sys.modules["IPython"].display.display
            self.line = show(text, raw=True, display_id=True)
        else:
            self.line.update(text, raw=True)
        self.shown = time.perf_counter()


def notebook_line(jobs: int = 1) -> NotebookLine | None:
    """A line for the notebook that this process is the kernel of; None elsewhere."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return NotebookLine(jobs) if getattr(shell, "kernel", None) is not None else None


def duration(seconds: float) -> str:
    """Seconds, or minutes, hours, days, years where there are many."""
    if seconds < 1:
        return "less than 1 s"
    units = (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48), ("days", 86400, 730))
    for unit, size, most in units:
        if seconds / size < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / (365 * 86400):,.0f} years"


def about_duration(seconds: float) -> str:
    """The same as an estimate."""
    return duration(seconds) if seconds < 1 else f"about {duration(seconds)}"
