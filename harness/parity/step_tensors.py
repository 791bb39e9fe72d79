"""A step taken apart: every tensor of it in the order of computation, as it should be and as it was seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backends.base import Backend
from backends.distance import Tolerance
from backends.network import Array, Weights
from harness.parity.probe import observed
from harness.parity.reference_step import Batch, Rules, State, Tensors, stepped, tensors
from harness.roundoff.trial import Trial

LOCAL = {"float64": 1e-10, "float32": 1e-3}  # relative error of a tensor of one step
COLUMNS = ["tensor", "seen", "absolute", "relative", "tolerance", "differs"]


def taken_apart(
    backend: Backend,
    trial: Trial,
    step: int,
    state: State,
    before: Weights,
    after: Weights,
    tolerance: Tolerance,
) -> pd.DataFrame:
    """A row for each tensor of a step (counted from 0) that a backend took from ``before`` to ``after``.

    Columns: tensor, ``seen`` (not everything can be, from outside), absolute and relative error,
    tolerance, ``differs``. ``state`` is where the step starts, the optimiser's memory included.
    """
    batch, rules = Batch.of(trial, trial.plan.rows(step)[0]), Rules.of(trial)
    expected = tensors(state.weights, batch, rules)
    seen = observed(backend, trial, step, before)
    rows = [_row(name, seen.get(name), expected, trial.dtype) for name in expected]
    updated = stepped(state, batch, rules).weights
    for name, tensor in after.named().items():
        scale = max(float(np.abs(t).max()) for t in (updated[name], state.weights[name]))
        gap = float(np.abs(tensor[0] - updated[name]).max())
        allowed = tolerance.at(step + 1)
        relative = gap / scale if scale else gap
        rows.append((name, True, gap, relative, allowed, not relative <= allowed))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    name: str, tensor: Array | None, expected: Tensors, dtype: str
) -> tuple[str, bool, float, float, float, bool]:
    """One tensor up to the gradients."""
    allowed, scale = LOCAL[dtype], _scale(name, expected)
    if tensor is None or not scale or not np.isfinite(tensor).any():
        return name, False, np.nan, np.nan, allowed, False
    gap = float(np.nanmax(np.abs(tensor - expected[name][: len(tensor)])))
    if name.startswith("penalty"):  # seen as the difference of two gradients
        gradient = np.abs(expected[f"d{name.removeprefix('penalty of ')}"]).max()
        allowed += float(32 * np.finfo(dtype).eps * gradient / scale)
    return name, True, gap, gap / scale, allowed, bool(gap / scale > allowed)


def _scale(name: str, expected: Tensors) -> float:
    """What a tensor's error is measured by; of a bias's penalty, which is none, that of the weights."""
    return float(np.abs(expected[name.replace("penalty of b", "penalty of W")]).max())
