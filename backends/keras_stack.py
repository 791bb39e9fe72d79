"""The Keras model behind :mod:`backends.keras_backend`: a stack of networks in one Sequential.

Tensors carry two leading axes beside their own: groups (cells that share minibatches), which is the axis
that Keras calls the batch, and cells of a group. An element of the data is a minibatch for each group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from backends.early_stopping import TrainingPath
from backends.formulas import LEAKY_SLOPE, eta_factors
from backends.frameworks import load, on_device, tensorflow_defaults
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.padding import cost_weights, penalty_factors, rectangle
from backends.plan import Plan

STEPS_PER_EXECUTION = 50
_GATHERED_BYTES = 2**22  # of minibatches at most, that are gathered from the data at a time
ROWS_AT_ONCE = 1024  # samples in one call of the model when predicting


class StackDense(keras.layers.Layer):
    """The dense layers of all cells, each with weights as (outputs, inputs).

    Gives (groups, cells, outputs, rows) of what such a layer gave, or of inputs (groups, rows, features),
    which the cells of a group share: all of them are one product then. Nothing has to be moved in memory;
    keras.layers.EinsumDense, whose input comes first, takes a third more time. By einsum and not matmul,
    which since Keras 3.12 computes in float32 whatever it is given, on all engines but TensorFlow.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        outputs: int,
        activation: Any,
        kernel_regularizer: StackL2 | None,
        dtype: str,
    ) -> None:
        super().__init__(dtype=dtype)
        self.shape, self.outputs = shape, outputs
        self.kernel_regularizer = kernel_regularizer
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Sequence[int]) -> None:
        inputs = input_shape[-1] if len(input_shape) == 3 else input_shape[-2]
        self.kernel = self.add_weight(
            shape=(*self.shape, self.outputs, inputs),
            initializer="zeros",
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(*self.shape, self.outputs, 1), initializer="zeros", name="bias"
        )

    def call(self, a: Any) -> Any:
        if len(a.shape) == 3:
            groups, cells, outputs, inputs = self.kernel.shape
            side_by_side = ops.reshape(self.kernel, (groups, cells * outputs, inputs))
            z = ops.einsum("gof,gnf->gon", side_by_side, a)
            z = ops.reshape(z, (groups, cells, outputs, -1))
        else:
            z = ops.einsum("gcoi,gcin->gcon", self.kernel, a)
        return self.activation(z + self.bias)


class StackL2(keras.regularizers.Regularizer):
    """regularizers.L2 with a factor of its own for every cell, in a variable: l * sum(W^2).

    ``l1``: a variable with the factor of sum(|W|), if there is such a penalty.
    """

    def __init__(self, factor: keras.Variable, l1: keras.Variable | None = None) -> None:
        self.factor, self.l1 = factor, l1

    def __call__(self, W: Any) -> Any:
        square = ops.sum(self.factor * ops.sum(ops.square(W), axis=(2, 3), keepdims=True))
        return square if self.l1 is None else square + self.l1 * ops.sum(ops.abs(W))


class StackLoss(keras.losses.Loss):
    """Every sample's cost summed over the cells; sample weights carry 1/n of the minibatch.

    The cross-entropy is written out, log sum_k exp(z_k) - z_y: the one of keras.losses wants the outputs
    last, and takes several times as long.
    """

    def __init__(self, network: Network, dtype: str) -> None:
        super().__init__(reduction="sum", dtype=dtype)
        self.network = network

    def call(self, y: Any, z: Any) -> Any:
        """y (groups, rows), logits z (groups, cells, outputs, rows); gives (groups, rows)."""
        if self.network.output == "softmax":
            chosen = ops.one_hot(y, self.network.outputs, axis=1, dtype=z.dtype)[:, None]
            cost = ops.logsumexp(z, axis=2) - ops.sum(z * chosen, axis=2)
            return ops.sum(cost, axis=1)
        z = z[:, :, 0]
        y = ops.broadcast_to(y[:, None], ops.shape(z))
        if self.network.output == "logistic":
            # of ops, not of losses, whose mean over one output is in float32 on PyTorch
            cost = ops.binary_crossentropy(ops.cast(y, z.dtype), z, from_logits=True)
        else:
            cost = ops.square(z - y) / 2
        return ops.sum(cost, axis=1)


def _per_cell(base: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """The stock optimiser with the learning rate of every cell in ``eta`` (groups, cells)."""

    class PerCell(base):  # type: ignore[misc, valid-type]
        eta: keras.Variable

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = ops.reshape(self.eta * self.correction(), (*self.eta.shape, 1, 1))
            super().update_step(gradient, variable, rate)

        def correction(self) -> Any:
            """What the library's own round-off is to be made up for with."""
            return 1

    return PerCell


class ExactAdam(_per_cell(keras.optimizers.Adam)):  # type: ignore[misc]
    """Stock Adam, its bias correction as exact in float32 as the rest.

    Keras computes 1 - beta_2^t in the variable's dtype. In float32 what is left of 1 - 0.999 is wrong
    by 5e-5, and with it the size of the first steps. The learning rate makes up for that: it is
    multiplied by what the correction should be over what it comes to.
    """

    def correction(self) -> Any:
        if self.eta.dtype == "float64":
            return 1
        beta_1, beta_2 = np.float64(self.beta_1), np.float64(self.beta_2)
        exact = _bias_correction(beta_1, beta_2, self.iterations, "float64")
        rounded = _bias_correction(self.beta_1, self.beta_2, self.iterations, "float32")
        return ops.cast(exact / ops.cast(rounded, "float64"), "float32")


class ScaledByRoot(keras.optimizers.RMSprop):
    """rmsprop and adagrad with epsilon beside the root: k v + s g^2, eta g / (sqrt(v) + epsilon).

    Keras has epsilon under the root, and its Adagrad does not start at 0.
    """

    squares: tuple[Any, Any]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        v = self._velocities[self._get_variable_index(variable)]
        keep, share = (ops.cast(value, variable.dtype) for value in self.squares)
        self.assign(v, keep * v + share * ops.square(gradient))
        epsilon, rate = (ops.cast(t, variable.dtype) for t in (self.epsilon, learning_rate))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(v) + epsilon))


def _bias_correction(beta_1: Any, beta_2: Any, iterations: Any, dtype: str) -> Any:
    """sqrt(1 - beta_2^t) / (1 - beta_1^t) at t = iterations + 1, computed as Keras does."""
    step = ops.cast(iterations + 1, dtype)
    power_1, power_2 = (ops.power(ops.cast(beta, dtype), step) for beta in (beta_1, beta_2))
    return ops.sqrt(1 - power_2) / (1 - power_1)


def _optimizer(training: Training) -> Any:
    # Keras turns Python floats into float32 on their way to float64; NumPy's float64 stays exact
    exact = np.float64 if training.dtype == "float64" else float
    if training.optimizer == "adam":
        optimizer = ExactAdam(learning_rate=1.0)
        optimizer.beta_1, optimizer.beta_2 = exact(training.beta_1), exact(training.beta_2)
        optimizer.epsilon = exact(training.epsilon)
        return optimizer
    if training.optimizer == "sgd":
        return _per_cell(keras.optimizers.SGD)(
            learning_rate=1.0, momentum=exact(training.momentum), nesterov=training.nesterov
        )
    return _scaled_by_root(_per_cell(ScaledByRoot), training, exact)


def _scaled_by_root(kind: Any, training: Training, exact: type, eta: Any = 1.0) -> Any:
    optimizer = kind(learning_rate=eta)
    optimizer.squares = tuple(exact(value) for value in training.squares)
    optimizer.epsilon = exact(training.epsilon)
    return optimizer


class Stack:
    """One Sequential for (groups, cells) networks, compiled once and used for many trainings.

    To be made and used inside :func:`keras_defaults` of the training's dtype.
    """

    def __init__(self, network: Network, training: Training, groups: int, per_group: int) -> None:
        self.network, self.training = network, training
        self.shape = (groups, per_group)
        dtype = training.dtype
        self.eta = keras.Variable(np.zeros(self.shape), dtype=dtype, trainable=False)
        self.l2 = keras.Variable(np.zeros((*self.shape, 1, 1)), dtype=dtype, trainable=False)
        self.l1 = keras.Variable(0.0, dtype=dtype, trainable=False) if training.l1 else None
        self.model = keras.Sequential(
            [
                keras.Input(batch_shape=(groups, None, network.features), dtype=dtype),
                *(self._layer(layer) for layer in range(network.layers)),
            ]
        )
        optimizer = _optimizer(training)
        optimizer.eta = self.eta
        optimizer.build(self.model.trainable_variables)
        self.model.compile(
            optimizer=optimizer,
            loss=StackLoss(network, dtype),
            steps_per_execution=1 if keras.config.backend() == "torch" else STEPS_PER_EXECUTION,
        )

    def _layer(self, layer: int) -> StackDense:
        network, last = self.network, self.network.layers - 1
        penalised = self.training.penalised == "all" or layer < last
        dense = StackDense(
            self.shape,
            network.sizes[layer + 1],
            None if layer == last else _activation(network.activations[layer]),
            StackL2(self.l2, self.l1) if penalised else None,
            self.training.dtype,
        )
        # variables of the model's, or JAX would take their values for constants
        dense.l2, dense.l1 = self.l2, self.l1
        return dense

    def train(self, x: Array, y: NDArray, cells: Cells, plan: Plan, path: TrainingPath) -> Fit:
        """The cells trained along their path; ``plan`` has one stream for each group."""
        dtype = self.training.dtype
        order, _ = rectangle(plan)
        scale, penalty = cost_weights(plan, self.training), penalty_factors(plan, self.training)
        for variable in self.model.optimizer.variables:  # step count, velocities, moments; also eta
            variable.assign(np.zeros(variable.shape, variable.dtype))
        eta = cells.eta.reshape(self.shape)
        schedule = np.array(eta_factors(replace(self.training, optimizer="sgd"), plan))
        lmbd = cells.lmbd.reshape(*self.shape, 1, 1)
        self._set_weights(plan.initial)
        source = _TensorFlowMinibatches if _on_tensorflow() else _Minibatches
        minibatches = source(x, y, order.swapaxes(0, 1), scale.astype(dtype))
        for segment in path.segments():
            for first, last in _runs(np.column_stack([penalty, schedule]), *segment):
                self.eta.assign((eta * schedule[first]).astype(dtype))
                self.l2.assign((lmbd * penalty[first] / 2).astype(dtype))
                if self.l1 is not None:
                    self.l1.assign(np.asarray(self.training.l1 * penalty[first], dtype))
                self.model.fit(
                    minibatches.between(first, last),
                    steps_per_epoch=last - first,
                    epochs=1,
                    shuffle=False,
                    verbose=0,
                )
            path.add(self.weights())
        return path.fit()

    def predict(self, x: Array, weights: Weights) -> Array:
        """Probabilities or targets (cells, samples, classes) of a stack of one group."""
        self._set_weights(weights, cells=True)
        # the model is called, as its own predict does, which takes 50 ms to get going
        blocks = [
            ops.convert_to_numpy(self.model(x[None, start : start + ROWS_AT_ONCE])[0])
            for start in range(0, len(x), ROWS_AT_ONCE)
        ]
        z = np.ascontiguousarray(np.concatenate(blocks, axis=2).swapaxes(1, 2))
        if self.network.output == "identity":
            return z
        if self.network.output == "softmax":
            return ops.convert_to_numpy(keras.activations.softmax(z))
        p = ops.convert_to_numpy(keras.activations.sigmoid(z))
        return np.concatenate([1 - p, p], axis=-1)

    def graph(self, rows: int) -> Any:
        """The graph of one step on a minibatch of ``rows``: forward, objective, gradients, update."""
        model, dtype, tf = self.model, self.training.dtype, load("tensorflow")

        def training_step(x: Any, y: Any) -> None:
            with tf.GradientTape() as tape:
                z = model(x, training=True)
                with tf.name_scope("objective"):
                    objective = model.compute_loss(x, y, z)
            variables = model.trainable_variables
            with tf.name_scope("update"):
                model.optimizer.apply(tape.gradient(objective, variables), variables)

        target = tf.int32 if self.network.classes else dtype
        step = tf.function(training_step).get_concrete_function(
            tf.TensorSpec([self.shape[0], rows, self.network.features], dtype, name="x"),
            tf.TensorSpec([self.shape[0], rows], target, name="y"),
        )
        return step.graph

    def weights(self) -> Weights:
        cells = self.shape[0] * self.shape[1]
        tensors = [ops.convert_to_numpy(v) for v in self.model.trainable_variables]
        return Weights(
            tuple(W.reshape(cells, *W.shape[2:]).swapaxes(1, 2) for W in tensors[0::2]),
            tuple(b.reshape(cells, b.shape[2]) for b in tensors[1::2]),
        )

    def _set_weights(self, weights: Weights, *, cells: bool = False) -> None:
        """Give each cell weights of its own, or, by default, the cells of each group the same."""
        tensors = []
        for W, b in zip(weights.W, weights.b, strict=True):
            for tensor in (W.swapaxes(1, 2), b[..., None]):
                stacked = tensor[None] if cells else tensor[:, None]
                tensors.append(np.broadcast_to(stacked, (*self.shape, *tensor.shape[1:])))
        for variable, tensor in zip(self.model.trainable_variables, tensors, strict=True):
            variable.assign(tensor)


stack_for = lru_cache(maxsize=16)(Stack)


def stock_path(
    x: Array,
    y: NDArray,
    network: Network,
    training: Training,
    eta: float,
    lmbd: float,
    plan: Plan,
) -> list[tuple[Sequence[Array], Sequence[Array]]]:
    """One network as Keras's guides have it: Dense layers, stock regulariser, loss, optimiser, fit.

    What Keras rounds by itself stays rounded: momentum, beta_1, beta_2 and the penalty's factor are Python
    floats. ``fit`` walks through rows laid out in the plan's order, minibatches of one size in a call.
    """
    last, dtype = network.layers - 1, training.dtype
    layers = [
        keras.layers.Dense(
            network.sizes[layer + 1],
            activation=None if layer == last else _activation(network.activations[layer]),
            kernel_regularizer=_stock_penalty(training, lmbd, plan.batch_size, layer, network),
            dtype=dtype,
        )
        for layer in range(network.layers)
    ]
    model = keras.Sequential([keras.Input((network.features,), dtype=dtype), *layers])
    model.set_weights([t for pair in zip(*plan.start(), strict=True) for t in pair])
    optimizer = _stock_optimizer(training, _stock_rate(training, eta, plan.steps_per_epoch))
    model.compile(optimizer=optimizer, loss=_stock_loss(network, training))
    path: list[tuple[Sequence[Array], Sequence[Array]]] = []
    for first, end in plan.segments():
        for start, stop in _runs(np.diff(plan.bounds), first, end):
            rows = plan.order[0, plan.bounds[start] : plan.bounds[stop]]
            size = int(plan.bounds[start + 1] - plan.bounds[start])
            targets = y[rows] if network.classes > 2 else y[rows, None].astype(dtype)
            model.fit(x[rows], targets, batch_size=size, epochs=1, shuffle=False, verbose=0)
        tensors = model.get_weights()
        path.append((tensors[0::2], tensors[1::2]))
    return path


def _stock_penalty(
    training: Training, lmbd: float, rows: int, layer: int, network: Network
) -> keras.regularizers.Regularizer | None:
    factor = float(training.penalty(lmbd, rows, layer, network.layers))
    if training.l1:
        l1 = float(training.penalty(training.l1, rows, layer, network.layers))
        return keras.regularizers.L1L2(l1, factor / 2)
    return keras.regularizers.L2(factor / 2) if factor else None


def _stock_rate(training: Training, eta: float, steps_per_epoch: int | None) -> Any:
    """The learning rate, or Keras's own schedule of it, whose staircase changes it after whole epochs."""
    if training.schedule == "constant":
        return eta
    if steps_per_epoch is None:
        raise ValueError("a schedule of eta needs a plan that counts epochs")
    if training.schedule == "inverse":
        return keras.optimizers.schedules.InverseTimeDecay(
            eta, steps_per_epoch, training.decay, staircase=True
        )
    return keras.optimizers.schedules.ExponentialDecay(
        eta, steps_per_epoch * training.decay_epochs, training.decay, staircase=True
    )


def _stock_optimizer(training: Training, eta: Any) -> keras.optimizers.Optimizer:
    if training.optimizer == "adam":
        return keras.optimizers.Adam(
            learning_rate=eta,
            beta_1=training.beta_1,
            beta_2=training.beta_2,
            epsilon=training.epsilon,
        )
    if training.optimizer != "sgd":
        return _scaled_by_root(ScaledByRoot, training, float, eta)
    return keras.optimizers.SGD(
        learning_rate=eta, momentum=training.momentum, nesterov=training.nesterov
    )


def _stock_loss(network: Network, training: Training) -> keras.losses.Loss:
    reduction = "sum_over_batch_size" if training.cost == "mean" else "sum"
    if network.output == "softmax":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    if network.output == "logistic":
        return keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
    return _HalfSquaredError(reduction=reduction)


class _HalfSquaredError(keras.losses.MeanSquaredError):
    """Keras's own squared error, halved as in the canonical objective."""

    def call(self, y: Any, z: Any) -> Any:
        return super().call(y, z) / 2


def _activation(name: str) -> Any:
    if name == "leaky_relu":
        return lambda z: ops.where(z > 0, z, LEAKY_SLOPE * z)
    return {"identity": "linear"}.get(name, name)


def _runs(values: NDArray[Any], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The stretches of equal values, one (or a row of them) a step, between two steps."""
    if last == first:
        return
    changes = np.diff(values[first:last].reshape(last - first, -1), axis=0)
    cuts = np.flatnonzero(changes.any(axis=1)) + first + 1
    yield from pairwise([first, *cuts.tolist(), last])


class _Minibatches:
    """Inputs (groups, rows, features), targets (groups, rows) and sample weights (1, rows), step by step."""

    def __init__(self, x: Array, y: NDArray, order: NDArray[np.integer], scale: Array) -> None:
        self.x, self.y, self.order, self.scale = x, y, order, scale

    def between(self, first: int, last: int) -> Any:
        for step in range(first, last):
            rows = self.order[step]
            yield self.x[rows], self.y[rows], self.scale[step][None]


class _TensorFlowMinibatches:
    """The same as a ``tf.data.Dataset``, which TensorFlow draws from in its own threads."""

    def __init__(self, x: Array, y: NDArray, order: NDArray[np.integer], scale: Array) -> None:
        tf = load("tensorflow")
        self.x, self.y, self.tf = tf.constant(x), tf.constant(y), tf
        options = tf.data.Options()
        # its thread has training wait, a third of the time on one core
        options.autotune.enabled = False
        self.steps = tf.data.Dataset.from_tensor_slices((order, scale)).with_options(options)
        width = order[0].size * x[0].nbytes
        self.gathered = max(1, min(STEPS_PER_EXECUTION, _GATHERED_BYTES // width))

    def between(self, first: int, last: int) -> Any:
        steps = self.steps.skip(first).take(last - first)
        # a call of the function costs more than what it does for one step
        return steps.batch(self.gathered).map(self._minibatches).unbatch()

    def _minibatches(self, rows: Any, scale: Any) -> tuple[Any, Any, Any]:
        return self.tf.gather(self.x, rows), self.tf.gather(self.y, rows), scale[:, None]


def _on_tensorflow() -> bool:
    return bool(keras.config.backend() == "tensorflow")


@contextmanager
def _engine_defaults(device: str) -> Iterator[None]:
    engine = keras.config.backend()
    if engine == "tensorflow":
        with tensorflow_defaults(device):
            yield
        return
    on_torch = keras.device("cpu" if device == "cpu" else "gpu:0")
    with np.errstate(all="ignore"), on_device("jax", device) if engine == "jax" else on_torch:
        yield


@contextmanager
def keras_defaults(dtype: str, device: str = "cpu") -> Iterator[None]:
    """Keras and its engine as they are by default, in this dtype, on a device, whatever the process has set.

    Keras casts losses to its global floatx, and a policy of mixed precision scales them. Afterwards all is
    as before.
    """
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    with _engine_defaults(device):
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)
