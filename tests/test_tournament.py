"""Planted mistakes are caught, named or left unnamed, never misnamed, and placed in the right tensor.

A part of the tournament; all of it, so many matches of every kind, with ``HARNESS_TOURNAMENT=2``.
"""

from __future__ import annotations

import os

import pytest
from tournament import KINDS, Match, Played, matches, play, table

EACH = int(os.environ.get("HARNESS_TOURNAMENT", "0"))
# of every sort: penalty, cost, data, both passes, optimiser, eta, what is kept, start, digits, two at once
PART = (
    "penalty twice",
    "penalised biases",
    "L1",
    "decoupled decay",
    "summed",
    "label smoothing",
    "stale minibatch",
    "gelu",
    "derivative at a",
    "bias gradient doubled",
    "clip by norm",
    "layers in turn",
    "momentum reset",
    "Keras epsilon",
    "moments start at g",
    "rho 0.9",
    "v from 0.1",
    "no schedule",
    "L1 twice",
    "eta tenth",
    "warm-up",
    "moving average",
    "Glorot's biases",
    "single lmbd",
    "Keras: twice, hidden only",
)


def chosen() -> list[Match]:
    return [match for match in matches(EACH or 1) if EACH or match.kind.name in PART]


@pytest.fixture(scope="module")
def played() -> list[Played]:
    return [play(match) for match in chosen()]


def named(played: list[Played], name: str) -> list[str]:
    return [f"{p.match}: {p.words}" for p in played if p.name == name]


def test_the_part_that_is_played_exists():
    assert set(PART) <= {kind.name for kind in KINDS}


@pytest.mark.slow
def test_every_planted_mistake_is_caught(played):
    assert not [str(p.match) for p in played if not p.caught], table(played)


def test_no_mistake_is_given_a_wrong_name(played):
    assert not named(played, "wrong"), table(played)


def test_nine_in_ten_of_the_mistakes_that_have_a_name_are_given_it(played):
    right, unnamed = named(played, "right"), named(played, "none")
    assert len(right) >= 9 * len(unnamed), table(played)


def test_the_first_tensor_is_the_right_one(played):
    wrong = [f"{p.match}: {p.first}" for p in played if p.caught and not p.place]
    assert len(wrong) <= 0.02 * len(played), "\n".join([*wrong, table(played)])
