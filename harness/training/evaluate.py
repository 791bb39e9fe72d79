"""Evaluation, the same for all backends.

Labels come from the library's own forward pass, losses from the final, fixed weights by the formulas of
:mod:`backends.formulas`, without the penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.formulas import logits, sample_cost
from backends.network import Array, Fit, Network, Weights
from harness.experiment.experiment import Experiment
from harness.training.contract import check_outputs
from harness.training.prepare import Prepared
from harness.training.status import Status

CURVE_POINTS = 12  # checkpoints of a learning curve
EVALUATION_BUDGET = 32 * 2**20  # bytes of activations held while evaluating
PARTS = ("train", "validation", "test")


def curve_epochs(epochs: int) -> list[int]:
    """The epochs of a learning curve: dense at first, the last one always among them."""
    return sorted({round(e) for e in np.geomspace(1, epochs, min(CURVE_POINTS, epochs))})


def evaluate_final(
    backend: Backend, prepared: Prepared, weights: Weights, experiment: Experiment
) -> dict[str, Any]:
    """Status, scores, losses and test predictions of the final weights."""
    finite = weights.finite()
    scores = {
        f"{part}_{metric}": np.full(len(weights), np.nan)
        for part in PARTS
        for metric in (*experiment.metrics, "loss")
    }
    predicted: list[NDArray[Any]] = []
    for block in _blocks(prepared, len(weights)):
        outputs = backend.predict_proba(prepared.x, prepared.network, weights[block])
        check_outputs(outputs, prepared.network, block.stop - block.start, len(prepared.x))
        losses = _costs(prepared.x, prepared.y, prepared.network, weights[block])
        finite[block] &= np.isfinite(outputs).all(axis=(1, 2)) & np.isfinite(losses).all(axis=1)
        labels, true = outputs.argmax(axis=2), prepared.y
        if experiment.metrics[0] != "accuracy":
            labels, true = prepared.in_units(outputs[..., 0]), prepared.in_units(prepared.y)
        for part, rows in prepared.split.items():
            scores[f"{part}_loss"][block] = losses[:, rows].mean(axis=1)
            for metric in experiment.metrics:
                scores[f"{part}_{metric}"][block] = score(metric, labels[:, rows], true[rows])
        predicted.extend(labels[:, prepared.split.test])
    for values in scores.values():
        values[~finite] = np.nan
    kind = predicted_dtype(experiment)
    return {
        "status": np.where(finite, str(Status.OK), str(Status.DIVERGED)),
        "reason": np.where(finite, "", "weights or outputs are not finite"),
        **scores,
        "predicted": [
            p.astype(kind) if ok else np.empty(0, kind)
            for p, ok in zip(predicted, finite, strict=True)
        ],
    }


def predicted_dtype(experiment: Experiment) -> type[np.generic]:
    """Labels are stored as int16, regression's values as float32."""
    return np.int16 if experiment.metrics[0] == "accuracy" else np.float32


def score(metric: str, predicted: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """accuracy: share of predicted labels equal to y. r2: 1 - sum (y - p)^2 / sum (y - mean y)^2.
    rmse: square root of the mean of (y - p)^2. predicted: (cells, samples); gives (cells,).
    """
    if metric == "accuracy":
        return (predicted == y).mean(axis=1)
    squared = np.square(predicted.astype(np.float64) - y)
    if metric == "rmse":
        return np.sqrt(squared.mean(axis=1))
    return 1 - squared.sum(axis=1) / np.square(y - y.mean(dtype=np.float64)).sum()


def evaluate_curves(
    prepared: Prepared, fit: Fit, epochs: list[int], experiment: Experiment
) -> dict[str, Any]:
    """Loss and score on the train and validation part after every checkpoint, a list for each cell."""
    rows = {"train": prepared.split.train, "validation": prepared.split.validation}
    points: dict[str, list[NDArray[np.float64]]] = {c: [] for c in curve_columns(experiment)}
    metric = experiment.metrics[0]
    for weights in fit.path:
        for part, index in rows.items():
            loss, scores = [], []
            for block in _blocks(prepared, len(weights)):
                z = _logits(prepared.x[index], prepared.network, weights[block])
                y = prepared.y[index]
                with np.errstate(over="ignore", invalid="ignore"):
                    loss.append(sample_cost(z, y, prepared.network).mean(axis=1))
                scores.append(score(metric, labels(z, prepared.network), y))
            points[f"curve_{part}_loss"].append(np.concatenate(loss))
            points[f"curve_{part}_{metric}"].append(np.concatenate(scores))
    cells = len(fit.weights)
    columns: dict[str, Any] = {"epoch": [np.array(epochs, np.int32)] * cells}
    for name, values in points.items():
        with np.errstate(over="ignore"):
            columns[name] = list(np.stack(values, axis=1).astype(np.float32))
    return columns


def curve_columns(experiment: Experiment) -> list[str]:
    metrics = ("loss", experiment.metrics[0])
    return [f"curve_{part}_{m}" for part in ("train", "validation") for m in metrics]


def labels(z: Array, network: Network) -> NDArray[Any]:
    """Class numbers from logits (cells, samples, outputs); for regression the values themselves."""
    if network.output == "softmax":
        return z.argmax(axis=-1)
    return z[..., 0] if network.output == "identity" else (z[..., 0] > 0).astype(np.int64)


def _costs(x: Array, y: NDArray[Any], network: Network, weights: Weights) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return sample_cost(_logits(x, network, weights), y, network)


def _logits(x: Array, network: Network, weights: Weights) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return logits(x, network, weights)


def _blocks(prepared: Prepared, cells: int) -> list[slice]:
    """Slices of cells that can be evaluated on all samples within the budget."""
    per_cell = len(prepared.x) * max(prepared.network.sizes[1:]) * 8
    size = max(1, EVALUATION_BUDGET // per_cell)
    return [slice(start, min(start + size, cells)) for start in range(0, cells, size)]
