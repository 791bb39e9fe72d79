"""What explains the steps of a suspect: the fewest known mistakes with which the rules give its weights.

Mistakes are tried one by one, then in pairs, then in threes; sizes that are not known are fitted by
Gauss-Newton on what is left unexplained. A mistake is named only where nothing but round-off is left, in
every step and cell that was looked at. Where several do equally well all of them are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backends.network import Array
from harness.parity.known_mistakes import catalogue
from harness.parity.mistake import Mistake
from harness.parity.other_minibatch import other_minibatch
from harness.parity.reference_step import Batch, State, StepRules, Tensors, stepped
from harness.parity.step_trace import StepTrace, root_mean_squares

Mistakes = tuple[Mistake, ...]

_AS_GOOD = 1.5  # times as much left unexplained, at most, as by the best: cannot be told from it
_CLEARER = 10.0  # what is left without a mistake must be this much more than with it
_NEEDED = 100.0  # units of round-off that are left without any one of several mistakes, at least
_BEAM = (6, 2)  # mistakes, and pairs of them, that others are tried beside
_ITERATIONS = 12
_TOLD_APART = 1e-4  # relative distance of weights at which two mistakes are told apart in any dtype
_NEARLY = 0.7  # of the digits unexplained, at most still so before a rounding is tried as well
_SLOW = 3  # iterations after which a fit that gets nowhere is given up
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
    """

    mistakes: Mistakes
    others: tuple[Mistakes, ...]
    left: float
    of: float
    cells: int
    steps: int
    tells_apart: str = ""

    @property
    def words(self) -> str:
        """What was done, as a clause."""
        told = [" and ".join(str(m) for m in combined) for combined in self.alternatives]
        if len(told) == 1:
            return told[0]
        apart = f"; the same command with {self.tells_apart} tells" if self.tells_apart else ""
        return f"either {'; or '.join(told)} (the same in this experiment{apart})"

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
        """A ``rounding`` if nothing was done but to keep numbers with fewer digits."""
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
) -> Explanation | None:
    """What explains all of the traces; None if nothing tried does.

    traces: of one suspect, in one cell each; the first is the one that mistakes are sought in.
    minibatches: those of all steps of the training, among which a suspect may have taken another one.
    refuted: whether something else that was seen of the suspect speaks against mistakes.
    """
    wrong = [trace.wrong(trace.rules) for trace in traces]
    cells = sum(bool(w.any()) for w in wrong)
    steps = max(int(w.any(axis=1).sum()) for w in wrong)
    if cells < min(2, len(traces)):
        return None
    search = _Search(traces, steps)
    enough: list[frozenset[str]] = []  # mistakes that account for it, whether refuted or not
    for level in search.levels(minibatches):
        level = [m for m in level if not any(fewer <= _keys(m) for fewer in enough)]
        tried = [(search.left(mistakes), mistakes) for mistakes in level]
        accounting = [(left, mistakes) for left, mistakes in tried if left is not None]
        enough += [_keys(mistakes) for _, mistakes in accounting]
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


def _distance(trace: StepTrace, rules: StepRules) -> float:
    """The largest relative error of any tensor after a step that begins at the suspect's own weights."""
    worst = 0.0
    for seen, made in zip(trace.weights, trace.predicted(rules), strict=True):
        for name, tensor in seen.items():
            scale = max(float(np.abs(t).max()) for t in (tensor, trace.start.weights[name]))
            worst = max(worst, float(np.abs(tensor - made[name]).max()) / (scale or 1.0))
    return worst


def _without_repetition(named: Sequence[Mistakes]) -> list[Mistakes]:
    """The same without those that say in other words what is said already.

    A size that was fitted says nothing beside a usual one of the same name, or where it is no round
    number.
    """
    usual = {_names(m) for m in named if not any(one.fit for one in m)}
    kept: list[Mistakes] = []
    for mistakes in named:
        fitted = any(one.fit for one in mistakes)
        if fitted and (_names(mistakes) in usual or (usual and not _round_numbers(mistakes))):
            continue
        if any(_names(mistakes) == _names(one) for one in kept if fitted):
            continue
        if str([str(m) for m in mistakes]) not in [str([str(m) for m in one]) for one in kept]:
            kept.append(mistakes)
    return kept


def _names(mistakes: Mistakes) -> frozenset[str]:
    return frozenset(m.group for m in mistakes)


def _round_numbers(mistakes: Mistakes) -> bool:
    def is_round(p: float) -> bool:
        return any(abs(value - float(f"{value:.2g}")) < 1e-6 * abs(value) for value in (p, 1 / p))

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
    gaps = [
        float(np.abs(one[name] - other[name]).max() / (np.abs(one[name]).max() or 1.0))
        for name in one
    ]
    return max(gaps) if np.isfinite(gaps).all() else 0.0


class _Search:
    """What is tried, in the first of the traces, and held against all of them."""

    def __init__(self, traces: Sequence[StepTrace], wrong_steps: int) -> None:
        self.traces, self.wrong_steps = traces, wrong_steps
        self.trace = traces[0]
        # a difference of two residuals that is none
        self.digits = 8 * np.finfo(np.float64).eps / np.finfo(self.trace.rules.training.dtype).eps
        self.plain = [
            root_mean_squares(trace.ratios(trace.rules)).max(initial=0.0) for trace in traces
        ]

    def left(self, mistakes: Mistakes) -> float | None:
        """The root mean square that mistakes leave, in units of round-off; None if more than round-off."""
        squares = []
        for trace, plain in zip(self.traces, self.plain, strict=True):
            rules, scales = trace.rules.but(*mistakes), trace.round_off(*mistakes)
            if trace.wrong(rules, scales).any():
                return None
            found = root_mean_squares(trace.ratios(rules, scales))
            if found.max() > plain / _CLEARER and plain > _CLEARER:
                return None
            squares.append(np.mean(found**2))
        if not all(self._needed(one, mistakes) for one in mistakes):
            return None
        return float(np.sqrt(np.mean(squares)))

    def _needed(self, one: Mistake, mistakes: Mistakes) -> bool:
        """Whether far more is left unexplained without one of them, in some trace."""
        others = [mistake for mistake in mistakes if mistake is not one]
        return not others or any(
            root_mean_squares(trace.ratios(trace.rules.but(*others))).max() > _NEEDED
            for trace in self.traces
        )

    def levels(self, minibatches: Sequence[Batch]) -> Iterator[list[Mistakes]]:
        """Single mistakes, then pairs, then threes; of each only those that explain the first trace."""
        once = other_minibatch(self.trace, minibatches)
        if once is not None:
            yield [(once,)]
        if self.wrong_steps < 2:
            return
        known = catalogue(self.trace.rules)
        tried = [self.fitted((mistake,)) for mistake in known]
        yield self._good(tried)
        plain = self.residuals(())
        matters = [
            mistake
            for (_, (mistake,)), given in zip(tried, known, strict=True)
            if given.fit or self._changes(mistake, plain)
        ]
        plain_score = self.score(plain)
        for width in _BEAM:
            beam = _diverse(tried, width)
            tried, told = [], set()
            for score, mistakes in beam:
                groups = {m.group for m in mistakes}
                for mistake in matters:
                    if mistake.kind == "rounding" and score > _NEARLY * plain_score:
                        continue
                    key = _keys((*mistakes, mistake))
                    if mistake.group not in groups and key not in told:
                        told.add(key)
                        tried.append(self.fitted((*mistakes, mistake)))
            yield self._good(tried)

    def _good(self, tried: Sequence[tuple[float, Mistakes]]) -> list[Mistakes]:
        """Those that leave next to nothing of the first trace."""
        return [mistakes for score, mistakes in tried if score < np.log10(1 + 300.0)]

    def _changes(self, mistake: Mistake, plain: list[Array]) -> bool:
        """Whether a mistake makes any difference in the first trace."""
        other = self.residuals((mistake,))
        return any(np.abs(a - b).max() > 1.0 for a, b in zip(other, plain, strict=True))

    def residuals(self, mistakes: Mistakes) -> list[Array]:
        """What is left of the first trace, in units of round-off, an array for each step and tensor."""
        ratios = self.trace.ratios(self.trace.rules.but(*mistakes))
        return [ratio.ravel() for step in ratios for ratio in step]

    def score(self, residuals: Sequence[Array]) -> float:
        """How many digits are unexplained, on average over steps and tensors."""
        with np.errstate(over="ignore"):
            sizes = np.sqrt([np.dot(r, r) / r.size for r in residuals])
        return float(np.log10(1 + np.minimum(sizes, 1e30)).mean())

    def fitted(self, mistakes: Mistakes) -> tuple[float, Mistakes]:
        """The score of mistakes, and they with their unknown sizes as they fit best."""
        free = [k for k, m in enumerate(mistakes) if m.fit]
        if not free:
            return self.score(self.residuals(mistakes)), mistakes
        tried = [_sized(mistakes, free, p) for p in _starts(mistakes, free)]
        best = min(tried, key=lambda m: self.score(self.residuals(m)))
        return self._gauss_newton(best, free)

    def _gauss_newton(self, mistakes: Mistakes, free: Sequence[int]) -> tuple[float, Mistakes]:
        residuals = self.residuals(mistakes)
        score = self.score(residuals)
        for iteration in range(_ITERATIONS):
            p = np.array([mistakes[k].p for k in free])
            r = np.concatenate(residuals)
            slopes = []
            for place in range(len(free)):
                h = 1e-6 * (abs(p[place]) or 1e-3)
                moved = p.copy()
                moved[place] += h
                rise = np.concatenate(self.residuals(_sized(mistakes, free, moved))) - r
                slopes.append(np.where(np.abs(rise) > self.digits, rise, 0.0) / h)
            step = _least_squares(np.array(slopes).T, r, residuals)
            if step is None:
                break
            for damping in (1.0, 0.3, 0.05):
                new = _sized(mistakes, free, p - damping * step)
                left = self.residuals(new)
                if self.score(left) < score:
                    break
            else:
                break
            gained, score = score - self.score(left), self.score(left)
            mistakes, residuals = new, left
            if gained < (0.05 if iteration + 1 >= _SLOW else 1e-3):
                break
        return score, mistakes


def _least_squares(slopes: Array, r: Array, blocks: Sequence[Array]) -> NDArray[np.float64] | None:
    """The Gauss-Newton step, every tensor of every step with the same weight."""
    weights = np.concatenate(
        [np.full(len(b), 1 / (1 + np.sqrt(np.mean(np.minimum(b * b, 1e60))))) for b in blocks]
    )
    a = slopes * weights[:, None]
    if not np.isfinite(a).all() or not a.any():
        return None
    step: NDArray[np.float64] = np.linalg.lstsq(a, r * weights, rcond=None)[0]
    return step


def _starts(mistakes: Mistakes, free: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """Sizes to begin with: of the last of the unknown ones all that it has, of the others what they have."""
    given = np.array([m.p if len(free) > 1 else m.starts[0] for m in (mistakes[k] for k in free)])
    for start in mistakes[free[-1]].starts if mistakes[-1].fit else (given[-1],):
        yield np.array([*given[:-1], start])


def _sized(mistakes: Mistakes, free: Sequence[int], p: Sequence[float] | Array) -> Mistakes:
    sizes = dict(zip(free, p, strict=True))
    return tuple(m.of_size(sizes[k]) if k in sizes else m for k, m in enumerate(mistakes))


def _key(mistake: Mistake) -> str:
    """What tells mistakes apart whatever their size, if that is fitted."""
    return mistake.words if mistake.fit else str(mistake)


def _keys(mistakes: Mistakes) -> frozenset[str]:
    return frozenset(_key(mistake) for mistake in mistakes)


def _diverse(tried: Sequence[tuple[float, Mistakes]], width: int) -> list[tuple[float, Mistakes]]:
    """The best, at most two of the same groups."""
    kept: list[tuple[float, Mistakes]] = []
    for score, mistakes in sorted(tried, key=lambda one: one[0]):
        alike = sum(_names(mistakes) == _names(one) for _, one in kept)
        if alike < 2 and len(kept) < width:
            kept.append((score, mistakes))
    return kept
