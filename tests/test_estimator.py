"""The estimators are citizens of scikit-learn, whatever backend trains them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from backends import MLPBackendClassifier, MLPBackendRegressor
from backends.registry import BUILT_IN
from harness.experiment.experiment import experiment_from

X, Y = load_iris(return_X_y=True)


# of scikit-learn's checks, those in which it matters which library trains; the others ask the one class
OF_THE_LIBRARY = (
    "check_classifiers_classes",
    "check_classifiers_one_label",
    "check_classifiers_train",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_methods_subset_invariance",
)


def checks(estimator):
    """scikit-learn's own checks of an estimator, none of them expected to fail."""
    every = estimator.backend in ("numpy", "sklearn")
    return [
        pytest.param(model, check, id=f"{model.backend}-{check.func.__name__}")
        for model, check in estimator_checks_generator(estimator, mark=None)
        if every or check.func.__name__ in OF_THE_LIBRARY
        if check.func.__name__ != "check_array_api_input"  # skips itself: arrays other than NumPy's
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *(pair for name in BUILT_IN for pair in checks(MLPBackendClassifier(backend=name))),
        *(pair for name in ("numpy", "sklearn") for pair in checks(MLPBackendRegressor(name))),
    ],
)
@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose
def test_scikit_learns_check_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("backend", BUILT_IN)
def test_no_tag_hides_a_weakness(backend):
    tags = MLPBackendClassifier(backend=backend).__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.classifier_tags.poor_score
    assert not tags.no_validation


@pytest.mark.parametrize("backend", [name for name in BUILT_IN if name != "numpy"])
def test_every_backend_fits_the_same_network(backend):
    mine, theirs = (
        MLPBackendClassifier(backend=name, epochs=5, random_state=3).fit(X, Y)
        for name in ("numpy", backend)
    )
    for a, b in zip(mine.coefs_, theirs.coefs_, strict=True):
        # float64, 25 steps of Adam
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_labels_may_be_text_and_come_back_so():
    labels = np.array(["setosa", "versicolor", "virginica"])[Y]
    model = MLPBackendClassifier(random_state=0).fit(X, labels)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, labels) > 0.9


def test_a_fitted_model_pickles_and_predicts_the_same():
    model = MLPBackendClassifier(backend="keras", epochs=2, random_state=0).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 -- our own bytes
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_clone_has_the_parameters_and_no_fit():
    model = MLPBackendClassifier(hidden=(7, 5), eta=0.2).fit(X, Y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(copy)


def test_it_works_in_a_pipeline_and_a_grid_search():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MLPBackendClassifier(epochs=10, random_state=0)),
        {
            "mlpbackendclassifier__eta": [0.001, 0.05],
            "mlpbackendclassifier__backend": ["numpy", "sklearn"],
        },
        cv=3,
    ).fit(X, Y)
    assert search.best_params_["mlpbackendclassifier__eta"] == 0.05
    assert search.best_score_ > 0.9


def test_the_loss_curve_is_the_objective_after_each_epoch():
    model = MLPBackendClassifier(epochs=20, random_state=0).fit(X, Y)
    assert len(model.loss_curve_) == len(model.loss_epochs_)
    assert model.loss_epochs_[-1] == model.n_iter_ == 20
    p = model.predict_proba(X)[np.arange(len(Y)), Y]
    squares = sum(np.square(W).sum() for W in model.coefs_)
    assert model.loss_ == pytest.approx(-np.log(p).mean() + model.lmbd / 2 * squares)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_names_of_features_are_kept():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = MLPBackendClassifier(epochs=1).fit(frame, Y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert model.n_features_in_ == 4


@pytest.mark.parametrize("backend", BUILT_IN)
def test_a_regressor_learns_a_real_target(backend):
    x, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    model = MLPBackendRegressor(backend=backend, epochs=20, random_state=0).fit(x, y)
    # a straight line reaches an R^2 of 0.52 on all of it
    assert 0.45 < model.score(x, y) < 0.9


def test_a_training_that_diverges_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"diverged.*smaller eta"):
        MLPBackendClassifier(optimizer="sgd", eta=1e3, lmbd=1e3).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": "nunpy"}, "'nunpy' is not known"),
        ({"backend": "sklearn", "activation": "elu"}, "no activation 'elu'"),
        ({"activation": "swish"}, "activation: 'swish' is not known"),
        ({"optimizer": "sdg"}, "optimizer: 'sdg' is not known; did you mean 'sgd'"),
        ({"momentum": 0.9}, "momentum: found 0.9 with optimizer adam; allowed: only with sgd"),
        ({"keep_last_batch": 1}, "keep_last_batch: found 1; allowed: true or false"),
        ({"backend": None}, "backend: found None; allowed: a name"),
        ({"hidden": 10**12}, "hidden: the .* weights of .* take at least"),
        ({"epochs": 10**12}, "epochs: the minibatches of .* take at least"),
        ({"eta": 0}, "eta: found 0; allowed: a finite number above 0"),
        ({"eta": -0.1}, "eta: found -0.1; allowed: a finite number above 0"),
        ({"eta": "0.1"}, "eta: found '0.1'; allowed: a finite number above 0"),
        ({"eta": np.nan}, "eta: found nan"),
        ({"lmbd": -1}, "lmbd: found -1; allowed: a finite number, 0 or above"),
        ({"momentum": 1.5}, "momentum: found 1.5; allowed: a finite number from 0 to below 1"),
        ({"nesterov": True}, "nesterov: needs a momentum above 0, found momentum 0"),
        ({"hidden": 0}, "hidden: found 0; allowed: a whole number, 1 or above"),
        ({"hidden": (5, 2.5)}, "hidden: found 2.5"),
        (
            {"activation": ("relu", "tanh")},
            r"activation: found 2 \(relu, tanh\) for 1 hidden layer;",
        ),
        ({"hidden": "50"}, "hidden: found '50'"),
        ({"epochs": 0}, "epochs: found 0; allowed: a whole number, 1 or above"),
        ({"epochs": True}, "epochs: found True"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"dtype": "float16"}, "dtype: 'float16' is not known; did you mean 'float"),
    ],
)
def test_a_wrong_parameter_is_named_when_fitting(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPBackendClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize("backend", ["numpy", "sklearn"])
@pytest.mark.parametrize("eta", [0.1, 1e5])
def test_what_the_process_raises_on_changes_no_fit(backend, eta):
    def fitted():
        model = MLPBackendClassifier(backend, eta=eta, activation="sigmoid", epochs=5)
        return model.set_params(random_state=0).fit(X, Y)

    usual = fitted()
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        strict = fitted()
        assert np.array_equal(strict.predict_proba(X), usual.predict_proba(X))
    assert strict.loss_curve_ == usual.loss_curve_


def test_names_of_other_programs_are_told_what_they_are_here():
    with pytest.raises(TypeError, match="'learning_rate' is not known; did you mean 'eta'"):
        MLPBackendClassifier(learning_rate=0.1)
    with pytest.raises(ValueError, match="'max_iter' is not known; did you mean 'epochs'"):
        MLPBackendClassifier().set_params(max_iter=3)


def test_no_hidden_layer_is_logistic_regression():
    x = StandardScaler().fit_transform(X)
    model = MLPBackendClassifier(
        hidden=(), eta=0.5, lmbd=0.1, epochs=200, batch_size=150, optimizer="sgd"
    ).fit(x, Y)
    exact = LogisticRegression(C=1 / (0.1 * len(X)), tol=1e-8).fit(x, Y)  # its own optimiser
    assert [W.shape for W in model.coefs_] == [(4, 3)]
    assert np.abs(model.predict_proba(x) - exact.predict_proba(x)).max() < 1e-3


def test_hidden_may_be_a_number_as_in_an_experiment():
    one, other = (MLPBackendClassifier(hidden=h, epochs=1, random_state=0) for h in (7, (7,)))
    assert np.array_equal(one.fit(X, Y).coefs_[0], other.fit(X, Y).coefs_[0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("eta", v) for v in (-0.1, 0, np.inf, "zero")),
        *(("lmbd", v) for v in (-1, np.nan)),
        *(("momentum", v) for v in (-0.5, 1, 1.5)),
        *(("hidden", v) for v in (0, (4, -1))),
        *(("epochs", v) for v in (0, -3, 2.5)),
        *(("batch_size", v) for v in (0, 1.5)),
        ("dtype", "float16"),
        *(("l1", v) for v in (-1, np.inf)),
        ("schedule", "cosine"),
        ("decay", 0.5),
        ("nesterov", True),
        ("activation", "swish"),
        ("optimizer", "adamax"),
    ],
)
def test_what_an_experiment_refuses_the_estimator_refuses_too(setting, value):
    with pytest.raises(ValueError, match=setting):
        experiment_from({setting: value})
    with pytest.raises(ValueError, match=setting):
        MLPBackendClassifier(**{setting: value}).fit(X, Y)
