"""Where two trainings part: the first step, and in it the first tensor in the order of computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backends.base import Array, Backend, Weights
from backends.distance import Tolerance, furthest
from harness.parity.explanation import Explanation, explained
from harness.parity.group import Found, Task
from harness.parity.probe import observed
from harness.parity.step import Batch, Rules, Tensors, stepped, tensors, walked
from harness.parity.trial import Trial

POINTS = 8  # checkpoints of one training that a bisection looks at, where it costs nothing
LOCAL = {"float64": 1e-10, "float32": 1e-3}  # relative error of a tensor of one step


@dataclass(frozen=True)
class Divergence:
    """Where a backend parts from the reference, in one cell of the grid.

    ``step`` counts from 1 and is the first after which the weights differ; ``before`` and ``after`` are
    the largest relative errors before and after it. ``tensors``: each tensor of that step in the order of
    computation, with its errors, whether it was ``seen`` and whether it ``differs``. ``first`` is the
    first that differs. Without a step (0) weights agree, and the backend's own forward pass differs.
    """

    backend: str
    reference: str
    dtype: str
    eta: float
    lmbd: float
    step: int
    epoch: int | None
    before: float
    after: float
    tensors: pd.DataFrame
    first: str
    explanation: Explanation | None


def divergence_of(task: Task, found: Found, name: str) -> Divergence:
    """Look where a backend that disagrees first does so: in its worst cell, in float64 if it can."""
    errors = found.errors
    wrong = errors[
        (errors["backend"] == name)
        & errors["enforced"]
        & ~(errors["relative"] <= errors["tolerance"])
    ]
    dtype = "float64" if (wrong["dtype"] == "float64").any() else "float32"
    wrong = wrong[wrong["dtype"] == dtype]
    weights = wrong[~wrong["tensor"].isin(["loss", "output"])]
    early = (weights if len(weights) else wrong).query("step == step.min()")
    shares = (early["relative"] / early["tolerance"]).fillna(np.inf)
    row = early.iloc[int(shares.to_numpy().argmax())]
    cell = task.experiment.cells.index((row["eta"], row["lmbd"]))
    trial = task.trial(name, dtype).of(np.array([cell]))
    truth = task.trial(name, "float64" if row["held"] else dtype).of(np.array([cell]))
    known = (name, task.reference, dtype, float(row["eta"]), float(row["lmbd"]))
    if not len(weights):
        after = float(row["relative"])
        return Divergence(*known, 0, None, 0.0, after, pd.DataFrame(), str(row["tensor"]), None)
    task.say(f"where {name} {dtype} parts from {task.reference}")
    low = max((k for k in trial.checkpoints if k < row["step"]), default=0)
    both = _Both(task.backends[name], task.backends[task.reference], trial, truth)
    step = first_step(both, low, int(row["step"]), task.tolerance(dtype))
    return _looked_into(known, both, step, task.tolerance(dtype))


@dataclass(frozen=True)
class _Both:
    """A suspect and the reference, each with its trial of one cell."""

    suspect: Backend
    reference: Backend
    trial: Trial
    truth: Trial

    def apart(self, steps: Sequence[int]) -> list[float]:
        """The largest relative error of any tensor after each of these numbers of steps."""
        start = self.trial.plan.initial
        paths = (
            self.trial.at(*steps).train(self.suspect),
            self.truth.at(*steps).train(self.reference),
        )
        return [float(furthest(mine, true, start)[0]) for mine, true in zip(*paths, strict=True)]


def first_step(both: _Both, low: int, high: int, tolerance: Tolerance) -> int:
    """The number of steps after which weights first differ, by bisection.

    After ``low`` steps they agree, after ``high`` they do not.
    """
    points = POINTS if both.suspect.stacks else 1
    while high - low > 1:
        between = np.linspace(low, high, points + 2)[1:-1].round().astype(int)
        steps = sorted({min(max(int(k), low + 1), high - 1) for k in between})
        for k, apart in zip(steps, both.apart(steps), strict=True):
            if not apart <= tolerance.at(k):
                high = k
                break
            low = k
    return high


def _looked_into(
    known: tuple[str, str, str, float, float], both: _Both, step: int, tolerance: Tolerance
) -> Divergence:
    """Take a step apart: what of it can be seen, and what explains it."""
    trial, index = both.trial, step - 1
    start = trial.plan.initial
    path = trial.at(*([index, step] if index else [step])).train(both.suspect)
    before, after = (path[0], path[1]) if index else (start, path[0])
    apart = [0.0, *both.apart([step])] if not index else both.apart([index, step])
    state = walked(trial, index).moved(before)
    expected = tensors(state.weights, Batch.of(trial, trial.plan.rows(index)[0]), Rules.of(trial))
    seen = observed(both.suspect, trial, index, before)
    table = pd.DataFrame(_rows(expected, seen, trial.dtype))
    batch = Batch.of(trial, trial.plan.rows(index)[0])
    updated = stepped(state, batch, Rules.of(trial)).weights
    table = pd.concat([table, pd.DataFrame(_updated(updated, after, start, tolerance.at(step)))])
    table = table.reset_index(drop=True)
    why = explained(trial, index, state, after, 10 * tolerance.at(1))
    differing = table.loc[table["differs"], "tensor"]
    first = str(differing.iloc[0]) if len(differing) else ""
    if why is not None and (not first or first[0] in "Wb"):
        first = why.tensor  # it shows in this step only, which the probes do not repeat
    per_epoch = trial.plan.steps_per_epoch
    epoch = index // per_epoch + 1 if per_epoch else None
    return Divergence(*known, step, epoch, apart[0], apart[1], table, first, why)


def _rows(expected: Tensors, seen: Tensors, dtype: str) -> list[dict[str, object]]:
    """A row for each tensor up to the gradients."""
    rows = []
    for name, truth in expected.items():
        tensor = seen.get(name)
        if tensor is None:
            rows.append({"tensor": name, "seen": False, "differs": False})
            continue
        gap, scale = _gap(name, tensor, truth, expected)
        allowed = LOCAL[dtype]
        if name.startswith("penalty") and scale:  # seen as the difference of two gradients
            gradient = np.abs(expected[f"d{name.removeprefix('penalty of ')}"]).max()
            allowed += float(32 * np.finfo(dtype).eps * gradient / scale)
        relative = gap / scale if scale else np.nan
        rows.append(
            {
                "tensor": name,
                "seen": bool(scale) and np.isfinite(tensor).any(),
                "absolute": gap,
                "relative": relative,
                "tolerance": allowed,
                "differs": bool(relative > allowed),
            }
        )
    return rows


def _gap(name: str, tensor: Array, truth: Array, expected: Tensors) -> tuple[float, float]:
    """The largest error among what was seen, and the scale it is measured by."""
    truth = truth[: len(tensor)]
    with np.errstate(all="ignore"):
        gaps = np.abs(tensor - truth)
    gap = float(np.nanmax(gaps)) if np.isfinite(gaps).any() else 0.0
    if name.startswith("penalty of b"):  # nothing is expected: measured by what a penalty would be
        W = expected[name.replace("of b", "of W")]
        return gap, float(np.abs(W).max())
    return gap, float(np.abs(truth).max())


def _updated(
    expected: Tensors, after: Weights, start: Weights, allowed: float
) -> list[dict[str, object]]:
    rows = []
    for (name, tensor), first in zip(after.named().items(), start.named().values(), strict=True):
        gap = float(np.abs(tensor[0] - expected[name]).max())
        scale = max(float(np.abs(t).max()) for t in (expected[name], first))
        relative = gap / scale if scale else gap
        rows.append(
            {
                "tensor": name,
                "seen": True,
                "absolute": gap,
                "relative": relative,
                "tolerance": allowed,
                "differs": not relative <= allowed,
            }
        )
    return rows
