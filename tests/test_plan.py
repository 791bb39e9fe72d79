"""The plan is drawn once, from the seed alone, and handed to every backend."""

from __future__ import annotations

import numpy as np
import pytest

from backends.network import Network, Training
from backends.padding import cost_weights, penalty_factors, rectangle
from backends.plan import Plan, draw_weights

NETWORK = Network.classifier(5, (4,), 3)


def test_the_same_seed_gives_the_same_plan(draw):
    one, two = draw(NETWORK), draw(NETWORK)
    assert np.array_equal(one.order, two.order)
    assert all(np.array_equal(a, b) for a, b in zip(one.initial.W, two.initial.W, strict=True))


def test_a_stream_depends_on_its_own_seed_alone(draw):
    both, alone = draw(NETWORK, seeds=(7, 8)), draw(NETWORK, seeds=(8,))
    assert np.array_equal(both.order[1], alone.order[0])
    assert np.array_equal(both.initial.W[0][1], alone.initial.W[0][0])


def test_an_epoch_is_a_permutation_with_the_short_last_batch_dropped(draw):
    plan = draw(NETWORK, rows=50, batch_size=20, epochs=2)
    assert plan.steps == 4
    first = plan.order[0, :40]
    assert len(set(first)) == 40
    assert not np.array_equal(first, plan.order[0, 40:])


def test_a_kept_last_batch_is_the_rest_of_the_epoch(draw):
    plan = draw(NETWORK, rows=50, batch_size=20, epochs=2, keep_last_batch=True)
    assert [len(rows) for rows in plan.batches()] == [20, 20, 10] * 2
    assert sorted(plan.order[0, :50]) == list(range(50))


def test_independent_minibatches_repeat_samples_within_an_epoch_but_not_within_a_batch(draw):
    plan = draw(NETWORK, rows=50, batch_size=20, epochs=1, minibatches="independent")
    assert all(len(set(rows)) == 20 for rows in plan.batches())
    assert len(set(plan.order[0])) < 40


def test_a_batch_larger_than_the_data_is_the_data(draw):
    plan = draw(NETWORK, rows=10, batch_size=100, epochs=2)
    assert (plan.steps, plan.batch_size) == (2, 10)


def test_initial_weights_are_the_same_numbers_in_both_precisions(draw):
    single, double = draw(NETWORK, dtype="float32"), draw(NETWORK, dtype="float64")
    assert single.initial.W[0].dtype == np.float32
    assert np.array_equal(single.initial.W[0].astype(np.float64), double.initial.W[0])


def test_glorot_weights_fill_their_interval_and_biases_are_constant():
    network = Network.classifier(200, (100,), 3)
    W, b = draw_weights(network, np.random.default_rng(0), bias=0.25)
    limit = np.sqrt(6 / 300)
    # 20,000 uniform draws leave a gap of more than 1 % at either end with probability 1e-87
    assert 0.99 * limit < W[0].max() <= limit
    assert -limit <= W[0].min() < -0.99 * limit
    assert (b[0] == 0.25).all()


def test_truncated_normal_weights_stay_within_two_standard_deviations():
    network = Network.classifier(200, (100,), 3)
    W, _ = draw_weights(network, np.random.default_rng(0), "truncated_normal", scale=0.1)
    assert 0.19 < np.abs(W[0]).max() <= 0.2


def test_the_first_steps_of_a_plan_are_a_plan(draw):
    plan = draw(NETWORK, rows=50, keep_last_batch=True)
    assert [r.tolist() for r in plan.first(4).batches()] == [
        r.tolist() for r in list(plan.batches())[:4]
    ]
    assert plan.first(4).checkpoints == (4,)


def test_checkpoints_cut_the_plan_into_segments(draw):
    plan = draw(NETWORK).at([5, 1, 3])
    assert plan.checkpoints == (1, 3, 5)
    assert list(plan.segments()) == [(0, 1), (1, 3), (3, 5)]


def test_more_steps_than_the_plan_has_are_refused(draw):
    with pytest.raises(ValueError, match="9 steps, not 10"):
        draw(NETWORK).first(10)


def test_permuting_rows_changes_their_order_inside_each_batch_only(draw):
    plan = draw(NETWORK)
    other = plan.rows_permuted(1)
    assert not np.array_equal(plan.order, other.order)
    for mine, theirs in zip(plan.batches(), other.batches(), strict=True):
        assert sorted(mine) == sorted(theirs)


def test_a_plan_of_several_streams_must_be_narrowed_before_it_is_walked(draw):
    plan = draw(NETWORK, seeds=(1, 2))
    with pytest.raises(ValueError, match="2 streams"):
        plan.start()
    assert isinstance(plan.select([1]), Plan)
    assert np.array_equal(plan.select([1]).start()[0][0], plan.initial.W[0][1])


def test_a_plan_with_short_minibatches_is_filled_up_to_a_rectangle(draw):
    plan = draw(NETWORK, rows=50, keep_last_batch=True, epochs=2, seeds=(1, 2))
    order, real = rectangle(plan)
    assert order.shape == (2, 6, 20)
    assert real.sum(axis=1).tolist() == [20, 20, 10] * 2
    assert np.array_equal(order[:, real], plan.order)
    weights = cost_weights(plan, Training())
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert not weights[~real].any()


def test_a_penalty_per_sample_follows_the_size_of_each_minibatch(draw):
    plan = draw(NETWORK, rows=50, keep_last_batch=True, epochs=1)
    factors = penalty_factors(plan, Training(penalty_per_sample=True, penalty_factor=2.0))
    assert factors.tolist() == [2 / 20, 2 / 20, 2 / 10]
