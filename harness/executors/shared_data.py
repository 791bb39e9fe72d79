"""The data once in memory: placed where worker processes map it, as it is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.encoding import fitted_encoder
from harness.data.scaling import scaled_pieces
from harness.data.shared_memory import memory_of, shared_array
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.training.units import varies_split


def shared(dataset: Dataset, experiment: Experiment) -> Dataset:
    """The same data, its features in memory that :class:`MappedDataset` opens in another process.

    They are in the dtype that is trained on, encoded and scaled, unless each repeat does that by a training
    part of its own: then they are as they came.
    """
    if varies_split(experiment) and (experiment.scale != "none" or not dataset.plain):
        return replace(dataset, x=_in_shared_memory(dataset.x), digest=dataset.sha256)
    split = split_rows(dataset, experiment)
    encoder = fitted_encoder(dataset, split, experiment)
    pieces = scaled_pieces(dataset, encoder, split, experiment)
    if pieces is None:
        x = _in_shared_memory(dataset.x)
    else:
        x = shared_array(pieces, experiment.dtype, (len(dataset.x), len(encoder.inputs)))
    return replace(
        dataset,
        x=x,
        features=encoder.inputs,
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


def _in_shared_memory(x: NDArray[Any]) -> np.memmap[Any, Any]:
    """The same array in shared memory: itself if it lies there, or a copy."""
    found = memory_of(x)
    return shared_array([np.ascontiguousarray(x)], x.dtype, x.shape) if found is None else found
