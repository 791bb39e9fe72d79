"""What explains the steps of a suspect: the fewest known mistakes with which the rules give its weights.

A mistake is named only where nothing but round-off is left, in every step and cell that was looked at.
Where several do equally well all of them are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, stepped
from harness.mistakes.search import Mistakes, MistakeSearch, group_names, mistake_keys
from harness.mistakes.step_trace import StepTrace

_AS_GOOD = 1.5  # times as much left unexplained, at most, as by the best: cannot be told from it
_CLEARLY = 100.0  # times as much left in more steps, at least, by what these steps speak against
_TOLD_APART = 1e-4  # relative distance of weights at which two mistakes are told apart in any dtype
_TENSORS = (
    "initial",
    "rows",
    "targets",
    "z",
    "a",
    "output",
    "cross-entropy",
    "penalty",
    "d",
    "W",
    "b",
)


@dataclass(frozen=True)
class Explanation:
    """The mistakes that give the suspect's weights.

    ``others``: what cannot be told from them in this experiment. ``left``: the relative error of its
    weights that they leave in a step, of ``of`` without them. ``cells`` and ``steps``: in how many of
    each they do. ``tells_apart``: a flag of the experiment that would tell them from the others.
    ``recorded``: of a training that was recorded, which no flag of a command changes.
    """

    mistakes: Mistakes
    others: tuple[Mistakes, ...]
    left: float
    of: float
    cells: int
    steps: int
    tells_apart: str = ""
    recorded: bool = False

    @property
    def words(self) -> str:
        """What was done, as a clause."""
        told = [" and ".join(str(m) for m in combined) for combined in self.alternatives]
        if len(told) == 1:
            return told[0]
        where, flag = ("training" if self.recorded else "experiment"), self.tells_apart
        apart = f"; the same command with {flag} tells" if flag else ""
        if flag and self.recorded:
            apart = f"; one with {flag.replace('--', '').replace('-', '_')} tells"
        return f"either {'; or '.join(told)} (the same in this {where}{apart})"

    def beside(self, mistake: Mistake) -> Explanation:
        """The same with another mistake that was made as well."""
        first, *others = ((mistake, *combined) for combined in self.alternatives)
        return replace(self, mistakes=first, others=tuple(others))

    @property
    def alternatives(self) -> tuple[Mistakes, ...]:
        return (self.mistakes, *self.others)

    @property
    def tensor(self) -> str:
        """The first tensor that it shows in, in the order of computation."""
        return min((m.tensor for m in self.mistakes), key=order_of_computation)

    @property
    def kind(self) -> Literal["mistake", "rounding"]:
        """A ``rounding`` if nothing was done but to keep settings with fewer digits."""
        rounded = all(m.kind == "rounding" for combined in self.alternatives for m in combined)
        return "rounding" if rounded else "mistake"

    @property
    def size(self) -> float:
        """How far it carries the weights in one step, relatively."""
        return self.of


def order_of_computation(tensor: str) -> tuple[int, float, str]:
    """A key that sorts tensors as a step computes them."""
    kind = next(k for k, prefix in enumerate(_TENSORS) if tensor.startswith(prefix))
    digits = "".join(c for c in tensor if c.isdigit())
    layer = float(digits or 0)
    if _TENSORS[kind] in ("z", "a"):
        return _TENSORS.index("z"), 2 * layer + (tensor[0] == "a"), tensor
    if _TENSORS[kind] == "d":
        return kind, -layer, tensor
    return (_TENSORS.index("W"), layer, tensor) if tensor[0] in "Wb" else (kind, layer, tensor)


def explain(
    traces: Sequence[StepTrace],
    minibatches: Sequence[Batch] = (),
    refuted: Callable[[Mistakes], bool] = lambda mistakes: False,
    more: Sequence[Mistake] = (),
    most: int = 3,
) -> Explanation | None:
    """What explains all of the traces; None if nothing tried does.

    traces: of one suspect, in one cell each; the first is the one that mistakes are sought in.
    minibatches: those of all steps of the training, among which a suspect may have taken another one.
    refuted: whether something else that was seen of the suspect speaks against mistakes. more: mistakes to
    be tried beside those of the catalogue. most: how many mistakes at once are tried.
    """
    wrong = [trace.wrong(trace.rules) for trace in traces]
    cells = sum(bool(w.any()) for w in wrong)
    steps = max(int(w.any(axis=1).sum()) for w in wrong)
    if cells < min(2, len(traces)):
        return None
    search = MistakeSearch(traces, steps, more)
    enough: list[frozenset[str]] = []  # mistakes that account for it, whether refuted or not
    for level in search.levels(minibatches, most):
        level = [m for m in level if not any(fewer <= mistake_keys(m) for fewer in enough)]
        tried = [(search.left(mistakes), mistakes) for mistakes in level]
        accounting = [(left, mistakes) for left, mistakes in tried if left is not None]
        enough += [mistake_keys(mistakes) for _, mistakes in accounting]
        accounting = [(left, mistakes) for left, mistakes in accounting if not refuted(mistakes)]
        if accounting:
            best = min(left for left, _ in accounting)
            named = [m for left, m in accounting if left <= _AS_GOOD * max(best, 0.2)]
            first, *others = _without_repetition(named)
            trace = traces[0]
            plain, made = (
                _distance(trace, rules) for rules in (trace.rules, trace.rules.but(*first))
            )
            steps = max(len(trace) for trace in traces)
            telling = experiment_that_tells(trace, [first, *others]) if others else ""
            return Explanation(first, tuple(others), made, plain, cells, steps, telling)
    return None


def likeliest_on(explanation: Explanation, trace: StepTrace) -> Explanation:
    """The same with those of its alternatives alone that more steps speak for, if they tell any apart."""
    alternatives = explanation.alternatives
    if len(alternatives) < 2:
        return explanation
    left = [_distance(trace, trace.rules.but(*mistakes)) for mistakes in alternatives]
    most = _CLEARLY * min(left)
    kept = [m for m, one in zip(alternatives, left, strict=True) if one <= most]
    if len(kept) == len(alternatives):
        return explanation
    first, *others = kept
    return replace(explanation, mistakes=first, others=tuple(others), steps=len(trace))


def _distance(trace: StepTrace, rules: StepRules) -> float:
    """The largest relative error of any tensor after a step that begins at the suspect's own weights."""
    worst = 0.0
    for seen, made in zip(trace.kept, trace.predicted(rules), strict=True):
        for name, tensor in seen.items():
            scale = max(float(np.abs(t).max()) for t in (tensor, trace.start.weights[name]))
            worst = max(worst, float(np.abs(tensor - made[name]).max()) / (scale or 1.0))
    return worst


def _without_repetition(named: Sequence[Mistakes]) -> list[Mistakes]:
    """The same without those that say in other words what is said already.

    A size that was fitted says nothing beside a usual one of the same name, or where it is no round
    number.
    """
    usual = {group_names(m) for m in named if not any(one.fit for one in m)}
    kept: list[Mistakes] = []
    for mistakes in named:
        fitted = any(one.fit for one in mistakes)
        if fitted and (group_names(mistakes) in usual or (usual and not _round_numbers(mistakes))):
            continue
        if any(group_names(mistakes) == group_names(one) for one in kept if fitted):
            continue
        if str([str(m) for m in mistakes]) not in [str([str(m) for m in one]) for one in kept]:
            kept.append(mistakes)
    return kept


def _round_numbers(mistakes: Mistakes) -> bool:
    def is_round(p: float) -> bool:
        return any(abs(value - float(f"{value:.2g}")) < 1e-6 * abs(value) for value in (p, 1 / p))

    def is_nothing(p: float) -> bool:  # a factor that is a rounding of 1
        return 0 < abs(p - 1) < 1e-6

    if any(is_nothing(m.p) for m in mistakes if m.fit):
        return False
    return all(is_round(m.p) for m in mistakes if m.fit and m.p)


def experiment_that_tells(trace: StepTrace, alternatives: Sequence[Mistakes]) -> str:
    """A flag with which an experiment would tell mistakes apart: they lead to other weights; or ""."""
    rules = trace.rules
    plain = replace(rules.training, optimizer="sgd", momentum=0.0, nesterov=False)
    larger = {name: 10 * tensor for name, tensor in trace.start.weights.items()}
    others: tuple[tuple[str, StepRules, State], ...] = (
        ("--lmbd 0.1", replace(rules, lmbd=0.1), trace.start),
        ("--weight-scale 10", rules, trace.start.moved(larger)),
        (
            "--optimizer sgd --momentum 0",
            replace(rules, training=plain),
            State(trace.start.weights),
        ),
        ("--momentum 0.9", replace(rules, training=replace(plain, momentum=0.9)), trace.start),
    )
    for flag, rules, start in others:
        ends = [_end(start, trace.batches, rules.but(*mistakes)) for mistakes in alternatives]
        if all(_apart(a, b) > _TOLD_APART for a, b in combinations(ends, 2)):
            return flag
    return ""


def _end(start: State, batches: Sequence[Batch], rules: StepRules) -> Tensors:
    with np.errstate(all="ignore"):
        for batch in batches:
            start = stepped(start, batch, rules)
    return start.weights


def _apart(one: Tensors, other: Tensors) -> float:
    with np.errstate(all="ignore"):  # of weights that are no numbers any more
        gaps = [
            float(np.abs(one[name] - other[name]).max() / (np.abs(one[name]).max() or 1.0))
            for name in one
        ]
    return max(gaps) if np.isfinite(gaps).all() else 0.0
