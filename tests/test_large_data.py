"""Large data: once in memory, in the dtype that is trained on, and evaluated once."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backends.formulas import logits, sample_cost
from backends.network import Cells
from backends.registry import usable
from harness.bench.large_data import large_experiment, measure_large_data
from harness.data import array_files, feature_matrix, shared_memory
from harness.data.dataset import load_dataset
from harness.data.scaling import scaled
from harness.data.shared_memory import has_memory_files, memory_of, shared_array
from harness.data.split import split_rows
from harness.errors import InputError
from harness.executors.shared_data import MappedDataset, shared
from harness.experiment.experiment import Experiment
from harness.runner import train_and_save
from harness.training import evaluate
from harness.training.prepare import prepare
from harness.work import plan_work

NEEDS_MEMORY_FILES = pytest.mark.skipif(not has_memory_files(), reason="no files without a name")
FEW = {"hidden": (4,), "epochs": 1, "eta": (0.1,), "lmbd": (0.0,), "backends": ("numpy",)}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Images of small whole numbers with three classes, as uint8, and where they lie."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    x = (rng.integers(0, 200, (120, 3, 3)) + 20 * y[:, None, None]).astype(np.uint8)
    folder = tmp_path_factory.mktemp("arrays")
    np.savez(folder / "bytes.npz", images=x, y=y)
    np.savez(folder / "floats.npz", images=x.astype(np.float32), y=y)
    frame = pd.DataFrame(x.reshape(120, -1)).assign(y=y)
    frame.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.mark.parametrize("scale", ["none", "standard", "minmax"])
def test_an_array_stays_as_it_came_and_trains_on_the_tables_numbers(arrays, scale):
    trained = {}
    for name, dtype in (("bytes.npz", "u1"), ("floats.npz", "f4"), ("table.csv", "f8")):
        experiment = Experiment(dataset=str(arrays / name), target="y", scale=scale, **FEW)
        dataset = load_dataset(experiment)
        assert dataset.x.dtype == dtype
        trained[name] = prepare(experiment, dataset, "numpy", [0]).x
    assert np.array_equal(trained["bytes.npz"], trained["table.csv"])
    assert np.array_equal(trained["floats.npz"], trained["table.csv"])


def test_scaling_in_stretches_is_scaling(arrays, monkeypatch):
    experiment = Experiment(dataset=str(arrays / "bytes.npz"), target="y", scale="standard", **FEW)
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    monkeypatch.setattr("harness.data.scaling._AT_ONCE", 200)  # two columns
    monkeypatch.setattr("harness.data.scaling._ROWS_AT_ONCE", 200)  # 22 rows
    train = dataset.x[split.train].astype(np.float64)
    expected = (dataset.x - train.mean(axis=0)) / train.std(axis=0)
    assert scaled(dataset, split, experiment) == pytest.approx(expected, rel=1e-6)


def test_another_process_trains_on_the_same_memory(arrays):
    experiment = Experiment(dataset=str(arrays / "bytes.npz"), target="y", scale="standard", **FEW)
    dataset = load_dataset(experiment)
    given = shared(dataset, experiment)
    sent = MappedDataset.of(given)
    opened = sent.open()
    prepared = prepare(experiment, opened, "numpy", [0])
    assert len(pickle.dumps(sent)) < dataset.x.size * 4 + dataset.y.nbytes
    assert np.shares_memory(prepared.x, opened.x)
    assert not prepared.x.flags.writeable
    assert np.array_equal(prepared.x, prepare(experiment, dataset, "numpy", [0]).x)
    assert opened.sha256 == given.sha256 == dataset.sha256


def test_elsewhere_than_on_linux_a_file_holds_the_data_until_the_end(arrays, monkeypatch):
    monkeypatch.delattr(shared_memory.os, "memfd_create", raising=False)
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", **FEW)
    given = shared(load_dataset(experiment), experiment)
    place = Path(given.x.filename)
    assert np.array_equal(MappedDataset.of(given).open().x, given.x)
    del given
    assert not place.exists()


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(array_files, "_LARGE", 0)
    monkeypatch.setattr(feature_matrix, "_LARGE", 0)


@NEEDS_MEMORY_FILES
def test_an_array_is_read_into_the_memory_that_workers_map(arrays, all_are_large, monkeypatch):
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", **FEW)
    dataset = load_dataset(experiment)
    assert memory_of(dataset.x) is not None
    given = shared(dataset, experiment)
    assert np.shares_memory(given.x, dataset.x)
    assert np.array_equal(MappedDataset.of(given).open().x, dataset.x)
    monkeypatch.delattr(shared_memory.os, "memfd_create")
    copied = load_dataset(experiment)
    assert memory_of(copied.x) is None
    assert np.array_equal(copied.x, dataset.x)
    assert copied.sha256 == dataset.sha256 == given.sha256


def test_a_damaged_array_is_refused_however_it_is_read(arrays, all_are_large, tmp_path):
    content = bytearray((arrays / "floats.npz").read_bytes())
    content[1000] ^= 1
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.npz' cannot be read"):
        load_dataset(Experiment(dataset=str(tmp_path / "damaged.npz"), target="y", **FEW))


@NEEDS_MEMORY_FILES
def test_pieces_that_are_no_array_leave_nothing_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ValueError, match="12 bytes for an array of 16"):
        shared_array([b"1234", b"", np.arange(2, dtype=np.float32)], np.float32, (2, 2))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_changed_array_has_another_digest_also_when_a_thread_hashes(arrays, all_are_large):
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", **FEW)
    dataset = load_dataset(experiment)
    assert dataset.hashing is not None
    alone = replace(dataset, hashing=None)
    other = replace(dataset, x=dataset.x + 1)
    assert dataset.sha256 == alone.sha256 != other.sha256
    assert deepcopy(dataset).sha256 == dataset.sha256


def test_the_split_that_repeats_share_is_drawn_once(arrays):
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", repeats=3, **FEW)
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    assert split_rows(shared(dataset, experiment), experiment, 2) is split
    assert split_rows(dataset, experiment.model_copy(update={"seed": 7})) is not split
    shorter = replace(dataset, x=dataset.x[:60], y=dataset.y[:60])
    assert max(part.max() for _, part in split_rows(shorter, experiment).items()) < 60


def test_repeats_that_scale_by_their_own_training_part_get_the_data_as_they_came(arrays):
    common = {
        "dataset": str(arrays / "bytes.npz"),
        "target": "y",
        "scale": "standard",
        "repeats": 2,
    }
    experiment = Experiment(vary="split", **common, **FEW)
    dataset = load_dataset(experiment)
    given = shared(dataset, experiment)
    assert not given.as_trained
    assert given.x.dtype == np.uint8
    for repeat in (0, 1):
        one, other = (prepare(experiment, d, "numpy", [repeat]).x for d in (dataset, given))
        assert np.array_equal(one, other)


@pytest.mark.parametrize("backend", ["numpy", "sklearn"])
def test_evaluation_in_stretches_gives_what_one_pass_gives(arrays, monkeypatch, backend):
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", scale="minmax", **FEW)
    experiment = experiment.model_copy(update={"backends": (backend,)})
    prepared = prepare(experiment, load_dataset(experiment), backend, [0])
    library, cells = usable(backend), Cells.of([0.1, 0.5], [0.0, 0.0])
    fit = library.train(
        prepared.x, prepared.y, prepared.network, prepared.training, cells, prepared.plan
    )
    whole = evaluate.evaluate_final(library, prepared, fit.weights, experiment)
    monkeypatch.setattr(evaluate, "LARGE", 10)
    monkeypatch.setattr(evaluate, "_ROWS_AT_ONCE", 16)
    monkeypatch.setattr(evaluate, "CURVE_SAMPLES", 20)
    parts = evaluate.evaluate_final(library, prepared, fit.weights, experiment)
    for name, values in whole.items():
        if name == "predicted":
            assert all(map(np.array_equal, values, parts[name]))
        elif name in ("probability", "lead"):  # kept as float16
            assert np.allclose(np.stack(values), np.stack(parts[name]), atol=1e-3), name
        elif name not in ("status", "reason"):
            assert parts[name] == pytest.approx(values, rel=1e-5), name
    curves = evaluate.evaluate_curves(prepared, fit, [1], experiment)
    every = sample_cost(
        logits(prepared.x, prepared.network, fit.weights), prepared.y, prepared.network
    )
    for part, rows in (("train", prepared.split.train), ("validation", prepared.split.validation)):
        chosen = evaluate._curve_rows(rows, prepared)
        assert len(chosen) == min(20, len(rows))
        assert set(chosen) <= set(rows)
        ends = [curve[-1] for curve in curves[f"curve_{part}_loss"]]
        assert ends == pytest.approx(every[:, chosen].mean(axis=1), rel=1e-5)


def test_the_report_says_that_curves_are_of_a_sample(tmp_path, arrays, monkeypatch):
    from harness.api import write_report
    from harness.experiment.execution import Execution

    monkeypatch.setattr(evaluate, "LARGE", 10)
    monkeypatch.setattr(evaluate, "CURVE_SAMPLES", 20)
    experiment = Experiment(dataset=str(arrays / "floats.npz"), target="y", **FEW)
    execution = Execution(executor="serial", output=str(tmp_path), name="run")
    result = train_and_save(plan_work(experiment), execution)
    write_report(result)
    assert "20 of 76 train" in (tmp_path / "run" / "report.md").read_text()


def test_the_bench_measures_large_data_beside_a_plain_fit(tmp_path):
    experiment = large_experiment(str(tmp_path), ("numpy", "sklearn"), samples=300, features=6)
    measured = measure_large_data(str(tmp_path), experiment, 1, lambda name, e: float("nan"))
    assert set(measured["evaluation"]) == set(measured["memory"]) == {"numpy", "sklearn"}
    assert all(v > 0 for what in measured.values() for v in what.values())
    assert len(measured["seconds"]) == 2
