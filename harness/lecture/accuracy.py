"""Accuracies of networks that were trained side by side, in one stack."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.formulas import predict
from backends.network import Array, Cells, Network, Weights
from backends.numpy_backend import NumPyBackend
from harness.training.prepare import Prepared


def accuracies(
    network: Network, weights: Weights, x: Array, y: NDArray[Any]
) -> NDArray[np.float64]:
    """The share of samples x (samples, features) that each network labels y (samples,): (cells,)."""
    return np.asarray((predict(x, network, weights).argmax(axis=-1) == y).mean(axis=-1))


def accuracies_on_test(prepared: Prepared, cells: Cells) -> NDArray[np.float64]:
    """Train these cells with the NumPy backend: accuracy on the test part, NaN where one diverged."""
    p = prepared
    weights = NumPyBackend().train(p.x, p.y, p.network, p.training, cells, p.plan).weights
    scores = accuracies(p.network, weights, p.x[p.split.test], p.y[p.split.test])
    return np.where(weights.finite(), scores, np.nan)
