"""A fresh model for every cell, as the notebooks train it: what stacks and runs are measured against.

Twice: on the experiment's own network, samples and number of steps, which is like for like; and as the
notes have it, with their networks, samples and steps, which is what their reader waits for. Works in a
process of its own beside the backend's, where each library has its own settings, as in a notebook.
"""

from __future__ import annotations

import importlib
import warnings

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.network import Cells
from backends.registry import find
from harness.bench.phases import sample_cells, wall_seconds
from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment, experiment_from
from harness.experiment.recipe import Recipe
from harness.lecture.programs import PROGRAMS, ProgramTask, notes_task
from harness.training.prepare import Prepared, prepare

_prepared: dict[str, Prepared] = {}  # of this process, by backend


def open_program(name: str, experiment: Experiment) -> None:
    """Import what the notes' program needs as a notebook does, with the library's own settings."""
    backend = find(experiment.place(name))
    for module in backend.modules if isinstance(backend, Backend) else ():
        importlib.import_module(module)
    _prepared[name] = prepare(experiment, load_dataset(experiment), name, [0])


def time_program(name: str, experiment: Experiment, sample: int) -> dict[str, float]:
    """One round of the notes' program, in seconds of one cell, from ``sample`` of the cells.

    ``notebook``: on this experiment's network and steps; ``as_written``: on the notes' own.
    """
    picked = sample_cells(Cells.grid(experiment.eta, experiment.lmbd), sample)
    recipe, prepared = experiment.recipe(name), _prepared[name]
    pairs = list(zip(picked.eta.tolist(), picked.lmbd.tolist(), strict=True))
    alike = [seconds_like_for_like(name, prepared, recipe, eta, lmbd) for eta, lmbd in pairs]
    written = [seconds_as_written(name, experiment, eta, lmbd) for eta, lmbd in pairs]
    return {"notebook": float(np.mean(alike)), "as_written": float(np.mean(written))}


def seconds_like_for_like(
    backend: str, prepared: Prepared, recipe: Recipe, eta: float, lmbd: float
) -> float:
    """Seconds of one cell by the notes' own program: build, train, score on training and test part.

    On this experiment's network, samples and number of steps; for scikit-learn, whose program has another
    optimiser than the others, :func:`bare_fit`. NaN for a backend or experiment without such a program.
    """
    p = prepared
    if backend == "sklearn":
        return bare_fit(p, recipe, eta, lmbd)
    plain = (recipe.optimizer, recipe.schedule) == ("sgd", "constant")
    plain = plain and not recipe.momentum and not recipe.l1
    sigmoid = p.network.activation == "sigmoid" or not p.network.hidden
    if backend not in PROGRAMS or not (plain and sigmoid and p.network.output == "softmax"):
        return float("nan")
    rows = _rows(p, recipe)
    task = ProgramTask(
        *(p.x[rows], p.y[rows], p.x[p.split.test], p.y[p.split.test]),
        classes=p.network.classes,
        hidden=p.network.hidden,
        epochs=recipe.epochs,
        batch_size=p.plan.batch_size,
    )
    return wall_seconds(lambda: PROGRAMS[backend](task, eta, lmbd))


def seconds_as_written(backend: str, experiment: Experiment, eta: float, lmbd: float) -> float:
    """Seconds of one cell by the notes' own program on the notes' own network and samples.

    NaN unless the experiment is the same grid on the same data set, and for a backend without a program.
    """
    notes = experiment_from({"preset": "lecture"})
    same = (experiment.dataset, experiment.cells) == (notes.dataset, notes.cells)
    if backend not in PROGRAMS or not same:
        return float("nan")
    task = notes_task(notes, backend)
    return wall_seconds(lambda: PROGRAMS[backend](task, eta, lmbd))


def bare_fit(prepared: Prepared, recipe: Recipe, eta: float, lmbd: float) -> float:
    """Seconds of ``MLPClassifier.fit`` (``MLPRegressor.fit``) with this experiment's arguments."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    p = prepared
    kind = MLPClassifier if p.network.classes else MLPRegressor
    activation = (*p.network.activations, "identity")[0]
    model = kind(
        hidden_layer_sizes=p.network.hidden,
        activation={"sigmoid": "logistic"}.get(activation, activation),
        solver=p.training.optimizer,
        alpha=lmbd * p.plan.batch_size,
        batch_size=p.plan.batch_size,
        learning_rate_init=eta,
        max_iter=recipe.epochs,
        momentum=p.training.momentum,
        nesterovs_momentum=p.training.nesterov,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    rows = _rows(p, recipe)

    def fit() -> None:
        try:
            model.fit(p.x[rows], p.y[rows])
        except ValueError as error:
            if "non-finite" not in str(error):
                raise

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return wall_seconds(fit)


def time_plain_fit(name: str, experiment: Experiment) -> float:
    """Seconds of one cell of an experiment as a user of the library trains it; NaN but for two of them.

    For scikit-learn :func:`bare_fit`, for Keras ``fit`` of a ``Sequential`` of ``Dense`` layers.
    """
    if name not in ("sklearn", "keras"):
        return float("nan")
    recipe, prepared = (
        experiment.recipe(name),
        prepare(experiment, load_dataset(experiment), name, [0]),
    )
    eta, lmbd = experiment.cells[len(experiment.cells) // 2]
    fit = bare_fit if name == "sklearn" else _keras_fit
    return fit(prepared, recipe, eta, lmbd)


def _keras_fit(prepared: Prepared, recipe: Recipe, eta: float, lmbd: float) -> float:
    import keras

    p, penalty = prepared, keras.regularizers.L2(lmbd / 2)
    layers = [
        keras.layers.Dense(units, activation=activation, kernel_regularizer=penalty)
        for units, activation in zip(p.network.hidden, p.network.activations, strict=True)
    ]
    last = keras.layers.Dense(p.network.outputs, kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((p.network.features,)), *layers, last])
    model.compile(
        optimizer=keras.optimizers.SGD(eta),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x, y = p.x[_rows(p, recipe)], p.y[_rows(p, recipe)]
    return wall_seconds(
        lambda: model.fit(x, y, batch_size=p.plan.batch_size, epochs=recipe.epochs, verbose=0)
    )


def _rows(p: Prepared, recipe: Recipe) -> NDArray[np.intp]:
    """The training rows; as many as fill whole minibatches where the experiment drops a short one."""
    rows, size = p.split.train, p.plan.batch_size
    return rows if recipe.keep_last_batch else rows[: len(rows) // size * size]
