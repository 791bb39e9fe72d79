"""Back-propagation as written out equals the derivative of the objective."""

from __future__ import annotations

import numpy as np
import pytest

from backends.formulas import (
    forward,
    logits,
    penalty,
    predict,
    sample_cost,
    sigmoid,
    softmax,
    targets,
)
from backends.network import ACTIVATIONS, Network, Training, Weights
from backends.numpy_backend import gradients
from backends.plan import draw_weights

DEPTHS = {1: (4,), 2: (4, 3), 3: (4, 3, 4)}
OUTPUTS = {
    "softmax": lambda hidden, f: Network.classifier(5, hidden, 3, f),
    "logistic": lambda hidden, f: Network.classifier(5, hidden, 2, f),
    "identity": lambda hidden, f: Network.regressor(5, hidden, f),
}
LMBD = 0.3


def case(output: str, depth: int, activation: str):
    network = OUTPUTS[output](DEPTHS[depth], activation)
    rng = np.random.default_rng(11)
    x = rng.normal(size=(7, 5))
    y = rng.normal(size=7) if output == "identity" else rng.integers(0, network.classes, 7)
    # biases away from zero, so that relu and its kin are not differentiated at their kink
    weights = Weights.stack([draw_weights(network, rng, bias=0.1)])
    return network, x, y, weights


def objective(network, x, y, weights, training) -> float:
    cost = sample_cost(logits(x, network, weights), y, network)[0]
    total = cost.sum() * training.cost_scale(len(y))
    return float(total + penalty(weights, np.array([LMBD]), training, len(y))[0])


def analytic(network, x, y, weights, training):
    W, b = list(weights.W), [b[:, None] for b in weights.b]
    p = [training.penalty(LMBD, len(y), layer, network.layers) for layer in range(network.layers)]
    a = forward(x[None], network, W, b)
    return gradients(a, targets(y, network, "float64"), network, W, p, training.cost_scale(len(y)))


def numeric(network, x, y, weights, training, h=1e-6):
    """Central differences; error of order h^2 = 1e-12 plus round-off 1e-16 / h = 1e-10."""
    found = []
    for tensor in (*weights.W, *weights.b):
        g = np.zeros_like(tensor)
        for index in np.ndindex(*tensor.shape):
            kept = tensor[index]
            tensor[index] = kept + h
            above = objective(network, x, y, weights, training)
            tensor[index] = kept - h
            below = objective(network, x, y, weights, training)
            tensor[index] = kept
            g[index] = (above - below) / (2 * h)
        found.append(g)
    return found


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_analytic_gradient_equals_finite_differences(output, depth, activation):
    network, x, y, weights = case(output, depth, activation)
    for mine, theirs in zip(
        analytic(network, x, y, weights, Training()),
        numeric(network, x, y, weights, Training()),
        strict=True,
    ):
        np.testing.assert_allclose(mine.reshape(theirs.shape), theirs, atol=1e-8)


@pytest.mark.parametrize(
    "training",
    [
        Training(cost="sum"),
        Training(penalty_factor=2.0),
        Training(penalty_per_sample=True),
        Training(penalised="hidden"),
    ],
    ids=["sum", "factor", "per_sample", "hidden"],
)
def test_gradient_of_every_other_objective_equals_finite_differences(training):
    network, x, y, weights = case("softmax", 2, "tanh")
    for mine, theirs in zip(
        analytic(network, x, y, weights, training),
        numeric(network, x, y, weights, training),
        strict=True,
    ):
        np.testing.assert_allclose(mine.reshape(theirs.shape), theirs, atol=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_analytic_gradient_equals_tensorflows_tape(activation):
    from backends.frameworks import load

    tf = load("tensorflow")
    from backends.tensorflow_backend import _forward, _stack_cost

    network, x, y, weights = case("softmax", 3, activation)
    W = [tf.Variable(W.swapaxes(1, 2)[None]) for W in weights.W]
    b = [tf.Variable(b[None, ..., None]) for b in weights.b]
    with tf.GradientTape() as tape:
        z = _forward(tf, tf.constant(x)[None], network, W, b)
        cost = tf.reduce_mean(_stack_cost(tf, z, tf.constant(y)[None], network))
        total = cost + tf.add_n([LMBD * tf.nn.l2_loss(w) for w in W])
    mine = analytic(network, x, y, weights, Training())
    for ours, theirs in zip(mine, tape.gradient(total, W + b), strict=True):
        # both in float64: a few roundings of numbers of order 1
        theirs = theirs.numpy().swapaxes(-1, -2).reshape(ours.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_sigmoid_and_softmax_do_not_overflow():
    z = np.array([[-1e4, 0.0, 1e4]], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(z).tolist() == [[0.0, 0.5, 1.0]]
        assert softmax(z).tolist() == [[0.0, 0.0, 1.0]]


def test_softmax_of_a_stack_sums_to_one():
    p = softmax(np.random.default_rng(0).normal(size=(3, 4, 5)) * 10)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)


def test_two_classes_have_two_probabilities_from_one_output():
    network, x, _, weights = case("logistic", 1, "tanh")
    p = predict(x, network, weights)
    assert p.shape == (1, 7, 2)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(p[0, :, 1], sigmoid(logits(x, network, weights))[0, :, 0])


def test_cross_entropy_of_confident_wrong_logits_is_finite():
    network = Network.classifier(5, (4,), 3)
    z = np.array([[[1000.0, 0.0, -1000.0]]])
    assert sample_cost(z, np.array([2]), network).tolist() == [[2000.0]]
