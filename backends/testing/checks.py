"""What a backend must do, a function for each point.

A check gives pairs (what was compared, error, tolerance), or a reason why there is nothing to check, and
raises AssertionError for what no tolerance can be put to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from typing import Literal

import numpy as np

from backends.base import OPTIONS, Backend
from backends.distance import Tolerance
from backends.formulas import predict
from backends.network import ACTIVATIONS, Activation, Cells, Network, Training
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan
from backends.testing.problem import GRID, SAMPLES, Problem, network_of, problem


@dataclass(frozen=True)
class Compared:
    """One comparison: what, the largest relative error, and how large it may be.

    ``in_float32``: how large it may be where the library computes in float32 what ``rounding`` says.
    """

    what: str
    error: float
    allowed: float
    in_float32: float = 0.0
    rounding: str = ""


@dataclass(frozen=True)
class Skipped:
    """Something a backend says it cannot do, in its words."""

    reason: str


Checked = Iterator[Compared | Skipped]
Check = Callable[[Backend], Checked]

CALM = Cells(GRID.eta / 10, GRID.lmbd, GRID.stream)  # for a summed cost, ten times as steep
TRAININGS: dict[str, Training] = {
    "gradient descent": Training(),
    "momentum": Training(momentum=0.9),
    "Nesterov momentum": Training(momentum=0.9, nesterov=True),
    "Adam": Training(optimizer="adam"),
    "RMSprop": Training(optimizer="rmsprop"),
    "Adagrad": Training(optimizer="adagrad"),
}
# of what divides by the root of a gradient that may be small: float32 loses digits there (the most that
# one of this package's backends needs of it: RMSprop on JAX, 4.2)
_ROUNDING = {"adam": 3.0, "adagrad": 3.0, "rmsprop": 6.0}
# one training for each option that a backend may leave out
ASKED: dict[str, Training] = {
    "momentum": Training(momentum=0.5),
    "nesterov": Training(momentum=0.5, nesterov=True),
    "schedule": Training(schedule="inverse"),
    "l1": Training(l1=0.01),
    "cost": Training(cost="sum"),
    "penalty_factor": Training(penalty_factor=0.5),
    "penalty_per_sample": Training(penalty_per_sample=True),
    "penalised": Training(penalised="hidden"),
    "patience": Training(patience=3),
    "monitor": Training(patience=3, monitor="training"),
    "device": Training(device="gpu"),
}


def _compared(
    backend: Backend,
    what: str,
    network: Network,
    training: Training,
    cells: Cells = GRID,
    **plan: object,
) -> Checked:
    """The weights of one training against the reference, or the backend's reason not to train it."""
    if reason := backend.unsupported(network, training):
        yield Skipped(reason)
        return
    task = problem(network, training)
    drawn = task.plan(**plan)  # type: ignore[arg-type]
    yield _weighed(what, task.error(backend, drawn, cells), backend, task, drawn)


def _weighed(what: str, error: float, backend: Backend, task: Problem, plan: Plan) -> Compared:
    """An error of trained weights beside the tolerance, and float32's where the backend declares that."""
    single = Tolerance("float32").at(plan.steps) * _ROUNDING.get(task.training.optimizer, 1.0)
    if task.training.dtype == "float32":
        return Compared(what, error, single)
    rounding = backend.float32_inside(task.network, backend.versions())
    return Compared(what, error, task.allowed(plan), single, rounding)


def on_plain_problem(
    dtype: Literal["float32", "float64"],
) -> Callable[[Callable[[Backend, Problem], Checked]], Check]:
    """Have a check given the plain network's problem too; a backend that cannot train it skips it."""

    def with_problem(check: Callable[[Backend, Problem], Checked]) -> Check:
        @wraps(check)
        def on_problem(backend: Backend) -> Checked:
            task = problem(network_of(), Training(dtype=dtype))
            if reason := backend.unsupported(task.network, task.training):
                yield Skipped(reason)
            else:
                yield from check(backend, task)

        return on_problem

    return with_problem


def every_optimizer_follows_the_reference(backend: Backend) -> Checked:
    """Plain, both momenta, Adam, RMSprop, Adagrad: the NumPy backend's weights, in both dtypes."""
    for name, training in TRAININGS.items():
        for dtype in ("float32", "float64"):
            exact = replace(training, dtype=dtype)  # type: ignore[arg-type]
            # the others' first steps have the size of eta, RMSprop's ten times that
            cells = CALM if training.optimizer in ("rmsprop", "adagrad") else GRID
            yield from _compared(backend, f"{name}, {dtype}", network_of(), exact, cells)


def a_schedule_changes_eta_after_whole_epochs(backend: Backend) -> Checked:
    """Both schedules, through momentum, which remembers steps of the size that they were taken with."""
    for name, training in {
        "inverse": Training(schedule="inverse", decay=0.5, dtype="float64"),
        "step": Training(schedule="step", decay=0.5, decay_epochs=1, dtype="float64"),
        "step, Nesterov momentum": Training(
            schedule="step", decay_epochs=2, momentum=0.9, nesterov=True, dtype="float64"
        ),
    }.items():
        yield from _compared(backend, name, network_of(), training, epochs=3)


def an_l1_penalty_stands_beside_the_other(backend: Backend) -> Checked:
    """l1 times the sum of |W|, in the layers that are penalised, a kept short minibatch included."""
    for name, training in {
        "l1": Training(l1=0.01, dtype="float64"),
        "hidden layers, per sample": Training(
            l1=0.05, penalised="hidden", penalty_per_sample=True, dtype="float64"
        ),
    }.items():
        yield from _compared(backend, name, network_of(), training, keep_last_batch=True)


def every_activation_follows_the_reference(backend: Backend) -> Checked:
    """Every activation that the backend says it has, through three hidden layers."""
    for activation in ACTIVATIONS:
        network = network_of(activation=activation, layers=3)
        yield from _compared(backend, activation, network, Training(dtype="float64"))


def each_layer_may_have_an_activation_of_its_own(backend: Backend) -> Checked:
    """Two hidden layers with two activations, in the order given."""
    network = replace(network_of(), activation=("relu", "tanh"))
    yield from _compared(backend, "relu, tanh", network, Training(dtype="float64"))


def there_may_be_no_hidden_layer(backend: Backend) -> Checked:
    """Logistic regression with a softmax, with one logistic output, and linear regression."""
    for kind in ("several", "two", "regression"):
        network = network_of(kind, layers=0)
        yield from _compared(
            backend, f"{kind}, no hidden layer", network, Training(dtype="float64")
        )


def two_classes_have_one_logistic_output(backend: Backend) -> Checked:
    """Two classes: one output unit, not a softmax of two."""
    yield from _compared(backend, "two classes", network_of("two"), Training(dtype="float64"))


def regression_follows_the_reference(backend: Backend) -> Checked:
    """An identity output with half the squared error."""
    yield from _compared(backend, "regression", network_of("regression"), Training(dtype="float64"))


def a_short_last_minibatch_is_penalised_as_the_others(backend: Backend) -> Checked:
    """A kept short minibatch: its cost is averaged over its own rows, its penalty is not scaled."""
    training = Training(dtype="float64")
    yield from _compared(backend, "kept", network_of(), training, keep_last_batch=True)


def minibatches_may_be_of_one_sample(backend: Backend) -> Checked:
    """Minibatches of one row each."""
    training = Training(dtype="float64")
    yield from _compared(backend, "one row", network_of(), training, batch_size=1, epochs=1)


def minibatches_may_repeat_samples(backend: Backend) -> Checked:
    """Independent minibatches: the plan's rows as they are, no epoch is a permutation."""
    training = Training(dtype="float64")
    yield from _compared(backend, "independent", network_of(), training, minibatches="independent")


def other_objectives_are_trained_or_refused(backend: Backend) -> Checked:
    """A summed cost, other penalties: right, or refused with a reason."""
    for what, training in {
        "summed cost": Training(dtype="float64", cost="sum"),
        "penalty per sample": Training(dtype="float64", penalty_per_sample=True),
        "hidden layers penalised": Training(
            dtype="float64", penalised="hidden", penalty_factor=2.0
        ),
    }.items():
        yield from _compared(backend, what, network_of(), training, CALM, keep_last_batch=True)


def each_cell_may_stop_by_the_validation_part(backend: Backend) -> Checked:
    """The same last step and weights as by the NumPy backend, through a checkpoint within an epoch."""
    training = Training(patience=1, tol=1e-3, dtype="float64")  # after 7, 4 and 7 epochs, one never
    if reason := backend.unsupported(network_of(), training):
        yield Skipped(reason)
        return
    task, trained_on = problem(network_of(), training), SAMPLES - 16
    plan = task.plan(epochs=8).at([2, 5, 32])
    held = np.arange(trained_on, SAMPLES)
    plan = replace(plan, order=plan.order % trained_on, validation=held)
    given = (task.network, training, GRID, plan)
    fit = backend.train(task.x.copy(), task.y.copy(), *given)
    expected = NumPyBackend().train(task.x, task.y, *given)
    assert fit.steps is not None, "it does not say after how many steps its cells stopped"
    assert tuple(fit.steps) == expected.steps, f"stopped after {fit.steps}, not {expected.steps}"
    for step, own, right in zip(plan.checkpoints, fit.path, expected.path, strict=True):
        apart = task.apart(own, right, plan, GRID)
        yield _weighed(f"after {step} steps", apart, backend, task, plan)


@on_plain_problem("float64")
def only_the_plans_rows_are_seen(backend: Backend, task: Problem) -> Checked:
    """Samples that are in no minibatch are never looked at: they may be anything."""
    whole = task.plan()
    plan = replace(whole, order=whole.order % (SAMPLES // 2))
    expected = task.train(backend, plan)[-1]
    task.x[SAMPLES // 2 :] = 1e6
    yield Compared(
        "other samples changed", task.apart(task.train(backend, plan)[-1], expected, plan), 0.0
    )


@on_plain_problem("float64")
def cells_are_trained_each_for_itself(backend: Backend, task: Problem) -> Checked:
    """A stack of cells gives what its cells give alone, whatever streams they are on."""
    cells = Cells.grid([0.05, 0.4], [0.0, 0.2], streams=2)
    plan = task.plan(seeds=(1, 2))
    stack = task.train(backend, plan, cells)[-1]
    for cell in (0, 3, 6):
        index = np.array([cell])
        alone = task.train(backend, plan, cells[index])[-1]
        apart = task.apart(alone, stack[index], plan, cells[index])
        yield _weighed(f"cell {cell} in a stack and alone", apart, backend, task, plan)


def checkpoints_are_trainings_cut_short(backend: Backend) -> Checked:
    """The weights after k steps are those of a training of k steps; after none, the initial ones."""
    for what, training in TRAININGS.items():
        training = replace(training, dtype="float64")
        if reason := backend.unsupported(network_of(), training):
            yield Skipped(reason)
            continue
        task = problem(network_of(), training)
        plan = task.plan(keep_last_batch=True)
        path = task.train(backend, plan.at([0, 3, 6, plan.steps]))
        assert len(path) == 4, f"4 checkpoints were asked for, {len(path)} came back"
        short = task.train(backend, plan.first(3))[-1]
        start = plan.initial[GRID.stream]
        yield Compared(f"{what}, after no step", task.apart(path[0], start, plan), 0.0)
        apart = task.apart(path[1], short, plan)
        yield _weighed(f"{what}, after 3 steps", apart, backend, task, plan)


@on_plain_problem("float32")
def training_is_a_pure_function(backend: Backend, task: Problem) -> Checked:
    """The same call twice gives the same bits, and changes none of its arguments."""
    plan = task.plan()
    given = [task.x, task.y, plan.order, *plan.initial.W, *plan.initial.b, GRID.eta, GRID.lmbd]
    before = [array.copy() for array in given]
    first = backend.train(task.x, task.y, task.network, task.training, GRID, plan).weights
    for array, kept in zip(given, before, strict=True):
        assert np.array_equal(array, kept), "training changed an array that it was given"
    second = backend.train(task.x, task.y, task.network, task.training, GRID, plan).weights
    yield Compared("the same call twice", task.apart(first, second, plan), 0.0)


@on_plain_problem("float32")
def a_diverging_cell_leaves_its_neighbours_alone(backend: Backend, task: Problem) -> Checked:
    """Weights that overflow come back as they are, and no other cell is touched."""
    plan = task.plan()
    wild = Cells.of(
        [0.05, 1e30, 0.4, 0.4], [0.0, 1e3, 0.0, 0.2]
    )  # a step makes W 1e33 times larger
    weights = task.train(backend, plan, wild)[-1]
    assert not weights.finite()[1], "weights that must overflow are finite"
    tame = task.train(backend, plan)[-1]
    calm = np.array([0, 2, 3])
    apart = task.apart(weights[calm], tame[calm], plan, wild[calm])
    yield Compared("neighbours", apart, task.allowed(plan))


def weights_have_the_shapes_and_dtype_asked_for(backend: Backend) -> Checked:
    """W (cells, inputs, outputs) and b (cells, outputs), first layer first, in the training's dtype."""
    for dtype in ("float32", "float64"):
        training = Training(dtype=dtype)  # type: ignore[arg-type]
        network = network_of()
        if reason := backend.unsupported(network, training):
            yield Skipped(reason)
            continue
        task = problem(network, training)
        weights = task.train(backend, task.plan())[-1]
        for layer, (W, b) in enumerate(zip(weights.W, weights.b, strict=True)):
            inputs, outputs = network.shapes[layer]
            assert W.shape == (len(GRID), inputs, outputs), f"W{layer + 1} has shape {W.shape}"
            assert b.shape == (len(GRID), outputs), f"b{layer + 1} has shape {b.shape}"
            assert W.dtype == b.dtype == dtype, (
                f"layer {layer + 1} came back in {W.dtype}, {b.dtype}"
            )
        yield Compared(f"layers, {dtype}", abs(len(weights.W) - network.layers), 0.0)


def probabilities_are_those_of_the_weights(backend: Backend) -> Checked:
    """predict_proba: (cells, samples, classes), two columns for two classes; targets for regression."""
    for kind, columns in {"several": 3, "two": 2, "regression": 1}.items():
        network, training = network_of(kind), Training(dtype="float64")
        if reason := backend.unsupported(network, training):
            yield Skipped(reason)
            continue
        task = problem(network, training)
        weights = task.plan(seeds=(1, 2)).initial
        found = backend.predict_proba(task.x, network, weights)
        assert found.shape == (2, SAMPLES, columns), f"{kind}: shape {found.shape}"
        error = float(np.abs(found - predict(task.x, network, weights)).max())
        rounding = backend.float32_inside(network, backend.versions())
        yield Compared(f"{kind}", error, 1e-13, Tolerance("float32").at(1), rounding)


def what_cannot_be_done_is_said(backend: Backend) -> Checked:
    """``unsupported`` gives a reason for whatever the backend does not say it has."""
    unknown: Activation = "no such activation"  # type: ignore[assignment]
    assert backend.unsupported(network_of(activation=unknown), Training()), "an unknown activation"
    other = Training(optimizer="no such optimizer")  # type: ignore[arg-type]
    assert backend.unsupported(network_of(), other), "an unknown optimizer"
    if "activations" not in backend.heeds:
        mixed = replace(network_of(), activation=("relu", "tanh"))
        assert backend.unsupported(mixed, Training()), "an activation for each layer"
    for option in OPTIONS:
        if option in backend.heeds or option == "activations":
            continue
        assert backend.unsupported(network_of(), ASKED[option]), f"{option}: {ASKED[option]}"
    able = [a for a in ACTIVATIONS if not backend.unsupported(network_of(activation=a), Training())]
    yield Compared("no activation at all", float(not able), 0.0)


CHECKS: tuple[Check, ...] = (
    every_optimizer_follows_the_reference,
    every_activation_follows_the_reference,
    each_layer_may_have_an_activation_of_its_own,
    there_may_be_no_hidden_layer,
    two_classes_have_one_logistic_output,
    regression_follows_the_reference,
    a_short_last_minibatch_is_penalised_as_the_others,
    minibatches_may_be_of_one_sample,
    minibatches_may_repeat_samples,
    other_objectives_are_trained_or_refused,
    a_schedule_changes_eta_after_whole_epochs,
    an_l1_penalty_stands_beside_the_other,
    each_cell_may_stop_by_the_validation_part,
    only_the_plans_rows_are_seen,
    cells_are_trained_each_for_itself,
    checkpoints_are_trainings_cut_short,
    training_is_a_pure_function,
    a_diverging_cell_leaves_its_neighbours_alone,
    weights_have_the_shapes_and_dtype_asked_for,
    probabilities_are_those_of_the_weights,
    what_cannot_be_done_is_said,
)
