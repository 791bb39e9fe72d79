"""Whether a training starts where it should: a backend from the plan's weights, a recording as it says.

A backend's start is seen by training it with steps of next to no length. A recording may state its initial
weights, number by number, or how they were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from backends.base import Backend
from backends.network import Array, Cells
from backends.recording import INITIAL_LAWS, Recording
from harness.errors import InputError
from harness.mistakes.mistake import Mistake
from harness.mistakes.reference_step import State, Tensors
from harness.roundoff.trial import Trial

_TINY = 2.0**-60  # eta with which nothing moves
_OTHER = 0.01  # relative difference from which initial weights are other ones, not the same in fewer digits
_NOTHING = 1e-12  # what a step of next to no length makes of a bias of zero
_LEVEL = (
    1e-6  # chance that weights drawn as said are held to be drawn otherwise, in a whole network
)
_LIKE = 0.01  # chance from which on weights may as well be drawn by another law


def initial_weights(backend: Backend, trial: Trial) -> Tensors:
    """The weights that a training of one cell starts from, by name.

    Those of the plan where they are the same but for digits.
    """
    given = State.start(trial.plan.initial).weights
    at_rest = replace(trial.at(1), cells=Cells.of(_TINY, 0.0))
    seen = State.start(at_rest.train(backend)[0]).weights
    return {name: seen[name] if _differ(seen[name], given[name]) else given[name] for name in given}


def other_start(given: Tensors, seen: Tensors) -> Mistake | None:
    """The mistake that a training starts from other weights than the given ones; None if it does not."""
    other = [name for name in given if _differ(seen[name], given[name])]
    if not other:
        return None
    told = ", ".join(_words(name, given[name], seen[name]) for name in other)
    words = f"the initial weights are not those that were given: {told}".replace("{", "{{")
    return Mistake("initial weights", words, "initial weights", f"initial {other[0]}", {})


def _differ(seen: Array, given: Array) -> bool:
    scale = max(float(np.abs(given).max()), float(np.abs(seen).max()))
    return not np.abs(seen - given).max() <= max(_OTHER * scale, _NOTHING)


def _words(name: str, given: Array, seen: Array) -> str:
    if not seen.any():
        return f"{name} is zero"
    factor = float(np.median(seen / np.where(given == 0, np.nan, given))) if given.all() else np.nan
    if np.isfinite(factor) and np.allclose(seen, factor * given, rtol=1e-4):
        return f"{name} is {factor:.3g} times what it should be"
    if not given.any() and len(set(seen.ravel())) == 1:
        return f"{name} is {seen.ravel()[0]:.3g}, not zero"
    if not given.any():
        return f"{name} is drawn at random, up to {np.abs(seen).max():.3g}, not zero"
    return f"{name} is another one, of standard deviation {seen.std():.3g}, not {given.std():.3g}"


def start_as_said(recording: Recording) -> Mistake | None:
    """The mistake that a recording does not start as it says; None if it does, or says nothing.

    It states the weights, as members ``initial_W1``, ``initial_b1``, ..., or by ``initial`` of ``about`` the
    law that they were drawn by, which is tested at a level of one in a million.
    """
    seen: Tensors = {name: t.astype(np.float64) for name, t in recording.weights(0).items()}
    turned = recording.about.get("orientation") == "outputs_inputs"
    given: Tensors = {}
    for name, tensor in seen.items():
        member = recording.extra.get(f"initial_{name}")
        if member is not None:
            own = member.T if turned and member.ndim == 2 else member
            if own.shape != tensor.shape or own.dtype.kind not in "fiu":
                raise InputError(
                    f"{recording.path}: initial_{name}: found {member.dtype} of shape {member.shape}; "
                    f"allowed: numbers of the shape that {name} has"
                )
            given[name] = own.astype(np.float64)
    if given:
        return other_start(given, seen)
    said = recording.about.get("initial")
    if said is None:
        return None
    wrong = {}
    for name, tensor in seen.items():
        laws = _laws_of(said, name, seen, recording.about)
        if not _chance(tensor, laws) * len(seen) >= _LEVEL:
            wrong[name] = _otherwise(name, tensor, laws)
    if not wrong:
        return None
    alike = laws_like({name: seen[name] for name in wrong if name[0] == "W"}, recording.about)
    like = f"; they are spread as those of {' or '.join(alike)}" if alike else ""
    words = f"the initial weights are not drawn as said, {said}: {', '.join(wrong.values())}{like}"
    return Mistake("initial weights", words, "initial weights", f"initial {next(iter(wrong))}", {})


def laws_like(matrices: Mapping[str, Array], about: Mapping[str, Any]) -> list[str]:
    """The laws that matrices may have been drawn by, two at most; none where there is too little to tell."""
    if not matrices or sum(tensor.size for tensor in matrices.values()) < 50:
        return []
    spread = np.concatenate([tensor.ravel() for tensor in matrices.values()])
    own = (f"normal:{spread.std():.2g}", f"uniform:{np.abs(spread).max():.2g}")
    names = [*(name for name in INITIAL_LAWS if ":" not in name), *own]
    chances = {
        name: min(_chance(t, _laws_of(name, key, matrices, about)) for key, t in matrices.items())
        for name in names
    }
    likely = sorted((name for name in names if chances[name] > _LIKE), key=names.index)
    return likely[:2]


def _laws_of(said: str, name: str, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> Any:
    """The distributions that a tensor's numbers may have, or the number that all of them are."""
    kind, _, number = said.partition(":")
    inputs, outputs = tensors[f"W{name[1:]}"].shape
    if name[0] == "b":
        bias = about.get("initial_bias", "as_weights" if kind in ("torch", "sklearn") else 0.0)
        if bias != "as_weights":
            return float(bias)
    if kind == "torch":
        return [_uniform(1 / np.sqrt(inputs))]
    if kind == "sklearn":
        factor = 2 if about.get("activation") == "sigmoid" else 6
        return [_uniform(np.sqrt(factor / (inputs + outputs)))]
    if kind == "uniform":
        return [_uniform(float(number))]
    if kind == "normal":
        return [stats.norm(0, float(number))]
    if kind == "truncated_normal":
        return [stats.truncnorm(-2, 2, 0, float(number))]
    scheme, _, shape = kind.partition("_")
    sd = np.sqrt({"glorot": 2 / (inputs + outputs), "he": 2 / inputs, "lecun": 1 / inputs}[scheme])
    if shape == "uniform":
        return [_uniform(sd * np.sqrt(3))]
    # Keras cuts these at two standard deviations, and keeps the variance
    return [stats.norm(0, sd), stats.truncnorm(-2, 2, 0, sd / stats.truncnorm(-2, 2).std())]


def _uniform(limit: float) -> Any:
    return stats.uniform(-limit * (1 + 1e-6), 2 * limit * (1 + 1e-6))


def _chance(tensor: Array, laws: Any) -> float:
    """The chance of numbers as far from a law as these are: by their form, and by their size."""
    values = tensor.ravel()
    if isinstance(laws, float):
        return float(np.abs(values - laws).max() <= 1e-6 * max(abs(laws), 1e-6))
    return max(_chance_by(values, law) for law in laws)


def _chance_by(values: Array, law: Any) -> float:
    form = float(stats.kstest(values, law.cdf).pvalue)
    most = float(np.abs(values).max())
    if np.isfinite(law.support()[1]):  # the largest of them
        inside = most <= law.support()[1]
        size = float((law.cdf(most) - law.cdf(-most)) ** values.size) if inside else 0.0
    else:
        squares = float(np.square(values / law.std()).sum())
        size = 2 * min(stats.chi2.cdf(squares, values.size), stats.chi2.sf(squares, values.size))
    return min(1.0, 2 * min(form, size))


def _otherwise(name: str, tensor: Array, laws: Any) -> str:
    if isinstance(laws, float):
        return f"{name} is not {laws:g} but up to {np.abs(tensor).max():.3g}"
    return f"{name} has a standard deviation of {tensor.std():.3g}, not {laws[0].std():.3g}"
