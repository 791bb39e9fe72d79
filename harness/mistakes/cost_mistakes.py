"""Mistakes of the cost: its scale, its form, the targets, the weights of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from backends.formulas import softmax
from backends.network import Array
from harness.mistakes.mistake import Change, Mistake, by, times_p
from harness.mistakes.reference_step import StepRules

_CLIPS = (1e-7, 1e-15, 1e-16, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3)


def cost_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Those of the cost's scale and form, and of the targets."""
    outputs, full, group = rules.network.outputs, rules.batch_size, "cost"
    where, summed = "cross-entropy", f"dW{rules.network.layers}"
    yield Mistake(
        "summed cost",
        f"the cost is summed over the rows of the minibatch ({full}), not averaged",
        group,
        summed,
        {"cost": lambda scale, here, p: scale * len(here.batch.x)},
    )
    yield Mistake(
        "cost averaged twice",
        f"the cost is divided by the rows of the minibatch ({full}) twice",
        group,
        summed,
        {"cost": lambda scale, here, p: scale / len(here.batch.x)},
    )
    if rules.samples % max(full, 1):
        yield Mistake(
            "short minibatch divided by the full one's rows",
            f"a short minibatch's cost is divided by {full}, not by its own rows",
            group,
            summed,
            {"cost": lambda scale, here, p: scale * len(here.batch.x) / full},
        )
    yield Mistake(
        "cost divided by samples",
        f"the cost is summed over the rows and divided by the {rules.samples} training samples",
        group,
        summed,
        {"cost": lambda scale, here, p: scale * len(here.batch.x) / rules.samples},
    )
    twice = "the cost is twice too large"
    if not rules.network.classes:
        twice += ": it is the squared error, not half of it"
    yield Mistake("cost factor", twice, group, where, {"cost": times_p}, 2.0)
    yield Mistake(
        "cost factor",
        "the cost is half as large as it should be",
        group,
        where,
        {"cost": times_p},
        0.5,
    )
    if outputs > 2:
        words = f"the cost is averaged over the {outputs} outputs as well"
        yield Mistake("cost over outputs", words, group, where, {"cost": times_p}, 1 / outputs)
    words = "the cost is {p} times as large as it should be"
    yield Mistake(
        "cost factor", words, group, where, {"cost": times_p}, starts=(1.5, 10.0, 0.1, -1.0)
    )
    if not rules.network.classes:
        words = (
            "the targets are broadcast, (n,) against outputs of (n, 1), so that each output is held against "
            "all of the minibatch's targets"
        )
        spread = {"targets": by(lambda t: np.broadcast_to(t.mean(axis=0), t.shape))}
        yield Mistake("targets broadcast", words, "targets", "targets", spread)
        yield Mistake(
            "absolute error",
            "the cost is the absolute error, not half its square",
            "loss",
            where,
            {"cross-entropy": by(np.sign)},
        )
        yield Mistake(
            "Huber's loss",
            "the error is cut at {p} (Huber's loss)",
            "loss",
            where,
            {"cross-entropy": lambda delta, here, p: np.clip(delta, -abs(p), abs(p))},
            starts=(1.0, 0.3),
        )
        return
    for clip in _CLIPS:
        words = "probabilities are clipped at {p} before the logarithm, which then has no slope"
        yield Mistake(
            "clipped probabilities", words, "loss", where, {"cross-entropy": _clipped}, clip
        )
    yield Mistake(
        "label smoothing",
        "the labels are smoothed: {p} of each is spread over all classes",
        "targets",
        "targets",
        {"targets": _smoothed},
        starts=(0.1, 0.05),
    )
    yield Mistake(
        "squared error",
        "the cost is half the squared error of the probabilities, not the cross-entropy",
        "loss",
        where,
        {"cross-entropy": lambda delta, here, p: p * _times_output_slope(delta, here)},
    )
    yield Mistake(
        "squared error",
        "the cost is the squared error of the probabilities ({p} times half of it), not the cross-entropy",
        "loss",
        where,
        {"cross-entropy": lambda delta, here, p: p * _times_output_slope(delta, here)},
        starts=(2.0, 0.2),
    )
    if rules.network.output == "softmax":
        words = (
            "delta of the output layer is {p} (a - t) a (1 - a), the squared error of logistic outputs; with "
            "softmax and the cross-entropy it is a - t"
        )
        own_slope = {"cross-entropy": _times_own_slope}
        for p in (1.0, 2.0):
            yield Mistake("slope of each output", words, "loss", where, own_slope, p)
    yield Mistake(
        "softmax twice",
        "probabilities are taken for logits and go through the output function twice",
        "loss",
        where,
        {"cross-entropy": _twice},
    )
    if rules.network.output == "softmax":
        words = "each class has a logistic output of its own and its own cross-entropy"
        own = {"output": lambda output, here, p: expit(here.found[f"z{rules.network.layers}"])}
        yield Mistake("logistic outputs", words, "loss", "output", own)
    yield from _logits_as_probabilities(rules)
    if rules.network.output == "softmax":
        words = (
            "z of the output layer is taken for the logarithms of probabilities: log_softmax is missing "
            "before the loss, as where PyTorch's NLLLoss is given z"
        )
        bare_log = {"cross-entropy": lambda delta, here, p: -here.found["targets"]}
        yield Mistake("z taken for log-probabilities", words, "loss", "output", bare_log)
    words = f"there is no {rules.network.output}: z of the output layer is taken for the output"
    bare = {"output": lambda output, here, p: here.found[f"z{rules.network.layers}"]}
    yield Mistake("output function missing", words, "loss", "output", bare)
    if rules.network.output == "softmax":
        words = "the softmax is taken over the rows of the minibatch (axis 0), not over the outputs"
        yield Mistake("softmax over rows", words, "loss", "output", {"output": _over_rows})


def _over_rows(output: Array, here: Any, p: float) -> Array:
    z = here.found[f"z{here.layer}"]
    return softmax(z.T).T


def _logits_as_probabilities(rules: StepRules) -> Iterator[Mistake]:
    """The cross-entropy of z itself, as Keras has it where ``from_logits`` was left out."""
    words = (
        "z of the output layer is taken for probabilities: the output function is missing, as where Keras's "
        "loss is not told from_logits=True"
    )
    least = 1e-7  # that Keras clips at

    def by_sum_of_clipped(delta: Array, here: Any, p: float) -> Array:
        z = here.found[f"z{rules.network.layers}"]
        q = np.clip(z, least, 1 - least)
        inside = (z > least) & (z < 1 - least)
        return inside * (q / q.sum(axis=1, keepdims=True) - here.found["targets"]) / q

    def by_sum(delta: Array, here: Any, p: float) -> Array:
        z, t = here.found[f"z{rules.network.layers}"], here.found["targets"]
        whole = z.sum(axis=1, keepdims=True)
        u = z / whole
        inside = (u > least) & (u < 1 - least)
        by_u = -(inside * t) / np.where(inside, u, 1.0)
        return (by_u - (by_u * u).sum(axis=1, keepdims=True)) / whole

    def of_each(delta: Array, here: Any, p: float) -> Array:
        z = here.found[f"z{rules.network.layers}"]
        q = np.clip(z, least, 1 - least)
        return ((z > least) & (z < 1 - least)) * (q - here.found["targets"]) / (q * (1 - q))

    forms = (of_each,) if rules.network.output == "logistic" else (by_sum_of_clipped, by_sum)
    for form in forms:
        changes: dict[str, Change] = {"cross-entropy": form}
        yield Mistake("logits taken for probabilities", words, "loss", "output", changes)


def _clipped(delta: Array, here: Any, p: float) -> Array:
    output, t = here.found["output"], here.batch.t
    of_class = (output * t).sum(axis=1, keepdims=True)
    if here.rules.network.output == "logistic":
        of_class = np.where(t > 0, output, 1 - output)
    return delta * ((of_class > p) & (of_class < 1 - p))


def _smoothed(t: Array, here: Any, p: float) -> Array:
    return t * (1 - p) + p / max(here.rules.network.classes, 2)


def _times_output_slope(delta: Array, here: Any) -> Array:
    output: Array = here.found["output"]
    if here.rules.network.output == "logistic":
        return delta * output * (1 - output)
    return output * (delta - (delta * output).sum(axis=1, keepdims=True))


def _times_own_slope(delta: Array, here: Any, p: float) -> Array:
    output: Array = here.found["output"]
    return p * delta * output * (1 - output)


def _twice(delta: Array, here: Any, p: float) -> Array:
    again = expit if here.rules.network.output == "logistic" else softmax
    return _times_output_slope(again(here.found["output"]) - here.found["targets"], here)


def class_weight_mistakes(rules: StepRules) -> Iterator[Mistake]:
    """Samples that count otherwise by their class."""
    if not rules.network.classes:
        return
    counts = np.array(rules.per_class, dtype=float)
    where, group = "cross-entropy", "class weights"
    if (counts > 0).all() and len(set(rules.per_class)) > 1:
        balanced = rules.samples / (len(counts) * counts)
        words = "samples are weighted by class, samples / (classes * samples of the class)"
        yield Mistake("class weights", words, group, where, {"cross-entropy": weighted(balanced)})
        yield Mistake(
            "class weights",
            f"{words}, and the sum is divided by the weights",
            group,
            where,
            {"cross-entropy": weighted(balanced, divided=True)},
        )
    for number in range(len(counts)):

        def change(delta: Array, here: Any, p: float, number: int = number) -> Array:
            return delta * np.where(here.batch.y == number, p, 1.0)[:, None]

        yield Mistake(
            "class weights",
            f"samples of class {number} count {{p}} times",
            group,
            where,
            {"cross-entropy": change},
            starts=(2.0, 0.5),
        )


def weighted(weights: NDArray[np.float64], divided: bool = False) -> Change:
    """Errors of samples weighted by class, ``divided`` by the mean of the minibatch's weights."""

    def change(delta: Array, here: Any, p: float) -> Array:
        own = weights[here.batch.y.astype(int)][:, None]
        return delta * own / (own.mean() if divided else 1.0)

    return change
