"""One optimiser step, written out tensor by tensor in float64, and what can be done otherwise in it.

:class:`Rules` with its defaults is the canonical step; every other value is a mistake that somebody
made. What a suspect did is explained by the rules that give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from backends.formulas import ELU_ALPHA, LEAKY_SLOPE, softmax, targets
from backends.network import Array, Network, Training, Weights
from harness.roundoff.trial import Trial

Tensors = dict[str, Array]
Function = Callable[[Array], Array]


def _gelu_slope(z: Array) -> Array:
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return cast(Array, 0.5 * (1 + erf(z / np.sqrt(2))) + z * density)


# f and f'; the first six are the harness's own, the others what they are mistaken for
FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, LEAKY_SLOPE * z),
        lambda z: np.where(z > 0, 1.0, LEAKY_SLOPE),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, ELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1.0, ELU_ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "gelu": (lambda z: 0.5 * z * (1 + erf(z / np.sqrt(2))), _gelu_slope),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "softplus": (lambda z: np.logaddexp(0, z), expit),
    "leaky_relu with slope 0.2": (
        lambda z: np.where(z > 0, z, 0.2 * z),
        lambda z: np.where(z > 0, 1.0, 0.2),
    ),
    "leaky_relu with slope 0.3": (
        lambda z: np.where(z > 0, z, 0.3 * z),
        lambda z: np.where(z > 0, 1.0, 0.3),
    ),
}


OUTPUTS: dict[str, Function] = {"softmax": softmax, "logistic": expit, "identity": np.copy}


@dataclass(frozen=True)
class Rules:
    """How a step is computed.

    ``functions``: of the hidden layers. ``penalty`` and ``bias_penalty``: factors on the penalty of each
    layer's W and b. ``cost``: a factor on the cost. ``clip``: probabilities are cut to [clip, 1 - clip]
    before the logarithm. ``decoupled``: the penalty's gradient joins after the optimiser. ``correct``:
    Adam corrects its bias. ``kept``: names of tensors that are not updated.
    """

    network: Network
    training: Training
    eta: float
    lmbd: float
    functions: tuple[str, ...]
    penalty: tuple[float, ...]
    bias_penalty: tuple[float, ...]
    cost: float = 1.0
    clip: float = 0.0
    decoupled: bool = False
    correct: bool = True
    kept: frozenset[str] = frozenset()

    @classmethod
    def of(cls, trial: Trial) -> Rules:
        """The canonical rules of a trial of one cell."""
        layers = trial.network.layers
        return cls(
            trial.network,
            trial.training,
            float(trial.cells.eta[0]),
            float(trial.cells.lmbd[0]),
            (trial.network.activation,) * (layers - 1),
            (1.0,) * layers,
            (0.0,) * layers,
        )


@dataclass(frozen=True)
class State:
    """Where a training stands: weights by name, what its optimiser remembers of them, steps taken."""

    weights: Tensors
    memory: tuple[Tensors, Tensors]
    steps: int = 0

    @classmethod
    def start(cls, weights: Weights) -> State:
        tensors = {name: t[0].astype(np.float64) for name, t in weights.named().items()}
        return cls(tensors, (_zeros(tensors), _zeros(tensors)))

    def moved(self, weights: Weights) -> State:
        """The same with other weights."""
        return replace(self, weights=State.start(weights).weights)


@dataclass(frozen=True)
class Batch:
    """The samples of a minibatch: inputs (rows, features), what the output should give, and class numbers."""

    x: Array
    t: Array
    y: NDArray[np.number]

    @classmethod
    def of(cls, trial: Trial, rows: NDArray[np.integer]) -> Batch:
        y = trial.y[rows]
        return cls(trial.x[rows].astype(np.float64), targets(y, trial.network, "float64"), y)


def tensors(weights: Tensors, batch: Batch, rules: Rules) -> Tensors:
    """Every tensor up to the gradients, in the order of computation.

    ``rows`` are the inputs; z and a of each layer; the ``output``; ``cross-entropy`` is its derivative
    by the output layer's z, sample by sample; then the gradient of the penalty, and that of the cost
    from the last layer back to the first.
    """
    layers = range(1, rules.network.layers + 1)
    found: Tensors = {"rows": batch.x}
    a = batch.x
    for layer in layers:
        z = a @ weights[f"W{layer}"] + weights[f"b{layer}"]
        found[f"z{layer}"] = z
        if layer < rules.network.layers:
            a = found[f"a{layer}"] = FUNCTIONS[rules.functions[layer - 1]][0](z)
    output = OUTPUTS[rules.network.output](z)
    found["output"] = output
    found["cross-entropy"] = delta = (output - batch.t) * _unclipped(output, batch, rules)
    n = len(batch.x)
    delta = delta * (rules.training.cost_scale(n) * rules.cost)
    cost: Tensors = {}
    for layer in reversed(layers):
        before = found["rows" if layer == 1 else f"a{layer - 1}"]
        cost[f"dW{layer}"], cost[f"db{layer}"] = before.T @ delta, delta.sum(axis=0)
        if layer > 1:
            slope = FUNCTIONS[rules.functions[layer - 2]][1](found[f"z{layer - 1}"])
            delta = (delta @ weights[f"W{layer}"].T) * slope
    for layer in layers:
        p = rules.training.penalty(rules.lmbd, n, layer - 1, rules.network.layers)
        found[f"penalty of W{layer}"] = rules.penalty[layer - 1] * p * weights[f"W{layer}"]
        found[f"penalty of b{layer}"] = rules.bias_penalty[layer - 1] * p * weights[f"b{layer}"]
    return found | cost


def _unclipped(output: Array, batch: Batch, rules: Rules) -> Array:
    """1 where the cross-entropy has a slope, 0 where a clipped probability takes it away."""
    if not rules.clip or rules.network.output == "identity":
        return np.ones_like(output)
    of_class = (output * batch.t).sum(axis=1, keepdims=True)
    if rules.network.output == "logistic":
        of_class = np.where(batch.t > 0, output, 1 - output)
    return ((of_class > rules.clip) & (of_class < 1 - rules.clip)).astype(np.float64)


def stepped(state: State, batch: Batch, rules: Rules) -> State:
    """The state after one more step."""
    found = tensors(state.weights, batch, rules)
    training, t = rules.training, state.steps + 1
    weights, first, second = dict(state.weights), dict(state.memory[0]), dict(state.memory[1])
    for name, theta in state.weights.items():
        decay = found[f"penalty of {name}"]
        g: Array = found[f"d{name}"] if rules.decoupled else found[f"d{name}"] + decay
        change: Array
        if training.optimizer == "adam":
            first[name] = training.beta_1 * first[name] + (1 - training.beta_1) * g
            second[name] = training.beta_2 * second[name] + (1 - training.beta_2) * g * g
            rate = (
                np.sqrt(1 - training.beta_2**t) / (1 - training.beta_1**t) if rules.correct else 1.0
            )
            change = rules.eta * rate * first[name] / (np.sqrt(second[name]) + training.epsilon)
        elif training.momentum:
            first[name] = training.momentum * first[name] - rules.eta * g
            ahead = training.momentum * first[name] - rules.eta * g
            change = -(ahead if training.nesterov else first[name])
        else:
            change = rules.eta * g
        if rules.decoupled:
            change = change + rules.eta * decay
        if name not in rules.kept:
            weights[name] = theta - change
    return State(weights, (first, second), t)


def walked(trial: Trial, steps: int) -> State:
    """The canonical state of a trial of one cell after so many steps."""
    state, rules = State.start(trial.plan.initial), Rules.of(trial)
    for rows in trial.plan.first(steps).batches():
        state = stepped(state, Batch.of(trial, rows), rules)
    return state


def _zeros(weights: Tensors) -> Tensors:
    return {name: np.zeros_like(tensor) for name, tensor in weights.items()}
