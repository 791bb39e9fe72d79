"""What an author says of a model that is held, beside what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.recording import ABOUT, Recorder, checked_about
from backends.settings import RANGES, check_setting
from harness.errors import InputError, unknown
from harness.recordings.rules import USUAL

_CANONICAL_PENALTY = {"penalised_biases": False, "penalty_per_sample": False, "decoupled": False}
_CONSTANTS = {  # of one optimiser, which say nothing of another
    "sgd": ("momentum", "nesterov", "dampening"),
    "adam": ("beta_1", "beta_2", "epsilon", "amsgrad"),
}


def checked_beliefs(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an author says, if it may be said."""
    told = {key: value for key, value in said.items() if value is not None}
    for key in told:
        if key not in ABOUT or key == "of_model":
            raise unknown("what is said", key, [name for name in ABOUT if name != "of_model"])
    told = checked_about(told)
    for key, value in told.items():
        if key in RANGES:
            for number in value if isinstance(value, list) else [value]:
                try:
                    check_setting(key, number)
                except ValueError as error:
                    raise InputError(str(error)) from None
    return told


def tell_settings(recorder: Recorder, settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Put what a model says of itself into its recording, and what its author says over it.

    Who says lmbd says the whole penalty: lmbd / 2 ||W||^2 of every matrix, in the cost.
    """
    read = {key: value for key, value in settings.items() if value is not None}
    if "lmbd" in said:
        said = _CANONICAL_PENALTY | dict(said)
    kind = str(read.get("optimizer", ""))
    believed = str(said.get("optimizer", kind))
    for other, constants in _CONSTANTS.items():
        for key in constants:
            if believed and key in said and believed != other:
                raise InputError(f"{key}: found beside optimizer {believed}; allowed: with {other}")
    others = ("optimizer", *_CONSTANTS.get(kind, ())) if believed != kind else ()
    of_model = {key: read.pop(key) for key in others if key in read}
    if kind:  # of a loss of JAX with optax next to nothing is read
        usual = {**USUAL, **_CANONICAL_PENALTY, "label_smoothing": 0.0} | read
        of_model |= {k: usual[k] for k in said if k in usual and not _same(said[k], usual[k])}
    recorder.about |= read | dict(said) | ({"of_model": of_model} if of_model else {})


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are the same; one number is the same as a list of it."""
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    a, b = np.atleast_1d(one), np.atleast_1d(other)
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return {*a.tolist()} == {*b.tolist()}
    return (len(a) == len(b) or 1 in (len(a), len(b))) and bool(np.allclose(a, b, 1e-9, 0.0))
