"""A unit is trained again exactly when something that its result depends on is another one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from backends.registry import find
from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment
from harness.results.result import load_result
from harness.training.unit_digest import BIT_VARIABLES, backend_surroundings, unit_digest
from harness.training.units import Unit

MINE = """
import numpy as np
from backends.base import Backend

class Mine(Backend):
    name = "mine"
    def train_one(self, x, y, network, training, eta, lmbd, plan):
        W, b = plan.start()
        return [FACTOR * w for w in W], b
"""
UNIT = Unit("numpy", (0,), 0, 1)


def harness(folder: Path, *arguments: str, **variables: str) -> str:
    """What a run of ``mine:Mine`` in a process of its own prints."""
    command = [
        *(sys.executable, "-m", "harness", "run", "--backend", "mine:Mine", "--dataset", "iris"),
        *("--eta", "0.1", "--lmbd", "0", "--epochs", "2", "--jobs", "1"),
        *("--output", str(folder), "--name", "run", *arguments),
    ]
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path} | variables,
    )
    return done.stdout


def write_mine(folder: Path, factor: float) -> None:
    (folder / "mine.py").write_text(MINE.replace("FACTOR", str(factor)))


def test_an_edited_backend_gives_new_numbers(tmp_path):
    write_mine(tmp_path, 1.0)
    harness(tmp_path)
    first = load_result(str(tmp_path / "run")).records
    write_mine(tmp_path, 3.0)
    said = harness(tmp_path)
    result = load_result(str(tmp_path / "run"))
    write_mine(tmp_path, 3.0)
    fresh = harness(tmp_path, "--fresh") and load_result(str(tmp_path / "run")).records
    losses = [float(r["test_loss"].iloc[0]) for r in (first, result.records, fresh)]
    assert losses[0] != losses[1]
    assert losses[1] == losses[2]
    assert "mine is trained again; what has changed: code of the backend" in said
    assert result.manifest["trained_again"] == {"mine": ["code of the backend"]}
    assert result.manifest["taken_over"] == {"units": 0, "finished": ""}


def test_a_run_says_how_many_units_are_from_before_and_of_when(tmp_path):
    write_mine(tmp_path, 1.0)
    harness(tmp_path)
    before = load_result(str(tmp_path / "run")).manifest["units"][0]["finished"]
    said = harness(tmp_path)
    result = load_result(str(tmp_path / "run"))
    assert result.manifest["taken_over"] == {"units": 1, "finished": before}
    assert f"from before ({before})" in said


@pytest.mark.parametrize(
    ("arguments", "variables", "what"),
    [
        (["--threads", "2"], {}, "threads (was 1, is 2)"),
        ([], {"TF_ENABLE_ONEDNN_OPTS": "0"}, "TF_ENABLE_ONEDNN_OPTS (was 1, is 0)"),
    ],
)
def test_other_threads_or_variables_train_again_and_leave_no_stale_part(
    tmp_path, arguments, variables, what
):
    write_mine(tmp_path, 1.0)
    harness(tmp_path)
    old = set((tmp_path / "run" / "parts").iterdir())
    said = harness(tmp_path, *arguments, **variables)
    assert f"what has changed: {what}" in said
    assert "1 part(s) of other code, versions, threads or variables removed" in said
    new = set((tmp_path / "run" / "parts").iterdir())
    assert len(new) == 1
    assert not old & new


def test_a_damaged_part_is_trained_again(tmp_path):
    write_mine(tmp_path, 1.0)
    harness(tmp_path)
    first = load_result(str(tmp_path / "run")).records
    (part,) = (tmp_path / "run" / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:200])
    harness(tmp_path)
    again = load_result(str(tmp_path / "run")).records
    pd.testing.assert_frame_equal(
        first.drop(columns="seconds"), again.drop(columns="seconds"), check_exact=True
    )


def test_what_counts_for_a_backend_is_named():
    around = backend_surroundings(find("numpy"), 1)
    assert {
        "code of the harness",
        "code of the backend",
        "numpy",
        "scikit-learn",
        "threads",
    } <= set(around)
    assert "tensorflow" not in around
    keras = backend_surroundings(find("keras"), 1)
    assert {"keras", "tensorflow", "TF_ENABLE_ONEDNN_OPTS"} <= set(keras)


@pytest.mark.parametrize("variable", [variable.name for variable in BIT_VARIABLES])
def test_every_variable_that_changes_bits_changes_the_digest(variable, monkeypatch):
    experiment = Experiment(dataset="iris", backends=("numpy",))
    data = load_dataset(experiment).sha256

    def digest() -> str:
        return unit_digest(UNIT, experiment, data, backend_surroundings(find("numpy"), 1))

    before = digest()
    assert digest() == before
    monkeypatch.setenv(variable, "other")
    assert digest() != before
