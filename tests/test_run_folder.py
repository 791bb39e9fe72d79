"""What a run leaves is known by its hashes and held until its report is written; nobody else's is touched."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_runner import SMALL
from threadpoolctl import threadpool_info, threadpool_limits

from backends.frameworks import THREAD_VARIABLES
from harness.api import run, write_report
from harness.check.baseline import load_baseline, save_baseline
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.results.result import load_result
from harness.results.run_folder import (
    RunFolder,
    content_hash,
    json_hash,
    parquet_bytes,
    parquet_frame,
)
from harness.training.contract import undisturbed_process

ROOT = Path(__file__).parents[1]
FORGERIES = {
    "an accuracy of 7": lambda rows: rows.assign(test_accuracy=7.0),
    "another accuracy than the labels have": lambda rows: rows.assign(test_accuracy=0.5),
    "labels 0": lambda rows: rows.assign(predicted=[0 * p for p in rows["predicted"]]),
    "labels of fewer samples": lambda rows: rows.assign(
        predicted=[p[1:] for p in rows["predicted"]]
    ),
    "eta doubled": lambda rows: rows.assign(eta=2 * rows["eta"]),
    "another backend": lambda rows: rows.assign(backend="keras"),
    "no rows": lambda rows: rows[:0],
    "a loss below zero": lambda rows: rows.assign(train_loss=-1.0),
    "a column less": lambda rows: rows.drop(columns="status"),
    "a status that is none": lambda rows: rows.assign(status="fine"),
}


def serial(tmp_path, **settings) -> Execution:
    return Execution(executor="serial", output=str(tmp_path), name="run", **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a small finished run, not to be changed."""
    place = tmp_path_factory.mktemp("finished")
    experiment = SMALL.model_copy(update={"backends": ("numpy",), "repeats": 4})
    return run(experiment, serial(place))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_part_that_cannot_be_its_units_is_trained_again_even_with_the_right_hash(
    forgery, tmp_path, caplog
):
    experiment = SMALL.model_copy(update={"backends": ("numpy",)})
    first = run(experiment, serial(tmp_path))
    (part,) = (tmp_path / "run" / "parts").iterdir()
    rows, about = parquet_frame(part.read_bytes())
    content = parquet_bytes(FORGERIES[forgery](rows), about)
    part.unlink()
    name = f"{part.name[:20]}.{content_hash(content)[:16]}.parquet"
    (part.parent / name).write_bytes(content)
    again = run(experiment, serial(tmp_path))
    assert [f"parts/{name} is damaged" in m for m in caplog.messages].count(True) == 1
    pd.testing.assert_frame_equal(
        first.records.drop(columns="seconds"), again.records.drop(columns="seconds")
    )


def test_nobody_writes_to_the_folder_before_the_report_is_written(tmp_path):
    told = []

    def finish(result) -> None:
        assert load_result(result.address).complete
        for other in (
            lambda: run(SMALL, serial(tmp_path, fresh=True)),
            lambda: write_report(result),
        ):
            with pytest.raises(InputError, match="another run is writing"):
                other()
        told.append(write_report(result, held=True))

    run(SMALL, serial(tmp_path), finish=finish)
    assert Path(told[0]).exists()


def test_a_reader_of_a_folder_that_is_being_written_is_told_so(tmp_path):
    run(SMALL, serial(tmp_path))
    manifest = tmp_path / "run" / "manifest.json"
    folder = RunFolder(str(tmp_path / "run"))
    with folder.lock():
        manifest.unlink()
        with pytest.raises(InputError, match="is being written by a run; wait for it"):
            load_result(folder.address)
    with pytest.raises(InputError, match=r"unfinished: it has no manifest.json.*--name run"):
        load_result(folder.address)


def test_a_run_whose_records_are_fewer_than_asked_for_is_unfinished(finished, tmp_path):
    """As a run from before contents were hashed was left, when it was killed while it was extended."""
    folder = RunFolder(str(tmp_path / "run"))
    old = {k: v for k, v in finished.manifest.items() if k not in ("files", "sha256")}
    folder.write_json("manifest.json", old)
    for name in ("records", "predictions", "targets", "curves"):
        folder.write_frame(f"{name}.parquet", getattr(finished, name))
    folder.write_experiment(finished.experiment.model_copy(update={"repeats": 12}))
    with pytest.raises(InputError, match=r"unfinished: its records .*run --config \S+ --output"):
        load_result(folder.address)


@pytest.mark.parametrize(
    "content", ["{", "{}", "[1]", '{"dataset": 1}', '{"files": {}, "sha256": ""}']
)
def test_a_damaged_manifest_is_made_anew_by_the_same_command(content, finished, tmp_path):
    shutil.copytree(finished.address, tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_text(content)
    run(finished.experiment, serial(tmp_path))
    again = load_result(str(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.predictions, finished.predictions)


def test_a_run_from_before_contents_were_hashed_is_read_and_said_to_be(caplog):
    with caplog.at_level(logging.WARNING):
        assert load_result(str(ROOT / "results" / "example")).complete
    manifest = json.loads((ROOT / "results" / "example" / "manifest.json").read_text())
    assert ("from before contents were hashed" in caplog.text) == ("files" not in manifest)


def test_fresh_leaves_what_is_not_the_harnesss_and_says_so(tmp_path, caplog):
    run(SMALL, serial(tmp_path))
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    with caplog.at_level(logging.INFO, logger="harness"):
        run(SMALL.model_copy(update={"epochs": 6}), serial(tmp_path, fresh=True))
    assert (tmp_path / "run" / "thesis.tex").read_text() == "mine"
    assert "not written by the harness: thesis.tex" in caplog.text


@pytest.mark.parametrize("fresh", [True, False])
def test_somebodys_own_experiment_toml_makes_no_run_folder(fresh, tmp_path):
    (tmp_path / "run").mkdir()
    mine = {"experiment.toml": "seed = 1", "report.md": "mine", "thesis.tex": "years"}
    for name, words in mine.items():
        (tmp_path / "run" / name).write_text(words)
    with pytest.raises(InputError, match="which the harness has not written"):
        run(SMALL, serial(tmp_path, fresh=fresh))
    assert {p.name: p.read_text() for p in (tmp_path / "run").iterdir()} == mine


def test_a_report_is_not_written_over_somebodys_file(finished, tmp_path):
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'report.md', which the harness has not written"):
        write_report(finished, str(tmp_path))
    assert (tmp_path / "report.md").read_text() == "mine"
    page = write_report(finished, str(tmp_path / "report"))
    assert write_report(finished, str(tmp_path / "report")) == page


def test_a_run_whose_report_cannot_be_written_has_its_tables_and_ends_with_3(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "figures").write_text("a file in the place of a folder")
    done = harness(
        *("run", "--dataset", "iris", "--backend", "numpy", "--eta", "0.1", "--lmbd", "0"),
        *("--epochs", "1", "--executor", "serial", "--output", ".", "--name", "run", "-q"),
        folder=tmp_path,
    )
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert load_result(str(tmp_path / "run")).complete


def harness(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


# baselines


def test_a_baseline_that_was_changed_by_hand_is_refused_and_the_file_named(finished, tmp_path):
    save_baseline(finished, "kept", str(tmp_path))
    for name in ("records.csv", "labels.csv", "experiment.toml", "baseline.json"):
        file = tmp_path / "kept" / name
        saved = file.read_bytes()
        file.write_bytes(saved.replace(b"0", b"1", 1))
        with pytest.raises(InputError, match=rf"{name} of .* was changed after it was saved"):
            load_baseline("kept", str(tmp_path))
        file.write_bytes(saved.replace(b"\n", b"\r\n"))  # as git may check it out
        assert load_baseline("kept", str(tmp_path)).experiment == finished.experiment
        file.write_bytes(saved)


def test_a_baseline_is_not_saved_over_somebodys_files(finished, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "records.csv").write_text("mine")
    with pytest.raises(InputError, match="which the harness has not written"):
        save_baseline(finished, "kept", str(tmp_path))


def test_the_baselines_under_version_control_are_as_they_were_saved(caplog):
    for name in ("digits", "small"):
        load_baseline(name, str(ROOT / "results" / "baselines"))
    assert not caplog.messages


@pytest.mark.parametrize("name", ["../kept", "/etc", "a/b", ".git"])
def test_a_baselines_name_cannot_lead_elsewhere(name, tmp_path):
    with pytest.raises(InputError, match="allowed: a plain folder name"):
        load_baseline(name, str(tmp_path))


# what a process has only one of


def test_what_a_backend_does_to_the_process_ends_with_its_unit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, errors, environment = list(sys.path), np.geterr(), dict(os.environ)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    drawn = [np.random.random(), random.random()]  # noqa: NPY002
    threads = [library["num_threads"] for library in threadpool_info()]
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    with undisturbed_process():
        np.seterr(all="raise")
        threadpool_limits(max(threads) + 1)  # never entered: holds until somebody sets it back
        np.random.seed(7)  # noqa: NPY002
        random.seed(7)
        os.environ["OMP_NUM_THREADS"] = "64"
        os.environ["MINE"] = "1"
        os.environ.pop("HOME", None)
        sys.path.insert(0, "elsewhere")
        os.chdir("/")
    assert [np.random.random(), random.random()] == drawn  # noqa: NPY002
    assert (np.geterr(), sys.path, dict(os.environ)) == (errors, path, environment)
    assert os.getcwd() == str(tmp_path)
    assert [library["num_threads"] for library in threadpool_info()] == threads


def test_a_second_run_in_the_same_session_trains_nothing_again(tmp_path, monkeypatch):
    of_threads = (*THREAD_VARIABLES, "XLA_FLAGS")
    for name in of_threads:  # as in a session in which nothing was trained yet
        monkeypatch.delenv(name, raising=False)
    for _ in range(2):
        result = run(SMALL, Execution(executor="serial", output=str(tmp_path), name="run"))
        assert not [name for name in of_threads if name in os.environ]
    assert result.manifest["trained_again"] == {}


# what is imported

TRAP = """
from pathlib import Path
from backends.numpy_backend import NumPyBackend
Path(__file__).with_name("imported").touch()

class Mine(NumPyBackend):
    name = "mine"
"""


def test_nothing_in_the_working_directory_is_run_but_what_is_asked_for(tmp_path):
    (tmp_path / "numpy.py").write_text("from pathlib import Path\nPath('run').touch()\n1 / 0\n")
    (tmp_path / "sklearn.py").write_text((tmp_path / "numpy.py").read_text())
    (tmp_path / "mine.py").write_text(TRAP)
    settings = [
        "--dataset",
        "iris",
        "--eta",
        "0.1",
        "--lmbd",
        "0",
        "--epochs",
        "1",
        "--repeats",
        "4",
    ]
    done = harness(
        *("run", "--backend", "numpy,mine:Mine", *settings, "--output", "out", "--name", "r", "-q"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"importing mine from {tmp_path / 'mine.py'}\n"
    assert not (tmp_path / "run").exists()


def test_reading_a_run_imports_no_module_that_it_names(finished, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text(TRAP)
    monkeypatch.syspath_prepend(tmp_path)
    named = {"backends": ("trap:Mine",)}
    folder = RunFolder(str(tmp_path / "run"))
    files = {
        "experiment.toml": folder.write_experiment(finished.experiment.model_copy(update=named))
    }
    for table in ("records", "predictions", "targets", "curves"):
        frame = getattr(finished, table)
        renamed = frame.assign(backend="trap:Mine") if "backend" in frame else frame
        files[f"{table}.parquet"] = folder.write_frame(f"{table}.parquet", renamed)
    manifest = finished.manifest | {"files": files}
    manifest["backends"] = {"trap:Mine": finished.manifest["backends"]["numpy"]}
    folder.write_json("manifest.json", manifest | {"sha256": json_hash(manifest)})
    folder.claim(["manifest.json"])
    write_report(load_result(folder.address))
    save_baseline(finished, "kept", str(tmp_path / "baselines"))
    for verb in (["compare", "run"], ["check", "--baseline", "kept", "--folder", "baselines"]):
        more = ["--run", "run"] if verb[0] == "check" else []
        done = harness(*verb, *more, folder=tmp_path)
        assert "Traceback" not in done.stderr
        assert "importing" not in done.stderr
    assert not (tmp_path / "imported").exists()
