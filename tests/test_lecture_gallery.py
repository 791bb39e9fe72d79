"""The gallery: what the notes show, computed; each exhibit is a function that gives its data."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import InputError
from harness.lecture.activations import FORMULAS, activation_curve
from harness.lecture.backpropagation import (
    OUTPUT_OF_COST,
    check_equations,
    gradients_by_backend,
    gradients_by_equations,
    layer_errors,
    small_network,
)
from harness.lecture.dying_relu import dead_units
from harness.lecture.full_batch_descent import (
    FULL_BATCH_VARIANTS,
    full_batch_descents,
    saturated_share,
)
from harness.lecture.gallery import EXHIBITS, gallery
from harness.lecture.mismatch import measure_mismatch, shifted_right
from harness.lecture.notebook import first_digits, notebook
from harness.lecture.reproduction import printed_numbers
from harness.lecture.universal_approximation import approximation
from harness.lecture.untrained_network import untrained_pass
from harness.lecture.vanishing_gradients import norms_by_depth


@pytest.fixture(scope="module")
def notes():
    return notebook()


@pytest.mark.parametrize("name", list(FORMULAS))
def test_derivatives_are_the_functions_slopes(name):
    z = np.linspace(-3, 3, 1001)
    curve = activation_curve(name, z)
    measured = np.gradient(curve.f, z, edge_order=2)
    smooth = np.abs(z) > 0.02  # step, ReLU and their kin have a kink or jump at 0
    # second differences over steps of 0.006 of functions whose third derivative is at most 2
    assert np.abs(curve.slope - measured)[smooth].max() < 2e-5


def test_the_five_digits_are_those_of_the_notes(notes):
    found = first_digits(notes)
    assert [digit.label for digit in found] == [8, 7, 7, 3, 3]
    assert found[0].image.shape == (8, 8)


def test_the_untrained_network_prints_the_notes_probabilities(notes):
    found, printed = untrained_pass(notes), printed_numbers()
    assert found.probabilities[0] == pytest.approx(printed.first_probabilities, rel=1e-8)
    assert found.probabilities[0].argmax() == printed.first_prediction
    assert found.label[0] == printed.first_label
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(len(found.label)), abs=1e-14)
    assert found.accuracy == printed.old_training_accuracy


def test_full_batch_descent_fails_as_written_and_works_at_a_smaller_eta(notes):
    """60 steps show it: summed over 1437 images, eta 0.01 guesses and eta 0.001 learns."""
    written, smaller = full_batch_descents(notes, FULL_BATCH_VARIANTS[:2], steps=60)
    assert written.accuracy[0] == printed_numbers().old_training_accuracy
    assert written.accuracy[-1] < 0.2
    assert smaller.accuracy[-1] > 0.8


def test_dividing_the_pixels_leaves_fewer_units_saturated(notes):
    assert saturated_share(notes) > 0.9
    assert saturated_share(notes, pixels=16) < 0.4


def test_more_units_come_nearer_to_a_sine():
    errors = [approximation("sine", width, steps=600).rmse for width in (1, 4, 16)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("cost", list(OUTPUT_OF_COST))
def test_the_four_equations_agree_with_finite_differences(cost):
    checks = check_equations(small_network(cost))
    assert {check.equation for check in checks} == {1, 2, 3, 4}
    # central differences: 1e-10 of truncation, 1e-11 of round-off over the smallest gradients
    assert max(check.error for check in checks) < 1e-7


def test_a_wrong_equation_is_found_out():
    """With the cross-entropy's delta^L = a - t in place of the squared error's."""
    right = small_network("squared error")
    wrong = replace(right, cost="cross-entropy")
    check = check_equations(right)[0]
    assert replace(check, formula=layer_errors(wrong)[-1]).error > 0.1


def test_the_numpy_backend_has_the_gradients_of_the_equations():
    net = small_network("cross-entropy", seed=5)
    ours, backend = gradients_by_equations(net), gradients_by_backend(net)
    for mine, theirs in zip([*ours[0], *ours[1]], [*backend[0], *backend[1]], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-13)


def test_depth_vanishes_under_the_sigmoid_and_not_under_tanh():
    found = norms_by_depth(depths=(1, 8), draws=2, samples=50)
    first = {(n.activation, n.weights, n.depth): n.first for n in found}
    glorot = "glorot_uniform"
    assert first["sigmoid", glorot, 8] < 1e-3 * first["sigmoid", glorot, 1]
    assert first["tanh", glorot, 8] > 0.05 * first["tanh", glorot, 1]
    assert first["relu", "normal", 8] > 1e3 * first["relu", "normal", 1]


def test_relu_units_die_where_eta_is_large():
    found = dead_units(etas=(0.2, 5.0), epochs=3, draws=2)
    assert found.dead[:, 0].max() < 0.2
    assert found.dead[:, 1].min() > 0.9
    assert found.accuracy[:, 0].min() > 0.5


def test_a_shift_moves_pixels_one_column_to_the_right():
    image = np.arange(64.0)[None]
    moved = shifted_right(image).reshape(8, 8)
    assert (moved[:, 0] == 0).all()
    assert np.array_equal(moved[:, 1:], image.reshape(8, 8)[:, :-1])


def test_two_dev_sets_tell_mismatch_from_variance():
    found = measure_mismatch(epochs=20)
    assert abs(found.variance) < 0.1
    assert found.mismatch > 0.3
    assert abs(found.test_dev - found.test) < 0.15


def test_the_gallery_is_pictures_and_one_page_that_needs_nothing_else(tmp_path):
    told: list[str] = []
    names = ["activations", "digits", "backpropagation"]
    page = gallery(str(tmp_path), names, begin=told.append)
    assert told == names
    text = (tmp_path / "lecture.html").read_text("utf-8")
    assert page.endswith("lecture.html")
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', text)
    for name in names:
        picture = (tmp_path / "figures" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")


def test_an_unknown_exhibit_is_named_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'digits'"):
        gallery("unused", ["digit"])


def test_every_exhibit_of_the_notes_is_there():
    assert list(EXHIBITS) == [
        "activations",
        "digits",
        "untrained",
        "full_batch",
        "universal",
        "backpropagation",
        "vanishing",
        "dying",
        "mismatch",
        "limits",
    ]
