"""Scores of a stack of cells are those of scikit-learn, cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from harness.training.scores import score_names, scores

CELLS, SAMPLES = 4, 200


@pytest.fixture(params=[2, 3, 6])
def labels(request):
    """Of so many classes, the larger ones more often: true ones and those that some cells predict."""
    rng = np.random.default_rng(request.param)
    shares = np.arange(1, request.param + 1) / np.arange(1, request.param + 1).sum()
    y = rng.choice(request.param, SAMPLES, p=shares)
    predicted = np.where(
        rng.random((CELLS, SAMPLES)) < 0.6, y, rng.permuted(np.tile(y, (CELLS, 1)), axis=1)
    )
    predicted[0] = request.param - 1  # a cell that names the largest class alone
    return y, predicted


def _alike(names, y, predicted, rank=None):
    ours = scores(names, predicted, y, rank)
    library = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "macro_f1": lambda t, p: metrics.f1_score(t, p, average="macro", zero_division=0),
    }
    for name in names:
        expected = [library[name](y, own) for own in predicted]
        assert ours[name] == pytest.approx(expected, rel=1e-14), name


def test_class_scores_are_scikit_learns(labels):
    _alike(("accuracy", "balanced_accuracy", "macro_f1"), *labels)


@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
def test_a_class_that_does_not_occur_counts_only_where_it_is_predicted(labels):
    y, predicted = labels
    kept = y != 0
    _alike(("balanced_accuracy", "macro_f1"), y[kept], predicted[:, kept])
    predicted = np.maximum(predicted, 1)
    _alike(("balanced_accuracy", "macro_f1"), y[kept], predicted[:, kept])


def test_the_area_under_the_roc_curve_is_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    y = (rng.random(SAMPLES) < 0.2).astype(int)
    rank = (rng.random((CELLS, SAMPLES)) + 0.3 * y).round(1)
    expected = [metrics.roc_auc_score(y, own) for own in rank]
    ours = scores(("roc_auc",), (rank > 0.5).astype(int), y, rank)["roc_auc"]
    assert ours == pytest.approx(expected, rel=1e-14)
    assert np.isnan(
        scores(("roc_auc",), np.ones((1, 3), int), np.ones(3, int), rank[:1, :3])["roc_auc"]
    )


def test_which_scores_there_are_follows_from_the_classes():
    from harness.experiment.experiment import Experiment

    assert score_names(Experiment(), 3) == ("accuracy", "balanced_accuracy", "macro_f1")
    assert score_names(Experiment(), 2) == ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
    assert score_names(Experiment(task="regression", dataset="diabetes"), 0) == ("r2", "rmse")
