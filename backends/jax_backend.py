"""JAX: one network's objective as a pure function, ``grad`` for its gradients, ``vmap`` for the stack.

One compiled loop takes all steps of all cells. Minibatches have a fixed number of rows: a short one is
filled up with rows of weight zero, so that one trace serves the whole plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.early_stopping import STOPPING, TrainingPath
from backends.formulas import LEAKY_SLOPE, eta_factors
from backends.frameworks import gpus_of, load, on_device
from backends.network import OPTIMIZERS, Array, Cells, Fit, Network, Training, Weights
from backends.padding import cost_weights, penalty_factors, rectangle
from backends.plan import Plan


class JaxBackend(Backend):
    """jax.grad of the objective; jax.vmap over cells and one compiled loop over steps for a stack."""

    name = "jax"
    library = "jax"
    modules = ("jax",)
    stacks = True
    optimizers = OPTIMIZERS
    heeds = tuple(option for option in OPTIONS if option != "monitor")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "penalty", "lmbd * (W ** 2).sum() / 2 in the objective", "left to the programmer"
        ),
        Convention("l1", "l1 * jnp.abs(W).sum() in the objective", "left to the programmer"),
        Convention(
            "cost of a minibatch",
            "from logits with jax.nn.log_softmax or softplus, times 1 / n",
            "left to the programmer",
        ),
        Convention("initial weights", "the plan's", "left to the programmer"),
        Convention("initial biases", "the plan's", "left to the programmer"),
        Convention("minibatches", "the plan's, by indexing", "left to the programmer"),
        Convention(
            "short last minibatch", "filled up with rows of weight 0, the others at 1 / r", "none"
        ),
        Convention(
            "optimiser", "written out; the loop is compiled by jax.jit", "left to the programmer"
        ),
        Convention("momentum", "written out, v = m v - eta g", "left to the programmer"),
        Convention(
            "Adam",
            "written out, epsilon = 1e-8 beside the uncorrected root; the bias correction computed in "
            "float64",
            "left to the programmer",
        ),
        Convention(
            "rmsprop, adagrad",
            "written out, epsilon = 1e-8 beside the root, rho = 0.99, v from 0",
            "optax: epsilon under the root",
        ),
        Convention(
            "schedule", "written out, a factor of eta for each step", "left to the programmer"
        ),
        Convention("leaky_relu slope", f"{LEAKY_SLOPE:.12g}", "0.01"),
        Convention(
            "float64", "jax_enable_x64 for the training alone", "float32 whatever is asked for"
        ),
        Convention("two classes", "one logistic output", "left to the programmer"),
        Convention("stopping", STOPPING, "left to the programmer"),
    )

    def gpus(self) -> tuple[str, ...]:
        return gpus_of("jax")

    def trace_one(
        self,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        eta: float,
        lmbd: float,
        plan: Plan,
    ) -> list[tuple[Sequence[Array], Sequence[Array]]]:
        """As JAX's tutorials write it: a compiled step, and a loop in Python."""
        with jax_precision(training.dtype, training.device):
            step_of = _step(network, training)
            number = np.dtype(training.dtype).type
            order, _ = rectangle(plan)
            scale = cost_weights(plan, training).astype(training.dtype)
            penalty = penalty_factors(plan, training).astype(training.dtype)
            rates = np.array(eta_factors(training, plan), training.dtype)
            state = _state(plan.start(), training)
            path = []
            for first, last in plan.segments():
                for step in range(first, last):
                    rows = order[0, step]
                    batch = (x[rows], y[rows], scale[step], penalty[step], rates[step])
                    state = step_of(state, number(eta), number(lmbd), *batch)
                path.append(tuple([np.array(t) for t in tensors] for tensors in state[0]))
        return path  # type: ignore[return-value]

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        with jax_precision(training.dtype, training.device):
            streams, per_group = cells.layout()
            order, _ = rectangle(plan.select(streams))
            shape = (len(streams), per_group)
            initial = plan.initial[streams]
            spread = [
                [np.broadcast_to(t[:, None], (*shape, *t.shape[1:])) for t in tensors]
                for tensors in (initial.W, initial.b)
            ]
            state = _state((spread[0], spread[1]), training)
            eta, lmbd = (v.reshape(shape).astype(training.dtype) for v in (cells.eta, cells.lmbd))
            data = (
                x,
                y,
                order.swapaxes(0, 1),
                cost_weights(plan, training).astype(training.dtype),
                penalty_factors(plan, training).astype(training.dtype),
                np.array(eta_factors(training, plan), training.dtype),
            )
            run, path = _loop(network, training), TrainingPath(x, y, network, training, plan)
            for first, last in path.segments():
                state = run(state, eta, lmbd, first, last, *data)
                tensors = [np.asarray(t) for group in state[0] for t in group]
                flat = [t.reshape(-1, *t.shape[2:]) for t in tensors]
                path.add(Weights(tuple(flat[: network.layers]), tuple(flat[network.layers :])))
        return path.fit()

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        with jax_precision(np.dtype(x.dtype).name):
            return np.asarray(_probabilities(network)((list(weights.W), list(weights.b)), x))


@contextmanager
def jax_precision(dtype: str, device: str = "cpu") -> Iterator[None]:
    """JAX computes in float32 unless it is told otherwise; afterwards it is as before."""
    jax, older = load("jax"), load("jax.experimental")  # where it lies before JAX 0.8
    switch = jax.enable_x64 if hasattr(jax, "enable_x64") else older.enable_x64
    with switch(dtype == "float64"), on_device("jax", device):
        yield


def _state(weights: tuple[Sequence[Array], Sequence[Array]], training: Training) -> Any:
    """Weights, and as many zeros for each slot of the optimiser: (weights, slots)."""
    jnp = load("jax.numpy")
    tensors = tuple([jnp.asarray(t) for t in part] for part in weights)
    return tensors, tuple(
        tuple([jnp.zeros_like(t) for t in part] for part in tensors) for _ in range(training.slots)
    )


def _logits(network: Network, weights: Any, x: Any) -> Any:
    """Of one network, (rows, outputs)."""
    nn, jnp = load("jax.nn"), load("jax.numpy")
    activate: dict[str, Callable[[Any], Any]] = {
        "identity": lambda z: z,
        "sigmoid": nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": nn.relu,
        "leaky_relu": partial(nn.leaky_relu, negative_slope=LEAKY_SLOPE),
        "elu": nn.elu,
    }
    W, b = weights
    a = x
    for layer in range(network.layers - 1):
        a = activate[network.activations[layer]](a @ W[layer] + b[layer])
    return a @ W[-1] + b[-1]


def _objective(
    network: Network,
    training: Training,
    weights: Any,
    lmbd: Any,
    x: Any,
    y: Any,
    scale: Any,
    p: Any,
) -> Any:
    """Of one network on one minibatch: costs weighted by ``scale`` (rows,), and the penalty p lmbd."""
    nn, jnp = load("jax.nn"), load("jax.numpy")
    z = _logits(network, weights, x)
    if network.output == "softmax":
        cost = -jnp.take_along_axis(nn.log_softmax(z), y[:, None], -1)[:, 0]
    elif network.output == "logistic":
        cost = nn.softplus(z[:, 0]) - y * z[:, 0]
    else:
        cost = (z[:, 0] - y) ** 2 / 2
    penalised = [
        W for layer, W in enumerate(weights[0]) if training.penalty(1.0, 1, layer, network.layers)
    ]
    objective = (cost * scale).sum() + p * lmbd * sum((W**2).sum() for W in penalised) / 2
    if training.l1:
        objective += p * training.l1 * sum(jnp.abs(W).sum() for W in penalised)
    return objective


@lru_cache(maxsize=16)
def _step(network: Network, training: Training) -> Callable[..., Any]:
    """One step of one network, compiled."""
    return load("jax").jit(partial(_stepped, network, training))  # type: ignore[no-any-return]


def _stepped(
    network: Network,
    training: Training,
    state: Any,
    eta: Any,
    lmbd: Any,
    x: Any,
    y: Any,
    scale: Any,
    penalty: Any,
    rate: Any,
) -> Any:
    jax = load("jax")
    weights, slots = state
    gradient = jax.grad(partial(_objective, network, training))
    g = gradient(weights, lmbd, x, y, scale, penalty)
    tree = jax.tree_util.tree_map
    if training.optimizer == "adam":
        m = tree(lambda m, g: training.beta_1 * m + (1 - training.beta_1) * g, slots[0], g)
        v = tree(lambda v, g: training.beta_2 * v + (1 - training.beta_2) * g * g, slots[1], g)
        root, epsilon = load("jax.numpy").sqrt, training.epsilon
        new = tree(lambda w, m, v: w - eta * rate * m / (root(v) + epsilon), weights, m, v)
        return new, (m, v)
    if training.optimizer != "sgd":
        keep, share = training.squares
        v = tree(lambda v, g: keep * v + share * g * g, slots[0], g)
        root, epsilon = load("jax.numpy").sqrt, training.epsilon
        new = tree(lambda w, g, v: w - eta * rate * g / (root(v) + epsilon), weights, g, v)
        return new, (v,)
    if not training.momentum:
        return tree(lambda w, g: w - eta * rate * g, weights, g), slots
    momentum = training.momentum
    v = tree(lambda v, g: momentum * v - eta * rate * g, slots[0], g)
    if training.nesterov:
        return tree(lambda w, v, g: w + (momentum * v - eta * rate * g), weights, v, g), (v,)
    return tree(lambda w, v: w + v, weights, v), (v,)


@lru_cache(maxsize=16)
def _loop(network: Network, training: Training) -> Callable[..., Any]:
    """All steps from ``first`` to ``last`` of a stack (groups, cells), compiled once for every length."""
    jax = load("jax")
    one = partial(_stepped, network, training)
    # the cells of a group share their minibatch; the groups do not, but for its weights
    cells = jax.vmap(one, in_axes=(0, 0, 0, None, None, None, None, None))
    groups = jax.vmap(cells, in_axes=(0, 0, 0, 0, 0, None, None, None))

    def run(
        state: Any, eta: Any, lmbd: Any, first: Any, last: Any, x: Any, y: Any, order: Any,
        scale: Any, penalty: Any, rates: Any,
    ) -> Any:  # fmt: skip
        def take(step: Any, state: Any) -> Any:
            rows = order[step]
            return groups(
                state, eta, lmbd, x[rows], y[rows], scale[step], penalty[step], rates[step]
            )

        return jax.lax.fori_loop(first, last, take, state)

    return jax.jit(run)  # type: ignore[no-any-return]


@lru_cache(maxsize=16)
def _probabilities(network: Network) -> Callable[..., Any]:
    """The forward pass of a stack of cells, compiled: (cells, samples, classes)."""
    jax, nn, jnp = load("jax"), load("jax.nn"), load("jax.numpy")

    def one(weights: Any, x: Any) -> Any:
        z = _logits(network, weights, x)
        if network.output == "softmax":
            return nn.softmax(z)
        if network.output == "logistic":
            p = nn.sigmoid(z)
            return jnp.concatenate([1 - p, p], -1)
        return z

    return jax.jit(jax.vmap(one, in_axes=(0, None)))  # type: ignore[no-any-return]
