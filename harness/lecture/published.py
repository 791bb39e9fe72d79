"""What executed copies of the notes print, to hold against what comes out here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCE = (
    "Morten Hjorth-Jensen, Building a Feed Forward Neural Network, lecture notes FYS-STK4155, "
    "github.com/CompPhysics/MachineLearning"
)


@dataclass(frozen=True)
class Published:
    """The printed numbers.

    ``accuracy`` has the test accuracies of a backend's grid, (eta, lmbd) ascending; its first
    ``stable[backend]`` rows are the same in every copy.
    """

    first_probabilities: NDArray[np.float64]
    first_prediction: int
    first_label: int
    old_training_accuracy: float
    new_training_accuracy: float
    accuracy: dict[str, NDArray[np.float64]]
    stable: dict[str, int]


def published() -> Published:
    """Read the printed numbers; where they come from is told in ``published.toml``."""
    text = files("harness.lecture").joinpath("published.toml").read_text("utf-8")
    found: dict[str, Any] = tomllib.loads(text)
    grids = {name: found[name] for name in ("numpy", "sklearn")}
    return Published(
        np.array(found["first_probabilities"]),
        found["first_prediction"],
        found["first_label"],
        found["old_training_accuracy"],
        found["new_training_accuracy"],
        {name: np.array(grid["test_accuracy"]) for name, grid in grids.items()},
        {name: grid["stable_rows"] for name, grid in grids.items()},
    )
