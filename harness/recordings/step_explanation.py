"""What accounts for the wrong steps of a recording: mistakes, a change later, something drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backends.recording import Recording
from harness.mistakes.accumulated_gradients import rarely_updated, rarely_zeroed
from harness.mistakes.explanation import Explanation, explain, likeliest_on
from harness.mistakes.forward_mistakes import float32_inside_float64
from harness.mistakes.mistake import Mistake
from harness.mistakes.optimiser_mistakes import rate_changes
from harness.mistakes.random_steps import dropout, gradient_noise
from harness.mistakes.reference_step import Batch
from harness.mistakes.step_trace import StepTrace
from harness.recordings.rules import after, other_data, rules_with
from harness.recordings.said_schedule import other_etas
from harness.recordings.wrong_steps import checked_steps

STEPS_SEARCHED = 4  # steps that mistakes are sought in
_BEFORE = 4  # of them before the first wrong one, where it comes late
_FIRST_STEPS = 3  # that one mistake accounts for, where something changes later
STEPS_WITNESSED = 40  # steps that an explanation has to hold in
_TOLD_APART = 400  # steps that alternatives are told apart on
_TELLING = 6  # steps from which on one wrong first one tells something


def mistakes_of_steps(
    recording: Recording,
    trace: StepTrace,
    wrong: NDArray[np.bool_],
    steps_after: Sequence[int],
    batches: Sequence[Batch],
    most: int = 3,
) -> Explanation | None:
    """What accounts for the wrong steps, to the last digit or by how they are spread."""
    index = int(np.flatnonzero(wrong.any(axis=1))[0])
    why = (
        _drawn_at_random([gradient_noise(trace)], wrong)
        or _explained(recording, trace, steps_after, index, batches, most)
        or _drawn_at_random(dropout(trace), wrong)
        or _and_a_change_later(recording, trace, steps_after, batches)
    )
    return why and replace(why, recorded=True)


def unrecorded_start(trace: StepTrace, wrong: NDArray[np.bool_], size: float) -> Explanation | None:
    """That the training began elsewhere: only what leads away from the recorded start is wrong.

    Told of plain gradient descent alone; other optimisers remember what the unknown start did.
    """
    training = trace.rules.training
    steps = np.asarray(wrong.any(axis=1))
    if training.optimizer != "sgd" or training.momentum or len(steps) < _TELLING or steps[1:].any():
        return None
    words = (
        "the training did not begin at the recorded initial weights: only its first step is wrong"
    )
    start = Mistake("initial weights", words, "initial weights", "initial W1", {})
    return Explanation((start,), (), 0.0, size, 1, len(steps))


def _explained(
    recording: Recording,
    trace: StepTrace,
    steps_after: Sequence[int],
    index: int,
    batches: Sequence[Batch],
    most: int = 3,
) -> Explanation | None:
    """The mistakes, at most so many, that account for the steps about the first wrong one."""
    begin = steps_after[max(index - _BEFORE, 0) - 1] if index > _BEFORE else 0
    part = after(trace, begin) if begin else trace

    def until(kept: int) -> StepTrace:
        ends = [k for k, seen in enumerate(part.weights, start=1) if seen is not None]
        return part.first(ends[min(kept, len(ends)) - 1])

    short, long = until(STEPS_SEARCHED), until(STEPS_WITNESSED)
    if short.wrong(short.rules).any(axis=1).sum() < 2:
        wrong = np.flatnonzero(long.wrong(long.rules).any(axis=1))
        short = until(int(wrong[1]) + 1) if len(wrong) > 1 else short
    traces = [short] if len(long) == len(short) else [short, long]
    right = steps_after[index - 1] if index else 0
    # from the second step on dampening does the same, and is likelier
    changes = rate_changes(right, trace.rules.steps_per_epoch) if right > 1 else []
    sums = [] if begin else [*rarely_zeroed(long), *rarely_updated(long)]
    known = float32_inside_float64(trace.rules, recording.about.get("versions") or {})
    more = [
        *changes,
        *other_etas(recording, traces[-1]),
        *other_data(recording, trace.rules),
        *sums,
        *known,
    ]
    why = explain(traces, batches, more=more, most=most)
    return why and likeliest_on(why, until(_TOLD_APART))


def _and_a_change_later(
    recording: Recording, trace: StepTrace, steps_after: Sequence[int], batches: Sequence[Batch]
) -> Explanation | None:
    """A mistake that accounts for the first steps, and beside it what accounts for those after them."""
    if len(steps_after) < 2 * _FIRST_STEPS:
        return None
    begun = explain([trace.first(steps_after[_FIRST_STEPS - 1])], batches, most=1)
    for mistakes in begun.alternatives if begun else ():
        as_begun = replace(trace, rules=rules_with(trace.rules, *mistakes))
        later = np.flatnonzero(checked_steps(as_begun).wrong.any(axis=1))
        if not len(later) or later[0] < _FIRST_STEPS:
            continue
        rest = _explained(recording, as_begun, steps_after, int(later[0]), batches, most=1)
        for mistake in mistakes if rest else ():
            rest = rest and rest.beside(mistake)
        if rest:
            return rest
    return None


def _drawn_at_random(
    mistakes: Sequence[Mistake | None], wrong: NDArray[np.bool_]
) -> Explanation | None:
    """That something drawn at random goes into the steps; their spread tells it, not every digit of them."""
    told = [(mistake,) for mistake in mistakes if mistake is not None]
    if not told or not wrong.any(axis=1).all():
        return None
    return Explanation(told[0], tuple(told[1:]), 0.0, 0.0, 1, len(wrong))
