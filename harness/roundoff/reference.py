"""The reference: the canonical training written out, in the order of computation, for a stack of cells.

Every backend is judged by this, NumPy's included, so it shares no code with any: forward, backward and
update are written here a second time. For one minibatch of n samples (rows), layer by layer,

    z^l = a^(l-1) W^l + b^l ,    a^l = f(z^l) ,    a^0 = x
    delta^L = s (a^L - t) ,      delta^l = (delta^(l+1) W^(l+1)^T) f'(z^l)
    dC/dW^l = a^(l-1)^T delta^l + p_l W^l + q_l sign(W^l) ,    dC/db^l = sum of delta^l over the samples

with s = 1/n for a mean cost and 1 for a summed one, and p_l = lmbd, q_l = l1 in the canonical objective.
That these are the gradients of the objective, and that the optimisers are what they are called, is not
taken on trust: :mod:`harness.roundoff.reference_check` holds both against extended precision.

With ``noise`` the results of all operations are perturbed in their last place: Monte Carlo arithmetic
(Parker 1997, "Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic"; Denis, de
Oliveira Castro and Petit 2016, "Verificarlo"). The spread of such trainings is what round-off does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from backends.formulas import ELU_ALPHA, LEAKY_SLOPE
from backends.network import Array, Network, Training, Weights
from backends.plan import Plan
from harness.roundoff.patience import Patience, mean_costs
from harness.roundoff.trial import Trial

STACK = 13  # cells trained together: their arrays stay in the cache
POOL = 2**18  # perturbations drawn once; each result takes a stretch of them that begins at random
PERTURBED = 0.25  # of the entries move one unit in the last place up, as many down
# Units in the last place that what is made of exp, and tanh, may be off. Measured against long doubles on
# 2e6 numbers: NumPy's up to 1.2 (float64) and 2.4 (float32), TensorFlow's tanh up to 8.2 and 5.2, its sigmoid
# up to 2.3 and 5.8.
ELEMENTARY = 4
TANH = 8

Layers = Sequence[Array]


class Rounding:
    """What happens to the result of an operation: nothing, it is as the processor rounded it."""

    def __call__(self, result: Array, units: int = 1) -> Array:
        """The result, perturbed in place or not; ``units`` in the last place that it may be off."""
        return result


class Noise(Rounding):
    """Monte Carlo arithmetic: perturbs a result, in place, in its last place."""

    def __init__(self, seed: int, dtype: str) -> None:
        self._factors = dict(_perturbations(seed, dtype))
        self._starts = random.Random(seed)

    def __call__(self, result: Array, units: int = 1) -> Array:
        factors = self._factors[units]
        while len(factors) < 2 * result.size:
            factors = self._factors[units] = np.concatenate([factors, factors])
        start = self._starts.randrange(len(factors) - result.size)
        result *= factors[start : start + result.size].reshape(result.shape)
        return result


@lru_cache(maxsize=4)  # they cost as much as a short training, and small trials have many
def _perturbations(seed: int, dtype: str) -> tuple[tuple[int, Array], ...]:
    """Factors of 1 and its neighbours, ``POOL`` of them, for each number of units that results may be off."""
    rng = np.random.default_rng([seed, 1])
    moves = rng.choice([-1, 0, 1], POOL, p=[PERTURBED, 1 - 2 * PERTURBED, PERTURBED])
    unit = np.finfo(dtype).eps
    return tuple((n, (1 + n * unit * moves).astype(dtype)) for n in (1, ELEMENTARY, TANH))


EXACT = Rounding()


def _sigmoid(z: Array, rounded: Rounding) -> Array:
    a = np.negative(z)
    np.exp(a, out=a)
    a += 1
    return rounded(np.reciprocal(a, out=a), ELEMENTARY)


def _elu(z: Array, rounded: Rounding) -> Array:
    below = np.minimum(z, 0)
    # TensorFlow's is exp(z) - 1, of which few digits are left where z is small
    short = isinstance(rounded, Noise)
    below = rounded(np.exp(below)) - 1 if short else np.expm1(below)
    return np.where(z > 0, z, z.dtype.type(ELU_ALPHA) * below)


def _leaky(z: Array, rounded: Rounding) -> Array:
    return rounded(np.where(z > 0, z, z.dtype.type(LEAKY_SLOPE) * z))


def _softmax(z: Array, rounded: Rounding) -> Array:
    e = np.ascontiguousarray(np.moveaxis(z, -1, 0))  # sums of a few neighbours in memory are slow
    e -= e.max(axis=0)
    np.exp(e, out=e)
    e /= e.sum(axis=0)
    return rounded(np.ascontiguousarray(np.moveaxis(e, 0, -1)), ELEMENTARY)


def _over_samples(delta: Array) -> Array:
    """The sum over the samples, (..., n, units) to (..., 1, units); a product, faster than a sum."""
    return np.ones((1, delta.shape[-2]), delta.dtype) @ delta


def _times(fresh: Array, factor: Array | np.floating) -> Array:
    """The product, in the memory of the first: another array costs as much as the arithmetic."""
    fresh *= factor
    return fresh


# f of z, and f' of z and a = f(z); for relu and its kin f'(0) is the left derivative
FUNCTIONS_OF_Z: dict[str, Callable[[Array, Rounding], Array]] = {
    "identity": lambda z, rounded: z.copy(),
    "sigmoid": _sigmoid,
    "tanh": lambda z, rounded: rounded(np.tanh(z), TANH),
    "relu": lambda z, rounded: np.maximum(z, 0),
    "leaky_relu": _leaky,
    "elu": _elu,
    "softmax": _softmax,
    "logistic": _sigmoid,
}
DERIVATIVES: dict[str, Callable[[Array, Array], Array]] = {
    "identity": lambda z, a: np.ones_like(z),
    "sigmoid": lambda z, a: _times(1 - a, a),
    "tanh": lambda z, a: 1 - a * a,
    "relu": lambda z, a: (z > 0).astype(z.dtype),
    "leaky_relu": lambda z, a: np.where(z > 0, z.dtype.type(1), z.dtype.type(LEAKY_SLOPE)),
    "elu": lambda z, a: np.where(z > 0, z.dtype.type(1), a + z.dtype.type(ELU_ALPHA)),
}


@dataclass(frozen=True)
class Objective:
    """What a training minimises: cost and penalty of a minibatch of ``n`` samples."""

    network: Network
    training: Training

    def cost_factor(self, n: int) -> float:
        """s: 1/n for the mean of the samples' costs, 1 for their sum."""
        return {"mean": 1 / n, "sum": 1.0}[self.training.cost]

    def penalty_factor(self, layer: int, n: int) -> float:
        """p_l / lmbd, the factor on (lmbd / 2) ||W^l||^2 + l1 ||W^l||_1; ``layer`` counts from 0."""
        if self.training.penalised == "hidden" and layer + 1 == self.network.layers:
            return 0.0
        return self.training.penalty_factor / (n if self.training.penalty_per_sample else 1)


def passed_forward(
    x: Array, network: Network, W: Layers, b: Layers, rounded: Rounding = EXACT
) -> tuple[list[Array], list[Array]]:
    """z^1, ..., z^L and a^0 = x, a^1, ..., a^L.

    x (1 or cells, n, features), W[l] (cells, inputs, outputs), b[l] (cells, 1, outputs).
    """
    zs: list[Array] = []
    activations = [x]
    for name, W_l, b_l in zip(network.functions, W, b, strict=True):
        z = activations[-1] @ W_l
        z += b_l
        zs.append(rounded(z))
        activations.append(FUNCTIONS_OF_Z[name](z, rounded))
    return zs, activations


def gradients_of(
    x: Array,
    t: Array,
    objective: Objective,
    lmbd: Array,
    W: Layers,
    b: Layers,
    rounded: Rounding = EXACT,
) -> list[Array]:
    """dC/dW of every layer, then dC/db of every layer, each with the leading axis cells.

    x, W, b as in :func:`passed_forward`, t (1 or cells, n, outputs), lmbd (cells, 1, 1).
    """
    network, n = objective.network, x.shape[-2]
    z, a = passed_forward(x, network, W, b, rounded)
    real = x.dtype.type
    delta = rounded(_times(a[-1] - t, real(objective.cost_factor(n))))
    dW: list[Array] = [delta] * network.layers
    db: list[Array] = [delta] * network.layers
    for layer in reversed(range(network.layers)):
        p = lmbd * real(objective.penalty_factor(layer, n))
        dW[layer] = rounded(a[layer].swapaxes(-1, -2) @ delta)
        dW[layer] += rounded(p * W[layer])
        if objective.training.l1:
            q = real(objective.training.l1 * objective.penalty_factor(layer, n))
            dW[layer] += rounded(q * np.sign(W[layer]))
        db[layer] = rounded(_over_samples(delta))
        if layer:
            slope = DERIVATIVES[network.activations[layer - 1]](z[layer - 1], a[layer])
            delta = delta @ W[layer].swapaxes(-1, -2)
            delta *= slope
            rounded(delta)
    return [*dW, *db]


class GradientDescent:
    """theta -= eta g; with momentum m: v = m v - eta g, then theta += v, or, Nesterov, m v - eta g."""

    def __init__(self, training: Training, eta: Array, thetas: Layers, rounded: Rounding) -> None:
        self.training, self.eta, self.rounded = training, eta, rounded
        self.velocities = [np.zeros_like(theta) for theta in thetas]

    def change(self, place: int, g: Array, t: int) -> Array:
        """What step ``t`` (from 1) adds to the tensor at ``place``."""
        step, m = self.rounded(self.eta * g), self.training.momentum
        if not m:
            return np.negative(step, out=step)
        v = self.velocities[place]
        v *= m
        v -= step
        self.rounded(v)
        return self.rounded(m * v - step) if self.training.nesterov else v


class Adam:
    """Kingma and Ba 2015, algorithm 1 in the efficient form of section 2.

    m = beta_1 m + (1 - beta_1) g,  v = beta_2 v + (1 - beta_2) g^2,
    theta -= eta sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).
    """

    def __init__(self, training: Training, eta: Array, thetas: Layers, rounded: Rounding) -> None:
        self.training, self.eta, self.rounded = training, eta, rounded
        self.first = [np.zeros_like(theta) for theta in thetas]
        self.second = [np.zeros_like(theta) for theta in thetas]

    def change(self, place: int, g: Array, t: int) -> Array:
        """What step ``t`` (from 1) adds to the tensor at ``place``."""
        beta_1, beta_2 = self.training.beta_1, self.training.beta_2
        m, v = self.first[place], self.second[place]
        m *= beta_1
        m += (1 - beta_1) * g
        v *= beta_2
        v += (1 - beta_2) * (g * g)
        self.rounded(m)
        self.rounded(v)
        correction = (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
        quotient = self.rounded(m / (np.sqrt(v) + self.training.epsilon))
        return self.rounded(-self.eta * correction * quotient)


class RMSProp:
    """Hinton 2012, lecture 6e: theta -= eta g / (sqrt(v) + epsilon), v = rho v + (1 - rho) g^2."""

    def __init__(self, training: Training, eta: Array, thetas: Layers, rounded: Rounding) -> None:
        self.training, self.eta, self.rounded = training, eta, rounded
        self.mean = [np.zeros_like(theta) for theta in thetas]

    def change(self, place: int, g: Array, t: int) -> Array:
        """What step ``t`` (from 1) adds to the tensor at ``place``."""
        rho, v = self.training.rho, self.mean[place]
        v *= rho
        v += (1 - rho) * (g * g)
        self.rounded(v)
        quotient = self.rounded(g / (np.sqrt(v) + self.training.epsilon))
        return self.rounded(-self.eta * quotient)


class AdaGrad:
    """Duchi, Hazan and Singer 2011: theta -= eta g / (sqrt(v) + epsilon), v = v + g^2, from 0."""

    def __init__(self, training: Training, eta: Array, thetas: Layers, rounded: Rounding) -> None:
        self.training, self.eta, self.rounded = training, eta, rounded
        self.sum = [np.zeros_like(theta) for theta in thetas]

    def change(self, place: int, g: Array, t: int) -> Array:
        """What step ``t`` (from 1) adds to the tensor at ``place``."""
        v = self.sum[place]
        v += g * g
        self.rounded(v)
        quotient = self.rounded(g / (np.sqrt(v) + self.training.epsilon))
        return self.rounded(-self.eta * quotient)


OPTIMISERS: dict[str, type[GradientDescent] | type[Adam] | type[RMSProp] | type[AdaGrad]] = {
    "sgd": GradientDescent,
    "adam": Adam,
    "rmsprop": RMSProp,
    "adagrad": AdaGrad,
}


def eta_of_step(eta: Array, training: Training, plan: Plan, step: int) -> Array:
    """eta as the schedule has it in a step, counted from 0, in its own dtype."""
    if training.schedule == "constant":
        return eta
    epoch, real = plan.epoch(step), eta.dtype.type
    if training.schedule == "inverse":
        return eta / real(1 + training.decay * epoch)
    return eta * real(training.decay ** (epoch // training.decay_epochs))


def reference_path(trial: Trial, noise: int | None = None) -> tuple[Weights, ...]:
    """The weights after every checkpoint of the trial's plan, computed in the trial's dtype.

    ``noise``: the seed of perturbations within the last place of every result; None for none.
    """
    parts = [path for path, _ in _trained_stacks(trial, noise)]
    return tuple(Weights.concatenate(point) for point in zip(*parts, strict=True))


def reference_stops(trial: Trial, noise: int | None = None) -> NDArray[np.int64]:
    """After how many steps each cell has stopped, (cells,), as :func:`reference_path` trains them."""
    return np.concatenate([stops for _, stops in _trained_stacks(trial, noise)])


def targets_of(y: NDArray[np.number], network: Network, dtype: str) -> Array:
    """What the output should give, (samples, outputs): one-hot rows for a softmax, else one column."""
    if network.output != "softmax":
        return y.astype(dtype)[:, None]
    return (y[:, None] == np.arange(network.outputs)).astype(dtype)


def _trained_stacks(
    trial: Trial, noise: int | None
) -> list[tuple[list[Weights], NDArray[np.int64]]]:
    cells = range(0, len(trial.cells), STACK)
    return [_trained_stack(trial.of(slice(k, k + STACK)), noise) for k in cells]


def _trained_stack(trial: Trial, noise: int | None) -> tuple[list[Weights], NDArray[np.int64]]:
    network, training, plan = trial.network, trial.training, trial.plan
    dtype = training.dtype
    rounded = EXACT if noise is None else Noise(noise, dtype)
    streams = np.unique(trial.cells.stream)
    shared = streams if len(streams) == 1 else trial.cells.stream
    start = plan.initial[trial.cells.stream]
    W = [layer.astype(dtype) for layer in start.W]
    b = [layer[:, None].astype(dtype) for layer in start.b]
    eta, lmbd = (v[:, None, None].astype(dtype) for v in (trial.cells.eta, trial.cells.lmbd))
    x, t = trial.x.astype(dtype), targets_of(trial.y, network, dtype)
    objective = Objective(network, training)
    eta = rounded(eta)
    optimiser = OPTIMISERS[training.optimizer](training, eta, [*W, *b], rounded)
    path: list[Weights] = []
    patience = Patience(training, plan, len(trial.cells))
    with np.errstate(all="ignore"):
        for step in range(plan.steps + 1):
            if step in plan.checkpoints:
                path.append(Weights(tuple(w.copy() for w in W), tuple(v[:, 0].copy() for v in b)))
            if step == plan.steps:
                return path, patience.stops
            patience.look(step, partial(_validation_losses, trial, W, b))
            rows = plan.rows(step)[shared]
            optimiser.eta = eta_of_step(eta, training, plan, step)
            g = gradients_of(x[rows], t[rows], objective, lmbd, W, b, rounded)
            for place, theta in enumerate([*W, *b]):
                # the one rounding that no library can do otherwise is not perturbed
                theta += patience.held(optimiser.change(place, g[place], step + 1))
    return path, patience.stops


def _validation_losses(trial: Trial, W: Layers, b: Layers) -> NDArray[np.float64]:
    """Of the validation part, in float64 by whatever weights, (cells,)."""
    rows = trial.plan.validation
    assert rows is not None
    exact_W, exact_b = ([tensor.astype(np.float64) for tensor in kind] for kind in (W, b))
    x = trial.x[rows].astype(np.float64)[None]
    z, _ = passed_forward(x, trial.network, exact_W, exact_b)
    return mean_costs(z[-1], trial.y[rows], trial.network)
