"""Repeats draw anew and leave the others as they were, whatever varies between them."""

import numpy as np
import pandas as pd
import pytest

from harness.api import run
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from

IRIS = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ["numpy", "sklearn"],
    "eta": [0.1, 1.0],
    "lmbd": [1e-3],
    "epochs": 2,
    "batch_size": 16,
}
WAYS = [{}, {"vary": "split"}, {"folds": 3}]


@pytest.fixture
def trained(tmp_path):
    """Trains a variation of a small experiment."""

    def train(name, **settings):
        how = Execution(executor="serial", output=str(tmp_path), name=name)
        return run(experiment_from(IRIS | settings), how)

    return train


@pytest.mark.parametrize("way", WAYS, ids=["initialisation", "split", "folds"])
def test_more_repeats_only_add_rows(trained, way):
    few, many = trained("few", repeats=2, **way), trained("many", repeats=5, **way)
    kept = many.records[many.records["repeat"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        few.records.drop(columns="seconds"), kept.drop(columns="seconds"), check_exact=True
    )


@pytest.mark.parametrize("way", WAYS, ids=["initialisation", "split", "folds"])
def test_every_repeat_starts_and_ends_somewhere_else(trained, way):
    result = trained("run", repeats=4, **way)
    for _, cell in result.records.groupby(["backend", "eta", "lmbd"]):
        assert cell["test_loss"].nunique() == 4


@pytest.mark.parametrize("way", WAYS, ids=["initialisation", "split", "folds"])
def test_a_split_has_every_row_once_and_every_class_in_its_share(way):
    experiment = experiment_from(IRIS | way)
    dataset = load_dataset(experiment)
    for repeat in range(4):
        parts = dict(split_rows(dataset, experiment, repeat).items())
        everything = np.concatenate(list(parts.values()))
        assert sorted(everything) == list(range(len(dataset.y)))
        for rows in parts.values():
            counts = np.bincount(dataset.y[rows], minlength=3)
            assert np.ptp(counts) <= 1  # iris has as many of each class


def test_the_split_is_fixed_unless_it_is_to_vary():
    dataset = load_dataset(experiment_from(IRIS))
    fixed, varied = experiment_from(IRIS), experiment_from(IRIS | {"vary": "split"})
    assert len({split_rows(dataset, fixed, repeat).sha256 for repeat in range(5)}) == 1
    assert len({split_rows(dataset, varied, repeat).sha256 for repeat in range(5)}) == 5


def test_folds_test_every_row_once_in_each_round():
    experiment = experiment_from(IRIS | {"folds": 5})
    dataset = load_dataset(experiment)
    rounds = [
        [split_rows(dataset, experiment, repeat).test for repeat in range(first, first + 5)]
        for first in (0, 5)
    ]
    for tested in rounds:
        assert sorted(np.concatenate(tested)) == list(range(len(dataset.y)))
    assert not np.array_equal(rounds[0][0], rounds[1][0])  # another cut in the second round
