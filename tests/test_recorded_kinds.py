"""Mistakes planted in recordings get their name and no other; right trainings are never accused.

A part of both; all of it with ``HARNESS_RECORDINGS=300``: every kind in two experiments, and so many right
trainings.
"""

from __future__ import annotations

import os

import pytest
from recorded_kinds import ALL, judged, names_of, planted, right_names, right_training
from tournament import matches

from backends.numpy_backend import NumPyBackend

MANY = int(os.environ.get("HARNESS_RECORDINGS", "0"))
# a recording has its initial weights in it, as they were; and a form of Adam that is no mistake
NOT_HERE = {"Glorot's biases", "weights of half the size", "epsilon beside the corrected root"}
# searched for long, because no single mistake explains them
LONG = {
    "dropout",
    "gradient noise behind Adam",
    "Keras: twice, hidden only",
    "summed and no penalty",
}
LONG |= {"epsilon and penalty twice", "Nesterov lost, biases penalised"}
EVERY = [
    match
    for match in matches(2 if MANY else 1, ALL)
    if match.kind.name not in (NOT_HERE if MANY else NOT_HERE | LONG)
]
PART = 20  # kinds that the suite plants, spread over all of them
PLANTED = EVERY if MANY else [EVERY[k * len(EVERY) // PART] for k in range(PART)]
# planted whenever the suite runs, wherever they come among all
ALWAYS = {
    "zero_grad once an epoch",
    "zero_grad every third step",
    "update every third step",
    "tanh's derivative of z",
    "delta times the slope of each output",
    "labels shifted at times",
    "L2 twice beside L1",
    "softmax over rows",
    "velocity of the step before",
    "momentum of the penalty alone",
}
PLANTED += [m for m in EVERY if m.kind.name in ALWAYS and m not in PLANTED]


def test_at_least_forty_five_kinds_are_planted():
    assert len({m.kind.name for m in EVERY}) >= 45


@pytest.mark.parametrize("match", PLANTED, ids=str)
def test_a_planted_mistake_is_named_and_nothing_else_is(match, tmp_path):
    parity = planted(match, tmp_path)
    names, right = names_of(parity), right_names(match.kind)
    assert parity.step, "the mistake was not caught"
    assert bool(names) == bool(right), f"named: {names}"
    if match.kind.name in LONG:  # several at once, which others may do as well
        assert set(names) & set(right) or not right, f"named: {names}"
    else:
        assert set(names) <= set(right), f"named: {names}"


@pytest.mark.parametrize("seed", range(MANY or 8))
def test_a_right_training_is_not_accused(seed, tmp_path):
    one = right_training(seed)
    parity = judged(NumPyBackend(), one.settings, one.dtype, tmp_path, one.steps, one.every)
    assert parity.exit_code in (0, 3), f"{one}: {parity.outcome}"
    assert not parity.step
