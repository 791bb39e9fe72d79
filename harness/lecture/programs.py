"""The notes' own programs for a single cell, each in the everyday way of its library.

Nothing of :mod:`backends` is in them, and nothing is seeded: they are what the backends are held
against, in time (``harness bench``) and in the spread of their accuracies
(:mod:`harness.lecture.reproduction`). All of them are a network of sigmoid hidden layers and a softmax
output, trained by SGD on the cross-entropy, and a fresh model for every cell.

To train whole grids anew and print their accuracies as ``unseeded.csv`` has them, which takes minutes for
TensorFlow and most of an hour for Keras:

    python -m harness.lecture.programs tensorflow,keras 9
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.frameworks import set_device, set_threads
from backends.settings import rows_of_batch
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment, experiment_from

_Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ProgramTask:
    """What every cell shares: samples (rows, features), integer labels (rows,), network and epochs."""

    x_train: _Floats
    y_train: NDArray[np.integer]
    x_test: _Floats
    y_test: NDArray[np.integer]
    classes: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, from the features to the classes."""
        return (self.x_train.shape[1], *self.hidden, self.classes)

    @property
    def one_hot(self) -> tuple[_Floats, _Floats]:
        """Training and test labels, one column a class."""
        unit = np.eye(self.classes, dtype=self.x_train.dtype)
        return unit[self.y_train], unit[self.y_test]


Scores = tuple[float, float]  # accuracy on the training and on the test part
Program = Callable[[ProgramTask, float, float], Scores]


def numpy_program(task: ProgramTask, eta: float, lmbd: float) -> Scores:
    """The network class: N(0, 1) weights, biases 0.01, gradients summed over the minibatch."""
    t, _ = task.one_hot
    W = [np.random.randn(*s).astype(t.dtype) for s in zip(task.sizes, task.sizes[1:], strict=False)]  # noqa: NPY002
    b = [np.full(units, 0.01, t.dtype) for units in task.sizes[1:]]

    def forward(x: _Floats) -> list[_Floats]:
        a = [x]
        for W_l, b_l in zip(W[:-1], b[:-1], strict=True):
            a.append(1 / (1 + np.exp(-(a[-1] @ W_l + b_l))))
        e = np.exp(a[-1] @ W[-1] + b[-1])
        return [*a, e / e.sum(axis=1, keepdims=True)]

    def accuracy(x: _Floats, y: NDArray[np.integer]) -> float:
        return float((forward(x)[-1].argmax(axis=1) == y).mean())

    with np.errstate(all="ignore"):
        for rows in _independent_draws(task):
            a = forward(task.x_train[rows])
            delta = a[-1] - t[rows]
            gradients = []
            for layer in reversed(range(len(W))):
                gradients.append((layer, a[layer].T @ delta + lmbd * W[layer], delta.sum(axis=0)))
                delta = (delta @ W[layer].T) * a[layer] * (1 - a[layer])
            for layer, dW, db in gradients:
                W[layer] -= eta * dW
                b[layer] -= eta * db
        return accuracy(task.x_train, task.y_train), accuracy(task.x_test, task.y_test)


def sklearn_program(task: ProgramTask, eta: float, lmbd: float) -> Scores:
    """The classifier with everything but four arguments left at its default: Adam, stops early."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden_layer_sizes=task.hidden,
        activation="logistic",
        alpha=lmbd,
        learning_rate_init=eta,
        max_iter=task.epochs,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model.fit(task.x_train, task.y_train)
        return model.score(task.x_train, task.y_train), model.score(task.x_test, task.y_test)


def tensorflow_program(task: ProgramTask, eta: float, lmbd: float) -> Scores:
    """The class around a graph and a session, which also asks for accuracy and step after each step."""
    import tensorflow as tf

    v1 = tf.compat.v1
    t_train, t_test = task.one_hot
    with tf.Graph().as_default():
        steps = v1.train.get_or_create_global_step()
        x = v1.placeholder(t_train.dtype, (None, task.sizes[0]))
        t = v1.placeholder(t_train.dtype, (None, task.classes))
        a, penalty = x, 0.0
        for layer, shape in enumerate(zip(task.sizes, task.sizes[1:], strict=False), start=1):
            W = v1.Variable(tf.random.truncated_normal(shape, stddev=0.1, dtype=t_train.dtype))
            b = v1.Variable(tf.constant(0.1, t_train.dtype, (shape[1],)))
            penalty += lmbd * tf.nn.l2_loss(W)
            z = tf.matmul(a, W) + b
            a = tf.sigmoid(z) if layer <= len(task.hidden) else tf.nn.softmax(z)
        cost = tf.nn.softmax_cross_entropy_with_logits(labels=t, logits=z)
        loss = tf.reduce_mean(cost) + penalty
        right = tf.equal(tf.argmax(a, axis=1), tf.argmax(t, axis=1))
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
        train = v1.train.GradientDescentOptimizer(eta).minimize(loss, global_step=steps)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for rows in _independent_draws(task):
                batch = {x: task.x_train[rows], t: t_train[rows]}
                session.run([loss, train], batch)
                session.run(accuracy, batch)
                session.run(steps)
            parts = ((task.x_train, t_train), (task.x_test, t_test))
            scores = [session.run([loss, accuracy], {x: part, t: of}) for part, of in parts]
    return float(scores[0][1]), float(scores[1][1])


def keras_program(task: ProgramTask, eta: float, lmbd: float) -> Scores:
    """The function that builds a Sequential with L2(lmbd), which is lmbd ||W||^2, on its hidden layers."""
    import keras

    t_train, t_test = task.one_hot
    model = keras.Sequential([keras.Input((task.sizes[0],))])
    for units in task.hidden:
        penalty = keras.regularizers.L2(lmbd)
        model.add(keras.layers.Dense(units, activation="sigmoid", kernel_regularizer=penalty))
    model.add(keras.layers.Dense(task.classes, activation="softmax"))
    sgd = keras.optimizers.SGD(learning_rate=eta)
    model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
    model.fit(task.x_train, t_train, epochs=task.epochs, batch_size=task.batch_size, verbose=0)
    parts = ((task.x_train, t_train), (task.x_test, t_test))
    scores = [model.evaluate(x, t, verbose=0)[1] for x, t in parts]
    return float(scores[0]), float(scores[1])


def _independent_draws(task: ProgramTask) -> Sequence[NDArray[np.intp]]:
    """Rows of each minibatch: n // B draws an epoch, each without replacement, from the global stream."""
    rows = np.arange(len(task.x_train))
    return [
        np.random.choice(rows, size=task.batch_size, replace=False)  # noqa: NPY002
        for _ in range(task.epochs * (len(rows) // task.batch_size))
    ]


PROGRAMS: dict[str, Program] = {
    "numpy": numpy_program,
    "sklearn": sklearn_program,
    "tensorflow": tensorflow_program,
    "keras": keras_program,
}


def notes_task(experiment: Experiment, program: str) -> ProgramTask:
    """The data and the network of one of the notes' programs."""
    dataset, recipe = load_dataset(experiment), experiment.recipe(program)
    split, x = split_rows(dataset, experiment), dataset.x.astype(recipe.dtype)
    return ProgramTask(
        *(x[split.train], dataset.y[split.train], x[split.test], dataset.y[split.test]),
        classes=len(dataset.classes),
        hidden=tuple(recipe.hidden),
        epochs=recipe.epochs,
        batch_size=rows_of_batch(recipe.batch_size, len(split.train)),
    )


def train_grids(program: str, runs: int) -> pd.DataFrame:
    """Train the notes' grid ``runs`` times with one of their programs: a row a run and cell."""
    experiment = experiment_from({"preset": "lecture"})
    task, train = notes_task(experiment, program), PROGRAMS[program]
    rows = [
        (program, run, eta, lmbd, *train(task, eta, lmbd))
        for run in range(runs)
        for eta, lmbd in experiment.cells
    ]
    columns = ["program", "run", "eta", "lmbd", "train_accuracy", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    set_threads(1)
    set_device("cpu")
    grids = [train_grids(program, int(sys.argv[2])) for program in sys.argv[1].split(",")]
    pd.concat(grids).to_csv(sys.stdout, index=False, float_format="%.6g")
