"""What a person waits for: cold starts of whole commands, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder

RUN = "run --backend all, cold start to finished report"
REPORT = "report of 4 x 49 cells"
LARGE_REPORT = "report of 4 x 2500 cells"
LARGE_GRID = "1e-5:1e1:50"


def whole_commands(experiment: Experiment, jobs: int, repetitions: int) -> dict[str, list[float]]:
    """Seconds of importing, of --help, of a whole run and of making its report again.

    And of the report on a grid of 50 x 50, trained for a single epoch beforehand.
    """
    cells, backends = len(experiment.cells), len(experiment.backends)
    report = REPORT if (backends, cells) == (4, 49) else f"report of {backends} x {cells} cells"
    taken: dict[str, list[float]] = {"import harness": [], "--help": [], RUN: [], report: []}
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(folder).write_experiment(experiment)
        run = ["-m", "harness", "run", "--config", f"{folder}/experiment.toml", "--output", folder]
        run += ["--jobs", str(jobs)]
        for number in range(repetitions):
            taken["import harness"].append(_seconds(["-c", "import harness"]))
            taken["--help"].append(_seconds(["-m", "harness", "--help"]))
            taken[RUN].append(_seconds([*run, "--name", f"run-{number}"]))
            taken[report].append(_seconds(["-m", "harness", "report", f"{folder}/run-{number}"]))
        if backends == 4:
            grid = ["--eta", LARGE_GRID, "--lmbd", LARGE_GRID, "--epochs", "1", "--repeats", "1"]
            _seconds([*run, *grid, "--name", "large"])
            again = ["-m", "harness", "report", f"{folder}/large"]
            taken[LARGE_REPORT] = [_seconds(again) for _ in range(repetitions)]
    return taken


def _seconds(arguments: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
        )
    return time.perf_counter() - begun
