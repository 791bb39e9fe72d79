"""A study: a grid at every point of outer axes, in one folder."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from harness import Execution, Experiment, load_result, load_study, run, run_study, write_study
from harness.check.baseline import require_savable
from harness.check.decisive_tests import CheckRules
from harness.compare.comparison import compare
from harness.document.pull_request import pull_request_comment
from harness.document.section import Section
from harness.errors import InputError
from harness.experiment.study import Study, parse_axes
from harness.results.manifest import sealed
from harness.results.result import KEY
from harness.results.run_folder import RunFolder
from harness.study.checks import (
    check_study,
    checks_section,
    points_beside,
    study_baseline,
    study_baselines,
)
from harness.study.comparison import compare_study
from harness.study.effects import ALL_AXES, REST, axis_rankings, axis_shares
from harness.study.maps import study_map
from harness.study.section import study_table
from harness.study.study import plan_study, study_address

SMALL = {
    "dataset": "iris",
    "scale": "standard",
    "backends": "numpy,sklearn",
    "epochs": 3,
    "eta": "0.1,1",
    "lmbd": "0,0.01",
}


def serial(folder: Path, **more: object) -> Execution:
    return Execution(executor="serial", output=str(folder), **more)


def mtimes(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*.parquet") if "parts" in p.parts}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    over = {"activation": ["tanh", "relu"], "hidden": [5, (6, 4)]}
    return run_study(SMALL, over, serial(place))


def test_values_are_parted_by_commas_or_where_they_hold_some_by_semicolons():
    assert parse_axes(["activation=tanh,relu", "hidden=50;100,50"]) == {
        "activation": ["tanh", "relu"],
        "hidden": ["50", "100,50"],
    }
    study = Study.of(SMALL, {"hidden": "none;100,50".replace("none", "7")})
    assert study.labels == {"hidden": ["7", "100,50"]}


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"hiden": "50;60"}, "hidden"),
        ({"activation": "tanh,rellu"}, "relu"),
        ({"activation": "tanh,tanh"}, "more than once"),
        ({"hidden": "50;050"}, "more than once"),
        ({"jobs": "1,2"}, "changes no result"),
        ({"task": "classification,regression"}, "task"),
        ({"keras.eta": "1,2"}, "over"),
        ({"seed": []}, "a list of values"),
        ({}, "no axis"),
        ({"seed": list(range(2000))}, "at most"),
    ],
)
def test_what_is_wrong_with_an_axis_is_said(over, words):
    with pytest.raises(InputError, match=words):
        Study.of(SMALL, over)


def test_zipped_axes_have_as_many_values_each():
    study = Study.of(SMALL, {"optimizer": "sgd,adam", "eta": "0.1,1;0.001,0.01"}, zipped=True)
    assert [p.labels for p in study.points] == [("sgd", "0.1,1"), ("adam", "0.001,0.01")]
    with pytest.raises(InputError, match="as many"):
        Study.of(SMALL, {"optimizer": "sgd,adam", "hidden": "3"}, zipped=True)


def test_a_point_whose_settings_contradict_each_other_is_marked():
    study = Study.of(SMALL, {"momentum": "0,0.9", "optimizer": "sgd,adam"})
    assert [p.experiment is None for p in study.points] == [False, False, False, True]
    assert "only with sgd" in study.points[3].reason


def test_an_axis_may_be_a_setting_of_one_backend():
    study = Study.of(SMALL, {"sklearn.hidden": "5;6,4"})
    hidden = [p.experiment.recipe("sklearn").hidden for p in study.points]
    assert hidden == [(5,), (6, 4)]
    assert {p.experiment.recipe("numpy").hidden for p in study.points} == {(50,)}


def test_every_point_is_the_ordinary_run(study, tmp_path):
    """Its records, bit for bit, and its folder, which the verbs on runs read."""
    point = study.points[(study.points["activation"] == "relu") & (study.points["hidden"] == "6,4")]
    alone = run(Experiment(**SMALL, activation="relu", hidden="6,4"), serial(tmp_path))
    own = load_result(f"{study.address}/{point['folder'].iloc[0]}")
    columns = [c for c in alone.records if c != "seconds"]
    pd.testing.assert_frame_equal(own.records[columns], alone.records[columns])
    assert own.experiment == alone.experiment
    of_study = study.records[study.records["point"] == point["point"].iloc[0]]
    assert set(of_study["hidden"]) == {"6,4"}
    assert of_study["validation_loss"].tolist() == alone.records["validation_loss"].tolist()
    best = study.chosen().query("activation == 'relu' and hidden == '6,4'")
    assert best[["eta", "lmbd"]].values.tolist() == alone.best()[["eta", "lmbd"]].values.tolist()


def test_the_tables_are_all_there_and_read_again(study):
    assert len(study.records) == 4 * 2 * 4
    assert not study.records.duplicated(["point", *KEY]).any()
    again = load_study(study.address)
    pd.testing.assert_frame_equal(again.records, study.records)
    pd.testing.assert_frame_equal(again.points, study.points)
    Path(study.address, "records.parquet").rename(Path(study.address, "kept"))
    try:
        with pytest.raises(InputError, match="study"):
            load_study(study.address)
    finally:
        Path(study.address, "kept").rename(Path(study.address, "records.parquet"))


def test_further_values_and_axes_only_add_work(study):
    place = Path(study.address)
    before = mtimes(place)
    over = {"activation": ["tanh", "relu", "elu"], "hidden": [5, (6, 4)]}
    more = run_study(SMALL, over, serial(place.parent))
    assert more.address == study.address
    after = mtimes(place)
    assert {p: t for p, t in after.items() if p in before} == before
    assert len(after) > len(before)
    assert len(more.points) == 6


def test_a_grown_grid_adds_to_each_point(tmp_path):
    small = SMALL | {"backends": "numpy"}
    over = {"activation": ["tanh", "relu"]}
    first = run_study(small, over, serial(tmp_path, name="x"))
    second = run_study(small | {"backends": "numpy,sklearn"}, over, serial(tmp_path, name="x"))
    assert second.points["folder"].tolist() == first.points["folder"].tolist()
    assert set(second.records["backend"]) == {"numpy", "sklearn"}


def test_backends_may_be_an_axis_and_what_one_cannot_do_is_marked(tmp_path):
    settings = SMALL | {"activation": "elu", "epochs": 2}
    del settings["backends"]
    made = run_study(settings, {"backend": "numpy,sklearn"}, serial(tmp_path))
    statuses = made.points.set_index("backends")["status"].to_dict()
    assert statuses == {"numpy": "ok", "sklearn": "unsupported"}


def test_the_units_of_all_points_are_one_queue_and_go_on_after_a_kill(tmp_path):
    over = ["--over", "activation=tanh,relu", "--over", "hidden=5;6,4"]
    flags = [f"--{k.replace('backends', 'backend')}={v}" for k, v in SMALL.items()]
    command = [sys.executable, "-m", "harness", "run", *flags, *over, "--output", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    address = Path(study_address(Study.of(SMALL, parse_axes(over[1::2])), serial(tmp_path)))
    while process.poll() is None and not mtimes(address):
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = mtimes(address)
    assert before
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = mtimes(address)
    assert {p: t for p, t in after.items() if p in before} == before
    made = load_study(str(address))
    assert (made.records["status"] == "ok").all()
    assert len(made.records) == 32
    assert (address / "report.html").exists()


def test_a_run_and_a_study_do_not_take_each_others_folder(study, tmp_path):
    place = Path(study.address)
    with pytest.raises(InputError, match="holds a study"):
        run(Experiment(**SMALL), serial(place.parent, name=place.name))
    one = run(Experiment(**SMALL), serial(tmp_path, name="one"))
    assert RunFolder(one.address).is_run()
    with pytest.raises(InputError, match="holds a run"):
        run_study(SMALL, {"hidden": [3, 4]}, serial(tmp_path, name="one"))


def test_a_data_set_is_loaded_and_shared_once():
    plan = plan_study(Study.of(SMALL, {"activation": "tanh,relu", "seed": "0,1"}))
    seeds = [plan.study.points[k].experiment.seed for k in plan.works]
    data = {
        seed: {id(w.dataset) for k, w in plan.works.items() if seeds[k] == seed} for seed in seeds
    }
    assert all(len(own) == 1 for own in data.values())
    assert data[0] != data[1]


def harness(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_two_axes_are_mapped_the_others_at_what_is_best_on_the_validation_part(study):
    table = study_table(study)
    cells = table.cells[table.cells["backend"] == "numpy"]
    for (activation, eta), own in cells.groupby(["activation", "eta"]):
        best = own.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True])
        of_map = table.best(["activation", "eta", "backend"])["test_accuracy"]
        assert of_map[activation, eta, "numpy"] == best["test_accuracy"].iloc[0]
    with pytest.raises(InputError, match="activation"):
        study_map(table, "activaton", "hidden")


def test_over_data_sets_scores_are_averaged_and_values_ranked(tmp_path):
    settings = SMALL | {"epochs": 2, "backends": "numpy"}
    del settings["dataset"]
    over = {"dataset": "iris,wine,breast_cancer", "activation": "tanh,relu"}
    made = run_study(settings, over, serial(tmp_path))
    table = study_table(made)
    both = table.best(["dataset", "activation"])["test_accuracy"]
    alone = table.best(["activation"])["test_accuracy"]
    assert alone["tanh"] == pytest.approx(both.xs("tanh", level="activation").mean())
    (ranked,) = axis_rankings(table)
    assert ranked.axis == "activation"
    assert list(ranked.scores.index) == ["iris", "wine", "breast_cancer"]
    assert sorted(v for group in ranked.groups for v in group) == ["relu", "tanh"]
    page = write_study(made)
    assert not page.faults
    words = Path(page).read_text()
    for title in ("Best points", "Maps", "What matters", "Over data sets", "Points"):
        assert f">{title}</h2>" in words
    assert f'href="{made.points["folder"].iloc[0]}/report.html"' in words


def test_a_study_of_backends_that_is_lacking_one_has_its_page(tmp_path):
    settings = SMALL | {"activation": "elu", "epochs": 2}
    del settings["backends"]
    made = run_study(settings, {"backend": "numpy,sklearn"}, serial(tmp_path))
    assert not write_study(made).faults
    over = {"hidden": [3, 4], "eta": ["0.1,1", "0.01"]}
    zipped = run_study(SMALL, over, serial(tmp_path), zipped=True)
    page = write_study(zipped)
    assert not page.faults
    assert '"name":"eta of the grid"' in Path(page).read_text("utf-8")
    shares = set(axis_shares(zipped, chosen=False)["axis"])
    assert shares == {ALL_AXES, "eta of the grid", "lmbd", REST}


def test_points_are_compared_and_checked_with_one_correction_for_all(tmp_path):
    settings = SMALL | {"repeats": 4, "epochs": 4, "eta": "1"}
    made = run_study(settings, {"hidden": [5, 6]}, serial(tmp_path, name="s"))
    compared = compare_study(made, chaos=False)
    alone = [compare(load_result(f"{made.address}/{f}")) for f in made.points["folder"]]
    assert len(compared.cells) == sum(len(one.cells) for one in alone)
    for column in ("holm_equivalent", "holm_beyond"):
        own = pd.concat([one.cells[column] for one in alone], ignore_index=True)
        tested = own.notna()
        assert (compared.cells[column][tested] >= own[tested]).all()
    assert compared.outcome == "equivalent"
    kept = str(tmp_path / "kept")
    harness("baseline", "save", made.address, "--name", "b", "--folder", kept)
    points = study_baselines("b", kept)
    verdicts = dict(check_study("b", kept, points, made.address, CheckRules(alpha=0.02)))
    assert {v.outcome for v in verdicts.values()} == {"pass"}
    assert {v.rules.alpha for v in verdicts.values()} == {0.01}
    _let_fall(Path(made.address, made.points["folder"].iloc[1]))
    xml = tmp_path / "check.xml"
    judged = ["--backend", "numpy", "--run", made.address, "--junit", str(xml), "--github"]
    judged += ["--page", str(tmp_path / "page")]
    comment = tmp_path / "comment.md"
    old = pull_request_comment("check b", "pass", [Section("", text=["of yesterday"])])
    comment.write_text(f"somebody's words\n{old}and more\n")
    judged += ["--markdown", str(comment)]
    told = harness("check", "--baseline", "b", "--folder", kept, *judged, code=1)
    assert "Fail: 1 of 2 points" in told
    page = Path(tmp_path, "page", "check.html").read_text()
    assert all(f">{point}</h2>" in page for point in points)
    assert told.count("::error title=harness check") >= 1
    suite = ElementTree.parse(xml).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert [case.get("name") for case in suite] == points
    assert [case.find("failure") is not None for case in suite] == [
        point in made.points["folder"].iloc[1] for point in points
    ]
    text = comment.read_text()
    assert text.startswith("somebody's words\n<!-- harness: check-b -->\n### check b: fail")
    assert text.endswith("and more\n")
    assert "of yesterday" not in text
    assert text.count("<!-- harness: check-b -->") == 1
    _a_part_of_a_baseline_is_none(made, kept, points)


def _a_part_of_a_baseline_is_none(made, kept, points):
    """Saved to its end or refused: by an error of one point, a stop between two, a point that is gone."""
    saving = partial(study_baseline, made, "b", kept)
    with pytest.raises(InputError, match="exists"), saving():
        pass
    with pytest.raises(InputError, match="a study"):
        require_savable(load_result(f"{made.address}/{made.points['folder'].iloc[0]}"), "b", kept)
    assert study_baselines("b", kept) == points
    with pytest.raises(KeyboardInterrupt), saving(replace=True):
        raise KeyboardInterrupt
    with pytest.raises(InputError, match="not saved to its end"):
        study_baselines("b", kept)
    with saving():  # what was not saved to its end may be saved again as it is
        pass
    one = replace(made, points=made.points.iloc[:1])
    gone = next(point for point in points if point not in made.points["folder"].iloc[0])
    Path(kept, "b", gone, "baseline.json").rename(Path(kept, "b", "away"))
    with pytest.raises(InputError, match=re.escape(f"lacks 1 of 2 points ({gone})")):
        study_baselines("b", kept)
    Path(kept, "b", "away").rename(Path(kept, "b", gone, "baseline.json"))
    with study_baseline(one, "b", kept, replace=True):
        pass
    left = study_baselines("b", kept)
    assert left == [p for p in points if p != gone]
    assert points_beside(left, made.address) == [gone]
    assert points_beside(points, made.address) == []
    (said,) = checks_section({}, 0.01, [gone]).points
    assert said.startswith("1 point of the study is not in the baseline")
    assert gone in said
    assert not Path(kept, "b", gone).exists()
    Path(kept, "b", "points.json").unlink()
    with pytest.raises(InputError, match=r"has no points\.json"):
        study_baselines("b", kept)


def test_points_that_only_one_of_two_studies_has_are_said(study):
    fewer = replace(study, points=study.points.iloc[:-1])
    told = compare_study(study, fewer, chaos=False).skipped
    assert told == {f"only in {study.name!r}": ["activation relu, hidden 6,4"]}
    told = compare_study(fewer, study, chaos=False).skipped
    assert list(told.values()) == [["activation relu, hidden 6,4"]]


PLUG_IN = """
from dataclasses import replace
from backends.network import Cells
from backends.numpy_backend import NumPyBackend

class Mine(NumPyBackend):
    name = "mine"

    def train(self, x, y, network, training, cells, plan):
        cells = Cells(FACTOR * cells.eta, cells.lmbd, cells.stream)
        return super().train(x, y, network, training, cells, plan)
"""


def test_plug_ins_of_one_name_are_trained_each_at_its_point(tmp_path, monkeypatch):
    for name, factor in (("first_plug", "1"), ("second_plug", "0.5")):
        (tmp_path / f"{name}.py").write_text(PLUG_IN.replace("FACTOR", factor))
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {**SMALL, "eta": "0.5,1", "lmbd": "0"}
    del settings["backends"]
    over = {"backends": ["first_plug:Mine", "second_plug:Mine"]}
    records = run_study(settings, over, serial(tmp_path)).records
    assert set(records["backend"]) == {"mine"}
    loss = {k: own.set_index("eta")["test_loss"] for k, own in records.groupby("point")}
    assert loss[0][0.5] == loss[1][1.0]  # half of eta is its own, the other's and nobody else's
    assert loss[0][1.0] != loss[1][1.0]


def test_a_study_in_which_nothing_can_be_trained_ends_with_3(tmp_path):
    flags = ["--dataset=iris", "--backend=sklearn", "--l1=0.1", "--eta=1", "--lmbd=0"]
    where = ["--over", "hidden=3;4", "--executor", "serial", "--output", str(tmp_path)]
    assert "unsupported" in harness("run", *flags, *where, code=3)


def _let_fall(place: Path) -> None:
    """Change a run's scores as if it had been trained to nothing."""
    records = pd.read_parquet(place / "records.parquet")
    folder = RunFolder(str(place))
    manifest = folder.read_json("manifest.json")
    fallen = records.assign(test_accuracy=0.1, validation_accuracy=0.1)
    manifest["files"]["records.parquet"] = folder.write_frame("records.parquet", fallen)
    folder.write_json("manifest.json", sealed(manifest))


def test_report_makes_the_page_again_with_other_maps(study):
    out = Path(study.address, "elsewhere")
    harness("report", study.address, "--map", "eta,activation", "--output", str(out))
    assert (out / "figures" / "map-eta-activation.svg").exists()
    assert f'href="../{study.points["folder"].iloc[0]}/report.html"' in (
        out / "report.html"
    ).read_text("utf-8")
    with pytest.raises(InputError, match="colour"):
        write_study(study, str(out), maps=[("eta", "colour")])


def test_a_dry_run_trains_nothing(tmp_path):
    flags = [f"--{k.replace('backends', 'backend')}={v}" for k, v in SMALL.items()]
    told = harness("run", *flags, "--over", "hidden=3;4,5", "--dry-run", "--output", str(tmp_path))
    assert "2 points" in told
    assert "16 networks" in told
    assert not list(tmp_path.iterdir())
