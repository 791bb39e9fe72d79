"""Right backends are not accused, whatever the experiment.

``HARNESS_RANDOM_EXPERIMENTS=500 pytest tests/test_random_experiments.py`` is the long form, with all four
backends; ``240:740`` takes others.
"""

from __future__ import annotations

import numpy as np
import pytest
from campaigns import trials
from random_experiments import random_experiment

from harness.parity.parity import parity
from harness.parity.section import parity_points
from harness.parity.verdict import ParityOutcome

LONG = trials("HARNESS_RANDOM_EXPERIMENTS", range(0))


@pytest.mark.parametrize("seed", range(12))
def test_a_right_backend_is_not_accused(seed):
    experiment, steps = random_experiment(seed, backends=["numpy", "sklearn"])
    found = parity(experiment, steps=steps)
    assert not found.fault
    assert not found.disagreeing, parity_points(found)


@pytest.mark.skipif(not LONG, reason="the long form: HARNESS_RANDOM_EXPERIMENTS=500")
@pytest.mark.parametrize("seed", LONG)
def test_no_right_backend_of_many_is_accused(seed):
    experiment, steps = random_experiment(seed, backends=["all"])
    found = parity(experiment, steps=steps)
    assert not found.fault
    assert not found.disagreeing, parity_points(found)


def test_a_loss_is_judged_where_the_weights_are():
    drawn, steps = random_experiment(5153, backends=["numpy"])  # of chaotic weights on a plateau
    experiment = drawn.model_copy(update={"eta": drawn.eta[:1], "lmbd": drawn.lmbd[1:]})
    found = parity(experiment, steps=steps)
    assert not found.disagreeing, parity_points(found)
    errors = found.errors[found.errors["tensor"] != "output"]
    loss = errors["tensor"] == "loss"
    judged = errors[~loss].groupby(["dtype", "step"])["enforced"].all()
    of_loss = errors[loss].set_index(["dtype", "step"])["enforced"]
    assert set(judged) == {True, False}
    assert (judged | ~of_loss).all()


def test_where_a_tensor_overflows_none_is_judged():
    # relu and eta lmbd = 6.6: weights grow beyond float32, biases do not; scikit-learn gives up both
    drawn, _ = random_experiment(5076, backends=["numpy", "sklearn"])
    experiment = drawn.model_copy(update={"eta": drawn.eta[2:], "lmbd": drawn.lmbd[1:]})
    found = parity(experiment, steps=10)
    assert not found.disagreeing, parity_points(found)
    last = found.errors[(found.errors["dtype"] == "float32") & (found.errors["step"] == 10)]
    assert np.isinf(last["relative"]).any()
    assert not last.loc[last["tensor"] != "output", "enforced"].any()


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "scale"), [("tanh", "none"), ("relu", "standard")])
def test_adam_on_digits_agrees_in_all_libraries(activation, scale):
    settings = {
        "dataset": "digits",
        "scale": scale,
        "hidden": [30, 20],
        "activation": activation,
        "optimizer": "adam",
        "eta": [0.001, 0.1],
        "lmbd": [0.0, 0.01],
    }
    experiment, _ = random_experiment(0, **ADAM | settings)
    found = parity(experiment, steps=100)
    assert found.exit_code == 0, parity_points(found)
    assert {v.outcome for v in found.verdicts} == {ParityOutcome.ROUND_OFF}


ADAM = {
    "task": "classification",
    "backends": ["all"],
    "momentum": 0.0,
    "nesterov": False,
    "batch_size": 100,
    "cost": "mean",
    "weight_scale": 1.0,
    "initial_weights": "glorot_uniform",
}
