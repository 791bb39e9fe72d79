"""Every planted fault is seen, blamed on the right backend, followed to its step and tensor, and named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.experiment.experiment import experiment_from
from harness.parity.parity import parity
from harness.parity.verdict import ParityOutcome

SMALL: dict[str, Any] = {
    "dataset": "iris",
    "scale": "standard",
    "hidden": [8],
    "batch_size": 20,
    "epochs": 4,  # of 4 minibatches, 5 with the short one
    "eta": [0.05, 0.5],
    "lmbd": [0.0, 0.1],
}

APART = (
    ParityOutcome.LIBRARY_ROUNDING,
    ParityOutcome.OTHER_OBJECTIVE,
    ParityOutcome.UNEXPLAINED,
)


@dataclass(frozen=True)
class Fault:
    """A class of tests/faults.py, where it must show first, and what must be said of it."""

    name: str
    step: int
    tensor: str
    words: str
    settings: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float32", "float64")


FAULTS = [
    Fault("HalfThePenalty", 1, "penalty of W1", "half what you said"),
    Fault("PenaltyPerSample", 1, "penalty of W1", "divided by the rows of the minibatch (20)"),
    Fault("PenalisedBiases", 2, "penalty of b1", "the biases are penalised"),
    Fault("ShortBatch", 5, "penalty of W1", "20 / n times too strong", {"keep_last_batch": True}),
    Fault("Summed", 1, "dW2", "summed over the rows of the minibatch (20)"),
    Fault("SwappedBatches", 3, "rows", "the minibatch of step 4 for that of step 3"),
    Fault("StaleBatch", 8, "rows", "the minibatch of step 7 for that of step 8"),
    Fault("WithoutNesterov", 1, "W1", "without Nesterov", {"momentum": 0.9, "nesterov": True}),
    Fault("KerasEpsilon", 1, "W1", "epsilon is 1e-07", {"optimizer": "adam", "eta": [1e-3, 1e-2]}),
    Fault(
        "WithoutBiasCorrection",
        1,
        "W1",
        "bias correction is left out",
        {"optimizer": "adam", "eta": [1e-3, 1e-2]},
    ),
    Fault(
        "Clipped",
        1,
        "cross-entropy",
        "clipped at 1e-07",
        {"weight_scale": 20.0, "activation": "tanh"},  # sure, and wrong, from the start
    ),
    Fault(
        "SinglePrecisionMomentum",
        2,
        "W1",
        "the momentum is rounded to float32",
        {"momentum": 0.9},
        dtypes=("float64",),
    ),
    Fault("SinglePrecisionForward", 1, "a1", "", dtypes=("float64",)),
    Fault(
        "GeluAtTheThird",
        1,
        "a3",
        "layer 3 has gelu for relu",
        {"hidden": [8, 7, 6], "activation": "relu"},
    ),
    Fault("LastLayerKept", 1, "W2", "layer 2 is not updated"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught_blamed_and_named(fault):
    suspect = f"faults:{fault.name}"
    backends = ["numpy", "sklearn", suspect]
    found = parity(experiment_from(SMALL | fault.settings | {"backends": backends}))
    assert found.exit_code == (0 if "rounded to float32" in fault.words else 1)
    wrong = {(v.backend, v.dtype) for v in found.verdicts if v.outcome in APART}
    assert wrong == {(suspect, dtype) for dtype in fault.dtypes}
    right = {v.backend for v in found.agreeing}
    assert {"numpy", "sklearn"} <= right
    (divergence,) = found.divergences
    assert (divergence.backend, divergence.dtype) == (suspect, "float64")
    assert (divergence.step, divergence.first) == (fault.step, fault.tensor)
    assert fault.words in (divergence.explanation.words if divergence.explanation else "")


def test_the_slope_of_leaky_relu_is_held_in_the_dtype_and_a_rounded_one_is_told():
    backends = ["numpy", "faults:Leaky", "faults:LeakyInSinglePrecision"]
    found = parity(experiment_from(SMALL | {"activation": "leaky_relu", "backends": backends}))
    assert found.exit_code == 0
    outcomes = {v.backend: v.outcome for v in found.verdicts if v.dtype == "float64"}
    assert outcomes["faults:Leaky"] == ParityOutcome.ROUND_OFF
    assert outcomes["faults:LeakyInSinglePrecision"] == ParityOutcome.LIBRARY_ROUNDING
    assert "slope rounded to float32" in found.divergences[0].explanation.words


@pytest.mark.slow
def test_a_fault_in_a_real_library_is_caught_blamed_and_named():
    """Keras with L2(lmbd) in place of L2(lmbd / 2)."""
    backends = ["numpy", "sklearn", "faults:TwiceThePenalty"]
    found = parity(experiment_from(SMALL | {"backends": backends}))
    assert {v.backend for v in found.disagreeing} == {"faults:TwiceThePenalty"}
    (divergence,) = found.divergences
    assert divergence.first == "penalty of W1"
    assert "2 lmbd W" in divergence.explanation.words


def test_a_fault_is_named_where_a_schedule_changes_eta():
    asked = SMALL | {"schedule": "inverse", "backends": ["faults:HalfThePenalty"]}
    (divergence,) = parity(experiment_from(asked), dtypes=("float64",)).divergences
    assert (divergence.step, divergence.first) == (1, "penalty of W1")
    assert "half what you said" in divergence.explanation.words


def test_a_wrong_forward_pass_is_told_from_a_wrong_training():
    backends = ["numpy", "faults:SomeoneElsesOutput"]
    found = parity(experiment_from(SMALL | {"backends": backends}))
    assert found.exit_code == 1
    (divergence,) = found.divergences
    assert (divergence.step, divergence.first) == (0, "output")


def test_a_fault_of_the_stack_is_told_from_one_of_the_cell():
    backends = ["numpy", "faults:WrongTogether"]
    found = parity(experiment_from(SMALL | {"backends": backends}))
    assert found.exit_code == 1
    (divergence,) = found.divergences
    assert divergence.first == "together"


def test_the_right_backend_that_faults_are_planted_in_agrees():
    found = parity(experiment_from(SMALL | {"backends": ["numpy", "faults:Plain"]}))
    assert found.exit_code == 0


def test_a_faulty_backend_in_the_references_place_loses_it():
    experiment = experiment_from(SMALL | {"backends": ["numpy", "sklearn"]})
    found = parity(experiment, reference="faults:StaleBatch")
    assert found.reference == "the reference"
    assert "faults:StaleBatch does not take the path" in found.notes[0]
    assert found.exit_code == 0


def test_a_right_backend_may_take_the_references_place():
    experiment = experiment_from(SMALL | {"backends": ["sklearn", "faults:Summed"]})
    found = parity(experiment, reference="numpy")
    assert found.reference == "numpy"
    assert {v.backend for v in found.agreeing} == {"sklearn"}
    assert {v.backend for v in found.disagreeing} == {"faults:Summed"}


def test_backends_that_make_one_mistake_are_said_to_agree_with_each_other():
    backends = ["numpy", "faults:Summed", "faults:SummedToo"]
    found = parity(experiment_from(SMALL | {"backends": backends}), locate=False)
    assert found.exit_code == 1
    assert found.alike["float64"] == [("faults:Summed", "faults:SummedToo")]
