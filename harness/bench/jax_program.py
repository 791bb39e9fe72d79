"""The grid as a user of JAX writes it by hand: ``vmap`` over the cells, ``scan`` over the steps.

What the stacks are measured against. It does what most need and no more: gradient descent with a constant
learning rate on a softmax, full minibatches, one plan for all cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.frameworks import load
from backends.jax_backend import jax_precision
from backends.network import Cells, Training, Weights
from backends.registry import UnusableBackend, usable
from harness.bench.phases import wall_seconds
from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment
from harness.training.prepare import Prepared, prepare

_ACTIVATIONS = ("sigmoid", "tanh", "relu")

_opened: list[tuple[JaxProgram, Cells]] = []  # of this process


def open_jax_program(experiment: Experiment) -> str:
    """Compile the program for an experiment; why that cannot be, or "" if it can."""
    try:
        usable("jax")
    except UnusableBackend as error:
        return str(error.reason)
    prepared = prepare(experiment, load_dataset(experiment), "jax", [0])
    if reason := not_written_for(prepared):
        return reason
    program, cells = JaxProgram(prepared), Cells.grid(experiment.eta, experiment.lmbd)
    program.train(cells)
    _opened[:] = [(program, cells)]
    return ""


def time_jax_program() -> float:
    """Seconds of the whole grid by the program that was opened."""
    ((program, cells),) = _opened
    return wall_seconds(lambda: program.train(cells))


def not_written_for(prepared: Prepared) -> str:
    """What of this network, training or plan the program does not know; "" for nothing."""
    network, training = prepared.network, prepared.training
    if network.output != "softmax" or network.activation not in _ACTIVATIONS:
        return f"the program by hand has a softmax and one of {', '.join(_ACTIVATIONS)}"
    if training != Training(dtype=training.dtype):
        return "the program by hand has plain gradient descent on the canonical objective"
    if prepared.plan.streams > 1 or len(set(np.diff(prepared.plan.bounds))) > 1:
        return "the program by hand has full minibatches and one plan"
    return ""


class JaxProgram:
    """The program, compiled at its first call."""

    def __init__(self, prepared: Prepared) -> None:
        jax, jnp = load("jax"), load("jax.numpy")
        activate = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[
            str(prepared.network.activation)
        ]

        def cost(weights: Any, lmbd: Any, x: Any, y: Any) -> Any:
            a = x
            for W, b in weights[:-1]:
                a = activate(a @ W + b)
            W, b = weights[-1]
            log_p = jax.nn.log_softmax(a @ W + b)
            penalty = sum((W**2).sum() for W, _ in weights)
            return -log_p[jnp.arange(len(y)), y].mean() + lmbd / 2 * penalty

        def train(weights: Any, eta: Any, lmbd: Any, x: Any, y: Any, batches: Any) -> Any:
            def step(weights: Any, rows: Any) -> Any:
                gradients = jax.grad(cost)(weights, lmbd, x[rows], y[rows])
                return jax.tree.map(lambda w, g: w - eta * g, weights, gradients), None

            return jax.lax.scan(step, weights, batches)[0]

        self.train_grid = jax.jit(jax.vmap(train, in_axes=(None, 0, 0, None, None, None)))
        self.prepared = prepared

    def train(self, cells: Cells) -> Weights:
        """The weights of all cells after the last step; leading axis cells."""
        p = self.prepared
        plan, dtype = p.plan, p.training.dtype
        start = list(zip(*plan.start(), strict=True))
        batches = plan.order[0].reshape(plan.steps, -1)
        with jax_precision(dtype):
            eta, lmbd = cells.eta.astype(dtype), cells.lmbd.astype(dtype)
            trained = self.train_grid(start, eta, lmbd, p.x, p.y, batches)
            tensors = [(np.asarray(W), np.asarray(b)) for W, b in trained]
        return Weights(tuple(W for W, _ in tensors), tuple(b for _, b in tensors))
