"""Presets: named tables of settings over which flags and configuration files win.

A preset gives settings for all backends and, under ``overrides``, what single backends do otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings by name, and one line for a person on what they are for."""

    summary: str
    settings: dict[str, Any] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    "fair": Preset(
        "one network, one objective, one plan, one dtype for all backends; "
        "differences that remain are the libraries'"
    ),
    "lecture": Preset(
        "the lecture notes' four programs as they were written, each with its own network, objective "
        "and draws; differences are the notes'",
        settings={
            "draws": "notebook",
            "validation_size": 0.0,  # the notes hold no samples back to choose a cell by
            "monitor": "training",  # scikit-learn's own rule is the program's
            "epochs": 100,
            "batch_size": 100,
            "activation": "sigmoid",
            "overrides": {
                "numpy": {
                    "dtype": "float64",
                    "cost": "sum",
                    "minibatches": "independent",
                    "initial_weights": "normal",
                    "initial_bias": 0.01,
                    # the script's own weights, and one network before the grid
                    "drawn_before": ["numpy weights", "numpy network"],
                },
                "sklearn": {
                    "dtype": "float64",
                    "optimizer": "adam",
                    "batch_size": 200,
                    "keep_last_batch": True,
                    "penalty_per_sample": True,
                    "minibatches": "reshuffle",
                    "weight_scale": math.sqrt(1 / 3),  # 2 / (inputs + outputs) for a logistic unit
                    "initial_bias": "as_weights",
                    "patience": 10,
                    "tol": 1e-4,
                    "drawn_before": ["numpy weights", "numpy network", "numpy grid"],
                },
                "tensorflow": {
                    "hidden": [100, 50],
                    "minibatches": "independent",
                    "initial_weights": "truncated_normal",
                    "weight_scale": 0.1,
                    "initial_bias": 0.1,
                    "shared_stream": ["minibatches"],
                },
                "keras": {
                    "hidden": [100, 50],
                    "keep_last_batch": True,
                    "penalty_factor": 2.0,
                    "penalised": "hidden",
                    "shared_stream": [],
                },
            },
        },
    ),
}
