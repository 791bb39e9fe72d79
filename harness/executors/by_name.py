"""The executors by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from harness.executors.job import Job
from harness.experiment.execution import Execution
from harness.training.units import UnitOutcome

_PLACES = {
    "serial": "harness.executors.serial:run_serially",
    "processes": "harness.executors.processes:run_in_processes",
    "dask": "harness.executors.dask:run_on_dask",
}


def executor(name: str) -> Callable[[Job], Iterator[UnitOutcome]]:
    """The executor of this name."""
    module, _, function = _PLACES[name].partition(":")
    execute: Callable[[Job], Iterator[UnitOutcome]] = getattr(
        importlib.import_module(module), function
    )
    return execute


def prepare_executor(name: str) -> None:
    """Let the executor begin what takes long to start, before the work is known; cheap and repeatable."""
    if name == "processes":
        from harness.executors.worker_server import start

        start()


def check_executor(execution: Execution) -> None:
    """Nothing; :class:`~harness.errors.InputError` if there is nobody to carry units out.

    Asked before anything is written.
    """
    if execution.executor == "dask":
        from harness.executors.dask import check_scheduler

        check_scheduler(execution.scheduler)
