"""An upgrade is judged by bits, by the reference's path, and by its accuracy, in this order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.experiment.experiment import experiment_from
from harness.upgrade.section import upgrade_headline, write_upgrade
from harness.upgrade.upgrade import UpgradeOutcome, upgrade, upgraded_backends

SETTINGS = {
    "dataset": "iris",
    "scale": "standard",
    "hidden": [4],
    "epochs": 8,
    "batch_size": 24,
    "eta": [0.5],
    "lmbd": [0.001],
    "repeats": 5,
}
# trains rightly; or with its minibatches summed in another order; or not at all
SWITCHED = """
import os
from backends.numpy_backend import NumPyBackend

class Switched(NumPyBackend):
    name = "switched"
    def train(self, x, y, network, training, cells, plan):
        how = os.environ["HOW"]
        if how == "reordered":
            plan = plan.rows_permuted(1)
        fit = super().train(x, y, network, training, cells, plan)
        if how == "untrained":
            for weights in fit.path:
                weights.W[-1][:] = 0
                weights.b[-1][:] = [1, 0, 0]
        return fit
"""


@pytest.fixture
def switched(tmp_path, monkeypatch):
    (tmp_path / "switched_plugin.py").write_text(SWITCHED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    base = "switched_plugin:Switched"

    def judged(*versions):
        versions = [f"HOW={how}" for how in versions]
        names = upgraded_backends(versions, base)
        return upgrade(experiment_from(SETTINGS | {"backends": names}), versions, base)

    return judged


def test_the_same_bits_are_enough(switched):
    found = switched("right", "rightly")
    assert (found.outcome, found.exit_code) == (UpgradeOutcome.SAME_BITS, 0)
    assert found.parity is None


def test_round_off_is_told_with_its_place_and_the_version_it_came_with(switched, tmp_path):
    found = switched("right", "rightly", "reordered", "reordered")
    assert (found.outcome, found.exit_code) == (UpgradeOutcome.ROUND_OFF, 0)
    assert [name.rpartition("=")[2] for name in found.backends] == ["rightly", "reordered"]
    assert {p.dtype for p in found.partings} == {"float32", "float64"}
    assert max(p.relative for p in found.partings if p.dtype == "float64") < 1e-12
    page = write_upgrade(found, 1, str(tmp_path / "out"))
    assert "Nothing but round-off" in Path(page).read_text()
    record = json.loads((tmp_path / "out" / "upgrade.json").read_text())
    assert record["outcome"] == "nothing but round-off"


@pytest.mark.slow
def test_another_accuracy_is_a_verdict_against(switched):
    found = switched("right", "untrained")
    assert (found.outcome, found.exit_code) == (UpgradeOutcome.DIFFERENT, 1)
    assert "another accuracy" in upgrade_headline(found, 1)


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (["scikit-learn==1.5.2"], "allowed: two or more"),
        (["nonsense", "scikit-learn==1.5.2"], "allowed after @"),
        (["left-pad==1", "left-pad==2"], "left-pad"),
    ],
)
def test_what_cannot_be_judged_is_refused(versions, words):
    with pytest.raises(InputError, match=words):
        upgraded_backends(versions)


@pytest.mark.parametrize("base", ["all", "every", "numpy,keras"])
def test_versions_are_those_of_one_backend(base):
    versions = ["scikit-learn==1.5.2", "scikit-learn==1.6.1"]
    for asked in (
        lambda: upgraded_backends(versions, base),
        lambda: upgrade(experiment_from(SETTINGS), versions, base),
    ):
        with pytest.raises(InputError, match=f"backend: found '{base}'; allowed: one, whose"):
            asked()


def test_a_library_tells_whose_versions_they_are():
    assert upgraded_backends(["scikit-learn==1.5.2", "scikit_learn==1.6.1"]) == [
        "sklearn@scikit-learn==1.5.2",
        "sklearn@scikit_learn==1.6.1",
    ]
