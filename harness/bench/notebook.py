"""One fresh model per cell, as a notebook trains it: what the stacks are measured against.

Each function trains one cell of the experiment with the library's everyday means and gives the seconds
it took. Same network, data and number of steps as the harness's own training.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np

from backends.base import Cells
from harness.training import Prepared


def fresh_model(backend: str, prepared: Prepared, eta: float, lmbd: float) -> float:
    """Seconds of one cell on a fresh model; NaN for a backend or network that has no such program here."""
    program = _PROGRAMS.get(backend)
    if program is None or prepared.network.output != "softmax":
        return float("nan")
    begun = time.perf_counter()
    program(prepared, eta, lmbd)
    return time.perf_counter() - begun


def _numpy(p: Prepared, eta: float, lmbd: float) -> None:
    from backends.numpy import NumPyBackend

    NumPyBackend().train(p.x, p.y, p.network, p.training, Cells.of(eta, lmbd), p.plan)


def _sklearn(p: Prepared, eta: float, lmbd: float) -> None:
    from sklearn.neural_network import MLPClassifier

    train = p.split.train
    model = MLPClassifier(
        hidden_layer_sizes=p.network.hidden,
        activation={"sigmoid": "logistic"}.get(p.network.activation, p.network.activation),
        solver=p.training.optimizer,
        alpha=lmbd * p.plan.batch_size,
        batch_size=p.plan.batch_size,
        learning_rate_init=eta,
        max_iter=_epochs(p),
        momentum=p.training.momentum,
        nesterovs_momentum=p.training.nesterov,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.fit(p.x[train], p.y[train])
        except ValueError as error:
            if "non-finite" not in str(error):
                raise


def _tensorflow(p: Prepared, eta: float, lmbd: float) -> None:
    import tensorflow as tf

    activate = {"sigmoid": tf.sigmoid, "tanh": tf.tanh, "relu": tf.nn.relu, "elu": tf.nn.elu}.get(
        p.network.activation, tf.identity
    )
    W = [tf.Variable(W[0]) for W in p.plan.initial.W]
    b = [tf.Variable(b[0]) for b in p.plan.initial.b]

    @tf.function  # type: ignore[untyped-decorator]
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            z = tf.matmul(x, W[0]) + b[0]
            for W_l, b_l in zip(W[1:], b[1:], strict=True):
                z = tf.matmul(activate(z), W_l) + b_l
            cost = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z)
            loss = tf.reduce_mean(cost) + lmbd * tf.add_n([tf.nn.l2_loss(w) for w in W])
        for variable, g in zip(W + b, tape.gradient(loss, W + b), strict=True):
            variable.assign_sub(eta * g)

    for rows in p.plan.batches():
        step(tf.constant(p.x[rows]), tf.constant(p.y[rows]))


def _keras(p: Prepared, eta: float, lmbd: float) -> None:
    import keras

    model = keras.Sequential([keras.Input((p.network.features,))])
    for units in p.network.hidden:
        model.add(
            keras.layers.Dense(
                units,
                activation={"identity": "linear"}.get(p.network.activation, p.network.activation),
                kernel_regularizer=keras.regularizers.L2(lmbd / 2),
            )
        )
    model.add(
        keras.layers.Dense(
            p.network.outputs,
            activation="softmax",
            kernel_regularizer=keras.regularizers.L2(lmbd / 2),
        )
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=eta), loss="sparse_categorical_crossentropy"
    )
    rows = p.split.train[: len(p.split.train) // p.plan.batch_size * p.plan.batch_size]
    model.fit(p.x[rows], p.y[rows], epochs=_epochs(p), batch_size=p.plan.batch_size, verbose=0)


def _epochs(p: Prepared) -> int:
    return p.plan.steps // max(1, len(p.split.train) // p.plan.batch_size)


_PROGRAMS: dict[str, Callable[[Prepared, float, float], None]] = {
    "numpy": _numpy,
    "sklearn": _sklearn,
    "tensorflow": _tensorflow,
    "keras": _keras,
}
