"""How an experiment is carried out: nothing here changes a result."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import model_validator

from harness.errors import InputError
from harness.experiment.setting import EXECUTION, Settings, Switch, setting


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_MOST = 1024  # workers or threads; beyond that it is a mistyped number


class Execution(Settings):
    """Workers, threads, limits and the place of the run folder.

    ``output`` is a directory or an fsspec address such as ``s3://bucket/runs``; ``name`` the run's
    folder in it, by default made from the experiment, so that the same command finds it again.
    """

    executor: Literal["serial", "processes", "dask"] = setting(
        "processes", "Who trains: {choices}; serial is this process itself.", EXECUTION
    )
    jobs: int = setting(
        cores,
        "Worker processes; 1 for clean timings. Default: all cores.",
        EXECUTION,
        ge=1,
        le=_MOST,
    )
    threads: int = setting(1, "Threads of each worker's libraries.", EXECUTION, ge=1, le=_MOST)
    unit_timeout: float | None = setting(
        None, "Seconds after which a unit of work is given up. Default: never.", EXECUTION, gt=0
    )
    scheduler: str | None = setting(
        None, "Address of a Dask scheduler, for --executor dask.", EXECUTION, metavar="ADDRESS"
    )
    output: str = setting(
        "results",
        "Where run folders go: a path or fsspec address.",
        EXECUTION,
        metavar="PLACE",
        min_length=1,
    )
    name: str | None = setting(
        None, "The run's folder. Default: made from the experiment.", EXECUTION, metavar="NAME"
    )
    fresh: Switch = setting(
        False, "Discard what the folder holds and start again.", EXECUTION, flag="--fresh"
    )

    keep_weights: Switch = setting(
        False,
        "Keep every network's final weights in the run folder (weights/*.npz); what was trained without "
        "is trained again.",
        EXECUTION,
        flag="--keep-weights",
    )

    @model_validator(mode="after")
    def _options_fit_the_executor(self) -> Self:
        if self.scheduler is not None and self.executor != "dask":
            raise InputError(f"scheduler: only with executor dask, found {self.executor}")
        if self.unit_timeout is not None and self.executor != "processes":
            raise InputError(f"unit_timeout: only with executor processes, found {self.executor}")
        if self.executor == "serial" and "jobs" in self.model_fields_set and self.jobs > 1:
            raise InputError(f"jobs: only 1 with executor serial, found {self.jobs}")
        return self
