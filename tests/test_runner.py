"""A run keeps what is finished, resumes, and records what failed beside what did not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.api import run
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.result import load_result
from harness.work import plan_work

SMALL = Experiment(
    dataset="iris",
    scale="standard",
    backends=("numpy", "sklearn"),
    eta=(0.01, 0.1, 1.0),
    lmbd=(0.0, 0.01, 0.1, 1000.0),
    epochs=5,
    batch_size=20,
)
SCORES = ["train_accuracy", "validation_accuracy", "test_accuracy", "train_loss", "test_loss"]

FAULTY = """
import os, signal, time
from backends.numpy_backend import NumPyBackend

class Raises(NumPyBackend):
    name = "raises"
    def train(self, *args):
        raise RuntimeError("the disk of the moon\\nis full")

class Dies(NumPyBackend):
    name = "dies"
    def train(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)

class Sleeps(NumPyBackend):
    name = "sleeps"
    def train(self, *args):
        time.sleep(600)

class Slow(NumPyBackend):
    name = "slow"
    stacks = False
    def train(self, *args):
        time.sleep(0.5)
        return super().train(*args)
"""


@pytest.fixture
def serial(tmp_path):
    return Execution(executor="serial", output=str(tmp_path), name="run")


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """A module of faulty backends that this process and its workers can import."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    path = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in path if p))
    return "faulty"


def test_every_cell_has_a_row_and_diverged_ones_have_no_accuracy(serial):
    result = run(SMALL, serial)
    assert len(result.records) == 2 * 12
    diverged = result.records[result.records["status"] == "diverged"]
    # eta * lmbd of 10 to 1000: each step multiplies the weights by up to -1000
    assert set(diverged["lmbd"]) == {1000.0}
    assert diverged[SCORES].isna().all(axis=None)
    assert result.records[result.records["status"] == "ok"][SCORES].notna().all(axis=None)
    assert result.pivot("numpy", "test_accuracy")[1000.0].isna().any()
    assert result.complete


def test_a_result_read_from_its_folder_is_the_result(serial):
    result = run(SMALL, serial)
    again = load_result(result.address)
    pd.testing.assert_frame_equal(again.records, result.records)
    assert again.experiment == result.experiment
    assert np.array_equal(
        again.predicted("numpy", 0.1, 0.01, 0), result.predicted("numpy", 0.1, 0.01, 0)
    )
    csv = pd.read_csv(Path(result.address) / "records.csv")
    assert list(csv.columns) == list(result.records.columns)


def test_accuracy_is_the_share_of_predictions_that_are_right(serial):
    result = run(SMALL, serial)
    for row in result.records[result.records["status"] == "ok"].itertuples():
        predicted = result.predicted(row.backend, row.eta, row.lmbd, row.repeat)
        assert row.test_accuracy == (predicted == result.target(0)).mean()


def test_the_chosen_cell_has_the_highest_validation_accuracy(serial):
    result = run(SMALL, serial)
    best = result.best().set_index("backend")
    for backend in result.backends:
        assert (
            best.loc[backend, "validation_accuracy"]
            == result.of(backend)["validation_accuracy"].max()
        )


def test_learning_curves_end_at_the_final_accuracy(serial):
    result = run(SMALL, serial)
    ends = result.curves[result.curves["epoch"] == SMALL.epochs]
    both = ends.merge(
        result.records, on=["backend", "eta", "lmbd", "repeat"], suffixes=("_curve", "")
    )
    ok = both[both["status"] == "ok"]
    assert len(ok) > 10
    np.testing.assert_allclose(ok["train_accuracy_curve"], ok["train_accuracy"], rtol=1e-6)
    np.testing.assert_allclose(ok["train_loss_curve"], ok["train_loss"], rtol=1e-6)


def test_worker_processes_give_the_same_results_as_this_process(serial, tmp_path):
    here = run(SMALL, serial)
    there = run(SMALL, Execution(jobs=2, output=str(tmp_path), name="workers"))
    pd.testing.assert_frame_equal(
        here.records.drop(columns="seconds"), there.records.drop(columns="seconds")
    )


def test_more_repeats_only_add_rows(serial):
    two = run(SMALL.model_copy(update={"repeats": 2}), serial)
    three = run(SMALL.model_copy(update={"repeats": 3}), serial)
    kept = three.records[three.records["repeat"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        kept.drop(columns="seconds"), two.records.drop(columns="seconds"), rtol=1e-5
    )
    assert three.records["repeat"].nunique() == 3


def test_repeats_with_a_split_of_their_own_have_targets_of_their_own(serial):
    result = run(SMALL.model_copy(update={"vary": "split", "repeats": 2}), serial)
    first, second = (result.targets[result.targets["repeat"] == r]["row"] for r in (0, 1))
    assert set(first) != set(second)
    for row in result.records[result.records["status"] == "ok"].itertuples():
        predicted = result.predicted(row.backend, row.eta, row.lmbd, row.repeat)
        assert row.test_accuracy == (predicted == result.target(row.repeat)).mean()


def test_the_folders_experiment_reproduces_the_run(serial, tmp_path):
    from harness.experiment.config import read_config, sort_settings

    first = run(SMALL, serial)
    experiment, _ = sort_settings(read_config(Path(first.address) / "experiment.toml"))
    again = run(experiment, serial.model_copy(update={"name": "again"}))
    pd.testing.assert_frame_equal(
        first.records.drop(columns="seconds"), again.records.drop(columns="seconds")
    )


def test_another_experiment_into_the_same_folder_is_refused(serial):
    run(SMALL, serial)
    with pytest.raises(InputError, match="holds another experiment \\(epochs 5, now 6\\)"):
        run(SMALL.model_copy(update={"epochs": 6}), serial)
    fresh = serial.model_copy(update={"fresh": True})
    assert run(SMALL.model_copy(update={"epochs": 6}), fresh).experiment.epochs == 6


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", ".hidden", "c:"])
def test_a_run_name_cannot_leave_its_folder(name, tmp_path):
    with pytest.raises(InputError, match="name: found"):
        run(SMALL, Execution(executor="serial", output=str(tmp_path), name=name))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        run(SMALL, Execution(executor="serial", output=str(tmp_path / "file"), name="run"))


def test_a_batch_larger_than_the_training_set_is_clipped_and_said_so(serial):
    result = run(SMALL.model_copy(update={"batch_size": 1000}), serial)
    assert result.manifest["notes"] == [
        "batch_size: 1000 is larger than the training set of 96 samples; clipped to 96"
    ]


def test_what_a_library_cannot_do_is_unsupported_with_the_reason(serial):
    result = run(SMALL.model_copy(update={"activation": "elu"}), serial)
    assert set(result.of("sklearn")["status"]) == {"unsupported"}
    assert "no activation 'elu'" in result.of("sklearn")["reason"].iloc[0]
    assert "ok" in set(result.of("numpy")["status"])
    assert result.complete


def test_a_backend_that_raises_does_not_take_the_others_down(serial, faulty):
    result = run(SMALL.model_copy(update={"backends": ("numpy", "faulty:Raises")}), serial)
    failed = result.of("faulty:Raises")
    assert set(failed["status"]) == {"failed"}
    assert failed["reason"].iloc[0] == "RuntimeError: the disk of the moon is full"
    assert "ok" in set(result.of("numpy")["status"])
    assert not result.complete


def test_a_worker_that_dies_costs_only_its_unit_and_is_tried_twice(tmp_path, faulty):
    result = run(
        SMALL.model_copy(update={"backends": ("faulty:Dies", "numpy")}),
        Execution(jobs=2, output=str(tmp_path), name="run"),
    )
    assert set(result.of("faulty:Dies")["status"]) == {"failed"}
    assert (
        result.of("faulty:Dies")["reason"].iloc[0]
        == "its worker process died 2 times (killed by SIGKILL)"
    )
    assert "ok" in set(result.of("numpy")["status"])


def test_a_unit_over_its_time_limit_is_recorded_as_timeout(tmp_path, faulty):
    result = run(
        SMALL.model_copy(update={"backends": ("faulty:Sleeps", "numpy")}),
        Execution(jobs=2, output=str(tmp_path), name="run", unit_timeout=5),
    )
    assert set(result.of("faulty:Sleeps")["status"]) == {"timeout"}
    assert result.of("faulty:Sleeps")["reason"].iloc[0] == "took longer than 5 s"
    assert "ok" in set(result.of("numpy")["status"])


def test_failed_units_are_tried_again_by_the_same_command(serial, faulty, tmp_path):
    experiment = SMALL.model_copy(update={"backends": ("numpy", "faulty:Raises")})
    run(experiment, serial)
    assert [unit.backend for unit in plan_work(experiment).units].count("raises") == 1
    assert len(list((tmp_path / "run" / "parts").iterdir())) == 1


def test_a_run_killed_at_any_moment_is_finished_by_the_same_command(tmp_path, faulty):
    """kill -9 of the parent after its first part: that part is kept, the rest is done again."""
    command = [
        *(sys.executable, "-m", "harness", "run", "--backend", "faulty:Slow", "--jobs", "1"),
        *("--dataset", "iris", "--epochs", "2", "--output", str(tmp_path), "--name", "killed"),
    ]
    parts = tmp_path / "killed" / "parts"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (parts.exists() and list(parts.glob("*.parquet"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert 0 < len(kept) < 7
    assert not (tmp_path / "killed" / "records.parquet").exists()
    result = run(
        Experiment(dataset="iris", epochs=2, backends=("faulty:Slow",)),
        Execution(executor="serial", output=str(tmp_path), name="killed"),
    )
    assert len(list(parts.glob("*.parquet"))) == 7
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (result.records["status"] == "ok").sum() > 40


def test_an_interrupted_run_stops_its_workers_and_keeps_what_is_finished(tmp_path, faulty):
    command = [
        *(
            sys.executable,
            "-m",
            "harness",
            "run",
            "--backend",
            "faulty:Sleeps,numpy",
            "--jobs",
            "2",
        ),
        *("--dataset", "iris", "--epochs", "2", "--output", str(tmp_path), "--name", "stopped"),
    ]
    parts = tmp_path / "stopped" / "parts"
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell that starts these tests in the background has them ignore interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (parts.exists() and list(parts.glob("*.parquet"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "stopped with 49 of 98 networks finished and kept" in out
    assert len(list(parts.glob("*.parquet"))) == 1


def test_results_can_live_behind_any_fsspec_address(serial):
    there = serial.model_copy(update={"output": "memory://runs"})
    result = run(SMALL, there)
    assert result.address == "memory://runs/run"
    assert len(load_result("memory://runs/run").records) == 24


@pytest.mark.slow
def test_a_script_needs_no_main_guard_unless_a_backend_is_defined_in_it(tmp_path):
    script = tmp_path / "study.py"
    body = (
        "from harness import Execution, Experiment, run\n"
        "from backends.numpy_backend import NumPyBackend\n"
        "class Mine(NumPyBackend):\n    name = 'mine'\n"
        "def study(backend):\n"
        "    e = Experiment(dataset='iris', backends=(backend,), eta=0.1, lmbd=0, epochs=1)\n"
        "    r = run(e, Execution(jobs=2, fresh=True))\n"
        "    print(r.records['status'].tolist())\n"
    )
    calls = {
        "study('numpy')": "['ok']",
        "study('__main__:Mine')": "allowed: below `if __name__ == '__main__':` there",
        "if __name__ == '__main__': study('__main__:Mine')": "['ok']",
    }
    for call, told in calls.items():
        script.write_text(body + call)
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert told in (done.stdout + done.stderr).splitlines()[-1]
