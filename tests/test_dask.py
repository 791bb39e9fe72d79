"""Units on a Dask cluster: the same results as here, also when a worker is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager

import pandas as pd
import pytest
from test_runner import FAULTY, SMALL

from harness.api import run
from harness.cli.main import run_command_line
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment

pytest.importorskip("distributed")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers as processes on 127.0.0.1; gives address, worker processes, scheduler."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()]),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
    }

    def start(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    scheduler = start(
        "dask_scheduler", "--host", "127.0.0.1", "--port", address.rsplit(":")[-1], "--no-dashboard"
    )
    workers = [
        start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        for _ in range(2)
    ]
    yield address, workers, scheduler
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def on(address: str, tmp_path, name: str = "dask") -> Execution:
    return Execution(executor="dask", scheduler=address, output=str(tmp_path), name=name)


def test_a_cluster_gives_the_same_bytes_as_this_process(cluster, tmp_path):
    here = run(SMALL, Execution(executor="serial", output=str(tmp_path), name="here"))
    there = run(SMALL, on(cluster[0], tmp_path))
    pd.testing.assert_frame_equal(
        here.records.drop(columns="seconds"),
        there.records.drop(columns="seconds"),
        check_exact=True,
    )
    paths = [tmp_path / name / "predictions.parquet" for name in ("here", "dask")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


SLOW = Experiment(dataset="iris", epochs=2, backends=("faulty:Slow",))


@contextmanager
def killed_after_the_first_part(process, tmp_path):
    """Inside, a process of the cluster is killed once the run has kept something."""
    parts = tmp_path / "dask" / "parts"

    def kill() -> None:
        while not (parts.exists() and any(parts.iterdir())):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()


def test_a_scheduler_killed_mid_run_is_one_line_and_the_rest_is_done_elsewhere(
    cluster, tmp_path, monkeypatch, capfd
):
    monkeypatch.syspath_prepend(tmp_path)
    address, _, scheduler = cluster
    where = ("--output", str(tmp_path), "--name", "dask")
    grid = ("--eta", "0.1,1", "--lmbd", "0.1,1", "--repeats", "6", "--epochs", "2")  # three units
    asked = ("run", "--dataset", "iris", "--backend", "faulty:Slow", *grid, *where)
    on_cluster = ("--executor", "dask", "--scheduler", address)
    with killed_after_the_first_part(scheduler, tmp_path), pytest.raises(SystemExit) as ended:
        run_command_line([*asked, *on_cluster])
    assert ended.value.code == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert f"scheduler {address} was lost; what is finished is kept" in line
    kept = {part: part.read_bytes() for part in (tmp_path / "dask" / "parts").iterdir()}
    smaller = SLOW.model_copy(update={"eta": (0.1, 1.0), "lmbd": (0.1, 1.0), "repeats": 6})
    result = run(smaller, Execution(executor="serial", output=str(tmp_path), name="dask"))
    assert len(result.records) == 24
    assert set(result.records["status"]) <= {"ok", "diverged"}
    assert kept
    assert all(part.read_bytes() == content for part, content in kept.items())


def test_a_worker_killed_mid_run_costs_nothing_but_time(cluster, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    address, workers, _ = cluster
    with killed_after_the_first_part(workers[0], tmp_path):
        result = run(SLOW, on(address, tmp_path))
    assert workers[0].wait() == -signal.SIGKILL
    assert set(result.records["status"]) <= {"ok", "diverged"}
    assert len(result.records) == 49


def test_a_unit_that_kills_its_workers_is_recorded_as_failed(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (tmp_path / "faulty.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    experiment = SMALL.model_copy(update={"backends": ("faulty:Dies", "numpy")})
    result = run(experiment, Execution(executor="dask", jobs=2, output=str(tmp_path), name="local"))
    assert set(result.of("faulty:Dies")["status"]) == {"failed"}
    assert "its worker died, again and again" in result.of("faulty:Dies")["reason"].iloc[0]
    assert "ok" in set(result.of("numpy")["status"])
    assert not any(temporary.iterdir())


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.executors.dask.CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"scheduler: 'tcp://127\.0\.0\.1:9' does not answer"):
        run(SMALL, on("tcp://127.0.0.1:9", tmp_path))
