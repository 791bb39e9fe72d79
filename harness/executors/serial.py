"""One unit after the other in this process: for debugging, and for scripts without a main guard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from backends.error_words import error_words
from backends.process_state import own_thread
from harness.executors.job import Job
from harness.executors.threads import fewer_threads
from harness.training.run_unit import run_unit
from harness.training.status import Status
from harness.training.units import UnitOutcome


def run_serially(job: Job) -> Iterator[UnitOutcome]:
    """Outcomes in the order of the units. No time limit holds: nothing could enforce it here.

    A TensorFlow that was imported before keeps the number of threads it was imported with.
    """
    with fewer_threads(job.execution.threads):
        for unit in job.units:
            outcome, error = own_thread(partial(run_unit, unit, *job.given[unit.point], job.log))
            if error is not None:  # one that nothing could be done about inside, as MemoryError
                outcome = UnitOutcome(unit, Status.FAILED, error_words(error))
            assert outcome is not None
            yield outcome
