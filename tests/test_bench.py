"""The bench measures what it says, and promises nothing about the clock."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backends.distance import furthest
from backends.network import Cells
from backends.registry import usable
from harness.bench.benchmark import PEER, benchmark
from harness.bench.jax_program import JaxProgram, not_written_for
from harness.bench.notes_programs import seconds_as_written, seconds_like_for_like
from harness.bench.phases import gemm_rate
from harness.bench.section import bench_section, draw_bench
from harness.data.dataset import load_dataset
from harness.document.canvas import figure_file, style
from harness.experiment.experiment import Experiment
from harness.lecture.programs import PROGRAMS
from harness.training.prepare import prepare

SMALL = Experiment(eta=(0.01, 0.1), lmbd=(0.01,), epochs=2, backends=("numpy", "sklearn"))


@pytest.fixture(scope="module")
def measured():
    return benchmark(SMALL, repetitions=2, sample=2, whole=False)


@pytest.mark.slow
def test_every_backend_has_every_phase(measured):
    phases = {
        *("import", "build", "first_step", "per_step", "per_epoch", "evaluation", "stack"),
        *("one_at_a_time", "notebook", "cells_per_second", "speed_up", "gflop_per_second"),
        *("share_of_machine", "peak_memory_bytes"),
    }
    for name in ("numpy", "sklearn"):
        row = measured["backends"][name]
        assert phases <= set(row)
        assert all(np.isfinite(value) for value in row.values())
        assert row["stack"] > 0


def test_derived_numbers_follow_from_the_measured_ones(measured):
    row = measured["backends"]["numpy"]
    assert row["cells_per_second"] == pytest.approx(2 / row["stack"])
    assert row["speed_up"] == pytest.approx(2 * row["one_at_a_time"] / row["stack"])
    # 2 cells x 22 steps x 2 x 100 x (3 x 3700 - 3200) operations
    assert row["gflop_per_second"] == pytest.approx(2 * 22 * 1.58e6 / row["stack"] / 1e9)


def test_the_result_says_under_which_circumstances_and_is_json(measured):
    assert measured["threads"] == 1
    assert measured["sample"] == 2
    assert "cpu" in measured["machine"]
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


def test_a_backend_that_cannot_is_skipped_with_its_reason():
    experiment = SMALL.model_copy(update={"activation": "elu", "backends": ("sklearn",)})
    result = benchmark(experiment, repetitions=1, sample=1, whole=False)
    assert result["backends"] == {}
    assert "no activation 'elu'" in result["skipped"]["sklearn"]
    section = bench_section(result)
    assert "no activation 'elu'" in section.points[0]
    assert list(section.tables) == []


def test_the_figure_is_a_png(measured):
    with style():
        assert figure_file(draw_bench(measured), "png").startswith(b"\x89PNG")


def test_the_tables_say_what_was_measured(measured):
    backends, ratios = bench_section(measured).tables  # and no table of whole commands
    assert list(backends.frame.columns) == ["", "numpy", "sklearn"]
    rows = backends.frame.set_index("")
    memory = measured["backends"]["numpy"]["peak_memory_bytes"]
    assert rows.loc["peak memory MiB", "numpy"] == memory / 2**20
    assert rows.loc["stack", "sklearn"] == measured["backends"]["sklearn"]["stack"]
    assert len(ratios.frame) == len(measured["ratios"])


def test_the_rate_of_the_machine_is_positive():
    assert gemm_rate("float32", threads=1, repetitions=1) > 0


@pytest.mark.parametrize("backend", ["numpy", "sklearn", "tensorflow", "keras"])
def test_every_notebook_program_trains(backend):
    usable(backend)
    prepared = prepare(SMALL, load_dataset(SMALL), backend, [0])
    assert seconds_like_for_like(backend, prepared, SMALL.recipe(backend), 0.1, 0.01) > 0


def test_ten_times_the_work_is_measured_in_all_three_ways(measured):
    named = [ratio["what"] for ratio in measured["ratios"]]
    for what in ("cells", "repeats", "samples"):
        assert f"numpy: 10 x the {what}, time / 10" in named
        assert f"numpy: 10 x the {what}, peak memory" in named


def test_a_notebook_program_does_as_many_steps_as_the_experiment(monkeypatch):
    done = []
    monkeypatch.setitem(PROGRAMS, "numpy", lambda task, eta, lmbd: done.append(task))
    for keep in (False, True):
        experiment = SMALL.model_copy(update={"keep_last_batch": keep})
        prepared = prepare(experiment, load_dataset(experiment), "numpy", [0])
        seconds_like_for_like("numpy", prepared, experiment.recipe("numpy"), 0.1, 0.01)
        assert -(-len(done[-1].x_train) // 100) * 2 == prepared.plan.steps


def test_the_notes_are_timed_as_written_beside_the_same_grid_only():
    default = Experiment()
    # whatever the run's network and epochs: the notes' program has its own
    other = default.model_copy(update={"hidden": (3,), "epochs": 1})
    assert seconds_as_written("numpy", other, 0.01, 0.01) > 0
    assert np.isnan(seconds_as_written("another", default, 0.01, 0.01))
    for update in ({"dataset": "iris"}, {"eta": (0.1,)}):
        elsewhere = default.model_copy(update=update)
        assert np.isnan(seconds_as_written("numpy", elsewhere, 0.01, 0.01))


def test_another_training_than_the_notes_has_no_notebook_program():
    prepared = prepare(SMALL, load_dataset(SMALL), "numpy", [0])
    for update in ({"optimizer": "adam"}, {"schedule": "inverse"}, {"l1": 0.1}, {"momentum": 0.9}):
        other = SMALL.model_copy(update=update).recipe("numpy")
        assert np.isnan(seconds_like_for_like("numpy", prepared, other, 0.1, 0.01))


def test_a_backend_without_a_notebook_program_has_no_time():
    prepared = prepare(SMALL, load_dataset(SMALL), "numpy", [0])
    assert np.isnan(seconds_like_for_like("another", prepared, SMALL.recipe("numpy"), 0.1, 0.01))


@pytest.mark.parametrize("hidden", [(50,), (100, 50)])
def test_the_program_by_hand_trains_what_the_stacks_train(hidden):
    pytest.importorskip("jax")
    experiment = SMALL.model_copy(update={"hidden": hidden, "epochs": 1})
    prepared = prepare(experiment, load_dataset(experiment), "numpy", [0])
    cells = Cells.grid(experiment.eta, experiment.lmbd)
    assert not_written_for(prepared) == ""
    ours = JaxProgram(prepared).train(cells)
    p = prepared
    stack = usable("numpy").train(p.x, p.y, p.network, p.training, cells, p.plan).weights
    assert furthest(ours, stack, p.plan.initial).max() < 1e-6


def test_what_the_program_by_hand_does_not_know_is_no_ratio():
    experiment = SMALL.model_copy(update={"momentum": 0.9, "backends": ("numpy",)})
    prepared = prepare(experiment, load_dataset(experiment), "numpy", [0])
    assert "plain gradient descent" in not_written_for(prepared)


def test_stacks_are_measured_beside_jax_by_hand_and_elsewhere(measured):
    what = {ratio["what"]: ratio["measured"] for ratio in measured["ratios"]}
    row = measured["backends"]["numpy"]
    assert what["numpy: all cells elsewhere over here"] == row["elsewhere"] / row["stack"]
    if PEER not in measured["skipped"]:
        assert what[f"numpy: all cells over {PEER}"] > 0
        assert what[f"numpy: all cells, hidden layers (100, 50) over {PEER}"] > 0
