"""A backend of a run on the grid: every number where its cell is."""

from __future__ import annotations

import numpy as np
import pytest

from harness.api import run
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.results.backend_grid import NO_LABEL, BackendGrid, common_grid, same_samples


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a variation of a small experiment on folds of unequal size."""
    folder = str(tmp_path_factory.mktemp("runs"))

    def train(name, **settings):
        given = {"dataset": "wine", "scale": "standard", "backends": ["numpy"], "epochs": 2}
        given |= {"eta": [0.1, 0.01, 1000.0], "lmbd": [0.0, 0.1], "folds": 5, "repeats": 3}
        how = Execution(executor="serial", output=folder, name=name)
        return run(experiment_from(given | settings), how)

    return train


@pytest.fixture(scope="module")
def wine(trained):
    return trained("wine")


def test_every_record_stands_at_its_cell(wine):
    grid = BackendGrid.of(wine, "numpy")
    assert grid.eta.tolist() == [0.01, 0.1, 1000.0]
    assert grid.cells[:3] == [(0.01, 0.0), (0.01, 0.1), (0.1, 0.0)]
    for record in wine.records.itertuples():
        i, j = grid.eta.tolist().index(record.eta), grid.lmbd.tolist().index(record.lmbd)
        assert grid.statuses[i, j, record.repeat] == record.status
        score = grid.values("test_accuracy")[i, j, record.repeat]
        assert score == pytest.approx(record.test_accuracy, nan_ok=True)
        assert grid.scores[grid.cells.index((record.eta, record.lmbd)), record.repeat] == (
            pytest.approx(score, nan_ok=True)
        )


def test_labels_of_a_smaller_fold_end_in_none(wine):
    grid = BackendGrid.of(wine, "numpy")
    sizes = [len(wine.target(repeat)) for repeat in range(3)]
    assert grid.labels.shape == (6, 3, max(sizes))
    for cell, (eta, lmbd) in enumerate(grid.cells):
        for repeat in range(3):
            labels = grid.labels[cell, repeat]
            predicted = wine.predicted("numpy", eta, lmbd, repeat)
            assert labels[: len(predicted)].tolist() == predicted.tolist()
            assert set(labels[len(predicted) :]) <= {NO_LABEL}
    assert (grid.targets != NO_LABEL).sum(axis=1).tolist() == sizes


def test_the_chosen_cell_is_the_results_own(wine):
    grid = BackendGrid.of(wine, "numpy")
    best = wine.best().iloc[0]
    row, column = grid.chosen
    assert (grid.eta[row], grid.lmbd[column]) == (best["eta"], best["lmbd"])


def test_what_two_runs_have_in_common_is_the_same_numbers(wine, trained):
    other = trained("other", eta=[0.1, 0.5], lmbd=[0.1], repeats=2)
    left, right = common_grid(BackendGrid.of(wine, "numpy"), BackendGrid.of(other, "numpy"))
    assert left.cells == right.cells == [(0.1, 0.1)]
    assert left.repeats == right.repeats == 2
    np.testing.assert_array_equal(left.scores, right.scores)
    np.testing.assert_array_equal(left.labels, right.labels)
    assert same_samples(left, right)


def test_other_splits_are_other_samples(wine, trained):
    seeded = trained("seeded", seed=1, eta=[0.1], lmbd=[0.1])
    assert not same_samples(BackendGrid.of(wine, "numpy"), BackendGrid.of(seeded, "numpy"))
