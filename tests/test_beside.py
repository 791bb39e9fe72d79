"""Tasks in a copy of this process: same results, own errors, nothing lost with a killed process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

import harness.executors.fork
from harness.cli.progress import status_line
from harness.document import canvas, writer
from harness.document.section import Picture
from harness.executors.fork import beside, forks
from harness.experiment.experiment import Experiment
from harness.parity.parity import parity

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


@pytest.fixture
def alone(monkeypatch):
    """As in a process that has two cores and no framework loaded, whatever ran before this test."""
    monkeypatch.setattr(harness.executors.fork, "THREADED", set())
    monkeypatch.setattr(harness.executors.fork, "cores", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@linux
def test_a_task_is_done_in_another_process(alone):
    other = beside(lambda: (os.getpid(), "x" * 10**6))
    process, text = other()
    assert process != os.getpid()
    assert len(text) == 10**6


def test_where_a_fork_is_unsafe_the_call_does_the_task(monkeypatch):
    monkeypatch.setattr(harness.executors.fork, "THREADED", {"sys"})
    assert beside(os.getpid)() == os.getpid()


def test_beside_another_thread_nothing_is_forked(alone, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert beside(os.getpid)() == os.getpid()


def test_a_line_that_tells_of_progress_is_no_thread_to_fork_beside():
    threads, out = threading.active_count(), Console(file=StringIO(), force_terminal=True)
    with status_line(out) as say:
        say("training numpy")
        assert threading.active_count() == threads
    assert "training numpy ..." in out.file.getvalue()


def test_what_a_task_raises_is_raised_here(alone, capfd):
    def task() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        beside(task)()
    assert capfd.readouterr().err == ""  # told once, by who raises it


@linux
def test_a_fork_forks_no_further(alone):
    assert forks()
    assert beside(forks)() is False


@linux
def test_parity_in_two_processes_finds_what_it_finds_in_one(alone, monkeypatch):
    experiment = Experiment(
        dataset="iris", hidden=(5,), eta=(0.1,), lmbd=(0.01,), backends=("numpy", "sklearn")
    )
    told: list[str] = []
    both = parity(experiment, steps=10, say=told.append)
    assert told[-1] == "everybody float32"
    assert not any("sklearn float32" in text for text in told)
    monkeypatch.setattr(harness.executors.fork, "cores", lambda: 1)
    one = parity(experiment, steps=10, say=told.append)
    assert told[-1] == "sklearn float64"
    pd.testing.assert_frame_equal(both.errors, one.errors)
    pd.testing.assert_frame_equal(both.chaos, one.chaos)
    assert both.verdicts == one.verdicts


@linux
def test_a_killed_process_costs_nothing_but_time(alone):
    here = os.getpid()

    def task() -> str:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done here"

    assert beside(task)() == "done here"


@linux
def test_figures_are_the_same_bytes_wherever_they_are_drawn(alone):
    def figure(bars: int):
        made, axes = canvas.panels(1, 1, canvas.Frame(2.0, 1.0))
        axes[0].bar(range(bars), range(bars))
        return made

    pictures = [Picture(f"p{n}", lambda n=n: figure(n), "", "") for n in (2, 3, 4)]
    forked = beside(lambda: writer._draw_files(pictures))()
    files, faults = forked
    assert (files, faults) == writer._draw_files(pictures)
    assert len(files) == 6
    assert not faults
