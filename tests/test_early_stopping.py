"""Training stops early by the validation part: by one rule, in every backend and in the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backends import MLPBackendClassifier
from backends.early_stopping import TrainingPath
from backends.network import Training
from backends.plan import Plan
from backends.registry import find
from backends.testing.problem import SAMPLES, network_of, problem
from harness import Execution, run
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.experiment.experiment import experiment_from, experiment_kept
from harness.parity.parity import parity
from harness.parity.verdict import ParityOutcome
from harness.roundoff.reference import reference_path, reference_stops
from harness.roundoff.trial import trial
from harness.training.run_unit import unit_weights
from harness.training.units import Unit

SMALL = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ["numpy", "sklearn"],
    "hidden": [6],
    "batch_size": 20,
    "epochs": 30,
    "eta": [0.01, 1.0, 3.0],
    "lmbd": [0.0, 0.01],
    "patience": 2,
    "tol": 1e-4,
}
SERIAL = Execution(executor="serial")


@pytest.mark.parametrize("kind", ["several", "two", "regression"])
def test_the_reference_stops_where_backends_do_and_has_their_weights(kind):
    data = {"several": "iris", "two": "breast_cancer", "regression": "diabetes"}[kind]
    task = {"task": "regression", "eta": [0.01, 0.3]} if kind == "regression" else {}
    experiment = experiment_from({**SMALL, "dataset": data, **task})
    whole = trial(experiment, load_dataset(experiment), "numpy", "float64")
    stops = reference_stops(whole)
    assert len(set(stops.tolist())) > 1
    assert (stops < whole.plan.steps).any()
    truth = reference_path(whole)
    for name in experiment.backends:
        fit = whole.fit(find(name))
        assert list(fit.steps) == stops.tolist()
        for own, true in zip(fit.path, truth, strict=True):
            for mine, theirs in zip(own.named().values(), true.named().values(), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)


def test_what_a_cell_ends_with_is_its_training_cut_short():
    experiment = experiment_from(SMALL | {"backends": ["numpy"]})
    dataset = load_dataset(experiment)
    result = run(experiment, SERIAL)
    records = result.records
    assert records["epochs"].tolist() == sorted(records["epochs"], reverse=True)  # iris, this seed
    stopped = records[records["epochs"] < 30]
    assert 0 < len(stopped) < len(records)
    row = stopped.iloc[0]
    whole = experiment.changed(patience=None, tol=0.0)
    cut = whole.changed(epochs=int(row["epochs"])).cell(row["eta"], row["lmbd"])
    _, weights, _ = unit_weights(Unit("numpy", (0,), 0, 1), cut, dataset)
    _, kept, _ = unit_weights(Unit("numpy", (0,), 0, 6), experiment, dataset)
    number = experiment.cells.index((row["eta"], row["lmbd"]))
    np.testing.assert_allclose(weights.W[0][0], kept.W[0][number], rtol=1e-5, atol=1e-6)


def test_only_where_patience_is_asked_for_is_there_a_column_epochs(tmp_path):
    where = Execution(executor="serial", output=str(tmp_path))
    few = SMALL | {"eta": [3.0], "lmbd": [0.01], "epochs": 12}
    without = run(experiment_from(few | {"patience": None, "tol": 0.0}), where)
    assert "epochs" not in without.records
    own = {"sklearn": {"patience": 1}}
    one = run(experiment_from(few | {"patience": None, "tol": 0.0, "overrides": own}), where)
    epochs = one.records.set_index("backend")["epochs"]
    assert epochs["numpy"] == 12
    assert epochs["sklearn"] < 12
    assert pd.read_csv(f"{one.address}/records.csv")["epochs"].tolist() == epochs.tolist()


def test_the_validation_part_is_never_trained_on_and_decides():
    experiment = experiment_from(SMALL)
    dataset = load_dataset(experiment)
    whole = trial(experiment, dataset, "numpy", "float64")
    split = split_rows(dataset, experiment)
    assert set(whole.plan.validation) == set(split.validation)
    assert not set(whole.plan.validation) & set(whole.plan.order.ravel())


def test_scikit_learns_rule_is_left_to_scikit_learn():
    asked = Training(patience=3, monitor="training")
    assert find("sklearn").unsupported(network_of(), asked) is None
    assert "monitor is 'training'" in find("numpy").unsupported(network_of(), asked)
    before = {"preset": "fair", "backends": ["sklearn"], "patience": 3}
    assert experiment_kept(before).monitor == "training"
    assert experiment_kept(before | {"monitor": "validation"}).monitor == "validation"
    assert experiment_kept({"preset": "fair", "backends": ["sklearn"]}).monitor == "validation"
    lecture = experiment_from({"preset": "lecture"})
    assert lecture.training("sklearn").monitor == "training"
    assert lecture.training("numpy") == lecture.training("numpy").__class__(
        dtype="float64", cost="sum"
    )


def test_a_plan_without_a_validation_part_is_refused():
    task = problem(network_of(), Training(patience=2))
    with pytest.raises(ValueError, match="a validation part"):
        task.train(find("numpy"), task.plan())
    plan = Plan.draw(task.network, np.arange(SAMPLES), [1], epochs=1, batch_size=10)
    whole = Plan(plan.initial, plan.order, plan.bounds, plan.checkpoints, None, np.arange(3))
    with pytest.raises(ValueError, match="counts epochs"):
        task.train(find("numpy"), whole)


def test_a_stack_is_trained_no_further_than_its_last_cell():
    """Every backend trains its stack from one of these stretches to the next."""
    task = problem(network_of(), Training(patience=2))
    plan = Plan.draw(task.network, np.arange(SAMPLES - 9), [1], epochs=99, batch_size=10)
    plan = replace(plan, validation=np.array([SAMPLES - 2, SAMPLES - 1]))
    path, trained = TrainingPath(task.x, task.y, task.network, task.training, plan), 0
    for _, last in path.segments():
        trained = last
        path.add(plan.initial)  # which gets no better
    assert trained == 3 * plan.steps_per_epoch
    assert path.fit().steps == (trained,)


def test_parity_says_who_stops_at_another_epoch():
    suspects = [f"faults:{name}" for name in ("AnEpochMore", "SaysAnEpochMore", "HalfThePenalty")]
    asked = SMALL | {"eta": [0.3, 1.0], "backends": ["numpy", *suspects]}
    found = parity(experiment_from(asked), dtypes=("float64",))
    right, late, liar, other = found.verdicts
    (said,) = found.notes
    assert "1 of 4 cells early, after 27 of 30 epochs" in said
    assert right.agrees
    assert late.outcome == ParityOutcome.UNEXPLAINED
    assert "stopped at epoch 30, the reference at epoch 27" in late.reason
    assert liar.outcome == ParityOutcome.UNEXPLAINED
    assert "says it stopped at epoch 28, the reference at epoch 27" in liar.reason
    assert liar.share <= 1  # its weights agree
    assert (
        other.outcome == ParityOutcome.OTHER_OBJECTIVE
    )  # which may make it stop elsewhere as well
    assert "the penalty is half" in other.reason
    assert [divergence.backend for divergence in found.divergences] == suspects[2:]


def test_an_estimator_holds_samples_back_to_stop_by():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = rng.integers(2, size=60)  # nothing to learn
    model = MLPBackendClassifier(epochs=200, eta=0.05, patience=3, random_state=1).fit(x, y)
    assert 3 < model.n_iter_ < 200
    assert model.loss_epochs_[-1] == model.n_iter_
    assert len(model.loss_curve_) == len(model.loss_epochs_)
    assert MLPBackendClassifier(epochs=9, random_state=1).fit(x, y).n_iter_ == 9
    with pytest.raises(ValueError, match="validation_fraction: found 1"):
        MLPBackendClassifier(validation_fraction=1).fit(x, y)
