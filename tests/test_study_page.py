"""A study's live map in a browser: its numbers are the table's, and a cell opens its point's grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_study_tables import made_up

from harness.document import number_words
from harness.document.page import page
from harness.document.section import Section, Title
from harness.study.map_values import study_explorer
from harness.study.maps import StudyTable
from harness.study.section import _maps_section, study_table

HOSTILE = "</script><img src=x onerror=window.evil=1>"
AXES = {
    "dataset": ["iris", "wine"],
    "activation": ["tanh", HOSTILE],
    "hidden": ["5", "6,4", "none"],
}
LOST, REFUSED = ("wine", HOSTILE, "5"), ("iris", "tanh", "none")


@pytest.fixture(scope="module")
def table() -> StudyTable:
    """Random scores of 12 points; one was trained to nothing and one cannot be run."""
    made = made_up(AXES, lambda *_: 0.5, ("numpy", "sklearn"), lost=[LOST], eta=(0.1, 1.0))
    rng, records, points = np.random.default_rng(5), made.records, made.points
    ok = records["status"] == "ok"
    for part in ("train", "validation", "test"):
        scores = rng.integers(20, 31, len(records)) / 30  # many a tie, which the loss decides
        records[f"{part}_accuracy"] = np.where(ok, scores, np.nan)
        records[f"{part}_loss"] = np.where(ok, rng.random(len(records)), np.nan)
    (refused,) = points.index[(points[list(AXES)] == list(REFUSED)).all(axis=1)]
    points.loc[refused, ["folder", "status"]] = ["", "unsupported"]
    points["reason"] = np.where(points.index == refused, "no such network", "")
    return study_table(replace(made, records=records[records["point"] != refused], points=points))


@pytest.fixture(scope="module")
def address(table, tmp_path_factory) -> str:
    place = tmp_path_factory.mktemp("page") / "study.html"
    maps = _maps_section(table, [])
    sections = [Section("Best points", text=["The best."], kind="verdict"), maps]
    drawings = {picture.name: b"<svg/>" for picture in maps.pictures}
    place.write_text(page(Title("a", "b"), sections, drawings, study_explorer(table)), "utf-8")
    return place.as_uri()


def shown(visited) -> list[str]:
    """What stands in the cells of all maps, row by row."""
    texts = visited.locator("#x-maps svg text[text-anchor=middle]:not(.ink)").all()
    return [text.text_content() for text in texts]


def in_cells(table: StudyTable, means: pd.Series, rows: str, columns: str) -> list[str]:
    """The same of a series of scores by backend, rows and columns."""
    words = []
    for backend in ("numpy", "sklearn"):
        for row in AXES[rows]:
            for column in AXES[columns]:
                value = means.get((backend, row, column), np.nan)
                words.append(number_words.shown_score(value, "accuracy", 1).removesuffix(" %"))
    return words


def test_the_map_has_the_numbers_of_the_table_whatever_is_chosen(visit, table, address):
    seen = visit(address, ready="#x-maps svg")
    assert seen.locator("#x-maps svg").count() == 2
    seen.select_option("#x-rows", label="activation")
    seen.select_option("#x-columns", label="hidden")
    best = table.best(["backend", "activation", "hidden"])["test_accuracy"]
    expected = in_cells(table, best, "activation", "hidden")
    lacking = [k for k, words in enumerate(expected) if words == number_words.NOTHING]
    assert len(lacking) == 4  # lost at one data set, or refused
    assert shown(seen) == ["◦" if k in lacking else words for k, words in enumerate(expected)]
    told = seen.inner_text(".told")
    assert "eta at what is best on the validation part" in told
    assert "the mean over dataset" in told
    # the others fixed, averaged
    seen.select_option("#x-of-0", label="iris")
    seen.select_option("#x-of-4", label="averaged")
    seen.select_option("#x-score", label="validation accuracy")
    own = table.cells[table.cells["dataset"] == "iris"]
    means = own.groupby(["backend", "activation", "hidden"])["validation_accuracy"].mean()
    expected = in_cells(table, means, "activation", "hidden")
    assert shown(seen) == ["–" if words == number_words.NOTHING else words for words in expected]
    assert "dataset is iris" in seen.inner_text(".told")
    assert "the mean over eta" in seen.inner_text(".told")
    # best of everything, and what one asks for twice changes places
    for axis in (0, 3, 4):
        seen.select_option(f"#x-of-{axis}", "best")
    seen.select_option("#x-columns", label="activation")
    assert seen.eval_on_selector("#x-rows", "s => s.selectedOptions[0].text") == "hidden"
    best = table.ordered().drop_duplicates(["hidden", "activation"])
    scores = best.set_index(["hidden", "activation"])["validation_accuracy"]
    assert shown(seen) == [
        f"{100 * scores[hidden, activation]:.1f}"
        for hidden in AXES["hidden"]
        for activation in AXES["activation"]
    ]
    assert "which is easiest" in seen.inner_text(".told")
    # the address brings all of it back
    again = visit(seen.url, ready="#x-maps svg")
    assert again.inner_text(".told") == seen.inner_text(".told")
    assert shown(again) == shown(seen)


def test_a_cell_opens_the_inner_grid_of_its_point(visit, table, address):
    seen = visit(address, ready="#x-maps svg")
    seen.select_option("#x-rows", label="activation")
    seen.select_option("#x-columns", label="hidden")
    first = seen.locator("#x-maps svg").first
    first.focus()
    seen.keyboard.press("Home")
    seen.keyboard.press("ArrowRight")
    assert seen.inner_text("#x-readout").startswith("activation tanh, hidden 6,4 numpy")
    assert "the mean of 2" in seen.inner_text("#x-readout")
    seen.keyboard.press("Enter")
    own = table.ordered().query("activation == 'tanh' and hidden == '6,4' and backend == 'numpy'")
    best = own.iloc[0]
    assert seen.evaluate("document.activeElement.id") == "point-title"
    title = f"Inner grid: dataset {best['dataset']}, activation tanh, hidden 6,4"
    assert seen.inner_text("#point-title") == title
    why = seen.inner_text("#x-why")
    assert "2 points; open is the one that is best on the validation part" in why
    assert f"points/{best['point']}/report.html" in seen.get_attribute("#x-page", "href")
    score = number_words.shown_score(best["test_accuracy"], "accuracy")
    assert f"numpy chose eta {best['eta']:g}, lmbd 0: {score}" in seen.inner_text(
        "#x-point-readout"
    )
    other = next(name for name in AXES["dataset"] if name != best["dataset"])
    seen.select_option("#x-point", label=title.replace(best["dataset"], other)[12:])
    assert seen.inner_text("#point-title").startswith(f"Inner grid: dataset {other}")
    seen.keyboard.press("Escape")  # in a select it is the select's
    seen.locator(".cell .maps svg").first.focus()
    seen.keyboard.press("Escape")
    assert seen.inner_text("#x-readout").startswith("activation tanh, hidden 6,4 numpy")
    # a pointer; a point that cannot be run says why
    seen.select_option("#x-of-0", label="iris")
    box = first.bounding_box()
    columns = seen.locator("#x-maps svg").first.locator("text[text-anchor=middle]:not(.ink)")
    where = columns.nth(2).bounding_box()
    first.click(position={"x": where["x"] - box["x"] + 4, "y": where["y"] - box["y"] + 6})
    assert "no such network" in seen.inner_text(".cell")
    assert seen.evaluate("window.evil") is None
    assert seen.locator("noscript figure").count() == 0


def test_it_fits_and_is_accessible(visit, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen = visit(f"{address}#point=1", 400, scheme="dark", ready=".cell .maps svg")
    for width in (1400, 900, 400):
        seen.set_viewport_size({"width": width, "height": 900})
        assert seen.evaluate("document.documentElement.scrollWidth") <= width
    told = [
        (v["id"], [n["html"] for n in v["nodes"]])
        for v in axe.Axe().run(seen).response["violations"]
    ]
    assert told == []


def test_without_scripts_the_pictures_stand_in_for_the_map(browser, address):
    context = browser.new_context(java_script_enabled=False)
    seen = context.new_page()
    seen.goto(address)
    assert (
        seen.locator("figure img").count() == 6
    )  # every two of dataset, activation, hidden; each by eta
    context.close()
