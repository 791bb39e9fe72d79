"""Recordings judged: what nobody said, weights kept rarely, pairs, folders, feedback."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from recorded_kinds import judged
from tournament import COMMON, KINDS, TASKS, Written

from backends.numpy_backend import NumPyBackend
from backends.recording import Recorder, read_recording, write_recording
from harness.errors import InputError
from harness.experiment.experiment import experiment_from
from harness.lecture import programs
from harness.lecture.programs import notes_task
from harness.mistakes.effective_settings import Setting
from harness.parity.verdict import ParityOutcome
from harness.recordings.backend import trial_along
from harness.recordings.judgement import judge_recording
from harness.recordings.pair import compare_recordings
from harness.recordings.section import feedback_table, initial_weights_table, recorded_points

IRIS = COMMON | TASKS["iris"] | {"activation": "tanh", "backends": ["numpy"]}


def made(folder, name="a", hooks=None, dtype="float64", every=1, steps=14, **settings):
    """A training with hooks of the tournament, recorded as name.npz."""
    folder.mkdir(exist_ok=True)
    backend = type("Hooked", (Written,), {"hooks": hooks or {}})()
    judged(backend, IRIS | settings, dtype, folder, steps, every)
    (folder / "a.npz").replace(folder / f"{name}.npz.new")
    return (folder / f"{name}.npz.new").replace(folder / f"{name}.npz")


def told_again(path, target, drop=(), **about):
    """A recording with other words about it."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    said = json.loads(members["about"].item()) | about
    members["about"] = np.array(json.dumps({k: v for k, v in said.items() if k not in drop}))
    np.savez(target, **members)
    return target


def hooks_of(name):
    return next(kind.hooks for kind in KINDS if kind.name == name)


# ------------------------------------------------------------------ what is not said


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9, "activation": "sigmoid"},
        {"optimizer": "adam", "eta": [0.01], "activation": "relu"},
        {"optimizer": "rmsprop", "eta": [0.01], "activation": "sigmoid"},
        {"optimizer": "adagrad", "eta": [0.1]},
    ],
    ids=["descent", "momentum", "adam", "rmsprop", "adagrad"],
)
def test_what_nobody_said_is_found_from_the_weights(settings, tmp_path):
    path = made(tmp_path, **settings)
    forms = ("optimizer", "activation", "eta", "lmbd")
    unsaid = (*forms, "momentum", "nesterov", "beta_1", "beta_2", "rho")
    parity = judge_recording(read_recording(told_again(path, tmp_path / "b.npz", drop=unsaid)))
    assert parity.agrees
    given = IRIS | settings
    assert parity.found["activation"] == given["activation"]
    assert parity.found["eta"] == pytest.approx(given["eta"][-1], rel=1e-6)
    assert parity.found["lmbd"] == pytest.approx(0.1, rel=1e-6)
    assert parity.found["optimizer"] == given.get("optimizer", "sgd")


def test_effective_settings_have_honest_errors(tmp_path):
    path = made(tmp_path, hooks=hooks_of("penalty twice"), dtype="float32")
    parity = judge_recording(read_recording(path))
    values = {one.name: one for one in parity.settings}
    assert abs(values["lmbd on W1"].value - 0.2) < 5 * values["lmbd on W1"].error < 1e-3
    assert values["lmbd on W1"].differs
    assert values["lmbd on W1"].rounded == 0.2
    assert not values["eta"].differs
    assert abs(values["lmbd on biases"].value) < 5 * values["lmbd on biases"].error


@pytest.mark.parametrize(
    ("value", "error", "rounded"),
    [(0.10000003, 1e-7, 0.1), (1e-9, 1e-8, 0.0), (0.123, 1e-9, 0.123)],
)
def test_a_fitted_number_is_told_with_the_digits_it_has(value, error, rounded):
    assert Setting("eta", value, error).rounded == rounded


# ------------------------------------------------------------------ how it was kept


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_kept_rarely_are_judged_from_one_to_the_next(dtype, tmp_path):
    assert judge_recording(read_recording(made(tmp_path, dtype=dtype, every=4))).agrees
    path = made(tmp_path, hooks=hooks_of("penalty twice"), dtype=dtype, every=4)
    parity = judge_recording(read_recording(path))
    assert [m.name for m in parity.explanation.mistakes] == ["penalty factor"]


def test_alternatives_of_a_recording_name_no_flag_of_a_command(tmp_path):
    twice = {"rate": lambda s, eta: 2 * eta}
    task = TASKS["diabetes"] | {"lmbd": [0.0]}
    why = judge_recording(read_recording(made(tmp_path, hooks=twice, **task))).explanation
    assert len(why.alternatives) == 2
    assert "one with lmbd 0.1 tells" in why.words


def test_a_mistake_that_comes_late_is_found_at_its_step(tmp_path):
    late = {"rate": lambda s, eta: eta * (0.5 if s.step >= 9 else 1)}
    parity = judge_recording(read_recording(made(tmp_path, hooks=late, steps=20)))
    assert parity.step == 10


@pytest.mark.parametrize(
    ("shift", "called"), [(0, []), (1, ["schedule early"]), (-1, ["schedule late"])]
)
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"optimizer": "adam", "eta": [0.01]}])
@pytest.mark.parametrize("steps", [14, 44])
def test_an_eta_said_for_each_step_may_come_a_step_early_or_late(
    shift, called, settings, steps, tmp_path
):
    etas = [0.1 * (1 + np.cos(np.pi * step / 50)) for step in range(50)]
    own = {"rate": lambda s, eta: s.real(etas[max(s.step + shift, 0)])}
    path = made(tmp_path, hooks=own, dtype="float32", steps=steps, epochs=10, **settings)
    path = told_again(path, tmp_path / "b.npz", eta=etas[:steps])
    found = judge_recording(read_recording(path)).explanation
    assert [m.name for made in (found.alternatives if found else ()) for m in made] == called


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "step", "decay": 0.5, "decay_epochs": 2},
        {"schedule": "step", "decay": 0.3, "decay_epochs": 1},
        {"schedule": "inverse", "decay": 0.07},
    ],
)
def test_etas_of_the_steps_are_known_as_the_schedule_they_are(settings, tmp_path):
    rules = judged(NumPyBackend(), IRIS | settings, "float32", tmp_path, 20).rules
    told = {name: getattr(rules.training, name) for name in settings}
    assert told == settings
    assert not rules.conventions


def test_a_wrong_step_that_the_velocity_carries_on_is_counted_once(tmp_path):
    once = {"targets": lambda s, t: np.roll(t, 1, axis=0) if s.step == 4 else t}
    parity = judge_recording(read_recording(made(tmp_path, hooks=once, momentum=0.9)))
    assert (parity.step, parity.wrong_steps, parity.carried_steps) == (5, 1, 9)
    always = {"scale": lambda s, factor: 2 * factor}
    parity = judge_recording(read_recording(made(tmp_path, hooks=always, momentum=0.9)))
    assert (parity.step, parity.wrong_steps, parity.carried_steps) == (1, 14, 0)


def test_only_finite_steps_are_judged(tmp_path):
    blown = {"change": lambda s, change, k: change if s.step < 5 else change * np.nan}
    parity = judge_recording(read_recording(made(tmp_path, hooks=blown)))
    assert parity.looked_at == 5
    assert parity.agrees
    assert "5 of the recording's 14 steps" in parity.notes[-1]
    assert "from step 6 on weights are not finite" in parity.notes[-1]


def test_a_start_alone_is_not_comparable(tmp_path):
    W = [np.ones((4, 3))]
    write_recording(tmp_path / "s.npz", np.ones((5, 4)), np.zeros(5, int), [], [(W, [np.zeros(3)])])
    parity = judge_recording(read_recording(tmp_path / "s.npz"))
    assert parity.outcome == ParityOutcome.NOT_COMPARABLE
    assert parity.exit_code == 3


def test_the_notes_own_program_sums_where_the_objective_averages(tmp_path):
    task = replace(notes_task(experiment_from({"preset": "lecture"}), "numpy"), epochs=1)
    recorder = Recorder(
        tmp_path / "n.npz", task.x_train, task.y_train, eta=1e-3, lmbd=0.1, activation="sigmoid",
        optimizer="sgd",
    )  # fmt: skip
    source = inspect.getsource(programs.numpy_program)  # as it stands, and two lines in it
    begin = "    with np.errstate"
    source = source.replace(begin, f"    recorder.start((W, b))\n{begin}")
    end = "                b[layer] -= eta * db\n"
    source = source.replace(end, f"{end}            recorder.step(rows, (W, b))\n")
    names = {**vars(programs), "recorder": recorder}
    exec(compile(source, "notes", "exec", flags=annotations.compiler_flag), names)
    np.random.seed(0)  # noqa: NPY002 (the notes' own stream)
    names["numpy_program"](task, 1e-3, 0.1)
    recorder.close()
    parity = judge_recording(read_recording(tmp_path / "n.npz"))
    assert [m.name for m in parity.explanation.mistakes] == ["summed cost"]
    start = initial_weights_table(parity).set_index("tensor")["standard deviation"]
    assert start["W1"] == pytest.approx(1, abs=0.05)
    values = {one.name: one.rounded for one in parity.settings}
    assert values["lmbd on W1"] == pytest.approx(0.1, rel=1e-3)
    assert not any(one.differs for one in parity.settings)


def test_an_eta_for_each_step_may_begin_at_0(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 12)), rng.integers(0, 3, 60)
    etas, W, b = [0.0, 0.05, 0.1, 0.1, 0.02], rng.normal(size=(12, 3)), np.zeros(3)
    path, batches = [([W], [b])], [rng.choice(60, 10, replace=False) for _ in etas]
    for eta, rows in zip(etas, batches, strict=True):
        e = np.exp(x[rows] @ W + b)
        delta = (e / e.sum(axis=1, keepdims=True) - np.eye(3)[y[rows]]) / 10
        W, b = W - eta * x[rows].T @ delta, b - eta * delta.sum(axis=0)
        path.append(([W], [b]))
    file = tmp_path / "s.npz"
    told = {"lmbd": 0.0, "optimizer": "sgd"}
    write_recording(file, x, y, batches, path, eta=etas, **told)
    assert judge_recording(read_recording(file)).agrees
    write_recording(file, x, y, batches, path, eta=[0.0, 0.05, 0.1, 0.1, 0.1], **told)
    parity = judge_recording(read_recording(file))
    assert (parity.exit_code, parity.step) == (1, 5)


def test_class_weights_are_one_a_class(tmp_path):
    path = told_again(made(tmp_path), tmp_path / "b.npz", class_weights=[1.0, 2.0])
    with pytest.raises(
        InputError, match=r"class_weights of about: found 2; allowed: 3, one a class"
    ):
        judge_recording(read_recording(path))


# ------------------------------------------------------------------ the start

LAWS = {
    "glorot_uniform": lambda rng, i, o: rng.uniform(-1, 1, (i, o)) * np.sqrt(6 / (i + o)),
    "he_normal": lambda rng, i, o: rng.normal(0, np.sqrt(2 / i), (i, o)),
    "torch": lambda rng, i, o: rng.uniform(-1, 1, (i, o)) / np.sqrt(i),
    "normal:1": lambda rng, i, o: rng.normal(0, 1, (i, o)),
}


def begun(folder, law, bias=0.0, seed=0, **about):
    """A right training of 20 steps that begins as a law draws it."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(60, 12)), rng.integers(0, 3, 60)
    W, b = LAWS[law](rng, 12, 3), np.full(3, bias)
    path, batches = [([W], [b])], [rng.choice(60, 10, replace=False) for _ in range(3)]
    for rows in batches:
        e = np.exp(x[rows] @ W + b)
        delta = (e / e.sum(axis=1, keepdims=True) - np.eye(3)[y[rows]]) / 10
        W, b = W - 0.1 * x[rows].T @ delta, b - 0.1 * delta.sum(axis=0)
        path.append(([W], [b]))
    members = {name: about.pop(name) for name in list(about) if name.startswith("initial_W")}
    told = {"eta": 0.1, "lmbd": 0.0, "optimizer": "sgd", **about}
    write_recording(folder / "s.npz", x, y, batches, path, **told)
    with np.load(folder / "s.npz") as file:
        np.savez(folder / "s.npz", **file, **members)
    return judge_recording(read_recording(folder / "s.npz")), path[0][0][0]


def test_initial_weights_drawn_as_said_are_not_accused(tmp_path):
    for seed in range(12):
        for law in ("glorot_uniform", "he_normal", "normal:1"):
            assert begun(tmp_path, law, seed=seed, initial=law)[0].exit_code == 0
    assert begun(tmp_path, "normal:1", 0.01, initial="normal:1", initial_bias=0.01)[0].agrees


@pytest.mark.parametrize(
    ("law", "bias", "said", "tensor"),
    [
        ("normal:1", 0.0, "glorot_uniform", "initial W1"),
        ("torch", 0.0, "torch", "initial b1"),
        ("he_normal", 0.0, "normal:2", "initial W1"),
        ("glorot_uniform", 0.01, "glorot_uniform", "initial b1"),
    ],
)
def test_initial_weights_other_than_said_are_named(law, bias, said, tensor, tmp_path):
    parity, _ = begun(tmp_path, law, bias, initial=said)
    assert parity.exit_code == 1
    assert parity.tensor == tensor
    assert [m.name for m in parity.explanation.mistakes] == ["initial weights"]
    assert not parity.wrong_steps


def test_initial_weights_may_be_stated_number_by_number(tmp_path):
    _, W = begun(tmp_path, "normal:1")
    assert begun(tmp_path, "normal:1", initial_W1=W)[0].agrees
    parity, _ = begun(tmp_path, "normal:1", initial_W1=W / 2)
    assert "W1 is 2 times what it should be" in parity.explanation.words
    with pytest.raises(InputError, match="initial_W1: found float64 of shape"):
        begun(tmp_path, "normal:1", initial_W1=W.T)


# ------------------------------------------------------------------ two and more


def test_two_right_recordings_stay_together(tmp_path):
    a, b = made(tmp_path, "one"), made(tmp_path / "b", "two", hooks={"bias": lambda s, v, k: v + 0})
    pair = compare_recordings(*(judge_recording(read_recording(p)) for p in (a, b)))
    assert pair.exit_code == 0
    assert pair.step == 0
    assert pair.alike == 14


def test_where_two_part_and_whom_the_reference_sides_with(tmp_path):
    late = {"rate": lambda s, eta: eta * (0.5 if s.step >= 9 else 1)}
    a, b = made(tmp_path, "one"), made(tmp_path / "b", "two", hooks=late)
    pair = compare_recordings(*(judge_recording(read_recording(p)) for p in (a, b)))
    assert pair.step == 10
    assert pair.exit_code == 1
    assert pair.one.agrees
    assert not pair.other.agrees


@pytest.mark.parametrize(
    ("settings", "cause"),
    [({"batch_size": 15}, "minibatches"), ({"eta": [0.1]}, "eta"), ({"scale": "minmax"}, "data")],
)
def test_the_first_circumstance_that_explains_comes_first(settings, cause, tmp_path):
    a, b = made(tmp_path, "one"), made(tmp_path / "b", "two", **settings)
    pair = compare_recordings(*(judge_recording(read_recording(p)) for p in (a, b)))
    assert pair.first_cause == cause
    assert set(pair.around["verdict"]) <= {"same", "different", "unknown"}


def test_recordings_of_two_networks_are_not_compared(tmp_path):
    a, b = made(tmp_path, "one"), made(tmp_path / "b", "two", hidden=[5])
    with pytest.raises(InputError, match="4-5-3 network"):
        compare_recordings(*(judge_recording(read_recording(p)) for p in (a, b)))


# ------------------------------------------------------------------ feedback


def test_feedback_names_the_part_and_not_the_cure(tmp_path):
    parity = judge_recording(read_recording(made(tmp_path, hooks=hooks_of("penalty twice"))))
    table = feedback_table(parity).set_index("part")
    assert table.loc["penalty", "verdict"] == "not right"
    assert (table.drop("penalty")["verdict"] == "right").all()
    assert "L2(lmbd / 2)" not in table.to_string()


def test_feedback_takes_the_costs_factor_for_the_cost(tmp_path):
    parity = judge_recording(read_recording(made(tmp_path, hooks=hooks_of("summed"))))
    table = feedback_table(parity).set_index("part")
    assert table.loc["cost", "verdict"] == "not right"
    assert (table.drop("cost")["verdict"] == "right").all()


def test_libraries_in_another_order_are_the_same(tmp_path):
    path = made(tmp_path)
    ways = (["openblas 1", "openblas 2"], ["openblas 2", "openblas 1"])
    a, b = (
        told_again(path, tmp_path / f"{name}.npz", blas=way)
        for name, way in zip("bc", ways, strict=True)
    )
    pair = compare_recordings(*(judge_recording(read_recording(one)) for one in (a, b)))
    around = pair.around.set_index("what")["verdict"]
    assert around["blas"] == "same"


def test_points_say_what_the_weights_say(tmp_path):
    parity = judge_recording(read_recording(made(tmp_path, hooks=hooks_of("eta half"))))
    assert any("eta 0.1 (said: 0.2)" in point for point in recorded_points(parity))


# ------------------------------------------------------------------ the command line


def harness(folder, *arguments):
    line = [sys.executable, "-m", "harness", "parity", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def test_the_verb_judges_tells_and_writes(tmp_path):
    made(tmp_path, "good")
    made(tmp_path, "bad", hooks=hooks_of("penalty twice"))
    Path(tmp_path / "a.npz").unlink(missing_ok=True)
    one = harness(tmp_path, "bad.npz", "--json", "--junit", "out/j.xml")
    assert one.returncode == 1, one.stderr
    (told,) = json.loads(one.stdout)["recordings"]
    assert told["first_step"] == 1
    assert told["explanation"]["names"] == [["penalty factor"]]
    assert ElementTree.parse(tmp_path / "out/j.xml").find("testsuite").get("failures") == "1"
    assert "L2(lmbd / 2)" in (tmp_path / "bad-parity" / "parity.md").read_text()
    several = harness(tmp_path, ".", "--feedback")
    assert several.returncode == 1
    assert "penalty" in several.stdout
    assert "L2(lmbd / 2)" not in several.stdout
    again = harness(tmp_path, "good.npz", "--backend", "numpy")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "stay together" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.npz"], "found no such file"),
        (["good.npz", "--eta", "0.1"], "eta: found beside a recording"),
        (["good.npz", "--backend", "nmpy"], "did you mean 'numpy'?"),
        (["--feedback"], "feedback: found without a recording"),
    ],
)
def test_bad_input_gets_one_line(arguments, words, tmp_path):
    made(tmp_path, "good")
    ended = harness(tmp_path, *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"label_smoothing": 0.1}, "0.1"),
        ({"frozen": ["W1"]}, "W1 not updated"),
        ({"eta": [0.3, 0.2]}, "eta changes"),
        ({"lmbd": [0.1, 0.2]}, "0.2 on W2"),
    ],
)
def test_what_no_backend_can_do_along_a_recording_is_named(about, words, tmp_path):
    recording = read_recording(told_again(made(tmp_path, steps=2), tmp_path / "b.npz", **about))
    with pytest.raises(InputError, match=f"found .*{words}.*; allowed with --backend: one eta"):
        trial_along(recording)


def test_backends_write_recordings_of_themselves(tmp_path):
    ended = harness(
        tmp_path, "--backend", "numpy", "--dataset", "iris", "--steps", "10", "--record", "rec",
        "--output", "out", "--quiet", "--eta", "0.1", "--lmbd", "0.01",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    names = sorted(p.name for p in (tmp_path / "rec").iterdir())
    assert names == ["numpy-float32.npz", "numpy-float64.npz"]
    for name in names:
        assert judge_recording(read_recording(tmp_path / "rec" / name)).agrees


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "rmsprop", "eta": [0.01], "l1": 0.01},
        {"optimizer": "adagrad", "eta": [0.1], "hidden": "none"},
        {"schedule": "step", "decay": 0.5, "decay_epochs": 2, "momentum": 0.9},
        {"schedule": "inverse", "activation": "relu,tanh", "hidden": [6, 5], "l1": 0.01},
    ],
    ids=["rmsprop", "adagrad", "step", "inverse"],
)
def test_a_recording_says_all_that_a_network_and_a_training_may_be(settings, tmp_path):
    found = judged(NumPyBackend(), IRIS | settings, "float64", tmp_path, 14)
    assert found.agrees
    values = {one.name: one for one in found.settings}
    if settings.get("optimizer") == "rmsprop":
        assert values["rho"].value == pytest.approx(0.99, rel=1e-3)
    assert values["lmbd on W1"].value == pytest.approx(0.1, rel=1e-3)


def test_numpys_own_training_is_right(tmp_path):
    assert judged(NumPyBackend(), IRIS, "float32", tmp_path, 20).agrees
