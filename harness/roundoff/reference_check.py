"""Whether the reference is right: held against extended precision before anybody is held against it.

Its gradients against finite differences of the objective, which is written here once more and from its
definition; its optimisers against the sums that they are short for; its walk through a plan against the
same steps taken one by one. It takes milliseconds, and what fails here is the reference's fault and no
backend's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Cells, Network, Training, Weights
from harness.roundoff.reference import (
    EXACT,
    FUNCTIONS_OF_Z,
    OPTIMISERS,
    Objective,
    gradients_of,
    reference_path,
    targets_of,
)
from harness.roundoff.trial import Trial

_ROWS = 4  # samples of the minibatch that finite differences are taken on
_STEPS = 4  # of the optimisers
_FROM_ZERO = 1e-3  # how far weights stay from a kink of the penalty
_ATTEMPTS = 100  # draws of weights among which one keeps its distance from every kink

_Extended = np.longdouble
_LARGE = 1000.0  # exp of it overflows
_EPS = float(np.finfo(_Extended).eps)
_H = _EPS ** (1 / 3)  # where truncation and round-off of a central difference are about equal
_ALLOWED = 1e3 * _H * _H  # relative; 2e-10 where long doubles have 64 bits, 4e-8 where they have 53
_ROUND_OFF = 1e-12  # relative, of a few steps in float64
_WALKED = 1e-9  # of the change that a few steps make; one of them taken otherwise changes a good part of it
_FLOAT64 = float(np.finfo(np.float64).eps)


def reference_fault(trial: Trial) -> str:
    """What is wrong with the reference on a trial's network and objective; empty if nothing is.

    The trial is in float64. Weights and inputs of the finite differences are drawn for this, of a size at
    which no unit is saturated and none near a kink.
    """
    with np.errstate(all="ignore"):
        for fault in (_overflow_fault, _gradient_fault, _optimiser_fault, _path_fault):
            if found := fault(trial):
                return found
    return ""


def _overflow_fault(trial: Trial) -> str:
    """The output where exp of it would overflow."""
    z = np.linspace(-1, 1, 2 * trial.network.outputs).reshape(2, -1) * _LARGE
    if np.isfinite(FUNCTIONS_OF_Z[trial.network.output](z, EXACT)).all():
        return ""
    return f"its {trial.network.output} output is not finite where z is {_LARGE:g}"


def _gradient_fault(trial: Trial) -> str:
    objective = Objective(trial.network, trial.training)
    lmbd = float(trial.cells.lmbd.max())
    W, b, x = _calm_point(trial)
    y = np.resize(np.unique(trial.y), len(x))
    if not trial.network.classes:
        y = y / max(1.0, float(np.abs(y).max()))
    t = targets_of(y, trial.network, "float64")
    tensors = [*W, *b]
    stacked = [theta[None] for theta in W], [theta[None, None] for theta in b]
    g = gradients_of(x[None], t[None], objective, np.full((1, 1, 1), lmbd), *stacked)
    rng = np.random.default_rng(1)

    def cost(moved: Sequence[Array]) -> np.longdouble:
        return objective_value(x, y, trial.network, trial.training, lmbd, moved)

    for place, theta in enumerate(tensors):
        way = rng.choice([-1.0, 1.0], theta.shape)
        kind, layer = divmod(place, trial.network.layers)
        terms = g[place].reshape(theta.shape) * way
        slope = _central_difference(cost, tensors, place, way)
        noise = _EPS * abs(float(cost(tensors))) / _H
        if not abs(float(slope) - terms.sum()) <= _ALLOWED * np.abs(terms).sum() + 10 * noise:
            return (
                f"its gradient of {'Wb'[kind]}{layer + 1} is {terms.sum():.9g} along a direction in which "
                f"finite differences of the objective give {float(slope):.9g}"
            )
    return ""


def _calm_point(trial: Trial) -> tuple[list[Array], list[Array], Array]:
    """Weights and inputs at which no z of a hidden unit is nearer to a kink than a difference reaches."""
    network = trial.network
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng(attempt)
        W: list[Array] = [rng.normal(size=s) / np.sqrt(s[0]) for s in network.shapes]
        b: list[Array] = [rng.normal(size=s[1]) / 10 for s in network.shapes]
        x: Array = rng.normal(size=(_ROWS, network.features))
        near, a = np.inf, x
        for name, W_l, b_l in zip(network.activations, W[:-1], b[:-1], strict=True):
            z = a @ W_l + b_l
            reach = _H * (np.abs(a).sum(axis=1, keepdims=True) + 1)
            near = min(near, float((np.abs(z) / reach).min()))
            a = FUNCTIONS_OF_Z[name](z, EXACT)
        if near > 100:
            break
    if trial.training.l1:  # |w| has a kink at 0
        W = [np.where(np.abs(w) < _FROM_ZERO, np.copysign(_FROM_ZERO, w), w) for w in W]
    return W, b, x


def _central_difference(
    cost: Callable[[Sequence[Array]], np.longdouble],
    tensors: Sequence[Array],
    place: int,
    way: Array,
) -> np.longdouble:
    """The derivative of the cost along ``way`` in one tensor."""
    ends = []
    for sign in (1, -1):
        moved = [theta.astype(_Extended) for theta in tensors]
        moved[place] = moved[place] + sign * _Extended(_H) * way
        ends.append(cost(moved))
    return (ends[0] - ends[1]) / (2 * _Extended(_H))


def objective_value(
    x: Array,
    y: NDArray[np.number],
    network: Network,
    training: Training,
    lmbd: float,
    tensors: Sequence[Array],
) -> np.longdouble:
    """The objective of one network on a minibatch, in extended precision.

    tensors: every W, then every b. As :class:`backends.network.Training` defines it: the samples' cost,
    their mean or sum, and the penalty.
    """
    layers = network.layers
    a = x.astype(_Extended)
    for layer in range(layers):
        z = a.dot(tensors[layer].astype(_Extended)) + tensors[layers + layer]
        if layer < layers - 1:
            a = _activation(network.activations[layer], z)
    if network.output == "softmax":
        top = z.max(axis=1)
        costs = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(len(y)), y]
    elif network.output == "logistic":
        costs = np.where(y == 1, np.log1p(np.exp(-z[:, 0])), np.log1p(np.exp(z[:, 0])))
    else:
        costs = (z[:, 0] - y) ** 2 / 2
    total = costs.sum() if training.cost == "sum" else costs.mean()
    for layer in range(layers):
        if layer < layers - 1 or training.penalised == "all":
            square = np.square(tensors[layer].astype(_Extended)).sum()
            divisor = len(x) if training.penalty_per_sample else 1
            total = total + _Extended(lmbd) * training.penalty_factor / divisor * square / 2
            sizes = np.abs(tensors[layer].astype(_Extended)).sum()
            total = total + _Extended(training.l1) * training.penalty_factor / divisor * sizes
    return _Extended(total)


def _activation(name: str, z: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
    """f(z) from its definition."""
    if name == "sigmoid":
        return np.exp(z) / (1 + np.exp(z))
    if name == "tanh":
        return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))
    below = {
        "identity": z,
        "relu": 0 * z,
        "leaky_relu": _Extended(0.01) * z,
        "elu": np.exp(np.minimum(z, 0)) - 1,
    }
    return np.where(z > 0, z, below[name])


def _optimiser_fault(trial: Trial) -> str:
    """The optimiser's steps against the sums of the gradients that it has seen."""
    training, eta = trial.training, 0.01
    rng = np.random.default_rng(2)
    g = rng.normal(size=(_STEPS, 1, 3, 2)) * np.geomspace(1e-6, 10, 6).reshape(3, 2)
    own = OPTIMISERS[training.optimizer](training, np.full((1, 1, 1), eta), [g[0]], EXACT)
    for t in range(1, _STEPS + 1):
        change = own.change(0, g[t - 1].copy(), t)
        expected = _summed_change(training, [eta] * t, g[:t].astype(_Extended))
        if not np.allclose(change, expected.astype(np.float64), rtol=_ROUND_OFF, atol=0):
            return f"its {training.optimizer} is not what it is called: step {t} is another"
    return ""


def _summed_change(
    training: Training, etas: Sequence[float], g: NDArray[np.longdouble]
) -> NDArray[np.longdouble]:
    """What the last step adds, after gradients g (steps, ...) at these etas, without a recursion.

    Momentum m: v = -sum_i m^(t-i) eta_i g_i. RMSprop's v: (1 - rho) sum_i rho^(t-i) g_i^2. Adagrad's: the
    sum of all g_i^2. Adam: the bias-corrected means of g and g^2 of Kingma and Ba's
    algorithm 1, whose epsilon in the efficient form is one beside sqrt(v), before the correction.
    """
    t, eta = len(g), _Extended(etas[-1])
    if training.optimizer == "adagrad":
        return -eta * g[-1] / (np.sqrt(np.square(g).sum(axis=0)) + training.epsilon)
    if training.optimizer == "rmsprop":
        rho = _Extended(training.rho)
        v = (1 - rho) * sum(rho ** (t - 1 - i) * g[i] * g[i] for i in range(t))
        return -eta * g[-1] / (np.sqrt(v) + training.epsilon)
    if training.optimizer == "sgd":
        m = _Extended(training.momentum)
        v = -sum(m ** (t - 1 - i) * _Extended(etas[i]) * g[i] for i in range(t))
        return m * v - eta * g[-1] if training.nesterov else v
    means = []
    for beta, terms in ((training.beta_1, g), (training.beta_2, g * g)):
        share = 1 - _Extended(beta)
        mean = share * sum(_Extended(beta) ** (t - 1 - i) * terms[i] for i in range(t))
        means.append(mean / (1 - _Extended(beta) ** t))
    epsilon = training.epsilon / np.sqrt(1 - _Extended(training.beta_2) ** t)
    return -eta * means[0] / (np.sqrt(means[1]) + epsilon)


def _path_fault(trial: Trial) -> str:
    """A few steps of the plan, from a calm point, against the same steps taken one after the other."""
    last = min(_STEPS, trial.plan.steps)
    W, b, _ = _calm_point(trial)
    start = Weights(tuple(layer[None] for layer in W), tuple(layer[None] for layer in b))
    plan = replace(trial.plan.select([0]).at([last]), initial=start)
    x = np.zeros(trial.x.shape)
    seen = np.unique(plan.order)
    x[seen] = np.random.default_rng(3).normal(size=(len(seen), trial.network.features))
    eta, lmbd = 0.01, min(float(trial.cells.lmbd.max()), 1.0)
    training = trial.training
    if training.schedule != "constant":  # which is to change eta within these steps
        plan = replace(plan, steps_per_epoch=1)
        quick = {"decay_epochs": 2} if training.schedule == "step" else {}
        training = replace(training, **quick)  # type: ignore[arg-type]
    small = replace(trial, x=x, plan=plan, cells=Cells.of(eta, lmbd), training=training)
    expected = _steps_taken(small)
    before = start.named()
    for name, tensor in reference_path(small)[-1].named().items():
        change = np.abs(expected[name] - before[name][0]).max()
        if not np.abs(tensor[0] - expected[name]).max() <= _WALKED * change + 10 * _FLOAT64:
            return f"its {name} after {last} steps is not where those steps lead"
    return ""


def _etas(trial: Trial, steps: int) -> list[float]:
    """eta in each of the first steps, from what the schedules are defined as."""
    training, first = trial.training, float(trial.cells.eta[0])
    epochs = [step // (trial.plan.steps_per_epoch or 1) for step in range(steps)]
    if training.schedule == "inverse":
        return [first / (1 + training.decay * epoch) for epoch in epochs]
    if training.schedule == "step":
        return [first * training.decay ** (epoch // training.decay_epochs) for epoch in epochs]
    return [first] * steps


def _steps_taken(trial: Trial) -> dict[str, Array]:
    network, training, layers = trial.network, trial.training, trial.network.layers
    W, b = trial.plan.start()
    seen: list[list[Array]] = [[] for _ in range(2 * layers)]
    for rows in trial.plan.batches():
        g = gradients_of(
            trial.x[rows][None].astype(np.float64),
            targets_of(trial.y[rows], network, "float64")[None],
            Objective(network, training),
            trial.cells.lmbd.reshape(1, 1, 1),
            [layer[None].astype(np.float64) for layer in W],
            [layer[None, None].astype(np.float64) for layer in b],
        )
        for place, theta in enumerate([*W, *b]):
            seen[place].append(g[place].reshape(theta.shape))
            history = np.array(seen[place]).astype(_Extended)
            change = _summed_change(training, _etas(trial, len(history)), history)
            moved = theta + change.astype(np.float64)
            if place < layers:
                W[place] = moved
            else:
                b[place - layers] = moved
    names = [f"{kind}{layer + 1}" for kind in "Wb" for layer in range(layers)]
    return dict(zip(names, [*W, *b], strict=True))
