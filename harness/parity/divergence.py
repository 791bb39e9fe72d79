"""Where two trainings part: the first step, and in it the first tensor in the order of computation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from backends.base import Backend
from backends.distance import Errors, Tolerance, relative_errors
from backends.network import Weights
from harness.parity.comparison import ParityComparison, ParityTask
from harness.parity.known_mistakes import Explanation, explained
from harness.parity.reference_step import walked
from harness.parity.step_tensors import taken_apart
from harness.roundoff.round_off import allowed_by, round_off
from harness.roundoff.trial import Trial

BISECTED = 8  # checkpoints of one training that a bisection looks at, where it costs nothing
CLOSE_TWINS = range(6)  # that round-off is measured by in the one cell that is looked into
ONLY_TOGETHER = "together"
_NOT_WEIGHTS = ("loss", "output")  # what is compared beside weights and biases


@dataclass(frozen=True)
class Divergence:
    """Where a backend parts from the reference, in one cell of the grid.

    ``step`` counts from 1 and is the first after which the weights differ; ``before`` and ``after`` are
    the largest relative errors before and after it. ``tensors``: each tensor of that step in the order of
    computation, with its errors, whether it was ``seen`` and whether it ``differs``. ``first`` is the
    first that differs. Without a step (0) the cell's weights agree, and what differs is the backend's
    own forward pass (``output``), or the cell is only wrong where it is trained ``together`` with others.
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


def divergence_of(task: ParityTask, comparison: ParityComparison, name: str) -> Divergence:
    """Look where a backend that disagrees first does so: in its worst cell, in float64 if it can."""
    errors = comparison.errors
    errors = errors[(errors["backend"] == name) & errors["enforced"].astype(bool)]
    wrong = errors[~(errors["relative"] <= errors["tolerance"])]
    dtype = "float64" if (wrong["dtype"] == "float64").any() else "float32"
    wrong = wrong[wrong["dtype"] == dtype]
    weights = wrong[~wrong["tensor"].isin(_NOT_WEIGHTS)]
    early = (weights if len(weights) else wrong).query("step == step.min()")
    shares = (early["relative"] / early["tolerance"]).fillna(np.inf)
    row = early.iloc[int(shares.to_numpy().argmax())]
    known = (name, task.reference or "the reference", dtype, float(row["eta"]), float(row["lmbd"]))
    alike = Divergence(
        *known, 0, None, 0.0, float(row["relative"]), pd.DataFrame(), str(row["tensor"]), None
    )
    if not len(weights):
        return alike
    task.say(f"where {name} {dtype} parts from the reference")
    index, high = np.array([int(row["cell"])]), int(row["step"])
    both = _Both(
        task, name, task.trial(name, dtype).of(index), task.trial(name, "float64").of(index)
    )
    if not both.beyond(high)[0]:
        return replace(alike, first=ONLY_TOGETHER)
    low = max((k for k in both.trial.checkpoints if k < high), default=0)
    return _looked_into(known, both, first_step(both, low, high), Tolerance(dtype, task.rtol))


@dataclass(frozen=True)
class _Both:
    """A suspect and the reference, each with its trial of one cell."""

    task: ParityTask
    name: str
    trial: Trial
    exact: Trial

    @property
    def suspect(self) -> Backend:
        return self.task.backends[self.name]

    def seen(self, *steps: int) -> tuple[Weights, ...]:
        """The suspect's weights after these numbers of steps.

        The plan goes on to the end of the last one's epoch, the whole of which a backend may look at.
        """
        per_epoch = self.trial.plan.steps_per_epoch or 1
        end = min(-(-max(steps) // per_epoch) * per_epoch, self.trial.plan.steps)
        return self.trial.at(*steps, end).train(self.suspect)[: len(steps)]

    def apart(self, *steps: int) -> list[Errors]:
        """The relative error of every tensor after each of these numbers of steps."""
        start = self.trial.plan.initial
        paths = (self.seen(*steps), self.task.reference_path(self.exact.at(*steps)))
        return [relative_errors(mine, true, start)[:, 0] for mine, true in zip(*paths, strict=True)]

    def beyond(self, *steps: int) -> list[bool]:
        """Whether the suspect is further off than it may be after each of these numbers of steps."""
        if self.task.rtol is not None:
            return [not (apart <= self.task.rtol).all() for apart in self.apart(*steps)]
        path = self.task.reference_path(self.exact.at(*steps))
        measured = round_off(self.trial.at(*steps), path, CLOSE_TWINS)
        allowed = allowed_by(measured.distance, self.trial.dtype)[:, :, 0]
        return [
            not (apart <= most).all()
            for apart, most in zip(self.apart(*steps), allowed, strict=True)
        ]


def first_step(both: _Both, low: int, high: int) -> int:
    """The number of steps after which weights first differ, by bisection.

    After ``low`` steps they agree, after ``high`` they do not.
    """
    points = BISECTED if both.suspect.stacks else 1
    while high - low > 1:
        between = np.linspace(low, high, points + 2)[1:-1].round().astype(int)
        steps = sorted({min(max(int(k), low + 1), high - 1) for k in between})
        for k, beyond in zip(steps, both.beyond(*steps), strict=True):
            if beyond:
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
    before, after = both.seen(index, step) if index else (start, *both.seen(step))
    after_it = [
        float(errors.max()) for errors in both.apart(*((index, step) if index else (step,)))
    ]
    apart = after_it if index else [0.0, *after_it]
    state = walked(trial, index).moved(before)
    table = taken_apart(both.suspect, trial, index, state, before, after, tolerance)
    why = explained(trial, index, state, after, 10 * tolerance.at(1))
    differing = table.loc[table["differs"], "tensor"]
    first = str(differing.iloc[0]) if len(differing) else ""
    if why is not None:
        first = why.tensor  # what happens in this step only, the probes do not see
    per_epoch = trial.plan.steps_per_epoch
    epoch = index // per_epoch + 1 if per_epoch else None
    return Divergence(*known, step, epoch, apart[0], apart[1], table, first, why)
