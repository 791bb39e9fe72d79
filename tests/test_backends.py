"""The four backends train the same network; each translation of a convention is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backends.network import Cells, Network, Training, Weights
from backends.registry import BUILT_IN, Unavailable, find, known, start

TENSOR_TOLERANCE = 1e-4  # of the largest weight: float32 over 30 steps leaves 1e-6


def distance(one: Weights, two: Weights) -> float:
    """Largest difference of any tensor, relative to the tensor's largest entry."""
    pairs = zip(one.named().values(), two.named().values(), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


@pytest.fixture(params=[name for name in BUILT_IN if name != "numpy"])
def other(request):
    backend = find(request.param)
    assert not isinstance(backend, Unavailable)
    assert start(backend) is None
    return backend


def trained(backend, blobs, draw, training=None, network=None, cells=None, **plan):
    training = training or Training()
    network = network or Network.classifier(5, (4,), 3)
    x, y = blobs
    y = y % 2 if network.output == "logistic" else y
    cells = cells or Cells.of([0.5, 0.1], [0.01, 0.2])
    drawn = draw(network, dtype=training.dtype, **({"epochs": 10} | plan))
    return backend.train(x.astype(training.dtype), y, network, training, cells, drawn).weights


def test_final_weights_agree_with_numpy(other, blobs, draw):
    assert (
        distance(trained(find("numpy"), blobs, draw), trained(other, blobs, draw))
        < TENSOR_TOLERANCE
    )


@pytest.mark.parametrize("factor", [2.0, 0.5, 1 / 20])
def test_a_wrong_factor_of_lmbd_is_seen_in_the_weights(other, blobs, draw, factor):
    right = trained(find("numpy"), blobs, draw)
    wrong = trained(other, blobs, draw, Training(penalty_factor=factor))
    assert distance(right, wrong) > 100 * TENSOR_TOLERANCE


def test_a_kept_short_batch_is_penalised_as_strongly_as_a_full_one(other, blobs, draw):
    plan = {"rows": 50, "keep_last_batch": True}
    mine, theirs = (trained(b, blobs, draw, **plan) for b in (find("numpy"), other))
    assert distance(mine, theirs) < TENSOR_TOLERANCE


def test_a_penalty_per_sample_grows_on_a_short_batch(other, blobs, draw):
    plan = {"rows": 50, "keep_last_batch": True}
    training = Training(penalty_per_sample=True, penalty_factor=20)
    mine, theirs = (trained(b, blobs, draw, training, **plan) for b in (find("numpy"), other))
    assert distance(mine, theirs) < TENSOR_TOLERANCE
    assert distance(mine, trained(find("numpy"), blobs, draw, **plan)) > TENSOR_TOLERANCE


@pytest.mark.parametrize("classes", [2, 3])
def test_repeats_with_streams_of_their_own_stack_beside_each_other(other, blobs, draw, classes):
    cells = Cells.grid([0.5, 0.1], [0.01, 0.2], streams=2)
    network = Network.classifier(5, (4,), classes)
    mine, theirs = (
        trained(b, blobs, draw, network=network, cells=cells, seeds=(1, 2))
        for b in (find("numpy"), other)
    )
    assert len(theirs) == 8
    assert distance(mine, theirs) < TENSOR_TOLERANCE


def test_cells_in_any_order_of_streams_are_trained_right(other, blobs, draw):
    cells = Cells.of([0.5, 0.5, 0.1], [0.01] * 3, [1, 0, 1])
    mine, theirs = (
        trained(b, blobs, draw, cells=cells, seeds=(1, 2)) for b in (find("numpy"), other)
    )
    assert distance(mine, theirs) < TENSOR_TOLERANCE


@pytest.mark.parametrize(
    "training",
    [Training(cost="sum"), Training(penalised="hidden"), Training(penalty_factor=2.0)],
    ids=["sum", "hidden", "factor"],
)
def test_other_objectives_are_trained_alike_or_refused(other, blobs, draw, training):
    network = Network.classifier(5, (4,), 3)
    cells = Cells.of([0.01], [0.1])
    if reason := other.unsupported(network, training):
        assert "MLPClassifier" in reason
        return
    mine, theirs = (trained(b, blobs, draw, training, cells=cells) for b in (find("numpy"), other))
    assert distance(mine, theirs) < TENSOR_TOLERANCE
    plain = trained(
        other, blobs, draw, replace(training, cost="mean", penalised="all", penalty_factor=1)
    )
    assert distance(mine, plain[0]) > TENSOR_TOLERANCE


def test_predictions_come_from_the_librarys_own_forward_pass(other, blobs, draw):
    network = Network.classifier(5, (4,), 3)
    weights = trained(other, blobs, draw, network=network)
    x = blobs[0].astype(np.float32)
    mine, theirs = (b.predict_proba(x, network, weights) for b in (find("numpy"), other))
    assert theirs.shape == (2, 60, 3)
    np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert type(other).predict_proba is not type(find("numpy")).predict_proba


def test_sklearn_says_why_it_cannot_do_elu():
    network = Network.classifier(5, (4,), 3, "elu")
    reason = find("sklearn").unsupported(network, Training())
    assert reason == "sklearn has no activation 'elu' (it has identity, sigmoid, tanh, relu)"


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        find("nunpy")


def test_a_backend_whose_library_is_missing_says_how_to_install_it(monkeypatch, tmp_path):
    (tmp_path / "lonely.py").write_text(
        "from backends.base import Backend\n"
        "class Lonely(Backend):\n    name = 'lonely'\n    library = 'no-such-library'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = find("lonely:Lonely")
    assert isinstance(found, Unavailable)
    assert found.reason == (
        "no-such-library is not installed; install it with: python -m pip install no-such-library"
    )


def test_a_library_that_fails_to_import_makes_its_backend_unavailable(monkeypatch, tmp_path):
    (tmp_path / "broken_library.py").write_text("raise ImportError('a shared object is missing')\n")
    (tmp_path / "lame.py").write_text(
        "from backends.base import Backend\n"
        "class Lame(Backend):\n    name = 'lame'\n    modules = ('broken_library',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    backend = find("lame:Lame")
    assert not isinstance(backend, Unavailable)
    assert "a shared object is missing" in start(backend).reason


def test_every_built_in_backend_states_its_conventions():
    for name in known():
        backend = find(name)
        assert "penalty" in [c.quantity for c in backend.conventions], name
