"""The stock program of every library, held against its stack; what a library rounds is told, not hidden."""

from __future__ import annotations

from importlib.util import find_spec

import pandas as pd
import pytest

from backends.distance import Tolerance, furthest
from backends.network import Cells, Training
from backends.registry import usable
from backends.testing.problem import network_of, problem
from harness.data.dataset import load_dataset
from harness.experiment.experiment import experiment_from
from harness.parity.parity import parity
from harness.parity.stock import (
    LIBRARY,
    ROUND_OFF,
    SAME,
    STOCK_COLUMNS,
    stock_errors,
    stock_points,
)
from harness.parity.verdict import ParityOutcome
from harness.roundoff.trial import trial
from harness.training.contract import guarded_backend

CELL = Cells.of([0.05], [0.2])
FREE = Cells.of([0.05], [0.0])


def apart(name, training, cells=CELL, **plan):
    """The largest relative distance of a tensor between stock program and stack."""
    backend, task = usable(name), problem(network_of(), training)
    drawn = task.plan(**plan)
    given = (task.x, task.y, task.network, training, cells, drawn)
    stock, stack = backend.train_stock(*given).weights, backend.train(*given).weights
    return float(furthest(stock, stack, drawn.initial).max()), Tolerance(training.dtype).at(
        drawn.steps
    )


LIBRARIES = [
    "numpy",
    "sklearn",
    "tensorflow",
    "jax",
    pytest.param(
        "torch",
        marks=pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed"),
    ),
]
TRAININGS = {
    "gradient descent": Training(dtype="float64"),
    "Nesterov": Training(dtype="float64", momentum=0.9, nesterov=True),
    "Adam": Training(dtype="float64", optimizer="adam"),
    "RMSprop, l1": Training(dtype="float64", optimizer="rmsprop", l1=0.01),
    "Adagrad, inverse": Training(dtype="float64", optimizer="adagrad", schedule="inverse"),
    "Nesterov, step": Training(
        dtype="float64", momentum=0.9, nesterov=True, schedule="step", decay=0.5, decay_epochs=1
    ),
    "Adam, step": Training(
        dtype="float64", optimizer="adam", schedule="step", decay=0.5, decay_epochs=1
    ),
}


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("name", LIBRARIES)
def test_the_stack_is_the_stock_program(name, training):
    if reason := usable(name).unsupported(network_of(), training):
        assert name == "sklearn", reason
        pytest.skip(reason)
    error, allowed = apart(name, training, epochs=3)
    assert error <= allowed


def test_sklearn_takes_alpha_too_strongly_on_a_short_minibatch():
    error, _ = apart("sklearn", TRAININGS["gradient descent"], keep_last_batch=True)
    assert 1e-3 < error < 1
    error, allowed = apart("sklearn", TRAININGS["gradient descent"], FREE, keep_last_batch=True)
    assert error <= allowed


def test_keras_rounds_its_settings_to_float32_and_the_stack_does_not():
    error, allowed = apart("keras", TRAININGS["gradient descent"])
    assert allowed < error < 1e-7  # the penalty's factor
    error, allowed = apart("keras", TRAININGS["gradient descent"], FREE)
    assert error <= allowed
    error, allowed = apart("keras", TRAININGS["Nesterov"], FREE)
    assert allowed < error < 1e-5  # the momentum
    for other in ("RMSprop, l1", "Nesterov, step"):
        error, allowed = apart("keras", TRAININGS[other], FREE, epochs=3)
        assert allowed < error < 2e-5, other  # rho, l1; the momentum, the schedule's eta


SMALL = {"dataset": "iris", "scale": "standard", "hidden": [4], "epochs": 4, "batch_size": 40}


def test_parity_holds_every_stack_against_its_stock_program():
    experiment = experiment_from(
        SMALL | {"backends": "numpy,sklearn", "eta": [0.1], "lmbd": [0.1], "keep_last_batch": True}
    )
    result = parity(experiment)
    assert result.exit_code == 0
    verdicts = {(row.backend, row.step): row.verdict for row in result.stock.itertuples()}
    assert verdicts["numpy", 1] in (SAME, ROUND_OFF)
    assert verdicts["sklearn", 10] == LIBRARY  # the short last minibatch


def test_what_adam_makes_of_round_off_is_not_laid_to_the_library():
    # it divides gradients that cancel by their own size: 1e-6 in float32 after one step, and nobody's fault
    settings = {"optimizer": "adam", "hidden": [30, 20], "activation": "relu", "backends": "numpy"}
    experiment = experiment_from(settings)
    whole = trial(experiment, load_dataset(experiment), "numpy", "float32", 10)
    found = stock_errors(whole, {"numpy": guarded_backend(usable("numpy"))})
    assert set(found["verdict"]) <= {SAME, ROUND_OFF}


def test_parity_judges_stock_programs_where_that_is_asked_for():
    settings = SMALL | {"backends": "numpy,sklearn", "eta": [0.1], "lmbd": [0.1]}
    assert parity(experiment_from(settings), stock=True).exit_code == 0
    kept = parity(experiment_from(settings | {"keep_last_batch": True}), stock=True)
    assert [v.backend for v in kept.verdicts if v.disagrees] == ["sklearn", "sklearn"]


def test_a_stock_program_that_departs_is_told_with_its_size_and_tensor():
    rows = [
        ("keras", "float64", 10, "W1", 2.3e-9, LIBRARY),
        ("numpy", "float64", 10, "W1", 0.0, SAME),
    ]
    (point,) = stock_points(pd.DataFrame(rows, columns=STOCK_COLUMNS))
    assert "keras float64" in point
    assert "2.3e-09 off in W1 after step 10" in point


def test_a_rounding_is_named_by_cells_in_which_it_shows():
    # in most cells of the first steps lmbd through float32 is less than round-off
    settings = {"backends": "keras", "eta": [1e-5, 0.1, 1.0], "lmbd": [1e-3, 0.01, 0.1]}
    found = parity(experiment_from(settings), steps=10, stock=True, dtypes=["float64"])
    assert [verdict.outcome for verdict in found.verdicts] == [ParityOutcome.LIBRARY_ROUNDING]
    assert "lmbd is rounded to float32" in found.verdicts[0].reason
