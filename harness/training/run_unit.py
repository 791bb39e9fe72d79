"""One unit of work, from data to rows: plan, training, evaluation. Runs in a worker."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psutil

from backends.base import UnsupportedPlan
from backends.network import Cells
from backends.registry import UnusableBackend, usable
from harness.data.dataset import Dataset
from harness.data.notebook_stream import NotebookStream, draws_in_turn, train_in_turn
from harness.experiment.experiment import Experiment
from harness.training.contract import check_fit
from harness.training.evaluate import (
    PARTS,
    curve_columns,
    curve_epochs,
    evaluate_curves,
    evaluate_final,
    predicted_dtype,
)
from harness.training.prepare import prepare
from harness.training.status import Status
from harness.training.units import Unit, UnitOutcome


def run_unit(unit: Unit, experiment: Experiment, dataset: Dataset) -> UnitOutcome:
    """Train and evaluate a unit; what its backend raises, or gives back wrongly, is raised."""
    begun = time.perf_counter()
    try:
        backend = usable(unit.backend)
    except UnusableBackend as error:
        return UnitOutcome(
            unit,
            "done",
            rows=without_result(unit, experiment, Status.UNAVAILABLE, error.reason),
        )
    loaded = time.perf_counter()
    cells = range(unit.first, unit.last)
    prepared = prepare(experiment, dataset, unit.backend, unit.repeats, cells)
    network, training = prepared.network, prepared.training
    if reason := backend.unsupported(network, training):
        return UnitOutcome(
            unit, "done", rows=without_result(unit, experiment, Status.UNSUPPORTED, reason)
        )
    plan, epochs = prepared.plan, experiment.recipe(unit.backend).epochs
    curve = curve_epochs(epochs)
    plan = plan.at([epoch * (plan.steps // epochs) for epoch in curve])
    stack = _stack(unit, experiment, plan.streams)
    train = partial(backend.train, prepared.x, prepared.y, network, training)
    ready = time.perf_counter()
    try:
        if draws_in_turn(experiment, unit.backend):
            counts = len(prepared.x), prepared.x.shape[1], len(dataset.classes)
            stream = NotebookStream(experiment, counts, unit.repeats[0])
            fit = train_in_turn(train, stream, unit.backend, stack, plan.checkpoints)
        else:
            fit = train(stack, plan)
    except UnsupportedPlan as refused:
        nothing = without_result(unit, experiment, Status.UNSUPPORTED, str(refused))
        return UnitOutcome(unit, "done", rows=nothing)
    trained = time.perf_counter()
    check_fit(fit, network, training.dtype, len(stack), plan)
    rows = _identity(unit, experiment)
    rows |= evaluate_final(backend, prepared, fit.weights, experiment)
    rows |= evaluate_curves(prepared, fit, curve, experiment)
    frame = pd.DataFrame(rows)
    frame["seconds"] = (trained - ready) / len(stack)
    timings = {
        "import_seconds": loaded - begun,
        "prepare_seconds": ready - loaded,
        "train_seconds": trained - ready,
        "evaluate_seconds": time.perf_counter() - trained,
        "peak_memory_bytes": float(peak_memory()),
    }
    return UnitOutcome(unit, "done", rows=frame, timings=timings)


def _stack(unit: Unit, experiment: Experiment, streams: int) -> Cells:
    """The unit's cells, those of the first repeat first, and which of the plan's streams each is on."""
    grid = experiment.cells[unit.first : unit.last] * len(unit.repeats)
    return Cells.of(
        [eta for eta, _ in grid],
        [lmbd for _, lmbd in grid],
        np.repeat(np.arange(streams), unit.size // streams).tolist(),
    )


def without_result(unit: Unit, experiment: Experiment, status: Status, reason: str) -> pd.DataFrame:
    """The rows of a unit that gave no result: status and reason, everything measured missing."""
    rows: dict[str, Any] = _identity(unit, experiment)
    rows |= {"status": str(status), "reason": reason}
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
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
