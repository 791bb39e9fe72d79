"""Data sets are checked when they are loaded, split by class and seed, and scaled by the training part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.data.dataset import load_dataset
from harness.data.scaling import scaled
from harness.data.split import split_rows
from harness.data.teaching_sets import runge_function
from harness.errors import InputError
from harness.experiment.experiment import Experiment, experiment_from


@pytest.fixture
def table(tmp_path):
    """Writes a frame of 40 rows, changed as asked, and gives the experiment that reads it."""

    def write(name: str = "flowers.csv", target: str | None = "kind", **columns) -> Experiment:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(
            {
                "width": rng.normal(size=40),
                "height": rng.normal(size=40),
                "kind": ["rose", "tulip"] * 20,
            }
        ).assign(**columns)
        path = tmp_path / name
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        elif path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            arrays = {c: frame[c].to_numpy(str if c == "kind" else None) for c in frame}
            np.savez(path, **arrays)
        return Experiment(dataset=str(path), target=target)

    return write


def test_digits_split_as_the_experiment_says():
    experiment = Experiment()
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    assert {part: len(rows) for part, rows in split.items()} == {
        "train": 1149,
        "validation": 288,
        "test": 360,
    }
    rows = np.concatenate([rows for _, rows in split.items()])
    assert sorted(rows) == list(range(1797))
    shares = [np.bincount(dataset.y[rows], minlength=10) / len(rows) for _, rows in split.items()]
    # stratified: a class's share moves by at most one sample of the smallest part
    np.testing.assert_allclose(shares[0], shares[2], atol=1 / 288)
    assert dataset.x.min() == 0
    assert dataset.x.max() == 16


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [("iris", 150, 4, 3), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2)],
)
def test_the_other_sets_of_scikit_learn_load(name, samples, features, classes):
    dataset = load_dataset(Experiment(dataset=name))
    assert dataset.x.shape == (samples, features)
    assert len(dataset.classes) == classes


@pytest.mark.parametrize("name", ["xor", "two_moons", "spirals", "runge"])
def test_teaching_sets_have_one_or_two_features_and_are_always_the_same(name):
    task = "regression" if name == "runge" else "classification"
    one, other = (load_dataset(experiment_from({"dataset": name, "task": task})) for _ in range(2))
    assert one.counts == (400, 1 if name == "runge" else 2, 0 if name == "runge" else 2)
    assert one.sha256 == other.sha256
    if name == "xor":
        assert (one.y == (one.x.prod(axis=1) < 0)).all()
    if name == "runge":
        assert np.std(one.y - runge_function(one.x[:, 0])) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("name", ["flowers.csv", "flowers.parquet", "flowers.npz"])
def test_files_with_text_labels_load(table, name):
    dataset = load_dataset(table(name))
    assert dataset.classes == ("rose", "tulip")
    assert dataset.features == ("width", "height")
    assert dataset.y.tolist() == [0, 1] * 20


def test_a_matrix_in_an_npz_file_is_cut_into_columns(tmp_path):
    path = tmp_path / "matrix.npz"
    np.savez(path, x=np.arange(12.0).reshape(6, 2), y=np.array([3, 5, 3, 5, 3, 5]))
    dataset = load_dataset(Experiment(dataset=str(path), target="y"))
    assert dataset.features == ("x_0", "x_1")
    assert dataset.classes == ("3", "5")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"width": [1.5] * 20 + [np.nan] * 20}, "20 missing in width (first in row 22)"),
        ({"height": [1.5] * 5 + [np.inf] * 35}, "height (inf in row 7)"),
        ({"height": [1.5] * 5 + [1e39] * 35}, "height (1e+39 in row 7)"),
        (
            {"width": [1.5] * 39 + ["wide"]},
            "width has 'wide' in row 41 (1 such)",
        ),
        ({"width": "2024-05-01"}, "--drop width"),
        ({"kind": "rose"}, "has one class only"),
        ({"kind": [f"k{i}" for i in range(40)]}, "has 40 classes for 40 samples"),
        ({"kind": ["rose"] * 39 + [None]}, "1 missing in kind (first in row 41)"),
        ({"kind": ["rose"] * 39 + ["tulip"]}, "cannot be split so (class 'tulip' has 1"),
    ],
)
def test_a_file_that_cannot_be_trained_on_is_refused(table, columns, message):
    experiment = table(**columns)
    with pytest.raises(InputError) as caught:
        split_rows(load_dataset(experiment), experiment)
    assert message in str(caught.value)


def test_a_missing_target_column_is_named_with_the_nearest(table):
    with pytest.raises(InputError, match="'knd' is not known; did you mean 'kind'"):
        load_dataset(table(target="knd"))


def test_a_target_that_is_not_plain_has_to_be_named(table):
    columns = {"kind": [f"k{i}" for i in range(40)]}
    with pytest.raises(
        InputError, match=r"no column of 'flowers\.csv' is .* --target with one of width"
    ):
        load_dataset(table(target=None, **columns))


@pytest.mark.parametrize("name", ["flowers.parquet", "flowers.npz"])
def test_a_truncated_file_is_refused(table, name, tmp_path):
    experiment = table(name)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset(experiment)


def test_an_unreadable_text_file_is_refused(tmp_path):
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(InputError, match=r"'binary\.csv' cannot be read"):
        load_dataset(Experiment(dataset=str(path), target="kind"))


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_scaling_is_fitted_on_the_training_part(scale):
    experiment = Experiment(dataset="wine", scale=scale, dtype="float64")
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    train = scaled(dataset, split, experiment)[split.train]
    # values are rounded to float32: 6e-8 of numbers of order 1
    if scale == "standard":
        np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-6)
    else:
        np.testing.assert_allclose(train.min(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(train.max(axis=0), 1, atol=1e-6)


def test_a_constant_feature_does_not_become_nan(table):
    experiment = table(width=3.0).model_copy(update={"scale": "standard"})
    dataset = load_dataset(experiment)
    x = scaled(dataset, split_rows(dataset, experiment), experiment)
    assert (x[:, 0] == 0).all()


def test_both_precisions_train_on_the_same_numbers():
    for_single = Experiment(dataset="wine", scale="standard")
    for_double = for_single.model_copy(update={"dtype": "float64"})
    dataset = load_dataset(for_single)
    split = split_rows(dataset, for_single)
    single, double = scaled(dataset, split, for_single), scaled(dataset, split, for_double)
    assert np.array_equal(single.astype(np.float64), double)
