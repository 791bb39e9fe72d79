"""Data as they come: every made-up file of tests/data is read as cases.toml says that it is right."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import shutil
import threading
import tomllib
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import openml
import pandas as pd
import pytest

from harness import Execution, load_result, run, write_report
from harness.data.dataset import Dataset, load_dataset
from harness.data.encoding import encoded
from harness.data.scaling import scaled
from harness.data.split import Split, split_rows
from harness.errors import InputError
from harness.experiment.config import read_config
from harness.experiment.experiment import Experiment

HOME = Path(__file__).parent / "data"
CASES = tomllib.loads((HOME / "cases.toml").read_text(encoding="utf-8"))


def experiment_on(file: str, given: str = "") -> Experiment:
    """The experiment of flags as a person types them, on a file of tests/data."""
    words = given.split()
    flags = dict(zip(words[::2], words[1::2], strict=True))
    settings = {flag.removeprefix("--").replace("-", "_"): value for flag, value in flags.items()}
    if "test_file" in settings:
        settings["test_file"] = str(HOME / settings["test_file"])
    return Experiment(dataset=str(HOME / file), **settings)


def told(dataset: Dataset) -> str:
    return "; ".join((*dataset.decisions, *dataset.warnings))


@pytest.mark.parametrize("file", [f for f, case in CASES.items() if "error" not in case])
def test_a_file_is_read_as_it_is(file):
    case = CASES[file]
    experiment = experiment_on(file, case.get("given", ""))
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    x, inputs = encoded(dataset, split, experiment)
    own = case.get("test_samples", 0)
    assert dataset.test == own
    assert len(dataset.y) == case["samples"] + own
    assert x.shape == (case["samples"] + own, case["features"])
    if own:
        assert split.test.tolist() == list(range(case["samples"], case["samples"] + own))
    if "classes" in case:
        counts = np.bincount(dataset.y[: case["samples"]], minlength=len(dataset.classes))
        assert dict(zip(dataset.classes, counts.tolist(), strict=True)) == case["classes"]
    if "target" in case:
        assert f"target {case['target']}" in told(dataset) or case["target"] in told(dataset)
    if "columns" in case:
        assert list(inputs) == case["columns"]
    if "first" in case:
        assert x[0].tolist() == case["first"]
    for words in case.get("said", ()):
        assert words in told(dataset)


@pytest.mark.parametrize("file", [f for f, case in CASES.items() if "error" in case])
def test_a_file_that_cannot_be_used_says_why_in_one_line(file):
    with pytest.raises(InputError) as caught:
        load_dataset(experiment_on(file))
    message = str(caught.value)
    assert CASES[file]["error"] in message
    assert "note" in message
    assert "--drop when,note" in message
    assert "\n" not in message


def read(path: Path, content: str | bytes, **settings) -> Dataset:
    """The data set in a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_dataset(Experiment(dataset=str(path), **settings))


def rows_of(lines: int = 20, form: str = "{a:.1f},{b},{label}") -> list[str]:
    """Rows whose values tell their number and column: 0.5 and 100 in the first, 1.5 and 101 in the second."""
    return [form.format(a=n + 0.5, b=100 + n % 7, label="uv"[n % 2]) for n in range(lines)]


EXPECTED = np.array([[n + 0.5, 100 + n % 7] for n in range(20)])


@pytest.mark.parametrize(
    ("name", "form", "before", "end"),
    [
        ("comma.csv", "{a},{b},{label}", "a,b,label", "\n"),
        ("semicolon.csv", "{a};{b};{label}", "a;b;label", "\n"),
        ("tab.tsv", "{a}\t{b}\t{label}", "a\tb\tlabel", "\n"),
        ("blanks.txt", "  {a}   {b} {label}  ", " a b   label", "\n"),
        ("crlf.csv", "{a},{b},{label}", "a,b,label", "\r\n"),
        ("old-mac.csv", "{a},{b},{label}", "a,b,label", "\r"),
        ("quoted.csv", '"{a}","{b}","{label}"', '"a","b","label"', "\n"),
        ("single.csv", "'{a}','{b}','{label}'", "'a','b','label'", "\n"),
        ("spaced.data", "{a}, {b}, {label}", "a, b, label", "\n"),
        ("comments.csv", "{a},{b},{label}", "# made up\n% twice\na,b,label", "\n"),
        ("trailing.csv", "{a},{b},{label},", "a,b,label,", "\n"),
        ("blank-lines.csv", "{a},{b},{label}\n", "\na,b,label\n", "\n"),
    ],
)
def test_a_text_table_is_read_whatever_its_layout(tmp_path, name, form, before, end):
    lines = "\n".join([before, *rows_of(form=form)]).replace("\n", end)
    dataset = read(tmp_path / name, lines)
    assert dataset.features == ("a", "b")
    assert np.array_equal(dataset.x, EXPECTED)
    assert dataset.classes == ("u", "v")
    assert dataset.y.tolist() == [0, 1] * 10


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_an_encoding_is_found_out(tmp_path, encoding):
    text = "\n".join(["größe,b,label", *rows_of()]).replace("u", "ü")
    dataset = read(tmp_path / "table.csv", text.encode(encoding))
    assert dataset.features == ("größe", "b")
    assert dataset.classes == ("v", "ü")
    assert np.array_equal(dataset.x, EXPECTED)


def test_a_file_may_be_gzipped(tmp_path):
    dataset = read(tmp_path / "table.data.gz", gzip.compress("\n".join(rows_of()).encode()))
    assert np.array_equal(dataset.x, EXPECTED)


def test_a_header_is_taken_as_one_or_as_a_row_where_that_is_said(tmp_path):
    rows = "\n".join(["1,2,0", *["3.5,4,1", "5.5,6,0"] * 10])
    assert len(read(tmp_path / "a.csv", rows).y) == 21
    told = read(tmp_path / "a.csv", rows, header=True, target="0")
    assert (len(told.y), told.features) == (20, ("1", "2"))
    text = "\n".join(["a,b,label", *["3.5,4,u", "5.5,6,v"] * 10])
    assert len(read(tmp_path / "b.csv", text).y) == 20
    with pytest.raises(InputError, match="c1 has 'a' in row 1"):
        read(tmp_path / "b.csv", text, header=False)


def test_a_first_line_of_counts_and_class_names_names_the_classes(tmp_path):
    rows = [f"{n + 0.5},{n % 3}.5,{n % 3}" for n in range(30)]
    dataset = read(
        tmp_path / "iris_training.csv", "\n".join(["30,2,setosa,versicolor,virginica", *rows])
    )
    assert dataset.classes == ("setosa", "versicolor", "virginica")
    assert (len(dataset.y), dataset.y[:4].tolist()) == (30, [0, 1, 2, 0])


def test_rows_named_by_r_get_an_unnamed_first_column(tmp_path):
    rows = [f"row{n} {n + 0.5} {n % 5}.25 {'uv'[n % 2]}" for n in range(20)]
    dataset = read(tmp_path / "r.txt", "\n".join(["x1 x2 group", *rows]))
    assert dataset.features == ("x1", "x2")
    assert dataset.x[3].tolist() == [3.5, 3.25]


@pytest.mark.parametrize(
    ("target", "column"), [("b", 1), ("2", 1), ("-1", 2), (3, 2), ("1", 0), (None, 2)]
)
def test_a_target_is_named_or_numbered_or_left_out(tmp_path, target, column):
    rows = [f"{n % 2},{n % 3},{n % 4},{'xyz'[n % 3]}"[:-2] for n in range(24)]
    dataset = read(tmp_path / "t.csv", "\n".join(["a,b,c", *rows]), target=target)
    assert dataset.features == tuple(name for name in "abc" if "abc".index(name) != column)
    assert dataset.y.tolist() == [n % (column + 2) for n in range(24)]


def test_the_first_column_is_the_target_where_the_last_cannot_be(tmp_path):
    rows = [f"{1 + n % 3},{n / 7:.3f},{n * 13}" for n in range(60)]
    dataset = read(tmp_path / "wine.data", "\n".join(rows))
    assert dataset.classes == ("1", "2", "3")
    assert "first column" in told(dataset)


def test_several_targets_are_refused(tmp_path):
    text = "\n".join(["a,b,label", *rows_of()])
    with pytest.raises(InputError, match=r"target: found 2 columns, a,label; allowed: one"):
        read(tmp_path / "t.csv", text, target="a,label")


def test_columns_are_dropped_or_named(tmp_path):
    text = "\n".join(["a,b,label", *rows_of()])
    assert read(tmp_path / "t.csv", text, drop="a").features == ("b",)
    assert read(tmp_path / "t.csv", text, features="1").features == ("a",)
    with pytest.raises(
        InputError, match=r"drop: no such columns in 't\.csv': c, d; allowed: a, b, label"
    ):
        read(tmp_path / "t.csv", text, drop="c,b,d")
    wide = ",".join(f"f{n}" for n in range(25)) + ",Price_Range\n"
    wide += "\n".join(["1.5," * 25 + "0"] * 9)
    with pytest.raises(InputError, match="did you mean 'Price_Range'"):
        read(tmp_path / "w.csv", wide, target="price_range")


def test_an_id_is_kept_where_it_is_named(tmp_path):
    text = "\n".join(["Id,b,label", *[f"{n + 1},{n % 5},{'uv'[n % 2]}" for n in range(30)]])
    assert read(tmp_path / "t.csv", text).features == ("b",)
    assert read(tmp_path / "t.csv", text, features="all").features == ("Id", "b")


@pytest.mark.parametrize(
    ("first", "values"),
    [
        ("PassengerId", "{n}"),
        ("Unnamed: 0", "{n}"),
        ("RowNumber", "{n}"),
        ("index", "{n}"),
        ("", "{n}"),
        ("name", "Miss Nr. {n}"),
        ("code", "A-{n:04d}"),
    ],
)
def test_names_of_rows_are_left_out(tmp_path, first, values):
    rows = [f"{values.format(n=n)},{n % 5},{'uv'[n % 2]}" for n in range(30)]
    dataset = read(tmp_path / "t.csv", "\n".join([f"{first},b,label", *rows]))
    assert dataset.features == ("b",)
    assert "left out" in told(dataset)


def test_what_is_measured_is_no_id(tmp_path):
    rows = [f"{1990 + n},{70000 - 37 * n},{n * 0.5},{'uv'[n % 2]}" for n in range(30)]
    dataset = read(tmp_path / "t.csv", "\n".join(["year,population,speed,label", *rows]))
    assert dataset.features == ("year", "population", "speed")


def test_missing_values_are_counted_by_column_with_their_first_row(tmp_path):
    rows = [
        "1.5,?,u",
        "NA,x,v",
        "",
        "2.5,y,u",
        "3.5, N/A ,v",
        "4.5,null,u",
        "nan,x,v",
        *["1.5,x,u"] * 5,
    ]
    with pytest.raises(InputError) as caught:
        read(tmp_path / "t.csv", "\n".join(["width,kind,label", *rows]))
    assert "2 missing in width (first in row 3), 3 missing in kind (first in row 2)" in str(
        caught.value
    )
    assert "--missing impute" in str(caught.value)


def test_rows_with_missing_values_are_left_out(tmp_path):
    rows = rows_of()
    rows[3], rows[8] = "?,103,v", "8.5,,u"
    dataset = read(tmp_path / "t.csv", "\n".join(["a,b,label", *rows]), missing="drop")
    kept = [n for n in range(20) if n not in (3, 8)]
    assert np.array_equal(dataset.x, EXPECTED[kept])
    assert dataset.y.tolist() == [n % 2 for n in kept]


def table_with_gaps(path: Path, changed: dict[int, str] | None = None, **settings):
    """A table of 60 rows with a gap in every fifth: experiment, data set, split, inputs and names."""
    rows = [
        f"{n % 9 if n % 5 else ''},{('red', 'blue', 'green')[n % 3]},{'uv'[n % 2]}"
        for n in range(60)
    ]
    for number, row in (changed or {}).items():
        rows[number] = row
    path.write_text("\n".join(["size,colour,label", *rows]))
    experiment = Experiment(dataset=str(path), missing="impute", scale="standard", **settings)
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    return experiment, dataset, split, *encoded(dataset, split, experiment)


def test_categories_become_a_column_each_and_gaps_the_median_of_the_training_part(tmp_path):
    _, _, split, x, inputs = table_with_gaps(tmp_path / "t.csv", missing_indicator=True)
    names = ("size", "colour=blue", "colour=green", "colour=red", "size is missing")
    assert inputs == names
    train = [n for n in split.train if n % 5]
    for n in range(60):
        colour = ["red", "blue", "green"][n % 3]
        gap = n % 5 == 0
        size = np.median([m % 9 for m in train]) if gap else n % 9
        assert x[n].tolist() == [size, *(float(name.endswith(colour)) for name in names[1:4]), gap]


def test_nothing_of_the_test_part_leaks_into_the_training_part(tmp_path):
    """Whatever stands in the rows of the test part, what is trained on is the same to the last bit."""
    before = table_with_gaps(tmp_path / "a.csv", missing_indicator=True)
    rows = before[2].test
    changed = {int(n): f"{1e6 + n},violet,{'uv'[n % 2]}" for n in rows}
    after = table_with_gaps(tmp_path / "b.csv", changed, missing_indicator=True)
    assert after[4] == before[4]
    for (experiment, dataset, split, *_), name in ((before, "a"), (after, "b")):
        assert split.train.tolist() == before[2].train.tolist(), name
        x = scaled(dataset, split, experiment)
        assert np.array_equal(x[split.train], scaled(before[1], before[2], before[0])[split.train])
    # a category that the training part does not have is 0 in all columns of its feature
    assert (after[3][rows][:, 1:4] == 0).all()


def test_each_split_has_a_preparation_of_its_own(tmp_path):
    experiment, dataset, *_ = table_with_gaps(tmp_path / "t.csv", {7: "3,violet,v"}, vary="split")
    inputs = {
        len(encoded(dataset, split_rows(dataset, experiment, r), experiment)[1]) for r in range(12)
    }
    assert inputs == {4, 5}  # with violet in the training part, and without


@pytest.mark.parametrize("column", ["2024-05-01", "01/02/2023", "18.00.00", "2024-05-01T10:00:00"])
def test_dates_are_refused_with_what_to_do(tmp_path, column):
    text = "\n".join(["a,when,label", *[f"{n},{column},{'uv'[n % 2]}" for n in range(20)]])
    with pytest.raises(InputError, match=r"column when holds dates .* --drop when"):
        read(tmp_path / "t.csv", text)


def test_a_column_that_is_the_target_in_other_words_is_warned_of(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.normal() + 30 * (n % 2):.3f},{n % 2}" for n in range(80)]
    dataset = read(tmp_path / "t.csv", "\n".join(["noise,after,label", *rows]))
    assert dataset.features == ("noise", "after")
    assert any(words.startswith("after alone predicts label") for words in dataset.warnings)


def test_two_columns_that_both_tell_the_class_are_no_leak():
    assert not any(
        "predicts" in words or "away" in words for words in told(load_iris_as_file()).split(";")
    )


def load_iris_as_file() -> Dataset:
    from sklearn.datasets import load_iris

    bunch = load_iris(as_frame=True)
    return load_dataset(Experiment(dataset=bunch.frame, target="target"))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1000001, 1000002, 1000003], ("1000001", "1000002", "1000003")),
        ([True, False], ("False", "True")),
        ([-1, 1], ("-1", "1")),
        ([0.5, 1.5], ("0.5", "1.5")),
        ([10, 9, 2], ("2", "9", "10")),
        (["M", "B"], ("B", "M")),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "memory"])
def test_labels_keep_their_names(tmp_path, labels, names, kind):
    y = np.array([labels[n % len(labels)] for n in range(30)])
    frame = pd.DataFrame({"a": np.arange(30) / 3, "y": y})
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    elif kind == "npz":
        np.savez(path, a=frame["a"], y=y)
    data = (frame[["a"]], y) if kind == "memory" else path
    dataset = load_dataset(Experiment(dataset=data))
    assert dataset.classes == names
    assert [dataset.classes[k] for k in dataset.y] == [str(label) for label in y.tolist()]


def test_the_test_file_s_labels_and_columns_are_matched_by_name(tmp_path):
    (tmp_path / "test.csv").write_text("\n".join(["label,b,a", "v,7,1.5", "u,8,2.5"]))
    text = "\n".join(["a,b,label", *rows_of()])
    dataset = read(tmp_path / "train.csv", text, test_file=str(tmp_path / "test.csv"))
    assert dataset.test == 2
    assert dataset.x[-2:].tolist() == [[1.5, 7], [2.5, 8]]
    assert dataset.y[-2:].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1.5,2\n2.5,3", "'test.csv' has no column the target label"),
        ("a,b,label\n1.5,2,w", "'label' is 'w' there, first in row 2; allowed: the classes of"),
        ("a,b,label\n1.5,x,u\n2.5,y,v", "column 'b' holds 'x' in row 2, numbers in 'train.csv'"),
    ],
)
def test_a_test_file_that_does_not_fit_is_refused(tmp_path, content, message):
    (tmp_path / "test.csv").write_text(content)
    text = "\n".join(["a,b,label", *rows_of()])
    with pytest.raises(InputError) as caught:
        read(tmp_path / "train.csv", text, test_file=str(tmp_path / "test.csv"))
    assert message in str(caught.value)


def test_data_with_a_test_part_of_their_own_are_not_split_otherwise():
    for settings in ({"folds": 3}, {"test_size": 0.3}):
        experiment = Experiment(dataset=str(HOME / "images.npz"), **settings)
        with pytest.raises(InputError, match="has a test part of its own"):
            split_rows(load_dataset(experiment), experiment)


def test_images_keep_their_pixels_and_labels_their_images():
    dataset = load_dataset(experiment_on("images.npz"))
    with np.load(HOME / "images.npz") as arrays:
        x = np.concatenate([arrays["x_train"], arrays["x_test"]]).reshape(60, -1)
        y = np.concatenate([arrays["y_train"], arrays["y_test"]])
    assert dataset.x.dtype == np.uint8
    assert np.array_equal(dataset.x, x)
    assert np.array_equal(dataset.y, y)


@pytest.mark.parametrize("place", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_an_idx_file_is_read_with_the_other_of_its_pair(place):
    dataset = load_dataset(experiment_on(place))
    content = (HOME / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert np.array_equal(dataset.x.ravel(), np.frombuffer(content, np.uint8))
    labels = (HOME / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    assert dataset.y.tolist() == list(labels)


def test_idx_files_nested_in_folders_of_their_names_are_found(tmp_path):
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).mkdir()
        shutil.copy(HOME / name, tmp_path / name / name)
    nested = load_dataset(Experiment(dataset=str(tmp_path / "t10k-images-idx3-ubyte")))
    assert nested.sha256 == load_dataset(experiment_on("t10k-images-idx3-ubyte")).sha256


def test_a_sparse_test_file_may_lack_features(tmp_path):
    (tmp_path / "a.t").write_text("+1 3:2.5\n-1 1:1\n")
    dataset = load_dataset(
        Experiment(dataset=str(HOME / "sparse.svm"), test_file=str(tmp_path / "a.t"))
    )
    assert dataset.x[-2].tolist() == [0, 0, 2.5, 0, 0, 0, 0, 0]
    assert [dataset.classes[k] for k in dataset.y[-2:]] == ["1", "-1"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((6, 3)), "x_0": np.zeros(6), "y": [0, 1] * 3}, "an array 'x_0' beside one"),
        ({"x": np.zeros((6, 3)), "y": np.zeros((6, 2))}, "'y' of 'a.npz' has 2 columns"),
        ({"x": np.ones((6, 2)) * 1j, "y": [0, 1] * 3}, "array 'x' of 'a.npz' is complex"),
        ({"x": np.zeros((6, 28, 28)), "y": [0, 1]}, r"different lengths (x (6, 28, 28), y (2,))"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError) as caught:
        load_dataset(Experiment(dataset=str(tmp_path / "a.npz")))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_kinds_of_parquet_s_columns_are_read(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3] * 10, dtype="Int64"),
            "kind": pd.Categorical(["b", "a", "c"] * 10, categories=["c", "b", "a"]),
            "yes": pd.array([True, False, None] * 10, dtype="boolean"),
            "price": [Decimal("1.25"), Decimal("2.50"), Decimal("3.75")] * 10,
            "label": ["u", "v"] * 15,
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    experiment = Experiment(dataset=str(tmp_path / "t.parquet"), missing="impute")
    dataset = load_dataset(experiment)
    assert dataset.features == ("whole", "kind", "yes", "price")
    np.testing.assert_array_equal(
        dataset.x[:3], [[1, 1, 1, 1.25], [np.nan, 0, 0, 2.5], [3, 2, np.nan, 3.75]]
    )
    inputs = encoded(dataset, split_rows(dataset, experiment), experiment)[1]
    assert inputs == ("whole", "kind=a", "kind=b", "kind=c", "yes", "price")
    frame.assign(when=pd.Timestamp("2024-05-01")).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column when holds dates"):
        load_dataset(experiment)


def test_an_excel_workbook_is_refused_with_what_to_do(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    with pytest.raises(InputError, match="an Excel workbook; allowed: its sheet saved as CSV"):
        load_dataset(Experiment(dataset=str(tmp_path / "a.xlsx")))


def test_a_row_short_of_fields_is_named(tmp_path):
    rows = rows_of()
    rows[7] = "7.5,100"
    with pytest.raises(InputError, match=r"1 row short of fields \(row 9 has 2, the others 3\)"):
        read(tmp_path / "t.csv", "\n".join(["a,b,label", *rows]))
    rows[7] = "7.5,100,v,w"
    with pytest.raises(InputError, match="row 9 has 4 fields, the others 3"):
        read(tmp_path / "t.csv", "\n".join(["a,b,label", *rows]))


def test_a_file_that_is_not_there_is_named_with_the_nearest(tmp_path):
    (tmp_path / "wine.data").write_text("x")
    with pytest.raises(InputError, match=r"no file .*; did you mean .*wine\.data"):
        load_dataset(Experiment(dataset=str(tmp_path / "wine.dat")))


def test_real_targets_are_read_from_the_same_files():
    dataset = load_dataset(experiment_on("houses.csv", CASES["houses.csv"]["given"]))
    assert dataset.classes == ()
    assert dataset.y[:3].tolist() == [90000, 305000, 123000]


def test_data_in_memory_are_kept_with_the_run(tmp_path):
    frame = pd.DataFrame(
        {"a": np.arange(40) / 7, "kind": ["x", "y"] * 20, "label": ["u", "v", "v", "u"] * 10}
    )
    given = {"backends": "numpy", "epochs": 1, "eta": [0.1], "lmbd": [0.0]}
    experiment = Experiment(dataset=frame, target="label", **given)
    assert experiment == Experiment(dataset=frame.copy(), target="label", **given)
    execution = Execution(executor="serial", output=str(tmp_path), name="run")
    result = run(experiment, execution)
    kept = load_result(result.address).experiment
    assert kept == experiment
    assert load_dataset(kept).sha256 == load_dataset(experiment).sha256
    settings = read_config(tmp_path / "run" / "experiment.toml")
    assert Experiment(**settings) == experiment
    again = run(Experiment(**settings), execution)
    assert again.manifest["taken_over"]["units"] == 1
    write_report(again)


def test_changed_data_are_noticed(tmp_path):
    path, rows = tmp_path / "t.csv", rows_of()
    path.write_text("\n".join(["a,b,label", *rows]))
    given = {"backends": "numpy", "epochs": 1, "eta": [0.1], "lmbd": [0.0]}
    execution = Execution(executor="serial", output=str(tmp_path), name="run")
    run(Experiment(dataset=path, **given), execution)
    toml = (tmp_path / "run" / "experiment.toml").read_text()
    assert "# data: target label, by its name" in toml
    path.write_text("\n".join(["a,b,label", *rows[1:]]))
    with pytest.raises(InputError, match=r"'t\.csv' has changed since"):
        run(Experiment(dataset=path, **given), execution)


def test_a_relative_path_is_found_from_the_run_s_own_folder(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("\n".join(rows_of()))
    folder = tmp_path / "results" / "run"
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text('dataset = "t.csv"\n')
    monkeypatch.chdir(folder)
    assert read_config(Path("experiment.toml"))["dataset"] == str(tmp_path / "t.csv")


def test_a_feature_constant_but_for_round_off_is_only_shifted(tmp_path):
    rows = [f"{14.62 if n else 14.63},{n % 7},{'uv'[n % 2]}" for n in range(40)]
    experiment = Experiment(dataset=str(tmp_path / "t.csv"), scale="standard", dtype="float64")
    dataset = read(tmp_path / "t.csv", "\n".join(["a,b,label", *rows]))
    split = Split(np.arange(1, 30), np.arange(30, 40), np.arange(1))
    x = scaled(dataset, split, experiment)
    assert (x[split.train, 0] == 0).all()
    assert x[0, 0] == np.float32(14.63 - 14.62)


# values that stand for a missing one

MARKED = "age,bmi,temp,y\n" + "".join(
    f"{-999 if n % 9 == 0 else 20 + n},{'unknown' if n % 10 == 3 else 20.5 + n % 7},"
    f"{-200 if n % 12 == 5 else n % 11},{n % 2 or -1}\n"
    for n in range(60)
)


def test_values_that_are_said_to_be_missing_are(tmp_path):
    file = tmp_path / "marked.csv"
    file.write_text(MARKED)
    named = {"missing_values": "-999,unknown,temp=-200,-1", "missing": "impute"}
    dataset = load_dataset(Experiment(dataset=str(file), **named))
    gone = np.isnan(dataset.x)
    rows = np.arange(60)
    expected = np.stack([rows % 9 == 0, rows % 10 == 3, rows % 12 == 5], axis=1)
    assert np.array_equal(gone, expected)
    assert dataset.x[1].tolist() == [21, 21.5, 1]
    assert dataset.classes == ("-1", "1")  # a class keeps its name, whatever else that may mean
    assert "7 in age, 6 in bmi, 5 in temp" in told(dataset)
    dropped = load_dataset(Experiment(dataset=str(file), **named | {"missing": "drop"}))
    assert len(dropped.x) == 60 - expected.any(axis=1).sum()


def test_a_test_part_has_the_same_values_missing(tmp_path):
    for name, rows in (("a.csv", MARKED), ("b.csv", MARKED.replace("-999", "-999.0"))):
        (tmp_path / name).write_text(rows.replace("unknown", "9"))
    files = {"dataset": str(tmp_path / "a.csv"), "test_file": str(tmp_path / "b.csv")}
    dataset = load_dataset(Experiment(**files, missing_values="-999", missing="impute"))
    assert np.isnan(dataset.x[:60, 0]).sum() == np.isnan(dataset.x[60:, 0]).sum() == 7


def test_a_regression_target_may_be_missing_by_a_value(tmp_path):
    (tmp_path / "m.csv").write_text(MARKED)
    given = {"target": "temp", "task": "regression", "drop": "bmi", "missing": "drop"}
    dataset = load_dataset(
        Experiment(dataset=str(tmp_path / "m.csv"), missing_values="-200", **given)
    )
    assert dataset.y.min() == 0
    assert len(dataset.y) == 55


def test_likely_markers_are_warned_of_and_named_with_their_flag(tmp_path):
    file = tmp_path / "marked.csv"
    file.write_text(MARKED.replace("unknown", "9"))
    said = told(load_dataset(Experiment(dataset=str(file))))
    assert "-999 in age (7 times)" in said
    assert "--missing-values -200" in said
    for marker in ("-2147483648", "99999999", "-3.4e+38", "-99999999"):
        file.write_text(MARKED.replace("unknown", "9").replace("-200", marker))
        said = told(load_dataset(Experiment(dataset=str(file))))
        given = re.findall(r"in temp .*?--missing-values ([^;]+)", said)
        assert given == [marker]
        settings = {"missing_values": given[0], "missing": "impute"}
        assert "5 in temp" in told(load_dataset(Experiment(dataset=str(file), **settings)))
    file.write_text("a,b,y\n" + "".join(f"{n % 5 - 2},{n % 3 * 9},{n % 2}\n" for n in range(60)))
    assert "--missing-values" not in told(load_dataset(Experiment(dataset=str(file))))


def test_one_word_among_numbers_is_refused_with_the_flag_that_reads_it(tmp_path):
    (tmp_path / "m.csv").write_text(MARKED)
    with pytest.raises(InputError, match="--missing-values unknown; or leave them out: --drop bmi"):
        load_dataset(Experiment(dataset=str(tmp_path / "m.csv")))
    with pytest.raises(InputError, match="did you mean 'temp'"):
        load_dataset(Experiment(dataset=str(tmp_path / "m.csv"), missing_values="tmp=0"))


def test_categories_and_gaps_of_openml_are_what_it_says(tmp_path, monkeypatch):
    """From a stored answer; categories that are numbers are categories all the same."""
    openml.store(tmp_path)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(
        InputError, match=r"2 missing in age \(first in row 2\), 2 missing in smoker"
    ):
        load_dataset(Experiment(dataset="openml:patients"))
    experiment = Experiment(dataset="openml:patients", missing="impute")
    dataset = load_dataset(experiment)
    assert dataset.source == "OpenML patients, version 3"
    assert dataset.classes == ("no", "yes")
    assert dataset.y.tolist() == [0, 1, 1, 0, 1, 0, 0, 1]
    assert dataset.features == ("age", "blood group", "ward", "smoker")  # no identifier, no remark
    assert dataset.categories == ((), ("A", "AB", "B", "O"), ("1", "10", "2"), ("no", "yes"))
    gap = np.nan
    right = [
        [34.5, gap, 71.0, 28.25, 55.0, gap, 49.0, 63.75],
        [3, 1, 0, 3, 2, 0, 3, 1],
        [1, 0, 2, 0, 1, 2, 0, 1],
        [0, 1, gap, 0, 1, gap, 1, 1],
    ]
    np.testing.assert_array_equal(dataset.x.T, right)
    x, _ = encoded(dataset, split_rows(dataset, experiment), experiment)
    assert np.isfinite(x).all()


def test_a_damaged_answer_of_openml_is_one_line(tmp_path, monkeypatch):
    openml.store(tmp_path)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    features = next(tmp_path.rglob("features/7.gz"))
    features.write_bytes(gzip.compress(b'{"data_features": {"feature": [{"name": "age"}]}}'))
    with pytest.raises(InputError, match="'openml:patients' could not be fetched"):
        load_dataset(Experiment(dataset="openml:patients"))


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


ARFF = "@relation t\n@attribute a numeric\n@attribute c {u,v}\n@data\n1,u\n"
HEADED = "a,b,label\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("names.csv", HEADED, "holds no rows, only the names of 3 columns"),
        ("commas.csv", ",,\n,,\n", "one column only"),
        ("one-class.csv", HEADED + "1,2,u\n3,4,u\n" * 5, "one class only, 'u'"),
        ("quote.csv", HEADED + '1,2,u\n"3,4,v\n5,6,u\n', "a quote in row 3 that is never closed"),
        ("quote-above.csv", 'a,"b,label\n1,2,u\n3,4,v\n', "a quote in row 1 that is never closed"),
        (
            "huge.csv",
            HEADED + "".join(f"{10**45 + n},1,u\n{n},2,v\n" for n in range(6)),
            "in row 2",
        ),
        ("when.csv", HEADED + "1,3. Mar 2024,u\n2,4. Mai 2024,v\n" * 5, "b holds dates"),
        ("page.csv", "\n<!DOCTYPE html>\n<html>a, b</html>\n", "a web page"),
        ("lfs.csv", "version https://git-lfs.github.com/spec/v1\nsize 5\n", "pointer of Git LFS"),
        ("table.json", '[{"a": 1, "b": 2},\n {"a": 2, "b": 3}]', "is JSON"),
        ("packed.csv.bz2", bz2.compress(HEADED.encode()), "packed with bzip2"),
        (
            "objects.npz",
            npz(x=np.array([[1], ["a"]], object), y=[0, 1]),
            "array 'x' of 'objects.npz'",
        ),
        ("fields.npz", npz(x=np.zeros(4, "f4,i4"), y=[0, 1] * 2), "has fields (f0, f1)"),
        ("nothing.npz", npz(), "holds no arrays"),
        ("no-rows.npz", npz(x=np.zeros((0, 3)), y=[]), "holds no rows"),
        ("no-target.npz", npz(x=np.arange(120).reshape(40, 3) / 7), "none is called y, label"),
        (
            "parts.npz",
            npz(x_train=np.ones((4, 3)), y_train=[0, 1] * 2, x_test=np.ones((2, 4)), y_test=[0, 1]),
            "shape (3,) for training, (4,) in the test part",
        ),
        ("array.npy", b"\x93NUMPY\x01\x00v\x00{}", "one NPY array"),
        ("no-data.arff", ARFF.partition("@data")[0], "no line @data"),
        ("undeclared.arff", ARFF + "2,v\n3,w\n4,u\n", "from row 7, '3,w'"),
        ("sparse.arff", ARFF.replace("1,u", "{0 1, 1 u}"), "sparse ARFF"),
        ("text.arff", ARFF.replace("a numeric", "a string"), "text attributes a"),
        ("bad.svm", "0 1:2 2:3\n1 1:2 2:x\n0 1:3 2:4\n", "from row 2, '1 1:2 2:x'"),
        ("wide.svm", "1 1:2 3000000000:1\n0 1:3\n", "from row 1"),
        ("x-images-idx3-ubyte", b"\0\0\x08\x04" + b"\0" * 40, "begins with the number 2052"),
        ("torn.parquet", b"PAR1" + b"\0" * 40, "cannot be read (it begins like Parquet"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, name, content, words):
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\1\0")
    with pytest.raises(InputError) as caught:
        read(tmp_path / name, content)
    assert words in str(caught.value)
    assert "; allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_test_file_is_refused(tmp_path):
    (tmp_path / "test.csv").write_text(HEADED)
    with pytest.raises(InputError, match=r"'test\.csv' holds no rows"):
        read(
            tmp_path / "t.csv", HEADED + "1,2,u\n3,4,v\n" * 5, test_file=str(tmp_path / "test.csv")
        )


@pytest.mark.parametrize(
    ("text", "first", "said"),
    [
        (
            "a;b;c\n" + "1.234,5;0,5;u\n-2.000.000,25;1,5;v\n" * 5,
            [1234.5, -2e6 - 0.25],
            "grouped by .",
        ),
        ("a,b,c\n" + '"1,234.5",0.5,u\n7,1.5,v\n' * 5, [1234.5, 7], "grouped by ,"),
        ("a,b,c\n" + "$1.50,0.5,u\n$0.25,1.5,v\n" * 5, [1.5, 0.25], "without their $"),
        ("a,b,c\n" + "5 %,0.5,u\n0.5%,1.5,v\n" * 5, [5, 0.5], "without their %"),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, text, first, said):
    dataset = read(tmp_path / "t.csv", text)
    assert dataset.features == ("a", "b")
    assert dataset.x[:2].tolist() == [[first[0], 0.5], [first[1], 1.5]]
    assert f"numbers of a {said}" in told(dataset)


def test_texts_that_only_begin_like_numbers_stay_categories(tmp_path):
    dataset = read(tmp_path / "t.csv", HEADED + "5%,0.5,u\n$5,1.5,v\n" * 5)
    assert dataset.categories == (("$5", "5%"), ())
    dataset = read(tmp_path / "t.csv", HEADED + '"1,23",0.5,u\n"1,234",1.5,v\n' * 5)
    assert dataset.categories == (("1,23", "1,234"), ())


def test_numbers_that_a_table_holds_as_text_are_numbers(tmp_path):
    pd.DataFrame(
        {"a": [str(n) for n in range(9, 29)], "b": [0.5, 1.5] * 10, "y": ["u", "v"] * 10}
    ).to_parquet(tmp_path / "t.parquet")
    dataset = load_dataset(Experiment(dataset=str(tmp_path / "t.parquet")))
    assert dataset.x[:2].tolist() == [[9, 0.5], [10, 1.5]]


def test_a_fifo_is_read_like_a_file(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no fifo here")
    os.mkfifo(tmp_path / "fifo")
    rows = "\n".join(rows_of())
    writer = threading.Thread(target=(tmp_path / "fifo").write_text, args=[rows])
    writer.start()
    dataset = load_dataset(Experiment(dataset=str(tmp_path / "fifo")))
    writer.join()
    assert np.array_equal(dataset.x, EXPECTED)


def test_a_line_longer_than_a_field_may_be_is_read(tmp_path):
    names = ",".join(f"{'gene' * 2000}{n}" for n in range(20))  # by another delimiter one field
    dataset = read(tmp_path / "t.csv", f"{names},y|z\n" + f"{'1.5,' * 20}u\n{'2.5,' * 20}v\n" * 3)
    assert dataset.x.shape == (6, 20)
