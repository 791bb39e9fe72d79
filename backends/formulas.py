"""The network's mathematics, one function per formula, for a single network or any stack of them.

Arrays may carry any leading axes: W (..., inputs, outputs), b (..., 1, outputs), activations
(..., samples, units). Functions with ``out`` write into it, as NumPy's own do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Network, Training, Weights
from backends.plan import Plan

LEAKY_SLOPE = 0.01
ELU_ALPHA = 1.0


def sigmoid(z: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-z)); where exp overflows, 1 / inf is the right answer.

    (1 + tanh(z / 2)) / 2 is faster, but for z far below zero it keeps no digit of a small a, and Adam
    divides by the size of a gradient however small.
    """
    a = np.negative(z, out=out)
    with np.errstate(over="ignore", under="ignore"):
        np.exp(a, out=a)
    a += 1
    return np.reciprocal(a, out=a)


def _identity(z: Array, out: Array | None = None) -> Array:
    return z if out is None or out is z else np.add(z, 0, out=out)


def _relu(z: Array, out: Array | None = None) -> Array:
    return np.maximum(z, 0, out=out)


def _leaky_relu(z: Array, out: Array | None = None) -> Array:
    return np.maximum(z, LEAKY_SLOPE * z, out=out)


def _elu(z: Array, out: Array | None = None) -> Array:
    below = ELU_ALPHA * np.expm1(np.minimum(z, 0))
    a = np.maximum(z, 0, out=out)
    a += below
    return a


def softmax(z: Array, out: Array | None = None) -> Array:
    """exp(z_k) / sum_j exp(z_j) over the last axis, shifted by the largest z so as not to overflow."""
    a = np.subtract(z, z.max(axis=-1, keepdims=True), out=out)
    np.exp(a, out=a)
    a /= a.sum(axis=-1, keepdims=True)
    return a


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """a b, like `np.matmul`; a single product for all cells of a group where they share ``a``.

    That is where a is (groups, 1, n, k), b (groups, cells, k, m) and ``out`` is given, b and ``out`` with
    their last axis but one the fastest in memory: then the m columns of all cells stand side by side.
    """
    if out is None or a.shape[1] == b.shape[1]:
        return np.matmul(a, b, out=out)
    np.matmul(a[:, 0], _side_by_side(b), out=_side_by_side(out))
    return out


def _side_by_side(cells: Array) -> Array:
    """(groups, cells, k, m) as (groups, k, cells * m), a view."""
    groups, count, k, m = cells.shape
    columns = cells.swapaxes(-1, -2).reshape(groups, count * m, k)
    if not np.may_share_memory(columns, cells):
        raise ValueError("the last axis but one is not the fastest in memory: a view is impossible")
    return columns.swapaxes(-1, -2)


def sum_samples(delta: Array) -> Array:
    """Sum over the samples: (..., samples, units) to (..., 1, units); a product, faster than a sum."""
    return np.ones((1, delta.shape[-2]), delta.dtype) @ delta


ACTIVATE: dict[str, Callable[..., Array]] = {
    "identity": _identity,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "logistic": sigmoid,
    "softmax": softmax,
}


def _sigmoid_back(a: Array, delta: Array, slope: Array | None) -> None:
    delta *= a
    delta *= np.subtract(1, a, out=slope)


def _tanh_back(a: Array, delta: Array, slope: Array | None) -> None:
    slope = np.multiply(a, a, out=slope)
    np.subtract(1, slope, out=slope)
    delta *= slope


def _elu_back(a: Array, delta: Array, slope: Array | None) -> None:
    below = a <= 0
    np.multiply(delta, np.add(a, ELU_ALPHA, out=slope), out=delta, where=below)


# for relu and its kin f'(0) is the left derivative
_BACK: dict[str, Callable[[Array, Array, Array | None], object]] = {
    "identity": lambda a, delta, slope: None,
    "sigmoid": _sigmoid_back,
    "tanh": _tanh_back,
    "relu": lambda a, delta, slope: np.multiply(delta, a > 0, out=delta),
    "leaky_relu": lambda a, delta, slope: np.multiply(delta, LEAKY_SLOPE, out=delta, where=a <= 0),
    "elu": _elu_back,
}


def times_derivative(activation: str, a: Array, delta: Array, slope: Array | None = None) -> Array:
    """delta * f'(z), written into ``delta``, where a = f(z): every f' here is a function of f.

    ``slope`` is an array that f' may be computed in; it may be ``a``.
    """
    _BACK[activation](a, delta, slope)
    return delta


def forward(
    x: Array,
    network: Network,
    W: Sequence[Array],
    b: Sequence[Array],
    out: Sequence[Array | None] | None = None,
) -> list[Array]:
    """All activations a^0 = x, ..., a^L, where z^l = a^(l-1) W^l + b^l and a^l = f(z^l).

    x (..., samples, features), W[l] (..., inputs, outputs), b[l] (..., 1, outputs). ``out`` are arrays
    for a^1, ..., a^L.
    """
    out = out or [None] * len(W)
    a = [x]
    for function, W_l, b_l, a_l in zip(network.functions, W, b, out, strict=True):
        z = product(a[-1], W_l, out=a_l)
        z += b_l
        a.append(ACTIVATE[function](z, out=z))
    return a


@np.errstate(all="ignore")  # whatever the process has set: overflow is seen in what comes out
def logits(x: Array, network: Network, weights: Weights) -> Array:
    """z of the output layer for every cell; (cells, samples, outputs)."""
    a = x[None]
    last = network.layers - 1
    for layer, (W, b) in enumerate(zip(weights.W, weights.b, strict=True)):
        z = a @ W
        z += b[:, None, :]
        a = z if layer == last else ACTIVATE[network.activations[layer]](z, out=z)
    return a


def probabilities(z: Array, network: Network) -> Array:
    """Class probabilities from logits: (..., classes), also for two classes; targets for regression."""
    if network.output == "logistic":
        p = sigmoid(z)
        return np.concatenate([1 - p, p], axis=-1)
    return z if network.output == "identity" else softmax(z)


def predict(x: Array, network: Network, weights: Weights) -> Array:
    """Class probabilities (cells, samples, classes); for regression targets (cells, samples, 1)."""
    with np.errstate(all="ignore"):
        return probabilities(logits(x, network, weights), network)


@np.errstate(all="ignore")
def sample_cost(z: Array, y: NDArray, network: Network) -> Array:
    """Cost of each sample from logits z (cells, samples, outputs); (cells, samples), float64.

    softmax: log sum_k exp(z_k) - z_y.  logistic: log(1 + exp(z)) - y z.  identity: (z - y)^2 / 2.
    """
    z = z.astype(np.float64)
    if network.output == "softmax":
        top = z.max(axis=-1)
        return top + np.log(np.exp(z - top[..., None]).sum(-1)) - z[:, np.arange(len(y)), y]
    z = z[..., 0]
    if network.output == "logistic":
        return np.logaddexp(0.0, z) - y * z
    return 0.5 * (z - y) ** 2


@np.errstate(all="ignore")
def penalty(weights: Weights, lmbd: Array, training: Training, rows: int) -> Array:
    """The penalties of every cell, float64: sum_l (p_l / 2) ||W_l||^2 and that of l1; (cells,)."""
    total = np.zeros(len(weights))
    for layer, W in enumerate(weights.W):
        p = training.penalty(np.asarray(lmbd, np.float64), rows, layer, len(weights.W))
        total += 0.5 * p * np.square(W.astype(np.float64)).sum(axis=(1, 2))
        if training.l1:
            p = training.penalty(training.l1, rows, layer, len(weights.W))
            total += p * np.abs(W.astype(np.float64)).sum(axis=(1, 2))
    return total


def eta_factors(training: Training, plan: Plan) -> list[float]:
    """What eta is multiplied by in each step: what the schedule makes of it, and Adam's correction."""
    if training.optimizer != "adam" and training.schedule == "constant":
        return [1.0] * plan.steps
    factors = []
    for step in range(plan.steps):
        factor = 1.0
        if training.schedule != "constant":
            factor = training.eta_factor(plan.epoch(step))
        if training.optimizer == "adam":
            factor *= adam_correction(step, training.beta_1, training.beta_2)
        factors.append(factor)
    return factors


def adam_correction(step: int, beta_1: float, beta_2: float) -> float:
    """sqrt(1 - beta_2^t) / (1 - beta_1^t) at t = step + 1, in double precision."""
    return float(np.sqrt(1 - beta_2 ** (step + 1)) / (1 - beta_1 ** (step + 1)))


def targets(y: NDArray, network: Network, dtype: str) -> Array:
    """What the output layer should give: one-hot rows for a softmax, else one column."""
    if network.output == "softmax":
        return np.eye(network.outputs, dtype=dtype)[y]
    return y.astype(dtype)[:, None]
