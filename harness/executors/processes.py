"""Worker processes on this machine, one unit each at a time.

A worker keeps the libraries that it has imported and is given units of the same backends; one that dies
or overruns its time limit costs only the unit it held.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory

from backends.frameworks import (
    collect_less,
    keep_temporary_files_in,
    set_device,
    set_threads,
)
from backends.registry import UnusableBackend, find
from harness.data.dataset import Dataset
from harness.executors.fork import die_with_parent, leave_signals_to_parent
from harness.executors.job import Job
from harness.executors.shared_data import MappedDataset
from harness.executors.worker_server import require_main_guard, script_hidden, worker_context
from harness.experiment.experiment import Experiment
from harness.training.status import Status
from harness.training.units import Unit, UnitOutcome

TRIES = 2  # of a unit whose worker died
BEGUN = "begun"  # what a worker says of a unit before it sends the outcome


def run_in_processes(job: Job) -> Iterator[UnitOutcome]:
    """Outcomes as units finish; at most ``jobs`` at once, each library imported by few workers."""
    places = job.places
    require_main_guard(places)
    modules = {place: _modules(place) for place in places}
    # of each experiment the long ones first, of these the slow starters
    pending = sorted(job.units, key=lambda u: (u.point, -u.size, -len(modules[job.place(u)])))
    tries = dict.fromkeys(job.units, 0)
    with ExitStack() as stack:
        temporary = stack.enter_context(temporary_folder())
        workers = [_Worker(job, temporary) for _ in range(job.workers)]
        for worker in workers:
            stack.callback(worker.end)

        def occupy(worker: _Worker) -> None:
            """Give a worker that holds no unit the next, if there is one."""
            if pending and worker.unit is None:
                unit = _choose(job, pending, worker, workers, modules)
                pending.remove(unit)
                tries[unit] += 1
                worker.give(unit, modules[job.place(unit)])

        while pending or any(worker.unit for worker in workers):
            for worker in workers:
                occupy(worker)
            for worker in _with_news(workers):
                held = worker.unit
                assert held is not None
                try:
                    outcome = worker.outcome()
                except _WorkerDied as death:
                    if tries[held] < TRIES:
                        pending.insert(0, held)
                        continue
                    reason = f"its worker process died {tries[held]} times ({death})"
                    outcome = UnitOutcome(held, Status.FAILED, reason)
                if outcome is not None:
                    occupy(worker)  # so that it works while the outcome is saved
                    yield outcome


def temporary_folder() -> TemporaryDirectory[str]:
    """A folder for the temporary files of workers, who may be killed: removed whole on leaving it."""
    return TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True)


class _WorkerDied(Exception):
    """A worker ended by itself or was killed; says how."""


class _Worker:
    """A process that carries out units, one at a time; there is none before the first, or after a death."""

    def __init__(self, job: Job, temporary: str) -> None:
        self.job, self.temporary = job, temporary
        self.process: BaseProcess | None = None
        self.unit: Unit | None = None
        self.point: int | None = None  # whose experiment and data it has
        self.deadline: float | None = None
        self.loaded: set[str] = set()  # the modules it has imported

    def give(self, unit: Unit, modules: tuple[str, ...]) -> None:
        """Have the process carry out a unit."""
        if self.process is None:
            self._start()
        self.unit = unit
        self.loaded.update(modules)
        given = None
        if unit.point != self.point:
            experiment, dataset = self.job.given[unit.point]
            given, self.point = (experiment, MappedDataset.of(dataset)), unit.point
        with suppress(OSError):  # it has just died, as will be seen
            self.connection.send((unit, given))

    def _start(self) -> None:
        context, job = worker_context(), self.job
        self.connection, end = context.Pipe()
        given = (end, job.execution.threads, job.device, job.log, self.temporary)
        self.process = context.Process(target=_carry_out_units, args=given)  # type: ignore[attr-defined]
        with script_hidden(job.places):
            self.process.start()
        end.close()

    def outcome(self) -> UnitOutcome | None:
        """What became of the unit; None while the process is at it. Raises ``_WorkerDied``."""
        assert self.process is not None
        assert self.unit is not None
        dead, unit, limit = not self.process.is_alive(), self.unit, self.job.execution.unit_timeout
        if self.connection.poll():
            try:
                message: UnitOutcome | str = self.connection.recv()
            except (EOFError, OSError):
                raise _WorkerDied(self.end(grace=1.0)) from None
            if isinstance(message, UnitOutcome):
                self.unit = self.deadline = None
                return message
            self.deadline = None if limit is None else time.monotonic() + limit
        elif dead:
            raise _WorkerDied(self.end())
        elif self.deadline is not None and time.monotonic() >= self.deadline:
            self.end()
            return UnitOutcome(unit, Status.TIMEOUT, f"took longer than {limit:g} s")
        return None

    def end(self, grace: float = 0.0) -> str:
        """End the process, if there is one, after a grace in seconds; how it ended, for a person."""
        if self.process is None:
            return ""
        if not wait([self.process.sentinel], grace):
            self.process.kill()
        self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        self.process = self.unit = self.point = self.deadline = None
        self.loaded.clear()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _with_news(workers: list[_Worker]) -> list[_Worker]:
    """The workers that hold a unit, once one of them has something to say, has died, or is out of time."""
    busy = [worker for worker in workers if worker.unit is not None]
    deadlines = [worker.deadline for worker in busy if worker.deadline is not None]
    patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
    signs = [sign for w in busy if w.process for sign in (w.connection, w.process.sentinel)]
    wait(signs, patience)
    return busy


def _choose(
    job: Job,
    pending: list[Unit],
    worker: _Worker,
    workers: list[_Worker],
    modules: dict[str, tuple[str, ...]],
) -> Unit:
    """The next unit for a worker: one whose modules it has, else one whose modules nobody has."""
    elsewhere = set().union(*(other.loaded for other in workers if other is not worker))
    ready = {place for place, own in modules.items() if own and set(own) <= worker.loaded}
    fresh = {place for place, own in modules.items() if not set(own) & elsewhere}
    choices = (next((u for u in pending if job.place(u) in own), None) for own in (ready, fresh))
    return next(filter(None, choices), pending[0])


def _modules(place: str) -> tuple[str, ...]:
    try:
        return find(place).modules
    except UnusableBackend:
        return ()


def _carry_out_units(
    connection: Connection, threads: int, device: str, log: str | None, temporary: str
) -> None:
    """What a worker process does: units as they come, until nobody asks for another.

    With a unit of another experiment than the one before come that experiment and its data.
    """
    leave_signals_to_parent()
    set_threads(threads)
    set_device(device)
    collect_less()
    keep_temporary_files_in(temporary)
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(target, number)
    threading.Thread(target=die_with_parent, args=(temporary,), daemon=True).start()
    # imported here, after the thread counts are set
    from threadpoolctl import threadpool_limits

    from harness.training.run_unit import run_unit

    unit: Unit
    given: tuple[Experiment, Dataset | MappedDataset] | None
    with suppress(EOFError):
        while True:
            unit, given = connection.recv()
            connection.send(BEGUN)
            if given is not None:
                experiment, data = given
                dataset = data.open() if isinstance(data, MappedDataset) else data
            with threadpool_limits(threads):
                outcome = run_unit(unit, experiment, dataset, log)
            connection.send(outcome)
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
