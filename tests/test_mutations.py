"""Parity sees what changes when the NumPy backend's source is changed.

The changes are made by machine (tests/mutants.py): every operator, number and accumulating statement of
forward, backward and update, one at a time. A change that no verdict and no error gives away must be
listed here with the reason why it changes nothing.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import pytest
from mutants import Mutant, mutants

from harness.experiment.experiment import experiment_from
from harness.parity.parity import parity
from harness.parity.verdict import ParityOutcome

SMALL: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "batch_size": 20,
    "epochs": 2,
    "eta": [0.05, 0.3],
    "lmbd": [0.1],
    "keep_last_batch": True,
}
# between them they go through every line that is changed
EXPERIMENTS: list[dict[str, Any]] = [
    {"momentum": 0.9, "nesterov": True, "hidden": [6, 5], "activation": "sigmoid"},
    {"optimizer": "adam", "activation": "tanh", "hidden": [6], "eta": [1e-3, 1e-2]},
    {"activation": "elu", "dataset": "diabetes", "task": "regression", "eta": [1e-5, 1e-4]},
    {"activation": "leaky_relu", "hidden": [6], "momentum": 0.9},
    {"activation": "tanh", "hidden": [6, 5], "l1": 0.05, "schedule": "inverse"},
    {"activation": "relu", "hidden": [6, 5], "weight_scale": 30.0},  # softmax needs its shift
]
EQUIVALENT = {
    "gradients: dW[0] += l1[layer] * np.sign(W[layer]): l1[layer] * np.sign(W[layer]) to l1[layer] / "
    "np.sign(W[layer])": "a sign is its own reciprocal, and no weight is 0",
    "forward: out = out or [None] * len(W): [None] * len(W) to [None] / len(W)": (
        "a training gives arrays for the activations; others that call it have tests of their own"
    ),
}


def outcome(mutant: Mutant) -> str:
    """``caught`` by a verdict, ``does not run``, or ``survives`` every experiment."""
    name = mutant.backend()
    for settings in EXPERIMENTS:
        experiment = experiment_from(SMALL | settings | {"backends": [name]})
        found = parity(experiment, dtypes=["float64"], locate=False)
        if found.of(ParityOutcome.FAILED):
            return "does not run"
        if found.exit_code == 1:
            return "caught"
        assert found.agreeing, f"nothing was compared with {settings}"
    return "survives"


@pytest.mark.slow
def test_every_change_to_the_numpy_backend_is_seen_or_changes_nothing(record_property):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        outcomes = {str(mutant): outcome(mutant) for mutant in mutants()}
    counts = Counter(outcomes.values())
    for words, number in counts.items():
        record_property(words, number)
    survivors = {mutant for mutant, found in outcomes.items() if found == "survives"}
    assert survivors == set(EQUIVALENT)
    assert counts["caught"] >= 70, counts  # of 99; 25 do not run
