"""The catalogue of mistakes that are tried on a training's steps: data, inputs, forward pass, objective.

One entry for each mistake: what was done, the first tensor it shows in, and how the step goes with it.
Those of backward pass and optimiser are in :mod:`harness.parity.known_update_mistakes`. In the words {p}
is the mistake's size. Where two entries do the same in this experiment both are named, so that of two
that do the same in every experiment only one is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from backends.formulas import softmax
from backends.network import Array
from harness.parity.hidden_functions import FUNCTIONS
from harness.parity.known_update_mistakes import update_mistakes
from harness.parity.mistake import Change, Mistake
from harness.parity.reference_step import StepRules

CLIPS = (1e-7, 1e-15, 1e-16, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3)


def catalogue(rules: StepRules) -> list[Mistake]:
    """Every mistake that can be made in an experiment, the likeliest and simplest of its group first."""
    return [
        *_penalty_mistakes(rules),
        *_cost_mistakes(rules),
        *_function_mistakes(rules),
        *_data_mistakes(rules),
        *_rounding_mistakes(rules),
        *update_mistakes(rules),
    ]


def _factor(value: Any, here: Any, p: float) -> Any:
    return p * value


def _to(function: Any) -> Change:
    """A change that needs nothing but the stage's own value."""
    return lambda value, here, p: function(value)


def _of_layer(layer: int, change: Change) -> Change:
    """A change in one layer only."""
    return lambda value, here, p: (
        change(value, here, p)
        if layer == (here.layer or int(here.name[1:] if here.name else 0))
        else value
    )


def _penalty_mistakes(rules: StepRules) -> Iterator[Mistake]:
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
        {"penalty": _factor},
        2.0,
    )
    yield Mistake(
        "penalty factor",
        "the penalty is half what you said: its gradient is lmbd W / 2",
        group,
        first,
        {"penalty": _factor},
        0.5,
    )
    yield Mistake("penalty factor", "there is no penalty", group, first, {"penalty": _factor}, 0.0)
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
        {"penalty": _factor},
        1 / samples,
    )
    yield Mistake(
        "penalty factor",
        "the penalty is {p} times what you said",
        group,
        first,
        {"penalty": _factor},
        starts=(1.5, 10.0, 0.1),
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
                {"penalty": _of_layer(layer, _factor)},
                starts=(2.0, 0.1, 10.0),
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
        eta = here.rules.at("eta", here.rules.eta, here) if with_eta else 1.0
        return value + eta * here.found["set aside"][here.name]

    def aside(g: dict[str, Array], here: Any, p: float) -> dict[str, Array]:
        here.found["set aside"] = {name: here.found[f"penalty of {name}"] for name in g}
        return {name: tensor - here.found[f"penalty of {name}"] for name, tensor in g.items()}

    return {"gradients": aside, "change": change}


def _cost_mistakes(rules: StepRules) -> Iterator[Mistake]:
    outputs, full, group = rules.network.outputs, rules.batch_size, "cost"
    where, summed = "cross-entropy", f"dW{rules.network.layers}"
    yield Mistake(
        "summed cost",
        f"the cost is summed over the rows of the minibatch ({full}), not averaged",
        group,
        summed,
        {"cost": lambda scale, here, p: scale * len(here.batch.x)},
    )
    yield Mistake(
        "cost averaged twice",
        f"the cost is divided by the rows of the minibatch ({full}) twice",
        group,
        summed,
        {"cost": lambda scale, here, p: scale / len(here.batch.x)},
    )
    if rules.samples % max(full, 1):
        yield Mistake(
            "short minibatch divided by the full one's rows",
            f"a short minibatch's cost is divided by {full}, not by its own rows",
            group,
            summed,
            {"cost": lambda scale, here, p: scale * len(here.batch.x) / full},
        )
    yield Mistake(
        "cost divided by samples",
        f"the cost is summed over the rows and divided by the {rules.samples} training samples",
        group,
        summed,
        {"cost": lambda scale, here, p: scale * len(here.batch.x) / rules.samples},
    )
    yield Mistake("cost factor", "the cost is twice too large", group, where, {"cost": _factor}, 2.0)
    yield Mistake(
        "cost factor", "the cost is half as large as it should be", group, where, {"cost": _factor}, 0.5
    )
    if outputs > 2:
        words = f"the cost is averaged over the {outputs} outputs as well"
        yield Mistake("cost over outputs", words, group, where, {"cost": _factor}, 1 / outputs)
    words = "the cost is {p} times as large as it should be"
    yield Mistake(
        "cost factor", words, group, where, {"cost": _factor}, starts=(1.5, 10.0, 0.1, -1.0)
    )
    if not rules.network.classes:
        yield Mistake(
            "absolute error",
            "the cost is the absolute error, not half its square",
            "loss",
            where,
            {"cross-entropy": _to(np.sign)},
        )
        yield Mistake(
            "Huber's loss",
            "the error is cut at {p} (Huber's loss)",
            "loss",
            where,
            {"cross-entropy": lambda delta, here, p: np.clip(delta, -abs(p), abs(p))},
            starts=(1.0, 0.3),
        )
        return
    for clip in CLIPS:
        words = "probabilities are clipped at {p} before the logarithm, which then has no slope"
        yield Mistake("clipped probabilities", words, "loss", where, {"cross-entropy": _clipped}, clip)
    yield Mistake(
        "label smoothing",
        "the labels are smoothed: {p} of each is spread over all classes",
        "targets",
        "targets",
        {"targets": _smoothed},
        starts=(0.1, 0.05),
    )
    yield Mistake(
        "squared error",
        "the cost is half the squared error of the probabilities, not the cross-entropy",
        "loss",
        where,
        {"cross-entropy": lambda delta, here, p: p * _times_output_slope(delta, here)},
    )
    yield Mistake(
        "squared error",
        "the cost is the squared error of the probabilities ({p} times half of it), not the cross-entropy",
        "loss",
        where,
        {"cross-entropy": lambda delta, here, p: p * _times_output_slope(delta, here)},
        starts=(2.0, 0.2),
    )
    yield Mistake(
        "softmax twice",
        "probabilities are taken for logits and go through the output function twice",
        "loss",
        where,
        {"cross-entropy": _twice},
    )
    if rules.network.output == "softmax":
        words = "each class has a logistic output of its own and its own cross-entropy"
        own = {"output": lambda output, here, p: expit(here.found[f"z{rules.network.layers}"])}
        yield Mistake("logistic outputs", words, "loss", "output", own)


def _clipped(delta: Array, here: Any, p: float) -> Array:
    output, t = here.found["output"], here.batch.t
    of_class = (output * t).sum(axis=1, keepdims=True)
    if here.rules.network.output == "logistic":
        of_class = np.where(t > 0, output, 1 - output)
    return delta * ((of_class > p) & (of_class < 1 - p))


def _smoothed(t: Array, here: Any, p: float) -> Array:
    return t * (1 - p) + p / max(here.rules.network.classes, 2)


def _times_output_slope(delta: Array, here: Any) -> Array:
    output: Array = here.found["output"]
    if here.rules.network.output == "logistic":
        return delta * output * (1 - output)
    return output * (delta - (delta * output).sum(axis=1, keepdims=True))


def _twice(delta: Array, here: Any, p: float) -> Array:
    again = expit if here.rules.network.output == "logistic" else softmax
    return _times_output_slope(again(here.found["output"]) - here.found["targets"], here)


def _function_mistakes(rules: StepRules) -> Iterator[Mistake]:
    layers = range(1, rules.network.layers)
    given = rules.network.activation
    for name in FUNCTIONS:
        if name == given:
            continue
        first = "dW1" if name.startswith("relu with") else "a1"
        if len(layers) > 1:
            words = f"every hidden layer has {name} for {given}"
            changes = {"function": _to(lambda _, name=name: name)}
            yield Mistake("activation", words, "activation", first, changes)
        for layer in layers:
            words = f"hidden layer {layer} has {name} for {given}"
            changes = {"function": _of_layer(layer, _to(lambda _, name=name: name))}
            yield Mistake("activation", words, "activation", f"a{layer}", changes)
    for layer in range(1, rules.network.layers + 1):
        changes = {"bias": _of_layer(layer, _to(np.zeros_like))}
        words = f"the bias of layer {layer} is not added"
        yield Mistake("bias not added", words, "bias not added", f"z{layer}", changes)


def _data_mistakes(rules: StepRules) -> Iterator[Mistake]:
    for words, kept in (("first", slice(1, None)), ("last", slice(None, -1))):
        yield Mistake(
            "row left out",
            f"each minibatch is without its {words} row",
            "batch",
            "rows",
            {"batch": lambda batch, here, p, kept=kept: batch.rows(kept)},  # type: ignore[misc]
        )
    words = "the labels are one row behind the inputs"
    for shift, way in ((1, "behind"), (-1, "ahead of")):
        words = f"the labels are one row {way} the inputs in each minibatch"
        changes = {"targets": lambda t, here, p, by=shift: np.roll(t, by, axis=0)}
        yield Mistake("labels shifted", words, "targets", "targets", changes)  # type: ignore[arg-type]
    yield Mistake(
        "inputs scaled",
        "the inputs are {p} times what they should be",
        "inputs",
        "rows",
        {"rows": _factor},
        starts=(0.5, 2.0, 1 / 16, 1 / 255),
    )
    if rules.network.classes:
        yield from _class_weights(rules)


def _class_weights(rules: StepRules) -> Iterator[Mistake]:
    counts = np.array(rules.per_class, dtype=float)
    where, group = "cross-entropy", "class weights"
    if (counts > 0).all() and len(set(rules.per_class)) > 1:
        balanced = rules.samples / (len(counts) * counts)
        words = "samples are weighted by class, samples / (classes * samples of the class)"
        yield Mistake("class weights", words, group, where, {"cross-entropy": _weighted(balanced)})
        yield Mistake(
            "class weights",
            f"{words}, and the sum is divided by the weights",
            group,
            where,
            {"cross-entropy": _weighted(balanced, divided=True)},
        )
    for number in range(len(counts)):

        def change(delta: Array, here: Any, p: float, number: int = number) -> Array:
            return delta * np.where(here.batch.y == number, p, 1.0)[:, None]

        yield Mistake(
            "class weights",
            f"samples of class {number} count {{p}} times",
            group,
            where,
            {"cross-entropy": change},
            starts=(2.0, 0.5),
        )


def _weighted(weights: NDArray[np.float64], divided: bool = False) -> Change:
    def change(delta: Array, here: Any, p: float) -> Array:
        own = weights[here.batch.y.astype(int)][:, None]
        return delta * own / (own.mean() if divided else 1.0)

    return change


def _rounding_mistakes(rules: StepRules) -> Iterator[Mistake]:
    formats: Sequence[tuple[str, Any]] = [
        ("TF32 (10 bits)", kept_bits(10)),
        ("bfloat16 (7 bits)", kept_bits(7)),
        ("float16", lambda value: value.astype(np.float16).astype(np.float64)),
    ]
    if rules.training.dtype == "float64":
        formats = [("float32", _single), *formats]
    for name, to in formats:
        where: tuple[tuple[str, str, str], ...] = (
            ("factor", f"the factors of matrix products are rounded to {name}", "z1"),
            ("rows", f"the inputs are rounded to {name}", "rows"),
            ("z", f"z is rounded to {name}", "z1"),
            ("a", f"the activations are rounded to {name}", "a1"),
            ("gradients", f"the gradients are rounded to {name}", f"dW{rules.network.layers}"),
            ("stored", f"the weights are kept in {name}", "W1"),
        )
        for stage, words, tensor in where:
            changes = {stage: _to(lambda value, to=to: _each(value, to))}
            yield Mistake(
                f"{stage} rounded", words, "rounding", tensor, changes, kind="rounding"
            )
    if rules.training.dtype == "float64" and rules.lmbd:
        words = "lmbd is rounded to float32"
        p = float(np.float32(rules.lmbd)) / rules.lmbd
        yield Mistake(
            "lmbd rounded", words, "rounding", "penalty of W1", {"penalty": _factor}, p, kind="rounding"
        )


def _each(value: Any, to: Any) -> Any:
    return {k: to(v) for k, v in value.items()} if isinstance(value, dict) else to(value)


def _single(value: Array) -> Array:
    return value.astype(np.float32).astype(np.float64)


def kept_bits(bits: int) -> Any:
    """Rounds a float32's fraction to so many bits, to even, as TF32 and bfloat16 keep it."""
    drop = 23 - bits

    def to(value: Array) -> Array:
        whole = value.astype(np.float32).view(np.uint32)
        odd = (whole >> np.uint32(drop)) & np.uint32(1)
        up = whole + (np.uint32(2 ** (drop - 1) - 1) + odd)
        cut = (up >> np.uint32(drop)) << np.uint32(drop)
        return cut.view(np.float32).astype(np.float64)

    return to
