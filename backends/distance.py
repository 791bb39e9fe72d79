"""How far two trainings of the same network are apart, and how far they may be.

A tensor's *relative error* is its largest absolute error over the tensor's scale,

    max_ij |T_ij - R_ij| / max(max_ij |R_ij|, max_ij |S_ij|) ,

cell by cell, where R is the reference and S the same tensor at the start of the training. Entry by entry
it would say nothing, an entry near zero having no relative accuracy to lose; and so it is with a tensor
that a large penalty has shrunk to nothing, hence S.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Weights

Errors = NDArray[np.float64]
TINY = np.finfo(np.float64).tiny

# dtype: relative error after one step and after a thousand
BAR = {"float32": (1e-6, 1e-5), "float64": (1e-14, 1e-12)}


@dataclass(frozen=True)
class Tolerance:
    """The largest relative error that passes, by the number of steps.

    Between one step and a thousand it grows as a power of the number of steps, and so beyond.
    ``rtol`` in place of that holds for any number of steps.
    """

    dtype: str
    rtol: float | None = None

    def at(self, steps: int) -> float:
        """The tolerance after this many steps; none counts as one."""
        if self.rtol is not None:
            return self.rtol
        first, thousandth = BAR[self.dtype]
        return float(first * (thousandth / first) ** (np.log10(max(1, steps)) / 3))


def error(tensor: Array, reference: Array, scale: Array | float = 0.0) -> tuple[Errors, Errors]:
    """Absolute and relative error of a tensor (cells, ...); each of shape (cells,), float64.

    The tensor's scale is at least ``scale``. Where only one of the two is finite the error is infinite;
    where neither is, NaN.
    """
    finite = [np.isfinite(_flat(t)).all(axis=1) for t in (tensor, reference)]
    with np.errstate(all="ignore"):
        truth = _flat(reference).astype(np.float64)
        absolute = np.abs(_flat(tensor) - truth).max(axis=1)
        relative = absolute / np.maximum(np.maximum(np.abs(truth).max(axis=1), scale), TINY)
    for values in (absolute, relative):
        values[finite[0] != finite[1]] = np.inf
        values[~finite[0] & ~finite[1]] = np.nan
    return absolute, relative


def errors(
    weights: Weights, reference: Weights, start: Weights
) -> dict[str, tuple[Errors, Errors]]:
    """Absolute and relative error of every tensor, by name, as in :func:`error`.

    ``start``: the initial weights, of each cell or of a single one for all.
    """
    tensors = zip(
        weights.named().items(), reference.named().values(), start.named().values(), strict=True
    )
    return {
        name: error(tensor, truth, np.abs(_flat(first)).max(axis=1))
        for (name, tensor), truth, first in tensors
    }


def relative_errors(weights: Weights, reference: Weights, start: Weights) -> Errors:
    """The relative error of every tensor, in the order of :meth:`Weights.named`; (tensors, cells)."""
    return np.array([relative for _, relative in errors(weights, reference, start).values()])


def furthest(weights: Weights, reference: Weights, start: Weights) -> Errors:
    """The largest relative error of any tensor; (cells,), NaN or infinite as in :func:`error`."""
    worst: Errors = relative_errors(weights, reference, start).max(axis=0)
    return worst


def _flat(tensor: Array) -> Array:
    return tensor.reshape(len(tensor), -1)
