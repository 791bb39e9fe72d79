"""The phases of one backend, measured in a process of its own.

A session keeps the process between repetitions, so that those of several backends can be interleaved:
what disturbs the machine for a while then disturbs all of them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backends.base import Backend
from backends.network import Cells
from backends.plan import Plan
from backends.registry import find, usable
from harness.bench.fresh import as_written, notebook_cell
from harness.bench.growth import growth
from harness.bench.machine import gemm_rate
from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment
from harness.training.prepare import Prepared, prepare
from harness.training.run_unit import peak_memory


@dataclass
class Session:
    """A backend with its data, ready to be timed again and again."""

    backend: Backend
    prepared: Prepared
    cells: Cells

    def train(self, cells: Cells, plan: Plan) -> float:
        """Seconds of one training."""
        p = self.prepared
        return seconds(lambda: self.backend.train(p.x, p.y, p.network, p.training, cells, plan))

    def sample(self, cells: int) -> Cells:
        """So many cells, evenly over the grid."""
        return self.cells[np.linspace(0, len(self.cells) - 1, cells).round().astype(int)]


_sessions: dict[str, Session] = {}


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def open_session(name: str, experiment: Experiment) -> dict[str, float]:
    """Import the backend, build and trace its models; what happens once, in seconds."""
    begun = time.perf_counter()
    backend = usable(name)
    imported = time.perf_counter() - begun
    prepared = prepare(experiment, load_dataset(experiment), name, [0])
    if reason := backend.unsupported(prepared.network, prepared.training):
        raise RuntimeError(reason)
    session = Session(backend, prepared, Cells.grid(experiment.eta, experiment.lmbd))
    one = prepared.plan.first(1)
    cold, warm = session.train(session.cells, one), session.train(session.cells, one)
    session.train(session.cells[:1], one)  # builds the model of a single cell
    _sessions[name] = session
    return {"import": imported, "build": max(cold - warm, 0.0)}


def repetition(name: str, experiment: Experiment, sample: int, threads: int) -> dict[str, float]:
    """One round of timings of an open session, in seconds (``gemm`` in operations a second).

    ``one_at_a_time`` are the seconds of one cell, from ``sample`` of the cells.
    """
    session = _sessions[name]
    plan, cells = session.prepared.plan, session.cells
    p = session.prepared
    picked = session.sample(sample)
    fit = session.backend.train(p.x, p.y, p.network, p.training, cells, plan.first(1))
    loop = sum(session.train(picked[i : i + 1], plan) for i in range(sample))
    return {
        "first_step": session.train(cells, plan.first(1)),
        "stack": session.train(cells, plan),
        "one_at_a_time": loop / sample,
        "evaluation": seconds(lambda: session.backend.predict_proba(p.x, p.network, fit.weights)),
        "gemm": gemm_rate(experiment.dtype, threads),
    }


def open_notes(name: str, experiment: Experiment) -> None:
    """Import what the notes' program needs as a notebook does, with the library's own settings."""
    backend = find(name)
    for module in backend.modules:
        importlib.import_module(module)
    prepared = prepare(experiment, load_dataset(experiment), name, [0])
    _sessions[name] = Session(backend, prepared, Cells.grid(experiment.eta, experiment.lmbd))


def notes(name: str, experiment: Experiment, sample: int) -> dict[str, float]:
    """One round of the notes' program, in seconds of one cell, from ``sample`` of the cells.

    ``notebook``: on this experiment's network and steps; ``as_written``: on the notes' own.
    """
    session = _sessions[name]
    picked, recipe = session.sample(sample), experiment.recipe(name)
    pairs = list(zip(picked.eta.tolist(), picked.lmbd.tolist(), strict=True))
    fresh = [notebook_cell(name, session.prepared, recipe, eta, lmbd) for eta, lmbd in pairs]
    written = [as_written(name, experiment, eta, lmbd) for eta, lmbd in pairs]
    return {"notebook": float(np.mean(fresh)), "as_written": float(np.mean(written))}


def grown(name: str, experiment: Experiment) -> dict[str, dict[str, float]]:
    """What ten times the work costs this process: see :func:`harness.bench.growth.growth`."""
    return growth(name, experiment, _sessions[name].backend)


def share(name: str, experiment: Experiment, threads: int) -> float:
    """The network's matrix products a second over the machine's rate, over a whole training."""
    session = _sessions[name]
    p = session.prepared
    flop = p.network.step_flop(p.plan.batch_size) * p.plan.steps * len(session.cells)
    rate = gemm_rate(experiment.dtype, threads)
    return flop / session.train(session.cells, p.plan) / rate


def work(name: str, cells: int) -> float:
    """Seconds of some cells, one unit's worth: to see what several processes at once come to."""
    session = _sessions[name]
    return session.train(session.cells[:cells], session.prepared.plan)


def footprint() -> int:
    """Peak memory of this process in bytes."""
    return peak_memory()
