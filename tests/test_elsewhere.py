"""Backends in another process: the same numbers, other versions, and what becomes of a process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest

from backends.base import UnsupportedPlan
from backends.elsewhere import Elsewhere, RaisedElsewhere
from backends.environments import clear_environments, environment, environments
from backends.network import Cells, Network, Training
from backends.plan import Plan
from backends.registry import UnusableBackend, find, taken_by_all, taken_by_every, usable
from backends.where import Where

NETWORK = Network.classifier(5, (4,), 3)
CELLS = Cells.grid([0.5, 0.1], [0.0, 0.2])


def task(dtype="float64", **plan):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 5)).astype(dtype), np.arange(50) % 3
    drawn = Plan.draw(
        NETWORK, np.arange(50), [1], epochs=2, **({"batch_size": 10, "dtype": dtype} | plan)
    )
    return x, y, NETWORK, Training(dtype=dtype), CELLS, drawn


def same(one, other):
    tensors = zip(one.named().values(), other.named().values(), strict=True)
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in tensors)


@pytest.mark.parametrize(
    "text",
    [
        "scikit-learn==1.5.2",
        "scikit-learn==1.3.2+numpy==1.26.4",
        "TF_ENABLE_ONEDNN_OPTS=0",
        "OPENBLAS_CORETYPE=Haswell+threads=2",
        "XLA_FLAGS=a%2Bb",
        "/opt/venv/bin/python+A=1",
        "jax",
    ],
)
def test_where_is_read_and_written_alike(text):
    assert str(Where.parse(text)) == text


def test_a_plus_inside_a_value_is_kept():
    assert Where.parse("XLA_FLAGS=a%2Bb").variables == {"XLA_FLAGS": "a+b"}


@pytest.mark.parametrize(
    "text", ["", "threads=0", "threads=two", "1.5.2", "numpy==1+/usr/bin/python3"]
)
def test_a_where_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"found .*; allowed"):
        Where.parse(text)


def test_an_engine_belongs_to_keras():
    with pytest.raises(ValueError, match="jax is an engine of keras, not of numpy"):
        find("numpy@jax")


def test_another_process_gives_the_same_bits_and_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    there = usable("numpy@threads=1")
    assert [path.name.startswith("harness-") for path in tmp_path.iterdir()] == [True]
    one, two = there.train(*task()), find("numpy").train(*task())
    assert same(one.weights, two.weights)
    assert there.surroundings()["where"] == "threads=1"
    assert there.versions()["numpy"] == np.__version__
    x, weights = task()[0], one.weights
    expected = find("numpy").predict_proba(x, NETWORK, weights)
    np.testing.assert_array_equal(there.predict_proba(x, NETWORK, weights), expected)
    there.end()
    assert not any(tmp_path.iterdir())


def test_data_that_changed_between_two_trainings_are_sent_again():
    there, given = usable("numpy@threads=1"), task()
    there.train(*given)
    given[0][:] *= 2
    assert same(there.train(*given).weights, find("numpy").train(*given).weights)


def test_a_stock_program_runs_there_too():
    there = usable("numpy@threads=1")
    assert same(there.train_stock(*task()).weights, find("numpy").train_stock(*task()).weights)


PLUGIN = """
from backends.base import Backend, UnsupportedPlan

class Refuses(Backend):
    name = "refuses"
    def train_one(self, *given):
        raise UnsupportedPlan("not this plan")

class Fails(Backend):
    name = "fails"
    def train_one(self, *given):
        raise ArithmeticError("one of those days")

class Ends(Backend):
    name = "ends"
    def train_one(self, *given):
        import os
        os._exit(7)

class Sleeps(Backend):
    name = "sleeps"
    def train_one(self, *given):
        import time
        time.sleep(600)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "there_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: usable(f"there_plugin:{name}@threads=1")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("Refuses", UnsupportedPlan, "not this plan"),
        ("Fails", RaisedElsewhere, "ArithmeticError: one of those days"),
        ("Ends", Exception, "exit code 7"),
    ],
)
def test_what_happens_there_is_told_here(plugin, name, kind, words):
    with pytest.raises(kind, match=words):
        plugin(name).train(*task())


def test_the_other_process_ends_with_the_one_that_asks(plugin, tmp_path):
    script = textwrap.dedent(
        """
        import threading, time, sys
        from backends.registry import usable
        sys.path.insert(0, ".")
        sys.path.insert(0, "{here}")
        from test_elsewhere import task
        there = usable("there_plugin:Sleeps@threads=1")
        threading.Thread(target=lambda: there.train(*task()), daemon=True).start()
        print(there._process.pid, flush=True)
        time.sleep(600)
        """
    ).format(here=os.path.dirname(__file__))
    asking = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    asked = int(asking.stdout.readline())
    asking.kill()
    asking.wait()
    gone = psutil.wait_procs(
        [psutil.Process(asked)] if psutil.pid_exists(asked) else [], timeout=30
    )
    assert not gone[1]


def test_no_such_interpreter_and_no_such_version_are_told(tmp_path, monkeypatch):
    with pytest.raises(UnusableBackend, match="neither an interpreter nor the folder"):
        find(f"numpy@{tmp_path}/none")
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path))
    with pytest.raises(UnusableBackend, match=r"numpy==0\.0\.1 could not be made .*log: "):
        find("numpy@numpy==0.0.1")
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"]


def test_an_environment_is_made_once_by_one_of_two(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path))
    code = (
        "from backends.environments import environment\n"
        "environment(['six==1.17.0'], lambda doing: print(doing, flush=True))"
    )
    two = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[0] for process in two]
    assert [process.returncode for process in two] == [0, 0]
    assert sorted(len(words) > 0 for words in told) == [False, True]
    (made,) = environments()
    assert made.packages == ("six==1.17.0",)
    begun = time.time()
    assert environment(["six==1.17.0"]).python == made.python
    assert not any(p.stat().st_mtime > begun for p in made.folder.glob("*"))
    assert clear_environments() == [made]
    assert not environments()


def test_all_stays_the_four_and_every_is_everybody():
    assert list(taken_by_all())[:4] == ["numpy", "sklearn", "tensorflow", "keras"]
    assert not {"torch", "jax"} & set(taken_by_all())
    assert {"torch", "jax", "keras@jax", "keras@torch"} <= set(taken_by_every())


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_keras_on_its_other_engines_takes_the_references_path_in_float64(engine):
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    there = usable(f"keras@{engine}")
    assert isinstance(there, Elsewhere)
    expected = find("numpy").train(*task()).weights
    for a, b in zip(there.train(*task()).weights.W, expected.W, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_a_process_that_is_ended_is_gone_and_is_started_again_when_it_is_asked():
    there = usable("numpy@threads=1")
    before = set(psutil.Process().children())
    first = there.train(*task()).weights
    there.end()
    assert set(psutil.Process().children()) < before
    for a, b in zip(there.train(*task()).weights.W, first.W, strict=True):
        np.testing.assert_array_equal(a, b)
