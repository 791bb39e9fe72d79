"""The network written out in NumPy: forward, backward and update, in the symbols of the notes.

The four equations of back-propagation, for one minibatch of n samples (rows):

    delta^L = (a^L - t) / n                                  error of the output layer
    delta^l = (delta^(l+1) W^(l+1)^T) * f'(z^l)              error of hidden layer l
    dC/dW^l = a^(l-1)^T delta^l + lmbd W^l                   gradient of the weights
    dC/db^l = sum of delta^l over the samples                gradient of the biases

The first holds for softmax and logistic outputs with the cross-entropy and for identity outputs with
half the squared error. Every array has two more leading axes, (groups, cells): the cells of a group
see the same minibatch, so one gather serves them all and `matmul` runs through the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import (
    OPTIONS,
    Array,
    Backend,
    Cells,
    Convention,
    Fit,
    Network,
    Training,
    Weights,
)
from backends.formulas import forward, sum_samples, targets, times_derivative
from backends.plan import Plan

# Cells trained together: enough to spread the interpreter's cost over, few enough for the cache.
STACK = 16


class NumPyBackend(Backend):
    """Forward, backward and update as the lecture writes them."""

    name = "numpy"
    library = "numpy"
    stacks = True
    heeds = tuple(option for option in OPTIONS if option != "patience")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention("penalty", "gradient += lmbd * W", "written out here, nothing to translate"),
        Convention("cost of a minibatch", "mean over the samples", "the notes' own class: sum"),
        Convention("initial weights", "the plan's", "the notes' own class: N(0, 1)"),
        Convention("initial biases", "the plan's", "the notes' own class: 0.01"),
        Convention("minibatches", "the plan's", "the notes' own class: n // B independent draws"),
        Convention("Adam epsilon", "1e-8", "written out here"),
        Convention("two classes", "one logistic output", "written out here"),
    )

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        streams, per_group = cells.layout()
        together = max(1, STACK // per_group) * per_group if per_group < STACK else STACK
        t = targets(y, network, training.dtype)
        paths = []
        for group in _stacks(len(cells), len(streams), per_group, together):
            paths.append(_train_stack(x, t, network, training, cells[group], plan))
        return Fit(tuple(Weights.concatenate(point) for point in zip(*paths, strict=True)))


def _stacks(cells: int, groups: int, per_group: int, together: int) -> list[slice]:
    """Cut the cells into slices of at most ``together``, whole groups or parts of one group."""
    if per_group <= together:
        return [slice(start, start + together) for start in range(0, cells, together)]
    return [
        slice(group + start, min(group + start + together, group + per_group))
        for group in range(0, groups * per_group, per_group)
        for start in range(0, per_group, together)
    ]


def _train_stack(
    x: Array, t: Array, network: Network, training: Training, cells: Cells, plan: Plan
) -> list[Weights]:
    streams, per_group = cells.layout()
    shape = (len(streams), per_group, 1, 1)
    eta = cells.eta.reshape(shape).astype(training.dtype)
    order = plan.order[streams]
    W = [_spread(plan.initial.W[layer][streams], per_group) for layer in range(network.layers)]
    b = [
        _spread(plan.initial.b[layer][streams][:, None], per_group)
        for layer in range(network.layers)
    ]
    update = _OPTIMIZERS[training.optimizer](training, eta, [*W, *b])
    path = []
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for first, last in plan.segments():
            for step in range(first, last):
                rows = order[:, plan.bounds[step] : plan.bounds[step + 1]]
                n = rows.shape[1]
                p = [
                    np.asarray(
                        training.penalty(cells.lmbd.reshape(shape), n, layer, network.layers)
                    ).astype(training.dtype)
                    for layer in range(network.layers)
                ]
                a = forward(x[rows][:, None], network, W, b)
                update(step, gradients(a, t[rows][:, None], network, W, p, training.cost_scale(n)))
            path.append(_flat(W, b))
    return path


def gradients(
    a: Sequence[Array],
    t: Array,
    network: Network,
    W: Sequence[Array],
    p: Sequence[Array],
    scale: float,
) -> list[Array]:
    """dC/dW of every layer, then dC/db of every layer, by back-propagation.

    a: activations from :func:`backends.formulas.forward`; t: targets (..., n, outputs);
    p: the penalty's coefficient of each layer; scale: 1/n for a mean cost, 1 for a sum.
    """
    dW: list[Array] = []
    db: list[Array] = []
    delta: Array = a[-1] - t
    delta *= scale
    for layer in reversed(range(len(W))):
        dW.insert(0, a[layer].swapaxes(-1, -2) @ delta)
        dW[0] += p[layer] * W[layer]
        db.insert(0, sum_samples(delta))
        if layer:
            back = delta @ W[layer].swapaxes(-1, -2)
            delta = times_derivative(network.activation, a[layer], back)
    return [*dW, *db]


class _SGD:
    """theta -= eta g; with momentum m: v = m v - eta g, theta += v, or, Nesterov, theta += m v - eta g."""

    def __init__(self, training: Training, eta: Array, parameters: Sequence[Array]) -> None:
        self.momentum, self.nesterov = training.momentum, training.nesterov
        self.eta, self.parameters = eta, parameters
        self.velocities = [np.zeros_like(theta) for theta in parameters] if self.momentum else []

    def __call__(self, step: int, gradients: Sequence[Array]) -> None:
        for g in gradients:
            g *= self.eta
        if not self.momentum:
            for theta, g in zip(self.parameters, gradients, strict=True):
                theta -= g
            return
        for theta, v, g in zip(self.parameters, self.velocities, gradients, strict=True):
            v *= self.momentum
            v -= g
            theta += self.momentum * v - g if self.nesterov else v


class _Adam:
    """Kingma and Ba 2015, algorithm 1 in the efficient form of section 2 (epsilon beside sqrt(v)).

    m = beta_1 m + (1 - beta_1) g,  v = beta_2 v + (1 - beta_2) g^2,
    theta -= eta sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon).
    """

    def __init__(self, training: Training, eta: Array, parameters: Sequence[Array]) -> None:
        self.beta_1, self.beta_2 = training.beta_1, training.beta_2
        self.epsilon, self.eta, self.parameters = training.epsilon, eta, parameters
        self.m = [np.zeros_like(theta) for theta in parameters]
        self.v = [np.zeros_like(theta) for theta in parameters]

    def __call__(self, step: int, gradients: Sequence[Array]) -> None:
        rate = self.eta * adam_correction(step, self.beta_1, self.beta_2)
        for theta, m, v, g in zip(self.parameters, self.m, self.v, gradients, strict=True):
            m *= self.beta_1
            m += (1 - self.beta_1) * g
            v *= self.beta_2
            v += (1 - self.beta_2) * g * g
            theta -= rate * m / (np.sqrt(v) + self.epsilon)


def adam_correction(step: int, beta_1: float, beta_2: float) -> float:
    """sqrt(1 - beta_2^t) / (1 - beta_1^t) at t = step + 1, in double precision."""
    return float(np.sqrt(1 - beta_2 ** (step + 1)) / (1 - beta_1 ** (step + 1)))


_OPTIMIZERS: dict[str, type[_SGD] | type[_Adam]] = {"sgd": _SGD, "adam": _Adam}


def _spread(initial: Array, per_group: int) -> Array:
    """(groups, ...) to a fresh (groups, cells per group, ...)."""
    return np.repeat(initial[:, None], per_group, axis=1)


def _flat(W: Sequence[Array], b: Sequence[Array]) -> Weights:
    """Copies of the weights with the two leading axes joined into cells."""
    return Weights(
        tuple(layer.reshape(-1, *layer.shape[2:]).copy() for layer in W),
        tuple(layer.reshape(-1, layer.shape[-1]).copy() for layer in b),
    )
