"""The run folder: files appear whole, one run at a time, on any storage."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

from harness.errors import InputError
from harness.experiment.experiment import Experiment
from harness.results.file_names import file_name
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


def test_discarding_removes_what_was_claimed_and_says_what_stays(folder):
    folder.claim(["report.md", "figures/a.png"])
    part = f"parts/{'0a' * 10}.{'0b' * 8}.parquet"
    for name in (part, "report.md", "figures/a.png", "figures/mine.png", "thesis.txt"):
        folder.write(name, "1")
    with folder.lock():
        assert folder.clear_contents() == ["figures", "thesis.txt"]
    assert folder.names("figures") == ["mine.png"]
    assert not folder.names("parts")
    assert not folder.exists("report.md")


def test_a_file_that_is_not_the_harnesss_is_not_claimed(folder):
    folder.write("report.md", "mine")
    with pytest.raises(InputError, match=r"holds 'report.md', which the harness has not written"):
        folder.claim(["report.html", "report.md"])
    assert folder.names("") == ["report.md"]


@pytest.mark.parametrize("name", ["../x", "/x", "figures/../../x"])
def test_no_name_leads_out_of_the_folder(folder, name):
    with pytest.raises(InputError, match="leads out"):
        folder.write(name, "1")


@pytest.mark.parametrize("address", ["", " ", "nosuch://x/y"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match="output: "):
        RunFolder(address)


@pytest.mark.parametrize(
    "text",
    ["../../evil", "a/b", "..", "", "CON:x", "x" * 500, "\x1b]0;t\x07", "my_module:Mine", "é"],
)
def test_a_name_from_elsewhere_is_one_file_and_none_is_anothers(text):
    name = file_name(text)
    assert name
    assert not set(name) & set("/\\:\x1b")
    assert not name.startswith(".")
    assert len(name) < 120
    assert name != file_name(text + "!")
    assert file_name("keras") == "keras"
