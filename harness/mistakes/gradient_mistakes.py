"""Mistakes of back-propagation, and of what is done with gradients and with the new weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.network import Array
from harness.mistakes.accumulated_gradients import accumulated
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS
from harness.mistakes.mistake import Change, Mistake, always, by, in_layer, times_p
from harness.mistakes.reference_step import StepRules, Tensors

_SLOPES_OF_A = {"sigmoid": "a (1 - a)", "tanh": "1 - a^2"}
_OTHER_SLOPES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus")


def slope_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of f'."""
    hidden = range(1, rules.network.layers)
    functions = {rules.activation(layer) for layer in hidden}
    if not hidden or functions == {"identity"}:
        return

    def at_a(slope: Array, here: Any, p: float) -> Array:
        return HIDDEN_FUNCTIONS[here.rules.activation(here.layer)][1](here.found[f"a{here.layer}"])

    def of(layer: int, change: Change) -> Change:
        return lambda v, here, p: change(v, here, p) if here.layer == layer else v

    kinds: tuple[tuple[str, str, Change], ...] = (
        ("derivative missing", "f'(z) is missing", lambda slope, here, p: np.ones_like(slope)),
        ("derivative at a", "f' is taken at a = f(z), not at z,", at_a),
    )
    for name, words, change in kinds:
        if name == "derivative at a" and functions <= {"relu", "leaky_relu"}:
            continue  # a has the sign of z
        where = "in back-propagation"
        yield Mistake(name, f"{words} {where}", "slope", f"dW{len(hidden)}", {"slope": change})
        if len(hidden) > 1:
            for layer in hidden:
                told = f"{words} {where}, in hidden layer {layer}"
                yield Mistake(name, told, "slope", f"dW{layer}", {"slope": of(layer, change)})

    for other in _OTHER_SLOPES:
        if functions == {other}:
            continue
        words = f"in back-propagation f'(z) is that of {other}"
        changes = {"slope": _slope_of(other)}
        yield Mistake("another derivative", words, "slope", f"dW{len(hidden)}", changes)

    for other, words in _SLOPES_OF_A.items():
        if functions != {other}:
            yield Mistake(
                "another derivative",
                f"in back-propagation f'(z) is written {words}, which is that of {other}",
                "slope",
                f"dW{len(hidden)}",
                {"slope": _slope_from_a(other)},
            )
        else:
            of_z = words.replace("a", "z")
            yield Mistake(
                "derivative of z for a",
                f"in back-propagation f'(z) is written {of_z}: z stands where a = {other}(z) is meant",
                "slope",
                f"dW{len(hidden)}",
                {"slope": _slope_from_a(other, "z")},
            )


def _slope_from_a(function: str, of: str = "a") -> Change:
    """The formula that has a, of a or of z."""

    def change(slope: Array, here: Any, p: float) -> Array:
        a = here.found[f"{of}{here.layer}"]
        return np.asarray(a * (1 - a) if function == "sigmoid" else 1 - a**2)

    return change


def _slope_of(function: str) -> Change:
    return lambda slope, here, p: HIDDEN_FUNCTIONS[function][1](here.found[f"z{here.layer}"])


def gradient_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """What is done with gradients before the optimiser, and layers that are updated in turn."""
    layers = rules.network.layers
    last = f"dW{layers}"

    def biases(of: Change) -> dict[str, Change]:
        return {
            "gradients": lambda g, here, p: {
                name: of(tensor, here, p) if name[0] == "b" else tensor
                for name, tensor in g.items()
            }
        }

    words = "the gradient of the biases is doubled, or their eta is"
    yield Mistake("bias gradient", words, "bias gradient", f"db{layers}", biases(times_p), 2.0)
    words = "the gradient of the biases is averaged over the rows of the minibatch once more"
    divided: Change = lambda g, here, p: g / len(here.batch.x)  # noqa: E731
    yield Mistake("bias gradient", words, "bias gradient", f"db{layers}", biases(divided))
    words = "the gradient of the biases is {p} times what it should be, or their eta is"
    starts = (0.5, 10.0, 0.1)
    yield Mistake(
        "bias gradient", words, "bias gradient", f"db{layers}", biases(times_p), starts=starts
    )
    for number in range(1, layers + 1):
        for kind in "Wb":
            words = f"the gradient of {kind}{number} is {{p}} times what it should be"
            yield Mistake(
                "gradient of one tensor",
                words,
                "gradient of one tensor",
                f"d{kind}{number}",
                {"gradients": _of_tensor(f"{kind}{number}", times_p)},
                starts=(2.0, 0.5),
            )
    yield from _shape_mistakes(rules)
    cuts: tuple[tuple[str, str, Change], ...] = (
        ("clipping by norm", "the gradients are cut to a norm of {p}, all together", _by_norm),
        ("clipping by a tensor's norm", "each gradient is cut to a norm of {p}", _by_own_norm),
        ("clipping by value", "the gradients' entries are cut to {p}", _by_value),
    )
    for name, words, change in cuts:
        clips = {"gradients": change}
        for size in (1.0, 0.5, 5.0, 0.1):
            yield Mistake(name, words, "clipping", last, clips, size)
        yield Mistake(name, words, "clipping", last, clips, starts=(0.3, 0.03, 1.0, 0.003))
        if rules.lmbd:
            words += ", before the penalty is added"
            clips = {"gradients": _of_cost_alone(change)}
            yield Mistake(name, words, "clipping", last, clips)
            yield Mistake(name, words, "clipping", last, clips, starts=(0.3, 0.03, 1.0, 0.003))
    yield Mistake(
        "normalised gradients",
        "each gradient is divided by its norm",
        "clipping",
        last,
        {"gradients": lambda g, here, p: {k: v / (np.linalg.norm(v) or 1.0) for k, v in g.items()}},
    )
    words = (
        "gradients are never set to zero: each step takes the sum of all so far (optimizer.zero_grad() is "
        "missing)"
    )
    yield Mistake("gradients accumulated", words, "accumulated", last, accumulated())
    if rules.steps_per_epoch:
        words = (
            "gradients are set to zero once an epoch: each step takes the sum of all since the epoch began "
            "(optimizer.zero_grad() belongs before each backward pass)"
        )
        changes = accumulated(each_epoch=True)
        yield Mistake("gradients accumulated", words, "accumulated", last, changes)
    words = "the sign of the gradients is wrong: the cost is climbed"
    ascent: Change = lambda g, here, p: {k: -v for k, v in g.items()}  # noqa: E731
    yield Mistake("wrong sign", words, "clipping", last, {"gradients": ascent})
    if layers > 1:
        yield Mistake(
            "layers updated in turn",
            "the layers are updated one after the other, the last first, and errors are passed back through "
            "weights that are already new",
            "order",
            f"dW{layers - 1}",
            {"order": always("last to first")},
        )
        yield Mistake(
            "layers updated in turn",
            "the layers are updated one after the other, from the first on, and the next go forward through "
            "weights that are already new",
            "order",
            "z1",
            {"order": always("first to last")},
        )


def _shape_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those that only equal sizes of layers hide: something turned, or taken from the layer beside."""
    sizes = rules.network.sizes
    for layer in range(1, rules.network.layers + 1):
        if sizes[layer - 1] == sizes[layer]:
            words = f"the gradient of W{layer} is transposed"
            turned = {"dW": in_layer(layer, by(np.transpose))}
            yield Mistake("gradient transposed", words, "transposed", f"dW{layer}", turned)
        if layer < rules.network.layers and sizes[layer] == sizes[layer + 1]:
            words = f"the error is passed back through W{layer + 1}, not its transpose"
            change = {"delta": in_layer(layer, _passed_unturned)}
            yield Mistake("error through W", words, "transposed", f"dW{layer}", change)
            words = f"the gradient of b{layer} is that of b{layer + 1}"
            beside = {"db": in_layer(layer, lambda db, here, p: here.found[f"db{here.layer + 1}"])}
            yield Mistake(
                "bias gradient of another layer", words, "transposed", f"db{layer}", beside
            )


def _passed_unturned(delta: Array, here: Any, p: float) -> Array:
    after = here.layer + 1
    W, slope = here.before[f"W{after}"], here.passed[f"slope{here.layer}"]
    return np.asarray((here.passed[f"delta{after}"] @ W) * slope)


def _of_tensor(tensor: str, change: Change) -> Change:
    return lambda g, here, p: {
        name: change(value, here, p) if name == tensor else value for name, value in g.items()
    }


def _of_cost_alone(cut: Change) -> Change:
    """What PyTorch's clip_grad_norm_ does beside a weight_decay, which the optimiser adds later."""

    def change(g: Tensors, here: Any, p: float) -> Tensors:
        penalty = {name: here.found[f"penalty of {name}"] for name in g}
        of_cost = cut({name: tensor - penalty[name] for name, tensor in g.items()}, here, p)
        return {name: of_cost[name] + penalty[name] for name in g}

    return change


def _by_norm(g: Tensors, here: Any, p: float) -> Tensors:
    norm = np.sqrt(sum(float(np.square(tensor).sum()) for tensor in g.values()))
    return {name: tensor * min(1.0, abs(p) / (norm or 1.0)) for name, tensor in g.items()}


def _by_own_norm(g: Tensors, here: Any, p: float) -> Tensors:
    norms = {name: float(np.linalg.norm(tensor)) or 1.0 for name, tensor in g.items()}
    return {name: tensor * min(1.0, abs(p) / norms[name]) for name, tensor in g.items()}


def _by_value(g: Tensors, here: Any, p: float) -> Tensors:
    return {name: np.clip(tensor, -abs(p), abs(p)) for name, tensor in g.items()}


def storing_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Tensors that are not updated, and averages that are given back."""
    layers, group = range(1, rules.network.layers + 1), "frozen"
    everything = [f"{kind}{layer}" for layer in layers for kind in "Wb"]
    frozen = [
        *((f"layer {layer} is", [f"W{layer}", f"b{layer}"]) for layer in layers),
        ("the biases are", [name for name in everything if name[0] == "b"]),
        ("the weight matrices are", [name for name in everything if name[0] == "W"]),
        *((f"{name} is", [name]) for name in everything),
        ("the hidden layers are", everything[:-2]),
        ("all weights are", everything),
    ]
    told: set[tuple[str, ...]] = set()
    for words, names in frozen:
        if tuple(names) not in told:
            told.add(tuple(names))
            yield Mistake(
                "frozen",
                f"{words} not updated",
                group,
                names[0],
                {"change": kept_still(tuple(names))},
            )
    words = "what is given back is a moving average of the weights, {p} of the old and the rest new"
    for decay in (0.99, 0.999, 0.9):
        yield Mistake("moving average", words, "average", "W1", _averaged(), decay)
    yield Mistake("moving average", words, "average", "W1", _averaged(), starts=(0.5, 0.95))
    words = "what is given back is the mean of the weights after all steps so far"
    yield Mistake("mean of the weights", words, "average", "W1", _averaged(mean=True))


def kept_still(names: tuple[str, ...]) -> Change:
    """No change of these tensors."""
    return lambda change, here, p: change * (here.name not in names)


def _averaged(mean: bool = False) -> dict[str, Change]:
    """The optimiser goes on from weights that nobody sees, and gives back an average of them."""

    def point(weights: Tensors, here: Any, p: float) -> Tensors:
        return {
            name: here.memory.get(name, {}).get("unseen", theta) for name, theta in weights.items()
        }

    def stored(theta: Array, here: Any, p: float) -> Array:
        # theta is the average before, less the change
        before = here.before[here.name]
        unseen = here.memory.get(here.name, {}).get("unseen", before)
        new = unseen + (theta - before)
        here.kept[here.name]["unseen"] = new
        p = here.step / (here.step + 1) if mean else p
        return p * before + (1 - p) * new

    return {"point": point, "stored": stored}
