"""The tensors of one step, read off a backend from outside, by training it on purpose.

A backend gives away only weights. But it trains whatever it is asked to: with plain gradient descent and
a huge eta, one step from given weights leaves nothing but the gradient in them. On a single sample the
gradient of a layer is the product of its inputs and its error,

    dC/dW^l = a^(l-1) delta^l ,   dC/db^l = delta^l ,

so that every activation and every error can be read off as well. Only z stays unseen, behind a = f(z).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backends.base import Backend
from backends.network import Array, Cells, Weights
from backends.plan import Plan
from harness.parity.reference_step import Tensors
from harness.roundoff.trial import Trial

ETA = 2.0**20  # a power of two, so that multiplying by it and dividing again is exact
ROWS = 24  # samples of the minibatch whose activations are read off
SEEN = 1e-9  # an error this small, of the largest one, has no activations in it to be read off


def observed(backend: Backend, trial: Trial, step: int, weights: Weights) -> Tensors:
    """What can be seen of a step from these weights on, named as by ``reference_step.tensors``.

    The trial has one cell, ``weights`` as well. Activations are NaN for samples without an error. Empty
    where the backend cannot do plain gradient descent.
    """
    training = replace(trial.training, optimizer="sgd", momentum=0.0, nesterov=False)
    if backend.unsupported(trial.network, training):
        return {}
    trial = replace(trial, training=training)
    found = _samples(backend, trial, step, weights) | _output(backend, trial, step, weights)
    return found | _gradients(backend, trial, step, weights)


def _samples(backend: Backend, trial: Trial, step: int, weights: Weights) -> Tensors:
    """Inputs, activations and the derivative of the cross-entropy, sample by sample."""
    rows = trial.plan.rows(step)[0][:ROWS]
    streams = np.zeros(len(rows), dtype=np.intp)
    plan = Plan(weights[streams], rows[:, None], np.array([0, 1]), (1,))
    cells = Cells.of(ETA, 0.0, range(len(rows)))
    g = _descended(backend, replace(trial, plan=plan, cells=cells))
    layers = trial.network.layers
    found: Tensors = {}
    for layer in range(1, layers + 1):
        dW, delta = g[f"W{layer}"], g[f"b{layer}"]
        square = np.square(delta).sum(axis=1)
        with np.errstate(all="ignore"):
            a = np.einsum("nio,no->ni", dW, delta) / square[:, None]
        small = np.abs(delta).max(axis=1) <= SEEN * np.abs(g[f"b{layers}"]).max()
        found["rows" if layer == 1 else f"a{layer - 1}"] = np.where(small[:, None], np.nan, a)
    found["cross-entropy"] = delta
    return found


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
    plan = Plan(weights, order[None], np.array(bounds), checkpoints)
    lmbd = float(trial.cells.lmbd[0])
    g = _descended(backend, replace(trial, plan=plan, cells=Cells.of(ETA, [0.0, lmbd])))
    found = {f"d{name}": tensor[0] for name, tensor in g.items()}
    return found | {f"penalty of {name}": tensor[1] - tensor[0] for name, tensor in g.items()}


def _descended(backend: Backend, trial: Trial) -> dict[str, Array]:
    """The gradients (cells, ...) that the first step went down, by the names of the weights."""
    before = trial.plan.initial[trial.cells.stream].astype("float64").named()
    after = trial.train(backend)[0].astype("float64").named()
    return {name: (before[name] - after[name]) / ETA for name in before}
