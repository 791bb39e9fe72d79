"""Keras: a Sequential trained by fit.

The stack of cells is one Sequential of ``StackDense`` layers of our own, each holding the dense layers of
all cells side by side. eta and lmbd differ from cell to cell and live in variables, so one compiled
model serves the whole grid; it is built in :mod:`backends.keras_stack`, which imports Keras. What Keras
has for one network only (a number as learning rate, as penalty) has a subclass there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.early_stopping import STOPPING, TrainingPath
from backends.formulas import LEAKY_SLOPE
from backends.frameworks import KERAS_ENGINES, gpus_of, keras_engine, load
from backends.network import OPTIMIZERS, Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan

TANH_IN_FLOAT32 = "tanh is computed in float32, as Keras from 3.12 on does on JAX"
PRODUCTS_IN_FLOAT32 = (
    "matrix products are computed in float32, as Keras from 3.12 on does on PyTorch"
)


def engine_with_float32(versions: Mapping[str, str]) -> str:
    """The engine of a Keras that computes in float32 in places, from 3.12 on; empty for anything else.

    versions: of the libraries that compute, by distribution; of two engines nobody can say which it was.
    """
    engines = [name for name in KERAS_ENGINES if name in versions]
    numbers = versions.get("keras", "").split(".")[:2]
    new = all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) >= (3, 12)
    return engines[0] if new and len(engines) == 1 else ""


class KerasBackend(Backend):
    """keras.Sequential of all cells side by side, keras.optimizers with an eta for each, model.fit."""

    name = "keras"
    library = "keras"
    modules = (
        keras_engine(),
        "keras",
    )  # so that a worker that has the engine is given Keras's units
    stacks = True
    optimizers = OPTIMIZERS
    heeds = tuple(option for option in OPTIONS if option != "monitor")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "layers",
            "ours: StackDense, the dense layers of all cells side by side, by keras.ops.einsum",
            "keras.layers.Dense, a model for each cell",
        ),
        Convention(
            "penalty",
            "ours: a kernel_regularizer StackL2, which is regularizers.L2(lmbd / 2) with an lmbd for "
            "each cell",
            "none; L2(l) is l ||W||^2",
        ),
        Convention("l1", "in StackL2 as well; the stock program: regularizers.L1L2", "none"),
        Convention(
            "cost of a minibatch",
            "ours: StackLoss, the sum over cells of the cross-entropy from logits, ops.logsumexp(z) - z_y "
            "(one program, as for two classes: Keras's; regression: half the squared error); sample_weight "
            "1 / n makes it the mean over the minibatch",
            "the mean",
        ),
        Convention("initial weights", "the plan's", "Glorot uniform"),
        Convention("initial biases", "the plan's", "0"),
        Convention(
            "minibatches",
            "the plan's, a tf.data.Dataset with shuffle=False, 50 steps_per_execution",
            "a permutation an epoch, tail kept; one step",
        ),
        Convention(
            "short last minibatch",
            "filled up with rows of sample_weight 0, the others at 1 / r",
            "kept",
        ),
        Convention(
            "optimiser",
            "keras.optimizers.SGD or Adam; ours: the subclass PerCell, which hands its update_step a "
            "learning rate for each cell",
            "RMSprop, 1e-3",
        ),
        Convention("momentum", "as asked, Keras's own", "0, for SGD"),
        Convention(
            "Adam",
            "epsilon = 1e-8; ours, in float32: ExactAdam multiplies the learning rate by what makes up "
            "for Keras's rounding of 1 - beta_2^t",
            "epsilon = 1e-7; the first steps are 5e-5 off in float32",
        ),
        Convention(
            "rmsprop, adagrad",
            "ours: ScaledByRoot, with epsilon = 1e-8 beside the root, rho = 0.99, v from 0",
            "epsilon = 1e-7 under the root, rho = 0.9; Adagrad's v starts at 0.1",
        ),
        Convention(
            "schedule",
            "eta assigned anew where it changes; the stock program: none, InverseTimeDecay or "
            "ExponentialDecay with staircase=True",
            "none",
        ),
        Convention(
            "momentum, beta_1, beta_2, epsilon in float64",
            "given as NumPy's float64, which stay exact",
            "a Python float is rounded to float32",
        ),
        Convention(
            "float64 on PyTorch and JAX",
            "matrix products by einsum, which stay in float64; tanh on JAX is left as it is, in float32",
            "since Keras 3.12 ops.matmul and Dense (PyTorch) and tanh (JAX) compute in float32",
        ),
        Convention(
            "leaky_relu slope",
            f"{LEAKY_SLOPE:g}; ours: written out, because keras.activations.leaky_relu holds the slope "
            "in float32 whatever the dtype",
            "0.2 in activations, 0.3 in the layer",
        ),
        Convention(
            "kernels",
            "oneDNN's on every processor, unless TF_ENABLE_ONEDNN_OPTS says otherwise",
            "oneDNN's on processors with AVX512-VNNI",
        ),
        Convention("two classes", "one logistic output", "left to the programmer"),
        Convention(
            "stopping",
            STOPPING,
            "never early; callbacks.EarlyStopping, which has this rule, leaves the loss to the engine",
        ),
    )

    def needs(self) -> tuple[str, ...]:
        return (keras_engine(),)

    def gpus(self) -> tuple[str, ...]:
        return gpus_of(keras_engine())

    def float32_inside(self, network: Network, versions: Mapping[str, str]) -> str:
        on_jax = engine_with_float32(versions) == "jax"
        return TANH_IN_FLOAT32 if on_jax and "tanh" in network.activations else ""

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
        """As Keras's guides write it: a Sequential of Dense, stock loss and optimiser, ``fit``."""
        load("keras")
        from backends.keras_stack import keras_defaults, stock_path

        with keras_defaults(training.dtype, training.device):
            return stock_path(x, y, network, training, eta, lmbd, plan)

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        load("keras")
        from backends.keras_stack import keras_defaults, stack_for

        streams, per_group = cells.layout()
        with keras_defaults(training.dtype, training.device):
            stack = stack_for(network, training, len(streams), per_group)
            path = TrainingPath(x, y, network, training, plan)
            return stack.train(x, y, cells, plan.select(streams), path)

    def graph(self, network: Network, training: Training, rows: int) -> Any:
        """The ``tf.Graph`` of one step on a minibatch of ``rows``, as TensorBoard shows it."""
        load("keras")
        from backends.keras_stack import Stack, keras_defaults

        with keras_defaults(training.dtype):
            return Stack(network, training, 1, 1).graph(rows)

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        load("keras")
        from backends.keras_stack import keras_defaults, stack_for

        training = Training(dtype=np.dtype(x.dtype).name)  # type: ignore[arg-type]
        with keras_defaults(training.dtype):
            return stack_for(network, training, 1, len(weights)).predict(x, weights)
