"""What ten times the work costs: units of a run, cut and carried out as a worker does."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np

from backends.base import Backend
from harness.data.dataset import Dataset, load_dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment
from harness.training.run_unit import peak_memory, run_unit
from harness.training.units import Unit, cut_units

FACTOR = 10
SHARE = 5  # a fifth of the epochs will do: what grows, grows with them alike
CLOSE = 1e-6  # relative distance of the learning rates that one is multiplied into


def growth(name: str, experiment: Experiment, backend: Backend) -> dict[str, dict[str, float]]:
    """Time and peak memory of ten times the cells, repeats or samples, over those of the experiment.

    Time is divided by ten, so that 1 is proportional. Memory is that of this process, from before.
    """
    dataset = load_dataset(experiment)
    small = experiment.model_copy(update={"epochs": max(1, experiment.epochs // SHARE)})
    etas = tuple(eta * (1 + k * CLOSE) for eta in small.eta for k in range(FACTOR))
    variants: dict[str, tuple[Experiment, Dataset]] = {
        "cells": (small.model_copy(update={"eta": etas}), dataset),
        "repeats": (small.model_copy(update={"repeats": FACTOR * small.repeats}), dataset),
        "samples": (
            small,
            replace(dataset, x=np.tile(dataset.x, (FACTOR, 1)), y=np.tile(dataset.y, FACTOR)),
        ),
    }
    base = statistics.median(_timed(name, small, dataset, backend) for _ in range(3))
    found = {}
    for what, (larger, data) in variants.items():
        before = peak_memory()
        found[what] = {
            "time": _timed(name, larger, data, backend) / base / FACTOR,
            "memory": peak_memory() / before,
        }
    return found


def _timed(name: str, experiment: Experiment, dataset: Dataset, backend: Backend) -> float:
    """Seconds of all units, without the building of models, which a worker does once."""
    units = _units(name, experiment, dataset, backend)
    brief = experiment.model_copy(update={"epochs": 1})
    for shape in {unit.size: unit for unit in units}.values():
        run_unit(shape, brief, dataset)
    begun = time.perf_counter()
    for unit in units:
        run_unit(unit, experiment, dataset)
    return time.perf_counter() - begun


def _units(name: str, experiment: Experiment, dataset: Dataset, backend: Backend) -> list[Unit]:
    network = experiment.network(name, dataset.x.shape[1], len(dataset.classes))
    samples = len(split_rows(dataset, experiment).train)
    return cut_units(experiment, name, backend, network, samples)
