"""Random experiments, for a judge that must not accuse right backends. Not tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.network import ACTIVATIONS
from harness.experiment.experiment import Experiment, experiment_from

CLASSES = ("digits", "digits", "iris", "wine", "breast_cancer")  # digits more often than others


def random_experiment(seed: int, **settings: Any) -> tuple[Experiment, int]:
    """An experiment, and the number of steps to take; the same for the same seed.

    Every dataset, scaling, activation, depth, optimiser, kind of draws, with eta up to 10.
    """
    rng = np.random.default_rng([seed, 20_261_125])

    def one(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    regression = rng.random() < 0.2
    adam = rng.random() < 0.4
    momentum = 0.0 if adam else one(0.0, 0.5, 0.9)
    steepest = 0 if adam else 1
    drawn = {
        "task": "regression" if regression else "classification",
        "dataset": "diabetes" if regression else one(*CLASSES),
        "scale": one("none", "standard", "minmax"),
        "hidden": [int(rng.integers(2, 33)) for _ in range(rng.integers(1, 5))],
        "activation": one(*ACTIVATIONS),
        "optimizer": "adam" if adam else "sgd",
        "momentum": momentum,
        "nesterov": bool(momentum) and one(True, False),
        "batch_size": one(5, 16, 32, 50, 100, 200),
        "keep_last_batch": one(True, False),
        "epochs": 400,
        "minibatches": one("permutation", "permutation", "independent", "reshuffle"),
        "initial_weights": one("glorot_uniform", "glorot_uniform", "normal", "truncated_normal"),
        "weight_scale": one(1.0, 1.0, 0.1, 3.0),
        "initial_bias": one(0.0, 0.0, 0.1),
        "eta": sorted({round(10 ** rng.uniform(-5, steepest), 6) for _ in range(3)}),
        "lmbd": [0.0, round(10 ** rng.uniform(-5, 1), 6)],
        "seed": int(rng.integers(1000)),
    }
    if rng.random() < 0.15:
        drawn |= one({"cost": "sum"}, {"penalty_per_sample": True}, {"penalised": "hidden"})
    steps = int(one(20, 50, 100, 200))
    drawn["epochs"] = 1 + steps // 4  # never many more than the steps that are taken
    return experiment_from(drawn | settings), steps
