"""Scaling, by the statistics of the training part alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.encoding import Encoder, fitted_encoder
from harness.data.split import Split
from harness.experiment.experiment import Experiment

_AT_ONCE = 2**21  # numbers of some columns that are looked at together, 16 MiB in float64
_ROWS_AT_ONCE = 2**17  # numbers of some rows that are scaled together, which stay in the cache
_ROUND_OFF = 1e-14  # of a value: a feature that varies no more is constant


def scaled(dataset: Dataset, split: Split, experiment: Experiment) -> NDArray[np.floating]:
    """All samples, scaled by the training part's statistics, in the experiment's dtype.

    Missing values are filled in and categories encoded before (:mod:`harness.data.encoding`). Without scaling
    the result may be the data set's own array.
    """
    encoder = fitted_encoder(dataset, split, experiment)
    pieces = scaled_pieces(dataset, encoder, split, experiment)
    if pieces is None:
        return dataset.x
    result, first = np.empty((len(dataset.x), len(encoder.inputs)), experiment.dtype), 0
    for piece in pieces:
        result[first : first + len(piece)] = piece
        first += len(piece)
    return result


def scaled_pieces(
    dataset: Dataset, encoder: Encoder, split: Split, experiment: Experiment
) -> Iterator[NDArray[np.floating]] | None:
    """Samples encoded and scaled, some rows after others; None where they are what is trained on already.

    Values are rounded to float32 first, so that both precisions train on the same numbers. A feature that is
    constant in the training part, but for round-off, is only shifted.
    """
    x, scaling = dataset.x, experiment.scale != "none"
    ready = not scaling and dataset.plain and experiment.dtype == "float32" == x.dtype.name
    if dataset.as_trained or ready:
        return None
    if dataset.plain:
        return _pieces(x, None, split, experiment)
    if scaling:
        return _pieces(encoder.transform(x), None, split, experiment)
    return _pieces(x, encoder, split, experiment)


def _pieces(
    x: NDArray[Any], encoder: Encoder | None, split: Split, experiment: Experiment
) -> Iterator[NDArray[np.floating]]:
    """Rows encoded, if there is an encoder, and scaled."""
    scale = None if experiment.scale == "none" else _column_scales(x, split, experiment)
    inputs = len(encoder.inputs) if encoder else x.shape[1]
    for rows in _stretches(len(x), max(1, _ROWS_AT_ONCE // inputs)):
        some = encoder.transform(x[rows]) if encoder else x[rows]
        if scale is not None:
            some = (some - scale[0]) / scale[1]
        yield some.astype(np.float32, copy=False).astype(experiment.dtype, copy=False)


def _stretches(total: int, size: int) -> list[slice]:
    return [slice(first, first + size) for first in range(0, total, size)]


def _column_scales(
    x: NDArray[Any], split: Split, experiment: Experiment
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """:func:`_scale` of the training part in float64, some columns at a time: it may be large."""
    together = max(1, _AT_ONCE // len(split.train))
    scales = [
        _scale(x[split.train, columns].astype(np.float64), experiment)
        for columns in _stretches(x.shape[1], together)
    ]
    shifts, widths = zip(*scales, strict=True)
    return np.concatenate(shifts), np.concatenate(widths)


def target_scale(dataset: Dataset, split: Split, experiment: Experiment) -> tuple[float, float]:
    """What is subtracted from real targets before training, and what they are then divided by.

    The same scaling as the features': a target in the hundred thousands would otherwise want other
    learning rates than one around 1. (0, 1) for classes.
    """
    if dataset.classes:
        return 0.0, 1.0
    shift, width = _scale(dataset.y[split.train], experiment)
    return float(shift), float(width)


def _scale(
    train: NDArray[Any], experiment: Experiment
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift and width of each column of the training part; width 1 where it is constant."""
    if experiment.scale == "standard":
        shift, width = train.mean(axis=0), train.std(axis=0)
    elif experiment.scale == "minmax":
        shift, width = train.min(axis=0), np.ptp(train, axis=0)
    else:
        return np.zeros(train.shape[1:]), np.ones(train.shape[1:])
    low, high = train.min(axis=0).astype(np.float64), train.max(axis=0).astype(np.float64)
    constant = high - low <= _ROUND_OFF * np.maximum(np.abs(low), np.abs(high))
    return np.where(constant, low, shift), np.where(constant, 1.0, width)
