"""Large data: a run on as many samples and features as MNIST has, generated, beside plain fits of one cell.

What is looked at beside the time of the whole command is what it spends on anything but training, and how
much memory it holds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.bench.phases import wall_seconds
from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder

SAMPLES, FEATURES, CLASSES = 60_000, 784, 10
EPOCHS = 3
_HIDDEN = 128
_MOST_EPOCHS = 10  # of training, that evaluation is held against


def large_experiment(
    folder: str, backends: Sequence[str], samples: int = SAMPLES, features: int = FEATURES
) -> Experiment:
    """Nine cells on generated data, which it writes into ``folder``: an NPZ file of float32."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, samples)
    x = rng.random((samples, features), dtype=np.float32)
    x += rng.random((CLASSES, features), dtype=np.float32)[y]
    x /= 2
    path = Path(folder) / "large.npz"
    np.savez(path, x=x, y=y)
    return Experiment(
        dataset=str(path),
        target="y",
        hidden=(_HIDDEN,),
        activation="relu",
        eta=(1e-3, 1e-2, 1e-1),
        lmbd=(1e-4, 1e-3, 1e-2),
        epochs=EPOCHS,
        backends=tuple(backends),
    )


def measure_large_data(
    folder: str,
    experiment: Experiment,
    jobs: int,
    plain_fit: Callable[[str, Experiment], float],
) -> dict[str, Any]:
    """The whole command on :func:`large_experiment`, and plain fits of one of its cells, once each.

    Gives ``seconds`` by what took them, and by backend what evaluation is of ten epochs of training
    (``evaluation``) and what a worker's peak memory is of the data's (``memory``).
    """
    home = RunFolder(folder)
    home.write_experiment(experiment)
    command = [sys.executable, "-m", "harness", "run", "--config", f"{folder}/experiment.toml"]
    command += ["--output", folder, "--name", "large", "--jobs", str(jobs), "--quiet"]
    size = f"{len(experiment.cells)} cells x {len(experiment.backends)} backends on large data"
    seconds = {
        f"run of {size}": wall_seconds(lambda: subprocess.run(command, check=True)),
        "large data: NumPy reads the file": wall_seconds(lambda: _read(experiment.dataset)),
    }
    for name in experiment.backends:
        taken = plain_fit(name, experiment)
        if taken == taken:
            seconds[f"large data: a plain fit of one cell by {name}"] = taken
    units = pd.DataFrame(RunFolder(f"{folder}/large").read_json("manifest.json")["units"])
    bytes_of_data = Path(experiment.dataset).stat().st_size
    return {"seconds": seconds, **_shares(units, experiment.epochs, bytes_of_data)}


def _read(path: str) -> None:
    with np.load(path) as file:
        for name in file.files:
            file[name]


def _shares(units: pd.DataFrame, epochs: int, bytes_of_data: int) -> dict[str, dict[Any, Any]]:
    """By backend: evaluation over ten epochs of training, a worker's peak memory over the data's."""
    own = units.groupby("backend", sort=False)
    training = own["train_seconds"].sum() * _MOST_EPOCHS / epochs
    return {
        "evaluation": (own["evaluate_seconds"].sum() / training).to_dict(),
        "memory": (own["peak_memory_bytes"].max() / bytes_of_data).to_dict(),
    }
