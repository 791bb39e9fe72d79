"""The tensors of one step, read off a backend from outside, by training it on purpose.

A backend gives away only weights. But it trains whatever it is asked to: with plain gradient descent and
a huge eta, one step from given weights leaves nothing but the gradient in them. On a single sample the
gradient of a layer is the product of its inputs and its error,

    dC/dW^l = a^(l-1) delta^l ,   dC/db^l = delta^l ,

so that every activation and every error can be read off as well. Only z stays unseen, behind a = f(z).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from backends.base import Backend
from backends.network import Array, Cells, Weights
from backends.plan import Plan
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, tensors
from harness.roundoff.trial import Trial

_ETA = 2.0**20  # a power of two, so that multiplying by it and dividing again is exact
_ROWS = 24  # samples of the minibatch whose activations are read off
_SEEN = 1e-9  # an error this small, of the largest one, has no activations in it to be read off
_ACTIVATIONS = ("rows", "a")  # read off as quotients, if the gradients are products
# what the gradient of one sample may be off the product that it should be, relatively
_PRODUCT = {"float64": 1e-8, "float32": 1e-4}
# relative error of a tensor of one step that means nothing
LOCAL = {"float64": 1e-10, "float32": 1e-3}


@dataclass(frozen=True)
class ProbedStep:
    """What was seen of a step: each tensor beside what it should be, by its name, and what it may be off.

    ``batch`` and ``weights``: those of the step. Activations are NaN for samples without an error; none
    are here where the gradients of single samples are not the products that they should be. ``faithful``:
    whether the backend starts from the weights that it is given.
    """

    batch: Batch
    weights: Tensors
    rules: StepRules
    seen: Tensors = field(default_factory=dict)
    faithful: bool = True

    def error(self, name: str, expected: Tensors) -> tuple[float, float, float]:
        """Absolute and relative error of a tensor, and the relative one that means nothing.

        NaN where it was not seen.
        """
        allowed, tensor = LOCAL[self.rules.training.dtype], self.seen.get(name)
        scale = _scale(name, expected)
        if tensor is None or not scale or not np.isfinite(tensor).any():
            return np.nan, np.nan, allowed
        gap = float(np.nanmax(np.abs(tensor - expected[name][: len(tensor)])))
        if name.startswith("penalty"):  # seen as the difference of two gradients
            gradient = np.abs(expected[f"d{name.removeprefix('penalty of ')}"]).max()
            allowed += float(32 * np.finfo(self.rules.training.dtype).eps * gradient / scale)
        return gap, gap / scale, allowed


def _scale(name: str, expected: Tensors) -> float:
    """What a tensor's error is measured by; of a bias's penalty, which is none, that of the weights."""
    return float(np.abs(expected[name.replace("penalty of b", "penalty of W")]).max())


@np.errstate(all="ignore")  # what overflows is not finite, and is not seen
def probe_step(backend: Backend, trial: Trial, step: int, state: State) -> ProbedStep:
    """What can be seen of a step from these weights on, named as by ``reference_step.tensors``.

    The trial has one cell. Nothing is seen where the backend cannot do plain gradient descent.
    """
    rows = trial.plan.rows(step)[0]
    probed = ProbedStep(Batch.of(trial, rows), state.weights, StepRules.of(trial))
    training = replace(trial.training, optimizer="sgd", momentum=0.0, nesterov=False, patience=None)
    if backend.unsupported(trial.network, training):
        return probed
    layers = range(1, trial.network.layers + 1)
    weights = Weights(
        tuple(state.weights[f"W{layer}"][None] for layer in layers),
        tuple(state.weights[f"b{layer}"][None] for layer in layers),
    ).astype(trial.dtype)
    trial = replace(trial, training=training)
    if not _starts_where_it_is_told(backend, trial, weights):
        return replace(probed, faithful=False)
    seen = _samples(backend, trial, step, weights) | _output(backend, trial, step, weights)
    return replace(probed, seen=seen | _gradients(backend, trial, step, weights))


def contradicts(probed: ProbedStep, rules: StepRules) -> bool:
    """Whether mistakes in these rules would show in a tensor that was seen to be right.

    Only those that act on every sample alike, in any step, can be refuted so; what a library does of a
    short minibatch only, it may do after a full one only.
    """
    steady = {"function", "a", "slope", "delta", "cross-entropy", "output"}
    if len(probed.batch.x) == probed.rules.batch_size:
        steady |= {"cost", "penalty", "l1 penalty"}
    if not all(set(mistake.changes) <= steady for mistake in rules.mistakes):
        return False
    with np.errstate(all="ignore"):
        right = tensors(probed.weights, probed.batch, probed.rules)
        wrong = tensors(probed.weights, probed.batch, rules)
    for name in probed.seen:
        if (
            name == "output"
        ):  # that of a forward pass of its own, which training need not go through
            continue
        _, relative, allowed = probed.error(name, right)
        if not relative <= allowed:
            continue
        predicted = float(np.abs(wrong[name] - right[name])[: len(probed.seen[name])].max())
        if predicted > 100 * allowed * _scale(name, right):
            return True
    return False


def _starts_where_it_is_told(backend: Backend, trial: Trial, weights: Weights) -> bool:
    """Whether the weights are the given ones after a step of no length."""
    rows = trial.plan.rows(0)[0]
    plan = Plan(weights, rows[None], np.array([0, len(rows)]), (1,), trial.plan.steps_per_epoch)
    after = replace(trial, plan=plan, cells=Cells.of(1 / _ETA**3, 0.0)).train(backend)[0].named()
    return all(
        np.abs(after[name] - tensor).max() <= 0.01 * max(np.abs(tensor).max(), 1e-3)
        for name, tensor in weights.named().items()
    )


def _samples(backend: Backend, trial: Trial, step: int, weights: Weights) -> Tensors:
    """Inputs, activations and the derivative of the cross-entropy, sample by sample."""
    rows = trial.plan.rows(step)[0][:_ROWS]
    streams = np.zeros(len(rows), dtype=np.intp)
    plan = Plan(weights[streams], rows[:, None], np.array([0, 1]), (1,), trial.plan.steps_per_epoch)
    cells = Cells.of(_ETA, 0.0, range(len(rows)))
    g = _descended(backend, replace(trial, plan=plan, cells=cells))
    layers = trial.network.layers
    found: Tensors = {}
    for layer in range(1, layers + 1):
        dW, delta = g[f"W{layer}"], g[f"b{layer}"]
        square = np.square(delta).sum(axis=1)
        with np.errstate(all="ignore"):
            a = np.einsum("nio,no->ni", dW, delta) / square[:, None]
            product = np.einsum("ni,no->nio", a, delta)
        small = np.abs(delta).max(axis=1) <= _SEEN * np.abs(g[f"b{layers}"]).max()
        left = np.abs(dW - product)[~small]
        if left.size and left.max() > _PRODUCT[trial.dtype] * np.abs(dW).max():
            return {}  # more than a product is in it: noise, a penalty, something cut
        found["rows" if layer == 1 else f"a{layer - 1}"] = np.where(small[:, None], np.nan, a)
    x = trial.x[rows].astype(np.float64)
    if not _is(found["rows"], x, LOCAL[trial.dtype]):
        with np.errstate(all="ignore"):
            factor = np.nanmedian(found["rows"] / np.where(x == 0, np.nan, x))
        if _is(found["rows"] / factor, x, LOCAL[trial.dtype]):
            return {}  # all inputs by one factor: that is the biases' gradient
    return found | {"cross-entropy": delta}


def _is(seen: Array, expected: Array, allowed: float) -> bool:
    gap = np.abs(seen - expected)
    return bool(np.nanmax(gap, initial=0.0) <= 10 * allowed * np.abs(expected).max())


def _output(backend: Backend, trial: Trial, step: int, weights: Weights) -> Tensors:
    x = trial.x[trial.plan.rows(step)[0]]
    output = backend.predict_proba(x, trial.network, weights)[0]
    last = slice(1, None) if trial.network.output == "logistic" else slice(None)
    return {"output": output[:, last].astype(np.float64)}


def _gradients(backend: Backend, trial: Trial, step: int, weights: Weights) -> Tensors:
    """The gradients of cost and penalty on the whole minibatch.

    A full minibatch follows where the step's is a short one, which it must stay.
    """
    rows = trial.plan.rows(step)[0]
    full = trial.plan.rows(int(np.diff(trial.plan.bounds).argmax()))[0]
    order, bounds = (rows, [0, len(rows)])
    if len(full) > len(rows):
        order, bounds = np.concatenate([rows, full]), [0, len(rows), len(rows) + len(full)]
    checkpoints = tuple(range(1, len(bounds)))
    plan = Plan(weights, order[None], np.array(bounds), checkpoints, trial.plan.steps_per_epoch)
    lmbd = float(trial.cells.lmbd[0])
    g = _descended(backend, replace(trial, plan=plan, cells=Cells.of(_ETA, [0.0, lmbd])))
    found = {f"d{name}": tensor[0] for name, tensor in g.items()}
    return found | {f"penalty of {name}": tensor[1] - tensor[0] for name, tensor in g.items()}


def _descended(backend: Backend, trial: Trial) -> dict[str, Array]:
    """The gradients (cells, ...) that the first step went down, by the names of the weights."""
    before = trial.plan.initial[trial.cells.stream].astype("float64").named()
    after = trial.train(backend)[0].astype("float64").named()
    return {name: (before[name] - after[name]) / _ETA for name in before}
