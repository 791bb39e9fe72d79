"""Backends and recordings: a backend's training written as one, and a backend along a recording's plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from backends.base import Backend
from backends.network import Cells, Weights
from backends.plan import Plan
from backends.recording import Recording, write_recording
from backends.registry import import_library
from harness.data.dataset import load_dataset
from harness.data.split import Split
from harness.document.number_words import listed
from harness.errors import InputError
from harness.experiment.chosen_backends import resolve
from harness.experiment.experiment import Experiment
from harness.recordings.rules import rules_of, targets_in
from harness.results.file_names import file_name
from harness.roundoff.trial import Trial, trial


def record_backend(backend: Backend, trial: Trial, path: Path, every: int = 1) -> Path:
    """Train one cell of a trial and write it as a recording; the file's path."""
    steps = trial.plan.steps
    kept = sorted({*range(0, steps, every), steps})
    initial = trial.plan.initial[trial.cells.stream]
    weights = [initial, *trial.at(*kept[1:]).train(backend)]
    path.parent.mkdir(parents=True, exist_ok=True)
    training, network = trial.training, trial.network
    names = {
        "sgd": ("momentum", "nesterov"),
        "adam": ("beta_1", "beta_2", "epsilon"),
        "rmsprop": ("rho", "epsilon"),
        "adagrad": ("epsilon",),
    }[training.optimizer]
    eta = float(trial.cells.eta[0])
    etas = (
        [eta * training.eta_factor(trial.plan.epoch(step)) for step in range(steps)]
        if training.schedule != "constant"
        else eta
    )
    write_recording(
        path,
        trial.x,
        trial.y,
        list(trial.plan.first(steps).batches()),
        [([W[0] for W in one.W], [b[0] for b in one.b]) for one in weights],
        kept,
        name=path.stem,
        optimizer=training.optimizer,
        eta=etas,
        l1=training.l1 * training.penalty_factor or None,
        lmbd=float(trial.cells.lmbd[0]) * training.penalty_factor,
        activation=list(network.activations)
        if len(set(network.activations)) > 1
        else str(network.activation),
        output=network.output,
        cost=training.cost,
        penalised=training.penalised,
        penalty_per_sample=training.penalty_per_sample or None,
        dtype=training.dtype,
        steps_per_epoch=trial.plan.steps_per_epoch,
        backend=backend.name,
        **{name: getattr(training, name) for name in names},
    )
    return path


def trial_along(recording: Recording) -> Trial:
    """The trial that a recording describes: its data, network, minibatches and initial weights, one cell.

    InputError for what no backend can be asked to do.
    """
    rules = rules_of(recording, recording.about)
    if rules.conventions:
        raise InputError(
            f"{recording.path}: found {listed(list(map(str, rules.conventions)))}; allowed with "
            "--backend: one eta or one by epochs, one lmbd, of weight matrices alone, optimisers as numpy "
            "has them, nothing clipped, weighted, smoothed or frozen"
        )
    if rules.network.output == "identity" and recording.sizes[-1] > 1:
        raise InputError(f"{recording.path}: found several targets; allowed with --backend: one")
    dtype = rules.training.dtype
    initial = recording.weights(0)
    layers = range(1, len(recording.W) + 1)
    weights = Weights(
        tuple(initial[f"W{layer}"][None].astype(dtype) for layer in layers),
        tuple(initial[f"b{layer}"][None].astype(dtype) for layer in layers),
    )
    steps = tuple(int(k) for k in recording.kept[1:]) or (recording.steps,)
    plan = Plan(weights, recording.rows[None], recording.bounds, steps, rules.steps_per_epoch)
    y = targets_in(recording)[1]
    nobody = np.zeros(0, dtype=np.intp)
    whole = np.arange(len(recording.x))
    split = Split(whole, nobody, nobody)
    whole_trial = Trial(
        recording.x.astype(dtype),
        y if rules.network.classes else y.astype(dtype),
        split,
        replace(rules.network, activation=cast(Any, rules.activations)),
        rules.training,
        plan,
        Cells.of(rules.eta, rules.lmbd),
    )
    return whole_trial.at(*steps)


def recorded_again(backend: Backend, recording: Recording, path: Path) -> Path:
    """This machine's training by a backend along the plan of a recording, written as a recording."""
    own = trial_along(recording)
    if reason := backend.unsupported(own.network, own.training):
        raise InputError(f"{backend.name}: cannot train {recording.name}: {reason}")
    steps = [int(k) for k in recording.kept]
    gaps = np.diff(steps)
    every = int(gaps[0]) if len(gaps) and (gaps == gaps[0]).all() else 1
    return record_backend(backend, own, path, every)


def record_backends(
    experiment: Experiment, folder: str, steps: int | None, say: Callable[[str], None]
) -> list[Path]:
    """Each backend's training of the grid's middle cell, in each dtype, as a recording in a folder."""
    experiment, here, _ = resolve(experiment)
    dataset = load_dataset(experiment)
    middle = np.array([len(experiment.cells) // 2])
    written = []
    for name, backend in here.items():
        for dtype in ("float32", "float64"):
            say(f"{name} {dtype} for its recording")
            own = trial(experiment, dataset, name, dtype, steps).of(middle)
            if not backend.unsupported(own.network, own.training):
                import_library(backend)
                written.append(
                    record_backend(backend, own, Path(folder) / file_name(f"{name}-{dtype}.npz"))
                )
    return written
