"""What an executor is given.

An executor is a function from a job to outcomes, in the order in which units finish. Closing the
iterator stops the work. Whatever a unit raises comes back as its outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.data.dataset import Dataset
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.training.units import Unit


@dataclass(frozen=True)
class Job:
    """Units to carry out, and all that a worker needs for them. ``log``: where chatter goes.

    ``given``: the experiment and its data for each ``point`` that a unit is of.
    """

    units: tuple[Unit, ...]
    given: Mapping[int, tuple[Experiment, Dataset]]
    execution: Execution
    log: str | None = None
