"""One unit after the other in this process: for debugging, and for scripts without a main guard."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from harness.executors.job import Job
from harness.executors.threads import fewer_threads
from harness.training.run_unit import run_unit
from harness.training.units import UnitOutcome, failed_by


def run_serially(job: Job) -> Iterator[UnitOutcome]:
    """Outcomes in the order of the units. No time limit holds: nothing could enforce it here.

    A TensorFlow that was imported before keeps the number of threads it was imported with.
    """
    # a thread of its own keeps whatever a unit raises with the unit
    with (
        fewer_threads(job.execution.threads),
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        for unit in job.units:
            future = thread.submit(run_unit, unit, job.experiment, job.dataset)
            error = future.exception()
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise error
            yield future.result() if error is None else failed_by(unit, error)
