"""What a backend must give back: as many weights and outputs as asked for, of the right shape and dtype.

Whatever is wrong is raised as a ValueError that names it, and with that its unit has failed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.network import Fit, Network
from backends.plan import Plan


def check_fit(fit: Any, network: Network, dtype: str, cells: int, plan: Plan) -> None:
    """Raise ValueError unless a training gave all weights of every cell after every checkpoint."""
    if not isinstance(fit, Fit):
        raise ValueError(f"train gave a {type(fit).__name__}; it must give a Fit")
    if len(fit.path) != len(plan.checkpoints):
        raise ValueError(
            f"train gave weights after {len(fit.path)} checkpoints; "
            f"the plan asks for {len(plan.checkpoints)}"
        )
    for weights in fit.path:
        for kind, tensors in (("weight matrices", weights.W), ("biases", weights.b)):
            if len(tensors) != network.layers:
                raise ValueError(
                    f"train gave {kind} of {len(tensors)} layers; the network has {network.layers}"
                )
        for layer, (inputs, outputs) in enumerate(network.shapes):
            for name, tensor, shape in (
                (f"W{layer + 1}", weights.W[layer], (cells, inputs, outputs)),
                (f"b{layer + 1}", weights.b[layer], (cells, outputs)),
            ):
                _check_array(f"train gave {name}", tensor, shape, np.dtype(dtype))
    if fit.steps is not None and len(fit.steps) != cells:
        raise ValueError(f"train gave steps of {len(fit.steps)} cells; there are {cells}")


def check_outputs(outputs: Any, network: Network, cells: int, samples: int) -> None:
    """Raise ValueError unless ``predict_proba`` gave every class's probability of every sample."""
    width = 2 if network.output == "logistic" else network.outputs
    _check_array("predict_proba gave an output", outputs, (cells, samples, width), None)


def _check_array(
    what: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any] | None
) -> None:
    """``dtype`` None: any floating one."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{what} of type {type(array).__name__}; it must be a NumPy array")
    if array.shape != shape:
        raise ValueError(f"{what} of shape {array.shape}; it must be {shape}")
    if array.dtype != dtype if dtype is not None else array.dtype.kind != "f":
        raise ValueError(f"{what} in {array.dtype}; it must be in {dtype or 'floating-point'}")
