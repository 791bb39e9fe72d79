"""The executors by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from harness.executors.job import Job, Outcome

_PLACES = {
    "serial": "harness.executors.serial",
    "processes": "harness.executors.processes",
    "dask": "harness.executors.dask",
}


def executor(name: str) -> Callable[[Job], Iterator[Outcome]]:
    """The executor of this name."""
    execute: Callable[[Job], Iterator[Outcome]] = importlib.import_module(_PLACES[name]).execute
    return execute


def prepare_executor(name: str) -> None:
    """Let the executor begin what takes long to start, before the work is known; cheap and repeatable."""
    if name == "processes":
        from harness.executors.worker_server import start

        start()
