"""Classes of unequal size: scores beside accuracy, and which of them chooses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from harness.api import run, write_report
from harness.compare.comparison import compare
from harness.compare.section import comparison_section
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.result import load_result
from harness.work import plan_work

OTHERS = ("balanced_accuracy", "macro_f1", "roc_auc")


@pytest.fixture(scope="module")
def ill(tmp_path_factory):
    """A table in which one of eight is ill, and two columns tell a little of it; and where runs go."""
    rng = np.random.default_rng(1)
    sick = rng.random(240) < 1 / 8
    x = rng.normal(size=(240, 3)).round(3)
    x[:, 0] += 1.2 * sick
    folder = tmp_path_factory.mktemp("ill")
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(ill=np.where(sick, "yes", "no"))
    frame.to_csv(folder / "ill.csv", index=False)
    return folder


def _experiment(ill, **settings):
    common = {"dataset": str(ill / "ill.csv"), "target": "ill", "backends": ("numpy", "sklearn")}
    grid = {"eta": (0.1, 1, 5), "lmbd": (0, 0.1), "epochs": 20, "hidden": (5,), "repeats": 2}
    return Experiment(**common, **grid, **settings)


@pytest.fixture(scope="module")
def result(ill):
    return run(_experiment(ill), Execution(executor="serial", output=str(ill), name="run"))


def test_records_have_the_scores_of_the_kept_predictions(result):
    joined = result.records.merge(result.predictions)
    for record in joined[joined["status"] == "ok"].to_dict("records"):
        true, predicted = result.target(record["repeat"]), record["predicted"]
        assert record["test_accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
        balanced = metrics.balanced_accuracy_score(true, predicted)
        assert record["test_balanced_accuracy"] == pytest.approx(balanced)
        f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0)
        assert record["test_macro_f1"] == pytest.approx(f1)
    assert joined["test_roc_auc"].between(0.5, 1).any()


def test_they_are_shown_where_a_class_is_large_and_only_there(result, tmp_path):
    assert result.largest_class == pytest.approx(7 / 8, abs=0.05)
    assert result.shown_scores == ("accuracy", *OTHERS)
    write_report(result, str(tmp_path))
    report = (tmp_path / "report.md").read_text()
    pictures = {path.stem for path in (tmp_path / "figures").iterdir()}
    for name, shown in zip(OTHERS, ("balanced accuracy", "macro F1", "ROC AUC"), strict=True):
        assert f"test {shown}" in report
        assert f"test-{name}" in pictures
    tables = comparison_section(compare(result)).tables
    chosen = next(table.frame for table in tables if "scores" in table.frame)
    assert {"balanced accuracy", "macro F1", "ROC AUC"} <= set(chosen)
    even = Experiment(dataset="iris", backends=("numpy",), eta=(0.1,), lmbd=(0,), epochs=1)
    level = run(even, Execution(executor="serial", output=str(tmp_path), name="even"))
    assert level.shown_scores == ("accuracy",)
    assert "test_macro_f1" in level.records
    assert "test_roc_auc" not in level.records


@pytest.mark.parametrize("name", OTHERS)
def test_the_score_that_is_asked_for_chooses_without_another_training(result, ill, name):
    experiment = _experiment(ill, choose_by=name)
    again = run(experiment, Execution(executor="serial", output=str(ill), name="run"))
    assert again.manifest["taken_over"]["units"] == len(again.manifest["units"])
    assert experiment.digest() == result.experiment.digest()
    for row in again.best().to_dict("records"):
        means = again.of(row["backend"]).groupby(["eta", "lmbd"])[f"validation_{name}"].mean()
        assert row[f"validation_{name}"] == means.max()
    loaded = load_result(again.address)
    assert loaded.choose_by == name
    pd.testing.assert_frame_equal(loaded.best(), again.best())


def test_the_terminal_has_them_beside_accuracy(ill):
    arguments = ["--dataset", str(ill / "ill.csv"), "--target", "ill", "--backend", "numpy"]
    arguments += [
        "--eta",
        "1",
        "--lmbd",
        "0",
        "--epochs",
        "2",
        "--output",
        str(ill),
        "--name",
        "told",
    ]
    command = [sys.executable, "-m", "harness", "run", *arguments, "--executor", "serial"]
    told = subprocess.run(
        [*command, "--choose-by", "macro_f1"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert "Chosen on validation macro F1" in told.stdout
    for name in ("test accuracy", "balanced", "test macro F1", "test ROC AUC"):
        assert name in told.stdout


def test_a_score_that_there_is_not_is_refused(ill):
    with pytest.raises(InputError, match=r"'roc_auc', which is of two classes, and 'iris' has 3"):
        plan_work(Experiment(dataset="iris", backends=("numpy",), choose_by="roc_auc"))
    with pytest.raises(InputError, match=r"found 'macro_f1' with task regression; allowed: r2"):
        Experiment(dataset="diabetes", task="regression", choose_by="macro_f1")
    with pytest.raises(InputError, match=r"choose_by: 'f1' is not known"):
        Experiment(choose_by="f1")


def test_a_run_of_an_earlier_version_has_accuracy_alone(result, tmp_path):
    from dataclasses import replace

    named = tuple(f"{part}_{name}" for part in ("train", "validation", "test") for name in OTHERS)
    older = replace(result, records=result.records.drop(columns=list(named)))
    assert older.shown_scores == ("accuracy",)
    write_report(older, str(tmp_path))
    assert "macro F1" not in (tmp_path / "report.md").read_text()
