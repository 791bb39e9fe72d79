"""The search for the mistakes that account for a suspect's steps.

They are tried one by one, then the best in pairs, then in threes; sizes that are not known are fitted by
Gauss-Newton on what is left unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backends.network import Array
from harness.mistakes.catalogue import catalogue
from harness.mistakes.mistake import Mistake
from harness.mistakes.other_minibatch import other_minibatch
from harness.mistakes.reference_step import Batch, TensorsOnce
from harness.mistakes.step_trace import StepTrace, root_mean_squares

Mistakes = tuple[Mistake, ...]

_CLEARER = 10.0  # what is left without a mistake must be this much more than with it
_NEEDED = 100.0  # units of round-off that are left without any one of several mistakes, at least
_BEAM = (6, 2)  # mistakes, and pairs of them, that others are tried beside
_ITERATIONS = 12
_NEARLY = 0.7  # of the digits unexplained, at most still so before a rounding is tried as well
_OWN_DIGITS = (
    0.02  # units of its own round-off, at least, that a float32 of a library leaves of a tensor
)
_REFINED = 40  # combinations whose sizes are fitted to the end
_BETTER = 0.95  # of the digits unexplained by one mistake fewer, at most, for another to be tried
# what combinations of one more mistake may cost, a small step being 1: then the less likely are left out
_MOST_WORK = 20_000.0
_PRODUCTS = 300_000.0  # products of a weight and a row that cost as much as all else in a step
_SLOW = 3  # iterations after which a fit that gets nowhere is given up


class MistakeSearch:
    """What is tried, in the first of the traces, and held against all of them."""

    def __init__(
        self, traces: Sequence[StepTrace], wrong_steps: int, more: Sequence[Mistake] = ()
    ) -> None:
        self.traces, self.wrong_steps, self.more = traces, wrong_steps, more
        self.trace, self.tensors = traces[0], TensorsOnce()
        weights = sum(tensor.size for tensor in self.trace.start.weights.values())
        products = [weights * len(batch.x) for batch in self.trace.batches]
        self.work_of_one, self.work = sum(1 + size / _PRODUCTS for size in products), 0.0
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
            if any(one.own_digits for one in mistakes) and np.median(found) < _OWN_DIGITS:
                return None  # whatever it is, it is smaller than what float32 would make of it
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

    def levels(self, minibatches: Sequence[Batch], most: int = 3) -> Iterator[list[Mistakes]]:
        """Single mistakes, then pairs, then threes; of each only those that explain the first trace.

        At last those that can explain it to the digits of their own float32 only.
        """
        once = other_minibatch(max(self.traces, key=len), minibatches)
        if once is not None:
            yield [(once,)]
        if self.wrong_steps < 2:
            return
        listed = [*catalogue(self.trace.rules), *self.more]
        known = [mistake for mistake in listed if not mistake.own_digits]
        tried = [self.fitted((mistake,)) for mistake in known]
        yield self._good(tried)
        plain = self.residuals(())
        matters = [
            mistake
            for (_, (mistake,)), given in zip(tried, known, strict=True)
            if given.fit or self._changes(mistake, plain)
        ]
        plain_score = self.score(plain)
        for width in _BEAM[: most - 1]:
            best = min(score for score, _ in tried)
            beam = [
                (mistakes, [m for m in matters if not _rounds(m) or score < _NEARLY * plain_score])
                for score, mistakes in _diverse(tried, width)
            ]
            tried = self._combined(beam)
            yield self._good(tried)
            if not tried or min(score for score, _ in tried) > _BETTER * best:
                break  # what a second mistake does not better, a third does not explain
        inside = [mistake for mistake in listed if mistake.own_digits]
        if inside:
            yield [(max(inside, key=self._likelihood),)]

    def _combined(
        self, beam: Sequence[tuple[Mistakes, Sequence[Mistake]]]
    ) -> list[tuple[float, Mistakes]]:
        """Each of the beam with one mistake more, fitted: all of them roughly, the best to the end."""
        tried: list[tuple[float, Mistakes]] = []
        told: set[frozenset[str]] = set()
        enough = self.work + _MOST_WORK
        for mistakes, more in beam:
            groups = {m.group for m in mistakes}
            for mistake in more:
                key = mistake_keys((*mistakes, mistake))
                if mistake.group not in groups and key not in told and self.work < enough:
                    told.add(key)
                    tried.append(self.fitted((*mistakes, mistake), iterations=1))
        order = sorted(range(len(tried)), key=lambda k: tried[k][0])
        unknown = [k for k in order if any(m.fit for m in tried[k][1])]
        for k in unknown[:_REFINED]:
            mistakes = tried[k][1]
            tried[k] = self._gauss_newton(mistakes, [i for i, m in enumerate(mistakes) if m.fit])
        return tried

    def _likelihood(self, mistake: Mistake) -> float:
        """How likely what is left is as a mistake's own round-off, but for one factor; a logarithm."""
        likelihood = 0.0
        for trace in self.traces:
            scales = trace.round_off(mistake)
            sizes = np.concatenate([step[name].ravel() for step in scales for name in trace.names])
            ratios = trace.ratios(trace.rules.but(mistake), scales)
            left = root_mean_squares([[np.concatenate([r.ravel() for s in ratios for r in s])]])
            likelihood -= float(np.log(sizes).mean() + np.log(left[0, 0] + 1e-300))
        return likelihood

    def _good(self, tried: Sequence[tuple[float, Mistakes]]) -> list[Mistakes]:
        """Those that leave next to nothing of the first trace."""
        return [mistakes for score, mistakes in tried if score < np.log10(1 + 300.0)]

    def _changes(self, mistake: Mistake, plain: list[Array]) -> bool:
        """Whether a mistake makes any difference in the first trace."""
        other = self.residuals((mistake,))
        return any(np.abs(a - b).max() > 1.0 for a, b in zip(other, plain, strict=True))

    def residuals(self, mistakes: Mistakes) -> list[Array]:
        """What is left of the first trace, in units of round-off, an array for each step and tensor."""
        self.work += self.work_of_one
        ratios = self.trace.ratios(self.trace.rules.but(*mistakes), compute=self.tensors)
        return [ratio.ravel() for step in ratios for ratio in step]

    def score(self, residuals: Sequence[Array]) -> float:
        """How many digits are unexplained, on average over steps and tensors."""
        with np.errstate(over="ignore"):
            sizes = np.sqrt([np.dot(r, r) / r.size for r in residuals])
        return float(np.log10(1 + np.minimum(sizes, 1e30)).mean())

    def fitted(self, mistakes: Mistakes, iterations: int = _ITERATIONS) -> tuple[float, Mistakes]:
        """The score of mistakes, and they with their unknown sizes as they fit best."""
        free = [k for k, m in enumerate(mistakes) if m.fit]
        if not free:
            return self.score(self.residuals(mistakes)), mistakes
        tried = [_sized(mistakes, free, p) for p in _starts(mistakes, free)]
        best = min(tried, key=lambda m: self.score(self.residuals(m)))
        return self._gauss_newton(best, free, iterations)

    def _gauss_newton(
        self, mistakes: Mistakes, free: Sequence[int], iterations: int = _ITERATIONS
    ) -> tuple[float, Mistakes]:
        residuals = self.residuals(mistakes)
        score = self.score(residuals)
        for iteration in range(iterations):
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


def _rounds(mistake: Mistake) -> bool:
    return "rounding" in (mistake.kind, mistake.group)


def _key(mistake: Mistake) -> str:
    """What tells mistakes apart whatever their size, if that is fitted."""
    return mistake.words if mistake.fit else str(mistake)


def mistake_keys(mistakes: Mistakes) -> frozenset[str]:
    """What tells combinations of mistakes apart, whatever the sizes that are fitted."""
    return frozenset(_key(mistake) for mistake in mistakes)


def _diverse(tried: Sequence[tuple[float, Mistakes]], width: int) -> list[tuple[float, Mistakes]]:
    """The best, at most two of the same groups."""
    kept: list[tuple[float, Mistakes]] = []
    for score, mistakes in sorted(tried, key=lambda one: one[0]):
        alike = sum(group_names(mistakes) == group_names(one) for _, one in kept)
        if alike < 2 and len(kept) < width:
            kept.append((score, mistakes))
    return kept


def group_names(mistakes: Mistakes) -> frozenset[str]:
    """The groups that mistakes are of."""
    return frozenset(m.group for m in mistakes)
