"""Cells that are not labelled alike are looked at again: round-off or something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.api import _follow, run, write_report
from harness.data.dataset import load_dataset
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment, experiment_from
from harness.report.agreement import agreement_words
from harness.results.result import load_result
from harness.roundoff import disputed_cells
from harness.roundoff.disputed_cells import disputes, kinds, looked_at_again

SMALL = Experiment(eta=(0.01, 5.0), lmbd=(0.001, 0.01), epochs=40, backends=("numpy", "sklearn"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run on digits, of which a row is calm and a row chaotic."""
    folder = tmp_path_factory.mktemp("runs")
    return run(SMALL, Execution(executor="serial", output=str(folder)))


def changed(result, where, change):
    """A run's predictions, those of the marked records put through a function."""
    p = result.predictions
    labels = [change(x) if w else x for x, w in zip(p["predicted"], where, strict=True)]
    return p.assign(predicted=pd.Series(labels, p.index))


def relabelled(result, backend, eta, samples):
    """A run's predictions with the first samples of a backend's cells at this eta labelled otherwise."""

    def other(labels):
        return np.concatenate([(labels[:samples] + 1) % 10, labels[samples:]])

    p = result.predictions
    return changed(result, (p["backend"] == backend) & (p["eta"] == eta), other)


def test_chaotic_cells_are_known_for_what_they_are(small):
    assert set(small.disputes["eta"]) == {5.0}
    assert set(small.disputes["status"]) == {"chaotic"}
    (said,) = agreement_words(small)
    assert said.startswith(
        f"In {4 - len(small.disputes)} of 4 cells both backends label every test sample alike."
    )
    assert "chaotic: there round-off alone carries training elsewhere" in said


def test_a_difference_in_a_stable_cell_is_not_put_down_to_round_off(small):
    predictions = relabelled(small, "sklearn", 0.01, samples=9)
    found = disputes(SMALL, load_dataset(SMALL), small.records, predictions)
    calm = found[found["eta"] == 0.01]
    assert calm["apart"].tolist() == [9 / 360, 9 / 360]
    again = looked_at_again(SMALL, load_dataset(SMALL), found)
    assert set(again.loc[again["eta"] == 0.01, "status"]) == {"stable"}
    (said,) = agreement_words(replace(small, disputes=again))
    assert said.startswith(f"In {4 - len(again)} of 4 cells")
    assert "2 are stable, and yet up to 2.50 % of the samples are taken differently" in said
    assert "python -m harness parity" in said


def test_round_off_that_grew_but_stayed_near_explains_no_other_labels(small):
    near = small.disputes.assign(status="sensitive", difference=0.02, swing=0.0)
    (said,) = agreement_words(replace(small, disputes=near))
    assert "not explained by round-off: it moves weights there by up to 2.0000 %" in said
    assert "python -m harness parity" in said
    assert set(kinds(replace(small, disputes=near)).values()) == {"unexplained"}
    for explained in ({"difference": 0.2}, {"swing": 0.01}):
        (said,) = agreement_words(replace(small, disputes=near.assign(**explained)))
        assert "sensitive: round-off grows there" in said


def test_the_swing_of_chaos_is_said_to_be_at_least_so_much_where_backends_show_more(small):
    swing = small.disputes["swing"].max()
    assert swing > 0
    for gap, words in {swing: " by up to", 2 * swing: ", where it does most, by at least"}.items():
        shown = small.disputes.assign(swing=swing, gap=gap)
        (said,) = agreement_words(replace(small, disputes=shown))
        assert f"moves test accuracy{words} {100 * swing:.2f} points" in said


def test_unexplained_cells_are_followed_to_step_tensor_and_mistake(small, tmp_path):
    assert not small.disputes["followed"].any()
    faulty = {"backends": ["numpy", "faults:Summed"], "dataset": "iris", "scale": "standard"}
    grid = {"hidden": [8], "eta": [0.1, 0.5], "lmbd": [0.0, 0.1], "epochs": 20, "repeats": 2}
    result = run(experiment_from(faulty | grid), Execution(executor="serial", output=str(tmp_path)))
    followed = result.disputes[result.disputes["followed"] != ""]
    assert 0 < len(followed) <= disputed_cells._FOLLOWED
    assert len(set(followed["repeat"])) == 1
    (said,) = agreement_words(result)
    (words,) = followed["followed"].unique()
    assert words in said
    for part in ("faults:Summed", "in step 1", "the gradient of W2", "not averaged"):
        assert part in words
    with open(write_report(result), encoding="utf-8") as page:
        assert "not averaged" in page.read()


def test_what_is_right_in_every_step_is_a_boundary(small):
    said = _follow(SMALL, 0, [0, 1])
    assert "in 2 cells of repeat 1: numpy and sklearn take the path of the reference" in said


def test_the_report_says_so(small):
    with open(write_report(small), encoding="utf-8") as page:
        text = page.read()
    assert next(agreement_words(small))[:60] in text
    assert ">chaotic<" in text


def test_a_cell_that_diverged_in_one_backend_only_is_disputed(small):
    records = small.records.copy()
    (row, *_) = records.index[(records["backend"] == "numpy") & (records["eta"] == 0.01)]
    records.loc[row, "status"] = "diverged"
    predictions = changed(small, records.index == row, lambda labels: labels[:0])
    found = disputes(SMALL, load_dataset(SMALL), records, predictions)
    assert found.loc[found["eta"] == 0.01, "apart"].tolist() == [1.0]


def test_backends_that_train_otherwise_are_not_held_against_each_other(small):
    own = SMALL.model_copy(update={"overrides": {"sklearn": {"epochs": 30}}})
    found = disputes(
        own, load_dataset(own), small.records, relabelled(small, "sklearn", 0.01, samples=9)
    )
    assert found.empty
    assert not list(agreement_words(replace(small, experiment=own, disputes=found)))


def test_of_too_many_cells_the_furthest_apart_are_looked_at(small, monkeypatch):
    monkeypatch.setattr("harness.roundoff.disputed_cells.MOST_CELLS", 1)
    cells = pd.DataFrame(
        {
            "recipe": "numpy, sklearn",
            "eta": 5.0,
            "lmbd": [0.001, 0.01],
            "repeat": 0,
            "apart": [0.1, 0.2],
            "alone": "",
            "gap": [0.0, 0.3],
        }
    )
    again = looked_at_again(SMALL, load_dataset(SMALL), cells)
    assert again["status"].tolist() == ["", "chaotic"]
    (said,) = agreement_words(replace(small, disputes=again))
    assert "1 more cell differs and was not looked at again." in said


def test_what_was_looked_at_is_kept_with_the_run(small, monkeypatch):
    assert load_result(small.address).disputes.equals(small.disputes)

    def never(*_):
        raise AssertionError("looked at twice")

    monkeypatch.setattr(disputed_cells, "looked_at_again", never)
    folder = small.address.rsplit("/", 1)[0]
    again = run(SMALL, Execution(executor="serial", output=folder))
    assert again.disputes.equals(small.disputes)


def test_real_predictions_differ_from_a_thousandth_of_their_spread_on(tmp_path):
    given = {"task": "regression", "dataset": "diabetes", "scale": "standard", "epochs": 3}
    experiment = experiment_from(
        {**given, "eta": [0.01], "lmbd": [0.01], "backends": ["numpy", "sklearn"]}
    )
    result = run(experiment, Execution(executor="serial", output=str(tmp_path)))
    assert result.disputes.empty
    (said,) = agreement_words(result)
    assert said == "In the one cell both backends predict alike, to a thousandth of the spread."
    moved = changed(result, result.predictions["backend"] == "numpy", lambda values: values + 1)
    dataset = load_dataset(experiment)
    assert disputes(experiment, dataset, result.records, moved)["apart"].tolist() == [1.0]


def test_collapsed_predictions_are_measured_by_the_targets_spread(tmp_path):
    """One unit in the last place of predictions that are all the same is nothing."""
    given = {"task": "regression", "dataset": "diabetes", "epochs": 1, "eta": [1e-9], "lmbd": [0.0]}
    experiment = experiment_from({**given, "backends": ["numpy", "sklearn"]})
    result = run(experiment, Execution(executor="serial", output=str(tmp_path)))
    everywhere = result.predictions["backend"].notna()
    flat = changed(result, everywhere, lambda values: np.full_like(values, 150.0))
    nearly = replace(result, predictions=flat)
    moved = changed(
        nearly, flat["backend"] == "numpy", lambda values: np.nextafter(values, np.float32(np.inf))
    )
    assert disputes(experiment, load_dataset(experiment), result.records, moved).empty
