"""A step taken apart: every tensor of it in the order of computation, as it should be and as it was seen."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from harness.mistakes.reference_step import tensors
from harness.mistakes.step_trace import StepTrace
from harness.parity.probe import ProbedStep

_COLUMNS = ["tensor", "seen", "absolute", "relative", "tolerance", "differs"]
_UPDATED = ("W", "b")


def step_tensors(step: StepTrace, probed: ProbedStep) -> pd.DataFrame:
    """A row for each tensor of a step, which is a trace of one step.

    Columns: tensor, ``seen`` (not everything can be, from outside), absolute and relative error,
    tolerance, ``differs``.
    """
    rules, (batch,), (after,) = step.rules, step.batches, step.kept
    expected = tensors(step.start.weights, batch, rules, step.start.steps)
    rows: list[tuple[str, bool, float, float, float, bool]] = []
    for name in expected:
        gap, relative, allowed = probed.error(name, expected)
        rows.append((name, not np.isnan(gap), gap, relative, allowed, bool(relative > allowed)))
    (updated,), (scales,) = step.predicted(rules), step.own_round_off
    wrong = step.wrong(rules)[0]
    for name, differs in zip(step.names, wrong, strict=True):
        largest = [float(np.abs(t[name]).max()) for t in (updated, step.start.weights)]
        scale = max(*largest, 1e-300)
        gap = float(np.abs(after[name] - updated[name]).max())
        allowed = float(scales[name].max())
        rows.append((name, True, gap, gap / scale, allowed / scale, bool(differs)))
    return pd.DataFrame(rows, columns=_COLUMNS)


def first_difference(
    table: pd.DataFrame, probed: ProbedStep
) -> tuple[str, Literal["observed", "inferred"]]:
    """The first tensor that differs, and whether it was seen to or is inferred from the updates."""
    differing = table.loc[table["differs"], "tensor"].tolist()
    if not differing:
        return "", "inferred"
    if differing[0].startswith(_UPDATED):
        # the gradients were seen to be right, or nothing was seen: the update is what is known
        return differing[0], "observed" if probed.seen else "inferred"
    return differing[0], "observed"
