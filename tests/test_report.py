"""A report says what was run and what came out, the same in Markdown and on the page."""

from __future__ import annotations

import dataclasses
import html.parser
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from harness.api import run, write_report
from harness.document import number_words
from harness.document.canvas import figure_file, style
from harness.document.markdown import markdown
from harness.document.page import page
from harness.document.section import Picture, Section, Table, Title
from harness.document.writer import write_sections
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.report import report_sections
from harness.report.runs import Material
from harness.results.result import Result
from harness.results.run_folder import RunFolder
from harness.stats.agreement import kappa
from harness.stats.repeats import accuracy_interval

IRIS = {
    "dataset": "iris",
    "scale": "standard",
    "backends": ["numpy", "sklearn"],
    "eta": [0.01, 0.1, 1.0],
    "lmbd": [0.0, 0.01, 1000.0],  # the last one diverges wherever eta times it is large
    "epochs": 5,
    "batch_size": 20,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a variation of a small experiment."""
    output = str(tmp_path_factory.mktemp("runs"))

    def train(name, **settings) -> Result:
        how = Execution(executor="serial", output=output, name=name)
        return run(experiment_from(IRIS | settings), how)

    return train


@pytest.fixture(scope="module")
def iris(trained):
    return trained("iris")


@pytest.fixture(scope="module")
def written(iris):
    """The folder of a written report."""
    return Path(write_report([iris])).parent


@pytest.fixture(scope="module")
def repeated(trained):
    return trained("repeated", repeats=3, epochs=2)


@pytest.fixture(scope="module")
def regression(trained):
    return trained(
        "regression",
        dataset="diabetes",
        task="regression",
        repeats=2,
        eta=[0.001, 0.01],
        lmbd=[0.0, 0.1],
    )


class Page(html.parser.HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.words = ""
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        self._cell = tag in ("td", "th") or (self._cell and tag == "code")
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data):
        self.words += data
        if self._cell:
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text that hold no pictures, header first."""
    tables, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("| "):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            if all(set(cell) <= set(" -:") for cell in cells):
                continue  # the line under the header
            rows.append([re.sub(r"\\(.)", r"\1", c).strip().replace("&lt;", "<") for c in cells])
        elif not line.startswith("|"):
            if rows and not any("![" in cell for row in rows for cell in row):
                tables.append(rows)
            rows = []
    return [[[c.replace("`", "") for c in row] for row in table] for table in tables]


def section(results, title: str) -> Section:
    return next(s for s in report_sections(results) if s.title == title)


def table(results, title: str, number: int = 0) -> pd.DataFrame:
    return section(results, title).tables[number].frame


def said(results, title: str) -> str:
    found = section(results, title)
    return "\n".join([*found.text, *found.points])


def draw_all(found: Section) -> None:
    with style():
        for picture in found.pictures:
            assert figure_file(picture.draw(), "svg")


def warned(results) -> list[str]:
    return [p for s in report_sections(results) if s.title == "Warnings" for p in s.points]


def with_records(result: Result, change) -> Result:
    """The result with changed records; ``change`` gets a copy and returns it."""
    return dataclasses.replace(result, records=change(result.records.copy()))


def test_a_run_leaves_a_heatmap_for_every_backend_and_part(written):
    names = {p.name for p in (written / "figures").iterdir()}
    for backend in ("numpy", "sklearn"):
        for part in ("train", "validation", "test"):
            assert {f"{backend}-{part}-accuracy.{kind}" for kind in ("png", "svg")} <= names
    for name in (
        "test-accuracy",
        "difference-accuracy",
        "alike-accuracy",
        "learning-curves",
        "confusion",
    ):
        assert {f"{name}.png", f"{name}.svg"} <= names


def test_the_page_needs_nothing_beside_it(written):
    text = (written / "report.html").read_text()
    found = Page(text)
    sources = [a.get("src") or "" for tag in ("img", "iframe") for a in found.all(tag)]
    assert sources == []  # the script draws what there is to see of the cells
    assert found.all("script")
    assert not any("src" in a for a in found.all("script"))
    assert all((a["href"] or "").startswith("data:") for a in found.all("link"))
    assert not re.search(r"url\(|@import", text.split("</style>")[0])


def test_the_page_can_be_read_aloud(written, iris):
    found = Page((written / "report.html").read_text())
    assert found.all("html")[0]["lang"] == "en"
    pictures = [picture for one in report_sections([iris]) for picture in one.pictures]
    assert pictures
    assert all(len(picture.alt) > 40 for picture in pictures)
    assert all(a.get("scope") in ("col", "row") for a in found.all("th"))


def test_the_contents_lead_to_every_section(written):
    found = Page((written / "report.html").read_text())
    # what is folded has its anchor inside, so that a link opens it
    marked = [a["id"] for tag, a in found.tags if tag in ("section", "div") and "id" in a]
    targets = [target for target in marked if target != "explorer"]
    links = [a["href"] for a in found.all("a") if a["href"] != "#content"]
    assert links == [f"#{target}" for target in targets]
    assert len(set(targets)) == len(targets)


def test_markdown_and_page_hold_the_same_tables(written):
    on_page = Page((written / "report.html").read_text()).tables
    in_markdown = markdown_tables((written / "report.md").read_text())
    assert len(on_page) > 8
    assert on_page == in_markdown


def test_markdown_shows_pictures_that_exist(written):
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (written / "report.md").read_text())
    assert len(links) >= 11
    assert all((written / link).stat().st_size > 1000 for link in links)


def test_the_same_result_gives_the_same_report(written, iris, tmp_path):
    again = Path(write_report([iris], str(tmp_path / "again"))).parent
    for name in ("report.md", "report.html", "figures/test-accuracy.png", "figures/confusion.svg"):
        assert (again / name).read_bytes() == (written / name).read_bytes()


def test_a_report_goes_to_any_storage(iris):
    address = write_report([iris], "memory://reports/iris")
    assert address == "memory://reports/iris/report.html"
    folder = RunFolder("memory://reports/iris")
    assert folder.read("report.html").startswith(b"<!doctype html>")
    assert "test-accuracy.png" in folder.names("figures")


def test_the_chosen_cell_is_the_results_own(iris):
    shown = table([iris], "Chosen cells").set_index("backend")
    for best in iris.best().to_dict("records"):
        row = shown.loc[best["backend"]]
        assert (row["eta"], row["lmbd"]) == (f"{best['eta']:g}", f"{best['lmbd']:g}")
        assert row["validation"] == f"{100 * best['validation_accuracy']:.2f} %"
        assert row["test"] == f"{100 * best['test_accuracy']:.2f} %"
        low, high = accuracy_interval(best["test_accuracy"], len(iris.target(0)))
        assert row["95 % interval"] == f"{100 * low:.2f} to {100 * high:.2f} %"
    assert "1/30 = 3.33 points" in said([iris], "Chosen cells")


def test_selection_optimism_is_the_gap_to_the_test_best_cell(iris):
    def change(records):
        records.loc[(records["eta"] == 0.01) & (records["lmbd"] == 0.01), "test_accuracy"] = 1.0
        chosen = iris.best().iloc[0]
        here = (records["eta"] == chosen["eta"]) & (records["lmbd"] == chosen["lmbd"])
        records.loc[here & (records["backend"] == "numpy"), "test_accuracy"] = 0.9
        return records

    row = table([with_records(iris, change)], "Chosen cells").iloc[0]
    assert row["test-best"] == "100.00 %"
    assert row["optimism"] == "+10.00 points"


def best_at(iris, eta, lmbd):
    """The result with one cell's validation score above all others."""

    def change(records):
        records["validation_accuracy"] = records["validation_accuracy"].where(
            records["status"] != "ok", 0.5
        )
        here = (records["eta"] == eta) & (records["lmbd"] == lmbd)
        records.loc[here, "validation_accuracy"] = 0.99
        return records

    return with_records(iris, change)


@pytest.mark.parametrize(
    ("eta", "lmbd", "edge"),
    [
        (1.0, 0.01, "largest eta"),
        (0.01, 0.01, "smallest eta"),
        (0.1, 0.0, "no"),  # nothing lies below lmbd = 0
        (0.1, 0.01, "no"),
    ],
)
def test_an_optimum_on_the_grids_edge_is_flagged(iris, eta, lmbd, edge):
    result = best_at(iris, eta, lmbd)
    assert table([result], "Chosen cells")["on the grid's edge"].iloc[0] == edge
    assert any("grid's edge" in w for w in warned([result])) == (edge != "no")


def test_an_axis_of_one_value_has_no_edge(trained):
    result = trained("line", eta=[0.1], lmbd=[0.001, 0.01, 0.1])
    assert not [w for w in warned([best_at(result, 0.1, 0.01)]) if "edge" in w]


def test_diverged_cells_are_warned_of_and_listed_with_their_reason(iris):
    diverged = iris.records[iris.records["status"] == "diverged"]
    assert len(diverged)
    cell = f"eta {diverged['eta'].iloc[0]:g}, lmbd {diverged['lmbd'].iloc[0]:g}"
    assert any("diverged" in w and cell in w for w in warned([iris]))
    runs = table([iris], "Runs and failures").set_index("backend")
    assert runs["diverged"].sum() == len(diverged)
    failures = table([iris], "Runs and failures", 1)
    assert set(failures["reason"]) == set(diverged["reason"])
    assert cell in failures["cells"].iloc[0]


def test_what_a_backend_cannot_do_is_said_with_the_reason(trained):
    result = trained("elu", activation="elu")
    assert "9 of 9 networks unsupported (sklearn has no activation 'elu'" in "\n".join(
        warned([result])
    )
    assert list(table([result], "Chosen cells")["backend"]) == ["numpy"]
    failures = table([result], "Runs and failures", 1).set_index("backend")
    assert (failures.loc["sklearn", "networks"], failures.loc["sklearn", "cells"]) == (9, "all")
    draw_all(section([result], "Side by side"))


def test_a_run_of_nothing_but_failures_still_has_a_report(trained):
    result = trained("nothing", activation="elu", backends=["sklearn"])
    text = Path(write_report([result])).with_suffix(".md").read_text()
    assert "No backend has a cell that trained in every repeat" in text
    assert "Heatmap of sklearn: test accuracy, eta down, lmbd across: no cell trained" in text


def test_an_unfinished_run_says_so_first(iris):
    def change(records):
        records.loc[records.index[:4], ["status", "reason"]] = ["failed", "RuntimeError: no disk"]
        return records

    result = with_records(iris, change)
    first = section([result], "Verdict").text[0]
    assert first.startswith("Unfinished. Of 18 planned networks")
    assert "4 failed" in first
    assert "RuntimeError: no disk" in set(table([result], "Runs and failures", 1)["reason"])


def test_the_verdict_counts_the_cells_that_are_labelled_alike(iris):
    both = [
        iris.predicted(b, eta, lmbd, 0)
        for eta, lmbd in iris.experiment.cells
        for b in ("numpy", "sklearn")
    ]
    pairs = [(a, b) for a, b in zip(both[::2], both[1::2], strict=True) if len(a) and len(b)]
    same = sum(np.array_equal(a, b) for a, b in pairs)
    cells = f"all {same} cells" if same == len(pairs) else f"{same} of {len(pairs)} cells"
    alike = f"In {cells} both backends label every test sample alike."
    assert alike in said([iris], "Verdict")
    unknown = replace(iris, disputes=None)
    assert f"by sklearn in {same} of {len(pairs)} cells" in said([unknown], "Verdict")


def test_agreement_counts_the_same_samples(iris):
    best = iris.best().set_index("backend")
    labels = {b: iris.predicted(b, row["eta"], row["lmbd"], 0).copy() for b, row in best.iterrows()}
    flipped = iris.predictions.copy()
    row = best.loc["sklearn"]
    here = (flipped["backend"] == "sklearn") & (flipped["eta"] == row["eta"])
    (place,) = np.flatnonzero(here & (flipped["lmbd"] == row["lmbd"]))
    labels["sklearn"][:3] = (labels["sklearn"][:3] + 1) % 3
    flipped["predicted"] = [
        labels["sklearn"] if k == place else p for k, p in enumerate(flipped["predicted"])
    ]
    shown = table([dataclasses.replace(iris, predictions=flipped)], "Agreement").iloc[0]
    differ = int((labels["numpy"] != labels["sklearn"]).sum())
    assert differ >= 3
    assert shown["labels that differ"] == f"{differ} of 30"
    assert shown["labelled alike"] == f"{100 * (1 - differ / 30):.2f} %"
    expected = cohen_kappa_score(labels["numpy"], labels["sklearn"])
    assert float(shown["Cohen's kappa"]) == pytest.approx(expected, abs=5e-5)  # four digits


def test_kappa_is_scikit_learns():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, (6, 50))
    b = np.where(rng.random((6, 50)) < 0.7, a, rng.integers(0, 4, (6, 50)))
    expected = [cohen_kappa_score(x, y) for x, y in zip(a, b, strict=True)]
    assert kappa(a[:, None], b[:, None], 4) == pytest.approx(expected, abs=1e-12)


def test_kappa_of_one_common_label_is_undefined(iris):
    predictions = iris.predictions.copy()
    predictions["predicted"] = [np.zeros_like(p) for p in predictions["predicted"]]
    constant = dataclasses.replace(iris, predictions=predictions)
    shown = table([constant], "Agreement").iloc[0]
    assert (shown["labelled alike"], shown["Cohen's kappa"]) == ("100.00 %", "undefined")


def test_one_repeat_has_no_spread_and_a_warning(iris):
    assert "Repeats" not in [s.title for s in report_sections([iris])]
    assert "1 repeat, fewer than 5: no spread can be given" in warned([iris])


def test_repeats_have_a_t_interval_with_its_formula(repeated):
    shown = table([repeated], "Repeats").iloc[0]
    best = repeated.best().iloc[0]
    records = repeated.of("numpy")
    here = (records["eta"] == best["eta"]) & (records["lmbd"] == best["lmbd"])
    values = records[here]["test_accuracy"].to_numpy()
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert shown["95 % interval"] == f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %"
    assert shown["sd"] == f"{100 * values.std(ddof=1):.2f} points"
    words = said([repeated], "Repeats")
    assert "t(0.975, n − 1) · sd / √n" in words
    assert "initial weights and order; split fixed" in words


def test_repeats_have_a_heatmap_of_their_sd(repeated):
    pictures = [p.name for p in section([repeated], "Repeats").pictures]
    assert pictures == ["sd-accuracy"]


def test_every_cell_has_its_mean_and_interval(repeated):
    shown = table([repeated], "Repeats", 1).set_index("eta, lmbd")
    assert shown.shape == (3, 3)
    values = repeated.of("numpy").query("eta == 0.1 and lmbd == 0.01")["test_accuracy"] * 100
    half = stats.t.ppf(0.975, 2) * values.std() / np.sqrt(3)
    low, high = max(values.mean() - half, 0), min(values.mean() + half, 100)
    assert shown.loc["0.1", "0.01"] == f"{values.mean():.1f} ({low:.1f} to {high:.1f})"


def test_a_cell_that_diverged_in_some_repeats_has_no_mean(repeated):
    def change(records):
        one = (records["eta"] == 0.1) & (records["lmbd"] == 0.01) & (records["repeat"] == 1)
        records.loc[one, "status"] = "diverged"
        return records

    result = with_records(repeated, change)
    assert table([result], "Repeats", 1).set_index("eta, lmbd").loc["0.1", "0.01"] == "diverged"
    assert any(
        "in some repeats and not in others" in w and "eta 0.1" in w for w in warned([result])
    )


def test_repeats_that_learnt_nothing_beside_others_that_did_are_told(repeated):
    def change(records):
        here = (records["eta"] == 0.1) & (records["lmbd"] == 0.0)
        records.loc[here, "test_accuracy"] = np.where(records.loc[here, "repeat"] == 0, 1 / 3, 0.95)
        return records

    found = [
        w for w in warned([with_records(repeated, change)]) if "some repeats learnt nothing" in w
    ]
    assert any("eta 0.1, lmbd 0 (1 of 3)" in w for w in found)


def test_regression_shows_predictions_over_true_values(regression):
    detail = section([regression], "Chosen cells in detail")
    assert [p.name for p in detail.pictures] == ["learning-curves", "predicted"]
    shown = table([regression], "Chosen cells").iloc[0]
    best = regression.best().iloc[0]
    assert shown["test"] == f"{best['test_r2']:.3f}"
    assert shown["test RMSE"] == f"{best['test_rmse']:.4g}"
    agreement = table([regression], "Agreement").iloc[0]
    a, b = (
        np.concatenate([regression.predicted(n, best["eta"], best["lmbd"], r) for r in (0, 1)])
        for n in ("numpy", "sklearn")
    )
    if agreement["same cell"]:
        expected = np.corrcoef(a, b)[0, 1]
        assert agreement["correlation of predictions"] == f"{expected:.6f}"
        assert agreement["largest difference of predictions"] == pytest.approx(np.abs(a - b).max())
    draw_all(detail)


def test_a_report_of_2500_cells_stays_readable(trained):
    axis = "1e-5:1e1:50"
    result = trained("fine", backends=["numpy"], eta=axis, lmbd=axis, epochs=1)
    page_file = Path(write_report([result]))
    assert page_file.stat().st_size < 3_000_000
    tables = markdown_tables(page_file.with_suffix(".md").read_text())
    assert max(len(rows) for rows in tables) < 60
    assert max(len(entry) for rows in tables for row in rows for entry in row) < 1000


def test_two_classes_have_a_report(trained):
    result = trained("two", dataset="breast_cancer", backends=["numpy"], repeats=2, vary="split")
    assert "stratified split" in said([result], "Repeats")
    detail = section([result], "Chosen cells in detail")
    assert "Confusion matrices." in detail.pictures[1].alt
    draw_all(detail)


def test_runs_are_set_side_by_side(iris, repeated):
    results = [iris, repeated]
    chosen = table(results, "Chosen cells")
    labels = ["numpy (iris)", "numpy (repeated)", "sklearn (iris)", "sklearn (repeated)"]
    assert list(chosen["backend"]) == labels
    assert list(table(results, "Grid and hyperparameters").columns) == ["grid", "iris", "repeated"]
    against = table(results, "Agreement", 1).set_index("backend")["against"].to_dict()
    assert against["sklearn (iris)"] == "numpy (iris)"
    assert against["sklearn (repeated)"] == "sklearn (iris)"
    assert any("other settings (epochs, repeats)" in w for w in warned(results))
    names = [p.name for p in section(results, "Heatmaps").pictures]
    assert names[:2] == ["numpy-iris-train-accuracy", "numpy-repeated-train-accuracy"]
    draw_all(section(results, "Side by side"))


def test_runs_on_other_samples_are_not_compared_label_by_label(iris, trained):
    other = trained("seeded", seed=1)
    shown = table([iris, other], "Agreement", 1)
    assert list(shown["backend"]) == ["sklearn (iris)"]
    assert any("another split" in w for w in warned([iris, other]))


def test_other_versions_and_thread_counts_are_warned_of(iris):
    manifest = iris.manifest | {
        "versions": iris.manifest["versions"] | {"numpy": "1.0"},
        "execution": iris.manifest["execution"] | {"threads": 7},
    }
    found = "\n".join(
        warned([iris, dataclasses.replace(iris, manifest=manifest, address="x/later")])
    )
    assert "other versions (numpy" in found
    assert "→ 1.0)" in found
    assert "other thread counts (7 and" in found


def test_runs_of_the_same_name_can_be_told_apart(iris):
    assert Material(
        (
            iris,
            iris,
        )
    ).names == ["iris (1)", "iris (2)"]


def test_choosing_on_the_test_set_is_called_what_it_is(trained):
    result = trained("cardinal", validation_size=0, backends=["numpy"])
    assert section([result], "Verdict").text[0].startswith("Chosen on the test set itself")
    assert "cells are chosen on the test part" in warned([result])[0]
    words = said([result], "Chosen cells")
    assert "The test set has no part in it" not in words
    assert "judged by its test part instead" in words
    assert "no part for validation" in table([result], "Data").set_index("data")["value"]["split"]


def test_what_was_run_is_stated(iris):
    data = table([iris], "Data").set_index("data")["value"]
    assert data["SHA-256 of the split"] == iris.manifest["dataset"]["split_sha256"]
    assert data["source"] == "sklearn.datasets.load_iris"
    assert "standard deviation" in data["preprocessing"]
    counts = table([iris], "Data", 1).set_index("part")
    assert counts.loc["test"].tolist() == [10, 10, 10]
    fixed = table([iris], "Grid and hyperparameters", 1).set_index("hyperparameter")["all backends"]
    assert (fixed["epochs"], fixed["batch_size"], fixed["hidden"]) == ("5", "20", "50")
    networks = table([iris], "Networks and conventions").set_index("backend")
    assert networks.loc["numpy", "parameters"] == 4 * 50 + 50 + 50 * 3 + 3


def test_hyperparameters_that_differ_have_a_column_for_each_backend(trained):
    result = trained("own", overrides={"sklearn": {"hidden": [7]}})
    _, differing, same, meanings = section([result], "Grid and hyperparameters").tables
    fixed = differing.frame.set_index("hyperparameter")
    assert fixed.to_dict("index") == {"hidden": {"numpy": "50", "sklearn": "7"}}
    assert not differing.folded
    assert same.folded
    shared = same.frame.set_index("hyperparameter")["all backends"]
    assert shared["epochs"] == "5"
    assert "decay" not in shared  # of a constant eta
    assert "decay" in section([result], "Grid and hyperparameters").text[0]
    assert set(shared.index) <= {row[0] for row in meanings.rows}


def test_settings_that_runs_share_are_folded_whatever_the_runs_are_called(iris, repeated):
    runs = [
        dataclasses.replace(iris, address="x/grid"),
        dataclasses.replace(repeated, address="x/b"),
    ]
    differing, same, *_ = section(runs, "Grid and hyperparameters").tables
    assert differing.header == ["grid", "grid", "b"]
    assert ["repeats", "1", "3"] in differing.rows
    assert same.folded
    assert same.frame.set_index("grid")["all runs"]["seed"] == str(iris.experiment.seed)


def test_conventions_are_a_table_of_quantities_by_backends(iris):
    _, here, default, others = section([iris], "Networks and conventions").tables
    assert here.header == default.header == others.header == ["quantity", "numpy", "sklearn"]
    told = iris.manifest["backends"]["sklearn"]["conventions"]
    shown = {row[0]: row[2] for row in (*here.rows, *others.rows)}
    assert {c["quantity"]: c["here"] for c in told}.items() <= shown.items()
    assert default.folded
    assert others.folded


def test_conventions_are_those_that_a_run_has_a_use_for(iris):
    def of_use(**settings) -> set[str]:
        result = replace(iris, experiment=iris.experiment.model_copy(update=settings))
        return {row[0] for row in section([result], "Networks and conventions").tables[1].rows}

    plain = of_use()
    assert {"penalty", "minibatches"} <= plain
    assert not plain & {"Adam", "momentum", "stopping", "two classes", "short last minibatch"}
    assert of_use(optimizer="adam") - plain == {"Adam", "Adam epsilon"}
    assert of_use(momentum=0.9) - plain == {"momentum"}
    assert of_use(patience=3) - plain == {"stopping"}


def test_the_answer_is_of_those_that_trained_and_names_those_that_did_not(iris):
    def change(records):
        own = records["backend"] == "sklearn"
        records.loc[own, ["status", "reason"]] = ["unsupported", "it cannot"]
        third = records[~own].assign(backend="third")
        return pd.concat([records, third], ignore_index=True)

    backends = ("numpy", "sklearn", "third")
    experiment = iris.experiment.model_copy(update={"backends": backends})
    p = iris.predictions
    twin = p[p["backend"] == "numpy"].assign(backend="third")
    three = replace(
        with_records(iris, change),
        experiment=experiment,
        predictions=pd.concat([p, twin], ignore_index=True),
        disputes=None,
    )
    answer = section([three], "Answer").text[0]
    assert answer.startswith(
        "The same network: all 7 cells labelled identically by numpy and third."
    )
    assert answer.endswith("sklearn trained no cell (unsupported).")


def test_of_repeats_the_answer_tells_their_spread(repeated):
    best, sure = table([repeated], "Answer")["answer"]
    assert "the mean over 3 repeats" in best
    test = max(
        (choice.values("test_accuracy") for choice in Material((repeated,)).choices),
        key=lambda values: values.mean(),
    )
    ends = number_words.score_range(test.min(), test.max(), "accuracy")
    assert f"score {ends}; their mean's 95 % interval is" in sure


def test_a_changed_commit_and_a_clipped_minibatch_are_told_in_words(iris):
    changed = replace(iris, manifest=iris.manifest | {"git_commit": "abc-dirty"})
    machine = table([changed], "Reproduction").set_index("machine")["value"]
    assert machine["git commit"] == "abc, with changes not committed"
    large = replace(iris, experiment=iris.experiment.model_copy(update={"batch_size": 500}))
    fixed = table([large], "Grid and hyperparameters", 1).set_index("hyperparameter")
    samples = iris.manifest["dataset"]["parts"]["train"]
    assert fixed.loc["batch_size"].item() == f"500, clipped to the {samples} training samples"


def test_warnings_are_folded_unless_one_is_severe(iris):
    assert "nothing severe" in section([iris], "Warnings").summary
    noted = dataclasses.replace(
        iris, manifest=iris.manifest | {"notes": ["the test part was used"]}
    )
    assert section([noted], "Warnings").summary == ""
    assert warned([noted])[0] == "the test part was used"


def test_how_to_do_it_again_is_stated(iris):
    found = section([iris], "Reproduction")
    assert found.code
    versions = table([iris], "Reproduction", 1).set_index("library")["value"]
    assert versions["numpy"] == np.__version__
    machine = table([iris], "Reproduction").set_index("machine")["value"]
    assert machine["CPU"] == iris.manifest["machine"]["cpu"]


def test_time_and_memory_are_stated_with_their_regime(iris):
    shown = table([iris], "Time and memory").set_index("backend")
    assert shown.loc["numpy", "networks"] == 9
    assert shown.loc["numpy", "peak memory"].endswith("iB")
    assert "executor serial" in said([iris], "Time and memory")


def test_an_old_manifest_without_details_still_has_a_report(iris):
    keep = {k: v for k, v in iris.manifest["dataset"].items() if k != "class_counts"}
    old = dataclasses.replace(iris, manifest={"dataset": keep, "backends": {}})
    assert [s.title for s in report_sections([old])] == [s.title for s in report_sections([iris])]


def test_other_verbs_can_add_sections(iris):
    extra = Section("Parity", text=["All well."])
    titles = [s.title for s in report_sections([iris], [extra])]
    place = titles.index("Parity")
    assert titles[place - 1 : place + 2] == ["Chosen cells in detail", "Parity", "Data"]


def test_an_added_section_is_written_with_its_pictures():
    from matplotlib.figure import Figure

    frame = pd.DataFrame({"cell": ["a"], "distance": [1e-7]})
    picture = Picture("chaos", Figure, "Chaotic cells.", "A map of chaotic cells.")
    extra = Section("Parity", text=["All well."], tables=[Table(frame)], pictures=[picture])
    folder = RunFolder("memory://reports/extra")
    write_sections(Title("parity", ""), [extra], folder, "parity")
    assert folder.names("figures") == ["chaos.png", "chaos.svg"]
    for name in ("parity.md", "parity.html"):
        text = folder.read(name).decode()
        assert all(words in text for words in ("All well.", "1e-07", "A map of chaotic cells."))


def test_two_pictures_of_one_name_are_refused():
    from matplotlib.figure import Figure

    twice = Section("Twice", pictures=[Picture("one", Figure, "", "")] * 2)
    with pytest.raises(ValueError, match="two pictures are called 'one'"):
        write_sections(Title("t", ""), [twice], RunFolder("memory://reports/twice"))


def test_names_from_data_cannot_break_a_report():
    hostile = "<script>alert(1)</script> | *x* `y [z](w)"
    content = [Section(hostile, text=[hostile], tables=[Table(pd.DataFrame({hostile: [hostile]}))])]
    title = Title(hostile, hostile)
    found = Page(page(title, content, {}))
    assert not found.all("script")
    assert found.tables == [[[hostile], [hostile]]]
    text = markdown(title, content)
    assert "<script" not in text
    without_code = hostile.replace("`", "'")  # a lone backtick would open code
    assert markdown_tables(text) == [[[without_code], [without_code]]]


def test_a_report_needs_a_run():
    with pytest.raises(InputError, match="at least one run folder"):
        write_report([])


def test_importing_the_report_loads_nothing_heavy():
    code = (
        "import sys, harness.report; "
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_folds_of_unequal_size_have_a_report_and_their_intervals_a_caveat(trained):
    folds = trained("folds", dataset="wine", folds=5, repeats=5)
    assert len({len(folds.target(repeat)) for repeat in range(5)}) == 2
    assert "claim nothing about new data" in said([folds], "Repeats")
    shown = table([folds], "Agreement").iloc[0]
    assert shown["labels that differ"].endswith("of 178")  # every sample is tested once
    assert "35 to 36 test samples" in said([folds], "Verdict")
    draw_all(section([folds], "Agreement"))


def test_intervals_over_repeats_on_one_split_have_no_such_caveat(repeated):
    assert "claim nothing about new data" not in said([repeated], "Repeats")
