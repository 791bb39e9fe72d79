"""A fresh model for every cell, as the notebooks train it: what stacks and runs are measured against.

Twice: on the experiment's own network, samples and number of steps, which is like for like; and as the
notes have it, with their networks, samples and steps, which is what their reader waits for.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from numpy.typing import NDArray

from harness.experiment.experiment import Experiment, Recipe, experiment_from
from harness.lecture.programs import PROGRAMS, Task
from harness.lecture.unseeded import task as notes_task
from harness.training.prepare import Prepared


def notebook_cell(
    backend: str, prepared: Prepared, recipe: Recipe, eta: float, lmbd: float
) -> float:
    """Seconds of one cell by the notes' own program: build, train, score on training and test part.

    On this experiment's network, samples and number of steps; for scikit-learn, whose program has another
    optimiser than the others, :func:`bare_fit`. NaN for a backend or experiment without such a program.
    """
    p = prepared
    if backend == "sklearn":
        return bare_fit(p, recipe, eta, lmbd)
    plain = recipe.optimizer == "sgd" and not recipe.momentum
    sigmoid = p.network.activation == "sigmoid" or not p.network.hidden
    if backend not in PROGRAMS or not (plain and sigmoid and p.network.output == "softmax"):
        return float("nan")
    rows = _rows(p, recipe)
    task = Task(
        *(p.x[rows], p.y[rows], p.x[p.split.test], p.y[p.split.test]),
        classes=p.network.classes,
        hidden=p.network.hidden,
        epochs=recipe.epochs,
        batch_size=p.plan.batch_size,
    )
    begun = time.perf_counter()
    PROGRAMS[backend](task, eta, lmbd)
    return time.perf_counter() - begun


def as_written(backend: str, experiment: Experiment, eta: float, lmbd: float) -> float:
    """Seconds of one cell by the notes' own program on the notes' own network and samples.

    NaN unless the experiment is the same grid on the same data set, and for a backend without a program.
    """
    notes = experiment_from({"preset": "lecture"})
    same = (experiment.dataset, experiment.cells) == (notes.dataset, notes.cells)
    if backend not in PROGRAMS or not same:
        return float("nan")
    task = notes_task(notes, backend)
    begun = time.perf_counter()
    PROGRAMS[backend](task, eta, lmbd)
    return time.perf_counter() - begun


def bare_fit(prepared: Prepared, recipe: Recipe, eta: float, lmbd: float) -> float:
    """Seconds of ``MLPClassifier.fit`` (``MLPRegressor.fit``) with this experiment's arguments."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    p = prepared
    kind = MLPClassifier if p.network.classes else MLPRegressor
    model = kind(
        hidden_layer_sizes=p.network.hidden,
        activation={"sigmoid": "logistic"}.get(p.network.activation, p.network.activation),
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
    begun = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.fit(p.x[rows], p.y[rows])
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
    return time.perf_counter() - begun


def _rows(p: Prepared, recipe: Recipe) -> NDArray[np.intp]:
    """The training rows; as many as fill whole minibatches where the experiment drops a short one."""
    rows, size = p.split.train, p.plan.batch_size
    return rows if recipe.keep_last_batch else rows[: len(rows) // size * size]
