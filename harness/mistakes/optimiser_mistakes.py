"""Mistakes of the optimiser and of the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np

from backends.network import Array, Training
from harness.mistakes.mistake import Change, Mistake, always, by, times_p
from harness.mistakes.optimisers import (
    Optimiser,
    adam,
    adam_as,
    adamax,
    damped,
    gradient_descent,
    scaled_as,
    velocity_before,
)
from harness.mistakes.reference_step import StepRules, Tensors

_EPSILONS = (1e-7, 1e-8, 1e-6, 1e-5, 1e-3, 0.0)


def _set(**changes: Any) -> dict[str, Change]:
    """The optimiser's settings otherwise."""
    return {"training": lambda training, here, p: _otherwise(training, changes)}


def _otherwise(training: Training, changes: Mapping[str, Any]) -> Training:
    """Other settings, those that nobody is allowed to ask for among them."""
    other = copy(training)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def _set_to_p(name: str) -> dict[str, Change]:
    return {"training": lambda training, here, p: _otherwise(training, {name: p})}


def momentum_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of the momentum, where there is one."""
    if not rules.training.momentum:
        return
    training, group = rules.training, "momentum"
    m = training.momentum
    if training.nesterov:
        yield Mistake(
            "no Nesterov",
            "momentum without Nesterov's look ahead",
            group,
            "W1",
            _set(nesterov=False),
        )
    else:
        words = "Nesterov's look ahead, which was not asked for"
        yield Mistake("Nesterov", words, group, "W1", _set(nesterov=True))
    plain = {**_set(nesterov=False), "point": _looking_ahead}
    yield Mistake(
        "Nesterov's other form",
        "Nesterov's gradient is taken at theta + m v, the weights looked ahead to, and theta is moved by v",
        group,
        "z1",
        plain,
    )
    yield Mistake("no momentum", "there is no momentum", group, "W1", _set(momentum=0.0))
    for value in (0.9, 0.99, 0.5):
        if value != m:
            words = f"the momentum is {{p}}, not {m:g}"
            yield Mistake("momentum's size", words, group, "W1", _set_to_p("momentum"), value)
    words = f"the momentum is {{p}}, not {m:g}"
    near = (m * 0.9, m / 2)
    yield Mistake("momentum's size", words, group, "W1", _set_to_p("momentum"), starts=near)
    yield Mistake(
        "dampening",
        f"the gradient is damped by 1 - momentum = {1 - m:.4g}",
        group,
        "W1",
        {"gradients": lambda g, here, p: {k: (1 - m) * v for k, v in g.items()}},
    )
    yield Mistake(
        "dampening",
        f"the gradient is damped by 1 - momentum = {1 - m:.4g}, but for the first (PyTorch's dampening = "
        f"{m:g})",
        group,
        "W1",
        {"optimiser": always(damped)},
    )
    words = "the weights are moved by the velocity of the step before, which is renewed after the update"
    late = {"optimiser": always(velocity_before)}
    yield Mistake("velocity of the step before", words, group, "W1", late)
    if rules.lmbd:
        words = "the momentum is that of the penalty's gradient alone; the cost's is taken off beside it"
        yield Mistake("momentum of the penalty alone", words, group, "W1", _cost_beside())
    words = "the momentum has the wrong sign"
    yield Mistake("momentum's sign", words, group, "W1", _set(momentum=-m))
    yield from _resets(rules, "momentum is", group)
    single = float(np.float32(m))
    if training.dtype == "float64" and single != m:
        words = "the momentum is rounded to float32"
        yield Mistake(
            "momentum rounded", words, group, "W1", _set(momentum=single), kind="rounding"
        )


def _cost_beside() -> dict[str, Change]:
    """The cost's gradient does not go through the optimiser, only the penalty's does."""

    def aside(g: Tensors, here: Any, p: float) -> Tensors:
        penalty = {name: here.found[f"penalty of {name}"] for name in g}
        here.found["cost aside"] = {name: tensor - penalty[name] for name, tensor in g.items()}
        return penalty

    def change(value: Array, here: Any, p: float) -> Array:
        eta = here.rules.at("eta", here.eta, here)
        return np.asarray(value + eta * here.found["cost aside"][here.name])

    return {"gradients": aside, "change": change}


def _looking_ahead(weights: Tensors, here: Any, p: float) -> Tensors:
    m = here.rules.training.momentum
    return {
        name: theta + m * here.memory.get(name, {}).get("v", 0.0) for name, theta in weights.items()
    }


def _resets(rules: StepRules, what: str, group: str) -> Iterator[Mistake]:
    """The optimiser's memory forgotten, each epoch or each step."""

    def each_epoch(kept: Any, here: Any, p: float) -> Any:
        return {} if here.step % here.rules.steps_per_epoch == 0 else kept

    if rules.steps_per_epoch:
        words = f"the {what} forgotten at the start of each epoch"
        yield Mistake("memory reset", words, group, "W1", {"memory": each_epoch})


def adam_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of Adam, where it is asked for."""
    if rules.training.optimizer != "adam":
        return
    training, group = rules.training, "Adam"

    def other(name: str, words: str, optimiser: Optimiser) -> Mistake:
        return Mistake(name, words, group, "W1", {"optimiser": always(optimiser)})

    for epsilon in _EPSILONS:
        if epsilon != training.epsilon:
            words = f"Adam's epsilon is {{p}}, not {training.epsilon:g}"
            if epsilon == 1e-7:
                words += "; 1e-7 is Keras's default"
            yield Mistake("Adam's epsilon", words, "epsilon", "W1", _set_to_p("epsilon"), epsilon)
    yield other(
        "epsilon's place",
        "Adam's epsilon is added to the corrected root, sqrt(v / (1 - beta_2^t)) + epsilon, as PyTorch does",
        adam_as("corrected root"),
    )
    yield other(
        "epsilon's place",
        "Adam's epsilon is added under the root, sqrt(v / (1 - beta_2^t) + epsilon)",
        adam_as("inside the root"),
    )
    words = "Adam's bias correction is left out"
    yield other("no bias correction", words, adam_as(first=False, second=False))
    words = "Adam's first moment is not corrected for its start at zero, its second is"
    yield other("no bias correction", words, adam_as(first=False))
    words = "Adam's second moment is not corrected for its start at zero, its first is"
    yield other("no bias correction", words, adam_as(second=False))
    words = "Adam's bias correction counts steps from 2: it is that of the step after"
    yield other("bias correction's count", words, adam_as(later=1))
    words = "Adam's moments start at the first gradient and its square, not at zero"
    yield other("moments' start", words, adam_as("moments start at g"))
    words = "Adam divides by the root of the largest v so far (AMSGrad)"
    yield other("AMSGrad", words, adam_as("amsgrad"))
    words = "Adam looks ahead as Nesterov does (Nadam)"
    yield other("Nadam", words, adam_as("nadam"))
    yield other("Adamax", "Adamax in place of Adam", adamax)
    words = "RMSprop in place of Adam: no first moment, no correction"
    rmsprop = _set(optimizer="rmsprop", rho=training.beta_2)
    yield Mistake("RMSprop", words, group, "W1", rmsprop)
    yield Mistake(
        "plain gradient descent",
        "plain gradient descent in place of Adam",
        group,
        "W1",
        {"optimiser": always(gradient_descent), **_set(momentum=0.0)},
    )
    for key, usual in (("beta_1", (0.95, 0.99, 0.5, 0.0)), ("beta_2", (0.99, 0.9999, 0.9, 0.95))):
        given = getattr(training, key)
        words = f"Adam's {key} is {{p}}, not {given:g}"
        for value in usual:
            if value != given:
                yield Mistake(f"Adam's {key}", words, key, "W1", _set_to_p(key), value)
        starts = (given - 0.05, 1 - (1 - given) * 5)
        yield Mistake(f"Adam's {key}", words, key, "W1", _set_to_p(key), starts=starts)
    swapped = _set(beta_1=training.beta_2, beta_2=training.beta_1)
    yield Mistake("betas swapped", "Adam's beta_1 and beta_2 are swapped", group, "W1", swapped)
    yield from _resets(rules, "Adam's moments are", group)
    if training.dtype == "float64":
        single = {
            name: float(np.float32(getattr(training, name)))
            for name in ("beta_1", "beta_2", "epsilon")
        }
        words = "Adam's betas are rounded to float32"
        betas = _set(beta_1=single["beta_1"], beta_2=single["beta_2"])
        yield Mistake("betas rounded", words, group, "W1", betas, kind="rounding")
        for name, value in single.items():
            words = f"Adam's {name} is rounded to float32"
            yield Mistake(
                f"{name} rounded", words, group, "W1", _set(**{name: value}), kind="rounding"
            )


def root_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of RMSprop and Adagrad, where one of them is asked for."""
    training = rules.training
    if training.optimizer not in ("rmsprop", "adagrad"):
        return
    told, group = {"rmsprop": "RMSprop", "adagrad": "Adagrad"}[training.optimizer], "root"

    def other(name: str, words: str, optimiser: Optimiser) -> Mistake:
        return Mistake(name, words, group, "W1", {"optimiser": always(optimiser)})

    words = f"{told}'s epsilon is added under the root, sqrt(v + epsilon), as Keras and optax do"
    yield other("epsilon's place", words, scaled_as("inside the root"))
    for epsilon in (1e-10, *_EPSILONS):
        if epsilon != training.epsilon:
            words = f"{told}'s epsilon is {{p}}, not {training.epsilon:g}"
            yield Mistake(
                f"{told}'s epsilon", words, "epsilon", "W1", _set_to_p("epsilon"), epsilon
            )
    keras = {"optimiser": always(scaled_as("inside the root", 0.0)), **_set(epsilon=1e-7)}
    words = f"{told}'s epsilon is 1e-7 and added under the root, as Keras has it by default"
    yield Mistake("epsilon's place", words, group, "W1", keras)
    if training.optimizer == "rmsprop":
        words = f"RMSprop's rho is {{p}}, not {training.rho:g}"
        for value in (0.9, 0.99, 0.95, 0.999):
            if value != training.rho:
                yield Mistake("RMSprop's rho", words, "rho", "W1", _set_to_p("rho"), value)
        starts = (training.rho - 0.05, 1 - (1 - training.rho) * 5)
        yield Mistake("RMSprop's rho", words, "rho", "W1", _set_to_p("rho"), starts=starts)
        words = "the square of the mean gradient is taken off v (centered=True)"
        yield other("centred", words, scaled_as("centred"))
        yield other("Adagrad", "Adagrad in place of RMSprop", _as_adagrad)
    else:
        words = "Adagrad's v starts at 0.1, as Keras has it by default, not at 0"
        yield other("start of v", words, scaled_as(start=0.1))
        words = "Adagrad's v starts at 0.1 with epsilon = 1e-7 under the root, as Keras has it by default"
        keras = {"optimiser": always(scaled_as("inside the root", 0.1)), **_set(epsilon=1e-7)}
        yield Mistake("start of v", words, group, "W1", keras)
        yield Mistake(
            "RMSprop", "RMSprop in place of Adagrad", group, "W1", _set(optimizer="rmsprop")
        )
    yield other("Adam", f"Adam in place of {told}", adam)
    words = f"plain gradient descent in place of {told}"
    yield other("plain gradient descent", words, gradient_descent)
    yield from _resets(rules, f"{told}'s v is", group)


def _as_adagrad(g: Any, kept: Any, training: Training, eta: float, t: int) -> Any:
    return scaled_as()(g, kept, _otherwise(training, {"optimizer": "adagrad"}), eta, t)


def optimiser_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Another optimiser."""
    training: Training = rules.training
    if training.optimizer == "sgd":
        words = "Adam in place of gradient descent"
        yield Mistake("Adam", words, "optimiser", "W1", {"optimiser": always(adam)})
        if not training.momentum:
            words = "there is a momentum of {p}, which was not asked for"
            for value in (0.9, 0.5):
                yield Mistake(
                    "momentum added", words, "optimiser", "W1", _set_to_p("momentum"), value
                )
            fitted = _set_to_p("momentum")
            yield Mistake("momentum added", words, "optimiser", "W1", fitted, starts=(0.3, 0.8))


def rate_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of eta."""
    group, first, training = "eta", "W1", rules.training
    if training.schedule != "constant":
        words = f"eta stays what it was at first, where the schedule is {training.schedule}"
        constant: Change = lambda eta, here, p: _in_place_of(eta, here, here.rules.eta)  # noqa: E731
        yield Mistake("no schedule", words, group, first, {"eta": constant})
        words = "the schedule counts steps, not epochs"
        yield Mistake(
            "schedule by step", words, group, first, {"eta": _lowered(lambda here: here.step)}
        )
        words = "eta is lowered one epoch early"
        early = _lowered(lambda here: here.epoch + 1)
        yield Mistake("schedule early", words, group, first, {"eta": early})
        words = "eta is lowered one epoch late"
        late = _lowered(lambda here: max(here.epoch - 1, 0))
        yield Mistake("schedule late", words, group, first, {"eta": late})
        words = f"the schedule's decay is {{p}}, not {training.decay:g}"
        sizes = (training.decay / 2, training.decay * 2)
        yield Mistake("schedule's decay", words, group, first, {"eta": _decay_of_p}, starts=sizes)
        if training.dtype == "float64":
            words = "the schedule's eta is computed in float32, as Keras's schedules do"
            single = {"eta": _schedule_in_single}
            yield Mistake("schedule in float32", words, group, first, single, kind="rounding")
    for value, words in (
        (0.5, "eta is half of what you said"),
        (2.0, "eta is twice what you said"),
        (0.1, "eta is a tenth of what you said"),
        (10.0, "eta is ten times what you said"),
    ):
        yield Mistake("eta factor", words, group, first, {"eta": times_p}, value)
    words = "eta is {p} times what you said"
    yield Mistake("eta factor", words, group, first, {"eta": times_p}, starts=(1.2, 0.7, 5.0))
    per_epoch = rules.steps_per_epoch or 0
    decays: list[tuple[str, str, Change, tuple[float, ...], bool]] = [
        (
            "decay of eta",
            "eta decays as eta / (1 + {p} step)",
            lambda eta, here, p: eta / (1 + p * here.step),
            (0.01, 1e-3, 0.1, 1e-4, 1.0),
            True,
        ),
        (
            "decay of eta",
            "eta is multiplied by {p} after each step",
            lambda eta, here, p: eta * p**here.step,
            (0.9, 0.99, 0.999, 0.95, 0.5),
            True,
        ),
        (
            "decay of eta",
            "eta decays as eta / sqrt(t), t the number of the step",
            lambda eta, here, p: eta / np.sqrt(here.step + 1),
            (1.0,),
            False,
        ),
        (
            "warm-up of eta",
            "eta warms up over {p} steps",
            lambda eta, here, p: eta * min(1.0, (here.step + 1) / p),
            (5.0, 10.0, 100.0, 1000.0, 20.0, 50.0),
            True,
        ),
        (
            "decay of eta",
            "eta falls to zero along a cosine, over {p} steps",
            lambda eta, here, p: eta * (1 + np.cos(np.pi * min(here.step / p, 1.0))) / 2,
            (100.0, 1000.0, 50.0, 200.0, 20.0),
            True,
        ),
        (
            "decay of eta",
            "eta falls to zero along a line, over {p} steps",
            lambda eta, here, p: eta * max(1 - here.step / p, 0.0),
            (100.0, 1000.0, 50.0, 200.0, 20.0),
            True,
        ),
    ]
    if per_epoch:
        decays += [
            (
                "decay of eta",
                "eta is multiplied by {p} after each epoch",
                lambda eta, here, p: eta * p**here.epoch,
                (0.5, 0.9, 0.1, 0.95, 0.99),
                True,
            ),
            (
                "decay of eta",
                "eta decays as eta / (1 + {p} epoch)",
                lambda eta, here, p: eta / (1 + p * here.epoch),
                (1.0, 0.1, 0.5, 0.01),
                True,
            ),
        ]
    for name, words, change, many, fit in decays:
        for size in many:
            yield Mistake(name, words, group, first, {"eta": change}, size)
        if fit:
            yield Mistake(name, words, group, first, {"eta": change}, starts=many[:3])
    if rules.training.dtype == "float64" and float(np.float32(rules.eta)) != rules.eta:
        words = "eta is rounded to float32"
        yield Mistake("eta rounded", words, group, first, {"eta": by(_single)}, kind="rounding")


def rate_changes(step: int, steps_per_epoch: int | None) -> list[Mistake]:
    """Those of an eta that is right for so many steps and another one from then on.

    Once, or again each time that so many steps have been made; after each epoch is in the catalogue.
    """
    group, first = "eta", "W1"
    epochs, rest = divmod(step, steps_per_epoch or step + 1)
    every = f"{step} steps" if rest or not epochs else f"{epochs} epochs"
    forms: list[tuple[str, Change]] = [
        (
            f"eta is multiplied by {{p}} from step {step + 1} on",
            lambda eta, here, p: eta * (p if here.step >= step else 1.0),
        ),
        (
            f"eta is multiplied by {{p}} after every {every}",
            lambda eta, here, p: eta * p ** (here.step // step),
        ),
    ]
    if step == steps_per_epoch:
        forms = forms[:1]
    return [
        Mistake("change of eta", words, group, first, {"eta": change}, p, starts)
        for words, change in forms
        for p, starts in ((0.1, ()), (0.5, ()), (1.0, (0.1, 0.5, 2.0)))
    ]


def _lowered(epoch: Callable[[Any], int]) -> Change:
    """The schedule at another epoch than the step's."""
    return lambda eta, here, p: _in_place_of(
        eta, here, here.rules.eta * here.rules.training.eta_factor(epoch(here))
    )


def _decay_of_p(eta: float, here: Any, p: float) -> float:
    other = _otherwise(here.rules.training, {"decay": abs(p)})
    return _in_place_of(eta, here, here.rules.eta * other.eta_factor(here.epoch))


def _schedule_in_single(eta: float, here: Any, p: float) -> float:
    single, training = np.float32, here.rules.training
    first, decay = single(here.rules.eta), single(training.decay)
    if training.schedule == "inverse":
        rate = first / (single(1) + decay * single(here.epoch))
    else:
        rate = first * decay ** single(here.epoch // training.decay_epochs)
    return _in_place_of(eta, here, float(rate))


def _in_place_of(eta: float, here: Any, other: float) -> float:
    """Another rate of the step, and what was made of the step's own rate besides."""
    return float(eta / here.eta * other if here.eta else other)


def _single(value: float) -> float:
    return float(np.float32(value))
