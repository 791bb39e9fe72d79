"""What a person waits for: cold starts of whole commands, each in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from harness.bench.phases import wall_seconds
from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder

WHOLE_RUN = "run --backend all, cold start to finished report"
DEFAULT_REPORT = "report of 4 x 49 cells"
LARGE_REPORT = "report of 4 x 2500 cells"
STUDY_RUN = (
    "a study of 20 points x 49 cells x 2 backends, over its units' own time over the workers"
)

_LARGE_AXIS = "1e-5:1e1:50"


def time_whole_commands(experiment: Experiment, jobs: int, repetitions: int) -> dict[str, float]:
    """Median seconds of importing, of --help, of a whole run and of making its report again.

    And of the report on a grid of 50 x 50, trained for a single epoch beforehand.
    """
    cells, backends = len(experiment.cells), len(experiment.backends)
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(folder).write_experiment(experiment)
        run = ["-m", "harness", "run", "--config", f"{folder}/experiment.toml", "--output", folder]
        run += ["--jobs", str(jobs)]
        commands = {
            "import harness": ["-c", "import harness"],
            "--help": ["-m", "harness", "--help"],
            WHOLE_RUN: [*run, "--name", "run", "--fresh"],
            f"report of {backends} x {cells} cells": ["-m", "harness", "report", f"{folder}/run"],
        }
        if backends == 4:
            axis = ["--eta", _LARGE_AXIS, "--lmbd", _LARGE_AXIS, "--epochs", "1", "--repeats", "1"]
            _run_python([*run, *axis, "--name", "large"])
            commands[LARGE_REPORT] = ["-m", "harness", "report", f"{folder}/large"]
        rounds = [
            {
                what: wall_seconds(partial(_run_python, command))
                for what, command in commands.items()
            }
            for _ in range(repetitions)
        ]
    return {what: statistics.median(taken[what] for taken in rounds) for what in commands}


def study_ratio(jobs: int, seeds: int = 5) -> float:
    """The time of a study, from its planned work to its tables, over its units' own time over the workers."""
    with tempfile.TemporaryDirectory() as folder:
        axes = [
            f"seed={','.join(map(str, range(seeds)))}",
            "activation=tanh,relu",
            "hidden=20;20,10",
        ]
        flags = ["--dataset", "iris", "--scale", "standard", "--backend", "numpy,sklearn"]
        over = [part for axis in axes for part in ("--over", axis)]
        place = ["--jobs", str(jobs), "--output", folder, "--name", "study"]
        _run_python(["-m", "harness", "run", *flags, *over, *place])
        facts = json.loads(Path(folder, "study", "study.json").read_bytes())
    units = sum(point["seconds"] for point in facts["points"])
    return float(facts["wall_seconds"]) * jobs / units


def _run_python(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
        )
