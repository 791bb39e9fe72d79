"""Who carries out units of work: this process, worker processes, or a Dask cluster.

An executor is a function from a job to outcomes, in the order in which units finish. Closing the
iterator stops the work. Whatever a unit raises comes back as its outcome.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness.data import Dataset
    from harness.execution import Execution
    from harness.experiment import Experiment
    from harness.units import Unit


@dataclass(frozen=True)
class Job:
    """Units to carry out, and all that a worker needs for them. ``log``: where chatter goes."""

    units: tuple[Unit, ...]
    experiment: Experiment
    dataset: Dataset
    execution: Execution
    log: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a unit: ``done`` with its rows and timings, ``failed`` or ``timeout`` with a reason."""

    unit: Unit
    status: str
    reason: str = ""
    rows: pd.DataFrame | None = None
    timings: dict[str, float] = field(default_factory=dict)


def of_exception(unit: Unit, error: BaseException) -> Outcome:
    """The outcome of a unit that raised."""
    message = " ".join(str(error).split()) or "no message"
    return Outcome(unit, "failed", f"{type(error).__name__}: {message}")


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
        from harness.executors.server import start

        start()
