"""The recorded programs of backends/README.md, right and with a mistake; models that are held."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from backends.recording import Recorder, read_recording
from harness import hold
from harness.errors import InputError
from harness.parity.verdict import ParityOutcome
from harness.recordings.judgement import judge_recording

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "backends" / "README.md").read_text("utf-8")
MISTAKES = {  # what is changed in the program, and what it is called
    "numpy": [
        ("/ len(rows)", "", "summed cost"),
        ("(1 - a**2)", "a * (1 - a)", "another derivative"),
        ("W1 - eta * (x[rows].T @ delta1 + lmbd * W1)", "W1 - eta * x[rows].T @ delta1", ""),
    ],
    "keras": [("0.01 / 2", "0.01", "penalty factor")],
    "torch": [
        ('{"params": biases}', '{"params": biases, "weight_decay": 0.01}', "penalised biases")
    ],
}


def needs(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed here")


def program(name):
    return re.search(rf"<!-- a recorded program: {name} -->\n```python\n(.*?)```", PAGE, re.S)[1]


def judged(name, text, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(text, name, "exec"), {"__name__": name})
    return judge_recording(read_recording(folder / f"{name}.npz"))


@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_program_with_at_most_five_lines_more_is_found_right(name, tmp_path, monkeypatch):
    needs(name)
    text = program(name)
    assert 1 <= len(re.findall(r"# \d$", text, re.M)) <= 5
    parity = judged(name, text, tmp_path, monkeypatch)
    assert parity.outcome == ParityOutcome.ROUND_OFF
    assert not any(one.differs for one in parity.settings)


@pytest.mark.parametrize(
    ("name", "right", "wrong", "called"),
    [(name, *change) for name, changes in MISTAKES.items() for change in changes],
)
def test_a_mistake_in_a_program_is_named(name, right, wrong, called, tmp_path, monkeypatch):
    needs(name)
    assert program(name).count(right) == 1 or name == "keras"
    parity = judged(name, program(name).replace(right, wrong), tmp_path, monkeypatch)
    assert parity.exit_code == 1
    assert parity.step == 1
    if called:
        assert {m.name for made in parity.explanation.alternatives for m in made} == {called}


def test_a_plain_keras_program_makes_two_mistakes_and_both_are_named(tmp_path, monkeypatch):
    text = program("keras").replace("0.01 / 2", "0.01")
    text = text.replace('activation="softmax", kernel_regularizer=l2', 'activation="softmax"')
    parity = judged("keras", text, tmp_path, monkeypatch)
    (made,) = parity.explanation.alternatives
    assert {m.name for m in made} == {"penalty factor", "output layer free of penalty"}


# ------------------------------------------------------------------ hold

X, Y = load_iris(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def test_an_estimator_of_scikit_learn_is_held():
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((6,), solver="sgd", batch_size=32, activation="tanh", random_state=0)
    parity = hold(model, X, Y, epochs=2)
    assert parity.outcome == ParityOutcome.ROUND_OFF
    assert not hasattr(model, "coefs_")
    believed = hold(model, X, Y, epochs=1, lmbd=1e-4)  # and alpha the same
    assert not believed.wrong_steps, "float32 hides what the settings tell"
    assert [m.name for m in believed.explanation.mistakes] == ["penalty divided by rows"]
    with pytest.raises(InputError, match=r"lmbd.*finite"):
        hold(model, X, Y, lmbd=float("nan"))
    with pytest.raises(InputError, match=r"beta_1.*allowed: with adam"):
        hold(model, X, Y, beta_1=0.9)
    with pytest.raises(InputError, match=r"momentun.*did you mean 'momentum'"):
        hold(model, X, Y, momentun=0.9)


def test_a_compiled_keras_model_is_held_and_put_back():
    import keras

    keras.utils.set_random_seed(4)  # whose weights lead from 10 times a penalty to no 200 times
    layer = keras.layers.Dense(6, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))
    model = keras.Sequential(
        [keras.Input((4,)), layer, keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy")
    before = [w.copy() for w in model.get_weights()]
    parity = hold(model, X, Y, epochs=2)
    assert parity.agrees
    said = {one.name: one.said for one in parity.settings}
    assert said["lmbd on W1"] == pytest.approx(0.02)
    believed = hold(model, X, Y, epochs=1, lmbd=[1e-4, 0.0], eta=1e-3)
    assert "the penalty of W1 is 200 times" in believed.explanation.words
    believed = hold(model, X, Y, epochs=1, lmbd=0.01)
    assert believed.exit_code == 1
    assert {m.name for m in believed.explanation.mistakes} == {
        "penalty factor",
        "output layer free of penalty",
    }
    believed = hold(model, X, Y, epochs=1, optimizer="sgd")
    assert "optimizer adam, not sgd" in believed.explanation.words
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ({}, ""),
        ({"l1": 0.005}, "the L1 penalty is twice what you said"),
        ({"l1": 0.02}, "the L1 penalty is half what you said"),
        ({"lmbd": 0.02}, "the penalty is twice what you said"),
        ({"lmbd": [0.04, 0.02]}, "the penalty of W2 is 2 times what you said"),
    ],
)
def test_keras_l1_is_read_and_held_against_what_is_believed(said, called):
    import keras

    def layer(units, activation):
        own = keras.regularizers.L1L2(0.01, 0.02)
        return keras.layers.Dense(units, activation=activation, kernel_regularizer=own)

    model = keras.Sequential([keras.Input((4,)), layer(6, "relu"), layer(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    parity = hold(model, X, Y, epochs=2, **said)
    assert parity.agrees == (not called)
    assert not called or parity.explanation.words.startswith(called)
    about = parity.recording.about
    assert (about["l1"], about["lmbd"]) == (said.get("l1", 0.01), said.get("lmbd", 0.04))


def test_keras_l1_has_to_be_the_same_in_all_layers():
    import keras

    own = keras.layers.Dense(6, activation="relu", kernel_regularizer=keras.regularizers.L1(0.01))
    model = keras.Sequential([keras.Input((4,)), own, keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    with pytest.raises(InputError, match=r"L1 of 0.01, 0; allowed: the same in all layers"):
        hold(model, X, Y)
    model.layers[-1].kernel_regularizer = keras.regularizers.L1L2(0.01, 0.02)
    assert hold(model, X, Y, epochs=1).recording.about["lmbd"] == [0.0, 0.04]


def test_a_keras_model_without_softmax_or_from_logits_is_told_so():
    import keras

    layers = [keras.layers.Dense(6, activation="leaky_relu"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), *layers])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    parity = hold(model, X.reshape(-1, 2, 2), Y, epochs=2)
    assert [m.name for m in parity.explanation.mistakes] == ["logits taken for probabilities"]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    optimizer = keras.optimizers.SGD(schedule, clipnorm=0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss)
    assert hold(model, X.reshape(-1, 2, 2), Y, epochs=2).agrees


def test_a_torch_module_is_held_and_put_back():
    needs("torch")
    import torch

    layers = [torch.nn.Linear(4, 6), torch.nn.GELU(), torch.nn.Linear(6, 3)]
    model = torch.nn.Sequential(*layers)
    before = [p.detach().clone() for p in model.parameters()]
    loss = torch.nn.CrossEntropyLoss()
    for optimizer in (
        torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
        torch.optim.Adam(model.parameters(), 0.01, amsgrad=True),
        torch.optim.AdamW(model.parameters(), 0.01),
    ):
        assert hold(model, X, Y, optimizer=optimizer, loss=loss, epochs=2).agrees
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    twice = torch.nn.Sequential(*layers, torch.nn.Softmax(-1))
    optimizer = torch.optim.SGD(twice.parameters(), 0.1)
    parity = hold(twice, X, Y, optimizer=optimizer, loss=loss, epochs=2)
    assert {m.name for m in parity.explanation.mistakes} == {"softmax twice"}


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ({"decoupled": True, "penalised_biases": True}, ""),
        ({"decoupled": True}, "penalised biases"),
        ({"penalised_biases": True}, "decoupled decay"),
    ],
)
def test_adamw_is_what_its_hint_says(said, called, tmp_path):
    needs("torch")
    parity = watched(tmp_path, "AdamW", every=1, lmbd=0.1, **said)
    assert parity.agrees == (not called)
    assert not called or [m.name for m in parity.explanation.mistakes] == [called]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(
    ("every", "words"),
    [
        ({"zero": 3}, "gradients are set to zero every 3 steps"),
        ({"zero": 7}, "gradients are set to zero every 7 steps"),
        ({"step": 5}, "updated after every 5 minibatches only, by the sum of their gradients"),
    ],
)
def test_gradients_that_torch_sums_over_steps_are_told(optimizer, every, words, tmp_path):
    needs("torch")
    parity = watched(tmp_path, optimizer, lmbd=0.1, penalised_biases=True, **every)
    assert words in parity.explanation.words
    assert not parity.explanation.others


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_told_where_nothing_else_explains_the_steps(training, tmp_path):
    needs("torch")
    parity = watched(tmp_path, "Adam", dropout=0.2, training=training, lmbd=0.3, steps=2)
    assert parity.exit_code == 1
    assert any("has Dropout, which draws at random" in note for note in parity.notes) == training


def watched(folder, name, zero=1, step=1, every=1, dropout=0.0, training=True, steps=25, **said):
    """A loop of torch that sets gradients to zero, and updates, every so many minibatches, judged."""
    import torch

    torch.manual_seed(0)
    between = [torch.nn.Tanh(), torch.nn.Dropout(dropout)] if dropout else [torch.nn.Tanh()]
    layers = [torch.nn.Linear(4, 6), *between, torch.nn.Linear(6, 3)]
    model = torch.nn.Sequential(*layers).train(training)
    loss = torch.nn.CrossEntropyLoss()
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01, weight_decay=0.1)
    x, y, rng = torch.tensor(X), torch.tensor(Y), np.random.default_rng(0)
    about = {"eta": 0.01, "activation": "tanh", "optimizer": name.lower().removesuffix("w")}
    with Recorder(folder / "t.npz", X, Y, every=every, **about, **said).start(model) as recorder:
        for number in range(steps):
            rows = rng.choice(len(X), 30, replace=False)
            if number % max(zero, step) == 0:
                optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            if (number + 1) % step == 0:
                optimizer.step()
            recorder.step(rows, model)
    return judge_recording(read_recording(folder / "t.npz"))


@pytest.mark.parametrize(
    ("last", "loss", "called"),
    [
        ("LogSoftmax", "nll_loss", ""),
        ("Identity", "cross_entropy", ""),
        ("Identity", "nll_loss", "z taken for log-probabilities"),
    ],
)
def test_losses_of_torch_are_held_as_they_are_spelt(last, loss, called):
    needs("torch")
    import torch

    output = torch.nn.LogSoftmax(1) if last == "LogSoftmax" else torch.nn.Identity()
    linear = torch.nn.Linear(6, 3, bias=False)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LeakyReLU(0.2), linear, output)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    function = getattr(torch.nn.functional, loss)
    parity = hold(model, X, Y, optimizer=optimizer, loss=function, epochs=2)
    assert parity.agrees == (not called)
    assert not called or [m.name for m in parity.explanation.mistakes] == [called]


def test_a_regressor_of_scikit_learn_and_its_schedule_are_held():
    from sklearn.neural_network import MLPRegressor

    settings = {"solver": "sgd", "batch_size": 32, "learning_rate_init": 0.01, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=(6,), learning_rate="invscaling", **settings)
    x = X[:, :3]  # has rows that are alike but for their targets
    assert hold(model, x, np.round(10 * X[:, 3]).astype(int), epochs=2).agrees


def test_a_loss_of_jax_is_held_its_settings_found_from_the_weights():
    needs("jax")
    import jax
    import jax.numpy as jnp

    def loss(params, x, y):
        (W1, b1), (W2, b2) = params
        logits = jax.nn.log_softmax(jnp.tanh(x @ W1 + b1) @ W2 + b2)
        cost = -jnp.take_along_axis(logits, y[:, None], axis=1).mean()
        return cost + 0.005 * (W1**2).sum()

    rng = np.random.default_rng(0)
    params = [
        (rng.normal(0, 0.5, shape).astype(np.float32), np.zeros(shape[1], np.float32))
        for shape in ((4, 8), (8, 3))
    ]
    parity = hold(loss, X, Y, params=params, eta=0.1)
    assert parity.agrees
    assert parity.found["activation"] == "tanh"
    assert parity.found["lmbd"] == [0.01, 0.0]


TORCH = """
import torch
layers = [torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)]
model, loss = torch.nn.Sequential(*layers), torch.nn.CrossEntropyLoss()
optimizer = opt = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
"""
JAX = """
import jax, jax.numpy as jnp, numpy as np

class Optimizer:  # with the interface of optax
    def init(self, params):
        return (0, jax.tree.map(lambda p: 0 * p, params), jax.tree.map(lambda p: 0 * p, params))

    def update(self, g, state, params):
        t, m, v = state[0] + 1, *state[1:]
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        def change(m, v):
            return -0.01 * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return jax.tree.map(change, m, v), (t, m, v)

def model(params, x, y):
    (W1, b1), (W2, b2) = params
    logits = jax.nn.log_softmax(jnp.tanh(x @ W1 + b1) @ W2 + b2)
    return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

rng, optimizer = np.random.default_rng(0), Optimizer()
params = [(rng.normal(0, 0.5, s).astype("f"), np.zeros(s[1], "f")) for s in ((4, 8), (8, 3))]
"""


@pytest.mark.parametrize(
    ("library", "script", "believed", "told"),
    [
        ("torch", TORCH, "--optimizer opt --momentum 0.9 --eta 0.1", ""),
        ("torch", TORCH, "--optimizer adam", "optimizer sgd, not adam"),
        ("torch", TORCH, "--optimizer sgd --momentum 0.5", "the momentum is 0.9, not 0.5"),
        ("jax", JAX, "--optimizer adam --eta 0.01 --lmbd 0 --activation tanh", ""),
        ("jax", JAX, "--optimizer sgd --eta 0.01 --lmbd 0 --activation tanh", "Adam in place of"),
    ],
)
def test_an_optimizer_is_believed_on_the_command_line(library, script, believed, told, tmp_path):
    needs(library)
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    (tmp_path / "script.py").write_text(script)
    line = [sys.executable, "-m", "harness", "hold", "script.py:model", "--data", "d.npz"]
    line += ["--epochs", "2", "--json", *believed.split()]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == bool(told), ended.stderr
    (one,) = json.loads(ended.stdout)["recordings"]
    assert told in str(one)


def test_another_name_of_an_optimizer_is_told_as_it_is_said(tmp_path):
    needs("torch")
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    (tmp_path / "script.py").write_text(TORCH)
    line = [sys.executable, "-m", "harness", "hold", "script.py:model", "--data", "d.npz"]
    line += ["--optimizer", "adamw"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "optimizer='adam', decoupled=True" in ended.stderr


def test_hold_on_the_command_line(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    script = tmp_path / "script.py"
    script.write_text(
        "from sklearn.neural_network import MLPClassifier\n"
        "model = MLPClassifier((6,), solver='sgd', random_state=0)\n"
    )

    def held(*arguments):
        line = [sys.executable, "-m", "harness", "hold", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    believed = ["--eta", "0.001", "--momentum", "0.9", "--nesterov", "--optimizer", "sgd"]
    good = held("script.py:model", "--data", "d.npz", "--json", *believed)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["recordings"][0]["outcome"] == "same to round-off"
    assert "explorer-data" in (tmp_path / "model-parity" / "parity.html").read_text()
    wrong = held("script.py:mode", "--data", "d.npz")
    assert wrong.returncode == 2
    assert "did you mean 'model'?" in wrong.stderr
