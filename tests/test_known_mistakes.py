"""The catalogue of mistakes, and what it takes for one of them to explain a training's steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tournament import Written

from backends.registry import usable
from backends.testing import ROUNDED, run_check
from backends.testing.checks import minibatches_may_repeat_samples
from harness.data.dataset import load_dataset
from harness.experiment.experiment import experiment_from
from harness.mistakes.catalogue import catalogue
from harness.mistakes.explanation import explain, order_of_computation
from harness.mistakes.forward_mistakes import float32_inside_float64
from harness.mistakes.reference_step import Batch, State, StepRules, stepped, tensors
from harness.mistakes.step_trace import StepTrace
from harness.roundoff.reference import reference_path
from harness.roundoff.trial import Trial, trial

SMALL: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "hidden": [6, 5],
    "batch_size": 20,
    "epochs": 3,
    "backends": "numpy",
}


def case(**settings) -> Trial:
    one = experiment_from({"eta": [0.1], "lmbd": [0.1]} | SMALL | settings)
    return trial(one, load_dataset(one), "numpy", "float64")


def recorded(whole: Trial, rules: StepRules, steps: int) -> StepTrace:
    """Steps by these rules, as a training that was seen from outside."""
    state = State.start(whole.plan.initial)
    batches = [Batch.of(whole, whole.plan.rows(k)[0]) for k in range(steps)]
    seen = []
    for batch in batches:
        state = stepped(state, batch, rules)
        seen.append(state.weights)
    start = State.start(whole.plan.initial)
    return StepTrace(StepRules.of(whole), start, tuple(batches), tuple(seen))


def training_of(hooks: dict[str, Any], whole: Trial, steps: int) -> StepTrace:
    """Steps of a planted training."""
    backend = type("Planted", (Written,), {"hooks": hooks})()
    path = whole.at(*range(1, steps + 1)).train(backend)
    batches = tuple(Batch.of(whole, whole.plan.rows(k)[0]) for k in range(steps))
    weights = tuple(State.start(seen).weights for seen in path)
    return StepTrace(StepRules.of(whole), State.start(whole.plan.initial), batches, weights)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9, "nesterov": True, "activation": "tanh"},
        {"optimizer": "adam", "activation": "elu"},
        {"dataset": "diabetes", "task": "regression", "batch_size": 60, "activation": "relu"},
        {"dataset": "breast_cancer", "batch_size": 60, "keep_last_batch": True},
    ],
    ids=["gradient descent", "Nesterov", "Adam", "regression", "two classes"],
)
def test_the_step_without_mistakes_is_the_references(settings):
    whole = case(**settings)
    steps = min(8, whole.plan.steps)
    trace = recorded(whole, StepRules.of(whole), steps)
    last = reference_path(whole.at(steps))[-1].named()
    for name, tensor in trace.weights[-1].items():
        np.testing.assert_allclose(tensor, last[name][0], rtol=0, atol=1e-13)


def test_every_mistake_of_the_catalogue_makes_a_difference():
    """In one of two experiments; a limit that nothing exceeds makes none."""
    idle = None
    for settings in ({"momentum": 0.9}, {"optimizer": "adam", "eta": [0.01]}):
        whole = case(**settings, initial_bias=0.1, keep_last_batch=True)
        rules = StepRules.of(whole)
        right = recorded(whole, rules, whole.plan.steps).weights[-1]
        same = set()
        for mistake in catalogue(rules):
            sized = mistake.of_size(mistake.starts[0]) if mistake.fit else mistake
            other = recorded(whole, rules.but(sized), whole.plan.steps).weights[-1]
            if all(np.array_equal(other[name], right[name]) for name in right):
                same.add(str(mistake))
        idle = same if idle is None else idle & same
    assert all("clipped" in words or "cut" in words for words in idle), idle


def test_half_of_eta_and_half_of_the_cost_are_both_named_where_nothing_tells_them_apart():
    traces = [
        training_of({"rate": lambda s, eta: eta / 2}, case(lmbd=[0.0], eta=[eta]), 3)
        for eta in (0.1, 0.2)
    ]
    why = explain(traces)
    names = {mistakes[0].name for mistakes in why.alternatives}
    assert {"eta factor", "cost factor"} <= names
    assert why.tells_apart == "--lmbd 0.1"


def test_a_penalty_tells_half_of_eta_from_half_of_the_cost():
    traces = [
        training_of({"rate": lambda s, eta: eta / 2}, case(eta=[eta]), 3) for eta in (0.1, 0.2)
    ]
    why = explain(traces)
    assert [m.name for m in why.mistakes] == ["eta factor"]
    assert not why.others


def test_what_no_known_mistake_does_is_not_given_a_name():
    def crooked(s, g):
        return [
            tensor * (1 + 0.1 * np.sin(np.arange(tensor.size))).reshape(tensor.shape)
            for tensor in g
        ]

    traces = [
        training_of({"gradients": crooked}, case(hidden=[4], eta=[eta]), 3) for eta in (0.1, 0.2)
    ]
    assert explain(traces) is None


def test_what_holds_in_one_cell_only_is_not_named():
    one = training_of({"rate": lambda s, eta: eta / 2}, case(hidden=[4]), 3)
    right = training_of({}, case(hidden=[4], eta=[0.2]), 3)
    assert explain([one, right]) is None


@pytest.mark.parametrize(
    ("hooks", "name", "kind"),
    [
        ({"rate": lambda s, eta: float(np.float32(eta))}, "eta rounded", "rounding"),
        (
            {"penalty": lambda s, decay, W, layer: W * float(np.float32(s.lmbd))},
            "lmbd rounded",
            "rounding",
        ),
        ({"stored": lambda s, new, old: [half(t) for t in new]}, "stored rounded", "mistake"),
    ],
    ids=["eta", "lmbd", "the weights"],
)
def test_a_setting_in_fewer_digits_is_a_rounding_and_weights_in_fewer_are_not(hooks, name, kind):
    cells = ((0.1, 0.1), (0.23, 0.01))
    traces = [
        training_of(hooks, case(hidden=[4], eta=[eta], lmbd=[lmbd]), 3) for eta, lmbd in cells
    ]
    why = explain(traces)
    assert name in {mistakes[0].name for mistakes in why.alternatives}
    assert why.kind == kind


def half(value):
    return value.astype(np.float16).astype(value.dtype)


def test_a_right_training_is_not_explained():
    assert explain([training_of({}, case(eta=[eta]), 4) for eta in (0.1, 0.2)]) is None


def test_tensors_come_in_the_order_in_which_a_step_computes_them():
    whole = case()
    batch = Batch.of(whole, whole.plan.rows(0)[0])
    names = list(tensors(State.start(whole.plan.initial).weights, batch, StepRules.of(whole)))
    kinds = [name for name in names if not name.startswith("penalty")]
    assert sorted(kinds, key=order_of_computation) == kinds


def keras_steps(name: str, whole: Trial, steps: int) -> StepTrace:
    """Steps of the program that Keras's documentation teaches, on one of its engines."""
    keras = usable(name)
    stock = type("Stock", (), {"train": lambda self, *given: keras.train_stock(*given)})()
    path = whole.at(*range(1, steps + 1)).train(stock)
    batches = tuple(Batch.of(whole, whole.plan.rows(k)[0]) for k in range(steps))
    weights = tuple(State.start(seen).weights for seen in path)
    return StepTrace(StepRules.of(whole), State.start(whole.plan.initial), batches, weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "activation", "name"),
    [
        ("jax", "tanh", "tanh in float32"),
        ("torch", "tanh", "matrix products in float32"),
    ],
)
def test_what_keras_computes_in_float32_is_a_rounding_and_the_right_one(engine, activation, name):
    pytest.importorskip(engine)
    traces = [
        keras_steps(
            f"keras@{engine}", case(hidden=[6], activation=activation, eta=[eta], lmbd=[0.0]), 4
        )
        for eta in (0.1, 0.2)
    ]
    backend = usable(f"keras@{engine}")
    known = list(float32_inside_float64(traces[0].rules, backend.versions()))
    why = explain(traces, more=known, most=1)
    assert [m.name for m in why.mistakes] == [name]
    # the stack's products are einsum's, which stay in float64
    in_kit = run_check(backend, minibatches_may_repeat_samples).verdict
    assert in_kit == (ROUNDED if engine == "jax" else "passed")
    assert not why.others
    assert why.kind == "rounding"
    assert explain(traces, most=1) is None  # of another library it is no excuse


@pytest.mark.parametrize("schedule", ["inverse", "step"])
def test_kerass_schedules_are_computed_in_float32_on_its_own_engine_too(schedule):
    training = {"schedule": schedule, "decay": 0.3, "lmbd": [0.0], "hidden": [4]}
    training |= {"decay_epochs": 1} if schedule == "step" else {}
    traces = [keras_steps("keras", case(eta=[eta], **training), 12) for eta in (0.1, 0.2)]
    known = list(float32_inside_float64(traces[0].rules, usable("keras").versions()))
    why = explain(traces, more=known, most=1)
    assert [m.name for m in why.mistakes] == ["schedule in float32"]
    assert why.kind == "rounding"


@pytest.mark.parametrize(
    "versions",
    [
        {"keras": "3.15.0", "tensorflow": "2.21.0"},
        {"keras": "3.11.3", "jax": "0.10.2"},
        {"jax": "0.10.2"},
        {"keras": "3.15.0", "jax": "0.10.2", "tensorflow": "2.21.0"},
        {},
    ],
)
def test_nobody_else_is_excused(versions):
    rules = StepRules.of(case(activation="tanh"))
    assert list(float32_inside_float64(rules, versions)) == []


def test_a_mistake_is_not_excused_by_what_keras_computes_in_float32():
    def of_bias(s, g):
        return [tensor * (1 + 1e-6 * (tensor.ndim == 1)) for tensor in g]

    def in_single(s, new, old):
        return [tensor.astype(np.float32).astype(float) for tensor in new]

    for hooks in ({"gradients": of_bias}, {"stored": in_single}):
        traces = [
            training_of(hooks, case(hidden=[4], activation="tanh", eta=[eta]), 3)
            for eta in (0.1, 0.2)
        ]
        known = [
            mistake
            for engine in ("jax", "torch")
            for mistake in float32_inside_float64(traces[0].rules, {"keras": "3.15", engine: "1"})
        ]
        why = explain(traces, more=known, most=1)
        assert why is None or why.kind == "mistake"
