"""Evaluation, the same for all backends.

Labels come from the library's own forward pass, losses from the final, fixed weights by the formulas of
:mod:`backends.formulas`, without the penalty. Where the training part is large, what the library would be
asked for a second time is saved: its scores come from the formulas too, and learning curves from a sample
of each part that is the same for all backends, cells and epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.formulas import logits, sample_cost
from backends.network import Array, Fit, Network, Weights
from harness.experiment.experiment import Experiment
from harness.training.contract import check_outputs
from harness.training.prepare import Prepared
from harness.training.scores import answers_of, score, score_names, scores
from harness.training.status import Status

CURVE_POINTS = 12  # checkpoints of a learning curve
LARGE = 10_000  # training samples from which on a part's curve is that of a sample
CURVE_SAMPLES = 2_000  # of each part, where the training part is large
EVALUATION_BUDGET = 32 * 2**20  # bytes of activations held while evaluating
_MOST_CERTAINTIES = 2_000_000  # predicted labels of a run of which is kept how sure a network was
_ROWS_AT_ONCE = 1024  # of large data: their activations stay in the cache
PARTS = ("train", "validation", "test")


def curve_epochs(epochs: int) -> list[int]:
    """The epochs of a learning curve: dense at first, the last one always among them."""
    return sorted({round(e) for e in np.geomspace(1, epochs, min(CURVE_POINTS, epochs))})


def curve_samples(part: int, train: int) -> int:
    """How many samples of a part its learning curve is made of, by the size of the training part."""
    return min(part, CURVE_SAMPLES) if train > LARGE else part


CERTAINTY = ("probability", "lead")  # of the predicted class, and over the runner-up


def keeps_certainty(experiment: Experiment, classes: int, samples: int) -> bool:
    """Whether it is kept how sure every network is of so many test samples: not where that is much."""
    networks = len(experiment.backends) * len(experiment.cells) * experiment.repeats
    return classes > 0 and networks * samples <= _MOST_CERTAINTIES


def is_large(prepared: Prepared) -> bool:
    """Whether the training part is so large that evaluation saves itself what it can."""
    return len(prepared.split.train) > LARGE


def evaluate_final(
    backend: Backend, prepared: Prepared, weights: Weights, experiment: Experiment
) -> dict[str, Any]:
    """Status, scores, losses and test predictions of the final weights."""
    finite, network = weights.finite(), prepared.network
    names = score_names(experiment, network.classes)
    measured = {
        f"{part}_{name}": np.full(len(weights), np.nan)
        for part in PARTS
        for name in (*names, "loss")
    }
    predicted: list[NDArray[Any]] = []
    certain: list[NDArray[np.float16]] = []  # (2, samples) each
    true = prepared.y if network.classes else prepared.in_units(prepared.y)
    for block in _blocks(prepared, len(weights)):
        seen = _answers(backend, prepared, weights[block])
        finite[block] &= seen.finite
        for part, rows in prepared.split.items():
            measured[f"{part}_loss"][block] = seen.losses[:, rows].mean(axis=1)
            rank = None if seen.rank is None else seen.rank[:, rows]
            for name, values in scores(names, seen.answers[:, rows], true[rows], rank).items():
                measured[f"{part}_{name}"][block] = values
        predicted.extend(seen.answers[:, prepared.split.test])
        certain.extend(seen.certainty.swapaxes(0, 1))
    for values in measured.values():
        values[~finite] = np.nan
    kind = predicted_dtype(experiment)
    kept = keeps_certainty(experiment, network.classes, len(prepared.split.test))
    nothing = np.empty(0, np.float16)
    sure = {
        name: [c[k] if ok and kept else nothing for c, ok in zip(certain, finite, strict=True)]
        for k, name in enumerate(CERTAINTY)
    }
    return {
        "status": np.where(finite, str(Status.OK), str(Status.DIVERGED)),
        "reason": np.where(finite, "", "weights or outputs are not finite"),
        **measured,
        "predicted": [
            p.astype(kind) if ok else np.empty(0, kind)
            for p, ok in zip(predicted, finite, strict=True)
        ],
        **(sure if network.classes else {}),
    }


@dataclass(frozen=True)
class _Answers:
    """What some cells make of every sample, all of shape (cells, samples) but ``finite``, (cells,).

    answers: class numbers, or values in the units of the data. rank: for two classes, the probability
    of the second. losses: by the formulas. certainty: ``CERTAINTY`` of each test sample in the split's
    order, (2, cells, test samples), for classes alone.
    """

    answers: NDArray[Any]
    rank: Array | None
    losses: NDArray[np.float64]
    finite: NDArray[np.bool_]
    certainty: NDArray[np.float16]


def _answers(backend: Backend, prepared: Prepared, weights: Weights) -> _Answers:
    """The library's answers; on the training part, where that is large, those of the formulas."""
    p, network, cells = prepared, prepared.network, len(weights)
    shape = (cells, len(p.x))
    answers = np.empty(shape, np.int64 if network.classes else np.float64)
    rank = np.empty(shape) if network.classes == 2 else None
    losses = np.empty(shape)
    finite = np.ones(cells, bool)
    certainty = np.zeros((2, cells, len(p.split.test)), np.float16)
    places = np.full(len(p.x), -1)  # of each row among the test samples
    places[p.split.test] = np.arange(len(p.split.test))
    for rows in _stretches(p):
        z = _logits(p.x[rows], network, weights)
        losses[:, rows] = _costs(z, p.y[rows], network)
        if is_large(p):
            answers[:, rows] = p.in_units(answers_of(z, network))
            if rank is not None:
                rank[:, rows] = z[..., 0]
    finite &= np.isfinite(losses).all(axis=1)
    for own in _judged(p):
        outputs = backend.predict_proba(p.x[own], network, weights)
        check_outputs(outputs, network, cells, len(p.x[own]))
        finite &= np.isfinite(outputs).all(axis=(1, 2))
        answers[:, own] = outputs.argmax(axis=2) if network.classes else p.in_units(outputs[..., 0])
        if rank is not None:
            rank[:, own] = outputs[..., 1]
        if network.classes:
            tested = places[own] >= 0
            with np.errstate(over="ignore", invalid="ignore"):
                certainty[:, :, places[own][tested]] = _certainty(outputs[:, tested])
    return _Answers(answers, rank, losses, finite, certainty)


def _certainty(outputs: Array) -> Array:
    """The largest of the outputs (cells, samples, classes), and by how much; (2, cells, samples)."""
    best = np.partition(outputs, -2, axis=-1)
    return np.stack([best[..., -1], best[..., -1] - best[..., -2]])


def predicted_dtype(experiment: Experiment) -> type[np.generic]:
    """Labels are stored as int16, regression's values as float32."""
    return np.int16 if experiment.metrics[0] == "accuracy" else np.float32


def evaluate_curves(
    prepared: Prepared, fit: Fit, epochs: list[int], experiment: Experiment
) -> dict[str, Any]:
    """Loss and score on the train and validation part after every checkpoint, a list for each cell."""
    points: dict[str, list[NDArray[np.float64]]] = {c: [] for c in curve_columns(experiment)}
    metric, network = experiment.metrics[0], prepared.network
    parts = {}
    for part, rows in prepared.split.items()[:2]:
        sample = _curve_rows(rows, prepared)
        parts[part] = prepared.x[sample], prepared.y[sample]
    for weights in fit.path:
        for part, (x, y) in parts.items():
            loss, values = [], []
            for block in _blocks(prepared, len(weights)):
                z = _logits(x, network, weights[block])
                with np.errstate(over="ignore", invalid="ignore"):
                    loss.append(sample_cost(z, y, network).mean(axis=1))
                values.append(score(metric, answers_of(z, network), y))
            points[f"curve_{part}_loss"].append(np.concatenate(loss))
            points[f"curve_{part}_{metric}"].append(np.concatenate(values))
    cells = len(fit.weights)
    columns: dict[str, Any] = {"epoch": [np.array(epochs, np.int32)] * cells}
    for name, values in points.items():
        with np.errstate(over="ignore"):
            columns[name] = list(np.stack(values, axis=1).astype(np.float32))
    return columns


def curve_columns(experiment: Experiment) -> list[str]:
    metrics = ("loss", experiment.metrics[0])
    return [f"curve_{part}_{m}" for part in ("train", "validation") for m in metrics]


def _curve_rows(rows: NDArray[np.intp], prepared: Prepared) -> NDArray[np.intp]:
    """The rows of a part that its learning curve is made of, drawn from their number alone."""
    few = curve_samples(len(rows), len(prepared.split.train))
    if few == len(rows):
        return rows
    return np.sort(np.random.default_rng(len(rows)).choice(rows, few, replace=False))


def _stretches(prepared: Prepared) -> list[slice]:
    """All rows, in stretches that are evaluated at once; a single one unless they are many."""
    size = _ROWS_AT_ONCE if is_large(prepared) else len(prepared.x)
    return [slice(first, first + size) for first in range(0, len(prepared.x), size)]


def _judged(prepared: Prepared) -> list[slice] | list[NDArray[np.intp]]:
    """The rows that the library itself is asked for, in such stretches."""
    if not is_large(prepared):
        return _stretches(prepared)
    rows = np.union1d(prepared.split.validation, prepared.split.test)
    return np.split(rows, range(_ROWS_AT_ONCE, len(rows), _ROWS_AT_ONCE))


def _costs(z: Array, y: NDArray[Any], network: Network) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return sample_cost(z, y, network)


def _logits(x: Array, network: Network, weights: Weights) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return logits(x, network, weights)


def _blocks(prepared: Prepared, cells: int) -> list[slice]:
    """Slices of cells that can be evaluated at once within the budget."""
    at_once = _ROWS_AT_ONCE if is_large(prepared) else len(prepared.x)
    per_cell = max(at_once * max(prepared.network.sizes[1:]) * 8, len(prepared.x) * 16)
    size = max(1, EVALUATION_BUDGET // per_cell)
    return [slice(start, min(start + size, cells)) for start in range(0, cells, size)]
