"""Steps that took another step's minibatch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, stepped
from harness.mistakes.step_trace import StepTrace

_NEAREST = 200  # other steps whose minibatch is tried
_TOLD = 4  # steps that are told one by one


def other_minibatch(trace: StepTrace, minibatches: Sequence[Batch]) -> Mistake | None:
    """The mistake that the wrong steps of a trace took other minibatches; None if not all of them did.

    minibatches: those of all steps of the training, from its first on.
    """
    taken: dict[int, int] = {}
    state = trace.start
    for batch, seen in zip(trace.batches, trace.weights, strict=True):
        if seen is None:  # a step alone cannot be judged
            return None
        number = state.steps
        one = StepTrace(trace.rules, state, (batch,), (seen,))
        if one.wrong(trace.rules).any():
            for other in sorted(range(len(minibatches)), key=lambda s: abs(s - number))[:_NEAREST]:
                another = replace(one, batches=(minibatches[other],))
                if other != number and not another.wrong(trace.rules).any():
                    taken[number], batch = other, minibatches[other]
                    break
            else:
                return None
        state = stepped(state, batch, trace.rules).moved(seen)
    if not taken:
        return None

    def change(batch: Batch, here: Any, p: float) -> Batch:
        return minibatches[taken[here.step]] if here.step in taken else batch

    return Mistake("other minibatch", _words(taken, len(trace)), "batch", "rows", {"batch": change})


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
