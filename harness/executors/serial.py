"""One unit after the other in this process: for debugging, and for scripts without a main guard.

Thread counts are those of the libraries as this process loaded them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from harness.executors.job import Job, Outcome, of_exception
from harness.training.run_unit import run_unit


def execute(job: Job) -> Iterator[Outcome]:
    """Outcomes in the order of the units. No time limit holds: nothing could enforce it here."""
    # a thread of its own keeps whatever a unit raises with the unit
    with ThreadPoolExecutor(max_workers=1) as thread:
        for unit in job.units:
            future = thread.submit(run_unit, unit, job.experiment, job.dataset)
            error = future.exception()
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise error
            if error is not None:
                yield of_exception(unit, error)
            else:
                rows, timings = future.result()
                yield Outcome(unit, "done", rows=rows, timings=timings)
