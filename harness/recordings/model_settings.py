"""What a model's own settings, which its training follows, have otherwise than its author says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends.recording import Recording
from harness.document.words import series
from harness.mistakes.explanation import Explanation, explain
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import StepRules, stepped
from harness.mistakes.step_trace import StepTrace
from harness.recordings.rules import rules_of
from harness.recordings.step_explanation import STEPS_SEARCHED, STEPS_WITNESSED
from harness.recordings.wrong_steps import checked_steps

_LISTED = 6  # numbers that are told one by one


@dataclass(frozen=True)
class TrainedOtherwise:
    """A training that is as its model says, and not as its author does: from which step on, and why."""

    trace: StepTrace
    step: int
    explanation: Explanation


def trained_as_the_model_says(
    recording: Recording, trace: StepTrace, about: Mapping[str, Any]
) -> TrainedOtherwise | None:
    """What the settings of a model, which its steps follow, have otherwise than its author says.

    Told on a training of the reference by those settings in float64, where no round-off hides anything.
    None if the steps do not follow them either, or if they come to the same.
    """
    own = rules_of(recording, {**about, **about["of_model"]})
    if checked_steps(replace(trace, rules=own)).wrong.any():
        return None
    exact = replace(trace.rules, training=replace(trace.rules.training, dtype="float64"))

    def trained(rules: StepRules) -> StepTrace:
        state, path = trace.start, []
        with np.errstate(all="ignore"):
            for batch in trace.batches[:STEPS_WITNESSED]:
                state = stepped(state, batch, rules)
                path.append(state.weights)
        return StepTrace(exact, trace.start, trace.batches[: len(path)], tuple(path)).finite()

    long = trained(own)
    wrong = long.wrong(exact).any(axis=1)
    if not wrong.any():
        return None
    traces = [long.first(max(STEPS_SEARCHED, int(np.flatnonzero(wrong)[:2][-1]) + 1)), long]
    why = explain(traces, long.batches, most=2)
    if why is None:
        keys = list(about["of_model"])
        for key in keys[1:]:  # those that change nothing are not told
            fewer = {k: v for k, v in about["of_model"].items() if k in keys and k != key}
            if not long.wrong(rules_of(recording, {**about, **fewer})).any():
                keys.remove(key)
        told = {key: about["of_model"][key] for key in keys}
        words = model_settings_words(told, about)
        changed = Mistake("settings of the model", words, "settings", "W1", {})
        why = Explanation((changed,), (), 0.0, 0.0, 1, len(long))
    return TrainedOtherwise(replace(trace, rules=own), int(np.flatnonzero(wrong)[0]) + 1, why)


def model_settings_words(own: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """What a model says of itself beside what its author says, in words."""
    told = []
    for key, value in own.items():
        said = f", not {_number_words(about[key])}" if key in about else ""
        told.append(f"{key} {_number_words(value)}{said}")
    return f"by its own settings the model has {series(told)}"


def _number_words(value: Any) -> str:
    if isinstance(value, list) and len(value) > _LISTED:
        return f"{_number_words(value[0])} at first, of {len(value)}"
    if isinstance(value, list):
        return " and ".join(map(_number_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
