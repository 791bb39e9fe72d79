"""The run folder: files appear whole, one run at a time, on any storage."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

from harness.errors import InputError
from harness.experiment.experiment import Experiment
from harness.results.run_folder import RunFolder


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    address = str(tmp_path / "run") if request.param == "disk" else f"memory://{tmp_path}/run"
    return RunFolder(address)


def test_an_experiment_comes_back_as_it_was(folder):
    experiment = Experiment(
        eta=(0.1, 1e-5), lmbd=(0.0,), hidden=(7, 5), overrides={"keras": {"cost": "sum"}}, seed=9
    )
    folder.write_experiment(experiment)
    assert folder.read_experiment() == experiment


def test_frames_keep_arrays_and_metadata(folder):
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": [np.arange(3), np.empty(0, dtype=int)]})
    folder.write_frame("parts/x.parquet", frame, {"seconds": 2.5})
    back, metadata = folder.read_frame("parts/x.parquet")
    assert metadata == {"seconds": 2.5}
    assert back["b"][0].tolist() == [0, 1, 2]
    assert np.isnan(back["a"][1])
    assert folder.names("parts") == ["x.parquet"]


def test_a_file_is_replaced_as_a_whole(folder):
    folder.write("report.md", "first" * 1000)
    folder.write("report.md", "second")
    assert folder.read("report.md") == b"second"
    assert folder.names("") == ["report.md"]


def test_a_reader_never_meets_half_a_file(tmp_path):
    folder = RunFolder(str(tmp_path))
    contents = [bytes([c]) * 200_000 for c in b"ab"]
    folder.write("x", contents[0])
    over = threading.Event()

    def rewrite() -> None:
        for i in range(200):
            folder.write("x", contents[i % 2])
        over.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(folder.read("x"))
    writer.join()
    assert seen <= set(contents)


def test_a_second_run_into_the_same_folder_is_told_so(folder):
    with (
        folder.lock(),
        pytest.raises(InputError, match="another run is writing"),
        RunFolder(folder.address).lock(),
    ):
        pass
    with folder.lock():
        pass


def test_discarding_leaves_nothing_but_the_lock(folder):
    folder.write("parts/x", "1")
    folder.write("report.md", "2")
    with folder.lock():
        folder.clear_contents()
        assert [name for name in folder.names("") if name != ".lock"] == []
