"""The data once in memory: placed where worker processes map it, as it is trained on.

On Linux that is a file without a name, held by this process alone, which is gone with it however it ends;
elsewhere a temporary file, removed at the end.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.encoding import encoded
from harness.data.scaling import scaled
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.training.units import varies_split


def shared(dataset: Dataset, experiment: Experiment) -> Dataset:
    """The same data, its features in memory that :class:`MappedDataset` opens in another process.

    They are in the dtype that is trained on, encoded and scaled, unless each repeat does that by a training
    part of its own: then they are as they came.
    """
    if varies_split(experiment) and (experiment.scale != "none" or not dataset.plain):
        return replace(dataset, x=_shared_copy(dataset.x), digest=dataset.sha256)
    split = split_rows(dataset, experiment)
    x, inputs = scaled(dataset, split, experiment), encoded(dataset, split, experiment)[1]
    return replace(
        dataset,
        x=_shared_copy(x),
        features=inputs,
        categories=(),
        as_trained=True,
        digest=dataset.sha256,
    )


@dataclass(frozen=True)
class MappedDataset:
    """A data set on its way to another process: all but its features, and where those are mapped."""

    rest: Dataset
    address: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> MappedDataset | Dataset:
        """What to send; a data set that is not shared is sent whole."""
        x = dataset.x
        if not isinstance(x, np.memmap) or not x.filename:
            return dataset
        return cls(replace(dataset, x=np.empty((0, 0))), str(x.filename), x.dtype.str, x.shape)

    def open(self) -> Dataset:
        """The data set, its features read-only and in the sender's memory."""
        x: Any = np.memmap(self.address, self.dtype, mode="r", shape=self.shape)
        return replace(self.rest, x=x)


def _shared_copy(x: NDArray[Any]) -> np.memmap[Any, Any]:
    """The same array in memory that other processes can map by its ``filename``, read-only."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("harness")
        address = f"/proc/{os.getpid()}/fd/{descriptor}"
        forget: Callable[[], None] = partial(os.close, descriptor)
    else:
        descriptor, address = tempfile.mkstemp(prefix="harness-")
        os.close(descriptor)
        forget = partial(os.remove, address)
    with open(address, "wb") as file:
        x.tofile(file)
    array: Any = np.memmap(address, x.dtype, mode="r", shape=x.shape)
    weakref.finalize(array, forget)
    return array
