"""Where a training goes wrong: the first step, and in it the first tensor in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from backends.base import Backend
from backends.distance import Errors, relative_errors
from backends.network import Cells, Weights
from harness.mistakes.explanation import Explanation, explain
from harness.mistakes.forward_mistakes import float32_inside_float64
from harness.mistakes.initial_weights import initial_weights, other_start
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, walked
from harness.mistakes.step_trace import StepTrace
from harness.parity.comparison import ParityComparison, ParityTask
from harness.parity.probe import contradicts, probe_step
from harness.parity.step_tensors import first_difference, step_tensors
from harness.roundoff.round_off import allowed_by, round_off
from harness.roundoff.trial import Trial

BISECTED = 8  # checkpoints of one training that a bisection looks at, where it costs nothing
CLOSE_TWINS = range(6)  # that round-off is measured by in the one cell that is looked into
ONLY_TOGETHER = "together"
_NOT_WEIGHTS = ("loss", "output")  # what is compared beside weights and biases
_BEGINNING = 6  # steps in which a mistake is looked for before it is bisected
_AFTER = 2  # steps after the first wrong one that are to be explained as well
_FURTHER = 24  # steps that are gone on by until a second one is wrong
_BEFORE = 24  # steps before the first wrong one; a longer training is looked at from later on
_CELLS = 3  # in which an explanation has to hold


@dataclass(frozen=True)
class Divergence:
    """Where a backend parts from the reference, in one cell of the grid.

    ``step`` counts from 1 and is the first that is not what the rules make of the backend's own weights
    before it; ``before`` and ``after`` are the largest relative errors before and after it. ``tensors``:
    each tensor of that step in the order of computation, with its errors, whether it was ``seen`` and
    whether it ``differs``. ``first`` is the first that differs, ``how`` whether it was "observed" or
    "inferred" from the updates. Without a step (0) the cell's weights agree, and what differs is the
    backend's own forward pass (``output``), or the cell is only wrong where it is trained ``together``
    with others.
    """

    backend: str
    reference: str
    dtype: str
    cell: int
    eta: float
    lmbd: float
    step: int
    epoch: int | None
    before: float
    after: float
    tensors: pd.DataFrame
    first: str
    how: Literal["observed", "inferred"]
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
    whole, number = task.trial(name, dtype), int(row["cell"])
    parting = Divergence(
        backend=name,
        reference=task.reference or "the reference",
        dtype=dtype,
        cell=number,
        eta=float(row["eta"]),
        lmbd=float(row["lmbd"]),
        step=0,
        epoch=None,
        before=0.0,
        after=float(row["relative"]),
        tensors=pd.DataFrame(),
        first=str(row["tensor"]),
        how="observed",
        explanation=None,
    )
    if not len(weights):
        return parting
    task.say(f"where {name} {dtype} parts from the reference")
    index, high = np.array([number]), int(row["step"])
    trial, exact = whole.of(index), task.trial(name, "float64").of(index)
    suspect = _Suspect(task, name, trial, exact, initial_weights(task.backends[name], trial))
    if not suspect.beyond(high)[0]:
        return replace(parting, first=ONLY_TOGETHER)
    trace = suspect.trace(0, min(_BEGINNING, high))
    if not trace.wrong(trace.rules).any() and not suspect.other_start:
        low = max((k for k in suspect.trial.checkpoints if k < high), default=0)
        step = first_step(suspect, low, high)
        trace = suspect.trace(max(0, step - _BEFORE), step)
    furthest = shares.groupby(early["cell"].to_numpy()).max()
    soon = dict(zip(furthest.index.astype(int).tolist(), furthest.tolist(), strict=True))
    witnesses = _witnesses(whole, number, soon, sorted({int(cell) for cell in weights["cell"]}))
    return _looked_into(parting, suspect, trace, witnesses)


@dataclass(frozen=True)
class _Suspect:
    """A backend that disagrees, with its trial of one cell, and that in float64."""

    task: ParityTask
    name: str
    trial: Trial
    exact: Trial
    initial: Tensors

    @property
    def backend(self) -> Backend:
        return self.task.backends[self.name]

    @property
    def other_start(self) -> Mistake | None:
        """The mistake of starting from other weights, if it is made."""
        return other_start(State.start(self.trial.plan.initial).weights, self.initial)

    def seen(self, *steps: int) -> tuple[Weights, ...]:
        """The backend's weights after these numbers of steps.

        The plan goes on to the end of the last one's epoch, the whole of which a backend may look at.
        """
        per_epoch = self.trial.plan.steps_per_epoch or 1
        end = min(-(-max(steps) // per_epoch) * per_epoch, self.trial.plan.steps)
        return self.trial.at(*steps, end).train(self.backend)[: len(steps)]

    def trace(self, first: int, last: int) -> StepTrace:
        """The steps after the first so many, up to the last."""
        wanted = range(first + 1, last + 1)
        path = list(self.seen(*([first] if first else []), *wanted))
        start = State.start(self.trial.plan.initial).moved(self.initial)
        if first:
            start = walked(self.trial, first).moved(State.start(path.pop(0)).weights)
        rows = [self.trial.plan.rows(step - 1)[0] for step in wanted]
        batches = tuple(Batch.of(self.trial, chosen) for chosen in rows)
        weights = tuple(State.start(seen).weights for seen in path)
        return StepTrace(StepRules.of(self.trial), start, batches, weights).finite()

    def of(self, cells: Cells) -> _Suspect:
        """The same in another cell."""
        trial, exact = (replace(trial, cells=cells) for trial in (self.trial, self.exact))
        return replace(self, trial=trial, exact=exact)

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


def first_step(suspect: _Suspect, low: int, high: int) -> int:
    """The number of steps after which weights first differ, by bisection.

    After ``low`` steps they agree, after ``high`` they do not.
    """
    points = BISECTED if suspect.backend.stacks else 1
    while high - low > 1:
        between = np.linspace(low, high, points + 2)[1:-1].round().astype(int)
        steps = sorted({min(max(int(k), low + 1), high - 1) for k in between})
        for k, beyond in zip(steps, suspect.beyond(*steps), strict=True):
            if beyond:
                high = k
                break
            low = k
    return high


def _witnesses(
    whole: Trial, number: int, soon: Mapping[int, float], differing: Sequence[int]
) -> list[Cells]:
    """Further cells in which an explanation has to hold: others of the grid, or half of eta.

    soon: how far beyond what is allowed cells are that differ as soon as this one does, which come first,
    the furthest of those that are as unlike it: in others nothing may be wrong in the steps looked at.
    """
    own = whole.cells[np.array([number])]

    def likeness(cell: int) -> tuple[bool, bool, bool, float]:
        lmbd, eta = whole.cells.lmbd[cell] == own.lmbd[0], whole.cells.eta[cell] == own.eta[0]
        return cell not in soon, bool(lmbd), bool(eta), -soon.get(cell, 0.0)

    others = sorted({*differing} - {number}, key=likeness)
    half = [] if {*soon} - {number} else [Cells.of(float(own.eta[0]) / 2, float(own.lmbd[0]))]
    return [*half, *(whole.cells[np.array([cell])] for cell in others)][: _CELLS - 1]


def _looked_into(
    parting: Divergence, suspect: _Suspect, trace: StepTrace, witnesses: Sequence[Cells]
) -> Divergence:
    """Take the first wrong step apart: what of it can be seen, and what explains it."""
    wrong_steps = trace.wrong(trace.rules).any(axis=1)
    steps = trace.start.steps + np.flatnonzero(wrong_steps)
    index = int(steps[0]) if len(steps) else trace.start.steps + max(len(trace) - 1, 0)
    apart = [float(errors.max()) for errors in suspect.apart(*sorted({max(index, 1), index + 1}))]
    per_epoch = suspect.trial.plan.steps_per_epoch
    parting = replace(
        parting,
        step=index + 1,
        epoch=index // per_epoch + 1 if per_epoch else None,
        before=apart[0] if index else 0.0,
        after=apart[-1],
        first="",
    )
    start = suspect.other_start
    if start is not None:
        parting = replace(parting, step=1, first=start.tensor, how="observed")
    if not len(steps):
        if start is None:
            return parting
        alone = Explanation((start,), (), 0.0, parting.after, len(witnesses) + 1, len(trace))
        return replace(parting, explanation=alone)
    trace = _long_enough(suspect, trace, index)
    own = StepTrace(
        trace.rules,
        trace.states(trace.rules)[index - trace.start.steps],
        (trace.batches[index - trace.start.steps],),
        (trace.weights[index - trace.start.steps],),
    )
    probed = probe_step(suspect.backend, suspect.trial, index, own.start)
    table = step_tensors(own, probed)
    last = trace.start.steps + len(trace)
    others = [suspect.of(cells).trace(trace.start.steps, last) for cells in witnesses]
    explained = explain(
        [trace, *(other for other in others if len(other))],
        [Batch.of(suspect.trial, rows) for rows in suspect.trial.plan.batches()],
        lambda mistakes: contradicts(probed, own.rules.but(*mistakes)),
        list(float32_inside_float64(trace.rules, suspect.backend.versions())),
    )
    first, how = first_difference(table, probed)
    if start is not None:
        first, how = start.tensor, "observed"
        explained = explained and explained.beside(start)
    elif explained is not None:
        how = "observed" if explained.tensor == first else "inferred"
        first = explained.tensor
    return replace(parting, tensors=table, first=first, how=how, explanation=explained)


def _long_enough(suspect: _Suspect, trace: StepTrace, index: int) -> StepTrace:
    """The steps up to some after the first wrong one (from 0), and to a second one that is wrong."""
    end, first = suspect.trial.plan.steps, trace.start.steps
    trace = suspect.trace(first, min(index + 1 + _AFTER, end))
    if trace.wrong(trace.rules).any(axis=1).sum() < 2:
        longer = suspect.trace(first, min(index + 1 + _FURTHER, end))
        wrong = np.flatnonzero(longer.wrong(longer.rules).any(axis=1))
        trace = longer.first(int(wrong[1]) + 1) if len(wrong) > 1 else trace
    return trace
