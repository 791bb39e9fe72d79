"""Mistakes of the penalty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.network import Array
from harness.mistakes.mistake import Change, Mistake, in_layer, times_p
from harness.mistakes.reference_step import StepRules, l1_gradient


def penalty_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of the penalty."""
    if rules.training.l1:
        yield from _l1_mistakes(rules)
    if not rules.lmbd:
        return
    layers, samples, full = rules.network.layers, rules.samples, rules.batch_size
    first, group, short = "penalty of W1", "penalty", bool(samples % max(full, 1))

    def n(here: Any) -> int:
        return len(here.batch.x)

    yield Mistake(
        "penalty factor",
        "the penalty is twice what you said: its gradient is 2 lmbd W, as that of Keras's L2(l), which is "
        "l ||W||^2; write L2(lmbd / 2)",
        group,
        first,
        {"penalty": times_p},
        2.0,
    )
    yield Mistake(
        "penalty factor",
        "the penalty is half what you said: its gradient is lmbd W / 2",
        group,
        first,
        {"penalty": times_p},
        0.5,
    )
    yield Mistake("penalty factor", "there is no penalty", group, first, {"penalty": times_p}, 0.0)
    yield Mistake(
        "penalty of a short minibatch",
        f"the penalty of a minibatch of n rows is {full} / n times too strong: scikit-learn divides alpha "
        f"by the rows, and alpha is lmbd times {full} for all of them",
        group,
        first,
        {"penalty": lambda decay, here, p: decay * full / n(here)},
    )
    if short:
        yield Mistake(
            "penalty of a short minibatch",
            f"the penalty of a minibatch of n rows is n / {full} of what it should be",
            group,
            first,
            {"penalty": lambda decay, here, p: decay * n(here) / full},
        )
    yield Mistake(
        "penalty divided by rows",
        f"the penalty is divided by the rows of the minibatch ({full}), as scikit-learn does with alpha; "
        f"write alpha = lmbd * {full}",
        group,
        first,
        {"penalty": lambda decay, here, p: decay / n(here)},
    )
    yield Mistake(
        "penalty times rows",
        f"the penalty is multiplied by the rows of the minibatch ({full})",
        group,
        first,
        {"penalty": lambda decay, here, p: decay * n(here)},
    )
    yield Mistake(
        "penalty divided by samples",
        f"the penalty is divided by the {samples} training samples",
        group,
        first,
        {"penalty": times_p},
        1 / samples,
    )
    yield Mistake(
        "penalty factor",
        "the penalty is {p} times what you said",
        group,
        first,
        {"penalty": times_p},
        starts=(1.5, 10.0, 0.1, 100.0),
    )
    yield Mistake(
        "output layer free of penalty",
        f"the output layer's weights W{layers} are not penalised",
        "penalised layers",
        f"penalty of W{layers}",
        {"penalty": lambda decay, here, p: decay * (not here.last)},
    )
    if layers > 1:
        yield Mistake(
            "only the output layer penalised",
            f"only the output layer's weights W{layers} are penalised",
            "penalised layers",
            first,
            {"penalty": lambda decay, here, p: decay * here.last},
        )
        for layer in range(1, layers + 1):
            yield Mistake(
                "penalty of one layer",
                f"the penalty of W{layer} is {{p}} times what you said",
                "penalised layers",
                f"penalty of W{layer}",
                {"penalty": in_layer(layer, times_p)},
                starts=(2.0, 0.1, 10.0, 100.0),
            )
    yield Mistake(
        "penalised biases",
        "the biases are penalised like the weights",
        "penalised biases",
        "penalty of b1",
        {"penalty": lambda decay, here, p: _of_bias(decay, here, _strength(here) * _theta(here))},
    )
    yield Mistake(
        "L1 penalty",
        "the penalty is lmbd times the sum of |w| (L1), its gradient lmbd sign(W)",
        group,
        first,
        {"penalty": lambda decay, here, p: _of_weights(decay, here, p * _l1(here))},
    )
    yield Mistake(
        "L1 penalty",
        "the penalty is the sum of |w| (L1), {p} lmbd of it",
        group,
        first,
        {"penalty": lambda decay, here, p: _of_weights(decay, here, p * _l1(here))},
        starts=(0.5, 2.0),
    )
    yield Mistake(
        "penalty of the norm",
        "the penalty is lmbd ||W||, not squared: its gradient is lmbd W / ||W||",
        group,
        first,
        {"penalty": lambda decay, here, p: decay / max(np.linalg.norm(_theta(here)), 1e-300)},
    )
    yield Mistake(
        "decoupled decay",
        "the penalty is taken off the weights beside the optimiser, eta lmbd W (decoupled weight decay, as "
        "of AdamW)",
        group,
        "W1",
        _decoupled(True),
    )
    yield Mistake(
        "decoupled decay without eta",
        "lmbd W is taken off the weights beside the optimiser, without eta (decoupled weight decay)",
        group,
        "W1",
        _decoupled(False),
    )


def _l1_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of the L1 penalty, where one is asked for."""
    group, first = "l1", "penalty of W1"

    for p, words in (
        (0.0, "there is no L1 penalty"),
        (2.0, "the L1 penalty is twice what you said"),
        (0.5, "the L1 penalty is half what you said"),
    ):
        yield Mistake("L1 penalty's factor", words, group, first, {"l1 penalty": times_p}, p)
    words = "the L1 penalty is {p} times what you said"
    fitted = {"l1 penalty": times_p}
    yield Mistake("L1 penalty's factor", words, group, first, fitted, starts=(1.5, 10.0, 0.1))
    yield Mistake(
        "L1 penalty of the biases",
        "the biases have the L1 penalty too",
        group,
        "penalty of b1",
        {"l1 penalty": lambda l1, here, p: _of_bias(l1, here, l1_gradient(_theta(here), here))},
    )


def _theta(here: Any) -> Array:
    tensor: Array = here.before[here.name]
    return tensor


def _strength(here: Any) -> Any:
    """The penalty's coefficient in this minibatch."""
    rules = here.rules
    layer = int(here.name[1:]) - 1
    return rules.training.penalty(rules.lmbd, len(here.batch.x), layer, rules.network.layers)


def _of_bias(decay: Array, here: Any, other: Array) -> Array:
    return other if here.name[0] == "b" else decay


def _of_weights(decay: Array, here: Any, other: Array) -> Array:
    return other if here.name[0] == "W" else decay


def _l1(here: Any) -> Array:
    return np.asarray(_strength(here) * np.sign(_theta(here)))


def _decoupled(with_eta: bool) -> dict[str, Change]:
    def change(value: Array, here: Any, p: float) -> Array:
        eta = here.rules.at("eta", here.eta, here) if with_eta else 1.0
        return value + eta * here.found["set aside"][here.name]

    def aside(g: dict[str, Array], here: Any, p: float) -> dict[str, Array]:
        here.found["set aside"] = {name: here.found[f"penalty of {name}"] for name in g}
        return {name: tensor - here.found[f"penalty of {name}"] for name, tensor in g.items()}

    return {"gradients": aside, "change": change}
