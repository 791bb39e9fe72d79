"""Keras: a Sequential trained by fit.

The stack of cells is one Sequential of stock ``EinsumDense`` layers, each holding the dense layers of
all cells side by side. eta and lmbd differ from cell to cell and live in variables, so one compiled
model serves the whole grid; it is built in :mod:`backends.keras_stack`, which imports Keras.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.frameworks import load
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan


class KerasBackend(Backend):
    """keras.Sequential of EinsumDense layers, keras.optimizers, model.fit."""

    name = "keras"
    library = "keras"
    modules = ("tensorflow", "keras")
    stacks = True
    heeds = tuple(option for option in OPTIONS if option != "patience")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "penalty",
            "regularizers.L2(lmbd / 2) on every kernel, because L2(l) is l ||W||^2",
            "none",
        ),
        Convention("cost of a minibatch", "sum of cost / n, from logits", "mean"),
        Convention("initial weights", "the plan's", "Glorot uniform"),
        Convention("initial biases", "the plan's", "0"),
        Convention("minibatches", "the plan's, shuffle=False", "a permutation an epoch, tail kept"),
        Convention("short last minibatch", "filled up with rows of sample_weight 0", "kept"),
        Convention("optimiser", "as asked, learning_rate = eta", "RMSprop, 1e-3"),
        Convention("momentum", "as asked", "0, for SGD"),
        Convention("Adam epsilon", "1e-8", "1e-7"),
        Convention("leaky_relu slope", "0.01", "0.2 in activations, 0.3 in the layer"),
        Convention("two classes", "one logistic output", "left to the programmer"),
    )

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        load("keras")
        from backends.keras_stack import stack_for

        streams, per_group = cells.layout()
        stack = stack_for(network, training, len(streams), per_group)
        return Fit(tuple(stack.train(x, y, cells, plan.select(streams))))

    def graph(self, network: Network, training: Training, rows: int) -> Any:
        load("keras")
        from backends.keras_stack import Stack

        return Stack(network, training, 1, 1).graph(rows)

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        load("keras")
        from backends.keras_stack import stack_for

        stack = stack_for(network, Training(dtype=np.dtype(x.dtype).name), 1, len(weights))  # type: ignore[arg-type]
        return stack.predict(x, weights)
