"""The phases of one backend, measured in a process of its own.

The process keeps the backend and its data between calls, so that repetitions of several backends can be
interleaved: what disturbs the machine for a while then disturbs all of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from backends.base import Backend
from backends.network import Cells
from backends.plan import Plan
from backends.registry import UnusableBackend, usable
from harness.data.dataset import Dataset, load_dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.training.prepare import Prepared, prepare
from harness.training.run_unit import peak_memory, run_unit
from harness.training.units import cut_units

GROWTH = 10  # times the cells, repeats or samples

_GEMM_SIZE = 1024  # of square matrices: large enough for the full rate, 4 MiB each in float32
_CLOSE = 1e-6  # relative distance of the learning rates that one is multiplied into


@dataclass(frozen=True)
class _Session:
    """A backend with its data, ready to be timed again and again."""

    backend: Backend
    prepared: Prepared
    cells: Cells
    elsewhere: Backend | None  # the same in a process of its own

    def train(self, cells: Cells, plan: Plan, backend: Backend | None = None) -> float:
        """Seconds of one training, here unless another backend is given."""
        p, own = self.prepared, backend or self.backend
        return wall_seconds(lambda: own.train(p.x, p.y, p.network, p.training, cells, plan))


_sessions: dict[str, _Session] = {}  # of this process, by backend


def wall_seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def sample_cells(cells: Cells, count: int) -> Cells:
    """So many cells, evenly over the grid."""
    return cells[np.linspace(0, len(cells) - 1, count).round().astype(int)]


def open_backend(name: str, experiment: Experiment, threads: int) -> dict[str, float]:
    """Import the backend, build and trace its models: what happens once, here and elsewhere.

    Gives ``import`` and ``build`` in seconds, and of one training of the whole grid ``steps``, ``epochs``
    and ``flop``, the floating-point operations of its matrix products.
    """
    begun = time.perf_counter()
    try:
        backend = usable(experiment.place(name))
    except UnusableBackend as error:
        raise RuntimeError(str(error)) from None  # what another process can read
    imported = time.perf_counter() - begun
    prepared = prepare(experiment, load_dataset(experiment), name, [0])
    plan, network, cells = prepared.plan, prepared.network, len(experiment.cells)
    place = experiment.place(name)
    elsewhere = None if "@" in place else usable(f"{place}@threads={threads}")
    session = _Session(backend, prepared, Cells.grid(experiment.eta, experiment.lmbd), elsewhere)
    one = plan.first(1)
    cold, warm = session.train(session.cells, one), session.train(session.cells, one)
    session.train(session.cells[:1], one)  # builds the model of a single cell
    if elsewhere:
        session.train(session.cells, one, elsewhere)
    _sessions[name] = session
    return {
        "import": imported,
        "build": max(cold - warm, 0.0),
        "steps": plan.steps,
        "epochs": experiment.recipe(name).epochs,
        "flop": float(network.step_flop(plan.batch_size) * plan.steps * cells),
    }


def time_phases(name: str, experiment: Experiment, sample: int, threads: int) -> dict[str, float]:
    """One round of timings of an open backend, in seconds (``gemm`` in operations a second).

    ``one_at_a_time`` are the seconds of one cell, from ``sample`` of the cells.
    """
    session = _sessions[name]
    p, cells, one = session.prepared, session.cells, session.prepared.plan.first(1)
    picked = sample_cells(cells, sample)
    weights = session.backend.train(p.x, p.y, p.network, p.training, cells, one).weights
    loop = sum(session.train(picked[i : i + 1], p.plan) for i in range(sample))
    stack = session.train(cells, p.plan)
    elsewhere = session.train(cells, p.plan, session.elsewhere) if session.elsewhere else np.nan
    return {
        "first_step": session.train(cells, one),
        "stack": stack,
        "elsewhere": elsewhere,
        "one_at_a_time": loop / sample,
        "evaluation": wall_seconds(lambda: session.backend.predict_proba(p.x, p.network, weights)),
        "gemm": gemm_rate(experiment.dtype, threads),
    }


def time_stack(name: str, experiment: Experiment) -> float:
    """Seconds of all cells of another experiment on an open backend, its models built before."""
    prepared = prepare(experiment, load_dataset(experiment), name, [0])
    cells = Cells.grid(experiment.eta, experiment.lmbd)
    session = replace(_sessions[name], prepared=prepared, cells=cells)
    session.train(cells, prepared.plan.first(1))
    return session.train(cells, prepared.plan)


def gemm_rate(dtype: str, threads: int, repetitions: int = 5) -> float:
    """Floating-point operations a second of NumPy's product of two square matrices; the best of some."""
    from threadpoolctl import threadpool_limits

    a, b = np.random.default_rng(0).normal(size=(2, _GEMM_SIZE, _GEMM_SIZE)).astype(dtype)
    out = np.empty_like(a)
    with threadpool_limits(threads):
        np.matmul(a, b, out=out)  # warms up
        best = min(wall_seconds(lambda: np.matmul(a, b, out=out)) for _ in range(repetitions))
    return 2 * _GEMM_SIZE**3 / best


def measure_growth(name: str, experiment: Experiment) -> dict[str, dict[str, float]]:
    """Time and peak memory of ten times the cells, repeats or samples, over those of the experiment.

    Units of a run, cut and carried out as a worker does. Time is divided by ten, so that 1 is
    proportional. Memory is that of this process, from before.
    """
    backend, dataset = _sessions[name].backend, load_dataset(experiment)
    epochs = max(1, experiment.epochs // 5)  # what grows, grows with them alike
    small = experiment.model_copy(update={"epochs": epochs})
    etas = tuple(eta * (1 + k * _CLOSE) for eta in small.eta for k in range(GROWTH))
    x, y = np.tile(dataset.x, (GROWTH, 1)), np.tile(dataset.y, GROWTH)
    larger: dict[str, tuple[Experiment, Dataset]] = {
        "cells": (small.model_copy(update={"eta": etas}), dataset),
        "repeats": (small.model_copy(update={"repeats": GROWTH * small.repeats}), dataset),
        "samples": (small, replace(dataset, x=x, y=y)),
    }
    base = statistics.median(_unit_seconds(backend, small, dataset) for _ in range(3))
    grown = {}
    for what, (variant, data) in larger.items():
        before = peak_memory()
        seconds = _unit_seconds(backend, variant, data)
        grown[what] = {"time": seconds / base / GROWTH, "memory": peak_memory() / before}
    return grown


def _unit_seconds(backend: Backend, experiment: Experiment, dataset: Dataset) -> float:
    """Seconds of all units, without the building of models, which a worker does once."""
    network = experiment.network(backend.name, dataset.x.shape[1], len(dataset.classes))
    samples = len(split_rows(dataset, experiment).train)
    units = cut_units(experiment, backend.name, backend, network, samples)
    brief = experiment.model_copy(update={"epochs": 1})
    for unit in {unit.size: unit for unit in units}.values():
        run_unit(unit, brief, dataset)
    return sum(wall_seconds(partial(run_unit, unit, experiment, dataset)) for unit in units)
