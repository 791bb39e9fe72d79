"""One optimiser step, written out tensor by tensor in float64, with a door at every stage of it.

Without mistakes it is the canonical step. A :class:`~harness.mistakes.mistake.Mistake` goes in at one of
the ``STAGES`` and changes what is computed there; what a suspect did is explained by the mistakes that
give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from backends.formulas import softmax, targets
from backends.network import Array, Network, Training, Weights
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS, slope_of
from harness.mistakes.mistake import STAGES, Mistake
from harness.mistakes.optimisers import UPDATE_RULES, Memory, Optimiser
from harness.roundoff.trial import Trial

Tensors = dict[str, Array]
OUTPUTS: dict[str, Callable[[Array], Array]] = {
    "softmax": softmax,
    "logistic": expit,
    "identity": np.copy,
}


@dataclass(frozen=True)
class Batch:
    """The samples of a minibatch: inputs (rows, features), what the output should give, and class numbers."""

    x: Array
    t: Array
    y: NDArray[np.number]

    @classmethod
    def of(cls, trial: Trial, rows: NDArray[np.integer]) -> Batch:
        y = trial.y[rows]
        return cls(trial.x[rows].astype(np.float64), targets(y, trial.network, "float64"), y)

    def rows(self, which: slice | NDArray[Any]) -> Batch:
        """Some of the samples."""
        return Batch(self.x[which], self.t[which], self.y[which])


@dataclass(frozen=True)
class StepRules:
    """How a step is computed: network, training, eta and lmbd of the cell, and the mistakes made.

    ``samples``: in the training set, ``per_class`` of them with each class number. ``batch_size``: of a
    full minibatch. ``steps_per_epoch``: None if nobody counts epochs. ``activations``: of each hidden layer,
    where they are not the network's. ``conventions``: what is done otherwise and meant so; mistakes come on
    top of them. ``noise``: perturbs every result in its last place (Monte Carlo arithmetic), or
    in that of the dtype it is given.
    """

    network: Network
    training: Training
    eta: float
    lmbd: float
    samples: int = 0
    per_class: tuple[int, ...] = ()
    batch_size: int = 0
    steps_per_epoch: int | None = None
    activations: tuple[str, ...] = ()
    conventions: tuple[Mistake, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    noise: Callable[..., Array] | None = None

    @classmethod
    def of(cls, trial: Trial) -> StepRules:
        """The canonical rules of a trial of one cell."""
        y = trial.y[trial.split.train]
        counts: list[int] = []
        if trial.network.classes:
            counts = np.bincount(y, minlength=trial.network.classes).tolist()
        return cls(
            trial.network,
            trial.training,
            float(trial.cells.eta[0]),
            float(trial.cells.lmbd[0]),
            len(y),
            tuple(counts),
            trial.plan.batch_size,
            trial.plan.steps_per_epoch,
        )

    def but(self, *mistakes: Mistake) -> StepRules:
        """The same with these mistakes."""
        return replace(self, mistakes=mistakes)

    def activation(self, layer: int) -> str:
        """The activation of a hidden layer, counted from 1."""
        return (self.activations or self.network.activations)[layer - 1]

    def at(self, stage: str, value: Any, here: Here) -> Any:
        """What a stage gives, with the mistakes that are made at it."""
        for mistake in (*self.conventions, *self.mistakes):
            if stage in mistake.changes:
                value = mistake.changes[stage](value, here, mistake.p)
        if self.noise is None:
            return value
        if isinstance(value, dict):
            return {name: self.noise(tensor) for name, tensor in value.items()}
        return self.noise(value) if isinstance(value, np.ndarray) else value


@dataclass
class Here:
    """Where in a training a stage is: the step (from 0), the layer (from 1) or the tensor's name.

    ``found`` has what was computed in the step so far, ``before`` the weights that it starts from,
    ``memory`` what the optimiser remembers, ``kept`` what it will remember after the step, ``passed`` the
    errors and slopes (delta2, slope1, ...) of the way back so far.
    """

    rules: StepRules
    step: int
    batch: Batch
    before: Tensors
    memory: Memory = field(default_factory=dict)
    kept: Memory = field(default_factory=dict)
    layer: int = 0
    name: str = ""
    found: Tensors = field(default_factory=dict)
    passed: Tensors = field(default_factory=dict)

    @property
    def last(self) -> bool:
        """Whether this is the output layer, or a tensor of it."""
        return self.rules.network.layers == self.number

    @property
    def number(self) -> int:
        """The number of the layer, or of the tensor's."""
        return self.layer or int(self.name[1:] or 0)

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""
        return self.step // (self.rules.steps_per_epoch or 1)

    @property
    def eta(self) -> float:
        """eta as the schedule has it in this step."""
        return self.rules.eta * self.rules.training.eta_factor(self.epoch)

    def placed(self, name: str = "", layer: int = 0) -> Here:
        self.name, self.layer = name, layer
        return self


@dataclass(frozen=True)
class State:
    """Where a training stands: weights by name, what its optimiser remembers of each, steps taken."""

    weights: Tensors
    memory: Memory = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def start(cls, weights: Weights) -> State:
        """Before the first step; the weights are those of one cell."""
        return cls({name: t[0].astype(np.float64) for name, t in weights.named().items()})

    def moved(self, weights: Tensors) -> State:
        """The same with other weights."""
        return replace(self, weights=weights)


def tensors(
    weights: Tensors, batch: Batch, rules: StepRules, step: int = 0, back: Tensors | None = None
) -> Tensors:
    """Every tensor up to the gradients, in the order of computation.

    ``rows`` are the inputs, ``targets`` what the output should give; z and a of each layer; the
    ``output``; ``cross-entropy`` is the cost's derivative by the output layer's z, sample by sample; then
    the gradient of the penalty, and that of the cost from the last layer back to the first. ``back``:
    the weights that errors are passed back through, where they are not those of the forward pass.
    """
    here = Here(rules, step, rules.at("batch", batch, Here(rules, step, batch, weights)), weights)
    batch, at, found = here.batch, rules.at, here.found
    layers = range(1, rules.network.layers + 1)
    a = found["rows"] = at("rows", batch.x, here)
    t = found["targets"] = at("targets", batch.t, here)
    for layer in layers:
        here.placed(layer=layer)
        W = at("factor", weights[f"W{layer}"], here)
        z = found[f"z{layer}"] = at(
            "z", at("factor", a, here) @ W + at("bias", weights[f"b{layer}"], here), here
        )
        if layer < rules.network.layers:
            function = at("function", rules.activation(here.layer), here)
            a = found[f"a{layer}"] = at("a", HIDDEN_FUNCTIONS[function][0](z), here)
    output = found["output"] = at("output", OUTPUTS[rules.network.output](z), here)
    delta = found["cross-entropy"] = at("cross-entropy", output - t, here)
    n = len(batch.x)
    found |= penalty_gradients(weights, here)
    delta = delta * at("cost", rules.training.cost_scale(n), here.placed())
    for layer in reversed(layers):
        here.placed(layer=layer)
        here.passed[f"delta{layer}"] = delta
        before = at("factor", found["rows" if layer == 1 else f"a{layer - 1}"], here)
        found[f"dW{layer}"] = at("dW", before.T @ at("factor", delta, here), here)
        found[f"db{layer}"] = at("db", delta.sum(axis=0), here)
        if layer > 1:
            W = at("factor", (back or weights)[f"W{layer}"], here)
            here.placed(layer=layer - 1)
            function = at("function", rules.activation(here.layer), here)
            slope = slope_of(function, found[f"z{layer - 1}"], found[f"a{layer - 1}"])
            slope = here.passed[f"slope{layer - 1}"] = at("slope", slope, here)
            delta = at("delta", (at("factor", delta, here) @ W.T) * slope, here)
    return found


def penalty_gradients(weights: Tensors, here: Here) -> Tensors:
    """The gradient of the penalty by each tensor, as ``penalty of W1``."""
    rules, n, found = here.rules, len(here.batch.x), {}
    for name, tensor in weights.items():
        p = rules.training.penalty(rules.lmbd, n, int(name[1:]) - 1, rules.network.layers)
        decay = p * tensor if name[0] == "W" else np.zeros_like(tensor)
        decay = rules.at("penalty", decay, here.placed(name=name))
        if rules.training.l1:
            l1 = l1_gradient(tensor, here) * (name[0] == "W")
            decay = decay + rules.at("l1 penalty", l1, here.placed(name=name))
        found[f"penalty of {name}"] = decay
    return found


class TensorsOnce:
    """:func:`tensors` without noise, computed once for mistakes made in a penalty or after gradients.

    What was computed last is remembered: the mistakes of a search differ in little.
    """

    _AFTER = (
        frozenset(STAGES) - {"order", "point"} - set([*STAGES][1 : [*STAGES].index("gradients")])
    )
    _PENALTIES = frozenset({"penalty", "l1 penalty"})
    _MOST = 64  # steps

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Any, Tensors]] = {}

    def __call__(self, weights: Tensors, batch: Batch, rules: StepRules, step: int) -> Tensors:
        later = self._AFTER | self._PENALTIES
        early = [m for m in rules.mistakes if not m.changes.keys() <= later]
        key = (id(weights), step, *((id(m.changes), m.p) for m in early))
        if key not in self._kept:
            while len(self._kept) >= self._MOST:
                self._kept.pop(next(iter(self._kept)))
            found = tensors(weights, batch, rules.but(*early), step)
            self._kept[key] = ((weights, early), found)  # whose ids are theirs while they are kept
        found = dict(self._kept[key][1])
        if any(m.changes.keys() & self._PENALTIES and m not in early for m in rules.mistakes):
            here = Here(rules, step, batch, weights)
            here.batch, here.found = rules.at("batch", batch, here), found
            found |= penalty_gradients(weights, here)
        return found


def l1_gradient(W: Array, here: Here) -> Array:
    """The gradient of the L1 penalty by the tensor at which a stage is, as of weight matrices."""
    training, layers = here.rules.training, here.rules.network.layers
    p = training.penalty(training.l1, len(here.batch.x), here.number - 1, layers)
    return np.asarray(p * np.sign(W))


def stepped(
    state: State, batch: Batch, rules: StepRules, compute: Callable[..., Tensors] = tensors
) -> State:
    """The state after one more step; ``compute``: as :func:`tensors` does."""
    here = Here(rules, state.steps, batch, state.weights, state.memory)
    order = rules.at("order", "together", here)
    if order == "together":
        point = rules.at("point", state.weights, here)
        return _updated(state, compute(point, batch, rules, state.steps), rules, here)
    layers = range(1, rules.network.layers + 1)
    weights, memory = dict(state.weights), dict(state.memory)
    for layer in layers if order == "first to last" else reversed(layers):
        forward = weights if order == "first to last" else state.weights
        found = tensors(forward, batch, rules, state.steps, weights)
        after = _updated(state, found, rules, here)
        for name in (f"W{layer}", f"b{layer}"):
            weights[name], memory[name] = after.weights[name], after.memory[name]
    return State(weights, memory, state.steps + 1)


def _updated(state: State, found: Tensors, rules: StepRules, here: Here) -> State:
    """The optimiser's part of a step."""
    at, weights, memory = rules.at, state.weights, dict(state.memory)
    here.found = found
    g = {name: found[f"d{name}"] + found[f"penalty of {name}"] for name in weights}
    g = at("gradients", g, here.placed())
    training: Training = at("training", rules.training, here)
    eta = float(at("eta", here.eta, here))
    optimiser: Optimiser = at("optimiser", UPDATE_RULES[training.optimizer], here)
    changes: Tensors = {}
    for name in weights:
        here.placed(name=name)
        kept = at("memory", state.memory.get(name, {}), here)
        change, kept = optimiser(g[name], kept, training, eta, state.steps + 1)
        memory[name] = dict(kept)
        changes[name] = at("change", change, here)
    moved = {name: theta - changes[name] for name, theta in weights.items()}
    stored: dict[str, Array] = {}
    here.kept = memory
    for name, theta in moved.items():
        stored[name] = cast(Array, at("stored", theta, here.placed(name=name)))
    return State(stored, memory, state.steps + 1)


def walked(trial: Trial, steps: int) -> State:
    """The canonical state of a trial of one cell after so many steps."""
    state, rules = State.start(trial.plan.initial), StepRules.of(trial)
    for rows in trial.plan.first(steps).batches():
        state = stepped(state, Batch.of(trial, rows), rules)
    return state
