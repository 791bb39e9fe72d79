"""Which steps of a recording are wrong, each from the recording's own weights, and which only follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.network import Array
from harness.mistakes.mistake import Mistake
from harness.mistakes.optimisers import Memory
from harness.mistakes.reference_step import State, StepRules, Tensors, stepped
from harness.mistakes.step_trace import (
    LARGEST_LIMIT,
    RMS_LIMIT,
    Misfits,
    StepTrace,
    largest,
    root_mean_squares,
)
from harness.recordings.rules import (
    after,
    corrected_root,
    rules_with,
    single_correction,
    squared_error,
)

_BLOCK = 250  # steps whose round-off is measured together
_CHAOTIC = 1e-3  # share of an update that round-off may be, at most, for it to be judged


@dataclass(frozen=True)
class CheckedSteps:
    """Which tensors of which kept steps are ``wrong``, (steps, tensors), and by how much.

    ``misfits``: as a share of what is allowed, of the same shape; ``size``: the largest relative distance
    from the reference's step; ``chaotic``: whether round-off alone grows too large between kept weights.
    """

    wrong: NDArray[np.bool_]
    misfits: Misfits
    size: float
    chaotic: bool
    carried: int = 0  # steps that are right from the velocity that the weights before them show

    @property
    def share(self) -> float:
        """The largest misfit as a share of what is allowed."""
        return float(self.misfits.max(initial=0.0))


def checked_steps(trace: StepTrace) -> CheckedSteps:
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
    return CheckedSteps(np.concatenate(wrong), np.concatenate(misfits), size, chaotic, carried)


def rules_as_followed(
    trace: StepTrace, rules: StepRules, about: Mapping[str, Any]
) -> tuple[StepRules, CheckedSteps]:
    """The rules with another form of Adam that is as good, where only that makes steps right."""
    plain = checked_steps(trace)
    if plain.wrong.any() and about.get("library") == "keras":  # which may keep all digits one day
        exact = replace(
            rules, conventions=tuple(c for c in rules.conventions if not is_of_keras(c))
        )
        checked = checked_steps(replace(trace, rules=exact))
        if not checked.wrong.any():
            return exact, checked
    if plain.wrong.any() and about.get("library") == "jax" and "cost_factor" not in about:
        squared = rules_with(rules, *([squared_error(rules)] if not rules.network.classes else []))
        checked = checked_steps(replace(trace, rules=squared))
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
        checked = checked_steps(replace(trace, rules=other))
        if not checked.wrong.any():
            return other, checked
        if checked.share < 0.01 * best[1].share:
            best = (other, checked)
    return best


def is_of_keras(convention: Mistake) -> bool:
    return convention.group == "convention" and "float32" in convention.words


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


def wrong_tensors(trace: StepTrace, wrong: NDArray[np.bool_]) -> tuple[str, ...]:
    """Those of the first wrong step."""
    first = wrong[int(wrong.any(axis=1).argmax())]
    return tuple(name for name, differs in zip(trace.names, first, strict=True) if differs)


def first_tensor(trace: StepTrace, wrong: NDArray[np.bool_]) -> str:
    """The first wrong tensor of a step as far as the updates tell: gradients come from the last layer."""
    names = [name for name, differs in zip(trace.names, wrong, strict=True) if differs]
    last = max(int(name[1:]) for name in names)
    kinds = [name[0] for name in names if int(name[1:]) == last]
    return f"d{'W' if 'W' in kinds else 'b'}{last}"
