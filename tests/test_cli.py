"""What a person types and sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.cli.main import VERBS, run_command_line


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def call(capsys):
    """Runs a command line in this process; gives exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            run_command_line(arguments)
        out, err = capsys.readouterr()
        return int(caught.value.code), out, err

    return call


FAULTY = """
from backends.base import Backend

class Faulty(Backend):
    name = "faulty"

    def train_one(self, *given):
        raise RuntimeError("while training")

class Broken(Faulty):
    def unsupported(self, *given):
        raise RuntimeError("of its own")
"""


@pytest.mark.parametrize(
    ("backend", "stream", "told"),
    [
        ("Faulty", "stdout", "RuntimeError: while training"),
        ("Broken", "stderr", "error: RuntimeError: of its own; a fault in a"),
    ],
)
def test_a_fault_in_a_backend_is_no_verdict(backend, stream, told, tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    grid = ["--eta", "0.1", "--lmbd", "0.1", "--epochs", "1", "--no-conformance"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "parity", "--backend", f"numpy,faulty:{backend}", *grid],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert told in getattr(done, stream)


def test_a_place_that_cannot_be_written_gets_one_line(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    code, _, err = call("lecture", "--output", "file")
    assert code == 2
    assert err.startswith("error: ")
    assert "cannot be read or written (Not a directory)" in err
    assert err.count("\n") == 1


def test_a_damaged_run_gets_one_line(call, tmp_path):
    run = ["run", "--backend", "numpy", "--epochs", "1", "--eta", "0.1", "--lmbd", "0.1", "-q"]
    assert call(*run, "--output", str(tmp_path), "--name", "r")[0] == 0
    for name in ("manifest.json", "records.parquet"):
        (tmp_path / "r" / name).write_bytes((tmp_path / "r" / name).read_bytes()[:100])
        code, _, err = call("report", str(tmp_path / "r"))
        assert code == 2
        assert "is damaged" in err


def test_a_run_that_trained_nothing_does_not_pass_for_done(call, tmp_path):
    run = ["run", "--backend", "sklearn", "--activation", "elu", "--output", str(tmp_path)]
    code, out, _ = call(*run)
    assert code == 3
    assert "sklearn has no activation 'elu'" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--backend", "nunpy"], "did you mean 'numpy'?"),
        (["run", "--dataset", "digit"], "did you mean 'digits'?"),
        (["run", "--activation", "rellu"], "did you mean 'relu'?"),
        (["run", "--backand", "numpy"], "did you mean --backend?"),
        (["run", "--lr", "0.1"], "No such option: --lr; did you mean --eta?"),
        (["run", "--wary", "split"], "did you mean --vary?"),
        (["run", "--xyz", "1"], "No such option: --xyz; see python -m harness run --help"),
        (["run", "--folds", "x"], "folds: found 'x'; allowed: a whole number, 2 or above\n"),
        (["run", "--hidden", "5,x"], "hidden: found 'x'; allowed: a whole number, 1 or above\n"),
        (["run", "--eta", "0.1,x"], "error: eta: found '0.1,x'; allowed: a list such as"),
        (["rum"], "Did you mean 'run'?"),
        (["run", "--eta", ""], "eta: found nothing"),
        (["run", "--eta", "-1"], "eta: found -1"),
        (["run", "--lmbd", "1,1"], "lmbd: 1 given more than once"),
        (["run", "--test-size", "1.5"], "test_size: found 1.5"),
        (
            ["run", "--test-size", "half"],
            "test_size: found 'half'; allowed: a finite number above 0",
        ),
        (["run", "--name", "../up"], "name: found '../up'"),
        (["run", "--dataset", "none.csv", "--target", "y"], "no file 'none.csv'"),
        (["run", "--config", "none.toml"], "'none.toml' cannot be read"),
        (["run", "--jobs", "0"], "jobs: found 0"),
        (["run", "--scheduler", "tcp://127.0.0.1:1"], "only with executor dask"),
        (["report", "nowhere"], "'nowhere' is not a finished run folder"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(call, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from(tmp_path):
    done = harness("run", "--backend", "nunpy", "--debug")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["import harness, backends", "import harness.cli"])
def test_importing_loads_no_framework(command):
    heavy = ["tensorflow", "keras", "sklearn", "pandas", "matplotlib", "torch", "scipy"]
    code = f"{command}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("verb", [*VERBS, "baseline"])
def test_every_verb_has_help(call, verb):
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert "Usage" in out


def test_a_dry_run_says_how_much_work_it_is_and_leaves_nothing(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call("run", "--dry-run", "--activation", "elu")
    assert code == 0
    assert "1149 train, 288 validation, 360 test" in out
    assert "sklearn has no activation 'elu'" in out
    # 49 networks x 1100 steps x 2 x 100 x (3 x 3700 - 3200) operations
    assert "85.2" in out
    assert list(tmp_path.iterdir()) == []


def test_list_shows_backends_with_versions_data_sets_and_presets(call):
    import sklearn

    code, out, _ = call("list")
    assert code == 0
    for expected in (sklearn.__version__, "tensorflow", "leaky_relu", "breast_cancer", "fair"):
        assert expected in out


def test_a_run_on_a_csv_with_text_labels_leaves_its_folder(tmp_path):
    rows = [f"{i % 7},{i % 5},{'even' if i % 2 == 0 else 'odd'}" for i in range(60)]
    (tmp_path / "numbers.csv").write_text("a,b,parity\n" + "\n".join(rows) + "\n")
    done = harness(
        *("run", "--dataset", str(tmp_path / "numbers.csv"), "--target", "parity"),
        *("--backend", "numpy,sklearn", "--eta", "0.1,1", "--lmbd", "0.01", "--epochs", "3"),
        *("--output", str(tmp_path), "--name", "mine", "--jobs", "1"),
    )
    assert done.returncode == 0, done.stderr
    assert "Chosen on validation accuracy" in done.stdout
    run = tmp_path / "mine"
    for name in (
        *("experiment.toml", "manifest.json", "records.parquet", "records.csv"),
        *("predictions.parquet", "report.md", "report.html"),
    ):
        assert (run / name).stat().st_size > 0, name
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["dataset"]["classes"] == ["even", "odd"]
    assert manifest["command"][:4] == ["python", "-m", "harness", "run"]
    again = harness("report", str(run))
    assert again.returncode == 0, again.stderr


def test_frameworks_chatter_goes_into_the_runs_log(tmp_path):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "run", "--dataset", "iris", "--epochs", "1"),
            *(
                "--backend",
                "tensorflow",
                "--eta",
                "0.1",
                "--lmbd",
                "0.1",
                "--output",
                str(tmp_path),
            ),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
    assert "oneDNN" not in done.stdout
