"""Whether a recorded training takes the steps that the float64 reference takes; where not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backends.recording import Recording
from harness.document.words import series
from harness.mistakes.catalogue import catalogue
from harness.mistakes.effective_settings import Setting, fitted_settings
from harness.mistakes.explanation import Explanation
from harness.mistakes.initial_weights import start_as_said
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, StepRules
from harness.mistakes.step_trace import Misfits, StepTrace
from harness.parity.verdict import TAKES_THE_PATH, ParityOutcome
from harness.recordings.model_settings import model_settings_words, trained_as_the_model_says
from harness.recordings.rules import minibatches_of, penalties, rules_of, rules_with, traced
from harness.recordings.step_explanation import mistakes_of_steps, unrecorded_start
from harness.recordings.unsaid_settings import completed_settings, said_settings
from harness.recordings.wrong_steps import (
    CheckedSteps,
    checked_steps,
    first_tensor,
    is_of_keras,
    rules_as_followed,
    wrong_tensors,
)

_NUMBERS = 3e7  # that are looked at, steps times weights
_MOST_STEPS = 3000
_FITTED = (
    1000.0  # units of round-off that settings leave, at most, where they fit (right ones leave one)
)
# groups of mistakes that the fitted settings show themselves
_SHOWN = {"penalty", "penalised layers", "penalised biases", "eta", "momentum", "beta_1", "beta_2"}


@dataclass(frozen=True)
class RecordedParity:
    """What judging a recording came to.

    ``step``: the first wrong one, from 1, or 0; ``tensor``: the first wrong tensor in it, in the order of
    computation, inferred from the updates. ``looked_at``: steps that were judged. ``wrong_steps``: those
    that are wrong by themselves; ``carried_steps``: into which only the velocity carries an earlier one.
    ``share``: the largest misfit as a share of what is allowed; ``misfits``: that of every kept step and
    tensor, after ``kept_steps`` steps. ``found``: settings that nobody had said, as the steps
    show them. ``notes``: what was taken for granted.
    """

    recording: Recording
    rules: StepRules
    outcome: ParityOutcome
    step: int
    tensor: str
    explanation: Explanation | None
    settings: tuple[Setting, ...]
    left: float
    looked_at: int
    share: float
    wrong_steps: int
    carried_steps: int = 0
    wrong_tensors: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: str = ""
    size: float = 0.0
    seconds: float = 0.0
    misfits: Misfits = field(default_factory=lambda: np.zeros((0, 0)))
    kept_steps: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.recording.name

    @property
    def agrees(self) -> bool:
        return self.outcome in TAKES_THE_PATH

    @property
    def settings_fit(self) -> bool:
        """Whether the fitted settings describe the training: else none of their numbers says anything."""
        return self.left < _FITTED

    @property
    def exit_code(self) -> int:
        """0 every step is the reference's; 1 not; 3 it could not be told."""
        if self.outcome == ParityOutcome.NOT_COMPARABLE:
            return 3
        return 0 if self.agrees else 1


def judge_recording(
    recording: Recording, say: Callable[[str], None] = lambda doing: None
) -> RecordedParity:
    """Hold every step of a recording against the reference's, from the recording's own weights."""
    begun = time.perf_counter()
    return replace(_judged(recording, say), seconds=time.perf_counter() - begun)


def _judged(recording: Recording, say: Callable[[str], None]) -> RecordedParity:
    batches = minibatches_of(recording)
    about, found, notes = completed_settings(recording, batches)
    rules = rules_of(recording, about)
    if "penalties" in found:
        rules = rules_with(rules, penalties(found["penalties"]))
    blank = RecordedParity(
        recording, rules, ParityOutcome.NOT_COMPARABLE, 0, "", None, (), 0.0, 0, 0.0, 0
    )
    blank = replace(blank, found=found, notes=tuple(notes))
    whole = traced(recording, rules, batches, last=_looked_at(recording))
    trace = whole.finite()
    if len(recording.kept) < 2 or not trace.kept:
        reason = "no weights were kept after a step"
        if len(recording.kept) > 1:
            reason = "the weights after the first step are not finite"
        return replace(blank, reason=reason)
    say(f"the steps of {recording.name}")
    rules, checked = rules_as_followed(trace, rules, about)
    if rules is not trace.rules:
        trace = replace(trace, rules=rules)
    told = [c for c in rules.conventions if c.group == "found convention" or is_of_keras(c)]
    blank = replace(
        blank,
        rules=rules,
        notes=(*notes, *(c.words for c in told)),
        looked_at=len(trace),
        share=checked.share,
        misfits=checked.misfits,
        kept_steps=tuple(k for k, seen in enumerate(trace.weights, start=1) if seen is not None),
        wrong_steps=int(checked.wrong.any(axis=1).sum()) - checked.carried,
        carried_steps=checked.carried,
    )
    if len(trace) < recording.steps:
        more = f"{len(trace)} of the recording's {recording.steps} steps were judged"
        if len(trace) < len(whole):
            more += f"; from step {len(trace) + 1} on weights are not finite"
        blank = _noted(blank, more)
    said = {} if found else said_settings(recording, about, rules)
    if own := about.get("of_model"):
        blank = _noted(blank, model_settings_words(own, about))
        say(f"what the settings of {recording.name} say")
        otherwise = trained_as_the_model_says(recording, trace, about)
        if otherwise is not None:
            settings, left = fitted_settings(otherwise.trace, said)
            return replace(
                blank,
                outcome=ParityOutcome.OTHER_OBJECTIVE,
                step=otherwise.step,
                tensor=otherwise.explanation.tensor,
                explanation=otherwise.explanation,
                settings=tuple(settings),
                left=left,
                wrong_tensors=wrong_tensors(trace, checked.wrong),
                size=checked.size,
            )
    start = start_as_said(recording)
    if start is None and "initial" in about:
        held = f"nothing speaks against initial weights drawn as said, {about['initial']}"
        blank = _noted(blank, held)
    if not checked.wrong.any():
        return _with_right_steps(blank, trace, checked, said, start)
    say(f"what explains {recording.name}")
    return _with_wrong_steps(blank, trace, checked, start, batches, about)


def _noted(judged: RecordedParity, note: str) -> RecordedParity:
    return replace(judged, notes=(*judged.notes, note))


def _with_right_steps(
    blank: RecordedParity,
    trace: StepTrace,
    checked: CheckedSteps,
    said: Mapping[str, Any],
    start: Mistake | None,
) -> RecordedParity:
    """What is judged where no step is wrong; ``start``: what is wrong with the initial weights, if known."""
    recording = blank.recording
    believed = {**said, **said_settings(recording, recording.about, blank.rules)}
    settings, left = fitted_settings(trace, believed)
    judged = replace(blank, settings=tuple(settings), left=left)
    if checked.chaotic:
        return replace(judged, reason="between kept weights round-off alone grows too large")
    if start:
        why = Explanation((start,), (), 0.0, 0.0, 1, len(trace))
        outcome = ParityOutcome.OTHER_OBJECTIVE
        return replace(judged, outcome=outcome, step=1, tensor=start.tensor, explanation=why)
    exact = not checked.share
    return replace(judged, outcome=ParityOutcome.IDENTICAL if exact else ParityOutcome.ROUND_OFF)


def _with_wrong_steps(
    blank: RecordedParity,
    trace: StepTrace,
    checked: CheckedSteps,
    start: Mistake | None,
    batches: Sequence[Batch],
    about: Mapping[str, Any],
) -> RecordedParity:
    """What is judged where a step is wrong: the first one, its tensor, and the mistake."""
    recording, rules = blank.recording, blank.rules
    steps_after, wrong = blank.kept_steps, checked.wrong
    index = int(np.flatnonzero(wrong.any(axis=1))[0])
    explanation = unrecorded_start(trace, wrong, checked.size)
    explanation = explanation or mistakes_of_steps(recording, trace, wrong, steps_after, batches)
    if explanation is None and about.get("library") == "torch" and rules.lmbd:
        # where weight_decay reaches all parameters, that hides what else was done
        biases = next(m for m in catalogue(rules) if m.name == "penalised biases")
        other = replace(trace, rules=rules_with(rules, biases))
        rest = checked_steps(other).wrong
        if rest.any():
            explanation = mistakes_of_steps(recording, other, rest, steps_after, batches, most=2)
            explanation = explanation and explanation.beside(biases)
    if start and explanation:
        explanation = explanation.beside(start)
    elif start:
        blank = _noted(blank, str(start))
    made = explanation.mistakes if explanation else ()
    structure = [m for m in made if m.group not in _SHOWN]
    believed = said_settings(recording, recording.about, rules)
    settings, left = fitted_settings(trace, believed, structure)
    if blank.found and not explanation:
        unsaid = series(sorted(blank.found))
        guessed = f"{unsaid} not said and guessed: say them, and the mistake may be named"
        blank = _noted(blank, guessed)
    drawn = about.get("random_layers")
    if isinstance(drawn, list) and not explanation:
        what = f"the model has {series(list(map(str, drawn)))}, which draws at random in each step: train "
        blank = _noted(blank, f"{what}without it, and the rest can be judged")
    outcome = ParityOutcome.UNEXPLAINED
    if explanation:
        rounding = explanation.kind == "rounding"
        outcome = ParityOutcome.LIBRARY_ROUNDING if rounding else ParityOutcome.OTHER_OBJECTIVE
    return replace(
        blank,
        outcome=outcome,
        step=(steps_after[index - 1] if index else 0) + 1,
        tensor=explanation.tensor if explanation else first_tensor(trace, wrong[index]),
        explanation=explanation,
        settings=tuple(settings),
        left=left,
        wrong_tensors=wrong_tensors(trace, wrong),
        size=checked.size,
    )


def _looked_at(recording: Recording) -> int:
    """The last kept step that is judged."""
    weights = sum(tensor[0].size for tensor in (*recording.W, *recording.b))
    most = int(min(_MOST_STEPS, max(_NUMBERS // weights, 20)))
    possible = recording.kept[recording.kept <= max(most, int(recording.kept[:2][-1]))]
    return int(possible[-1])
