"""What stands on a terminal: tables that lose no number, steps, waiting, and what became of switches."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from harness.cli.progress import Steps
from harness.cli.sections import show_section
from harness.cli.tables import show_table
from harness.cli.waiting import waiting_words
from harness.document.section import Section, Table
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.report.run_tally import duration
from harness.report.run_warnings import learnt_nothing
from harness.results.result import Result
from harness.runner import train_and_save
from harness.work import plan_work


def printed(width, *table):
    screen = io.StringIO()
    show_table(Console(file=screen, width=width, markup=False), *table)
    return screen.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_keeps_its_numbers_whole_at_any_width(width):
    header = ["backend", "verdict", *(f"after {10**k} steps" for k in range(5)), "cells"]
    numbers = [[f"{k}.{row}e-0{k}" for k in range(1, 6)] for row in range(2)]
    verdict = "same but for a known rounding"
    rows = [["tensorflow", verdict, *of, "49 of 49"] for of in numbers]
    out = printed(width, header, rows, [False, False, *[True] * 5, False])
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    for of in numbers:
        assert all(f" {number} " in out for number in of)
    assert "tensorflow" in out


def test_a_step_says_which_it_is_of_how_many_and_unforeseen_ones_have_no_number():
    steps = Steps(2)
    assert steps("numpy") == "numpy (1 of 2)"
    assert steps("keras").startswith("keras (2 of 2, ")
    assert steps("a closer look") == "a closer look"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than 1 s"),
        (40, "40 s"),
        (600, "10 min"),
        (9000, "2 h"),
        (4e5, "5 days"),
        (1e12, "31,710 years"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds, words):
    assert duration(seconds) == words


def test_waiting_is_told_in_all_and_for_what():
    told = waiting_words(12.3, {"loading": 1.2, "training": 9.0, "saving": 0.0, "report": 2.1})
    assert told == "12.3 s in all: 1.2 s loading, 9.0 s training, 2.1 s report"


def small_run(tmp_path, **settings) -> Result:
    grid = {"backends": "numpy", "eta": "0.01", "lmbd": "0", "epochs": 20}
    experiment = experiment_from(grid | settings)
    execution = Execution(executor="serial", output=str(tmp_path))
    return train_and_save(plan_work(experiment), execution)


def test_a_backend_that_learnt_nothing_is_told_what_to_try(tmp_path):
    (words,) = learnt_nothing(small_run(tmp_path, dataset="wine"))
    assert words.startswith("numpy: learnt nothing")
    assert "try `--scale standard`" in words
    (words,) = learnt_nothing(small_run(tmp_path, dataset="wine", scale="standard", eta="1e-9"))
    assert "try more epochs" in words
    scaled = {"dataset": "wine", "scale": "standard", "eta": "1", "batch_size": 10}
    assert learnt_nothing(small_run(tmp_path, **scaled)) == []


def test_a_section_is_cut_to_one_screen_and_says_what_has_the_rest():
    words = ["word " * 30, "method " * 40]
    numbers = pd.DataFrame({"cell": [f"eta {k}, lmbd 1" for k in range(300)], "score": range(300)})
    tables = [Table(numbers, "Cells", file="cells.csv"), Table(numbers, "Chosen")]
    section = Section("Large", words, points=["point " * 50] * 20, tables=tables)
    screen = io.StringIO()
    show_section(section, Console(file=screen, width=80), rest="in page.md")
    lines = screen.getvalue().splitlines()
    assert len(lines) <= 38
    assert lines[0].startswith("word")
    assert "method" in lines[-1]
    left = [line for line in lines if "more:" in line]
    assert [line.rsplit(": ", 1)[1] for line in left] == [
        "in page.md",
        "in cells.csv",
        "in page.md",
    ]
    shown = sum("eta" in line for line in lines)
    assert sum(int(line.split()[1]) for line in left[1:]) + shown == 600
    small = Section("Small", ["Yes."], tables=[Table(numbers.head(3), "Cells")])
    screen = io.StringIO()
    show_section(small, Console(file=screen, width=80), rest="in page.md")
    assert "more" not in screen.getvalue()
