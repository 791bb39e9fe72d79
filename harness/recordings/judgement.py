"""Whether a recorded training takes the steps that the float64 reference takes; where not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.network import Array
from backends.recording import Recording
from harness.document.words import series
from harness.mistakes.catalogue import catalogue
from harness.mistakes.effective_settings import Identified, Setting, fitted_settings, identified
from harness.mistakes.explanation import Explanation, explain, likeliest_on
from harness.mistakes.forward_mistakes import float32_inside_float64
from harness.mistakes.initial_weights import start_as_said
from harness.mistakes.mistake import Mistake
from harness.mistakes.optimiser_mistakes import rate_changes
from harness.mistakes.optimisers import Memory
from harness.mistakes.random_steps import dropout, gradient_noise
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, stepped
from harness.mistakes.step_trace import (
    LARGEST_LIMIT,
    RMS_LIMIT,
    Misfits,
    StepTrace,
    largest,
    root_mean_squares,
)
from harness.parity.verdict import TAKES_THE_PATH, ParityOutcome
from harness.recordings.rules import (
    USUAL,
    after,
    corrected_root,
    minibatches_of,
    no_schedule,
    other_data,
    penalties,
    rules_of,
    rules_with,
    said_eta,
    single_correction,
    squared_error,
    traced,
)

_NUMBERS = 3e7  # that are looked at, steps times weights
_MOST_STEPS = 3000
_BLOCK = 250  # steps whose round-off is measured together
_SEARCHED = 4  # steps that mistakes are sought in
_FITTED = (
    1000.0  # units of round-off that settings leave, at most, where they fit (right ones leave one)
)
_BEFORE = 4  # of them before the first wrong one, where it comes late
_FIRST_STEPS = 3  # that one mistake accounts for, where something changes later
_WITNESSED = 40  # steps that an explanation has to hold in
_LISTED = 6  # numbers that are told one by one
_TOLD_APART = 400  # steps that alternatives are told apart on
_TELLING = 6  # steps from which on one wrong first one tells something
_CHAOTIC = 1e-3  # share of an update that round-off may be, at most, for it to be judged
_SETTINGS = ("eta", "lmbd", "optimizer", "activation", "momentum")
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
    batches = minibatches_of(recording)
    about, found, notes = _completed(recording, batches)
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
        return replace(blank, reason=reason, seconds=time.perf_counter() - begun)
    say(f"the steps of {recording.name}")
    rules, checked = _under_conventions(trace, rules, about)
    if rules is not trace.rules:
        trace = replace(trace, rules=rules)
    told = [c for c in rules.conventions if c.group == "found convention" or _of_keras(c)]
    notes = [*notes, *(c.words for c in told)]
    wrong = checked.wrong
    steps_after = [k for k, seen in enumerate(trace.weights, start=1) if seen is not None]
    blank = replace(
        blank,
        rules=rules,
        notes=tuple(notes),
        looked_at=len(trace),
        share=checked.share,
        misfits=checked.misfits,
        kept_steps=tuple(steps_after),
        wrong_steps=int(wrong.any(axis=1).sum()) - checked.carried,
        carried_steps=checked.carried,
    )
    if len(trace) < recording.steps:
        more = f"{len(trace)} of the recording's {recording.steps} steps were judged"
        if len(trace) < len(whole):
            more += f"; from step {len(trace) + 1} on weights are not finite"
        blank = replace(blank, notes=(*blank.notes, more))
    said = {} if found else _said(recording, about, rules)
    if own := about.get("of_model"):
        blank = replace(blank, notes=(*blank.notes, _settings_of_model(own, about)))
        say(f"what the settings of {recording.name} say")
        otherwise = _as_the_model_says(recording, trace, about)
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
                wrong_tensors=_wrong_tensors(trace, wrong),
                size=checked.size,
                seconds=time.perf_counter() - begun,
            )
    start = start_as_said(recording)
    if start is None and "initial" in about:
        held = f"nothing speaks against initial weights drawn as said, {about['initial']}"
        blank = replace(blank, notes=(*blank.notes, held))
    if not wrong.any():
        settings, left = fitted_settings(trace, said | _said(recording, recording.about, rules))
        outcome = ParityOutcome.ROUND_OFF if checked.share else ParityOutcome.IDENTICAL
        if checked.chaotic:
            outcome = ParityOutcome.NOT_COMPARABLE
            blank = replace(blank, reason="between kept weights round-off alone grows too large")
        elif start:
            outcome = ParityOutcome.OTHER_OBJECTIVE
            why = Explanation((start,), (), 0.0, 0.0, 1, len(trace))
            blank = replace(blank, step=1, tensor=start.tensor, explanation=why)
        return replace(
            blank,
            outcome=outcome,
            settings=tuple(settings),
            left=left,
            seconds=time.perf_counter() - begun,
        )
    say(f"what explains {recording.name}")
    index = int(np.flatnonzero(wrong.any(axis=1))[0])
    explanation = _other_start(trace, wrong, checked.size)
    explanation = explanation or _named(recording, trace, wrong, steps_after, batches)
    if explanation is None and about.get("library") == "torch" and rules.lmbd:
        # where weight_decay reaches all parameters, that hides what else was done
        biases = next(m for m in catalogue(rules) if m.name == "penalised biases")
        other = replace(trace, rules=rules_with(rules, biases))
        rest = _checked(other).wrong
        if rest.any():
            explanation = _named(recording, other, rest, steps_after, batches, most=2)
            explanation = explanation and explanation.beside(biases)
    if start and explanation:
        explanation = explanation.beside(start)
    elif start:
        blank = replace(blank, notes=(*blank.notes, str(start)))
    made = explanation.mistakes if explanation else ()
    structure = [m for m in made if m.group not in _SHOWN]
    settings, left = fitted_settings(trace, _said(recording, recording.about, rules), structure)
    tensor = explanation.tensor if explanation else _first_tensor(trace, wrong[index])
    if found and not explanation:
        guessed = (
            f"{series(sorted(found))} not said and guessed: say them, and the mistake may be named"
        )
        blank = replace(blank, notes=(*blank.notes, guessed))
    outcome = ParityOutcome.UNEXPLAINED
    if explanation:
        rounding = explanation.kind == "rounding"
        outcome = ParityOutcome.LIBRARY_ROUNDING if rounding else ParityOutcome.OTHER_OBJECTIVE
    return replace(
        blank,
        outcome=outcome,
        step=(steps_after[index - 1] if index else 0) + 1,
        tensor=tensor,
        explanation=explanation,
        settings=tuple(settings),
        left=left,
        wrong_tensors=_wrong_tensors(trace, wrong),
        size=checked.size,
        seconds=time.perf_counter() - begun,
    )


@dataclass(frozen=True)
class _Otherwise:
    """A training that is as its model says, and not as its author does: from which step on, and why."""

    trace: StepTrace
    step: int
    explanation: Explanation


def _as_the_model_says(
    recording: Recording, trace: StepTrace, about: Mapping[str, Any]
) -> _Otherwise | None:
    """What the settings of a model, which its steps follow, have otherwise than its author says.

    Told on a training of the reference by those settings in float64, where no round-off hides anything.
    None if the steps do not follow them either, or if they come to the same.
    """
    own = rules_of(recording, {**about, **about["of_model"]})
    if _checked(replace(trace, rules=own)).wrong.any():
        return None
    exact = replace(trace.rules, training=replace(trace.rules.training, dtype="float64"))

    def trained(rules: StepRules) -> StepTrace:
        state, path = trace.start, []
        with np.errstate(all="ignore"):
            for batch in trace.batches[:_WITNESSED]:
                state = stepped(state, batch, rules)
                path.append(state.weights)
        return StepTrace(exact, trace.start, trace.batches[: len(path)], tuple(path)).finite()

    long = trained(own)
    wrong = long.wrong(exact).any(axis=1)
    if not wrong.any():
        return None
    traces = [long.first(max(_SEARCHED, int(np.flatnonzero(wrong)[:2][-1]) + 1)), long]
    why = explain(traces, long.batches, most=2)
    if why is None:
        keys = list(about["of_model"])
        for key in keys[1:]:  # those that change nothing are not told
            fewer = {k: v for k, v in about["of_model"].items() if k in keys and k != key}
            if not long.wrong(rules_of(recording, {**about, **fewer})).any():
                keys.remove(key)
        told = {key: about["of_model"][key] for key in keys}
        words = _settings_of_model(told, about)
        changed = Mistake("settings of the model", words, "settings", "W1", {})
        why = Explanation((changed,), (), 0.0, 0.0, 1, len(long))
    return _Otherwise(replace(trace, rules=own), int(np.flatnonzero(wrong)[0]) + 1, why)


def _settings_of_model(own: Mapping[str, Any], about: Mapping[str, Any]) -> str:
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


def _looked_at(recording: Recording) -> int:
    """The last kept step that is judged."""
    weights = sum(tensor[0].size for tensor in (*recording.W, *recording.b))
    most = int(min(_MOST_STEPS, max(_NUMBERS // weights, 20)))
    possible = recording.kept[recording.kept <= max(most, int(recording.kept[:2][-1]))]
    return int(possible[-1])


@dataclass(frozen=True)
class _Checked:
    wrong: NDArray[np.bool_]
    misfits: Misfits
    size: float
    chaotic: bool
    carried: int = 0  # steps that are right from the velocity that the weights before them show

    @property
    def share(self) -> float:
        """The largest misfit as a share of what is allowed."""
        return float(self.misfits.max(initial=0.0))


def _checked(trace: StepTrace) -> _Checked:
    """Which tensors of which steps are wrong, block by block."""
    wrong, misfits, size, spread, carried = [], [], 0.0, 0.0, 0
    before_that = trace.start.weights
    for block in _blocks(trace):
        scales = block.own_round_off
        ratios = block.ratios(block.rules)
        rms, most = root_mean_squares(ratios), largest(ratios)
        wrong.append((rms > RMS_LIMIT) | (most > LARGEST_LIMIT))
        misfits.append(np.maximum(rms / RMS_LIMIT, most / LARGEST_LIMIT))
        befores = [block.start.weights, *block.kept[:-1]]
        made = block.predicted(block.rules)
        if wrong[-1].any() and _moves_by_velocity(block):
            again = _from_seen_velocities(block, before_that)
            of_themselves = (root_mean_squares(again) > RMS_LIMIT) | (
                largest(again) > LARGEST_LIMIT
            )
            carried += int((wrong[-1].any(axis=1) & ~of_themselves.any(axis=1)).sum())
        before_that = befores[-1]
        for scale, step, seen, before in zip(scales, made, block.kept, befores, strict=True):
            for name, tensor in scale.items():
                moved = float(np.abs(step[name] - before[name]).max())
                whole = max(float(np.abs(t).max()) for t in (seen[name], step[name])) or 1.0
                size = max(size, float(np.abs(seen[name] - step[name]).max()) / whole)
                if block.weights[0] is None and moved:
                    spread = max(spread, float(np.sqrt(np.mean(tensor**2))) / moved)
    chaotic = spread > _CHAOTIC
    return _Checked(np.concatenate(wrong), np.concatenate(misfits), size, chaotic, carried)


def _moves_by_velocity(trace: StepTrace) -> bool:
    """Whether each step's change of the weights is the velocity, so that the weights show it."""
    training, stages = trace.rules.training, {s for c in trace.rules.conventions for s in c.changes}
    plain = training.optimizer == "sgd" and training.momentum and not training.nesterov
    return bool(plain) and not stages & {"change", "stored", "eta"} and None not in trace.weights


def _from_seen_velocities(trace: StepTrace, before_that: Tensors) -> list[list[Array]]:
    """What is left of each step from the velocity that the weights before it show, in units of round-off."""
    path = [before_that, trace.start.weights, *trace.kept]
    of_torch = any("optimiser" in c.changes for c in trace.rules.conventions)
    unit = -trace.rules.eta if of_torch else 1.0  # v is taken off times eta, or added
    ratios: list[list[Array]] = []
    with np.errstate(all="ignore"):
        for k, (batch, scale) in enumerate(zip(trace.batches, trace.own_round_off, strict=True)):
            number = trace.start.steps + k
            seen: Memory = {}
            if number:
                seen = {n: {"v": (path[k + 1][n] - t) / unit} for n, t in path[k].items()}
            made = stepped(State(path[k + 1], seen, number), batch, trace.rules)
            after_it = path[k + 2]
            ratios.append([(after_it[n] - made.weights[n]) / scale[n] for n in trace.names])
    return ratios


def _blocks(trace: StepTrace) -> list[StepTrace]:
    ends = [k for k, seen in enumerate(trace.weights, start=1) if seen is not None]
    cuts = [0]
    for end in ends:
        if end - cuts[-1] >= _BLOCK or end == ends[-1]:
            cuts.append(end)
    blocks, rest = [], trace
    for first, last in pairwise(cuts):
        blocks.append(rest.first(last - first))
        if last != cuts[-1]:
            rest = after(rest, last - first)
    return blocks


def _under_conventions(
    trace: StepTrace, rules: StepRules, about: Mapping[str, Any]
) -> tuple[StepRules, _Checked]:
    """The rules with another form of Adam that is as good, where only that makes steps right."""
    plain = _checked(trace)
    if plain.wrong.any() and about.get("library") == "keras":  # which may keep all digits one day
        exact = replace(rules, conventions=tuple(c for c in rules.conventions if not _of_keras(c)))
        checked = _checked(replace(trace, rules=exact))
        if not checked.wrong.any():
            return exact, checked
    if plain.wrong.any() and about.get("library") == "jax" and "cost_factor" not in about:
        squared = rules_with(rules, *([squared_error(rules)] if not rules.network.classes else []))
        checked = _checked(replace(trace, rules=squared))
        if not checked.wrong.any():
            return squared, checked
    if not plain.wrong.any() or rules.training.optimizer != "adam":
        return rules, plain
    forms: list[tuple[Mistake, ...]] = [(corrected_root(),), (single_correction(),)]
    if any(c.group == "convention" and "Adam" in c.words for c in rules.conventions):
        forms = forms[1:]
    best = (rules, plain)
    for form in forms:
        other = rules_with(rules, *(replace(one, group="found convention") for one in form))
        checked = _checked(replace(trace, rules=other))
        if not checked.wrong.any():
            return other, checked
        if checked.share < 0.01 * best[1].share:
            best = (other, checked)
    return best


def _of_keras(convention: Mistake) -> bool:
    return convention.group == "convention" and "float32" in convention.words


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

    short, long = until(_SEARCHED), until(_WITNESSED)
    if short.wrong(short.rules).any(axis=1).sum() < 2:
        wrong = np.flatnonzero(long.wrong(long.rules).any(axis=1))
        short = until(int(wrong[1]) + 1) if len(wrong) > 1 else short
    traces = [short] if len(long) == len(short) else [short, long]
    right = steps_after[index - 1] if index else 0
    # from the second step on dampening does the same, and is likelier
    changes = rate_changes(right, trace.rules.steps_per_epoch) if right > 1 else []
    known = float32_inside_float64(trace.rules, recording.about.get("versions") or {})
    more = [*changes, *no_schedule(recording), *other_data(recording, trace.rules), *known]
    why = explain(traces, batches, more=more, most=most)
    return why and likeliest_on(why, until(_TOLD_APART))


def _other_start(trace: StepTrace, wrong: NDArray[np.bool_], size: float) -> Explanation | None:
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


def _named(
    recording: Recording,
    trace: StepTrace,
    wrong: NDArray[np.bool_],
    steps_after: Sequence[int],
    batches: Sequence[Batch],
    most: int = 3,
) -> Explanation | None:
    """What accounts for the wrong steps, to the last digit or by how they are spread."""
    index = int(np.flatnonzero(wrong.any(axis=1))[0])
    return (
        _drawn_at_random([gradient_noise(trace)], wrong)
        or _explained(recording, trace, steps_after, index, batches, most)
        or _drawn_at_random(dropout(trace), wrong)
        or _and_a_change_later(recording, trace, steps_after, batches)
    )


def _and_a_change_later(
    recording: Recording, trace: StepTrace, steps_after: Sequence[int], batches: Sequence[Batch]
) -> Explanation | None:
    """A mistake that accounts for the first steps, and beside it what accounts for those after them."""
    if len(steps_after) < 2 * _FIRST_STEPS:
        return None
    begun = explain([trace.first(steps_after[_FIRST_STEPS - 1])], batches, most=1)
    for mistakes in begun.alternatives if begun else ():
        as_begun = replace(trace, rules=rules_with(trace.rules, *mistakes))
        later = np.flatnonzero(_checked(as_begun).wrong.any(axis=1))
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


def _wrong_tensors(trace: StepTrace, wrong: NDArray[np.bool_]) -> tuple[str, ...]:
    """Those of the first wrong step."""
    first = wrong[int(wrong.any(axis=1).argmax())]
    return tuple(name for name, differs in zip(trace.names, first, strict=True) if differs)


def _first_tensor(trace: StepTrace, wrong: NDArray[np.bool_]) -> str:
    """The first wrong tensor of a step as far as the updates tell: gradients come from the last layer."""
    names = [name for name, differs in zip(trace.names, wrong, strict=True) if differs]
    last = max(int(name[1:]) for name in names)
    kinds = [name[0] for name in names if int(name[1:]) == last]
    return f"d{'W' if 'W' in kinds else 'b'}{last}"


def _completed(
    recording: Recording, batches: Sequence[Batch]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """What is said of a training, completed by what its steps show; what was found so; notes."""
    about = dict(recording.about)
    lacking = [key for key in ("optimizer", "activation", "eta", "lmbd") if key not in about]
    if "activation" in lacking and len(recording.W) == 1:
        lacking.remove("activation")
    if not lacking or len(recording.kept) < 2:
        return about, {}, []
    rules = rules_of(recording, about)
    end = 0
    while end < min(12, len(recording.kept) - 1) and recording.kept[end + 1] == end + 1:
        end += 1
    trace = traced(recording, rules, batches, last=end).finite() if end else None
    if trace is None or not len(trace):
        return about, {}, [f"{', '.join(lacking)} not said, and the first steps were not kept"]
    shown: Identified = identified(trace, about)
    found: dict[str, Any] = {}
    for key in ("optimizer", "activation"):
        if key in lacking and key in shown.about:
            found[key] = shown.about[key]
    if found.get("optimizer", about.get("optimizer")) == "sgd":
        for key in ("momentum", "nesterov"):
            if key not in about and shown.about.get("momentum", 0.0) > 1e-3:
                found[key] = shown.about[key]
    guess = {**about, **found}
    guess = {key: shown.about[key] for key in ("eta", "lmbd", "rho") if key in shown.about} | guess
    guess.setdefault("eta", 0.01)
    fitted, _ = fitted_settings(replace(trace, rules=rules_of(recording, guess)), {})
    values = {one.name: one for one in fitted}
    if "eta" in lacking:
        found["eta"] = values["eta"].rounded
    if "momentum" in found:
        found["momentum"] = values["momentum"].rounded if "momentum" in values else 0.0
    constants = {"adam": ("beta_1", "beta_2"), "rmsprop": ("rho",)}
    for key in constants.get(found.get("optimizer", ""), ()):
        # what the steps cannot tell is as usual
        if key not in about and values[key].known:
            found[key] = values[key].rounded
    if "lmbd" in lacking:
        own = {name: one.rounded for name, one in values.items() if name.startswith("lmbd on ")}
        strengths = {name.removeprefix("lmbd on "): value for name, value in own.items()}
        matrices = [value for name, value in strengths.items() if name != "biases"]
        of_biases = strengths.pop("biases")
        if len(set(matrices)) == 1 and not of_biases:
            found["lmbd"] = matrices[0]
        else:
            biases = {f"b{k}": of_biases for k in range(1, len(matrices) + 1)}
            found["lmbd"] = matrices
            found["penalties"] = strengths | biases
    told = {**about, **{k: v for k, v in found.items() if k != "penalties"}}
    return told, found, []


def _said(recording: Recording, about: Mapping[str, Any], rules: StepRules) -> dict[str, Any]:
    """What the author says of each fitted setting."""
    training, layers = rules.training, rules.network.layers
    said: dict[str, Any] = {"eta": said_eta(about.get("eta"))}
    if "lmbd" in about:
        lmbds = about["lmbd"] if isinstance(about["lmbd"], list) else [about["lmbd"]] * layers
        for layer, lmbd in enumerate(lmbds):
            own = training.penalty(lmbd, rules.batch_size, layer, layers)
            said[f"lmbd on W{layer + 1}"] = float(own)
        said["lmbd on biases"] = float(lmbds[0]) if about.get("penalised_biases") else 0.0
    if training.optimizer == "adam":
        said |= {key: about.get(key, USUAL[key]) for key in ("beta_1", "beta_2")}
    else:
        said["momentum"] = about.get("momentum")
    return said
