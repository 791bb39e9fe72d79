"""One unit of work, from data to rows: plan, training, evaluation. Runs in a worker."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psutil

from backends.base import Backend, UnsupportedPlan
from backends.error_words import error_words, one_line, whole_error
from backends.frameworks import gpus_shown
from backends.network import Cells, Fit, Weights
from backends.registry import UnusableBackend, usable
from harness.data.dataset import Dataset
from harness.data.notebook_stream import NotebookStream, draws_in_turn, train_in_turn
from harness.experiment.experiment import Experiment
from harness.training.contract import check_fit, fingerprint, undisturbed_process
from harness.training.evaluate import (
    CERTAINTY,
    PARTS,
    curve_columns,
    curve_epochs,
    evaluate_curves,
    evaluate_final,
    predicted_dtype,
)
from harness.training.input_mesh import mesh_answers
from harness.training.prepare import Prepared, prepare
from harness.training.status import Status
from harness.training.units import Unit, UnitOutcome, unit_keys


def run_unit(
    unit: Unit, experiment: Experiment, dataset: Dataset, log: str | None = None
) -> UnitOutcome:
    """Train and evaluate a unit; what its backend raises, or gives back wrongly, is its outcome.

    The process is left as it was. The whole of an error goes to the file ``log``.
    """
    try:
        with undisturbed_process(), gpus_shown(experiment.recipe(unit.backend).device == "gpu"):
            return _trained_unit(unit, experiment, dataset)
    except BaseException as error:  # noqa: BLE001 (whatever a backend raises is its unit's alone)
        if log is not None:
            with suppress(OSError), open(log, "a", encoding="utf-8", errors="replace") as file:
                file.write(f"{unit}\n{whole_error(error)}")
        return UnitOutcome(unit, Status.FAILED, error_words(error))


def _trained_unit(unit: Unit, experiment: Experiment, dataset: Dataset) -> UnitOutcome:
    begun = time.perf_counter()
    try:
        backend = usable(experiment.place(unit.backend))
    except UnusableBackend as error:
        return UnitOutcome(
            unit,
            "done",
            rows=without_result(unit, experiment, Status.UNAVAILABLE, error.reason),
        )
    return _run_loaded(unit, experiment, dataset, backend, begun)


def _run_loaded(
    unit: Unit, experiment: Experiment, dataset: Dataset, backend: Backend, begun: float
) -> UnitOutcome:
    """Train and evaluate a unit on a backend whose library was imported since ``begun``."""
    loaded = time.perf_counter()
    try:
        prepared, fit, (ready, trained) = _fitted(unit, experiment, dataset, backend)
    except UnsupportedPlan as refused:
        nothing = without_result(unit, experiment, Status.UNSUPPORTED, one_line(str(refused)))
        return UnitOutcome(unit, "done", rows=nothing)
    curve = curve_epochs(experiment.recipe(unit.backend).epochs)
    rows = unit_keys(unit, experiment)
    rows |= evaluate_final(backend, prepared, fit.weights, experiment)
    rows |= evaluate_curves(prepared, fit, curve, experiment)
    frame = pd.DataFrame(rows)
    if unit.repeats[0] == 0:  # of the first repeat alone, whose rows come first
        first = mesh_answers(backend, prepared, fit.weights[: unit.last - unit.first])
        if first:
            frame["region"] = pd.Series([*first, *[None] * (unit.size - len(first))], dtype=object)
    if prepared.training.patience is not None and fit.steps is not None:
        per_epoch = prepared.plan.steps_per_epoch or 1
        frame["epochs"] = np.asarray(fit.steps, np.int64) // per_epoch
    frame["seconds"] = (trained - ready) / unit.size
    timings = {
        "import_seconds": loaded - begun,
        "prepare_seconds": ready - loaded,
        "train_seconds": trained - ready,
        "evaluate_seconds": time.perf_counter() - trained,
        "peak_memory_bytes": float(peak_memory()),
    }
    weights = fit.weights if unit.keep_weights else None
    return UnitOutcome(unit, "done", rows=frame, timings=timings, weights=weights)


def _fitted(
    unit: Unit, experiment: Experiment, dataset: Dataset, backend: Backend
) -> tuple[Prepared, Fit, tuple[float, float]]:
    """What a unit was given, its weights after the epochs of its curves, when training began and ended.

    Raises :class:`UnsupportedPlan` for what the backend cannot train.
    """
    cells = range(unit.first, unit.last)
    prepared = prepare(experiment, dataset, unit.backend, unit.repeats, cells)
    network, training = prepared.network, prepared.training
    if reason := backend.unsupported(network, training):
        raise UnsupportedPlan(reason)
    plan, epochs = prepared.plan, experiment.recipe(unit.backend).epochs
    plan = plan.at([epoch * (plan.steps // epochs) for epoch in curve_epochs(epochs)])
    stack = _stack(unit, experiment, plan.streams)
    train = partial(backend.train, prepared.x, prepared.y, network, training)
    given = fingerprint(prepared.x, prepared.y)
    ready = time.perf_counter()
    if draws_in_turn(experiment, unit.backend):
        counts = len(prepared.x), prepared.x.shape[1], len(dataset.classes)
        stream = NotebookStream(experiment, counts, unit.repeats[0])
        fit = train_in_turn(train, stream, unit.backend, stack, plan.checkpoints)
    else:
        fit = train(stack, plan)
    trained = time.perf_counter()
    check_fit(fit, network, training.dtype, len(stack), plan)
    if fingerprint(prepared.x, prepared.y) != given:
        raise ValueError("train changed the samples or targets that it was given")
    return prepared, fit, (ready, trained)


def unit_weights(
    unit: Unit, experiment: Experiment, dataset: Dataset
) -> tuple[Prepared, Weights, Backend]:
    """A unit trained as in a run: what it was given, its networks' last weights, and who trained them."""
    with undisturbed_process(), gpus_shown(experiment.recipe(unit.backend).device == "gpu"):
        backend = usable(experiment.place(unit.backend))
        prepared, fit, _ = _fitted(unit, experiment, dataset, backend)
        return prepared, fit.weights, backend


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
    rows: dict[str, Any] = unit_keys(unit, experiment)
    valid = reason.encode("utf-8", "backslashreplace").decode()  # a plug-in's text may not be
    rows |= {"status": str(status), "reason": valid}
    for part in PARTS:
        rows |= {f"{part}_{metric}": np.nan for metric in (*experiment.metrics, "loss")}
    rows["predicted"] = [np.empty(0, predicted_dtype(experiment))] * unit.size
    if experiment.metrics[0] == "accuracy":
        rows |= {name: [np.empty(0, np.float16)] * unit.size for name in CERTAINTY}
    for column in ("epoch", *curve_columns(experiment)):
        rows[column] = [np.empty(0)] * unit.size
    return pd.DataFrame(rows | {"seconds": np.nan})


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    try:
        import resource
    except ModuleNotFoundError:  # as on Windows, which counts it elsewhere
        told = psutil.Process().memory_info()
        return int(getattr(told, "peak_wset", told.rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
