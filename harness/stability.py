"""Which cells of a run round-off alone carries away, for each of its backends."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.data import load_dataset
from harness.experiment import Experiment
from harness.parity.chaos import chaos_map

COLUMNS = ["backend", "eta", "lmbd", "difference", "chaotic"]
IDLE = {"patience", "tol", "shared_stream", "drawn_before"}  # chaos maps draw and stop their own way
REPEATS = 3  # that are looked at, unless told otherwise: chaos is a matter of degree and of luck


def stability(
    experiment: Experiment, backends: Sequence[str], repeats: int | None = None
) -> pd.DataFrame:
    """The chaos map of every backend: columns backend, eta, lmbd, difference, chaotic.

    ``difference`` is the largest relative distance of weights between a training and its twins, over
    the first repeats; ``chaotic`` whether any of them is. NumPy trains each recipe in the place of all
    backends that have it: chaos belongs to the training, not to the library. InputError if the data
    cannot be loaded.
    """
    dataset = load_dataset(experiment)
    numbers = range(min(experiment.repeats, repeats or REPEATS))
    frames: list[pd.DataFrame] = []
    done: dict[str, pd.DataFrame] = {}
    for backend in backends:
        recipe = experiment.recipe(backend).model_dump_json(exclude=IDLE)
        if recipe not in done:
            stand_in = experiment.model_copy(
                update={"overrides": {"numpy": experiment.overrides.get(backend, {})}}
            )
            done[recipe] = _worst(chaos_map(stand_in, dataset, "numpy", repeats=numbers))
        frames.append(done[recipe].assign(backend=backend))
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _worst(chaos: pd.DataFrame) -> pd.DataFrame:
    """By cell, the largest distance of its repeats; chaotic if any of them is."""
    cells = chaos.groupby(["eta", "lmbd"], as_index=False)
    return cells.agg(difference=("difference", "max"), chaotic=("chaotic", "max"))
