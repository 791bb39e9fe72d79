"""One unit of work, from data to rows: plan, training, evaluation. Runs in a worker.

Evaluation is the same for all backends: labels come from the library's own forward pass, losses from
the final, fixed weights by the formulas of :mod:`backends.formulas`, without the penalty.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Array, Backend, Cells, Fit, Network, Training, Weights
from backends.formulas import logits, sample_cost
from backends.plan import Plan
from backends.registry import Unavailable, find, start
from harness.data import Dataset, Split, scaled, split_rows, target_scale
from harness.experiment import Experiment
from harness.stream import Stream, drawn, train_in_turn
from harness.units import Unit, in_turn

CURVE_POINTS = 12  # checkpoints of a learning curve
EVALUATION_BUDGET = 32 * 2**20  # bytes of activations held while evaluating
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """Everything that a backend is given for some repeats of an experiment.

    ``target_scale``: what was subtracted from real targets, and what they were then divided by.
    """

    x: Array
    y: NDArray[Any]
    split: Split
    network: Network
    training: Training
    plan: Plan
    target_scale: tuple[float, float] = (0.0, 1.0)

    def in_units(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Real targets or predictions, as trained on, in the units the data came in."""
        shift, width = self.target_scale
        return targets * width + shift if width != 1 or shift else targets


def prepare(
    experiment: Experiment,
    dataset: Dataset,
    backend: str,
    repeats: Sequence[int],
    cells: range = range(1),
) -> Prepared:
    """Data, network, training and plan of one backend; the plan has one stream for each repeat.

    The repeats must share their split. The plan depends on the backend only through its recipe. Where
    each cell draws on its own, there is a stream for each repeat and each of ``cells``, these fastest.
    """
    split = split_rows(dataset, experiment, repeats[0])
    dtype = experiment.recipe(backend).dtype
    x = scaled(dataset, split, experiment).astype(dtype)
    shift, width = target_scale(dataset, split, experiment)
    y = dataset.y if dataset.classes else ((dataset.y - shift) / width).astype("f4").astype(dtype)
    network = experiment.network(backend, x.shape[1], len(dataset.classes))
    if experiment.draws == "notebook":
        plan = _notebook_plan(experiment, dataset, backend, split.train, repeats, cells)
    else:
        plan = draw_plan(experiment, backend, network, split.train, repeats)
    training = experiment.training(backend)
    return Prepared(x, y, split, network, training, plan, (shift, width))


def draw_plan(
    experiment: Experiment,
    backend: str,
    network: Network,
    rows: NDArray[np.intp],
    repeats: Sequence[int],
) -> Plan:
    """The plan of some repeats; each repeat's stream depends on (seed, repeat) alone."""
    seeds = [np.random.SeedSequence(experiment.seed, spawn_key=(repeat,)) for repeat in repeats]
    return drawn(experiment.recipe(backend), network, rows, seeds)


def _notebook_plan(
    experiment: Experiment,
    dataset: Dataset,
    backend: str,
    rows: NDArray[np.intp],
    repeats: Sequence[int],
    cells: range,
) -> Plan:
    """The plan of some cells of some repeats, each repeat's random stream wound forward to them."""
    plans = []
    for repeat in repeats:
        stream = Stream(experiment, dataset, repeat)
        stream.wind(backend, rows)
        stream.skip(backend, rows, range(cells.start))
        plans.append(stream.plan(backend, rows, cells))
    return Plan.concatenate(plans)


def curve_epochs(epochs: int) -> list[int]:
    """The epochs of a learning curve: dense at first, the last one always among them."""
    return sorted({round(e) for e in np.geomspace(1, epochs, min(CURVE_POINTS, epochs))})


def run_unit(
    unit: Unit, experiment: Experiment, dataset: Dataset
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The rows of a unit, one for each repeat and cell, and its timings in seconds and bytes."""
    begun = time.perf_counter()
    backend = find(unit.backend)
    missing = backend if isinstance(backend, Unavailable) else start(backend)
    if missing is not None:
        return without_result(unit, experiment, "unavailable", missing.reason), {}
    assert isinstance(backend, Backend)
    loaded = time.perf_counter()
    turns = in_turn(experiment, unit.backend)
    drawn_for = range(1) if turns else range(unit.first, unit.last)
    prepared = prepare(experiment, dataset, unit.backend, unit.repeats, drawn_for)
    if reason := backend.unsupported(prepared.network, prepared.training):
        return without_result(unit, experiment, "unsupported", reason), {}
    grid = experiment.cells[unit.first : unit.last]
    plan = prepared.plan
    cells = Cells.of(
        [eta for eta, _ in grid] * len(unit.repeats),
        [lmbd for _, lmbd in grid] * len(unit.repeats),
        np.repeat(np.arange(plan.streams), max(1, unit.size // plan.streams)).tolist(),
    )
    epochs = experiment.recipe(unit.backend).epochs
    curve = curve_epochs(epochs)
    points = [epoch * (plan.steps // epochs) for epoch in curve]
    ready = time.perf_counter()
    if turns:
        stream = Stream(experiment, dataset, unit.repeats[0])
        stream.wind(unit.backend, prepared.split.train)
        fit = train_in_turn(backend, prepared, stream, unit.backend, cells, points)
    else:
        fit = backend.train(
            prepared.x, prepared.y, prepared.network, prepared.training, cells, plan.at(points)
        )
    trained = time.perf_counter()
    rows = _identity(unit, experiment)
    rows |= _final(backend, prepared, fit.weights, experiment)
    rows |= _curves(prepared, fit, curve, experiment)
    frame = pd.DataFrame(rows)
    frame["seconds"] = (trained - ready) / len(cells)
    done = time.perf_counter()
    return frame, {
        "import_seconds": loaded - begun,
        "prepare_seconds": ready - loaded,
        "train_seconds": trained - ready,
        "evaluate_seconds": done - trained,
        "peak_memory_bytes": float(peak_memory()),
    }


def without_result(unit: Unit, experiment: Experiment, status: str, reason: str) -> pd.DataFrame:
    """The rows of a unit that gave no result: status and reason, everything measured missing."""
    rows: dict[str, Any] = _identity(unit, experiment)
    rows |= {"status": status, "reason": reason}
    for part in PARTS:
        rows |= {f"{part}_{metric}": np.nan for metric in (*experiment.metrics, "loss")}
    rows["predicted"] = [np.empty(0, _predicted_dtype(experiment))] * unit.size
    for column in ("epoch", *_curve_columns(experiment)):
        rows[column] = [np.empty(0)] * unit.size
    return pd.DataFrame(rows | {"seconds": np.nan})


def _identity(unit: Unit, experiment: Experiment) -> dict[str, Any]:
    grid = experiment.cells[unit.first : unit.last]
    return {
        "backend": [unit.backend] * unit.size,
        "eta": [eta for eta, _ in grid] * len(unit.repeats),
        "lmbd": [lmbd for _, lmbd in grid] * len(unit.repeats),
        "repeat": np.repeat(unit.repeats, len(grid)),
    }


def _final(
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
    kind = _predicted_dtype(experiment)
    return {
        "status": np.where(finite, "ok", "diverged"),
        "reason": np.where(finite, "", "weights or outputs are not finite"),
        **scores,
        "predicted": [
            p.astype(kind) if ok else np.empty(0, kind)
            for p, ok in zip(predicted, finite, strict=True)
        ],
    }


def _predicted_dtype(experiment: Experiment) -> type[np.generic]:
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


def _curves(
    prepared: Prepared, fit: Fit, epochs: list[int], experiment: Experiment
) -> dict[str, Any]:
    """Loss and score on the train and validation part after every checkpoint, a list for each cell."""
    rows = {"train": prepared.split.train, "validation": prepared.split.validation}
    points: dict[str, list[NDArray[np.float64]]] = {c: [] for c in _curve_columns(experiment)}
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


def _curve_columns(experiment: Experiment) -> list[str]:
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


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
