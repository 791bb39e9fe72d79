"""Seeded grids are held against unseeded trainings by the notes' own programs."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from harness.api import run
from harness.data.dataset import load_dataset
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.lecture.ablation import train_switched
from harness.lecture.programs import PROGRAMS, notes_task
from harness.lecture.reproduction import (
    SPREAD_LEVEL,
    spread,
    unseeded_accuracies,
    unseeded_section,
)

ETA = LMBD = np.logspace(-5, 1, 7)


def grid(rng, runs, shift=0.0):
    """Accuracies of 49 cells, all alike but for chance: a frame with a row a cell and run."""
    cells = [(eta, lmbd) for eta in ETA for lmbd in LMBD]
    rows = [(eta, lmbd, rng.normal(0.5 + shift, 0.02)) for _ in range(runs) for eta, lmbd in cells]
    return pd.DataFrame(rows, columns=["eta", "lmbd", "test_accuracy"])


def test_one_more_training_of_the_same_kind_is_rarely_called_another():
    rng = np.random.default_rng(0)
    found = [spread("any", "test", grid(rng, 1), grid(rng, 9)) for _ in range(100)]
    assert found[0].expected == pytest.approx(49 * 2 / 10)
    # counts of a binomial distribution with mean 9.8, whose mean over 100 has standard error 0.28
    assert np.mean([s.outside for s in found]) == pytest.approx(9.8, abs=1.2)
    assert sum(not s.within for s in found) <= 5  # one is expected


def test_a_training_of_another_kind_is_called_so():
    rng = np.random.default_rng(1)
    other = spread("any", "test", grid(rng, 1, shift=0.04), grid(rng, 9))
    assert other.p_value < SPREAD_LEVEL
    assert not other.within


def test_diverged_cells_are_not_counted():
    rng = np.random.default_rng(2)
    ours = grid(rng, 1)
    ours.loc[:6, "test_accuracy"] = np.nan
    assert spread("any", "test", ours, grid(rng, 9)).cells == 42


def test_every_cell_of_the_notes_was_trained_several_times():
    counts = unseeded_accuracies().groupby(["program", "eta", "lmbd"]).size()
    assert counts.groupby("program").size().to_dict() == {"keras": 49, "tensorflow": 49}
    assert counts.min() >= 9


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "keras"])
def test_the_preset_falls_within_the_spread_of_the_notes_programs(backend, tmp_path):
    experiment = experiment_from({"preset": "lecture", "backends": [backend]})
    section = unseeded_section(run(experiment, Execution(executor="serial", output=str(tmp_path))))
    table = section.tables[0].frame
    assert section.kind == "verdict"
    assert table["program"].tolist() == [backend, backend]
    assert table["accuracy"].tolist() == ["training", "test"]


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_every_program_learns(program):
    """In a third of the notes' epochs: far better than guessing one in ten."""
    given = notes_task(experiment_from({"preset": "lecture", "epochs": 30}), program)
    eta = {"numpy": 0.01, "sklearn": 0.01, "tensorflow": 0.5, "keras": 0.5}[program]
    np.random.seed(0)  # noqa: NPY002
    train, test = PROGRAMS[program](given, eta, 1e-4)
    assert train > 0.6
    assert test > 0.6


def test_the_switched_grids_tell_how_far_they_are(caplog):
    experiment = experiment_from({"preset": "lecture", "epochs": 1, "eta": [0.1], "lmbd": [0.1]})
    with caplog.at_level(logging.INFO, logger="harness"):
        found = train_switched(experiment, load_dataset(experiment), ["numpy"])
    lines = [f"one convention after another switched: grid {k} of 3" for k in (1, 2, 3)]
    assert [r.getMessage() for r in caplog.records] == lines
    assert len(found) == 3
