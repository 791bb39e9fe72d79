"""The estimators are citizens of scikit-learn, whatever backend trains them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from backends import MLPBackendClassifier, MLPBackendRegressor
from backends.registry import BUILT_IN

X, Y = load_iris(return_X_y=True)


def checks(estimator):
    """scikit-learn's own checks of an estimator, none of them expected to fail."""
    return [
        pytest.param(model, check, id=f"{model.backend}-{check.func.__name__}")
        for model, check in estimator_checks_generator(estimator, mark=None)
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
        ({"optimizer": "sdg"}, "no optimizer 'sdg'"),
    ],
)
def test_a_wrong_parameter_is_named_when_fitting(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPBackendClassifier(**parameters).fit(X, Y)
