"""The page in a browser: every control by mouse and keyboard, three widths, hostile names in all places."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.api import run, write_report
from harness.document import number_words
from harness.document.page import json_text, page
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.report import cell_values as explorer_values
from harness.report.answer import answer_kind, answer_section, of_picked_pair
from harness.report.cell_values import cell_values
from harness.report.explorer import cells_explorer
from harness.report.report import report_title
from harness.report.runs import Material
from harness.results.result import Result
from harness.stats.agreement import mcnemar

HOSTILE = [
    "<img src=x onerror=window.evil=1>",
    "</script><script>window.evil=1</script>",
    "=HYPERLINK(1)",
    "\x1b]0;evil\x07",
]
VIEWS = ["value", "difference", "alike", "kind", "sd", "seconds"]


def flipped(result: Result, backend: str, cell: int) -> Result:
    """The result with the first test sample of one cell labelled otherwise by one backend."""
    eta, lmbd = result.experiment.cells[cell]
    p = result.predictions.copy()
    here = (p["backend"] == backend) & (p["eta"] == eta) & (p["lmbd"] == lmbd) & (p["repeat"] == 0)
    (row,) = p.index[here]
    labels = np.array(p["predicted"][row])
    labels[0] = (labels[0] + 1) % 2
    p["predicted"] = [labels if k == row else own for k, own in p["predicted"].items()]
    return replace(result, predictions=p, disputes=None)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Result:
    """Two backends on a file whose class labels, columns and folder are hostile; one label is flipped."""
    folder = tmp_path_factory.mktemp("page") / "a <b> & 'c'"
    folder.mkdir()
    rng = np.random.default_rng(0)
    y = np.repeat(HOSTILE, 15)
    x = rng.normal(size=(60, 2)) + np.repeat(np.arange(4), 15)[:, None]
    frame = pd.DataFrame(x, columns=["<i>f", "g"]).assign(kind=y)
    frame.to_parquet(folder / "wild.parquet")
    experiment = Experiment(
        dataset=str(folder / "wild.parquet"),
        target="kind",
        backends=("numpy", "sklearn"),
        eta=(0.01, 0.1, 1.0),
        lmbd=(0.0, 0.01, 1000.0),
        epochs=3,
        batch_size=12,
        repeats=2,
    )
    made = run(experiment, Execution(executor="serial", output=str(folder), name="<b>bold"))
    return flipped(made, "sklearn", 4)


@pytest.fixture(scope="module")
def address(result, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("written")
    return Path(write_report([result], str(folder))).as_uri()


def written(results, tmp_path) -> str:
    """The address of a page that has an answer and the cells, and no more."""
    material = Material(tuple(results))
    head, explorer = report_title(material.results), cells_explorer(material)
    (tmp_path / "page.html").write_text(
        page(head, [answer_section(material)], {}, explorer), "utf-8"
    )
    return (tmp_path / "page.html").as_uri()


def numbers(page, number=0) -> list[str]:
    """The numbers that stand in the cells of a map."""
    texts = page.locator(".maps svg").nth(number).locator("text[text-anchor=middle]").all()
    shown = [text.text_content() for text in texts if text.get_attribute("class") != "ink"]
    return [text for text in shown if text[-1].isdigit()]


def answered(*results) -> str:
    """The answer's sentence and its table, in one text."""
    section = answer_section(Material(results))
    return " ".join([*section.text, *(str(v) for t in section.tables for v in t.frame["answer"])])


def readout(page) -> str:
    return page.inner_text(".readout")


def test_the_answer_and_the_maps_stand_on_the_first_screen(visit, address):
    page = visit(address)
    assert page.inner_text("#answer p").startswith("Not decided:")
    assert page.locator("#answer tbody tr").count() == 2
    boxes = [svg.bounding_box() for svg in page.locator(".maps svg").all()]
    assert boxes
    assert max(box["y"] + box["height"] for box in boxes) < 900
    assert page.locator(".cell h3").inner_text().startswith("Cell eta ")


def test_every_view_can_be_chosen_and_says_what_it_shows(visit, address):
    page = visit(address)
    offered = page.eval_on_selector_all("#x-show option", "all => all.map(o => o.value)")
    assert offered == VIEWS
    seen = set()
    for view in VIEWS:
        page.select_option("#x-show", view)
        assert page.locator(".maps svg").count() >= 1
        seen.add(page.inner_text(".legend b"))
    assert len(seen) == len(VIEWS)
    page.select_option("#x-show", "value")
    for part in ("train", "validation", "test"):
        for score in page.eval_on_selector_all(
            "#x-quantity option", "all => all.map(o => o.value)"
        ):
            page.select_option("#x-part", part)
            page.select_option("#x-quantity", score)
            assert page.inner_text(".legend b").lower().startswith(part)
    page.select_option("#x-show", "difference")
    page.select_option("#x-reference", "1")
    assert "to sklearn" in page.inner_text(".legend b")
    page.uncheck("input[data-side='0']")
    assert "Nothing to show" in page.inner_text(".maps")


def test_numbers_of_the_maps_are_the_records(visit, address, result):
    page = visit(address)
    page.select_option("#x-show", "difference")
    page.select_option("#x-show", "value")
    table = result.pivot("numpy", "test_accuracy")
    assert numbers(page) == [f"{100 * v:.1f}" for v in table.to_numpy().ravel() if np.isfinite(v)]
    page.locator(".maps svg").first.focus()
    page.keyboard.press("Home")
    assert f"{100 * table.iloc[0, 0]:.2f} %" in readout(page)


def test_arrow_keys_tell_a_cell_and_enter_opens_it(visit, address):
    page = visit(address)
    page.locator(".maps svg").first.focus()
    page.keyboard.press("Home")
    assert readout(page).startswith("eta 0.01, lmbd 0 ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert readout(page).startswith("eta 0.1, lmbd 0.01 ")
    assert "numpy" in readout(page)
    assert "sklearn" in readout(page)
    assert "eta 0.1, lmbd 0.01" in page.locator(".maps svg").first.get_attribute("aria-label")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "cell-title"
    assert page.inner_text("#cell-title") == "Cell eta 0.1, lmbd 0.01"
    assert page.evaluate("location.hash") == "#cell=0.1,0.01"
    page.locator(".maps svg").first.focus()
    page.keyboard.press("End")
    assert "lmbd 1000" in readout(page)
    page.keyboard.press("Escape")
    assert readout(page).startswith("Point at a cell")


def test_a_link_a_key_and_the_browsers_back_lead_from_a_cell_to_the_map(visit, address):
    page = visit(address)

    def there(cell: str) -> bool:
        page.wait_for_function("document.activeElement.getAttribute('role') == 'application'")
        told = page.evaluate("document.activeElement.getAttribute('aria-label')")
        return f"at {cell}" in told and "#cell" not in page.url

    page.locator(".maps svg").first.focus()
    for key in ("Home", "ArrowDown", "Enter", "Escape"):
        page.keyboard.press(key)
    assert there("eta 0.1, lmbd 0")
    page.locator(".maps svg").first.click(position={"x": 60, "y": 30})
    page.click("text=Back to the map")
    assert there("eta 0.01, lmbd 0")
    for row in (1, 4):  # whatever was opened meanwhile, one step back is the map
        page.locator(".all-cells tbody a").nth(row).press("Enter")
    assert page.evaluate("document.activeElement.id") == "cell-title"
    page.go_back()
    assert there("eta 0.1, lmbd 0.01")
    page.go_forward()
    assert page.evaluate("document.activeElement.id") == "cell-title"
    page.goto("about:blank")
    page.goto(f"{address}#cell=1,0")  # nothing to go back to: the map is one step further
    page.click("text=Back to the map")
    assert there("eta 1, lmbd 0")


def test_a_pointer_tells_a_cell_and_a_click_opens_it(visit, address):
    page = visit(address)
    box = page.locator(".maps svg").first.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 30)
    assert readout(page).startswith("eta 0.01, lmbd 0 ")
    page.mouse.click(box["x"] + 60, box["y"] + 30)
    assert page.inner_text("#cell-title") == "Cell eta 0.01, lmbd 0"


def test_a_link_opens_its_cell_with_the_samples_that_differ(visit, address, result):
    page = visit(f"{address}#cell=0.1,0.01")
    assert page.inner_text("#cell-title") == "Cell eta 0.1, lmbd 0.01"
    assert page.locator(".samples figure").count() >= 1
    p = result.predictions
    here = (p["backend"] == "numpy") & (p["eta"] == 0.1) & (p["lmbd"] == 0.01) & (p["repeat"] == 0)
    sure = p[here]["probability"].iloc[0][0]
    assert f"numpy {100 * float(f'{sure:.3g}'):.1f} % (+" in page.inner_text(".samples figure")
    assert "The closest call is row" in page.inner_text(".part .note")
    page.click("summary:has-text('Confusion matrices')")
    assert page.locator(".confusion").count() == 3
    commands = page.inner_text(".commands")
    assert "--eta 0.1 --lmbd 0.01" in commands
    assert '"eta": (0.1,)' in commands
    page.locator(".commands button").first.click()
    page.wait_for_selector(".commands button:has-text('Copied')")


def test_every_repeat_is_a_dot_beside_the_interval_of_the_mean(visit, address, result):
    page = visit(f"{address}#cell=0.1,0.01")
    assert page.locator(".repeats circle").count() == 2 * result.experiment.repeats
    told = page.get_attribute(".repeats svg", "aria-label")
    own = result.of("numpy")
    scores = own[(own["eta"] == 0.1) & (own["lmbd"] == 0.01)]["test_accuracy"]
    ends = stats.t.interval(0.95, 1, scores.mean(), stats.sem(scores))
    low, high = np.clip(ends, 0, 1)
    assert tuple(ends) != (low, high)
    words = f"numpy {100 * scores.mean():.2f} %, 95 % interval of the mean {100 * low:.2f} % to"
    assert f"{words} {100 * high:.2f} %".replace("-", "−") in told.replace("-", "−")


def test_the_table_sorts_filters_and_saves_what_is_shown(visit, address):
    page = visit(address)
    rows = page.locator(".all-cells tbody tr")
    assert rows.count() == 9
    page.click(".all-cells thead button:has-text('numpy')")
    page.click(".all-cells thead button:has-text('numpy')")
    numbers = [t for t in rows.locator("td:nth-child(3)").all_inner_texts() if "%" in t]
    assert numbers == sorted(numbers, key=lambda t: -float(t.split()[0]))
    page.fill("#x-search", "lmbd 0.01 eta 0.1,")
    assert rows.count() == 1
    page.fill("#x-search", "")
    page.check("#x-differing")
    differing = rows.count()
    assert 1 <= differing < 9
    page.click(".columns-choice summary")
    page.uncheck(".choice label:has-text('training') input")
    with page.expect_download() as download:
        page.click("button:has-text('Save CSV')")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "eta,lmbd,numpy,sklearn,least labelled alike"
    assert len(lines) == 1 + differing
    page.locator(".all-cells tbody a").first.press("Enter")
    assert page.evaluate("document.activeElement.id") == "cell-title"


def test_what_is_seen_can_be_saved(visit, address):
    page = visit(address)
    for kind, begin in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.click(f"button:has-text('Save {kind}')")
        assert Path(download.value.path()).read_bytes().startswith(begin)


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (800, "dark"), (400, "light")])
def test_it_fits_and_is_accessible(visit, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(address, width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page)
    told = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found.response["violations"]]
    assert told == []
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    regions = page.eval_on_selector_all(
        ".scroll",
        """all => all.map(e => [e.scrollWidth > e.clientWidth, e.tabIndex, e.role, e.ariaLabel != "",
        parseFloat(getComputedStyle(e, "::after").height) > 0])""",
    )
    assert all(region[1:] == [0, "region", True, region[0]] for region in regions)
    assert any(region[0] for region in regions) == (width < 1400)


def test_in_print_it_has_four_pages_at_most_and_dark_ink_on_white(visit, address):
    page = visit(address, scheme="dark")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 4
    page.emulate_media(media="print")
    colour = "e => getComputedStyle(e).fill"
    assert page.eval_on_selector(".maps svg .ink", colour) == "rgb(0, 0, 0)"
    assert page.locator("#chosen-cells table").is_visible()
    assert not page.locator("#reproduction").is_visible()
    assert not page.locator(".controls").first.is_visible()


def test_nothing_of_a_data_set_becomes_markup_or_script(visit, address):
    page = visit(f"{address}#cell=0.1,0.01")
    page.click("summary:has-text('Confusion matrices')")
    assert page.evaluate("window.evil") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("main b:text-is('bold')").count() == 0
    named = page.eval_on_selector_all(".confusion thead th", "all => all.map(th => th.title)")
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[2], "\\x1b]0;evil\\x07"} == set(named)
    policy = page.get_attribute("meta[http-equiv]", "content")
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src 'sha256-\S+' 'sha256-\S+';", policy)


def test_regions_of_two_features_are_drawn_with_the_samples_over_them(visit, address, result):
    page = visit(f"{address}#cell=0.1,0.01")
    pictures = page.locator(".regions svg")
    assert 1 <= pictures.count() <= 2  # one for backends whose regions are the same
    assert "predicted class over <i>f and g" in pictures.first.get_attribute("aria-label")
    assert pictures.first.locator("circle").count() == 60 - len(result.experiment.backends) * 5
    dark = pictures.first.locator("circle[stroke='#000']").count()
    assert dark == len(result.target(0))
    page.goto(f"{address}#cell=1,0")
    assert "eta 1, lmbd 0" in page.inner_text("#cell-title")
    assert pictures.count() >= 1


def test_lines_that_coincide_are_one_and_samples_are_those_of_two_backends(visit, result, tmp_path):
    def also(table):
        twin = table[table["backend"] == "sklearn"].assign(backend="third")
        return pd.concat([table, twin], ignore_index=True)

    curves, (eta, lmbd) = also(result.curves), result.experiment.cells[4]
    here = (curves["backend"] != "numpy") & (curves["eta"] == eta) & (curves["lmbd"] == lmbd)
    curves.loc[here, "train_loss"] *= 1.5
    curves.loc[here & (curves["backend"] == "third"), "train_accuracy"] += 1e-5
    three = replace(
        result,
        experiment=result.experiment.model_copy(
            update={"backends": (*result.experiment.backends, "third")}
        ),
        records=also(result.records),
        predictions=also(result.predictions),
        curves=curves,
    )
    page = visit(f"{written([three], tmp_path)}#cell={eta},{lmbd}")
    told = "#x-curves[aria-label$='a line for numpy; a line for sklearn, third']"
    page.wait_for_selector(told)
    assert page.locator("#x-curves svg text:text-is('sklearn, third')").count() == 1
    samples = page.locator("[aria-label='Samples labelled differently']")
    whole = samples.locator("figure").count()
    for pair, count in (("numpy and third", whole), ("sklearn and third", 0)):
        page.select_option("#x-between", label=f"{pair} ({count})")
        assert samples.locator("figure").count() == count
        assert samples.locator("h4").inner_text().startswith(f"{pair} label {count} test sample")
        assert f"of {whole} in all" in samples.locator("h4").inner_text()
        assert "sklearn" not in samples.locator(".samples").inner_text()


def test_several_runs_stand_on_one_page(visit, result, tmp_path):
    other = replace(result, address=f"{result.address}-2")
    shown = visit(written([result, other], tmp_path))
    assert shown.inner_text("#answer p").startswith("No difference between")
    assert shown.locator("#x-reference option").count() == 4
    assert shown.locator(".commands pre").count() == 6


def test_the_best_of_backends_that_are_alike_is_seldom_more_than_chance():
    rng = np.random.default_rng(0)
    truth, found = np.zeros(360, int), []
    for _ in range(200):
        labels = (rng.random((4, 360)) < 0.05).astype(int)
        wrong = labels.sum(axis=1)
        picked = labels[[wrong.argmin()]], labels[[wrong.argmax()]]
        p = float(mcnemar(*picked, truth)["p"].iloc[0])
        found.append((p, of_picked_pair(p, 6)))
    plain, corrected = (np.array(found) < 0.05).mean(axis=0)
    assert plain > 0.05
    assert corrected <= 0.05


def test_what_the_cells_say_together_is_the_answers_kind():
    def kinds(*names):
        return pd.Series(names, dtype=object)

    assert answer_kind(0, kinds(), True) == "nothing"
    assert answer_kind(9, kinds(), True) == "same"
    assert answer_kind(9, kinds("chaotic", "sensitive", "diverged"), True) == "same"
    assert answer_kind(9, kinds("chaotic", "unexplained"), True) == "not the same"
    assert answer_kind(9, kinds("stable"), True) == "not the same"
    assert answer_kind(9, kinds("chaotic", ""), True) == "undecided"
    assert answer_kind(9, kinds(""), False) == "undecided"


def test_values_are_json_that_ends_no_script():
    text = json_text({"a": [HOSTILE, 1.5, None]})
    assert not re.search(r"[<>&]", text)
    assert json.loads(text)["a"][0][0] == HOSTILE[0]
    assert "\\u001b" not in text


def test_samples_of_pictures_are_shown_as_pictures(tmp_path):
    experiment = Experiment(
        backends=("numpy", "sklearn"), eta=(0.1,), lmbd=(0.0,), epochs=1, hidden=(5,)
    )
    made = run(experiment, Execution(executor="serial", output=str(tmp_path)))
    result = flipped(made, "sklearn", 0)
    values = cell_values(Material((result,)))
    (pictures,) = values["pictures"]
    row = int(result.targets["row"].iloc[0])
    assert pictures["width"] == 8
    assert len(pictures["pixels"][str(row)]) == 64
    (pair,) = values["pairs"]
    assert pair["apart"] == [0]
    assert pair["alike"][0] < 1
    assert json.loads(json_text(values))["labels"]["rows"][0][0][0] == row


def test_who_trains_differently_is_not_said_to_be_alike(visit, result, tmp_path):
    experiment = result.experiment.model_copy(
        update={
            "overrides": {"sklearn": {"hidden": (3,)}},
            "validation_size": 0.0,
            "eta": (0.1,),
            "lmbd": (0.0, 0.01),
        }
    )
    made = run(experiment, Execution(executor="serial", output=str(tmp_path)))
    (pair,) = cell_values(Material((made,)))["pairs"]
    assert pair["apart"] == [0, 1]
    page = visit(f"{written([made], tmp_path)}#cell=0.1,0")
    assert "Trained differently" in page.inner_text(".cell")
    assert "alike" not in page.inner_text(".cell > p")
    assert page.locator(".all-cells tbody td:has-text('trained differently')").count() == 2
    assert "chosen by the test set itself" in page.inner_text(".legend")
    page.select_option("#x-show", "kind")
    assert "trained differently: unlike on purpose (2)" in page.inner_text(".legend")
    assert "validation" not in answered(made)
    assert "validation" in answered(result)


def test_differences_are_rounded_and_maps_are_one_only_if_they_are_equal(visit, result, tmp_path):
    gaps = np.array([1 / 360, -1 / 1797, 0, 1 / 1797, 1e-4, -0.1, -1 / 360, 0.02, 0])
    records = result.records.copy()
    numpy, sklearn = (records["backend"] == name for name in ("numpy", "sklearn"))
    records["status"], records["reason"] = "ok", ""
    for part in ("train", "validation", "test"):
        records[f"{part}_accuracy"] = 0.5
    records.loc[sklearn, "test_accuracy"] = 0.5 + np.repeat(gaps, 2)
    for own, chosen in ((numpy, 0.1), (sklearn, 0.01)):
        records.loc[own & (records["eta"] == chosen), "validation_accuracy"] = 0.6
    page = visit(written([replace(result, records=records)], tmp_path))
    assert page.locator(".maps svg").count() == 2
    page.select_option("#x-part", "train")  # the same values, another cell chosen
    assert page.locator(".maps svg").count() == 2
    page.select_option("#x-part", "test")
    page.select_option("#x-show", "difference")
    shown = numbers(page)
    assert shown == [number_words.difference(v, "accuracy", 1) for v in gaps]
    assert shown[:5] == ["+0.3", "−0.1", "0", "+0.1", "0.0"]


def test_runs_of_real_values_are_told_apart_by_their_values(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    frame = pd.DataFrame(x, columns=["f", "g"]).assign(y=x @ [1.0, -0.5])
    frame.to_parquet(tmp_path / "plane.parquet")
    experiment = Experiment(
        dataset=str(tmp_path / "plane.parquet"),
        target="y",
        task="regression",
        backends=("numpy",),
        eta=(0.01, 0.1),
        lmbd=(0.0, 0.01),
        epochs=2,
        batch_size=12,
    )
    made = run(experiment, Execution(executor="serial", output=str(tmp_path)))

    def other(change):
        p = made.predictions.assign(predicted=[change(v) for v in made.predictions["predicted"]])
        return replace(made, predictions=p, address=f"{made.address}-2")

    sd = float(np.std(made.target(0)))
    for change, same in (
        (lambda v: v, 4),
        (lambda v: v + 0.0005 * sd, 4),
        (lambda v: v + 0.01 * sd, 0),
        (lambda v: 2 * v, 0),  # Pearson's r is 1
    ):
        material = Material((made, other(change)))
        assert sum(int(c.same.sum()) for c in material.compared) == same
        said = answer_section(material).text[0]
        assert said.startswith("No difference" if same else "The runs differ")
        assert "label" not in said


def test_equal_recipes_that_may_stop_early_are_not_said_to_differ(result):
    experiment = result.experiment.model_copy(update={"patience": 2, "monitor": "training"})
    said = answer_section(Material((replace(result, experiment=experiment),))).text[0]
    assert "differently" not in said
    assert "numpy and sklearn train alike" in said


def test_predictions_that_find_no_room_are_not_said_to_be_alike(
    visit, result, tmp_path, monkeypatch
):
    monkeypatch.setattr(explorer_values, "_MOST_LABELS", 20)
    monkeypatch.setattr(explorer_values, "_MOST_CERTAINTIES", -1)
    values = cell_values(Material((result,)))
    assert not any(any(side["sure"]) for side in values["sides"])
    kept = [[cell for cell, own in enumerate(side["labels"]) if own] for side in values["sides"]]
    assert kept[0] != kept[1]
    assert any(
        "differ or were chosen, predictions are left out" in note for note in values["notes"]
    )
    (cell, *_) = kept[0]
    eta, lmbd = result.experiment.cells[cell]
    page = visit(f"{written([result], tmp_path)}#cell={eta},{lmbd}")
    told = page.inner_text("summary:has-text('Confusion matrices')")
    assert told.endswith("one, of numpy")


def test_an_address_that_is_no_cell_opens_the_chosen_one(visit, address):
    page = visit(f"{address}#100%")
    assert page.inner_text("#cell-title").startswith("Cell eta ")
