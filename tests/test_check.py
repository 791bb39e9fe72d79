"""A check passes what is as good, fails what is worse, and says when it cannot tell."""

import dataclasses
import io
import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import planted
import pytest
import typer
from rich.console import Console
from sklearn.datasets import load_digits

from backends import registry
from harness.api import run
from harness.check import baseline as baselines
from harness.check.check import check, checked_experiment, redrawn_backends, run_again
from harness.check.decisive_tests import (
    CHOSEN_CELL,
    STABLE_CELL,
    STABLE_MEAN,
    CheckRules,
    planned_looks,
    quantities,
)
from harness.check.findings import Finding
from harness.check.formats import check_json, check_junit, check_markdown, github_annotations
from harness.check.learning_curves import curve_words, few_cells
from harness.check.power_table import chances, power_section
from harness.check.reference_path import FirstSigns, first_steps, reference_paths
from harness.check.section import check_headline, check_points, check_section
from harness.check.verdict import judge_run, obstacles
from harness.cli.sections import show_section
from harness.document.section import Section
from harness.errors import InputError
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.results.run_folder import RunFolder
from harness.roundoff.stable_cells import stability
from harness.study.checks import checks_section
from harness.work import plan_work

DIGITS = {
    "backends": ["numpy", "sklearn"],
    "eta": [0.03, 0.3],
    "lmbd": [1e-4, 1e-2],
    "epochs": 8,
    "batch_size": 50,
    "repeats": 8,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where runs and baselines of this module lie."""
    return tmp_path_factory.mktemp("check")


@pytest.fixture(scope="module")
def saved(home):
    """A baseline of a small experiment, and the run that it was made from."""
    result = run(
        experiment_from(DIGITS), Execution(executor="serial", output=str(home), name="run")
    )
    held = baselines.save_baseline(
        result,
        "small",
        str(home / "baselines"),
        chaos=stability(result.experiment, result.backends),
        curves=result.curves[(result.curves["repeat"] == 0)],
        parity=reference_paths(result.experiment),
    )
    return held, result


@pytest.fixture
def plant(monkeypatch):
    """Puts one of the planted backends in the place of scikit-learn's."""

    def plant(cls):
        monkeypatch.setitem(registry.BUILT_IN, "sklearn", f"planted:{cls.__name__}")

    return plant


@pytest.fixture
def again(home):
    """The baseline's experiment, run again with whatever backends are in place."""

    def again(held, **how):
        settings = {"executor": "serial", "output": str(home), "name": "again"} | how
        return run_again(held, execution=Execution(**settings))

    return again


def changed(result, backend, column, change):
    """The result with a column of one backend's records changed."""
    records = result.records.copy()
    own = records["backend"] == backend
    records.loc[own, column] = change(records[own])
    return dataclasses.replace(result, records=records)


def lost(result, backend, status, where):
    """The result with another status in some of a backend's records, and nothing measured there."""
    records = result.records.copy()
    rows = (records["backend"] == backend) & where(records)
    records.loc[rows, "status"] = status
    records.loc[rows, ["test_accuracy", "test_loss", "validation_loss"]] = np.nan
    return dataclasses.replace(result, records=records)


def with_chaos(held, eta):
    """The baseline, as if round-off carried every cell of one eta away."""
    return dataclasses.replace(held, chaos=held.chaos.assign(chaotic=held.chaos["eta"] == eta))


# passing


def test_the_same_code_passes_with_identical_predictions(saved, again):
    held, _ = saved
    verdict = judge_run(held, again(held))
    assert (verdict.outcome, verdict.word, verdict.exit_code) == ("pass", "identical", 0)
    assert verdict.repeats == 4
    assert "the same predictions" in check_headline(verdict)
    assert [primary.difference for primary in verdict.primaries] == [0, 0, 0, 0]


def test_a_chaotic_chosen_cell_gives_way_to_the_best_stable_one(saved):
    held, result = saved
    verdict = judge_run(with_chaos(held, 0.3), result)
    assert {primary.quantity.kind for primary in verdict.primaries} == {STABLE_CELL, STABLE_MEAN}
    assert all(eta == 0.03 for p in verdict.primaries for eta, _ in p.quantity.cells)
    assert verdict.outcome == "pass"


def test_equivalent_code_passes_whatever_its_chaotic_cells_do(saved):
    held, result = saved
    wild = with_chaos(held, 0.3)
    noise = np.tile([-0.06, 0.01, -0.09, 0.02, -0.03, 0.0, 0.01, -0.2], 2)
    own = (result.records["backend"] == "numpy") & (result.records["eta"] == 0.3)
    records = result.records.copy()
    records.loc[own, "test_accuracy"] += noise
    records.loc[own, "test_loss"] *= 1.3
    verdict = judge_run(wild, dataclasses.replace(result, records=records))
    assert verdict.outcome == "pass"
    assert verdict.word != "changed"
    assert {choice.backend for choice in verdict.chaotic} == {"numpy", "sklearn"}


def test_a_chaotic_cell_of_another_distribution_is_warned_of(saved):
    held, result = saved
    fallen = (result.records["backend"] == "numpy") & (result.records["eta"] == 0.3)
    scores = result.records["test_accuracy"].where(~fallen, 0.2)
    moved = dataclasses.replace(result, records=result.records.assign(test_accuracy=scores))
    verdict = judge_run(with_chaos(held, 0.3), moved, looks=(8,))
    assert verdict.outcome == "pass"
    told = {choice.backend: choice.other for choice in verdict.chaotic}
    assert told == {"numpy": True, "sklearn": False}


def test_a_backend_that_is_chaotic_everywhere_is_held_to_its_chosen_cell(saved):
    held, result = saved
    wild = dataclasses.replace(held, chaos=held.chaos.assign(chaotic=True))
    verdict = judge_run(wild, result)
    assert {(p.quantity.kind, p.quantity.paired) for p in verdict.primaries} == {
        (CHOSEN_CELL, False)
    }


def test_where_all_is_chaotic_equivalent_code_passes_on_the_references_path(saved):
    held, result = saved
    wild = dataclasses.replace(held, chaos=held.chaos.assign(chaotic=True))
    noise = np.tile([0.05, -0.05, 0.04, -0.03, 0.0, 0.0, 0.0, 0.0], 4)
    other = changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] + noise)
    assert judge_run(wild, other, backends=["numpy"]).outcome == "inconclusive"
    signs = FirstSigns(agreeing=("numpy",))
    assert judge_run(wild, other, backends=["numpy"], signs=signs).outcome == "pass"
    lower = changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] - 0.1)
    assert judge_run(wild, lower, backends=["numpy"], signs=signs).outcome == "fail"


def test_a_fault_of_prediction_alone_is_no_round_off(saved):
    """The weights, and with them the losses, are the baseline's; a few labels in a hundred are not."""
    held, result = saved
    other = changed(result, "numpy", "test_accuracy", lambda own: own["test_accuracy"] - 0.03)
    verdict = judge_run(held, other)
    assert verdict.outcome == "fail"
    assert {p.quantity.backend for p in verdict.primaries if p.test != "none needed"} == {"numpy"}


def test_another_thread_count_passes_unchanged_and_is_noted(saved, again):
    held, _ = saved
    verdict = judge_run(held, again(held, executor="processes", jobs=1, threads=2))
    assert verdict.outcome == "pass"
    assert verdict.word in ("identical", "same")
    assert "threads: 1 in the baseline, 2 now" in check_points(verdict)


def test_another_order_of_summation_passes_unchanged(saved, again, plant):
    held, _ = saved
    plant(planted.OtherOrder)
    verdict = judge_run(held, again(held), rules=CheckRules(strict=True))
    assert verdict.outcome == "pass"
    assert verdict.word in ("identical", "same")
    own = verdict.moved[verdict.moved["backend"] == "sklearn"]
    assert own["shift"].max() > 0  # it was another order indeed


# planted regressions


@pytest.mark.parametrize("fault", planted.FAULTS, ids=lambda cls: cls.__name__)
def test_a_planted_fault_is_seen_in_the_run(saved, again, plant, fault):
    held, _ = saved
    plant(fault)
    verdict = judge_run(held, again(held))
    assert verdict.outcome == "fail" or verdict.word == "changed"
    assert set(verdict.changed["backend"]) == {"sklearn"}
    assert judge_run(held, verdict.run, rules=CheckRules(strict=True)).exit_code == 1


@pytest.mark.parametrize("fault", planted.FAULTS, ids=lambda cls: cls.__name__)
def test_a_planted_fault_fails_the_deterministic_layer(saved, plant, fault):
    held, _ = saved
    plant(fault)
    layer = first_steps(held, ["numpy", "sklearn"])
    assert [finding.where for finding in layer.failures] == ["sklearn"]


def test_equivalent_changes_pass_the_deterministic_layer(saved, plant):
    held, _ = saved
    plant(planted.OtherOrder)
    assert first_steps(held, ["numpy", "sklearn"]).failures == ()


def test_a_backend_that_disagreed_already_does_not_fail_the_layer(saved, plant):
    held, _ = saved
    facts = held.facts | {"parity": {"sklearn": {"outcome": "disagrees"}}}
    plant(planted.StepTooLong)
    layer = first_steps(dataclasses.replace(held, facts=facts), ["numpy", "sklearn"])
    assert layer.failures == ()
    assert "as in the baseline" in " ".join(layer.words)


def test_a_check_fails_on_the_layer_even_where_no_accuracy_is_lost(saved, home, plant):
    held, _ = saved
    plant(planted.PenaltyTwice)
    execution = Execution(executor="serial", output=str(home), name="whole")
    verdict = check(held, execution=execution)
    assert verdict.exit_code == 1
    assert "parity" in {finding.kind for finding in verdict.failures}


def test_what_learns_nothing_fails_in_every_way(saved, again, plant):
    held, _ = saved
    plant(planted.Garbage)
    verdict = judge_run(held, again(held))
    assert verdict.exit_code == 1
    assert {"worse", "collapsed"} <= {finding.kind for finding in verdict.failures}
    assert all(finding.where.startswith("sklearn") for finding in verdict.failures)
    assert any("lost most" in finding.look for finding in verdict.failures)
    assert set(verdict.fallen["backend"]) == {"sklearn"}


# hard failures


def test_a_missing_repeat_fails(saved):
    held, result = saved
    verdict = judge_run(held, lost(result, "numpy", "failed", lambda r: r["repeat"] == 1))
    assert [f.kind for f in verdict.failures] == ["missing"]
    assert "4 networks" in verdict.failures[0].what


def test_lost_weights_fail(saved):
    held, result = saved
    gone = lost(result, "numpy", "diverged", lambda r: (r["repeat"] == 1) & (r["eta"] == 0.03))
    assert "non-finite" in {f.kind for f in judge_run(held, gone).failures}


def test_a_collapse_to_chance_fails(saved):
    held, result = saved
    down = changed(
        result,
        "numpy",
        "test_accuracy",
        lambda own: own["test_accuracy"].where((own["repeat"] > 0) | (own["eta"] > 0.1), 0.1),
    )
    verdict = judge_run(held, down)
    assert "collapsed" in {finding.kind for finding in verdict.failures}


def test_chaotic_cells_may_do_as_they_like(saved):
    held, result = saved
    chaos = held.chaos.assign(chaotic=held.chaos["eta"] == 0.03)
    wild = dataclasses.replace(held, chaos=chaos)
    run = lost(result, "numpy", "diverged", lambda r: (r["repeat"] == 1) & (r["eta"] == 0.03))
    verdict = judge_run(wild, run)
    assert verdict.outcome == "pass"
    assert verdict.word != "changed"


# the tests


def test_a_drop_within_the_margin_passes_as_changed(saved):
    held, result = saved
    lower = changed(result, "numpy", "test_accuracy", lambda own: own["test_accuracy"] - 0.003)
    lower = changed(lower, "numpy", "test_loss", lambda own: own["test_loss"] * 1.01)
    verdict = judge_run(held, lower)
    assert (verdict.outcome, verdict.word) == ("pass", "changed")
    assert "changed, and no worse" in check_headline(verdict)
    assert len(verdict.fallen) == 4  # the map warns
    assert judge_run(held, lower, rules=CheckRules(strict=True)).exit_code == 1


def test_a_drop_beyond_the_margin_fails_with_its_size(saved):
    held, result = saved
    noise = np.random.default_rng(0).normal(0.04, 0.002, len(result.of("numpy")))
    verdict = judge_run(
        held, changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] - noise)
    )
    failed = [primary for primary in verdict.primaries if primary.outcome == "fail"]
    assert {primary.quantity.backend for primary in failed} == {"numpy"}
    assert len(failed) == 2
    assert all(
        p.low < -0.04 < p.high and p.difference == pytest.approx(-0.04, abs=2e-3) for p in failed
    )


def test_an_erratic_run_is_inconclusive_and_says_what_it_needs(saved):
    held, result = saved
    noise = np.tile(np.array([0.05, -0.05, 0.04, -0.03, 0.0, 0.0, 0.0, 0.0]), 4)
    verdict = judge_run(
        held, changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] + noise)
    )
    assert (verdict.outcome, verdict.exit_code) == ("inconclusive", 3)
    open_ = [primary for primary in verdict.primaries if primary.outcome == "inconclusive"]
    assert all(primary.needed > 4 for primary in open_)
    assert "would decide" in check_headline(verdict)
    assert "--until-decided" in " ".join(check_points(verdict))


def test_a_better_run_passes(saved):
    held, result = saved
    better = changed(result, "numpy", "test_accuracy", lambda own: own["test_accuracy"] + 0.02)
    assert judge_run(held, better).exit_code == 0


def test_other_draws_are_tested_as_new_samples(saved, home):
    held, _ = saved
    facts = held.facts | {"draws": dict.fromkeys(held.facts["draws"], "another")}
    other = dataclasses.replace(held, facts=facts)
    assert redrawn_backends(other) == ["numpy", "sklearn"]
    assert redrawn_backends(held) == []
    result = saved[1]
    moved = changed(result, "numpy", "test_accuracy", lambda own: own["test_accuracy"] - 0.001)
    verdict = judge_run(held, moved, redrawn=["numpy"])
    pairs = {p.quantity.backend: p.quantity.paired for p in verdict.primaries}
    assert pairs == {"numpy": False, "sklearn": True}


def test_only_some_backends_can_be_checked(saved, again):
    held, result = saved
    verdict = judge_run(held, result, backends=["numpy"])
    assert {primary.quantity.backend for primary in verdict.primaries} == {"numpy"}


# until it is decided


@pytest.mark.parametrize(
    ("first", "most", "looks"),
    [
        (5, 40, (5, 10, 20, 40)),
        (3, 40, (3, 6, 10, 20, 40)),
        (5, 5, (5,)),
        (5, 30, (5, 10, 20, 30)),
        (5, 8, (5, 8)),
    ],
)
def test_looks_double_and_stop_at_all_of_the_baselines_repeats(first, most, looks):
    assert planned_looks(first, 10, most) == looks


def test_a_run_that_is_added_to_trains_nothing_twice(saved):
    held, _ = saved
    looks = (4, 8, 16)
    works = [plan_work(held.experiment.model_copy(update={"repeats": n}), looks) for n in looks]
    for few, more in pairwise(works):
        assert set(few.units) < set(more.units)


def undecided(saved, home, drop):
    """The run with four repeats of numpy erratic, of which nobody could say whether it is worse."""
    held, result = saved
    noise = np.tile(np.array([0.05, -0.05, 0.04, -0.03, *drop]), 4)
    other = changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] + noise)
    folder = RunFolder(str(home / "undecided"))
    for name in ("records", "predictions", "targets", "curves"):
        folder.write_frame(f"{name}.parquet", getattr(other, name))
    folder.write_experiment(other.experiment)
    own = {k: v for k, v in other.manifest.items() if k not in ("files", "sha256")}
    folder.write_json("manifest.json", own)
    return held, folder.address


def test_a_given_run_is_looked_at_once_unless_told_otherwise(saved, home):
    held, address = undecided(saved, home, [0, 0, 0, 0])
    once = check(held, address)
    assert (once.outcome, once.looks) == ("inconclusive", (4,))
    more = check(held, address, until_decided=True)
    assert (more.repeats, more.looks) == (8, (4, 8))


def test_a_check_adds_repeats_until_it_is_decided(saved, home, plant):
    """A step too short loses in every repeat; two are too few to be sure of it."""
    held, _ = saved
    facts = held.facts | {"parity": {"sklearn": {"outcome": "disagrees"}}}
    held = dataclasses.replace(held, facts=facts)
    plant(planted.EtaTooSmall)
    said, begun = [], []

    class Begun:
        def begin(self, work, folder):
            begun.append((len(work.done), len(work.units)))

        def finished(self, outcome):
            pass

    verdict = check(
        held,
        backends=["sklearn"],
        repeats=2,
        rules=CheckRules(margin=0.0, alpha=0.05),
        execution=Execution(executor="serial", output=str(home), name="going-on"),
        progress=Begun(),
        say=said.append,
    )
    assert verdict.outcome == "fail"
    assert verdict.repeats in verdict.looks[1:]
    assert [done for done, _ in begun[1:]] == [units for _, units in begun[:-1]]
    assert any("2 repeats do not decide" in line for line in said)


def test_no_until_decided_looks_once(saved, home, plant):
    held, _ = saved
    plant(planted.OtherOrder)
    execution = Execution(executor="serial", output=str(home), name="once")
    assert check(held, repeats=2, until_decided=False, execution=execution).looks == (2,)


def test_the_most_repeats_are_no_fewer_than_the_first(saved):
    with pytest.raises(InputError, match="most-repeats: found 3; allowed: 4"):
        check(saved[0], most_repeats=3)


# learning curves


def test_curves_of_unchanged_code_are_the_baselines(saved):
    held, _ = saved
    (said,) = curve_words(held, ["numpy", "sklearn"])
    assert said.startswith("numpy, sklearn: ")


@pytest.mark.parametrize("change", planted.LOSSES, ids=lambda cls: cls.__name__)
def test_curves_show_a_change_in_the_backend_that_has_it(saved, plant, change):
    held, _ = saved
    plant(change)
    same, other = curve_words(held, ["numpy", "sklearn"])
    assert same.startswith("numpy: ")
    assert other.startswith("sklearn: another learning curve")


def test_fewer_epochs_end_where_the_baseline_was_then(saved, plant):
    held, _ = saved
    plant(planted.FewerEpochs)
    (said,) = curve_words(held, ["sklearn"])
    assert "after 6 of 8 epochs" in said  # 80 % of eight, in whole epochs


def test_equivalent_code_has_the_baselines_curves(saved, plant):
    held, _ = saved
    plant(planted.OtherOrder)
    assert len(curve_words(held, ["numpy", "sklearn"])) == 1


def test_other_draws_have_other_curves_and_are_left_out(saved):
    assert curve_words(saved[0], ["numpy"], redrawn=["numpy"]) == []


def test_few_cells_are_stable_ones(saved):
    held, result = saved
    wild = with_chaos(held, 0.3)
    assert set(few_cells(result, wild.chaotic)["eta"]) == {0.03}


# not comparable


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"seed": 1}, "another split"),
        ({"dataset": "wine"}, "other data"),
        ({"epochs": 9}, "epochs: 8 in the baseline, 9 now"),
        ({"eta": [0.03]}, "2 cells are missing"),
        ({"hidden": [20]}, "another network"),
        ({"backends": ["numpy"]}, "sklearn: not in the run"),
    ],
)
def test_another_experiment_is_not_comparable(saved, home, settings, why):
    held, _ = saved
    name = "other-" + "-".join(settings)
    short = {"repeats": 2, "backends": ["numpy"]} | settings
    execution = Execution(executor="serial", output=str(home), name=name)
    other = run(experiment_from(DIGITS | short), execution)
    backends = None if "backends" in settings else ["numpy"]
    verdict = judge_run(held, other, backends=backends)
    assert (verdict.outcome, verdict.exit_code) == ("not comparable", 3)
    assert any(why in obstacle for obstacle in verdict.obstacles)


def test_other_test_samples_of_all_repeats_are_said_to_be_no_repeats(saved):
    held, result = saved
    targets = result.targets.assign(target=result.targets["target"] + 1)
    other = dataclasses.replace(result, targets=targets)
    found = obstacles(held, other, [], ["numpy"])
    assert found == ["other test samples"]


def test_more_cells_and_repeats_do_no_harm(saved, home):
    held, _ = saved
    wider = experiment_from(DIGITS | {"eta": [0.03, 0.1, 0.3], "backends": ["numpy"], "repeats": 9})
    result = run(wider, Execution(executor="serial", output=str(home), name="wider"))
    verdict = judge_run(held, result, backends=["numpy"])
    assert (verdict.outcome, verdict.word, verdict.repeats) == ("pass", "identical", 4)


def test_a_backend_that_is_not_installed_is_not_comparable(saved, monkeypatch):
    held, _ = saved
    monkeypatch.setitem(registry.BUILT_IN, "sklearn", "nowhere:Backend")
    verdict = check(held)
    assert verdict.exit_code == 3
    assert "sklearn" in verdict.obstacles[0]


def test_wrong_labels_in_the_data_are_seen_before_anything_is_trained(home):
    x, y = load_digits(return_X_y=True)
    place = home / "labels.npz"
    np.savez(place, x=x[:300], y=y[:300])
    experiment = experiment_from(
        DIGITS | {"backends": ["numpy"], "dataset": str(place), "target": "y"}
    )
    result = run(experiment, Execution(executor="serial", output=str(home), name="labels"))
    held = baselines.save_baseline(result, "labels", str(home / "labels"))
    np.savez(place, x=x[:300], y=np.where(np.arange(300) < 15, (y[:300] + 1) % 10, y[:300]))
    verdict = check(held, execution=Execution(executor="serial", output=str(home), name="unmade"))
    assert verdict.exit_code == 3
    assert verdict.obstacles[0].startswith("other data")
    assert not (home / "unmade").exists()


# baselines


def test_a_baseline_keeps_what_a_check_needs(saved):
    held, result = saved
    for column in ("test_accuracy", "validation_accuracy", "status"):
        assert list(held.result.records[column]) == list(result.records[column])
    kept = zip(held.result.predictions["predicted"], result.predictions["predicted"], strict=True)
    assert all(np.array_equal(one, other) for one, other in kept)
    columns = ["backend", "eta", "lmbd", "validation_accuracy", "test_accuracy"]
    assert held.result.best()[columns].equals(result.best()[columns])
    assert list(held.result.target(0)) == list(result.target(0))


def test_a_baseline_is_small_text(saved):
    held, _ = saved
    files = sorted(path.name for path in Path(held.address).iterdir())
    assert files == [
        "baseline.json",
        "chaos.csv",
        "curves.csv",
        "experiment.toml",
        "labels.csv",
        "records.csv",
    ]
    sizes = [len((Path(held.address) / name).read_text("utf-8")) for name in files]
    assert sum(sizes) < 40_000


def test_a_baseline_is_not_overwritten_unless_told(saved, home):
    _, result = saved
    with pytest.raises(InputError, match="--replace"):
        baselines.save_baseline(result, "small", str(home / "baselines"))


def test_a_baseline_needs_enough_repeats(saved, home):
    _, result = saved
    few = dataclasses.replace(
        result, experiment=result.experiment.model_copy(update={"repeats": 3})
    )
    with pytest.raises(InputError, match="4 or more"):
        baselines.save_baseline(few, "few", str(home / "baselines"))


def test_a_baseline_needs_a_complete_run(saved, home):
    _, result = saved
    with pytest.raises(InputError, match="not complete"):
        baselines.save_baseline(
            lost(result, "numpy", "timeout", lambda r: r["repeat"] == 0),
            "part",
            str(home / "baselines"),
        )


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_a_baselines_name_stays_in_its_folder(saved, home, name):
    with pytest.raises(InputError, match="plain folder name"):
        baselines.save_baseline(saved[1], name, str(home / "baselines"))


def test_an_unknown_baseline_is_named_with_its_nearest(saved, home):
    with pytest.raises(InputError, match="did you mean 'small'"):
        baselines.load_baseline("smal", str(home / "baselines"))
    assert baselines.baseline_names(str(home / "baselines")) == ["small"]


def test_a_check_repeats_at_most_half(saved):
    held, _ = saved
    assert checked_experiment(held).repeats == 4
    assert checked_experiment(held, repeats=2).repeats == 2
    for wrong in (0, 5):
        with pytest.raises(InputError, match=f"found {wrong}; allowed: 1 to 4, half of the 8"):
            checked_experiment(held, repeats=wrong)


def test_regression_can_be_a_baseline(home):
    settings = {"dataset": "diabetes", "task": "regression", "scale": "standard"}
    experiment = experiment_from(DIGITS | settings | {"backends": ["numpy"], "eta": [0.01, 0.03]})
    result = run(experiment, Execution(executor="serial", output=str(home), name="diabetes"))
    held = baselines.save_baseline(result, "diabetes", str(home / "diabetes"))
    assert judge_run(held, result).word == "identical"
    worse = changed(result, "numpy", "test_r2", lambda own: own["test_r2"] - 0.2)
    assert judge_run(held, worse).exit_code == 1


# what is written


def test_a_screen_of_80_columns_holds_the_worst_verdict(saved):
    held, result = saved
    noise = np.random.default_rng(1).normal(0.012, 0.02, len(result.records))
    records = result.records.assign(test_accuracy=result.records["test_accuracy"] - noise)
    records["test_loss"] *= 1.2
    verdict = judge_run(held, dataclasses.replace(result, records=records))
    worst = dataclasses.replace(
        verdict,
        primaries=tuple(
            dataclasses.replace(p, now=p.now - k / 1000)
            for p in verdict.primaries
            for k in range(9)
        ),
        failures=tuple(Finding("missing", f"keras, cell {k}", "did not run") for k in range(9)),
    )
    for one in (verdict, worst):
        lines = screen(check_section(one, short=True))
        assert lines[0].startswith(one.outcome)
        assert len(lines) <= 40
    assert any("FAIL 7 more" in line for line in lines)
    assert any("more: --json has all" in line for line in lines)
    told = check_json(worst)  # and has it
    assert len(told["failures"]) == 9
    assert len(told["primaries"]) == len(worst.primaries)
    lines = screen(checks_section({f"{k:03}-tanh": verdict for k in range(60)}, 0.01))
    assert "of 60 points" in lines[0]
    assert len(lines) <= 40


def screen(section):
    """The lines that a terminal of 80 columns has for a section."""
    out = Console(width=80, file=io.StringIO())
    show_section(section, out, rest="--json has all")
    return out.file.getvalue().splitlines()


def test_what_has_no_number_is_not_said_to_be_close_to_the_margin(saved):
    held, result = saved
    verdict = judge_run(held, lost(result, "numpy", "failed", lambda own: own["repeat"] == 0))
    assert any("no number in some repeats" in line for line in check_points(verdict))
    assert not any("too close" in line for line in check_points(verdict))


def test_what_is_equal_is_said_once_and_of_which_repeats(saved):
    said = [line for line in check_points(judge_run(*saved)) if "unchanged" in line]
    assert len(said) == 1
    assert "numpy, sklearn" in said[0]
    assert "first 4 of 8 repeats" in said[0]


def failing(saved):
    held, result = saved
    noise = np.random.default_rng(0).normal(0.04, 0.002, len(result.of("numpy")))
    return judge_run(
        held, changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] - noise)
    )


def test_json_holds_the_verdict(saved):
    stored = json.loads(json.dumps(check_json(failing(saved)), allow_nan=False))
    assert (stored["outcome"], stored["exit_code"]) == ("fail", 1)
    assert len(stored["failures"]) == 2
    assert {primary["outcome"] for primary in stored["primaries"]} == {"fail", "pass"}


def test_junit_counts_failures_and_skips_what_is_inconclusive(saved):
    held, result = saved
    suite = ElementTree.fromstring(check_junit(failing(saved))).find("testsuite")
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("2", "0", "0")
    noise = np.tile(np.array([0.05, -0.05, 0.04, -0.03, 0.0, 0.0, 0.0, 0.0]), 4)
    erratic = changed(result, "numpy", "test_accuracy", lambda o: o["test_accuracy"] + noise)
    suite = ElementTree.fromstring(check_junit(judge_run(held, erratic))).find("testsuite")
    assert int(suite.get("skipped")) > 0
    assert "inconclusive" in suite.find("testcase/skipped").get("message")
    other = dataclasses.replace(
        result, manifest={**result.manifest, "dataset": {"sha256": "x", "name": "y"}}
    )
    suite = ElementTree.fromstring(check_junit(judge_run(held, other))).find("testsuite")
    assert suite.get("errors") == "1"


def test_markdown_says_what_the_screen_says(saved):
    text = check_markdown(failing(saved))
    assert "fail: run against baseline small" in text
    assert "| quantity | verdict |" in text


def test_github_is_told_of_failures_only(saved):
    lines = github_annotations(failing(saved))
    assert len(lines) == 2
    assert all(line.startswith("::error title=harness check small::numpy") for line in lines)
    assert all("\n" not in line and "% " not in line for line in lines)
    assert github_annotations(judge_run(*saved)) == []


def test_explain_says_what_would_be_caught(saved):
    held, _ = saved
    said = power_section(held, (4, 8, 16), CheckRules(), ["numpy"], runs_per_year=250)
    assert isinstance(said, Section)
    shares, drops = said.tables
    assert list(shares.frame["loss"]) == ["none", "0.5 points", "1 point", "2 points", "3 points"]
    assert {"pass", "fail", "inconclusive", "training"} <= set(shares.frame)
    assert len(drops.frame) == 2
    text = " ".join(said.points)
    assert "no false alarm" in text
    assert "250 runs a year" in text


def test_chances_are_shares_and_a_larger_loss_fails_more_often(saved):
    held, _ = saved
    found = quantities(held, ["numpy"], ["numpy"])
    made = chances(found, (4, 8, 16), CheckRules(), (0.0, 0.02, 0.05))
    assert all(c.passed + c.failed + c.undecided == pytest.approx(1) for c in made)
    assert [c.failed for c in made] == sorted(c.failed for c in made)
    assert made[0].failed <= 0.02
    assert made[-1].failed > 0.9
    assert made[-1].repeats < made[1].repeats


def test_the_command_writes_what_is_asked_for_and_exits_with_the_verdict(saved, home, capsys):
    from harness.cli.check import check_command as command

    with pytest.raises(typer.Exit) as exit_:
        command(
            "small",
            run=str(home / "run"),
            folder=str(home / "baselines"),
            junit=str(home / "out" / "check.xml"),
            markdown=str(home / "out" / "check.md"),
            page=str(home / "page"),
        )
    assert exit_.value.exit_code == 0
    assert (home / "out" / "check.xml").exists()
    assert (home / "out" / "check.md").exists()
    page = (home / "page" / "check.html").read_text()
    assert "pass: run against baseline small" in page
    assert page.index("How this was found") < page.index("Baseline small</h2>")
    assert "pass: run against baseline small" in capsys.readouterr().out
    with pytest.raises(typer.Exit):
        command("small", run=str(home / "run"), folder=str(home / "baselines"), json=True)
    assert json.loads(capsys.readouterr().out)["change"] == "identical"


def test_a_margin_must_be_one():
    with pytest.raises(InputError, match="margin"):
        CheckRules(margin=-0.1)


def test_a_baseline_is_saved_listed_and_shown(saved, home, capsys):
    from harness.cli import baseline as command

    folder = str(home / "more")
    command.save_command(str(home / "run"), name="mine", folder=folder)
    command.list_baselines_command(folder=folder)
    command.show_command("mine", folder=folder)
    out = capsys.readouterr().out
    assert "review it, then: git add" in out
    assert "mine: digits, numpy, sklearn, 2 × 2 grid, 8 repeats" in out
    assert "0 of 8 cells, over all backends, are chaotic" in out
    assert "numpy agrees, sklearn agrees" in out
    assert "selection optimism" in out


def test_no_baselines_are_none(tmp_path, capsys):
    from harness.cli import baseline as command

    command.list_baselines_command(folder=str(tmp_path))
    assert "none in" in capsys.readouterr().out
    with pytest.raises(InputError, match="baseline save RUN --name NAME"):
        baselines.load_baseline("any", str(tmp_path))
