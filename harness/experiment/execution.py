"""How an experiment is carried out: nothing here changes a result."""

from __future__ import annotations

import os
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Execution(BaseModel):
    """Workers, threads, limits and the place of the run folder.

    ``output`` is a directory or an fsspec address such as ``s3://bucket/runs``; ``name`` the run's
    folder in it, by default made from the experiment, so that the same command finds it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    executor: Literal["serial", "processes", "dask"] = "processes"
    jobs: Annotated[int, Field(ge=1)] = Field(default_factory=cores)
    threads: Annotated[int, Field(ge=1)] = 1
    unit_timeout: Annotated[float, Field(gt=0)] | None = None
    scheduler: str | None = None
    output: str = "results"
    name: str | None = None
    fresh: bool = False

    @model_validator(mode="after")
    def _options_fit_the_executor(self) -> Self:
        if self.scheduler is not None and self.executor != "dask":
            raise ValueError(f"scheduler: only with executor dask, found {self.executor}")
        if self.unit_timeout is not None and self.executor != "processes":
            raise ValueError(f"unit_timeout: only with executor processes, found {self.executor}")
        return self
