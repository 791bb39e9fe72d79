"""The reference is checked before anybody is held against it: a fault in it is seen and blamed on it.

Every operator, number and statement of the reference is changed, one at a time, by machine
(tests/mutants.py), and its check run on the mutant. A change that passes must be listed here with the
reason why it changes nothing.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import numpy as np
import pytest
from mutants import Mutant, mutants

from backends.distance import furthest
from backends.registry import find
from harness.data.dataset import load_dataset
from harness.experiment.experiment import experiment_from
from harness.parity.parity import Parity, parity
from harness.parity.section import parity_headline
from harness.roundoff import reference_check
from harness.roundoff.reference import reference_path
from harness.roundoff.reference_check import reference_fault
from harness.roundoff.trial import trial

REFERENCE = "harness.roundoff.reference"
FUNCTIONS = (
    "_sigmoid",
    "_elu",
    "_leaky",
    "_softmax",
    "Objective.cost_factor",
    "Objective.penalty_factor",
    "passed_forward",
    "gradients_of",
    "GradientDescent.change",
    "Adam.change",
    "RMSProp.change",
    "AdaGrad.change",
    "eta_of_step",
    "_trained_stack",
)
SMALL: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "batch_size": 20,
    "epochs": 2,
    "eta": [0.05],
    "lmbd": [0.1],
    "keep_last_batch": True,
    "backends": ["numpy"],
}
REGRESSION = {"dataset": "diabetes", "task": "regression", "eta": [1e-4]}
STEP = {"schedule": "step", "decay": 0.5, "decay_epochs": 1}
# between them they go through every line
EXPERIMENTS: list[dict[str, Any]] = [
    {"momentum": 0.9, "nesterov": True, "hidden": [6, 5], "activation": "sigmoid"},
    {"momentum": 0.9, "hidden": [6], "activation": "leaky_relu", "penalty_per_sample": True},
    {"optimizer": "adam", "activation": "tanh", "hidden": [6], "penalised": "hidden"},
    {"activation": "elu", "hidden": [5, 4], **REGRESSION},
    {"activation": "relu", "dataset": "breast_cancer", "cost": "sum", "hidden": [6]},
    {"optimizer": "rmsprop", "hidden": [6, 5], "activation": "relu,tanh", "l1": 0.01, **STEP},
    {
        "optimizer": "adagrad",
        "hidden": "none",
        "schedule": "inverse",
        "l1": 0.1,
        "penalty_factor": 2.0,
    },
]
ELU = "_elu: below = rounded(np.exp(below)) - 1 if short else np.expm1(below): "
SHARED = "_trained_stack: shared = streams if len(streams) == 1 else trial.cells.stream: "
EQUIVALENT = {
    ELU
    + "rounded(np.exp(below)) - 1 if short else np.expm1(below) to np.expm1(below) if short else "
    "rounded(np.exp(below)) - 1": "the two are the same to round-off",
    ELU + "rounded(np.exp(below)) - 1 to rounded(np.exp(below)) + 1": "only twins go this way",
    ELU + "1 to 2": "only twins go this way",
    "_elu: below = np.minimum(z, 0): 0 to 1": "what is computed for z > 0 is not taken",
    "Objective.penalty_factor: return 0.0: 0.0 to 0.0": "that is no change",
    "gradients_of: dW[layer] += rounded(q * np.sign(W[layer])): q * np.sign(W[layer]) to q / "
    "np.sign(W[layer])": "a sign is its own inverse",
    SHARED
    + "streams if len(streams) == 1 else trial.cells.stream to trial.cells.stream if len(streams) == 1 "
    "else streams": "rows are gathered for every cell in place of once for all",
    SHARED + "1 to 2": "rows are gathered for every cell in place of once for all",
    "_trained_stack: for step in range(plan.steps + 1):: 1 to 2": "it returns before",
}


def trials():
    for settings in EXPERIMENTS:
        experiment = experiment_from(SMALL | settings)
        yield trial(experiment, load_dataset(experiment), "numpy", "float64")


def faults_of(mutant: Mutant, trials) -> list[str]:
    """What a check that imports the mutant for the reference says of it."""
    module = types.ModuleType("mutant_of_the_reference")
    sys.modules[module.__name__] = module
    exec(compile(mutant.tree, module.__name__, "exec"), module.__dict__)
    source = inspect.getsource(reference_check)
    check = types.ModuleType("check_of_the_mutant")
    sys.modules[check.__name__] = check
    source = source.replace(f"from {REFERENCE} import", f"from {module.__name__} import")
    exec(compile(source, check.__name__, "exec"), check.__dict__)
    said = []
    for one in trials:
        try:
            said.append(check.reference_fault(one))
        except (ValueError, TypeError, LookupError, ZeroDivisionError, AttributeError) as error:
            said.append(repr(error))
    return [fault for fault in said if fault]


def test_the_reference_passes_its_check():
    assert [reference_fault(one) for one in trials()] == [""] * len(EXPERIMENTS)


def test_every_change_to_the_reference_is_seen_or_changes_nothing():
    tasks = list(trials())
    changed = list(mutants({REFERENCE: FUNCTIONS}))
    assert len(changed) > 60
    survivors = {str(mutant) for mutant in changed if not faults_of(mutant, tasks)}
    assert survivors == set(EQUIVALENT)


@pytest.mark.parametrize("settings", [*EXPERIMENTS[:4], *EXPERIMENTS[5:]])
def test_the_reference_takes_the_path_of_another_implementation(settings):
    one = experiment_from(SMALL | settings)
    whole = trial(one, load_dataset(one), "numpy", "float64")
    apart = furthest(whole.train(find("numpy"))[-1], reference_path(whole)[-1], whole.plan.initial)
    assert apart.max() < 1e-12


def test_cells_of_the_reference_are_trained_each_for_itself():
    one = experiment_from(SMALL | {"eta": [0.01, 0.1], "lmbd": [0.0, 0.1], "hidden": [6]})
    whole = trial(one, load_dataset(one), "numpy", "float64")
    together = reference_path(whole)[-1]
    for cell in range(4):
        alone = reference_path(whole.of(np.array([cell])))[-1]
        assert furthest(alone, together[cell], whole.plan.initial).max() < 1e-13


def test_a_fault_of_the_reference_is_blamed_on_it_and_on_nobody_else():
    found = parity(experiment_from(SMALL | {"hidden": [6]}), locate=False)
    at_fault = Parity(**{**vars(found), "fault": "its gradient of W1 is 2", "verdicts": ()})
    assert at_fault.exit_code == 3
    assert parity_headline(at_fault).startswith("The reference is at fault")
