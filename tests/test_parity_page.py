"""parity's page in a browser: maps of errors by mouse and keyboard, the curve of a tensor, three widths."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recorded_kinds import judged
from tournament import COMMON, TASKS, Written

from harness.document.page import page
from harness.document.section import Title
from harness.experiment.experiment import experiment_from
from harness.parity import error_values
from harness.parity.error_values import errors_explorer
from harness.parity.parity import Parity, parity
from harness.parity.record import write_parity
from harness.recordings.misfit_values import misfits_explorer
from harness.recordings.section import recorded_sections

SUSPECT = "faults:Summed"
HOSTILE = "</script><img src=x onerror=window.evil=1>"


@pytest.fixture(scope="module")
def found() -> Parity:
    """Two backends over two cells, of which one sums where it should average."""
    settings = {"dataset": "iris", "scale": "standard", "hidden": [4], "epochs": 3, "repeats": 1}
    grid = {"eta": [0.01, 0.1], "lmbd": [0.01], "backends": ["numpy", SUSPECT]}
    return parity(experiment_from(settings | grid), locate=False)


@pytest.fixture(scope="module")
def address(found, tmp_path_factory) -> str:
    return Path(write_parity(found, str(tmp_path_factory.mktemp("parity")))).as_uri()


def at(found: Parity, backend: str, dtype: str, tensor: str, step: int):
    """The errors of one tensor after one step, cell by cell."""
    e = found.errors
    return e[
        (e["backend"] == backend)
        & (e["dtype"] == dtype)
        & (e["tensor"] == tensor)
        & (e["step"] == step)
    ]


def test_a_map_tells_errors_and_marks_the_first_departure(visit, address, found):
    shown = visit(address)
    maps = shown.locator(".maps svg")
    assert maps.count() == 4
    assert shown.inner_text("main p").startswith(f"Disagree: {SUSPECT}")
    told = [svg.get_attribute("aria-label") for svg in maps.all()]
    assert [f"first departure: W1 after step {found.steps[0]}" in words for words in told] == [
        False,
        True,
        False,
        True,
    ]
    maps.first.focus()
    shown.keyboard.press("Home")
    rows = at(found, "numpy", "float32", "W1", found.steps[0])
    worst = rows.loc[(rows["relative"] / rows["tolerance"]).idxmax()]
    said = shown.inner_text(".readout")
    assert said.startswith(f"numpy float32 W1 after step {found.steps[0]}: ")
    share = worst["relative"] / worst["tolerance"]
    assert f"{float(f'{share:.2g}'):g} of what is allowed" in said
    assert f"error {worst['relative']:.1e}".replace("e-0", "e−") in said
    assert "judged in 2 of 2 cells" in said
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("ArrowRight")
    assert shown.inner_text(".readout").startswith(f"numpy float32 b1 after step {found.steps[1]}")
    shown.keyboard.press("Escape")
    assert shown.inner_text(".readout").startswith("Point at")


def test_enter_or_a_click_opens_the_curve_of_a_tensor(visit, address, found):
    shown = visit(address)
    assert shown.inner_text("#tensor-title") == "W1, float32"
    shown.locator(".maps svg").last.focus()
    for key in ("End", "ArrowUp", "Enter"):
        shown.keyboard.press(key)
    assert shown.evaluate("document.activeElement.id") == "tensor-title"
    assert shown.inner_text("#tensor-title") == "loss, float64"
    assert "W1 after step" in shown.inner_text(".cell .note")
    shown.keyboard.press("Escape")
    assert "; at loss after step" in shown.evaluate("document.activeElement.ariaLabel")
    shown.keyboard.press("Enter")
    for cell, eta in enumerate((0.01, 0.1)):
        shown.select_option("#x-cell", str(cell))
        shown.wait_for_selector(f"#x-curves[aria-label*='eta {eta}'] svg")
        first = shown.locator(".cell tbody tr").first.locator("td").all_inner_texts()
        rows = [at(found, name, "float64", "loss", found.steps[0]) for name in ("numpy", SUSPECT)]
        own = [r.loc[r["eta"] == eta, "relative"].item() for r in rows]
        assert first[:2] == [
            re.sub("e-0?", "e−", f"{value:.1e}") if value else "0" for value in own
        ]
    shown.locator(".maps svg").first.click(position={"x": 60, "y": 34})
    assert shown.inner_text("#tensor-title") == "W1, float32"


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_it_fits_and_is_accessible(visit, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    shown = visit(address, width, scheme=scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    broken = axe.Axe().run(shown).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in broken] == []
    shown.click("nav a:has-text('Chaos map')")  # a link to what is folded opens it
    assert shown.locator("#chaos-map img").is_visible()
    if scheme == "light":
        assert len(re.findall(rb"/Type\s*/Page\b", shown.pdf(format="A4"))) <= 4


def test_of_many_cells_the_worst_are_kept_and_what_overflows_is_a_number_of_json(
    found, monkeypatch
):
    monkeypatch.setattr(error_values, "_MOST_NUMBERS", 10)
    errors = found.errors.copy()
    here = (errors["backend"] == SUSPECT) & (errors["eta"] == 0.1)
    errors.loc[here, "relative"] = np.nan
    errors.loc[errors["backend"] == "numpy", "relative"] = 0.0
    values = errors_explorer(replace(found, errors=errors)).values
    assert values["cells"] == ["eta 0.01, lmbd 0.01", "eta 0.1, lmbd 0.01"]
    right, wrong, *_ = values["maps"]
    assert right["share"][0][0] == 0
    assert right["first"] is None
    assert wrong["share"][0][0] == 1e308
    assert wrong["worst"][0][0] == 1
    assert values["notes"]
    assert errors_explorer(replace(found, errors=errors.iloc[:0])) is None


def test_a_recordings_steps_are_mapped_and_a_hostile_name_stays_one(visit, tmp_path):
    late = {"rate": lambda s, eta: eta * (1.5 if s.step >= 9 else 1)}
    backend = type("Hooked", (Written,), {"hooks": late})()
    settings = COMMON | TASKS["iris"] | {"activation": "tanh", "epochs": 20}
    told = judged(backend, settings | {"backends": ["numpy"]}, "float64", tmp_path, 60)
    told.recording.about["name"] = HOSTILE
    explorer = misfits_explorer([told])
    (one,) = explorer.values["maps"]
    assert len(one["steps"]) == 40
    tensor, column = one["first"]
    assert one["steps"][column] <= told.step <= one["ends"][column]
    assert len(one["whole"]["share"][tensor]) == 60
    text = page(Title("Recording", HOSTILE), recorded_sections(told), {}, explorer)
    (tmp_path / "shown.html").write_text(text, "utf-8")
    shown = visit((tmp_path / "shown.html").as_uri(), 400)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 400
    label = shown.get_attribute(".maps svg", "aria-label")
    assert "first departure" in label
    assert HOSTILE in label
    assert shown.evaluate("window.evil") is None
