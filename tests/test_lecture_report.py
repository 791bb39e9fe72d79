"""The report on a run of the preset lecture: what differs, what it does, what is reproduced, slips."""

from __future__ import annotations

import numpy as np
import pytest

from backends.network import Network
from backends.plan import Plan
from harness.api import run, write_report
from harness.data.dataset import load_dataset
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.lecture.ablation import (
    AS_WRITTEN,
    FAIR_RECIPE,
    GRIDS_FILE,
    ProgramGrid,
    ablation_section,
    grids_from_frame,
    grids_to_frame,
    train_switched,
)
from harness.lecture.conventions import conventions
from harness.lecture.reproduction import printed_accuracies_section, printed_numbers
from harness.lecture.sections import accuracy_without_pairing, lecture_sections, share_shown

GIVEN = {
    "preset": "lecture",
    "backends": ["numpy", "sklearn"],
    "dataset": "iris",
    "epochs": 10,
    "eta": [1e-3, 1e-2, 1e-1],
    "lmbd": [1e-4, 1e-2],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run of two of the notes' programs on iris."""
    folder = tmp_path_factory.mktemp("runs")
    return run(experiment_from(GIVEN), Execution(executor="serial", output=str(folder)))


def test_the_programs_differ_in_the_notes_conventions():
    table = conventions(experiment_from({"preset": "lecture"}), ["numpy", "sklearn", "keras"])
    rows = table.set_index("convention")
    assert rows.loc["cost", "numpy"] == "sum over the minibatch"
    assert rows.loc["gradient of the penalty", "sklearn"] == "lmbd * W / n"
    assert rows.loc["gradient of the penalty", "keras"] == "2 * lmbd * W, hidden layers only"
    assert rows.loc["optimiser", "sklearn"] == "Adam"
    assert rows.loc["stops early", "sklearn"] == "when more than 10 epochs gain less than 0.0001"
    assert rows.loc["minibatches", "keras"] == "a permutation an epoch, B = 100, tail kept"


def test_averaging_the_cost_moves_numpys_best_eta_up():
    """A sum over 100 samples is an eta 100 times as large: what worked at 0.001 then works at 0.1."""
    given = {"preset": "lecture", "epochs": 12, "eta": [1e-3, 1e-1], "lmbd": [1e-3]}
    experiment = experiment_from(given)
    found = train_switched(experiment, load_dataset(experiment), ["numpy"])
    averaged = next(e for e in found if e.switched == "the cost is averaged, not summed")
    assert averaged.best[0] == 1e-1
    assert averaged.accuracy[1, 0] > averaged.accuracy[0, 0] + 0.2
    assert [e.switched for e in found][-1] == FAIR_RECIPE


def test_grids_survive_the_run_folder():
    accuracy = np.array([[0.1, np.nan], [0.95, 0.3]])
    grid = ProgramGrid("numpy", AS_WRITTEN, (0.1, 1.0), (1e-3, 1e-2), accuracy)
    (back,) = grids_from_frame(grids_to_frame([grid]))
    assert np.array_equal(back.accuracy, accuracy, equal_nan=True)
    assert back.best == (1.0, 1e-3, 0.95)
    assert back.working == (1.0,)


def test_a_grid_of_diverged_cells_has_no_learning_rate_that_works():
    grid = ProgramGrid("numpy", AS_WRITTEN, (1.0,), (1e-3,), np.array([[np.nan]]))
    assert grid.working == ()


def test_the_report_has_the_programs_the_effects_and_the_slips(small):
    titles = [section.title for section in lecture_sections(small)]
    assert titles == [
        "What differs between the programs",
        "What each difference does to the grid",
        "Slips of the text",
    ]
    with open(write_report(small), encoding="utf-8") as page:
        text = page.read()
    places = [text.index(f">{title}</h2>") for title in ("Answer", *titles, "Verdict")]
    assert places == sorted(places)
    assert "where the fixed hyperparameters above depart from them, those hold" in text


def test_switched_grids_are_trained_once_for_a_run(small):
    dataset = load_dataset(small.experiment)
    first = ablation_section(small, dataset).tables[0].frame
    kept = f"{small.address}/{GRIDS_FILE}"
    with open(kept, "rb") as file:
        before = file.read()
    assert ablation_section(small, dataset).tables[0].frame.equals(first)
    with open(kept, "rb") as file:
        assert file.read() == before


def test_reproduction_is_claimed_for_the_notes_own_grid_only(small):
    assert printed_accuracies_section(small) is None


def test_the_printed_accuracies_are_counts_of_360_images():
    for grid in printed_numbers().accuracy.values():
        assert grid.shape == (7, 7)
        assert np.abs(grid * 360 - np.round(grid * 360)).max() < 1e-9


def test_shuffling_inputs_and_labels_apart_leaves_nothing_to_learn():
    experiment = experiment_from({"preset": "lecture", "epochs": 30})
    paired, apart = accuracy_without_pairing(experiment, load_dataset(experiment))
    assert paired > 0.7
    assert apart < 0.25


def test_independent_minibatches_show_two_thirds_of_the_data():
    network = Network.classifier(2, [1], 3)
    plan = Plan.draw(
        network, np.arange(1437), [0], epochs=20, batch_size=100, minibatches="independent"
    )
    epochs = plan.order[0].reshape(20, -1)
    shown = np.mean([len(np.unique(rows)) for rows in epochs]) / 1437
    # the standard error of the mean of 20 epochs is 0.002
    assert share_shown(1437, 100) == pytest.approx(shown, abs=0.01)
