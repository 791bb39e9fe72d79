"""Two sides are equivalent, different or undecided, cell by cell, and nothing is claimed in vain."""

import dataclasses
import io
import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console

from harness.api import run
from harness.cli.sections import show_section
from harness.compare.comparison import compare
from harness.compare.formats import comparison_json, write_comparison
from harness.compare.section import (
    comparison_headline,
    comparison_section,
    comparison_summary,
    difference_words,
    method_words,
    notable_cells,
    pair_names,
    pair_words,
)
from harness.document.canvas import style
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from

IRIS = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ["numpy", "sklearn"],
    "eta": [0.01, 0.1, 1.0],
    "lmbd": [1e-4, 1e-2],
    "epochs": 5,
    "batch_size": 16,
    "repeats": 4,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a variation of a small experiment."""
    output = str(tmp_path_factory.mktemp("runs"))

    def train(name, **settings):
        how = Execution(executor="serial", output=output, name=name)
        return run(experiment_from(IRIS | settings), how)

    return train


@pytest.fixture(scope="module")
def iris(trained):
    return trained("iris")


def with_scores(result, backend, change):
    """The result with one backend's test scores changed; ``change`` maps its records to new scores."""
    records = result.records.copy()
    own = records["backend"] == backend
    records.loc[own, "test_accuracy"] = change(records[own])
    return dataclasses.replace(result, records=records)


def test_backends_on_one_plan_are_identical(iris):
    comparison = compare(iris)
    assert set(comparison.cells["verdict"]) == {"identical"}
    assert (comparison.outcome, comparison.exit_code) == ("equivalent", 0)
    assert pair_words(comparison, "numpy", "sklearn") == (
        "numpy and sklearn have identical scores in all 6 cells; no label differs"
    )


def test_a_difference_within_the_margin_is_equivalent(iris):
    noise = np.random.default_rng(0).normal(0.001, 0.0002, len(iris.of("sklearn")))
    near = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] - noise)
    comparison = compare(near, margin=0.01)
    assert set(comparison.cells["verdict"]) == {"equivalent"}
    assert comparison.exit_code == 0
    assert "equivalent within 1 point in 6 of 6 cells" in pair_words(comparison, "numpy", "sklearn")


def test_a_difference_beyond_the_margin_is_against(iris):
    noise = np.random.default_rng(0).normal(0.1, 0.001, len(iris.of("sklearn")))
    far = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] - noise)
    comparison = compare(far)
    assert set(comparison.cells["verdict"]) == {"different"}
    assert comparison.exit_code == 1
    assert "6 differ by more" in pair_words(comparison, "numpy", "sklearn")


def test_an_erratic_difference_is_undecided_and_says_what_it_needs(iris):
    noise = np.tile([0.02, -0.02, 0.01, 0.0], 6)
    erratic = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] + noise)
    comparison = compare(erratic)
    assert set(comparison.cells["verdict"]) == {"undecided"}
    assert (comparison.outcome, comparison.exit_code) == ("inconclusive", 3)
    assert (comparison.cells["needed"] > 4).all()
    assert "more repeats" in pair_words(comparison, "numpy", "sklearn")


def test_a_difference_on_the_margin_says_that_repeats_are_no_help(iris):
    noise = np.tile([0.02, 0.0, 0.02, 0.0], 6)
    on_edge = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] + noise)
    comparison = compare(on_edge)
    assert (comparison.cells["needed"] == -1).all()
    assert "too close to the margin" in pair_words(comparison, "numpy", "sklearn")


def test_chaotic_cells_are_set_apart(iris):
    far = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] - (own["eta"] == 1) * 0.5)
    chaos = pd.DataFrame(iris.experiment.cells, columns=["eta", "lmbd"])
    chaos["chaotic"] = chaos["eta"] == 1
    comparison = compare(far, chaos=chaos)
    assert comparison.exit_code == 0
    assert pair_words(comparison, "numpy", "sklearn") == (
        "numpy and sklearn have identical scores in all 4 stable cells; no label differs; "
        "2 cells are chaotic"
    )


def test_comparing_nothing_is_not_agreement(iris):
    chaos = pd.DataFrame(iris.experiment.cells, columns=["eta", "lmbd"]).assign(chaotic=True)
    comparison = compare(iris, chaos=chaos)
    assert comparison.exit_code == 3
    assert "no stable cell" in comparison_headline(comparison)


def test_divergence_on_one_side_is_against(iris):
    records = iris.records.copy()
    lost = (records["backend"] == "sklearn") & (records["eta"] == 1) & (records["repeat"] == 2)
    records.loc[lost, "status"] = "diverged"
    records.loc[lost, "test_accuracy"] = np.nan
    comparison = compare(dataclasses.replace(iris, records=records))
    assert comparison.exit_code == 1
    assert "in 2 only one of them diverged" in pair_words(comparison, "numpy", "sklearn")


def test_a_backend_that_failed_in_a_cell_leaves_it_open(iris):
    records = iris.records.copy()
    lost = (records["backend"] == "sklearn") & (records["eta"] == 1)
    records.loc[lost, ["status", "test_accuracy"]] = ["failed", np.nan]
    comparison = compare(dataclasses.replace(iris, records=records))
    assert comparison.exit_code == 3


def test_a_collapse_of_one_side_is_told_and_not_averaged(iris):
    def collapse(own):
        down = (own["eta"] == 1) & (own["repeat"] == 0)
        return own["test_accuracy"].where(~down, 0.2)

    comparison = compare(with_scores(iris, "sklearn", collapse))
    cells = comparison.cells[comparison.cells["eta"] == 1]
    assert set(cells["verdict"]) == {"bimodal"}
    assert list(cells["collapsed_right"]) == [1, 1]
    assert comparison.exit_code == 3


def test_one_repeat_is_decided_on_its_samples(trained):
    single = trained("single", repeats=1)
    worse = single.predictions.copy()
    wrong = [
        (predicted + (backend == "sklearn")) % 3
        for backend, predicted in zip(worse["backend"], worse["predicted"], strict=True)
    ]
    worse["predicted"] = pd.Series(wrong)
    target = single.target(0)
    scores = [float((p == target).mean()) for p in wrong]
    records = single.records.assign(test_accuracy=scores)
    comparison = compare(dataclasses.replace(single, records=records, predictions=worse))
    learned = comparison.cells[comparison.cells["p_mcnemar"] < 0.001]
    assert len(learned) > 0
    assert set(learned["verdict"]) == {"different"}
    assert comparison.exit_code == 1


def test_one_repeat_can_not_show_equivalence(trained):
    single = trained("single", repeats=1)
    moved = with_scores(single, "sklearn", lambda own: own["test_accuracy"] + 0.001)
    comparison = compare(moved)
    assert comparison.exit_code == 3
    assert "cannot be decided from one repeat" in pair_words(comparison, "numpy", "sklearn")


def test_three_backends_with_one_repeat_have_cochrans_q(trained):
    single = trained("single", repeats=1)
    third = single.records[single.records["backend"] == "numpy"].assign(backend="third")
    guesses = single.predictions[single.predictions["backend"] == "numpy"].assign(backend="third")
    guesses["predicted"] = [(p + 1) % 3 for p in guesses["predicted"]]
    three = dataclasses.replace(
        single,
        records=pd.concat([single.records, third], ignore_index=True),
        predictions=pd.concat([single.predictions, guesses], ignore_index=True),
    )
    assert (compare(three).cochran["holm"].dropna() < 0.05).any()
    assert compare(single).cochran.empty


def test_flips_are_the_labels_that_differ(iris):
    predictions = iris.predictions.copy()
    at = predictions.index[predictions["backend"] == "sklearn"][0]
    flipped = predictions["predicted"].loc[at].copy()
    flipped[:3] = (flipped[:3] + 1) % 3
    predictions["predicted"] = [
        flipped if k == at else p for k, p in predictions["predicted"].items()
    ]
    comparison = compare(dataclasses.replace(iris, predictions=predictions))
    assert comparison.cells["flips"].tolist() == [3, 0, 0, 0, 0, 0]
    assert "3 labels differ" in pair_words(comparison, "numpy", "sklearn")


def test_a_run_is_identical_to_itself(iris):
    comparison = compare(iris, iris)
    assert comparison.exit_code == 0
    assert comparison.pairs == [
        ("numpy (first)", "numpy (second)"),
        ("sklearn (first)", "sklearn (second)"),
    ]


def test_two_runs_are_compared_backend_by_backend_and_their_settings_named(iris, trained):
    longer = trained("longer", epochs=30, backends=["numpy"])
    comparison = compare(iris, longer)
    assert comparison.pairs == [("numpy (iris)", "numpy (longer)")]
    assert comparison.exit_code != 0
    assert "epochs: 5 in iris, 30 in longer" in difference_words(comparison)


def test_two_runs_of_one_backend_each_are_compared_with_one_another(trained):
    mine = trained("mine", backends=["numpy"])
    theirs = trained("theirs", backends=["sklearn"])
    assert compare(mine, theirs).pairs == [("numpy (mine)", "sklearn (theirs)")]


def test_more_cells_and_repeats_on_one_side_do_no_harm(iris, trained):
    wider = trained("wider", eta=[0.01, 0.1, 0.3, 1.0], repeats=5, backends=["numpy"])
    comparison = compare(iris, wider)
    assert len(comparison.cells) == 6
    assert set(comparison.cells["verdict"]) == {"identical"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "different split"),
        ({"dataset": "wine"}, "different data"),
        ({"eta": [0.2]}, "share no cell"),
    ],
)
def test_what_can_not_be_paired_is_refused(iris, trained, settings, message):
    other = trained(message.replace(" ", "-"), backends=["numpy"], repeats=1, **settings)
    with pytest.raises(InputError, match=message):
        compare(iris, other)


def test_one_backend_alone_is_refused(trained):
    alone = trained("mine", backends=["numpy"])
    with pytest.raises(InputError, match="two or more, or a second run"):
        compare(alone)


@pytest.mark.parametrize("margin", [0, 1, -0.1])
def test_a_margin_must_be_one(iris, margin):
    with pytest.raises(InputError, match="margin"):
        compare(iris, margin=margin)


def test_regression_is_compared_by_r2(trained):
    diabetes = {"dataset": "diabetes", "task": "regression", "eta": [0.01], "lmbd": [0.1]}
    comparison = compare(trained("diabetes", **diabetes))
    assert comparison.metric == "r2"
    assert "flips" not in comparison.cells
    assert comparison.exit_code == 0


def test_repeats_with_splits_of_their_own_are_compared(trained):
    comparison = compare(trained("splits", vary="split"))
    assert comparison.exit_code == 0
    assert "the stratified split" in comparison.varies
    assert comparison.cells["own_flips_left"].isna().all()  # no test sample in common


def test_the_files_say_what_the_screen_says(iris, tmp_path):
    noise = np.tile([0.02, -0.02, 0.01, 0.0], 6)
    comparison = compare(with_scores(iris, "sklearn", lambda own: own["test_accuracy"] + noise))
    write_comparison(comparison, str(tmp_path))
    stored = json.loads((tmp_path / "compare.json").read_text())
    assert stored == json.loads(json.dumps(comparison_json(comparison)))
    assert stored["headline"] in (tmp_path / "compare.md").read_text()
    assert len(stored["cells"]) == len(pd.read_csv(tmp_path / "compare.csv")) == 6
    assert len(notable_cells(comparison)) == 6
    assert (tmp_path / "figures" / "differences.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/svg+xml" in (tmp_path / "compare.html").read_text()


def test_the_command_prints_the_answer_and_exits_with_it(iris, tmp_path, capsys):
    from harness.cli.compare import compare_command as command

    with pytest.raises(typer.Exit) as exit_:
        command(iris.address, output=str(tmp_path))
    assert exit_.value.exit_code == 0
    out = capsys.readouterr().out
    assert "identical scores in all 6 stable cells" in out
    assert (tmp_path / "compare.html").exists()
    with pytest.raises(typer.Exit):
        command(iris.address, output=str(tmp_path), chaos=False, json=True)
    assert json.loads(capsys.readouterr().out)["outcome"] == "equivalent"


def test_a_large_comparison_fits_on_a_screen_and_says_what_is_equal_once(iris):
    noise = np.random.default_rng(0).normal(0.02, 0.02, 24)
    small = compare(with_scores(iris, "sklearn", lambda own: own["test_accuracy"] - noise))
    pairs = list(combinations(("numpy", "sklearn", "tensorflow", "keras", "mine"), 2))

    def large(scale):
        frames = [
            small.cells.assign(
                left=left,
                right=right,
                eta=small.cells["eta"] / 10.0**k,
                difference=small.cells["difference"] * (1 + scale * place),
            )
            for place, (left, right) in enumerate(pairs)
            for k in range(8)
        ]
        return dataclasses.replace(small, cells=pd.concat(frames, ignore_index=True))

    for comparison in (large(0), large(0.1)):
        out = Console(width=80, file=io.StringIO())
        show_section(comparison_summary(comparison), out, rest="in compare.md")
        lines = out.file.getvalue().splitlines()
        assert len(lines) <= 40
        assert comparison_headline(comparison).startswith(lines[0].strip().rstrip("."))
        assert any("more: in compare.csv" in line for line in lines)
    (cells,) = comparison_summary(large(0)).tables
    open_ = len(notable_cells(large(0)))
    assert len(cells.frame) == open_ // len(pairs)  # what is equal in all pairs shares a row
    assert "numpy, sklearn − tensorflow" in pair_names([pairs[1], pairs[4]])
    page = next(t for t in comparison_section(large(0.1)).tables if "open" in t.caption)
    assert f"({open_ - len(page.frame)} more in compare.csv)" in page.caption


def test_the_cell_that_differs_most_is_one_of_those_counted(iris):
    noise = np.random.default_rng(0).normal(0, 1e-4, 24)

    def apart(
        own,
    ):  # beyond the margin at eta 0.01; further, but erratic and so undecided, at eta 1
        erratic = np.tile([0.9, -0.2, 0.6, 0.3], 6)
        far = np.where(own["eta"] == 0.01, 0.05 + noise, np.where(own["eta"] == 1, erratic, 0))
        return own["test_accuracy"] - far

    comparison = compare(with_scores(iris, "sklearn", apart))
    cells = comparison.cells.set_index("eta")["verdict"]
    assert set(cells[0.01]) == {"different"}
    assert set(cells[1.0]) <= {"undecided", "bimodal"}
    assert "2 differ by more, most at eta 0.01" in pair_words(comparison, "numpy", "sklearn")


def test_folds_of_unequal_size_count_whole(trained):
    folds = trained("folds", dataset="wine", folds=5, repeats=5)
    sizes = [len(folds.target(repeat)) for repeat in range(5)]
    assert len(set(sizes)) == 2
    predictions = folds.predictions.copy()
    mine = predictions["backend"] == "sklearn"
    predictions["predicted"] = [
        (p + 1) % 3 if own else p for p, own in zip(predictions["predicted"], mine, strict=True)
    ]
    comparison = compare(dataclasses.replace(folds, predictions=predictions))
    assert set(comparison.cells["labels"]) == {178}  # every sample of wine is tested once
    assert set(comparison.cells["flip_share"]) == {1.0}
    assert comparison.samples == tuple(sizes)
    assert "claim nothing about new data" in method_words(comparison)


def test_the_map_marks_what_survives_false_discovery_control(iris):
    noise = np.random.default_rng(0).normal(0, 1e-3, 24)
    moved = with_scores(
        iris, "sklearn", lambda own: own["test_accuracy"] - noise - 0.1 * (own["eta"] == 1)
    )
    comparison = compare(moved)
    survives = comparison.cells["q"] < comparison.alpha
    assert survives.tolist() == (comparison.cells["eta"] == 1).tolist()
    (picture,) = comparison_section(comparison).pictures
    assert "survives false-discovery control" in picture.caption
    with style():
        axis = picture.draw().axes[0]
    (dots,) = [line for line in axis.get_lines() if len(line.get_xdata()) == survives.sum()]
    assert set(np.floor(dots.get_ydata())) == {2.0}  # the row of eta 1


def test_the_cell_table_has_the_exact_permutation_p(iris):
    noise = np.tile([0.02, -0.02, 0.01, 0.0], 6)
    erratic = with_scores(iris, "sklearn", lambda own: own["test_accuracy"] + noise)
    comparison = compare(erratic)
    shown = next(t for t in comparison_section(comparison).tables if "open" in t.caption).frame
    assert shown["p (permutation)"].tolist() == notable_cells(comparison)["p_permutation"].tolist()


def test_runs_that_cannot_be_compared_are_refused_before_anything_is_trained(
    iris, trained, capsys, tmp_path
):
    from harness.cli.compare import compare_command

    other = trained("reseeded", backends=["numpy"], repeats=1, seed=1)
    with pytest.raises(InputError, match="different split"):
        compare_command(iris.address, other.address, output=str(tmp_path))
    with pytest.raises(InputError, match="margin"):
        compare_command(iris.address, margin=2.0, output=str(tmp_path))
    assert "round-off" not in capsys.readouterr().err  # what it says before it makes the chaos maps
