"""The network written out in NumPy: forward, backward and update, in the symbols of the notes.

The four equations of back-propagation, for one minibatch of n samples (rows):

    delta^L = (a^L - t) / n                                  error of the output layer
    delta^l = (delta^(l+1) W^(l+1)^T) * f'(z^l)              error of hidden layer l
    dC/dW^l = a^(l-1)^T delta^l + lmbd W^l + l1 sign(W^l)    gradient of the weights
    dC/db^l = sum of delta^l over the samples                gradient of the biases

The first holds for softmax and logistic outputs with the cross-entropy and for identity outputs with
half the squared error. Every array has two more leading axes, (groups, cells): the cells of a group
see the same minibatch, so one gather serves them all and `matmul` runs through the stack.

What a step computes goes into arrays that the next step writes into again, because fresh ones can cost
as much as the arithmetic. In memory the last axis but one is the fastest: the units of all cells of a group
then stand side by side, and their first layer is one product (:func:`backends.formulas.product`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.early_stopping import STOPPING, TrainingPath
from backends.formulas import (
    ACTIVATE,
    eta_factors,
    forward,
    product,
    sum_samples,
    targets,
    times_derivative,
)
from backends.network import OPTIMIZERS, Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan

# Cells trained together: enough to spread the interpreter's cost over, few enough for the cache.
STACK = 25


class NumPyBackend(Backend):
    """Forward, backward and update as the lecture writes them."""

    name = "numpy"
    library = "numpy"
    stacks = True
    optimizers = OPTIMIZERS
    heeds = tuple(option for option in OPTIONS if option not in ("monitor", "device"))
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention("penalty", "gradient += lmbd * W", "written out here, nothing to translate"),
        Convention("cost of a minibatch", "mean over the samples", "the notes' own class: sum"),
        Convention("initial weights", "the plan's", "the notes' own class: N(0, 1)"),
        Convention("initial biases", "the plan's", "the notes' own class: 0.01"),
        Convention("minibatches", "the plan's", "the notes' own class: n // B independent draws"),
        Convention("Adam epsilon", "1e-8", "written out here"),
        Convention(
            "rmsprop, adagrad",
            "epsilon = 1e-8 beside the root, rho = 0.99, v from 0",
            "the notes' own class: the same",
        ),
        Convention("two classes", "one logistic output", "written out here"),
        Convention("stopping", STOPPING, "never early"),
    )

    def train_one(
        self,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        eta: float,
        lmbd: float,
        plan: Plan,
    ) -> tuple[Sequence[Array], Sequence[Array]]:
        """As the notes write it: one network, its arrays of two dimensions, a loop."""
        W, b = plan.start()
        t = targets(y, network, training.dtype)
        rate = np.asarray(eta, training.dtype)
        update = _OPTIMIZERS[training.optimizer](training, rate, [*W, *b])
        for factor, rows in zip(eta_factors(training, plan), plan.batches(), strict=True):
            n = len(rows)
            p = [
                np.asarray(training.penalty(lmbd, n, layer, network.layers), training.dtype)
                for layer in range(network.layers)
            ]
            a = [x[rows]]
            for layer in range(network.layers):
                a.append(ACTIVATE[network.functions[layer]](a[-1] @ W[layer] + b[layer]))
            l1 = _l1(network, training, n)
            dW_db = gradients(a, t[rows], network, W, p, training.cost_scale(n), l1=l1)
            update(
                factor, [g.reshape(theta.shape) for g, theta in zip(dW_db, [*W, *b], strict=True)]
            )
        return W, b

    @np.errstate(all="ignore")  # cells that overflow are no news
    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        t = targets(y, network, training.dtype)
        fits = []
        for group in _stacks(*cells.layout()):
            path = TrainingPath(x, y, network, training, plan)
            fits.append(_train_stack(x, t, network, training, cells[group], plan, path))
        return Fit.concatenate(fits)


def _stacks(streams: NDArray[np.intp], per_group: int) -> list[slice]:
    """Cut the cells into slices of at most ``STACK``: whole groups, or equal parts of one group."""
    if per_group <= STACK:
        size = STACK // per_group * per_group
        return [slice(k, k + size) for k in range(0, len(streams) * per_group, size)]
    size = -(-per_group // -(-per_group // STACK))
    return [
        slice(group + k, min(group + k + size, group + per_group))
        for group in range(0, len(streams) * per_group, per_group)
        for k in range(0, per_group, size)
    ]


def _train_stack(
    x: Array,
    t: Array,
    network: Network,
    training: Training,
    cells: Cells,
    plan: Plan,
    path: TrainingPath,
) -> Fit:
    streams, per_group = cells.layout()
    shape = (len(streams), per_group)
    eta = cells.eta.reshape(*shape, 1, 1).astype(training.dtype)
    order = plan.order[streams]
    t = np.ascontiguousarray(t.T)  # (outputs, samples): what is gathered is laid out as a^L is
    W = [_spread(layer[streams], per_group) for layer in plan.initial.W]
    b = [_spread(layer[streams][:, None], per_group) for layer in plan.initial.b]
    update = _OPTIMIZERS[training.optimizer](training, eta, [*W, *b])
    sizes = set(np.diff(plan.bounds).tolist())  # of minibatches; two, if the last one is short
    spaces = {n: Workspace.of(network, shape, n, training.dtype) for n in sizes}
    penalties = {n: _penalty(cells, network, training, n, shape) for n in sizes}
    l1 = {n: _l1(network, training, n) for n in sizes}
    factors = eta_factors(training, plan)
    for first, last in path.segments():
        for step in range(first, last):
            rows = order[:, plan.bounds[step] : plan.bounds[step + 1]]
            n = rows.shape[1]
            p, scale, space = penalties[n], training.cost_scale(n), spaces[n]
            a = forward(x[rows][:, None], network, W, b, space.a)
            t_rows = t.take(rows, axis=1).transpose(1, 2, 0)[:, None]
            update(factors[step], gradients(a, t_rows, network, W, p, scale, space, l1[n]))
        path.add(_flat(W, b))
    return path.fit()


def _penalty(
    cells: Cells, network: Network, training: Training, n: int, stack: tuple[int, int]
) -> list[Array]:
    """The penalty's coefficient of each layer for a minibatch of n samples, (groups, cells, 1, 1)."""
    lmbd = cells.lmbd.reshape(*stack, 1, 1)
    layers = [training.penalty(lmbd, n, layer, network.layers) for layer in range(network.layers)]
    return [np.asarray(coefficient).astype(training.dtype) for coefficient in layers]


def _l1(network: Network, training: Training, n: int) -> list[float]:
    """The coefficient of each layer's ||W||_1 for a minibatch of n samples; empty where there is none."""
    if not training.l1:
        return []
    layers = range(network.layers)
    return [float(training.penalty(training.l1, n, layer, network.layers)) for layer in layers]


@dataclass(frozen=True)
class Workspace:
    """What the steps on minibatches of one size compute into, a list entry for each layer.

    a, delta: (groups, cells, samples, units), activations, in whose place f' is computed, and errors;
    dW and decay: (groups, cells, inputs, outputs), the gradient and the penalty's part of it. None: a
    fresh array.
    """

    a: Sequence[Array | None]
    delta: Sequence[Array | None]
    dW: Sequence[Array | None]
    decay: Sequence[Array | None]

    @classmethod
    def of(cls, network: Network, stack: tuple[int, int], n: int, dtype: str) -> Workspace:
        """For a stack of (groups, cells) and minibatches of n samples."""
        units = [[_empty((*stack, n, size), dtype) for size in network.sizes[1:]] for _ in range(2)]
        weights = [[_empty((*stack, *shape), dtype) for shape in network.shapes] for _ in range(2)]
        return cls(*units, *weights)

    @classmethod
    def none(cls, layers: int) -> Workspace:
        return cls(*([None] * layers for _ in range(4)))


def gradients(
    a: Sequence[Array],
    t: Array,
    network: Network,
    W: Sequence[Array],
    p: Sequence[Array],
    scale: float,
    space: Workspace | None = None,
    l1: Sequence[float] = (),
) -> list[Array]:
    """dC/dW of every layer, then dC/db of every layer, by back-propagation.

    a: activations from :func:`backends.formulas.forward`; t: targets (..., n, outputs);
    p: the penalty's coefficient of each layer; l1: that of ||W||_1, if there is one; scale: 1/n for a mean
    cost, 1 for a sum. The gradients
    are in ``space``, if one is given, until it is used again.
    """
    space = space or Workspace.none(len(W))
    dW: list[Array] = []
    db: list[Array] = []
    delta = np.subtract(a[-1], t, out=space.delta[-1])
    delta *= scale
    for layer in reversed(range(len(W))):
        dW.insert(0, product(a[layer].swapaxes(-1, -2), delta, out=space.dW[layer]))
        dW[0] += np.multiply(p[layer], W[layer], out=space.decay[layer])
        if l1:
            dW[0] += l1[layer] * np.sign(W[layer])
        db.insert(0, sum_samples(delta))
        if layer:
            back = np.matmul(delta, W[layer].swapaxes(-1, -2), out=space.delta[layer - 1])
            delta = times_derivative(
                network.activations[layer - 1], a[layer], back, space.a[layer - 1]
            )
    return [*dW, *db]


class _SGD:
    """theta -= eta g; with momentum m: v = m v - eta g, theta += v, or, Nesterov, theta += m v - eta g."""

    def __init__(self, training: Training, eta: Array, parameters: Sequence[Array]) -> None:
        self.momentum, self.nesterov = training.momentum, training.nesterov
        self.eta, self.parameters = eta, parameters
        self.velocities = [np.zeros_like(theta) for theta in parameters] if self.momentum else []

    def __call__(self, factor: float, gradients: Sequence[Array]) -> None:
        rate = self.eta * factor
        for g in gradients:
            g *= rate
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
        self.m, self.v = ([np.zeros_like(theta) for theta in parameters] for _ in range(2))
        self.change = [np.empty_like(theta) for theta in parameters]

    def __call__(self, factor: float, gradients: Sequence[Array]) -> None:
        rate = self.eta * factor  # the bias correction is part of it
        own = zip(self.parameters, self.m, self.v, self.change, strict=True)
        for (theta, m, v, change), g in zip(own, gradients, strict=True):
            m *= self.beta_1
            m += np.multiply(1 - self.beta_1, g, out=change)
            v *= self.beta_2
            np.multiply(1 - self.beta_2, g, out=change)
            change *= g
            v += change
            np.sqrt(v, out=change)
            change += self.epsilon
            np.divide(m, change, out=change)
            change *= rate
            theta -= change


class _ScaledByRoot:
    """v = k v + s g^2, theta -= eta g / (sqrt(v) + epsilon).

    RMSprop (Hinton 2012, lecture 6e) with k = rho and s = 1 - rho, Adagrad (Duchi, Hazan and Singer
    2011) with k = s = 1.
    """

    def __init__(self, training: Training, eta: Array, parameters: Sequence[Array]) -> None:
        self.keep, self.share = training.squares
        self.epsilon, self.eta, self.parameters = training.epsilon, eta, parameters
        self.v = [np.zeros_like(theta) for theta in parameters]
        self.change = [np.empty_like(theta) for theta in parameters]

    def __call__(self, factor: float, gradients: Sequence[Array]) -> None:
        rate = self.eta * factor
        own = zip(self.parameters, self.v, self.change, strict=True)
        for (theta, v, change), g in zip(own, gradients, strict=True):
            v *= self.keep
            np.multiply(self.share, g, out=change)
            change *= g
            v += change
            np.sqrt(v, out=change)
            change += self.epsilon
            np.divide(g, change, out=change)
            change *= rate
            theta -= change


_OPTIMIZERS: dict[str, type[_SGD] | type[_Adam] | type[_ScaledByRoot]] = {
    "sgd": _SGD,
    "adam": _Adam,
    "rmsprop": _ScaledByRoot,
    "adagrad": _ScaledByRoot,
}


def _empty(shape: tuple[int, ...], dtype: str) -> Array:
    """An array whose last axis but one is the fastest in memory."""
    *leading, rows, columns = shape
    return np.empty((*leading, columns, rows), dtype).swapaxes(-1, -2)


def _spread(initial: Array, per_group: int) -> Array:
    """(groups, inputs, outputs) to a fresh (groups, cells per group, inputs, outputs)."""
    groups, *shape = initial.shape
    spread = _empty((groups, per_group, *shape), initial.dtype.name)
    spread[...] = initial[:, None]
    return spread


def _flat(W: Sequence[Array], b: Sequence[Array]) -> Weights:
    """Copies of the weights with the two leading axes joined into cells."""
    return Weights(
        tuple(layer.reshape(-1, *layer.shape[2:]).copy() for layer in W),
        tuple(layer.reshape(-1, layer.shape[-1]).copy() for layer in b),
    )
