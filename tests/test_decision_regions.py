"""Regions of classes and fitted curves: what the trained networks themselves say on a mesh."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Execution, load_result, run
from harness.data.dataset import load_dataset
from harness.experiment.experiment import experiment_from
from harness.report import decision_regions
from harness.report.cell_values import cell_values
from harness.report.runs import Material
from harness.training.input_mesh import LINE, SIDE, mesh_axes

SMALL = {
    "scale": "standard",
    "hidden": [8],
    "activation": "tanh",
    "batch_size": 20,
    "epochs": 5,
    "eta": [0.1, 1.0],
    "lmbd": [0.0],
    "backends": ["numpy", "sklearn"],
    "repeats": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("regions"))


@pytest.fixture(scope="module")
def moons(folder):
    asked = experiment_from(SMALL | {"dataset": "two_moons"})
    return run(asked, Execution(executor="serial", output=folder, name="moons"))


@pytest.fixture(scope="module")
def curve(folder):
    asked = experiment_from(SMALL | {"dataset": "runge", "task": "regression", "eta": [0.1, 1e9]})
    return run(asked, Execution(executor="serial", output=folder, name="runge"))


def drawn(picture, across):
    """The levels of a picture, (rows, across)."""
    levels, lengths = np.array(picture).reshape(-1, 2).astype(int).T
    return np.repeat(levels, lengths).reshape(-1, across)


def test_a_region_is_what_the_network_predicts_at_each_point(moons):
    assert len(moons.regions) == 4  # of the first repeat
    across, up = mesh_axes(load_dataset(moons.experiment).x)
    for row in moons.regions.itertuples():
        labels = np.asarray(row.region).reshape(SIDE, SIDE)
        assert labels.dtype == np.uint8
        for i, j in ((0, 0), (SIDE - 1, 0), (10, 40), (30, 30)):
            said = moons.predict(row.backend, row.eta, row.lmbd, x=[[across[j], up[i]]])
            assert str(said["predicted"][0]) == str(
                moons.manifest["dataset"]["classes"][labels[i, j]]
            )


def test_a_curve_is_in_the_units_of_the_data_and_none_is_made_up(curve):
    assert set(curve.regions["eta"]) == {0.1}  # the other diverged
    (x,) = mesh_axes(load_dataset(curve.experiment).x)
    for row in curve.regions.itertuples():
        assert len(row.region) == LINE
        said = curve.predict(row.backend, row.eta, row.lmbd, x=x[:, None])["predicted"]
        np.testing.assert_allclose(row.region, said, rtol=1e-5, atol=1e-6)


def test_the_page_has_the_regions_in_stretches_and_equal_ones_once(moons, curve):
    shown = cell_values(Material((moons, curve)))
    regions = shown["regions"]
    own = [side["regions"] for side in shown["sides"] if side["run"] == 0]
    assert {number for side in own for number in side if number is not None} <= set(range(4))
    first = moons.regions.iloc[0]
    cell = shown["eta"].index(first["eta"]) * len(shown["lmbd"])
    picture = regions["pictures"][own[0][cell]]
    assert (drawn(picture, SIDE).ravel() == first["region"]).all()
    assert len(picture) < SIDE * SIDE / 4
    about = regions["runs"][0]
    assert len(about["x"][0]) == len(about["y"]) == len(about["tested"])
    side = next(side for side in shown["sides"] if side["run"] == 1)
    values = regions["pictures"][next(n for n in side["regions"] if n is not None)]
    np.testing.assert_allclose(values, curve.regions["region"].iloc[0], rtol=1e-3)


def test_where_there_are_too_many_those_of_chosen_cells_are_kept(moons, monkeypatch):
    monkeypatch.setattr(decision_regions, "_MOST_NUMBERS", 10)
    shown = cell_values(Material((moons,)))
    for side in shown["sides"]:
        kept = {cell for cell, number in enumerate(side["regions"]) if number is not None}
        assert side["chosen"] in kept
    assert any("regions.parquet has all" in note for note in shown["notes"])


def test_they_are_read_back_and_there_are_none_of_more_features(moons, folder):
    again = load_result(moons.address)
    assert [list(r) for r in again.regions["region"]] == [list(r) for r in moons.regions["region"]]
    few = {"dataset": "iris", "backends": ["numpy"], "repeats": 1, "epochs": 1}
    iris = run(
        experiment_from(SMALL | few), Execution(executor="serial", output=folder, name="iris")
    )
    assert iris.regions is None
    assert "regions.parquet" not in iris.manifest["files"]
    assert cell_values(Material((iris,)))["regions"]["runs"] == [None]
