"""What is odd about a table and has to be told: labels with units, several targets, columns alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from harness.data.dataset import load_dataset
from harness.data.encoding import encoded
from harness.data.split import split_rows
from harness.errors import InputError
from harness.experiment.experiment import Experiment


def load(tmp_path, text, name="odd.csv", **settings):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_dataset(Experiment(dataset=str(path), **settings))


@pytest.mark.parametrize("labels", [("5%", "10%"), ("$1,000", "$2,500"), ("€ 3", "€ 4")])
def test_labels_with_a_unit_keep_their_names(tmp_path, labels):
    rows = [f'{n / 7:.3f};{n % 9}%;"{labels[n % 2]}"' for n in range(40)]
    dataset = load(tmp_path, "\n".join(["a;share;dose", *rows]), target="dose")
    assert dataset.classes == tuple(sorted(labels))
    assert [dataset.classes[k] for k in dataset.y[:2]] == list(labels)
    assert dataset.x[8, 1] == 8
    told = "; ".join(dataset.decisions)
    assert "numbers of share without their %" in told
    assert "numbers of dose" not in told


def test_a_test_files_labels_keep_their_unit_as_well(tmp_path):
    for name, rows in (("train.csv", 40), ("test.csv", 11)):
        lines = [f"{n / 7:.3f},{n % 9},{(5, 10)[n % 2]}%" for n in range(rows)]
        (tmp_path / name).write_text("\n".join(lines))
    experiment = Experiment(
        dataset=str(tmp_path / "train.csv"), test_file=str(tmp_path / "test.csv"), target="3"
    )
    dataset = load_dataset(experiment)
    assert dataset.classes == ("10%", "5%")
    assert dataset.y[-11:].tolist() == [1 - n % 2 for n in range(11)]


def test_a_target_with_a_unit_is_a_number_in_regression(tmp_path):
    rows = [f"{n / 7:.3f},{n % 9},{n}.5%" for n in range(40)]
    dataset = load(tmp_path, "\n".join(["a,b,y", *rows]), task="regression")
    assert dataset.y[3] == 3.5


@pytest.mark.parametrize("row", [0, 3])
def test_several_labels_in_a_row_of_svmlight_are_refused(tmp_path, row):
    rows = ["1 1:0.5 2:1.5", "2 1:0.25 2:1.0"] * 10
    rows[row] = "1,3 1:0.5 2:7"
    with pytest.raises(
        InputError, match=f"several labels in row {row + 1}, 1,3; allowed: one label"
    ):
        load(tmp_path, "\n".join(rows) + "\n", "multi.svm")


def test_columns_that_hold_the_same_are_told(tmp_path):
    frame = pd.DataFrame(
        {
            "a": [n / 7 for n in range(60)],
            "zero": [0] * 60,
            "kind": [["red", "blue"][n % 5 == 0] for n in range(60)],
            "twin": [n / 7 for n in range(60)],
            "colour": [["red", "blue"][n % 5 == 0] for n in range(60)],
            "shape": [["round", "flat"][n % 5 == 0] for n in range(60)],
            "nought": [0] * 60,
            "near": [n / 7 if n != 31 else 0.5 for n in range(60)],
            "label": ["pq"[n % 3 == 0] for n in range(60)],
        }
    )
    warnings = load(tmp_path, frame.to_csv(index=False)).warnings
    alike = [words for words in warnings if "the same values" in words]
    assert alike == [
        "a, twin hold the same values, of which one is enough: --drop twin",
        "kind, colour hold the same values, of which one is enough: --drop colour",
    ]


def test_columns_aligned_by_blanks_may_have_a_tab_among_them(tmp_path):
    rows = [
        f'{n}.0   {n % 8}   {n * 7:<8}  {"?" if n == 4 else f"{n * 11}."}\t"car  {n % 3} of {n}"'
        for n in range(40)
    ]
    text = "\n".join(["mpg   cylinders   weight   power   name", *rows])
    dataset = load(tmp_path, text, "cars.data", target="mpg", task="regression", missing="impute")
    assert dataset.features == ("cylinders", "weight", "power")
    assert dataset.x[3].tolist() == [3, 21, 33]
    assert "delimiter blanks" in dataset.decisions


def test_tabs_between_texts_with_blanks_are_the_delimiter(tmp_path):
    rows = [f"a text {n % 3}\t{n}.5\t{'xy'[n % 2]}" for n in range(30)]
    dataset = load(tmp_path, "\n".join(rows), "texts.tsv")
    assert dataset.x.shape == (30, 2)
    assert dataset.categories[0] == ("a text 0", "a text 1", "a text 2")


def test_blanks_around_values_of_arff_are_none_of_theirs(tmp_path):
    rows = [
        f"{'AEI'[n % 3]} , {n / 7:.2f} , {'?' if n == 2 else 'U'} ,'x , y' , {'BC'[n % 2]} "
        for n in range(30)
    ]
    head = ["@relation verbs", "@attribute first { A , E , I } ", "@attribute number numeric"]
    head += [
        "@attribute third {U,V }",
        "@attribute fourth { 'x , y' ,z}",
        "@attribute class { B , C } ",
    ]
    text = "\n".join([*head, "@data", *rows])
    dataset = load(tmp_path, text, "verbs.arff", missing="impute", features="all")
    assert dataset.classes == ("B", "C")
    assert dataset.categories == (("A", "E", "I"), (), ("U",), ("x , y",))
    assert dataset.x[4, :2] == pytest.approx([1, 0.57])
    assert dataset.x[2, 2] != dataset.x[2, 2]


def test_a_first_column_without_a_name_may_be_names(tmp_path):
    rows = [f'"car {n}",{n / 3:.2f},{n % 4},{"ab"[n % 2]}' for n in range(30)]
    dataset = load(tmp_path, "\n".join(['"","mpg","cyl","kind"', *rows]))
    assert "unnamed first column left out, it names the rows" in dataset.decisions
    assert dataset.features == ("mpg", "cyl")


def test_a_class_too_small_for_all_parts_is_told(tmp_path):
    rows = [f"{n / 3:.2f},{n * n % 7},{'rare' if n == 5 else 'ab'[n % 2]}" for n in range(30)]
    dataset = load(tmp_path, "\n".join(["a,b,kind", *rows]))
    assert any(words.startswith("rare: fewer than 3 samples") for words in dataset.warnings)


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_gaps_and_categories_become_what_scikit_learn_makes_of_them(seed, marked):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": rng.choice(list("xyzw"), 40),
            "n": rng.normal(size=40).round(1),
            "b": rng.choice(["u", "v", None], 40),
            "m": rng.choice([1.0, 2.0, np.nan], 40),
            "rare": [*"qr", *[None] * 38],
            "y": rng.choice(["p", "q"], 40),
        }
    )
    experiment = Experiment(
        dataset=frame, target="y", missing="impute", missing_indicator=marked, features="all"
    )
    dataset = load_dataset(experiment)
    split = split_rows(dataset, experiment)
    most = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    one_hot = make_pipeline(most, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = [(str(n), one_hot if n in (0, 2, 4) else median, [n]) for n in range(5)]
    steps += [("gaps", MissingIndicator(error_on_new=False), list(range(5)))] if marked else []
    expected = ColumnTransformer(steps).fit(dataset.x[split.train]).transform(dataset.x)
    assert np.array_equal(encoded(dataset, split, experiment)[0], expected.astype(float))
