"""Worker processes on this machine, one unit each at a time.

Every slot is a pool of one process, so a unit can be given to the process that has its library loaded
already, and a process that dies or overruns its time limit costs only the unit it held.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

import pandas as pd
from pebble import ProcessExpired, ProcessPool

from backends.frameworks import collect_less, set_threads
from backends.registry import UnusableBackend, find
from harness.data.dataset import Dataset
from harness.executors.job import Job, Outcome, of_exception
from harness.executors.worker_server import worker_context
from harness.experiment.experiment import Experiment
from harness.training.units import Unit

TRIES = 2  # of a unit whose worker died


@dataclass
class _Slot:
    """One worker process and the modules that it has imported."""

    pool: ProcessPool
    loaded: set[str] = field(default_factory=set)


def execute(job: Job) -> Iterator[Outcome]:
    """Outcomes as units finish; at most ``jobs`` at once, each library imported by few workers."""
    context = worker_context()
    slots = [
        _Slot(
            ProcessPool(
                max_workers=1,
                context=context,
                initializer=_start_worker,
                initargs=(job.execution.threads, job.log, job.experiment, job.dataset),
            )
        )
        for _ in range(min(job.execution.jobs, len(job.units)))
    ]
    modules = {name: _modules(name) for name in {unit.backend for unit in job.units}}
    # long ones first, of these the slow starters
    pending = sorted(job.units, key=lambda u: (-u.size, -len(modules[u.backend])))
    tries = dict.fromkeys(job.units, 0)
    running: dict[Future[tuple[pd.DataFrame, dict[str, float]]], tuple[_Slot, Unit]] = {}
    try:
        while pending or running:
            busy = [slot for slot, _ in running.values()]
            for slot in (s for s in slots if s not in busy):
                if not pending:
                    break
                unit = _choose(pending, slot, [s for s in slots if s is not slot], modules)
                pending.remove(unit)
                tries[unit] += 1
                slot.loaded |= set(modules[unit.backend])
                future = slot.pool.schedule(_work, args=(unit,), timeout=job.execution.unit_timeout)
                running[future] = (slot, unit)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                slot, unit = running.pop(future)
                error = future.exception()
                if isinstance(error, ProcessExpired | MemoryError | TimeoutError):
                    slot.loaded.clear()
                    if not isinstance(error, TimeoutError) and tries[unit] < TRIES:
                        pending.insert(0, unit)
                        continue
                yield _outcome(future, unit, job.execution.unit_timeout, tries[unit])
    finally:
        for slot in slots:
            slot.pool.stop()
        for slot in slots:
            slot.pool.join()


def _outcome(
    future: Future[tuple[pd.DataFrame, dict[str, float]]],
    unit: Unit,
    limit: float | None,
    tries: int,
) -> Outcome:
    error = future.exception()
    if error is None:
        rows, timings = future.result()
        return Outcome(unit, "done", rows=rows, timings=timings)
    if isinstance(error, TimeoutError):
        return Outcome(unit, "timeout", f"took longer than {limit:g} s")
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        how = (
            f"killed by {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        )
        return Outcome(unit, "failed", f"its worker process died {tries} times ({how})")
    return of_exception(unit, error)


def _choose(
    pending: list[Unit], slot: _Slot, others: list[_Slot], modules: dict[str, tuple[str, ...]]
) -> Unit:
    """The next unit for a slot: one whose modules it has, else one whose modules nobody has."""
    elsewhere = set().union(*(other.loaded for other in others))
    ready = [u for u in pending if set(modules[u.backend]) <= slot.loaded and modules[u.backend]]
    fresh = [u for u in pending if not set(modules[u.backend]) & elsewhere]
    return (ready or fresh or pending)[0]


def _modules(name: str) -> tuple[str, ...]:
    try:
        return find(name).modules
    except UnusableBackend:
        return ()


_given: tuple[Experiment, Dataset]


def _start_worker(threads: int, log: str | None, experiment: Experiment, dataset: Dataset) -> None:
    """Prepare a fresh process: threads, output into the log, interrupts left to the parent."""
    global _given
    _given = (experiment, dataset)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_threads(threads)
    collect_less()
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(target, stream.fileno())
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when the parent is gone, however that came about."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _work(unit: Unit) -> tuple[pd.DataFrame, dict[str, float]]:
    # imported here, after the thread counts are set
    from threadpoolctl import threadpool_limits

    from harness.training.run_unit import run_unit

    with threadpool_limits(int(os.environ["OMP_NUM_THREADS"])):
        return run_unit(unit, *_given)
