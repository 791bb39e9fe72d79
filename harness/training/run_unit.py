"""One unit of work, from data to rows: plan, training, evaluation. Runs in a worker."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backends.base import Backend, UnsupportedPlan
from backends.network import Cells, Fit, Weights
from backends.registry import UnusableBackend, usable
from harness.data.dataset import Dataset
from harness.data.notebook_stream import NotebookStream
from harness.experiment.experiment import Experiment
from harness.training.evaluate import (
    PARTS,
    curve_columns,
    curve_epochs,
    evaluate_curves,
    evaluate_final,
    predicted_dtype,
)
from harness.training.prepare import Prepared, prepare
from harness.training.units import Unit, in_turn


def run_unit(
    unit: Unit, experiment: Experiment, dataset: Dataset
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The rows of a unit, one for each repeat and cell, and its timings in seconds and bytes."""
    begun = time.perf_counter()
    try:
        backend = usable(unit.backend)
    except UnusableBackend as missing:
        return without_result(unit, experiment, "unavailable", missing.reason), {}
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
    try:
        if turns:
            stream = NotebookStream(experiment, dataset.counts, unit.repeats[0])
            stream.wind(unit.backend, prepared.split.train)
            fit = train_in_turn(backend, prepared, stream, unit.backend, cells, points)
        else:
            fit = backend.train(
                prepared.x, prepared.y, prepared.network, prepared.training, cells, plan.at(points)
            )
    except UnsupportedPlan as refused:
        return without_result(unit, experiment, "unsupported", str(refused)), {}
    trained = time.perf_counter()
    rows = _identity(unit, experiment)
    rows |= evaluate_final(backend, prepared, fit.weights, experiment)
    rows |= evaluate_curves(prepared, fit, curve, experiment)
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


def train_in_turn(
    backend: Backend,
    prepared: Prepared,
    stream: NotebookStream,
    name: str,
    cells: Cells,
    checkpoints: Sequence[int],
) -> Fit:
    """Train the grid's cells one after the other, each on what the stream holds after the last.

    A network that stops early leaves the rest of its draws to the next one. ``stream`` must stand at
    the grid's start; checkpoints are numbers of steps.
    """
    pool, epochs = prepared.split.train, stream.experiment.recipe(name).epochs
    fits = []
    for cell, (eta, lmbd) in enumerate(zip(cells.eta, cells.lmbd, strict=True)):
        before = stream.state
        plan = stream.plan(name, pool, [cell])
        fit = backend.train(
            prepared.x,
            prepared.y,
            prepared.network,
            prepared.training,
            Cells.of(float(eta), float(lmbd)),
            plan.at(checkpoints),
        )
        fits.append(fit)
        taken = (fit.steps or (plan.steps,))[0] * epochs // plan.steps
        if taken < epochs:
            stream.state = before
            stream.plan(name, pool, [cell], epochs=taken)
    path = tuple(Weights.concatenate(point) for point in zip(*(f.path for f in fits), strict=True))
    return Fit(path, tuple(step for fit in fits for step in fit.steps or ()) or None)


def without_result(unit: Unit, experiment: Experiment, status: str, reason: str) -> pd.DataFrame:
    """The rows of a unit that gave no result: status and reason, everything measured missing."""
    rows: dict[str, Any] = _identity(unit, experiment)
    rows |= {"status": status, "reason": reason}
    for part in PARTS:
        rows |= {f"{part}_{metric}": np.nan for metric in (*experiment.metrics, "loss")}
    rows["predicted"] = [np.empty(0, predicted_dtype(experiment))] * unit.size
    for column in ("epoch", *curve_columns(experiment)):
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


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
