"""An experiment is said once, validated once, and says in one line what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from backends.settings import NAMES_ELSEWHERE
from harness.errors import InputError
from harness.experiment.axes import POWERS_OF_TEN, parse_numbers
from harness.experiment.config import read_config, sort_settings
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment, experiment_from


def test_the_default_is_the_grid_of_the_notes():
    assert (
        Experiment().eta
        == Experiment().lmbd
        == POWERS_OF_TEN
        == (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    )
    assert len(Experiment().cells) == 49


def test_a_log_range_and_a_list_are_numbers():
    assert parse_numbers("1e-3:10:5") == [0.001, 0.01, 0.1, 1.0, 10.0]
    assert parse_numbers("0.1, 0.5") == [0.1, 0.5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": []}, "eta: found nothing"),
        ({"eta": [-1.0]}, "eta: found -1; allowed: a finite number above 0"),
        ({"eta": [0.0]}, "eta: found 0; allowed"),
        ({"eta": [float("inf")]}, "eta: found inf; allowed: a finite number"),
        ({"lmbd": [float("nan")]}, "lmbd: found nan; allowed: a finite number"),
        ({"lmbd": [0.1, 0.1]}, "lmbd: 0.1 given more than once"),
        ({"lmbd": "1:2"}, "found '1:2'; allowed: a list such as"),
        ({"test_size": 0.0}, "test_size: found 0; allowed: a finite number above 0 and below 1"),
        ({"test_size": 1.0}, "test_size: found 1; allowed: a finite number above 0 and below 1"),
        ({"hidden": ""}, "hidden: found ''"),
        ({"hidden": [0]}, "hidden: found 0; allowed: a whole number, 1 or above"),
        ({"activation": "relu,sigmod", "hidden": [5, 4]}, "did you mean 'sigmoid'?"),
        (
            {"activation": "relu,tanh"},
            "activation: found 2 (relu, tanh) for 1 hidden layer; allowed",
        ),
        ({"activation": "sigmod"}, "did you mean 'sigmoid'?"),
        ({"optimizer": "adm"}, "did you mean 'adam'?"),
        ({"dtype": "float23"}, "did you mean 'float32'?"),
        ({"preset": "fare"}, "did you mean 'fair'?"),
        ({"epocs": 3}, "did you mean 'epochs'?"),
        ({"nesterov": True}, "nesterov: needs a momentum above 0"),
        (
            {"schedule": "step", "decay": 1.5},
            "decay: found 1.5 with schedule step; allowed: at most 1",
        ),
        ({"overrides": {"keras": {"etta": 1}}}, "overrides.keras: 'etta' is not known"),
        ({"overrides": {"kears": {"epochs": 1}}}, "overrides: 'kears' is not known; did you mean"),
        ({"overrides": {"keras": {"epochs": 0}}}, "overrides.keras: epochs: found 0; allowed"),
        (
            {"overrides": {"keras": {"max_iter": 1}}},
            "overrides.keras: 'max_iter' is not known; did",
        ),
        ({"overrides": {"keras": {"lr": 1}}}, "overrides.keras: eta is the same for all backends"),
        ({"overrides": 3}, "overrides: found 3; allowed: tables of settings by backend"),
        ({"overrides": {"keras": 3}}, "overrides: found"),
        ({"lr": 0.1}, "'lr' is not known; did you mean 'eta'?"),
        ({"hidden_layer_sizes": 3}, "did you mean 'hidden'?"),
        ({"lmbd": "0,001"}, "lmbd: found '0,001'; decimals have a point (0.001)"),
        ({"test_size": "0,3"}, "below 1; decimals have a point: 0.3"),
        ({"batch_size": "1,5"}, "batch_size: found '1,5'; allowed: a whole number, 1 or above"),
        ({"epochs": True}, "epochs: found True; allowed: a whole number"),
        ({"eta": [True]}, "eta: found [True]; allowed"),
        ({"nesterov": 1, "momentum": 0.9}, "nesterov: found 1; allowed: true or false"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum: found 0.9 with optimizer adam"),
        ({"tol": 0.1}, "tol: found 0.1 without patience"),
        ({"patience": 3, "validation_size": 0}, "patience: found with validation_size 0"),
        ({"folds": 5, "test_size": 0.3}, "test_size: found 0.3 with folds 5"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(settings, message):
    with pytest.raises(InputError) as caught:
        experiment_from(settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as directly:
        Experiment(**settings)
    assert str(directly.value) == str(caught.value)


def test_folds_without_repeats_train_each_fold_once():
    assert Experiment(folds=5).repeats == 5
    assert Experiment(folds=5, repeats=2).repeats == 2


def test_other_programs_names_lead_to_settings_of_ours():
    ours = {*Experiment.model_fields, *Execution.model_fields}
    assert set(NAMES_ELSEWHERE.values()) <= ours
    assert not set(NAMES_ELSEWHERE) & ours


@pytest.mark.parametrize(
    ("name", "digest"), [("digits", "421047a838ca"), ("small", "9c621505f37c")]
)
def test_committed_baselines_are_the_experiments_they_were(name, digest):
    file = Path(__file__).parents[1] / "results" / "baselines" / name / "experiment.toml"
    assert experiment_from(read_config(file)).digest() == digest


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({}, "b17d85864dac"),
        ({"preset": "lecture"}, "51c5321d610b"),
        ({"preset": "lecture", "hidden": "30"}, "44bec1765ab3"),
    ],
)
def test_runs_of_before_are_found_again(settings, digest):
    assert experiment_from(settings).digest() == digest


def test_lmbd_may_be_zero():
    assert Experiment(lmbd=(0.0,)).lmbd == (0.0,)


@pytest.mark.parametrize("given", ["none", ["none"], []])
def test_there_may_be_no_hidden_layer(given):
    assert experiment_from({"hidden": given}).hidden == ()
    assert experiment_from({"hidden": given}).network("numpy", 4, 3).sizes == (4, 3)


@pytest.mark.parametrize(
    ("given", "kept", "network"),
    [
        (["relu"], "relu", "relu"),
        ("relu,tanh", ("relu", "tanh"), ("relu", "tanh")),
        ("relu,relu", ("relu", "relu"), "relu"),
    ],
)
def test_one_activation_is_kept_as_a_name_and_several_in_the_order_of_the_layers(
    given, kept, network
):
    experiment = experiment_from({"hidden": [5, 4], "activation": given})
    assert experiment.activation == kept
    assert experiment.network("numpy", 4, 3).activation == network


def test_a_backend_may_be_overridden_without_touching_the_others():
    experiment = experiment_from({"overrides": {"keras": {"hidden": [100, 50], "cost": "sum"}}})
    assert experiment.network("keras", 64, 10).sizes == (64, 100, 50, 10)
    assert experiment.training("keras").cost == "sum"
    assert experiment.network("numpy", 64, 10).sizes == (64, 50, 10)


def test_an_experiment_cannot_be_changed():
    with pytest.raises(ValidationError):
        Experiment().seed = 1


def test_a_file_holds_settings_of_experiment_and_execution(tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text('backend = "numpy, keras"\nbatch-size = 10\neta = "1e-3:1e-1:3"\njobs = 1\n')
    experiment, execution = sort_settings(read_config(file))
    assert experiment.backends == ("numpy", "keras")
    assert (experiment.batch_size, experiment.eta) == (10, (0.001, 0.01, 0.1))
    assert execution == Execution(jobs=1)


def test_a_file_that_is_not_toml_is_named(tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text("eta = [1,\n")
    with pytest.raises(InputError, match=r"experiment\.toml' is not TOML"):
        read_config(file)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_be_written_as_editors_write_it(encoding, tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text("epochs = 3\n", encoding=encoding)
    assert read_config(file) == {"epochs": 3}


def test_a_file_in_another_encoding_is_refused_with_the_line(tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text("epochs = 3\n# café\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"is not UTF-8 \(line 2\); allowed: TOML, saved as UTF-8"):
        read_config(file)


def test_data_beside_a_file_are_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "flowers.csv").write_text("a,kind\n")
    (tmp_path / "study" / "experiment.toml").write_text('dataset = "flowers.csv"\n')
    for start in (tmp_path, tmp_path / "study"):
        monkeypatch.chdir(start)
        settings = read_config((tmp_path / "study" / "experiment.toml").relative_to(start))
        assert Path(settings["dataset"]).resolve() == tmp_path / "study" / "flowers.csv"


def test_differences_name_the_settings(tmp_path):
    assert Experiment(seed=1).differences(Experiment()) == {"seed": (1, 0)}
