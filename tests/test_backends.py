"""The four backends train the same network; each translation of a convention is right."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from backends.early_stopping import TrainingPath
from backends.network import Cells, Network, Training, Weights
from backends.plan import Plan
from backends.registry import BUILT_IN, UnusableBackend, find, known, usable
from harness.roundoff.patience import Patience

TENSOR_TOLERANCE = 1e-4  # of the largest weight: float32 over 30 steps leaves 1e-6


def distance(one: Weights, two: Weights) -> float:
    """Largest difference of any tensor, relative to the tensor's largest entry."""
    pairs = zip(one.named().values(), two.named().values(), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


@pytest.fixture(params=[name for name in BUILT_IN if name != "numpy"])
def other(request):
    return usable(request.param)


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
    with pytest.raises(KeyError, match="did you mean 'numpy'"):
        find("nunpy")


def test_a_backend_whose_library_is_missing_says_how_to_install_it(monkeypatch, tmp_path):
    (tmp_path / "lonely.py").write_text(
        "from backends.base import Backend\n"
        "class Lonely(Backend):\n    name = 'lonely'\n    library = 'no-such-library'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnusableBackend) as caught:
        find("lonely:Lonely")
    assert caught.value.reason == (
        "no-such-library is not installed; install it with: python -m pip install no-such-library"
    )


def test_what_a_library_itself_needs_is_what_is_to_be_installed(monkeypatch, tmp_path):
    (tmp_path / "engineless.py").write_text("import no_such_engine.sub\n")
    (tmp_path / "engined.py").write_text(
        "from backends.base import Backend\n"
        "class Engined(Backend):\n    name = 'engined'\n    modules = ('engineless',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("engined:Engined", "engineless:Engined"):
        with pytest.raises(UnusableBackend, match=r"python -m pip install no_such_engine$"):
            usable(name)
    with pytest.raises(KeyError, match="'no_such_plugin:Mine' is not known") as caught:
        usable("no_such_plugin:Mine")
    assert "pip install" not in str(caught.value)


def test_a_library_that_fails_to_import_makes_its_backend_unavailable(monkeypatch, tmp_path):
    (tmp_path / "broken_library.py").write_text("raise ImportError('a shared object is missing')\n")
    (tmp_path / "lame.py").write_text(
        "from backends.base import Backend\n"
        "class Lame(Backend):\n    name = 'lame'\n    modules = ('broken_library',)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find("lame:Lame").name == "lame"
    with pytest.raises(UnusableBackend, match="a shared object is missing"):
        usable("lame:Lame")


def test_an_unusable_backend_travels_between_processes_with_its_reason():
    error = pickle.loads(pickle.dumps(UnusableBackend("mine", "not installed")))  # noqa: S301
    assert (error.name, error.reason, str(error)) == (
        "mine",
        "not installed",
        "mine: not installed",
    )


@pytest.mark.parametrize("name", known())
def test_every_built_in_backend_states_its_conventions(name):
    try:
        backend = find(name)
    except UnusableBackend as reason:
        pytest.skip(str(reason))
    assert "penalty" in [c.quantity for c in backend.conventions]


def here(name):
    """What a backend says of itself, as one text."""
    return " ".join(convention.here for convention in find(name).conventions)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_keras_conventions_name_the_parts_of_its_model(optimizer):
    usable("keras")
    from backends.keras_stack import ExactAdam, Stack, keras_defaults

    with keras_defaults("float32"):
        model = Stack(Network.classifier(5, (4,), 3), Training(optimizer=optimizer), 1, 1).model
    layer = model.layers[0]
    part = ExactAdam if optimizer == "adam" else type(model.optimizer)
    assert isinstance(model.optimizer, part)
    for ours in (layer, layer.kernel_regularizer, model.loss):
        assert type(ours).__name__ in here("keras")
    assert part.__name__ in here("keras")


def test_sklearn_conventions_are_its_estimators_parameters(blobs, draw):
    usable("sklearn")
    from backends.sklearn_backend import _estimator

    network = Network.classifier(5, (4,), 3)
    plan = draw(network)
    given = _estimator(network, Training(optimizer="adam"), 0.5, 0.25, plan, 0).get_params()
    assert given["alpha"] == 0.25 * plan.batch_size
    assert given["epsilon"] == 1e-8
    assert not given["shuffle"]
    for words in ("alpha = lmbd * B", "epsilon = 1e-8", "shuffle=False"):
        assert words in here("sklearn")


@pytest.mark.parametrize("name", ["tensorflow", "keras"])
def test_the_slope_that_is_told_is_the_slope_that_runs(name):
    network = Network.classifier(1, (1,), 3, "leaky_relu")
    first, last = np.ones((1, 1, 1)), np.array([[[1.0, 0.0, 0.0]]])
    weights = Weights((first, last), (np.zeros((1, 1)), np.zeros((1, 3))))
    p = usable(name).predict_proba(np.array([[-1.0]]), network, weights)[0, 0]
    slope = -np.log(p[0] / p[1])
    (told,) = (c.here for c in find(name).conventions if c.quantity == "leaky_relu slope")
    # eight digits: 0.01 itself is 2e-10 away, and the logarithm costs six of sixteen
    assert float(told.split(";")[0]) == pytest.approx(slope, abs=1e-11)


def stops_of_the_rule(losses, training):
    """After how many epochs each cell stops by the backends' rule, whatever the losses: (epochs, cells)."""
    epochs, cells = losses.shape
    network = Network(1, (), 1, output="identity")
    start = Weights((np.zeros((1, 1, 1)),), (np.zeros((1, 1)),))
    plan = Plan(
        start,
        np.zeros((1, epochs), int),
        np.arange(epochs + 1),
        (epochs,),
        steps_per_epoch=1,
        validation=np.array([0]),
    )
    path = TrainingPath(np.zeros((1, 1)), np.zeros(1), network, training, plan)
    for epoch, _ in path.segments():
        # a prediction b of a target 0 costs b^2 / 2
        b = np.sqrt(2 * losses[epoch])[:, None]
        path.add(Weights((np.zeros((cells, 1, 1)),), (b,)))
    fit = path.fit()
    return np.array(fit.steps), fit.weights.b[0][:, 0] ** 2 / 2


@pytest.mark.parametrize(("patience", "tol"), [(1, 0.0), (2, 0.05), (4, 0.0)])
def test_the_rule_is_that_of_keras_early_stopping(patience, tol):
    usable("keras")
    import keras

    rng = np.random.default_rng(patience)
    losses = rng.uniform(0.1, 1, (15, 40)) ** 2
    losses[1:][rng.random((14, 40)) < 0.02] = np.nan  # Keras never gets over one at the start
    expected = []
    for cell in losses.T:
        callback = keras.callbacks.EarlyStopping(
            monitor="val_loss", min_delta=tol, patience=patience, mode="min"
        )
        callback.set_model(type("Model", (), {"stop_training": False})())
        callback.on_train_begin()
        for epoch, loss in enumerate(cell):
            callback.on_epoch_end(epoch, {"val_loss": loss})
            if callback.model.stop_training:
                break
        expected.append(epoch + 1)
    training = Training(patience=patience, tol=tol, dtype="float64")
    steps, kept = stops_of_the_rule(losses, training)
    assert len(set(expected)) > 3
    assert steps.tolist() == expected
    last = losses[np.array(expected) - 1, np.arange(40)]
    np.testing.assert_allclose(kept, last, rtol=1e-12)  # the last weights are kept
    rule = Patience(training, Plan(None, np.zeros((1, 1)), np.arange(16), (15,), 1), 40)
    for epoch, now in enumerate(losses, start=1):
        rule.look(epoch, lambda now=now: now)
    assert rule.stops.tolist() == expected
