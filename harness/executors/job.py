"""What an executor is given, and what it gives back.

An executor is a function from a job to outcomes, in the order in which units finish. Closing the
iterator stops the work. Whatever a unit raises comes back as its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from harness.data.dataset import Dataset
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.training.units import Unit


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
