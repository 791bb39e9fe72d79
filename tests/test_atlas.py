"""The atlas: a column for each version, kept when it is done, held against the version before it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.atlas.atlas import (
    ATLAS_SETTINGS,
    ATLAS_STEPS,
    ROUND_OFF_ALONE,
    AtlasColumn,
    chosen_columns,
    columns_to_train,
    listed_columns,
    read_atlas,
    train_columns,
    version_number,
    version_steps,
    write_atlas,
)
from harness.atlas.section import atlas_section, draw_atlas
from harness.cli.main import run_command_line
from harness.errors import InputError
from harness.results.run_folder import RunFolder

STORED = Path(__file__).parents[1] / "results" / "atlas"
# versions 1 and 2 train alike; 3 sums its minibatches in another order from the fourth step on; 4 fails
SWITCHED = """
import dataclasses, os
from backends.numpy_backend import NumPyBackend

class Switched(NumPyBackend):
    name = "switched"
    optimizers = ("sgd",)
    def trace_one(self, x, y, network, training, eta, lmbd, plan):
        if os.environ["HOW"] == "4":
            raise RuntimeError("not of this version")
        if os.environ["HOW"] == "3":
            late = plan.rows_permuted(1).order.copy()
            late[:, : plan.bounds[3]] = plan.order[:, : plan.bounds[3]]
            plan = dataclasses.replace(plan, order=late)
        return super().trace_one(x, y, network, training, eta, lmbd, plan)
"""
LIST = """
[switched]
backend = "versions_plugin:Switched"
where = "HOW={version}"
versions = ["1", "2", "3", "4"]
"""


@pytest.fixture
def listed(tmp_path, monkeypatch):
    (tmp_path / "versions_plugin.py").write_text(SWITCHED)
    (tmp_path / "list.toml").write_text(LIST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return listed_columns("list.toml")


def test_a_column_is_kept_and_held_against_the_one_before(listed, capsys):
    folder = RunFolder("out")
    atlas = train_columns(folder, [listed[0], listed[2]])
    assert columns_to_train(atlas, listed, listed, fresh=False) == [listed[1], listed[3]]

    with pytest.raises(SystemExit) as ended:  # the last cannot be trained
        run_command_line(["atlas", "--versions", "list.toml", "--output", "out"])
    assert ended.value.code == 3
    atlas = read_atlas(folder)
    assert atlas.trained("switched") == ["1", "2", "3"]
    assert "not of this version" in atlas.columns["status"].iloc[-1]
    assert len(atlas.of("switched", "1")) == sum(s.optimiser != "Adam" for s in ATLAS_SETTINGS)

    (same, other) = [found for *_, found in version_steps(atlas)]
    assert same == []
    assert {(c.step, c.known) for c in other} == {(10, True)}
    assert all(c.after < 10 * atlas.of(ROUND_OFF_ALONE, "")[c.setting].last for c in other)
    stored = pd.read_csv("out/settings.csv", dtype=str)
    assert (stored.loc[stored["version"] == "2", "bits"] == "=").all()
    report = Path("out/atlas.md").read_text()
    assert "not of this version" in report
    assert Path("out/figures/atlas.png").exists()
    assert "atlas:" in capsys.readouterr().out


def test_one_at_a_time_trains_in_a_folder(listed):
    folder = RunFolder("out")
    with folder.lock(), pytest.raises(InputError, match="another run is writing"):
        train_columns(RunFolder("out"), listed[:1])
    assert not folder.exists("columns.csv")


def test_a_neighbour_that_another_program_made_is_trained_again(listed):
    folder = RunFolder("out")
    atlas = train_columns(folder, listed[:1])
    atlas.columns.loc[atlas.columns["version"] == "1", "made_by"] = "another program"
    assert columns_to_train(atlas, listed[1:2], listed, fresh=False) == listed[:2]
    assert columns_to_train(atlas, listed[:1], listed, fresh=False) == []
    assert columns_to_train(atlas, listed[:1], listed, fresh=True) == listed[:1]


def test_a_column_that_cannot_be_trained_again_stays(listed):
    folder, told = RunFolder("out"), []
    train_columns(folder, listed[:1])
    broken = listed[0]._replace(backend=listed[0].backend.replace("HOW=1", "HOW=4"))
    atlas = train_columns(folder, [broken], told.append)
    assert atlas.trained("switched") == ["1"]
    assert "not of this version" in told[-1]


def test_bits_of_another_program_leave_the_version_unblamed(listed):
    atlas = train_columns(RunFolder("out"), [listed[0], listed[2]])
    atlas.columns.loc[atlas.columns["version"] == "1", "made_by"] = "another program"
    ((*_, found),) = version_steps(atlas)
    assert found
    assert not any(change.known for change in found)


@pytest.mark.parametrize(
    ("asked", "libraries"),
    [
        ("keras==3.16.0", ["keras-tensorflow", "keras-jax", "keras-torch"]),
        ("jax==0.11.0", ["jax"]),
        ("scikit-learn==1.10.0", ["scikit-learn"]),
    ],
)
def test_one_new_version_is_one_more_column_for_each_engine(asked, libraries):
    columns = chosen_columns([asked], listed_columns())
    version = asked.partition("==")[2]
    assert [c.library for c in columns] == libraries
    assert all(c.version == version and f"=={version}+" in c.backend for c in columns)


def test_what_the_atlas_does_not_know_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'left-pad==1'.*allowed: numpy"):
        chosen_columns(["left-pad==1"], listed_columns())
    whole = {"backend": "'numpy'", "where": "'numpy=={version}'", "versions": "['1']"}
    for key, value in (("backend", ""), ("where", "1"), ("where", "'1'"), ("versions", "'1.0'")):
        lines = [f"{k} = {v}" for k, v in (whole | {key: value}).items() if v]
        (tmp_path / "list.toml").write_text("\n".join(["[numpy]", *lines]))
        with pytest.raises(InputError, match="allowed: the keys backend, where"):
            listed_columns(tmp_path / "list.toml")
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has the columns a, b"):
        read_atlas(RunFolder(str(tmp_path)))


def test_versions_are_sorted_as_versions():
    assert sorted(["3.10.0", "3.9.2", "2.0.0rc1", "2.0.0"], key=version_number) == [
        "2.0.0",
        "2.0.0rc1",
        "3.9.2",
        "3.10.0",
    ]


def test_the_stored_atlas_is_whole(tmp_path):
    """Every column of the list was tried; reading and writing the table leaves it as it is."""
    atlas = read_atlas(RunFolder(str(STORED)))
    tried = set(atlas.columns[["library", "version"]].itertuples(index=False, name=None))
    assert tried >= {(c.library, c.version) for c in listed_columns()}
    assert {len(p.bits) for name in atlas.libraries for v in atlas.trained(name)
            for p in atlas.of(name, v).values()} == {4 * 4 * len(ATLAS_STEPS)}  # fmt: skip
    RunFolder(str(STORED)).refuse_foreign(["columns.csv", "settings.csv"])
    write_atlas(RunFolder(str(tmp_path)), atlas)
    for name in ("columns.csv", "settings.csv"):
        assert (tmp_path / name).read_text() == (STORED / name).read_text()
    assert "atlas" in atlas_section(atlas).title.lower()
    assert draw_atlas(atlas).axes


def test_a_column_is_what_a_backend_is_called():
    column = AtlasColumn("numpy", "2.4.6", "numpy@numpy==2.4.6+threads=1")
    assert column in listed_columns()
