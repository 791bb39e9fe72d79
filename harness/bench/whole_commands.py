"""What a person waits for: cold starts of whole commands, each in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial

from harness.bench.phases import wall_seconds
from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder

WHOLE_RUN = "run --backend all, cold start to finished report"
DEFAULT_REPORT = "report of 4 x 49 cells"
LARGE_REPORT = "report of 4 x 2500 cells"

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


def _run_python(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
        )
