"""Reference methods: trained on the networks' rows, scored on the networks' parts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from harness.api import run
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.reference_section import reference_section
from harness.training.reference_methods import reference_models, reference_scores


def test_a_reference_is_the_method_itself_on_the_experiments_split():
    experiment = experiment_from({"dataset": "iris"})
    dataset = load_dataset(experiment)
    (row,) = reference_scores(experiment, dataset, ["random forest"]).itertuples()
    split = split_rows(dataset, experiment)
    x = dataset.x.astype(np.float32)
    forest = RandomForestClassifier(random_state=0).fit(x[split.train], dataset.y[split.train])
    assert row.test_accuracy == forest.score(x[split.test], dataset.y[split.test])
    assert row.validation_accuracy == forest.score(x[split.validation], dataset.y[split.validation])


def test_each_split_has_its_own_references():
    experiment = experiment_from({"dataset": "iris", "vary": "split", "repeats": 3})
    found = reference_scores(experiment, load_dataset(experiment), ["k nearest neighbours"])
    assert found["repeat"].tolist() == [0, 1, 2]


def test_repeats_on_one_split_share_theirs():
    experiment = experiment_from({"dataset": "iris", "repeats": 3})
    found = reference_scores(experiment, load_dataset(experiment), ["k nearest neighbours"])
    assert found["repeat"].tolist() == [0]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_four_kinds_of_methods_stand_beside_the_networks(task):
    names = list(reference_models(task, 0))
    assert len(names) == 4
    assert {"random forest", "gradient boosting", "k nearest neighbours"} < set(names)


def test_the_section_shows_networks_and_references(tmp_path):
    given = {
        "task": "regression",
        "dataset": "diabetes",
        "scale": "standard",
        "backends": ["numpy"],
        "epochs": 10,
        "eta": [0.1],
        "lmbd": [1e-3],
    }
    experiment = experiment_from(given)
    result = run(experiment, Execution(executor="serial", output=str(tmp_path)))
    found = reference_section(result, load_dataset(experiment))
    frame = found.tables[0].frame
    assert frame["method"].tolist() == [
        "numpy (network, chosen cell)",
        "linear regression",
        "random forest",
        "gradient boosting",
        "k nearest neighbours",
    ]
    assert "test R²" in frame.columns
    figure = found.pictures[0].draw()
    assert len(figure.axes[0].get_lines()) == 5
