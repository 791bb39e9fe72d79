"""What a network of one or two inputs makes of a mesh over all that it was given samples of.

With one input that is the curve that was fitted, with two the regions of the classes; with more, nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend
from backends.network import Array, Weights
from harness.training.contract import check_outputs
from harness.training.prepare import Prepared

SIDE = 60  # points along each of two inputs
LINE = 200  # points of one input
_MARGIN = 0.1  # of the samples' range, on either side
_NUMBERS = 2**22  # activations that are held at once


def mesh_axes(x: NDArray[Any]) -> list[NDArray[np.float64]]:
    """The points along each of one or two inputs, (samples, inputs); none for more inputs."""
    count = {1: LINE, 2: SIDE}.get(x.shape[1], 0)
    axes = []
    for column in np.asarray(x, np.float64).T if count else ():
        low, high = float(column.min()), float(column.max())
        margin = _MARGIN * (high - low) or 1.0
        axes.append(np.linspace(low - margin, high + margin, count))
    return axes


def mesh_answers(backend: Backend, prepared: Prepared, weights: Weights) -> list[Any]:
    """Of each network its classes on the mesh as uint8, or its values as float32, in the units of the data.

    The second input runs slowest. Empty if there is no mesh; None for a network whose answers are not finite.
    """
    axes, network = mesh_axes(prepared.x), prepared.network
    if not axes or network.classes > np.iinfo(np.uint8).max:
        return []
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1).astype(prepared.x.dtype)
    at_once = max(1, _NUMBERS // (len(weights) * max(network.sizes)))
    outputs = np.concatenate(
        [_outputs(backend, prepared, weights, mesh[k : k + at_once]) for k in range(0, len(mesh), at_once)],
        axis=1,
    )  # fmt: skip
    finite = np.isfinite(outputs).all(axis=(1, 2))
    if network.classes:
        answers = outputs.argmax(axis=2).astype(np.uint8)
    else:
        answers = prepared.in_units(outputs[..., 0].astype(np.float64)).astype(np.float32)
    return [own if ok else None for own, ok in zip(answers, finite, strict=True)]


def _outputs(backend: Backend, prepared: Prepared, weights: Weights, mesh: Array) -> Array:
    outputs = backend.predict_proba(mesh, prepared.network, weights)
    check_outputs(outputs, prepared.network, len(weights), len(mesh))
    return outputs
