"""Runs for TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from harness.api import run
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.tensorboard import check_tensorboard, write_tensorboard


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A small run and the folder of its event files."""
    folder = tmp_path_factory.mktemp("runs")
    given = {
        "dataset": "iris",
        "backends": ["numpy", "tensorflow", "keras"],
        "hidden": [4],
        "epochs": 3,
        "batch_size": 32,
        "eta": [0.01, 0.1],
        "lmbd": [1e-3],
    }
    result = run(experiment_from(given), Execution(executor="serial", output=str(folder)))
    return result, write_tensorboard(result, str(folder / "board"))


def read(path):
    events = EventAccumulator(path)
    events.Reload()
    return events


def test_curves_are_the_results_by_epoch(written):
    result, folder = written
    events = read(f"{folder}/tensorflow/eta=0.1 lmbd=0.001")
    curve = result.curves.query("backend == 'tensorflow' and eta == 0.1")
    for tag, column in (
        ("loss by epoch/train", "train_loss"),
        ("accuracy by epoch/validation", "validation_accuracy"),
    ):
        points = [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
        wanted = list(zip(curve["epoch"], curve[column], strict=True))
        assert points == [(step, pytest.approx(value)) for step, value in wanted]


@pytest.mark.parametrize(
    ("backend", "node"), [("tensorflow", "layer_2/MatMul"), ("keras", "update/")]
)
def test_models_with_a_graph_show_it(written, backend, node):
    _, folder = written
    graph = read(f"{folder}/graphs/{backend}").Graph()
    assert any(node in n.name for n in graph.node)


def test_backends_without_a_graph_have_none(written):
    _, folder = written
    assert sorted(path.name for path in Path(folder, "graphs").iterdir()) == ["keras", "tensorflow"]


def test_every_cell_is_a_trial_with_its_hyperparameters_and_scores(written):
    result, folder = written
    for record in result.records.itertuples():
        events = read(f"{folder}/{record.backend}/eta={record.eta:g} lmbd={record.lmbd:g}")
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        started = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert started["backend"].string_value == record.backend
        assert started["eta"].number_value == record.eta
        assert started["lmbd"].number_value == record.lmbd
        (score,) = events.Tensors("test_accuracy")
        assert float(make_ndarray(score.tensor_proto)) == pytest.approx(record.test_accuracy)


def test_writing_again_replaces_the_runs_files(written):
    result, folder = written
    events = read(f"{folder}/numpy/eta=0.1 lmbd=0.001")
    before = len(events.Tensors("loss by epoch/train"))
    board = folder.removesuffix(f"/{result.name}")
    others = Path(folder, "numpy", "events.out.tfevents.1.host.2.0.v2")
    others.touch()
    assert write_tensorboard(result, board) == folder
    assert others.exists()
    others.unlink()
    after = read(f"{folder}/numpy/eta=0.1 lmbd=0.001")
    assert len(after.Tensors("loss by epoch/train")) == before


def test_a_file_in_the_way_is_an_error_in_the_input(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="cannot be a directory"):
        check_tensorboard(str(file))


def test_a_backends_name_cannot_lead_out_of_the_folder(written, tmp_path):
    result, _ = written
    records = result.records[result.records["backend"] == "numpy"].assign(backend="../../evil")
    evil = replace(result, records=records)
    write_tensorboard(evil, str(tmp_path / "a" / "board"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["board"]
    (run_folder,) = (tmp_path / "a" / "board").iterdir()
    assert any("evil" in path.name for path in run_folder.iterdir())
