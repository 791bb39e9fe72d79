"""Parity: errors, tolerances, stable and chaotic cells, verdicts, files and exit codes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from faults import Plain

from backends.distance import Tolerance, error, errors, furthest
from backends.network import Weights
from backends.registry import find
from harness.data.dataset import load_dataset
from harness.errors import InputError
from harness.experiment.experiment import experiment_from
from harness.mistakes.reference_step import Batch, State, StepRules, tensors, walked
from harness.parity.parity import parity
from harness.parity.probe import probe_step
from harness.parity.record import write_parity
from harness.parity.section import parity_headline, parity_points
from harness.parity.verdict import ParityOutcome
from harness.roundoff.chaos_map import chaos_map
from harness.roundoff.reference import reference_path
from harness.roundoff.round_off import TIMES_ROUND_OFF, twin_path
from harness.roundoff.stable_cells import by_backend, chaos_maps
from harness.roundoff.trial import trial

SMALL: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "hidden": [8],
    "batch_size": 20,
    "epochs": 3,
    "eta": [0.05, 0.5],
    "lmbd": [0.0, 0.1],
}
WILD: dict[str, Any] = {
    "hidden": [30],
    "activation": "tanh",
    "eta": [8.0],
    "lmbd": [0.0],
    "epochs": 40,
}


def experiment(**settings):
    return experiment_from(SMALL | settings)


def weights(*tensors):
    return Weights((np.array(tensors[0], float)[None],), (np.array(tensors[1], float)[None],))


def test_an_error_is_relative_to_the_tensors_largest_entry():
    absolute, relative = error(np.array([[1.0, 4.5]]), np.array([[1.0, 5.0]]))
    assert absolute[0] == 0.5
    assert relative[0] == 0.1


def test_a_tensor_that_a_penalty_shrank_to_nothing_is_measured_by_where_it_started():
    start, now, other = (weights([[v]], [v]) for v in (2.0, 1e-9, 2e-9))
    assert furthest(other, now, start)[0] == pytest.approx(0.5e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_overflow_on_one_side_only_are_infinitely_far(value):
    start = weights([[1.0]], [0.0])
    gone = weights([[value]], [0.0])
    assert errors(gone, start, start)["W1"][1][0] == np.inf
    assert errors(start, gone, start)["W1"][1][0] == np.inf
    assert np.isnan(errors(gone, gone, start)["W1"][1][0])


@pytest.mark.parametrize(
    ("dtype", "first", "thousandth"), [("float32", 1e-6, 1e-5), ("float64", 1e-14, 1e-12)]
)
def test_the_tolerance_grows_with_the_steps(dtype, first, thousandth):
    tolerance = Tolerance(dtype)
    assert tolerance.at(1) == pytest.approx(first)
    assert tolerance.at(1000) == pytest.approx(thousandth)
    assert tolerance.at(1) < tolerance.at(10) < tolerance.at(100) < tolerance.at(2000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_twin_takes_the_same_path_with_other_round_off(dtype):
    settings = experiment(backends="numpy", hidden=[8, 6], momentum=0.9)
    whole = trial(settings, load_dataset(settings), "numpy", dtype)
    plain, other = reference_path(whole)[-1], twin_path(whole, 1)[-1]
    apart = furthest(other, plain, whole.plan.initial).max()
    assert 0 < apart < 500 * np.finfo(dtype).eps  # over 12 steps


def test_round_off_is_that_of_the_libraries_to_a_factor():
    """Where Adam divides a gradient that cancels by its own size, reordered sums alone show too little."""
    settings = experiment(
        dataset="digits",
        scale="none",
        hidden=[30, 20],
        activation="tanh",
        optimizer="adam",
        eta=[0.1],
    )
    found = parity(experiment_from(settings.model_dump() | {"backends": ["sklearn"]}), steps=10)
    assert found.exit_code == 0, parity_points(found)
    assert found.errors["relative"].max() > 100 * Tolerance("float64").at(10)


def test_the_chaos_map_tells_calm_cells_from_wild_ones():
    settings = experiment(**WILD | {"eta": [0.01, 8.0]})
    found = chaos_map(settings, load_dataset(settings), "numpy").set_index("eta")
    assert found["status"].to_dict() == {0.01: "stable", 8.0: "chaotic"}
    assert found["chaotic"].to_dict() == {0.01: False, 8.0: True}
    assert found.loc[8.0, "growth"] > 1e4 * found.loc[0.01, "growth"]


def test_the_chaos_map_has_a_row_for_every_repeat_and_cell():
    settings = experiment(repeats=2)
    found = chaos_map(settings, load_dataset(settings), "numpy", repeats=range(2))
    assert len(found[["repeat", "eta", "lmbd"]].drop_duplicates()) == len(found) == 8


def test_a_backends_stability_is_that_of_its_recipes_worst_repeat():
    settings = experiment(
        backends="numpy,sklearn,keras", repeats=2, overrides={"keras": {"hidden": [5]}}
    )
    maps = chaos_maps(settings, ["numpy", "sklearn", "keras"])
    assert set(maps["recipe"]) == {"numpy, sklearn", "keras"}
    assert len(maps) == 2 * 2 * 4  # recipes, repeats, cells
    found = by_backend(maps).set_index("backend")
    assert set(found.index) == {"numpy", "sklearn", "keras"}
    shared = maps[maps["recipe"] == "numpy, sklearn"]
    assert found.loc["sklearn", "difference"].max() == shared["difference"].max()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"keep_last_batch": True, "hidden": [8, 6], "activation": "tanh", "lmbd": [0.0, 1.0]},
        {"optimizer": "adam", "eta": [1e-3, 1e-2], "dataset": "breast_cancer", "batch_size": 90},
    ],
    ids=["gradient descent, several classes", "Adam, two classes"],
)
def test_the_four_backends_take_the_same_path(settings):
    found = parity(experiment(backends="all", **settings), steps=200)
    assert found.exit_code == 0, parity_points(found)
    judged = {(v.backend, v.dtype) for v in found.agreeing}
    assert judged == {(b, d) for b in find_all() for d in ("float32", "float64")}
    assert all(v.values > 1000 for v in found.agreeing)


def find_all():
    return ("numpy", "sklearn", "tensorflow", "keras")


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "sigmoid"},
        {"activation": "identity", "momentum": 0.9},
        {"activation": "tanh", "momentum": 0.9, "nesterov": True, "hidden": [7, 6, 5]},
        {"activation": "relu", "optimizer": "adam", "eta": [1e-3]},
    ],
    ids=["gradient descent", "momentum", "nesterov", "adam"],
)
def test_scikit_learn_meets_the_bar_over_a_thousand_steps(settings):
    """1e-14 after one step and 1e-12 after a thousand in float64, 1e-6 and 1e-5 in float32."""
    common = {"eta": [0.01], "lmbd": [0.0, 1.0], "hidden": [7, 6], "keep_last_batch": True}
    found = parity(experiment(backends="sklearn", **common | settings), steps=1000)
    assert found.exit_code == 0, parity_points(found)
    assert found.steps == (1, 10, 100, 1000)


def test_a_regression_is_compared_as_well():
    settings = {"dataset": "diabetes", "task": "regression", "eta": [1e-5], "batch_size": 100}
    assert parity(experiment(backends="sklearn", **settings)).exit_code == 0


def test_a_backend_alone_is_judged_by_the_reference():
    alone = parity(experiment(backends="numpy"))
    assert alone.exit_code == 0
    assert {v.dtype for v in alone.of(ParityOutcome.ROUND_OFF)} == {"float32", "float64"}
    assert parity(experiment(backends="faults:Summed"), locate=False).exit_code == 1


def test_cells_that_are_all_chaotic_are_nothing_to_compare():
    found = parity(experiment(backends="sklearn", **WILD), rtol=1e-16, dtypes=["float64"])
    assert found.exit_code == 3
    assert found.of(ParityOutcome.NOT_COMPARABLE)[0].values == 0
    assert "Nothing comparable" in parity_headline(found)


def test_what_a_backend_raises_is_its_verdict_and_the_others_get_theirs():
    found = parity(experiment(backends="sklearn,faults:Raises"), dtypes=["float64"])
    assert found.exit_code == 3
    (failed,) = found.of(ParityOutcome.FAILED)
    assert failed.reason.startswith("faults.py:")
    assert "TypeError: no gradients today" in failed.reason
    assert [v.backend for v in found.agreeing] == ["sklearn"]
    assert any("failed in float64: faults.py:" in point for point in parity_points(found))


@pytest.fixture
def not_installed(tmp_path, monkeypatch):
    """A backend whose library is not here."""
    (tmp_path / "lacking.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    return "lacking:Backend"


def test_a_backend_that_is_not_installed_leaves_parity_unfinished(not_installed):
    found = parity(experiment(backends=f"sklearn,{not_installed}"))
    assert found.exit_code == 3
    assert [v.backend for v in found.of(ParityOutcome.UNAVAILABLE)] == [not_installed] * 2


def test_a_backend_that_cannot_train_the_network_says_why():
    found = parity(experiment(backends="sklearn,faults:Plain", activation="elu"))
    reasons = {v.backend: v.reason for v in found.of(ParityOutcome.UNSUPPORTED)}
    assert "has no activation 'elu'" in reasons["sklearn"]
    assert found.exit_code == 3


def test_a_tighter_tolerance_is_enforced():
    loose = parity(experiment(backends="sklearn"), rtol=1e-6, dtypes=["float64"], locate=False)
    needed = loose.agreeing[0].needed
    assert 0 < needed < 1e-14
    tight = parity(
        experiment(backends="sklearn"), rtol=needed * 6, dtypes=["float64"], locate=False
    )
    assert not tight.disagreeing


def test_what_round_off_carries_away_is_not_judged():
    wild = WILD | {"eta": [0.01, 8.0]}
    found = parity(experiment(backends="sklearn", **wild))
    last = found.errors[found.errors["step"] == found.steps[-1]]
    enforced = last.groupby("eta")["enforced"].any()
    assert enforced.to_dict() == {0.01: True, 8.0: False}
    assert last.loc[last["eta"] == 8.0, "relative"].max() > 1e-3
    assert found.exit_code == 0


def test_every_backend_is_judged_by_its_own_recipe():
    settings = experiment(
        backends="sklearn,faults:Plain", overrides={"sklearn": {"hidden": [5], "epochs": 2}}
    )
    found = parity(settings)
    assert found.exit_code == 0, parity_points(found)
    assert set(found.chaos["recipe"]) == {"sklearn", "plain"}


def test_more_steps_than_the_epochs_have_can_be_taken():
    found = parity(experiment(backends="sklearn"), steps=50, dtypes=["float64"])
    assert found.steps == (1, 10, 50)


def test_what_is_allowed_follows_round_off_tensor_by_tensor():
    found = parity(
        experiment(backends="sklearn", **WILD | {"eta": [0.01, 8.0]}), dtypes=["float64"]
    )
    judged = found.errors[found.errors["enforced"] & (found.errors["tensor"] != "output")]
    assert judged["tolerance"].min() == TIMES_ROUND_OFF * np.finfo("float64").eps
    assert judged["tolerance"].max() > 1e3 * judged["tolerance"].min()


@pytest.mark.parametrize("network", [[8], [8, 7, 6]])
@pytest.mark.parametrize("backend", [find("numpy"), find("sklearn"), Plain()], ids=lambda b: b.name)
def test_the_tensors_of_a_step_are_read_off_from_outside(backend, network):
    settings = experiment(hidden=network, lmbd=[0.1], eta=[0.1], keep_last_batch=True)
    whole = trial(settings, load_dataset(settings), "numpy", "float64")
    step = 4  # the short last minibatch of the first epoch
    before = whole.at(step).train(find("numpy"))[-1]
    state = walked(whole, step)
    expected = tensors(
        state.weights, Batch.of(whole, whole.plan.rows(step)[0]), StepRules.of(whole)
    )
    seen = probe_step(backend, whole, step, state.moved(State.start(before).weights)).seen
    unseen = {name for name in expected if name not in seen}
    assert unseen == {f"z{layer}" for layer in range(1, len(network) + 2)} | {"targets"}
    for name, tensor in seen.items():
        scale = np.abs(expected[name]).max() or 1.0
        truth = expected[name][: len(tensor)]
        assert np.nanmax(np.abs(tensor - truth)) < 1e-11 * scale, name


def test_the_written_out_step_is_the_numpy_backends():
    for settings in ({}, {"momentum": 0.9, "nesterov": True}, {"optimizer": "adam", "eta": [0.01]}):
        one = experiment(**{"eta": [0.1], "lmbd": [0.1], "hidden": [8, 6], **settings})
        whole = trial(one, load_dataset(one), "numpy", "float64")
        trained = whole.train(find("numpy"))[-1].named()
        for name, tensor in walked(whole, whole.plan.steps).weights.items():
            np.testing.assert_allclose(tensor, trained[name][0], rtol=0, atol=1e-14)


def on_a_kink(folder):
    """An experiment in whose second step z of a unit is exactly 0, for one sample.

    The unit is below its kink for every other sample, and so keeps its weights in the first step.
    """
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    path = folder / "kink.npz"
    settings = {"dataset": str(path), "target": "y", "scale": "none", "hidden": [3]}
    one = experiment(activation="relu", eta=[0.5], lmbd=[0.0], backends="faults:Nudged", **settings)
    np.savez(path, x=rng.normal(size=(60, 4)), y=y)
    plan = trial(one, load_dataset(one), "numpy", "float64", 3).plan
    first, second = plan.rows(0)[0], plan.rows(1)[0]
    special = next(row for row in second if row not in first)
    w = plan.initial.W[0][0]
    x = np.abs(rng.normal(size=(60, 4)))
    x[:, :2], x[:, 2] = 0.0, -np.sign(w[2, 0])  # z of unit 0 is -|w_2| - ... < 0
    x[:, 3] *= -np.sign(w[3, 0])
    up = np.sign(w[1, 0])  # so that a larger w_0 takes z above zero
    x[special] = [up * w[1, 0], -up * w[0, 0], 0.0, 0.0]  # z = w_0 w_1 - w_1 w_0
    np.savez(path, x=x, y=y)
    return one


def test_a_kink_is_nobodys_fault_and_where_nothing_is_left_to_judge_nothing_is_shown(tmp_path):
    found = parity(on_a_kink(tmp_path), steps=3, dtypes=["float64"])
    (kink,) = found.kinks
    assert (kink.step, kink.layer, kink.unit) == (2, 1, 1)
    assert max(abs(kink.z), abs(kink.reference_z)) <= kink.allowed < 1e-12
    assert not found.divergences
    held = found.errors.groupby("step")["enforced"].any()
    assert held.to_dict() == {1: True, 3: False}
    (verdict,) = found.of(ParityOutcome.NOT_COMPARABLE)
    assert "1 cell parts at a kink" in verdict.reason
    assert found.exit_code == 3


def test_no_kink_is_granted_to_a_backend_whose_steps_are_wrong(tmp_path):
    wrong = on_a_kink(tmp_path).model_copy(update={"backends": ("faults:NudgedAndHalved",)})
    found = parity(wrong, steps=3, dtypes=["float64"])
    assert found.exit_code == 1
    assert not found.kinks


def test_a_function_without_a_kink_is_granted_none(tmp_path):
    smooth = on_a_kink(tmp_path).model_copy(
        update={"activation": "sigmoid", "backends": ("faults:NudgedAndHalved",)}
    )
    assert not parity(smooth, steps=3, dtypes=["float64"]).kinks


@pytest.fixture(scope="module")
def stale(tmp_path_factory):
    """Parity of a faulty backend, written out."""
    folder = tmp_path_factory.mktemp("parity")
    found = parity(
        experiment(backends="numpy,sklearn,faults:StaleBatch"), check=["faults:StaleBatch"]
    )
    write_parity(found, str(folder))
    return folder


def test_the_outcome_is_stored_as_json(stale):
    found = json.loads((stale / "parity.json").read_text())
    assert (found["outcome"], found["exit_code"]) == ("disagree", 1)
    verdicts = {(v["backend"], v["dtype"]): v for v in found["verdicts"]}
    wrong = verdicts["faults:StaleBatch", "float64"]
    assert wrong["outcome"] == "another objective"
    assert wrong["values"] > 1000
    assert wrong["needed"] > 1e-3
    (divergence,) = found["divergences"]
    assert divergence["first_tensor"] == "rows"
    assert "step 7 for that of step 8" in divergence["explanation"]["words"]
    assert {"W1", "b1", "W2", "b2", "loss", "output"} <= {t["tensor"] for t in found["tensors"]}
    assert "failed" in {check["verdict"] for check in found["checks"]}


def test_the_outcome_is_told_in_markdown(stale):
    text = (stale / "parity.md").read_text()
    assert "Disagree: faults:StaleBatch does not take the path of the reference." in text
    assert "it takes the minibatch of step 7 for that of step 8" in text
    assert "## Chaos map" in text


def test_errors_and_chaos_map_are_stored_cell_by_cell(stale):
    stored = pd.read_parquet(stale / "errors.parquet")
    cells = stored.groupby(["backend", "dtype", "step", "tensor"]).size()
    assert (cells == 4).all()
    assert len(pd.read_parquet(stale / "chaos.parquet")) == 2 * 4


def test_the_figures_are_drawn(stale):
    for name in ("error-by-step", "chaos-map"):
        assert (stale / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (stale / f"figures/{name}.svg").read_bytes()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps: found 0; allowed: 1 or more"),
        ({"rtol": 2.0}, "rtol: found 2; allowed: a number between 0 and 1"),
        ({"reference": "nunpy"}, "did you mean 'numpy'"),
        ({"reference": "no_such_module:Backend"}, "is not known"),
    ],
)
def test_wrong_flags_are_input_errors(wrong, words):
    with pytest.raises(InputError, match=words):
        parity(experiment(backends="sklearn"), **wrong)


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--backend", "sklearn"], 0),
        (["--backend", "sklearn,faults:Summed", "--no-conformance"], 1),
        (["--backend", "sklearn", "--rtol", "3"], 2),
        (["--backend", "numpy,lacking:Backend"], 3),
        (["--backend", "numpy,no_such_module:Backend"], 2),
        (["--backend", "numpy,faults:Sumed"], 2),
    ],
)
def test_the_exit_code_says_how_it_went(flags, code, not_installed, tmp_path, capsys):
    from harness.cli.main import run_command_line

    small = "--dataset iris --scale standard --epochs 2 --eta 0.1 --lmbd 0.01 --batch-size 20"
    with pytest.raises(SystemExit) as ended:
        run_command_line(["parity", *flags, *small.split(), "--output", str(tmp_path / "p")])
    assert ended.value.code == code
