"""Whether a backend starts from the plan's weights, seen by training it with steps of next to no length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backends.base import Backend
from backends.network import Array, Cells
from harness.parity.mistake import Mistake
from harness.parity.reference_step import State, Tensors
from harness.roundoff.trial import Trial

_TINY = 2.0**-60  # eta with which nothing moves
_OTHER = 0.01  # relative difference from which initial weights are other ones, not the same in fewer digits
_NOTHING = 1e-12  # what a step of next to no length makes of a bias of zero


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
