"""Steps that took another step's minibatch, or targets that are not those of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, stepped
from harness.mistakes.step_trace import StepTrace

_NEAREST = 200  # other steps whose minibatch is tried
_TOLD = 4  # steps that are told one by one
_WAYS = {1: "behind", -1: "ahead of"}


@dataclass(frozen=True)
class _Taken:
    """What a step took in place of its minibatch: that of another step, or its own with shifted targets."""

    batch: Batch
    step: int = -1
    shift: int = 0


def other_minibatch(trace: StepTrace, minibatches: Sequence[Batch]) -> Mistake | None:
    """The mistake that the wrong steps of a trace took other minibatches or targets; None if not all did.

    minibatches: those of all steps of the training, from its first on.
    """
    taken: dict[int, _Taken] = {}
    state = trace.start
    for batch, seen in zip(trace.batches, trace.weights, strict=True):
        if seen is None:  # a step alone cannot be judged
            return None
        number = state.steps
        one = StepTrace(trace.rules, state, (batch,), (seen,))
        if one.wrong(trace.rules).any():
            for other in _candidates(number, batch, minibatches):
                another = replace(one, batches=(other.batch,))
                if not another.wrong(trace.rules).any():
                    taken[number], batch = other, other.batch
                    break
            else:
                return None
        state = stepped(state, batch, trace.rules).moved(seen)
    shifts = {other.shift for other in taken.values()}
    if not taken or (len(shifts) > 1 and 0 in shifts):  # one thing or the other
        return None

    def change(batch: Batch, here: Any, p: float) -> Batch:
        return taken[here.step].batch if here.step in taken else batch

    if 0 not in shifts:
        if len(taken) == len(trace) and len(shifts) == 1:
            return None  # in all steps: the catalogue has it
        words = _shifted_words(taken)
        return Mistake("labels shifted", words, "targets", "targets", {"batch": change})
    words = _words({step: other.step for step, other in taken.items()}, len(trace))
    return Mistake("other minibatch", words, "batch", "rows", {"batch": change})


def _candidates(number: int, batch: Batch, minibatches: Sequence[Batch]) -> Iterator[_Taken]:
    for shift in _WAYS:
        t, y = np.roll(batch.t, shift, axis=0), np.roll(batch.y, shift)
        yield _Taken(Batch(batch.x, t, y), shift=shift)
    for other in sorted(range(len(minibatches)), key=lambda s: abs(s - number))[:_NEAREST]:
        if other != number:
            yield _Taken(minibatches[other], other)


def _shifted_words(taken: dict[int, _Taken]) -> str:
    ways = {_WAYS[other.shift] for other in taken.values()}
    way = ways.pop() if len(ways) == 1 else "behind or ahead of"
    steps = ", ".join(str(step + 1) for step in list(taken)[:_TOLD])
    more = f" and {len(taken) - _TOLD} more" if len(taken) > _TOLD else ""
    return f"the labels are one row {way} the inputs in the minibatch of step {steps}{more}"


def _words(taken: dict[int, int], steps: int) -> str:
    shifts = {other - step for step, other in taken.items()}
    if len(taken) > 1 and len(taken) >= steps - 1 and len(shifts) == 1:
        shift = shifts.pop()
        way = "after" if shift > 0 else "before"
        which = "the step" if abs(shift) == 1 else f"{abs(shift)} steps"
        return f"from step {min(taken) + 1} on each step takes the minibatch of {which} {way} it"
    told = [
        f"the minibatch of step {other + 1} for that of step {step + 1}"
        for step, other in list(taken.items())[:_TOLD]
    ]
    more = f" and {len(taken) - _TOLD} more" if len(taken) > _TOLD else ""
    return f"it takes {', '.join(told)}{more}"
