"""What a backend gives back is checked; what it was given stays as it was; its end is nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_runner import SMALL

from harness.api import run
from harness.experiment.execution import Execution

PLUGINS = """
import os, sys
import numpy as np
from backends.network import Fit, Weights
from backends.numpy_backend import NumPyBackend

class Changed(NumPyBackend):
    name = "changed"
    def train(self, *args):
        return Fit(tuple(self.change(w) for w in super().train(*args).path))

class Turned(Changed):
    def change(self, w):
        return Weights((w.W[0].swapaxes(1, 2), *w.W[1:]), w.b)

class Wide(Changed):
    def change(self, w):
        return w.astype("float64")

class Shallow(Changed):
    def change(self, w):
        return Weights(w.W[:1], w.b[:1])

class Few(NumPyBackend):
    name = "few"
    def train(self, *args):
        return Fit(super().train(*args).path[-1:])

class Flat(NumPyBackend):
    name = "flat"
    def predict_proba(self, *args):
        return super().predict_proba(*args)[..., 0]

class Greedy(NumPyBackend):
    name = "greedy"
    def train(self, x, y, network, training, cells, plan):
        {"x": x, "y": y, "order": plan.order, "W": plan.initial.W[0]}[self.what][...] = 0

class GreedyX(Greedy):
    what = "x"

class GreedyY(Greedy):
    what = "y"

class GreedyOrder(Greedy):
    what = "order"

class GreedyW(Greedy):
    what = "W"

class Leaves(NumPyBackend):
    name = "leaves"
    def train(self, *args):
        os._exit(0)

class Quits(NumPyBackend):
    name = "quits"
    def train(self, *args):
        sys.exit(0)
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Backends that give back what they must not, importable here and in workers."""
    (tmp_path / "plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plugins", raising=False)


def serial(tmp_path) -> Execution:
    return Execution(executor="serial", output=str(tmp_path), name="run")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Turned", "train gave W1 of shape (12, 50, 4); it must be (12, 4, 50)"),
        ("Wide", "train gave W1 in float64; it must be in float32"),
        ("Shallow", "train gave weight matrices of 1 layers; the network has 2"),
        ("Few", "train gave weights after 1 checkpoints; the plan asks for 4"),
        ("Flat", "predict_proba gave an output of shape (12, 150); it must be (12, 150, 3)"),
        ("GreedyX", "assignment destination is read-only"),
        ("GreedyY", "assignment destination is read-only"),
        ("GreedyOrder", "assignment destination is read-only"),
        ("GreedyW", "assignment destination is read-only"),
    ],
)
def test_what_breaks_the_contract_has_failed_with_the_reason(name, reason, plugins, tmp_path):
    experiment = SMALL.model_copy(update={"backends": (f"plugins:{name}", "numpy")})
    result = run(experiment, serial(tmp_path))
    failed = result.of(f"plugins:{name}")
    assert set(failed["status"]) == {"failed"}
    assert failed["reason"].iloc[0] == f"ValueError: {reason}"
    assert "ok" in set(result.of("numpy")["status"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Leaves", "its worker process died 2 times (exit code 0)"),
        ("Quits", "SystemExit: 0"),
    ],
)
def test_a_worker_that_ends_itself_does_not_hang_the_run(name, reason, plugins, tmp_path):
    experiment = SMALL.model_copy(update={"backends": (f"plugins:{name}", "numpy")})
    result = run(experiment, Execution(jobs=2, output=str(tmp_path), name="run"))
    failed = result.of(f"plugins:{name}")
    assert set(failed["status"]) == {"failed"}
    assert failed["reason"].iloc[0] == reason
    assert "ok" in set(result.of("numpy")["status"])


def test_a_script_without_a_main_guard_can_use_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from harness import Execution, Experiment, run\n"
        "print('once')\n"
        "experiment = Experiment(dataset='iris', backends=('numpy',), eta=0.1, lmbd=0, epochs=2)\n"
        "result = run(experiment, Execution(jobs=2, output='out'))\n"
        "print(*result.records['status'])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["once", "ok"]


def test_what_a_killed_run_left_half_written_is_cleaned_up(tmp_path):
    run(SMALL, serial(tmp_path))
    half = tmp_path / "run" / "parts" / f"x.parquet.{'0a' * 16}.tmp"
    half.write_text("half")
    mine = tmp_path / "run" / "notes.tmp"
    mine.write_text("a user's own")
    run(SMALL, serial(tmp_path))
    assert not half.exists()
    assert mine.exists()
