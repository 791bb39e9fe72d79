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

    def place(self, unit: Unit) -> str:
        """What a unit's backend is looked up by; one name may stand for another at another point."""
        return self.given[unit.point][0].place(unit.backend)

    @property
    def device(self) -> str:
        """``gpu`` if any unit is trained on one."""
        trained = {(unit.point, unit.backend) for unit in self.units}
        devices = {self.given[point][0].recipe(name).device for point, name in trained}
        return "gpu" if "gpu" in devices else "cpu"

    @property
    def workers(self) -> int:
        """How many there are to be at once; one where there is a GPU to share."""
        return 1 if self.device == "gpu" else min(self.execution.jobs, len(self.units))

    @property
    def places(self) -> set[str]:
        """What the units' backends are looked up by."""
        return {self.place(unit) for unit in self.units}
