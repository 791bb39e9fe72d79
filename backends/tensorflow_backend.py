"""Low-level TensorFlow: variables, matmul and GradientTape under tf.function, no Keras.

One compiled loop takes all steps of all cells. Samples are columns here, z = W^T x^T: variables hold W^T,
(groups, cells, outputs, inputs), the cells of a group sharing their minibatches, so that the first layer
of all of them is one product. Minibatches have a fixed number of rows: a
short one is filled up with rows of weight zero, so that one trace serves the whole grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.early_stopping import STOPPING, TrainingPath
from backends.formulas import LEAKY_SLOPE, eta_factors
from backends.frameworks import gpus_of, load, tensorflow_defaults
from backends.network import OPTIMIZERS, Array, Cells, Fit, Network, Training, Weights
from backends.padding import cost_weights, penalty_factors, rectangle
from backends.plan import Plan


class TensorFlowBackend(Backend):
    """tf.Variable, tf.matmul, tf.GradientTape; the optimiser written out."""

    name = "tensorflow"
    library = "tensorflow"
    modules = ("tensorflow",)
    stacks = True
    optimizers = OPTIMIZERS
    heeds = tuple(option for option in OPTIONS if option != "monitor")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "penalty",
            "lmbd * tf.reduce_sum(tf.square(W)) / 2, an lmbd for each cell: the sum over cells of "
            "lmbd * tf.nn.l2_loss(W)",
            "none; tf.nn.l2_loss(W) is ||W||^2 / 2",
        ),
        Convention(
            "cost of a minibatch",
            "tf.reduce_sum of the cross-entropy from logits, tf.reduce_logsumexp(z) - z_y (one program, as "
            "for two classes: tf.nn's; regression: tf.square / 2), times 1 / n",
            "left to the programmer",
        ),
        Convention("l1", "l1 * tf.reduce_sum(tf.abs(W)), added to the objective", "none"),
        Convention("initial weights", "the plan's", "left to the programmer"),
        Convention("initial biases", "the plan's", "left to the programmer"),
        Convention("minibatches", "the plan's, gathered by tf.gather", "left to the programmer"),
        Convention(
            "short last minibatch", "filled up with rows of weight 0, the others at 1 / r", "none"
        ),
        Convention(
            "optimiser",
            "written out on tf.Variable, all cells in one tf.while_loop under tf.function",
            "left to the programmer",
        ),
        Convention("momentum", "written out, v = m v - eta g", "left to the programmer"),
        Convention(
            "Adam",
            "written out, epsilon = 1e-8 beside the uncorrected root; ours: the bias correction "
            "computed in float64",
            "epsilon = 1e-7 in tf.keras",
        ),
        Convention(
            "rmsprop, adagrad",
            "written out, epsilon = 1e-8 beside the root, rho = 0.99, v from 0",
            "epsilon = 1e-7 under the root in tf.keras, rho = 0.9, adagrad's v from 0.1",
        ),
        Convention("schedule", "written out, a factor of eta for each step", "none"),
        Convention(
            "leaky_relu slope",
            f"{LEAKY_SLOPE:g}; ours: written out, because tf.nn.leaky_relu holds the slope in float32 "
            "whatever the dtype",
            "0.2",
        ),
        Convention(
            "kernels",
            "oneDNN's on every processor, unless TF_ENABLE_ONEDNN_OPTS says otherwise",
            "oneDNN's on processors with AVX512-VNNI",
        ),
        Convention("two classes", "one logistic output", "left to the programmer"),
        Convention("stopping", STOPPING, "left to the programmer"),
    )

    def gpus(self) -> tuple[str, ...]:
        return gpus_of("tensorflow")

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
        """As TensorFlow's guides write it: variables, a tape, a compiled step, a loop in Python."""
        with tensorflow_defaults(training.device) as tf:
            program = _Program(tf, network, training)
            program.start(*plan.start(), eta, lmbd)
            labels = y.astype(np.int32 if network.classes else training.dtype)
            path: list[tuple[Sequence[Array], Sequence[Array]]] = []
            factors = eta_factors(training, plan)
            for first, last in plan.segments():
                for step in range(first, last):
                    rows = plan.rows(step)[0]
                    program.step(factors[step], x[rows], labels[rows])
                path.append(([W.numpy() for W in program.W], [b.numpy() for b in program.b]))
            return path

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        with tensorflow_defaults(training.device) as tf:
            streams, per_group = cells.layout()
            stack = _stack(network, training, len(streams), per_group, plan.batch_size)
            stack.start(cells, plan, streams)
            order, _ = rectangle(plan.select(streams))
            data = (
                tf.constant(x),
                tf.constant(y, tf.int32 if network.classes else training.dtype),
                tf.constant(order.swapaxes(0, 1), tf.int32),
                tf.constant(cost_weights(plan, training), training.dtype),
                tf.constant(penalty_factors(plan, training), training.dtype),
                tf.constant(eta_factors(training, plan), training.dtype),
            )
            path = TrainingPath(x, y, network, training, plan)
            for first, last in path.segments():
                stack.run(tf.constant(first), tf.constant(last), *data)
                path.add(stack.weights())
        return path.fit()

    def graph(self, network: Network, training: Training, rows: int) -> Any:
        """The ``tf.Graph`` of one step on a minibatch of ``rows``, as TensorBoard shows it."""
        with tensorflow_defaults() as tf:
            stack = _Stack(network, training, 1, 1, rows)
            real = tf.as_dtype(training.dtype)

            def training_step(x: Any, y: Any, scale: Any, penalty: Any, rate: Any) -> None:
                gradients = stack.gradients(x, y, scale, penalty)
                with tf.name_scope("update"):
                    stack.update(gradients, rate)

            step = tf.function(training_step, autograph=False).get_concrete_function(
                tf.TensorSpec([1, rows, network.features], real, name="x"),
                tf.TensorSpec([1, rows], tf.int32 if network.classes else real, name="y"),
                *(tf.TensorSpec(shape, real) for shape in ([rows], [], [])),
            )
            return step.graph

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        with tensorflow_defaults() as tf:
            W = [tf.constant(layer.swapaxes(1, 2)[None]) for layer in weights.W]
            b = [tf.constant(layer[None, ..., None]) for layer in weights.b]
            z = tf.linalg.matrix_transpose(_forward(tf, tf.constant(x)[None], network, W, b)[0])
            if network.output == "softmax":
                return tf.nn.softmax(z).numpy()
            if network.output == "logistic":
                p = tf.sigmoid(z)
                return tf.concat([1 - p, p], axis=-1).numpy()
            return z.numpy()


class _Stack:
    """Variables and the compiled loop for one shape of stack; used again for the next weights."""

    def __init__(
        self, network: Network, training: Training, groups: int, per_group: int, rows: int
    ) -> None:
        tf = load("tensorflow")
        self.network, self.training = network, training
        self.shape = (groups, per_group)

        def variable(*shape: int) -> Any:
            return tf.Variable(tf.zeros((groups, per_group, *shape), training.dtype))

        self.W = [variable(outputs, inputs) for inputs, outputs in network.shapes]
        self.b = [variable(outputs, 1) for _, outputs in network.shapes]
        self.eta, self.lmbd = variable(1, 1), variable(1, 1)
        self.slots = [
            [tf.Variable(tf.zeros_like(v)) for v in self.W + self.b] for _ in range(training.slots)
        ]
        real = tf.as_dtype(training.dtype)
        target = tf.int32 if network.classes else real
        signature = [
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, network.features], real),
            tf.TensorSpec([None], target),
            tf.TensorSpec([None, groups, rows], tf.int32),
            tf.TensorSpec([None, rows], real),
            tf.TensorSpec([None], real),
            tf.TensorSpec([None], real),
        ]
        self.run: Callable[..., None] = tf.function(
            self._loop, input_signature=signature, autograph=False
        )

    def start(self, cells: Cells, plan: Plan, streams: NDArray[np.intp]) -> None:
        """Put in the cells' eta and lmbd and the plan's initial weights; forget the last training."""
        for variable, values in ((self.eta, cells.eta), (self.lmbd, cells.lmbd)):
            variable.assign(values.reshape(variable.shape).astype(self.training.dtype))
        initial = plan.initial[streams]
        tensors = [W.swapaxes(1, 2)[:, None] for W in initial.W]
        tensors += [b[:, None, :, None] for b in initial.b]
        for variable, tensor in zip(self.W + self.b, tensors, strict=True):
            variable.assign(np.broadcast_to(tensor, variable.shape))
        for slot in self.slots:
            for variable in slot:
                variable.assign(np.zeros(variable.shape, self.training.dtype))

    def weights(self) -> Weights:
        cells = self.shape[0] * self.shape[1]
        return Weights(
            tuple(W.numpy().reshape(cells, *W.shape[2:]).swapaxes(1, 2) for W in self.W),
            tuple(b.numpy().reshape(cells, b.shape[2]) for b in self.b),
        )

    def _loop(
        self, first: Any, last: Any, x: Any, y: Any, order: Any, scale: Any, penalty: Any, rate: Any
    ) -> None:
        tf = load("tensorflow")

        def take(step: Any) -> Any:
            rows = order[step]
            gradients = self.gradients(
                tf.gather(x, rows), tf.gather(y, rows), scale[step], penalty[step]
            )
            self.update(gradients, rate[step])
            return step + 1

        # written as what AutoGraph would make of a for: its rewriting of the source takes half a second
        tf.while_loop(lambda step: step < last, take, [first])

    def gradients(self, x: Any, y: Any, scale: Any, penalty: Any) -> Any:
        """Of the sum of all cells' objectives: no cell's objective depends on another's weights."""
        tf = load("tensorflow")
        with tf.GradientTape() as tape:
            z = _forward(tf, x, self.network, self.W, self.b)
            with tf.name_scope("cost"):
                objective = tf.reduce_sum(_stack_cost(tf, z, y, self.network) * scale)
            with tf.name_scope("penalty"):
                for layer, W in enumerate(self.W):
                    if self.training.penalty(1.0, 1, layer, len(self.W)):
                        # sum over cells of lmbd * tf.nn.l2_loss(W of the cell)
                        squares = tf.reduce_sum(tf.square(W), axis=(2, 3), keepdims=True)
                        objective += penalty * tf.reduce_sum(self.lmbd * squares) / 2
                        if self.training.l1:
                            l1 = tf.constant(self.training.l1, W.dtype)
                            objective += penalty * l1 * tf.reduce_sum(tf.abs(W))
        return tape.gradient(objective, self.W + self.b)

    def update(self, gradients: Sequence[Any], rate: Any) -> None:
        """One step of the optimiser; ``rate`` is what eta is multiplied by (:func:`eta_factors`)."""
        tf = load("tensorflow")
        _update(tf, self.training, self.W + self.b, gradients, self.slots, self.eta, rate)


_stack = lru_cache(maxsize=16)(_Stack)


class _Program:
    """One network as its own program: variables (inputs, outputs) and (outputs,), a compiled step."""

    def __init__(self, tf: Any, network: Network, training: Training) -> None:
        self.tf, self.network, self.training = tf, network, training
        self.W = [tf.Variable(tf.zeros(shape, training.dtype)) for shape in network.shapes]
        self.b = [tf.Variable(tf.zeros(size, training.dtype)) for size in network.sizes[1:]]
        self.slots = [
            [tf.Variable(tf.zeros_like(v)) for v in self.W + self.b] for _ in range(training.slots)
        ]
        self.eta = tf.Variable(0.0, dtype=training.dtype)
        self.lmbd = tf.Variable(0.0, dtype=training.dtype)
        self._compiled = tf.function(self._step, autograph=False, reduce_retracing=True)

    def start(self, W: Sequence[Array], b: Sequence[Array], eta: float, lmbd: float) -> None:
        for variable, value in zip(self.W + self.b, [*W, *b], strict=True):
            variable.assign(value)
        self.eta.assign(np.dtype(self.training.dtype).type(eta))
        self.lmbd.assign(np.dtype(self.training.dtype).type(lmbd))

    def step(self, rate: float, x: Array, y: NDArray) -> None:
        tf, training = self.tf, self.training
        penalty = training.penalty(1.0, len(x), 0, 2)
        self._compiled(
            tf.constant(x),
            tf.constant(y),
            *(
                tf.constant(value, training.dtype)
                for value in (training.cost_scale(len(x)), penalty, rate)
            ),
        )

    def _step(self, x: Any, y: Any, scale: Any, penalty: Any, rate: Any) -> None:
        tf = self.tf
        with tf.GradientTape() as tape:
            z = x
            for layer, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
                a = z if layer == 0 else _activation(tf, self.network.activations[layer - 1])(z)
                z = tf.matmul(a, W) + b
            objective = tf.reduce_sum(_cost(tf, z, y, self.network)) * scale
            for layer, W in enumerate(self.W):
                if self.training.penalty(1.0, 1, layer, len(self.W)):
                    objective += penalty * self.lmbd * tf.nn.l2_loss(W)
                    if self.training.l1:
                        l1 = tf.constant(self.training.l1, W.dtype)
                        objective += penalty * l1 * tf.reduce_sum(tf.abs(W))
        gradients = tape.gradient(objective, self.W + self.b)
        _update(tf, self.training, self.W + self.b, gradients, self.slots, self.eta, rate)


def _update(
    tf: Any,
    training: Training,
    parameters: Sequence[Any],
    gradients: Sequence[Any],
    slots: Sequence[Sequence[Any]],
    eta: Any,
    rate: Any,
) -> None:
    """One step of the optimiser; ``rate`` is what eta is multiplied by (:func:`eta_factors`)."""
    for index, (theta, g) in enumerate(zip(parameters, gradients, strict=True)):
        own = [slot[index] for slot in slots]
        real = theta.dtype
        if training.optimizer == "adam":
            m, v = own
            beta_1, beta_2 = (tf.constant(v, real) for v in (training.beta_1, training.beta_2))
            rest_1, rest_2 = (tf.constant(1 - v, real) for v in (training.beta_1, training.beta_2))
            m.assign(beta_1 * m + rest_1 * g)
            v.assign(beta_2 * v + rest_2 * tf.square(g))
            epsilon = tf.constant(training.epsilon, real)
            theta.assign_sub(eta * rate * m / (tf.sqrt(v) + epsilon))
        elif training.optimizer != "sgd":
            (v,) = own
            keep, share = (tf.constant(value, real) for value in training.squares)
            v.assign(keep * v + share * tf.square(g))
            epsilon = tf.constant(training.epsilon, real)
            theta.assign_sub(eta * rate * g / (tf.sqrt(v) + epsilon))
        elif training.momentum:
            (v,) = own
            momentum = tf.constant(training.momentum, real)
            change = eta * rate * g
            v.assign(momentum * v - change)
            theta.assign_add(momentum * v - change if training.nesterov else v)
        else:
            theta.assign_sub(eta * rate * g)


def _activation(tf: Any, name: str) -> Callable[[Any], Any]:
    return {
        "identity": tf.identity,
        "sigmoid": tf.sigmoid,
        "tanh": tf.tanh,
        "relu": tf.nn.relu,
        "leaky_relu": lambda z: tf.where(z > 0, z, LEAKY_SLOPE * z),
        "elu": tf.nn.elu,
    }[name]


def _forward(tf: Any, x: Any, network: Network, W: Sequence[Any], b: Sequence[Any]) -> Any:
    """Logits (groups, cells, outputs, rows) of inputs (groups, rows, features).

    W[l] (groups, cells, outputs, inputs), b[l] (groups, cells, outputs, 1).
    """
    groups, cells, units, features = W[0].shape
    with tf.name_scope("layer_1"):
        z = tf.matmul(tf.reshape(W[0], (groups, cells * units, features)), x, transpose_b=True)
        z = tf.reshape(z, (groups, cells, units, tf.shape(x)[1])) + b[0]
    for layer, (W_l, b_l) in enumerate(zip(W[1:], b[1:], strict=True), start=2):
        with tf.name_scope(f"layer_{layer}"):
            z = tf.matmul(W_l, _activation(tf, network.activations[layer - 2])(z)) + b_l
    return z


def _stack_cost(tf: Any, z: Any, y: Any, network: Network) -> Any:
    """Cost of every cell's samples from logits (groups, cells, outputs, rows) and labels (groups, rows).

    The cross-entropy written out, log sum_k exp(z_k) - z_y: tf.nn's wants the outputs last, and takes
    four times as long.
    """
    if network.output == "softmax":
        chosen = tf.one_hot(y, network.outputs, axis=1, dtype=z.dtype)[:, None]
        return tf.reduce_logsumexp(z, axis=2) - tf.reduce_sum(z * chosen, axis=2)
    labels = tf.broadcast_to(y[:, None], (z.shape[0], z.shape[1], tf.shape(z)[3]))
    return _cost(tf, tf.linalg.matrix_transpose(z), labels, network)


def _cost(tf: Any, z: Any, y: Any, network: Network) -> Any:
    """Cost of every sample from logits (..., rows, outputs) and labels or targets (..., rows)."""
    if network.output == "softmax":
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z)
    if network.output == "logistic":
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(y, z.dtype), logits=z[..., 0])
    return tf.square(z[..., 0] - y) / 2
