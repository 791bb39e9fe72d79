"""Steps that something drawn at random went into, told by how they are spread: gradient noise, dropout.

What was drawn cannot be seen, so no weight follows to the last digit as with other mistakes. A name is given
only if the gradients that the updates tell are spread as it spreads them, every tensor in every step, by one
size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.document.words import series
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import Batch, State, StepRules, Tensors, stepped
from harness.mistakes.step_trace import StepTrace

_STEPS, _FEWEST, _NUMBERS = 16, 6, 200  # at most and at least, and numbers that a name needs
_LEVEL = 1e-3  # chance of noise, all tests together, not to be called so
_DRAWN = 80  # masks that the spread of dropout is measured on
_USUAL = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
_NEAR = 1.6  # factor that the odds of dropout may be off by what one look at its spread says
_STILL = 1e-9  # of the largest spread: an entry that dropout leaves as it is
_FITS = 3.0  # standard deviations that a statistic may be off by where dropout is named


@dataclass(frozen=True)
class _Step:
    """A step's gradients, the penalty's part included: as seen, as the reference has them, and where."""

    seen: Tensors
    right: Tensors
    state: State
    batch: Batch

    @property
    def apart(self) -> Tensors:
        return {name: self.seen[name] - self.right[name] for name in self.seen}


def gradient_noise(trace: StepTrace) -> Mistake | None:
    """The mistake that independent numbers of one spread are added to the gradients; None if they are not."""
    steps = _steps(trace)
    return _noise(trace, steps) if len(steps) >= _FEWEST else None


def dropout(trace: StepTrace) -> list[Mistake]:
    """Dropout in the layers where it gives such steps: none, one, or several that cannot be told apart."""
    steps = _steps(trace)
    if len(steps) < _FEWEST or trace.rules.network.layers < 2:
        return []
    places = list(_places(trace.rules))
    fits = [(words, fit) for words, layers in places if (fit := _fit(trace.rules, steps, layers))]
    return [Mistake("dropout", words, "activations", "a1", {}, p) for words, p in fits]


def _steps(trace: StepTrace) -> list[_Step]:
    """What gradients the first steps took, where the optimiser is linear in them; none where it is not."""
    found: list[_Step] = []
    state = trace.start
    for batch, seen in zip(trace.batches[:_STEPS], trace.weights[:_STEPS], strict=True):
        if seen is None:
            return []
        zero, one, two = (
            stepped(state, batch, trace.rules.but(_taken(number))).weights for number in (0, 1, 2)
        )
        g: Tensors = {}
        for name in seen:
            slope = zero[name] - one[name]
            curved = np.abs(zero[name] - two[name] - 2 * slope).max()
            if not slope.all() or curved > 1e-6 * np.abs(slope).max():
                return []
            g[name] = (zero[name] - seen[name]) / slope
        found.append(_Step(g, _gradients(state, batch, trace.rules), state, batch))
        state = stepped(state, batch, trace.rules.but(_taken(g))).moved(seen)
    return found


def _taken(given: Any) -> Mistake:
    """Other gradients in place of all: tensors, or one number everywhere."""

    def change(g: Tensors, here: Any, p: float) -> Tensors:
        return (
            given if isinstance(given, dict) else {k: np.full_like(v, given) for k, v in g.items()}
        )

    return Mistake("", "", "", "", {"gradients": change})


def _gradients(state: State, batch: Batch, rules: StepRules, *changes: Mistake) -> Tensors:
    """The gradients that the optimiser is given."""
    found: Tensors = {}

    def look(g: Tensors, here: Any, p: float) -> Tensors:
        found.update(g)
        return g

    stepped(state, batch, rules.but(*changes, Mistake("", "", "", "", {"gradients": look})))
    return found


def _noise(trace: StepTrace, steps: Sequence[_Step]) -> Mistake | None:
    """Independent numbers of one spread that are added to the gradients, to all or to some of the tensors."""
    apart = [step.apart for step in steps]
    sizes = {name: np.concatenate([a[name].ravel() for a in apart]).std() for name in trace.names}
    noisy = [name for name in trace.names if sizes[name] > 0.1 * max(sizes.values())]
    values = np.concatenate([a[name].ravel() for a in apart for name in noisy])
    size = float(values.std())
    if values.size < _NUMBERS or not size:
        return None
    chances = [_as_drawn(values / size)]
    for name in noisy:
        own = np.array([a[name].ravel() for a in apart]) / size
        squares = float((own**2).sum())
        if chances[0][1] == "normal":  # the variance of each tensor
            chances.append((_two_sided(stats.chi2(own.size), squares), ""))
        chances.append((_two_sided(stats.norm(), float(own.mean()) * np.sqrt(own.size)), ""))
        for beside in (
            [step.right[name].ravel() for step in steps[1:]],
            [step.state.weights[name].ravel() for step in steps[1:]],
            own[:-1],  # of the step before
        ):
            pairs = np.array([own[1:].ravel(), np.array(beside).ravel()])
            if pairs.shape[1] > 3 and pairs.std(axis=1).all():
                chances.append((float(stats.pearsonr(*pairs).pvalue), ""))
    if min(chance for chance, _ in chances) < _LEVEL / len(chances):
        return None
    where = "" if len(noisy) == len(trace.names) else f" of {series(noisy)}"
    words = (
        f"random numbers of standard deviation {{p}} are added to the gradients{where} ({chances[0][1]}, "
        "drawn anew in each step)"
    )
    return Mistake("gradient noise", words, "gradient noise", f"d{noisy[-1]}", {}, size)


def _as_drawn(values: NDArray[Any]) -> tuple[float, str]:
    """The chance of standardised values to be normal, or uniform, whichever is likelier, and its name."""
    normal = float(stats.kstest(values, "norm").pvalue)
    uniform = float(stats.kstest(values, stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf).pvalue)
    return max((normal, "normal"), (uniform, "uniform"))


def _two_sided(law: Any, value: float) -> float:
    return float(min(1.0, 2 * min(law.cdf(value), law.sf(value))))


def _places(rules: StepRules) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Where dropout may be, and its words; layer 0 is the inputs."""
    layers = tuple(range(1, rules.network.layers))
    told = "{p} of them in each row, the others scaled up (dropout); told by the spread of the gradients"
    if len(layers) > 1:
        yield f"units of all hidden layers are dropped at random, about {told}", layers
    for layer in layers:
        yield f"units of hidden layer {layer} are dropped at random, about {told}", (layer,)
    yield f"inputs are dropped at random, about {told}", (0,)


def _fit(rules: StepRules, steps: Sequence[_Step], layers: tuple[int, ...]) -> float | None:
    """The share of units, dropped in these layers, that spreads gradients as they are; None if none does."""
    start = 0.25
    sizes = []
    for step in steps:
        drawn = _drawn(rules, step, layers, start, _DRAWN // 2)
        for name, apart in step.apart.items():
            spread = np.mean(np.square(drawn[name] - drawn[name].mean(axis=0)))
            if spread:
                sizes.append(float(np.mean(np.square(apart)) / spread))
    if not sizes:
        return None
    odds = float(np.median(sizes)) * start / (1 - start)
    near = [p for p in _USUAL if 1 / _NEAR < p / (1 - p) / odds < _NEAR]
    offs = [(off, p) for p in near if (off := _off(rules, steps, layers, p)) <= _FITS]
    if not offs:
        return None
    return min(offs)[1]


def _drawn(
    rules: StepRules, step: _Step, layers: tuple[int, ...], p: float, count: int
) -> dict[str, NDArray[Any]]:
    """What masks drawn anew add to the gradients, by tensor; (draws, entries)."""
    rng = np.random.default_rng(step.state.steps)

    masks: dict[int, NDArray[Any]] = {}

    def dropped(value: Any, here: Any, size: float) -> Any:
        if here.layer not in layers:
            return value
        masks[here.layer] = (rng.random(value.shape) >= p) / (1 - p)
        return value * masks[here.layer]

    def passed_back(slope: Any, here: Any, size: float) -> Any:
        if here.layer not in layers:
            return slope
        z, function = here.found[f"z{here.layer}"], here.rules.activation(here.layer)
        return HIDDEN_FUNCTIONS[function][1](z) * masks[here.layer]

    mask = Mistake("", "", "", "", {"rows": dropped, "a": dropped, "slope": passed_back})
    found = [_gradients(step.state, step.batch, rules, mask) for _ in range(count)]
    return {
        name: np.array([g[name].ravel() - right.ravel() for g in found])
        for name, right in step.right.items()
    }


def _off(rules: StepRules, steps: Sequence[_Step], layers: tuple[int, ...], p: float) -> float:
    """How far the steps are from those that dropout of p gives, at most, in its own standard deviations.

    Held against each other are, tensor by tensor, the mean square of what is standardised entry by entry, and
    its correlation from step to step; both as masks drawn anew give them.
    """
    names = list(steps[0].seen)
    scores: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for step in steps:
        drawn, apart = _drawn(rules, step, layers, p, _DRAWN), step.apart
        for name in names:
            own = np.concatenate([apart[name].ravel()[None], drawn[name]])  # seen is the first
            spread = drawn[name].std(axis=0)
            still = spread <= _STILL * float(spread.max())
            if (np.abs(own[0, still]) > 1e-3 * float(spread.max())).any():
                return np.inf
            scores[name].append((own - drawn[name].mean(axis=0)) / np.where(still, np.inf, spread))
    worst = 0.0
    for name in names:
        with np.errstate(divide="ignore"):
            squares = [np.log(np.mean(z**2, axis=1)) for z in scores[name] if z.any()]
        same = [np.mean(a * b, axis=1) for a, b in pairwise(scores[name])]
        if squares:
            worst = max(worst, _from_the_rest(np.mean(squares, axis=0)))
            worst = max(worst, _from_the_rest(np.mean(same, axis=0)))
    return worst


def _from_the_rest(values: NDArray[Any]) -> float:
    """How far the first is from the others' mean, in their standard deviation."""
    return float(abs(values[0] - values[1:].mean()) / max(values[1:].std(), 1e-12))
