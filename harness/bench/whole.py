"""What a person waits for: cold starts of whole commands, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from harness.experiment import Experiment
from harness.store import RunFolder

RUN = "run --backend all, cold start to finished report"


def whole_commands(experiment: Experiment, jobs: int, repetitions: int) -> dict[str, list[float]]:
    """Seconds of importing, of --help, of a whole run and of making its report again."""
    taken: dict[str, list[float]] = {"import harness": [], "--help": [], RUN: [], "report": []}
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(folder).write_experiment(experiment)
        run = [
            "run",
            "--config",
            f"{folder}/experiment.toml",
            "--output",
            folder,
            "--jobs",
            str(jobs),
        ]
        for number in range(repetitions):
            taken["import harness"].append(_seconds(["-c", "import harness"]))
            taken["--help"].append(_seconds(["-m", "harness", "--help"]))
            taken[RUN].append(_seconds(["-m", "harness", *run, "--name", f"run-{number}"]))
            taken["report"].append(_seconds(["-m", "harness", "report", f"{folder}/run-{number}"]))
    return taken


def _seconds(arguments: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
        )
    return time.perf_counter() - begun
