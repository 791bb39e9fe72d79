"""Backends under names of one's own: tables, flags, plug-ins; the same backend in every verb."""

from __future__ import annotations

import sys
from io import StringIO

import pandas as pd
import pytest

from harness import Experiment, run
from harness.api import report_content
from harness.check.baseline import load_baseline, save_baseline
from harness.check.check import check
from harness.cli.options import merge
from harness.compare.comparison import compare
from harness.errors import InputError
from harness.experiment.chosen_backends import resolve
from harness.experiment.execution import Execution
from harness.parity.parity import parity
from harness.report.export import exported_table
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid
from harness.results.result import load_result
from harness.results.run_differences import run_differences
from harness.runner import train_and_save
from harness.work import plan_work

SMALL = {"dataset": "iris", "scale": "standard", "epochs": 2, "eta": [0.1, 0.5], "lmbd": [0]}
TABLE = """
[variants."two threads"]
backend = "numpy"
threads = 2
[variants.old]
backend = "sklearn"
packages = ["scikit-learn==1.5.2", "numpy==1.26.4"]
environment = {OPENBLAS_CORETYPE = "Haswell", XLA_FLAGS = "a+b"}
[variants]
plain = "numpy@threads=1"
"""
PLUGIN = """
from backends.numpy_backend import NumPyBackend

class Mine(NumPyBackend):
    name = "mine"

class Unnamed(NumPyBackend):
    pass

class NumPy(NumPyBackend):
    name = "numpy"
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    for module in ("one_plugin", "other_plugin"):
        (tmp_path / f"{module}.py").write_text(PLUGIN)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_tables_of_a_file_and_flags_add_to_each_other(tmp_path):
    file = tmp_path / "e.toml"
    table, plain = TABLE.split("[variants]")
    file.write_text(f'backends = ["numpy"]\n[variants]{plain}{table}')
    given = merge(file, {"variants": ["new=numpy@threads=3"]}, [Experiment])
    experiment = Experiment(**given)
    assert experiment.backends == ("numpy", "new")
    assert [experiment.place(name) for name in ("two threads", "plain", "new", "numpy")] == [
        "numpy@threads=2",
        "numpy@threads=1",
        "numpy@threads=3",
        "numpy",
    ]
    assert experiment.place("old") == (
        "sklearn@scikit-learn==1.5.2+numpy==1.26.4+OPENBLAS_CORETYPE=Haswell+XLA_FLAGS=a%2Bb"
    )
    assert experiment.place("new@A=1") == "numpy@threads=3+A=1"


def test_variants_run_beside_all_where_nothing_else_is_said():
    assert Experiment(variants={"v": "numpy@threads=2"}).backends == ("all", "v")


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({"numpy": "sklearn"}, "variants: found 'numpy', which is no name or another backend's"),
        ({"all": "numpy"}, "variants: found 'all'"),
        ({"a/b": "numpy"}, "variants: found 'a/b'"),
        ({"v": {"backend": "numpy", "packags": ["a==1"]}}, "'packags' is not known; did you mean"),
        ({"v": {"threads": 2}}, "variants: v: found .*; allowed: BACKEND"),
        ({"v": {"backend": "numpy", "threads": True}}, "variants: v: found"),
        ({"v": {"backend": "numpy", "packages": ["a==1"], "python": "/p"}}, "one of the two"),
        ({"v": "numpy@what"}, "variants: v: found 'what'; allowed after @"),
        (["v"], "variants: found .*; allowed: tables or texts by name"),
    ],
)
def test_what_is_no_variant_is_refused(variants, words):
    with pytest.raises(InputError, match=words):
        Experiment(variants=variants)


def test_a_variant_is_a_backend_in_run_parity_compare_and_check(tmp_path):
    experiment = Experiment(
        **SMALL,
        backends=("numpy", "there"),
        variants={"there": {"backend": "numpy", "threads": 1}},
        overrides={"there": {"batch_size": 20}, "numpy": {"batch_size": 20}},
        repeats=4,
    )
    work = plan_work(experiment)
    train_and_save(work, Execution(executor="serial", output=str(tmp_path), name="r"))
    result = load_result(str(tmp_path / "r"))
    assert result.experiment == experiment
    assert result.backends == ["numpy", "there"]
    assert set(result.records["status"].astype(str)) == {"ok"}
    losses = [result.pivot(name, "test_loss") for name in result.backends]
    assert (losses[0] == losses[1]).all(axis=None)
    about = result.manifest["backends"]["there"]
    assert (about["place"], "numpy" in about["versions"]) == ("numpy@threads=1", True)
    assert compare(result).outcome == "equivalent"
    judged = parity(experiment, dtypes=("float64",), reference="there", steps=3)
    assert (judged.exit_code, judged.reference) == (0, "there")
    save_baseline(result, "kept", str(tmp_path / "baselines"))
    kept = load_baseline("kept", str(tmp_path / "baselines"))
    again = check(kept, execution=Execution(executor="serial", output=str(tmp_path), name="again"))
    assert again.outcome == "pass"


def test_a_variant_with_settings_of_its_own_does_not_stand_in_for_its_backend(tmp_path):
    flags = {
        "backends": "numpy,v",
        "variants": ["v=numpy"],
        "overrides": ["v.hidden=1"],
        "validation_size": "0.2",
    }
    experiment = Experiment(**merge(None, flags, [Experiment]), **SMALL)
    assert (experiment.recipe("numpy").hidden, experiment.recipe("v").hidden) == ((50,), (1,))
    result = run(experiment, Execution(executor="serial", output=str(tmp_path), name="r"))
    assert result.backends == ["numpy", "v"]
    ours, theirs = (result.of(name)["test_loss"].to_numpy() for name in ("numpy", "v"))
    assert (ours != theirs).all()
    assert (result.pivot("numpy", "test_loss").to_numpy().ravel() == ours).all()
    assert (result.pivot("v", "test_loss").to_numpy().ravel() == theirs).all()
    table = exported_table(report_content([result]), Material((result,)), "cells", "csv")
    cells = pd.read_csv(StringIO(table)).set_index("backend")["test accuracy (%)"]
    for name in ("numpy", "v"):
        kept = 100 * result.pivot(name, "test_accuracy").to_numpy().ravel()
        assert cells[name].to_list() == pytest.approx(kept)


def test_the_settings_of_a_backend_are_not_those_of_its_variants():
    experiment = Experiment(
        **SMALL,
        backends=("numpy", "v", "w"),
        variants={"v": "numpy", "w": "numpy@threads=1"},
        overrides={"numpy": {"hidden": (3,)}},
    )
    hidden = [experiment.recipe(name).hidden for name in experiment.backends]
    assert hidden == [(3,), (50,), (50,)]


def test_runs_in_which_a_name_stands_for_something_else_differ_by_it(tmp_path):
    places = ("numpy@threads=1", "numpy@threads=2")
    first, second = (
        run(
            Experiment(**SMALL, backends=("v",), variants={"v": place, "other": "numpy"}),
            Execution(executor="serial", output=str(tmp_path)),
        )
        for place in places
    )
    assert [(d.name, d.first, d.second) for d in run_differences(first, second)] == [
        ("variants.v", *places)
    ]


def test_a_plug_in_is_called_by_its_own_name(plugins):
    experiment, backends, _ = resolve(
        Experiment(**SMALL, backends=("one_plugin:Mine", "one_plugin:Mine@threads=1"))
    )
    assert list(backends) == ["mine", "mine@threads=1"] == list(experiment.backends)
    assert experiment.place("mine") == "one_plugin:Mine"
    assert resolve(experiment)[0] == experiment  # what a run folder keeps is taken up again


def test_a_plug_in_is_found_by_what_it_was_given_as(plugins, tmp_path):
    place = "one_plugin:Mine"
    experiment = Experiment(
        **SMALL, backends=("numpy", place), overrides={place: {"hidden": [4]}}, repeats=2
    )
    result = run(experiment, Execution(executor="serial", output=str(tmp_path), name="r"))
    assert result.backends == ["numpy", "mine"]
    cell = (0.5, 0)
    assert (result.predicted(place, *cell, 0) == result.predicted("mine", *cell, 0)).all()
    assert BackendGrid.of(result, place).backend == "mine"
    flips = result.flips("numpy", place, *cell)
    assert flips.equals(result.flips("numpy", "mine", *cell))
    assert list(flips) == ["eta", "lmbd", "row", "target", "numpy", "mine"]
    assert result.predict(place, *cell).equals(result.predict("mine", *cell))
    assert [w.shape for w, _ in result.weights(place, *cell)] == [(4, 4), (4, 3)]
    one, other = (result.plan(name) for name in (place, "mine"))
    assert all((a == b).all() for a, b in zip(one.initial.W, other.initial.W, strict=True))
    titles = [axis.get_title(loc="left") for axis in result.heatmap(reference=place).axes]
    assert [title for title in titles if title] == ["numpy − mine"]
    assert result.confusion(place, *cell).axes
    assert result.learning_curves(place, *cell).axes


def test_plug_ins_of_one_name_are_told_apart_by_their_places(plugins):
    names = ("numpy", "one_plugin:Mine", "other_plugin:Mine")
    names += ("one_plugin:Unnamed", "one_plugin:NumPy")
    assert list(resolve(Experiment(**SMALL, backends=names))[1]) == list(names)
