"""Candidate explanations: mistakes that are tried on one step, in words and as rules.

Each is a small variation of the step. The one that gives a suspect's weights, down to round-off, is what
the suspect did, or does the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from backends.network import Weights
from harness.parity.reference_step import FUNCTIONS, Batch, Rules, State, Tensors, stepped
from harness.roundoff.trial import Trial

EXPLAINED = 1e-3  # what is left of the difference, where an explanation counts as one
CLIPS = (1e-7, 1e-15, 1e-16, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3)
EPSILONS = (1e-7, 1e-8, 1e-6, 1e-5, 1e-3, 0.0)


@dataclass(frozen=True)
class Variant:
    """A mistake: what it is, the first tensor that it shows in, and how the step goes with it."""

    words: str
    tensor: str
    state: State
    batch: Batch
    rules: Rules


@dataclass(frozen=True)
class Explanation:
    """The mistake that gives the suspect's weights: what of the difference is left, of how much."""

    words: str
    tensor: str
    left: float
    of: float


def explained(
    trial: Trial, step: int, state: State, observed: Weights, round_off: float
) -> Explanation | None:
    """The best explanation of the weights after a step; None if nothing tried comes near.

    ``state`` is where the suspect stood before the step, ``round_off`` the relative error that means
    nothing.
    """
    seen = State.start(observed).weights
    batch = Batch.of(trial, trial.plan.rows(step)[0])
    plain = distance(stepped(state, batch, Rules.of(trial)).weights, seen, state.weights)
    best: Explanation | None = None
    with np.errstate(all="ignore"):
        for variant in variants(trial, step, state):
            result = stepped(variant.state, variant.batch, variant.rules).weights
            left = distance(result, seen, state.weights)
            good = left <= max(round_off, EXPLAINED * plain) and left < plain / 10
            # of equals the first, which is the simplest
            if good and (best is None or left < best.left / 2):
                best = Explanation(variant.words, variant.tensor, left, plain)
    return best


def distance(one: Tensors, other: Tensors, scale: Tensors) -> float:
    """The largest difference of any tensor, over the largest entry of it in any of the three."""
    worst = 0.0
    for name, tensor in one.items():
        size = max(float(np.abs(t[name]).max()) for t in (one, other, scale))
        gap = float(np.abs(tensor - other[name]).max())
        worst = max(worst, gap / size if size > 0 else gap)
    return worst if np.isfinite(worst) else np.inf


def variants(trial: Trial, step: int, state: State) -> Iterator[Variant]:
    """Everything that is tried on this step, the likeliest and simplest first."""
    rules = Rules.of(trial)
    batch = Batch.of(trial, trial.plan.rows(step)[0])
    for words, tensor, other in _rules(trial, step, rules):
        yield Variant(words, tensor, state, batch, other)
    for name, memory in (("forgotten before this step", 0.0), ("of the wrong sign", -1.0)):
        if trial.training.momentum and step:
            first = {key: memory * tensor for key, tensor in state.memory[0].items()}
            changed = replace(state, memory=(first, state.memory[1]))
            yield Variant(f"the momentum is {name}", "W1", changed, batch, rules)
    size = len(batch.x)
    for other_step in _nearest(trial.plan.steps, step):
        rows = trial.plan.rows(other_step)[0]
        words = f"it takes the minibatch of step {other_step + 1} for that of step {step + 1}"
        yield Variant(words, "rows", state, Batch.of(trial, rows), rules)
    for words, kept in (("first", slice(1, None)), ("last", slice(None, -1))):
        if size > 1:
            rows = trial.plan.rows(step)[0][kept]
            words = f"it leaves out the minibatch's {words} row"
            yield Variant(words, "rows", state, Batch.of(trial, rows), rules)


def _nearest(steps: int, step: int) -> list[int]:
    """All other steps, the nearest first."""
    return sorted((s for s in range(steps) if s != step), key=lambda s: abs(s - step))


def _rules(trial: Trial, step: int, rules: Rules) -> Iterator[tuple[str, str, Rules]]:
    yield from _penalties(trial, step, rules)
    yield from _costs(trial, step, rules)
    yield from _functions(rules)
    yield from _optimisers(rules, step + 1)
    yield from _tensors_kept(rules)


def _penalties(trial: Trial, step: int, rules: Rules) -> Iterator[tuple[str, str, Rules]]:
    if not rules.lmbd:
        return
    n, full = len(trial.plan.rows(step)[0]), trial.plan.batch_size
    ones = rules.penalty

    def all_by(factor: float) -> Rules:
        return replace(rules, penalty=tuple(factor * one for one in ones))

    tensor = "penalty of W1"
    yield "the penalty is twice as strong: its gradient is 2 lmbd W", tensor, all_by(2)
    yield "the penalty is half as strong: its gradient is lmbd W / 2", tensor, all_by(0.5)
    yield "there is no penalty", tensor, all_by(0)
    if n != full:
        words = f"the penalty of a short minibatch is {full} / {n} times too strong"
        yield words, tensor, all_by(full / n)
        yield (
            f"the penalty of a short minibatch is {n} / {full} of what it should be",
            tensor,
            all_by(n / full),
        )
    yield f"the penalty is divided by the {n} samples of the minibatch", tensor, all_by(1 / n)
    yield f"the penalty is multiplied by the {n} samples of the minibatch", tensor, all_by(n)
    samples = len(trial.split.train)
    yield f"the penalty is divided by the {samples} training samples", tensor, all_by(1 / samples)
    layers = len(ones)
    yield "the biases are penalised as well", "penalty of b1", replace(rules, bias_penalty=ones)
    only_hidden = (*ones[:-1], 0.0)
    yield (
        "the last layer's weights are not penalised",
        f"penalty of W{layers}",
        replace(rules, penalty=only_hidden),
    )
    only_last = (*(0.0,) * (layers - 1), ones[-1])
    yield "only the last layer's weights are penalised", tensor, replace(rules, penalty=only_last)
    yield (
        "the penalty is taken off the weights beside the optimiser (decoupled weight decay)",
        "W1",
        replace(rules, decoupled=True),
    )
    yield "lmbd is rounded to float32", tensor, replace(rules, lmbd=float(np.float32(rules.lmbd)))


def _costs(trial: Trial, step: int, rules: Rules) -> Iterator[tuple[str, str, Rules]]:
    n, full = len(trial.plan.rows(step)[0]), trial.plan.batch_size
    last = f"dW{rules.network.layers}"
    tensor = "dW1" if rules.network.layers == 1 else last
    yield f"the cost is summed over the {n} samples, not averaged", tensor, replace(rules, cost=n)
    yield f"the cost is averaged over {n} samples twice", tensor, replace(rules, cost=1 / n)
    if n != full:
        words = f"a short minibatch's cost is divided by {full} in place of {n}"
        yield words, tensor, replace(rules, cost=n / full)
    yield "the cost is twice too large", "cross-entropy", replace(rules, cost=2)
    yield "the cost is half as large as it should be", "cross-entropy", replace(rules, cost=0.5)
    outputs = rules.network.outputs
    if outputs > 1:
        words = f"the cost is averaged over the {outputs} outputs as well"
        yield words, "cross-entropy", replace(rules, cost=1 / outputs)
    for clip in CLIPS if rules.network.classes else ():
        words = f"probabilities are clipped at {clip:g} before the logarithm"
        yield words, "cross-entropy", replace(rules, clip=clip)


def _functions(rules: Rules) -> Iterator[tuple[str, str, Rules]]:
    hidden = range(len(rules.functions))
    for name in FUNCTIONS:
        if name == rules.network.activation:
            continue
        if len(hidden) > 1:
            words = f"every hidden layer has {name} for {rules.network.activation}"
            yield words, "a1", replace(rules, functions=(name,) * len(hidden))
        for layer in hidden:
            functions = list(rules.functions)
            functions[layer] = name
            words = f"hidden layer {layer + 1} has {name} for {rules.network.activation}"
            yield words, f"a{layer + 1}", replace(rules, functions=tuple(functions))


def _optimisers(rules: Rules, t: int) -> Iterator[tuple[str, str, Rules]]:
    training, tensor = rules.training, "W1"

    def other(**changes: object) -> Rules:
        return replace(rules, training=replace(training, **changes))  # type: ignore[arg-type]

    if training.momentum:
        if training.nesterov:
            yield "momentum without Nesterov's look ahead", tensor, other(nesterov=False)
        else:
            yield "Nesterov's look ahead, which was not asked for", tensor, other(nesterov=True)
        yield "no momentum", tensor, other(momentum=0.0, nesterov=False)
        single = float(np.float32(training.momentum))
        yield "the momentum is rounded to float32", tensor, other(momentum=single)
        damped = replace(rules, eta=rules.eta * (1 - training.momentum))
        yield "the gradient is damped by 1 - momentum", tensor, damped
    if training.optimizer == "adam":
        for epsilon in EPSILONS:
            if epsilon != training.epsilon:
                words = f"Adam's epsilon is {epsilon:g} in place of {training.epsilon:g}"
                yield words, tensor, other(epsilon=epsilon)
        inside = training.epsilon * math.sqrt(1 - training.beta_2**t)
        words = "Adam's epsilon is added to the corrected root, sqrt(v / (1 - beta_2^t)) + epsilon"
        yield words, tensor, other(epsilon=inside)
        yield "Adam's bias correction is left out", tensor, replace(rules, correct=False)
        betas = (float(np.float32(beta)) for beta in (training.beta_1, training.beta_2))
        first, second = betas
        yield "Adam's betas are rounded to float32", tensor, other(beta_1=first, beta_2=second)
        yield "Adam's beta_2 is 0.99", tensor, other(beta_2=0.99)
        yield "gradient descent in place of Adam", tensor, other(optimizer="sgd")
    yield "eta is rounded to float32", tensor, replace(rules, eta=float(np.float32(rules.eta)))
    yield "eta is twice as large", tensor, replace(rules, eta=2 * rules.eta)
    yield "eta is half as large", tensor, replace(rules, eta=rules.eta / 2)
    yield "weights go up the gradient", tensor, replace(rules, eta=-rules.eta)


def _tensors_kept(rules: Rules) -> Iterator[tuple[str, str, Rules]]:
    layers = range(1, rules.network.layers + 1)
    for layer in layers:
        both = frozenset({f"W{layer}", f"b{layer}"})
        yield f"layer {layer} is not updated", f"W{layer}", replace(rules, kept=both)
    for kind, words in (("b", "the biases are"), ("W", "the weight matrices are")):
        every = frozenset(f"{kind}{layer}" for layer in layers)
        yield f"{words} not updated", f"{kind}1", replace(rules, kept=every)
    for layer in layers:
        for name in (f"W{layer}", f"b{layer}"):
            yield f"{name} is not updated", name, replace(rules, kept=frozenset({name}))
    everything = frozenset(f"{kind}{layer}" for layer in layers for kind in "Wb")
    yield "nothing is updated", "W1", replace(rules, kept=everything)
