"""What a person types and sees."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from harness.cli.main import VERBS, command_line, run_command_line
from harness.cli.options import EachFlagOnce, takes_run, with_flags
from harness.cli.progress import progress_display
from harness.experiment.config import read_config, sort_settings
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment, experiment_from
from harness.experiment.setting import CONVENTIONS, PANELS, REPEATS, WHAT
from harness.results.run_folder import RunFolder
from harness.work import plan_work


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
        ("Broken", "stdout", "RuntimeError: of its own"),
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
        (
            ["run", "--hidden", "5,x"],
            "hidden: found 'x'; allowed: a whole number, 1 or above, for each layer, or none\n",
        ),
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
        (["run", "--jobs", "0"], "jobs: found 0; allowed: a whole number from 1 to 1024"),
        (["run", "--threads", "9999999"], "threads: found 9999999; allowed: a whole number from 1"),
        (["run", "--eta", "1e-3:1e-1:99999999999"], "eta: found more than 1,000 numbers"),
        (["run", "--unit-timeout", "inf"], "unit_timeout: found inf; allowed: a finite number"),
        (["run", "--epochs", "1e20"], "epochs: found 1e20; allowed: a whole number"),
        (["run", "--epochs", "9" * 12], "epochs: the minibatches of 999,999,999,999 epochs of"),
        (["run", "--hidden", "9" * 12], "weights of 64-999999999999-10 sigmoid/softmax take at"),
        (["run", "--repeats", "9" * 12], "repeats: records and predictions of"),
        (["parity", "--steps", "9" * 15], "epochs of 1,149 samples, drawn before training, take"),
        (["run", "--scheduler", "tcp://127.0.0.1:1"], "only with executor dask"),
        (["run", "--tensorboard", "tb", "--dataset", "digit"], "did you mean 'digits'?"),
        (["run", "--seed", "1", "--seed", "2"], "--seed is given more than once; allowed: once"),
        (["run", "--lmbd", "0,001"], "lmbd: found '0,001'; decimals have a point (0.001)"),
        (["run", "--optimizer", "adam", "--momentum", "0.9"], "momentum: found 0.9 with optimizer"),
        (["run", "--max-iter", "9"], "did you mean --epochs?"),
        (["run", "--override", "keras.epochs"], "allowed: BACKEND.SETTING=VALUE"),
        (["run", "--override", "kears.epochs=3"], "did you mean 'keras'?"),
        (["run", "--override", "keras.epoch=3"], "did you mean 'epochs'?"),
        (["run", "--override", "keras.epochs=x"], "overrides.keras: epochs: found 'x'; allowed"),
        (
            ["run", "--override", "keras.epochs=3", "--override", "keras.epochs=4"],
            "override: keras.epochs given more than once",
        ),
        (
            ["run", "--override", "keras.epochs=3", "--backend", "numpy"],
            "override: found 'keras', which does not run; allowed: numpy",
        ),
        (["parity", "--jobs", "2"], "No such option: --jobs"),
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


def flags_of(verb: str) -> dict[str, Any]:
    """The options of a verb by the name of their setting."""
    group = typer.main.get_command(command_line(verb))
    return {option.name: option for option in group.commands[verb].params}


@pytest.mark.parametrize(
    ("verb", "models"),
    [("run", (Experiment, Execution)), ("parity", (Experiment,)), ("bench", (Experiment,))],
)
def test_every_setting_is_a_flag_with_help_in_a_panel(verb, models):
    flags = flags_of(verb)
    for name, field in [pair for model in models for pair in model.model_fields.items()]:
        assert field.description, name
        option = flags[name]
        assert option.help, name
        assert option.rich_help_panel in (*PANELS, CONVENTIONS), name
        assert any(text.startswith("--") for text in option.opts), name


def as_toml(value: Any) -> str:
    """A value as a TOML file has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


# a value for every setting that differs from its default, as a flag and as a value; with what it needs
GIVEN: dict[str, tuple[list[str], Any, dict[str, Any]]] = {
    "preset": (["lecture"], "lecture", {}),
    "backends": (["numpy,keras"], ("numpy", "keras"), {}),
    "variants": (["old=numpy@threads=1"], {"old": "numpy@threads=1"}, {}),
    "overrides": (["keras.hidden=5,4"], {"keras": {"hidden": [5, 4]}}, {}),
    "dataset": (["iris"], "iris", {}),
    "target": (["y"], "y", {}),
    "task": (["regression"], "regression", {}),
    "test_size": (["0.3"], 0.3, {}),
    "validation_size": (["0.3"], 0.3, {}),
    "scale": (["minmax"], "minmax", {}),
    "hidden": (["30", "20"], (30, 20), {}),
    "activation": (["elu"], "elu", {}),
    "eta": (["0.01", "0.1"], (0.01, 0.1), {}),
    "lmbd": (["0.01,0.1", "1"], (0.01, 0.1, 1.0), {}),
    "optimizer": (["adam"], "adam", {}),
    "momentum": (["0.9"], 0.9, {}),
    "nesterov": ([], True, {"momentum": 0.5}),
    "epochs": (["7"], 7, {}),
    "batch_size": (["7"], 7, {}),
    "keep_last_batch": ([], True, {}),
    "dtype": (["float64"], "float64", {}),
    "cost": (["sum"], "sum", {}),
    "penalty_factor": (["2"], 2.0, {}),
    "penalty_per_sample": ([], True, {}),
    "penalised": (["hidden"], "hidden", {}),
    "minibatches": (["reshuffle"], "reshuffle", {}),
    "initial_weights": (["normal"], "normal", {}),
    "weight_scale": (["2"], 2.0, {}),
    "initial_bias": (["as_weights"], "as_weights", {}),
    "patience": (["7"], 7, {}),
    "schedule": (["step"], "step", {}),
    "decay": (["0.2"], 0.2, {"schedule": "inverse"}),
    "decay_epochs": (["7"], 7, {"schedule": "step"}),
    "l1": (["0.01"], 0.01, {}),
    "tol": (["0.1"], 0.1, {"patience": 3}),
    "monitor": (["training"], "training", {"patience": 3}),
    "device": (["gpu"], "gpu", {}),
    "shared_stream": (["weights"], ("weights",), {}),
    "drawn_before": (["numpy weights"], ("numpy weights",), {"draws": "notebook"}),
    "choose_by": (["macro_f1"], "macro_f1", {}),
    "test_file": (["other.csv"], "other.csv", {"dataset": "one.csv"}),
    "features": (["a,b", "c"], ("a", "b", "c"), {}),
    "drop": (["a,b", "c"], ("a", "b", "c"), {}),
    "missing": (["impute"], "impute", {}),
    "missing_values": (["-999,age=0", "?"], ("-999", "age=0", "?"), {}),
    "missing_indicator": ([], True, {"missing": "impute"}),
    "header": ([], True, {}),
    "draws": (["notebook"], "notebook", {}),
    "seed": (["7"], 7, {}),
    "folds": (["7"], 7, {}),
    "repeats": (["7"], 7, {}),
    "vary": (["split"], "split", {}),
    "executor": (["serial"], "serial", {}),
    "jobs": (["7"], 7, {}),
    "threads": (["7"], 7, {}),
    "unit_timeout": (["7"], 7.0, {}),
    "scheduler": (["tcp://a:1"], "tcp://a:1", {"executor": "dask"}),
    "output": (["elsewhere"], "elsewhere", {}),
    "name": (["mine"], "mine", {}),
    "fresh": ([], True, {}),
    "keep_weights": ([], True, {}),
}


@pytest.mark.parametrize("name", [*Experiment.model_fields, *Execution.model_fields])
def test_every_setting_is_a_flag_and_a_key_and_both_mean_the_same(name, tmp_path):
    texts, value, needs = GIVEN[name]
    option = flags_of("run")[name].opts[0]
    arguments = [part for text in texts for part in (option, text)] or [option]
    for need, text in needs.items():
        arguments += [flags_of("run")[need].opts[0], str(text)]
    by_flag: list[dict[str, Any]] = []

    @takes_run
    def keep(settings: dict[str, Any]) -> None:
        by_flag.append(settings)

    app = typer.Typer()
    app.command(cls=EachFlagOnce)(with_flags(keep))
    typer.main.get_command(app).main(arguments, standalone_mode=False)
    file = tmp_path / "settings.toml"
    file.write_text("".join(f"{k} = {as_toml(v)}\n" for k, v in {name: value, **needs}.items()))
    experiment, execution = sort_settings(by_flag[0])
    assert (experiment, execution) == sort_settings(read_config(file))
    model, default = (
        (experiment, Experiment()) if name in Experiment.model_fields else (execution, Execution())
    )
    assert getattr(model, name) == value
    assert getattr(model, name) != getattr(default, name)


def test_a_setting_of_the_execution_in_a_file_is_refused_where_nothing_uses_it(call, tmp_path):
    (tmp_path / "settings.toml").write_text("jobs = 2\n")
    code, _, err = call("parity", "--config", str(tmp_path / "settings.toml"))
    assert code == 2
    assert err.startswith("error: jobs: found in ")


def test_folds_without_repeats_say_how_many_there_are(call, tmp_path):
    code, out, _ = call("run", "--dry-run", "--dataset", "iris", "--folds", "5")
    assert code == 0
    assert "repeats = 5" in out
    assert "repeats =" not in call("run", "--dry-run", "--folds", "5", "--repeats", "5")[1]


def test_what_comes_from_outside_is_printed_as_it_is(call, tmp_path, monkeypatch):
    name = "nobody[red].x:smile:"
    (tmp_path / "nobody[red]").mkdir()
    (tmp_path / "nobody[red]" / "x.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    out = call("run", "--dry-run", "--dataset", "iris", "--backend", f"numpy,{name}")[1]
    assert name in out


def test_a_dry_run_says_how_long_training_will_take(call):
    # 49 x 100 networks, 1100 steps, four backends, one of them without a stack: minutes, not seconds
    out = call("run", "--dry-run", "--repeats", "100", "--jobs", "1")[1]
    found = re.search(r"measured: (\d+) min to (\d+) min of training", out)
    assert found
    assert 5 < int(found[1]) < 60
    assert int(found[2]) > int(found[1])


def test_bars_have_one_clock_and_say_what_is_loaded(tmp_path):
    screen = io.StringIO()
    out = Console(file=screen, force_terminal=True, width=100)
    small = {"epochs": 1, "eta": [0.1], "lmbd": [0.1], "backends": ["numpy", "tensorflow"]}
    work = plan_work(experiment_from(small))
    with progress_display(out, quiet=False) as display:
        display.begin(work, RunFolder(str(tmp_path)))
        display.bars.refresh()
    rows = [line for line in screen.getvalue().splitlines() if "0:00:0" in line]
    assert rows
    assert all(line.rpartition("\r")[2].lstrip("\x1b[2K").startswith("all") for line in rows)
    assert "loading TensorFlow" in screen.getvalue()


def test_help_fits_a_terminal_of_80_columns(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = call("run", "--help")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert out.index(WHAT) < out.index(REPEATS) < out.index(CONVENTIONS)


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


def test_a_working_directory_that_is_gone_is_one_line(tmp_path):
    gone = tmp_path / "gone"
    code = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
    code += (
        "from harness.__main__ import main; import sys; sys.argv = ['harness', 'run', '--dry-run', "
    )
    code += "'--backend', 'numpy', '--output', 'out']; main()"
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1
