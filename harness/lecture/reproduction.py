"""What of the notes' printed numbers comes out here.

NumPy's and scikit-learn's accuracies are held against those that executed copies of the notes print,
digit for digit (``published.toml`` says where they come from).

TensorFlow and Keras were never seeded there, so no number of theirs can come out again; the question is
whether ours could be one of theirs. The notes' programs (:mod:`harness.lecture.programs`) were trained N
times, each time with other draws; the accuracies are in ``unseeded.csv``. If our training of a cell is one
more of the same kind, all N + 1 accuracies of the cell are equally likely to be the least or the greatest:
ours lies outside the range of the others with probability 2 / (N + 1), less where accuracies tie. How many
cells do is binomial at most.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document.section import Section, Table
from harness.experiment.experiment import experiment_from
from harness.results.result import Result

SOURCE_OF_NOTES = (
    "Morten Hjorth-Jensen, Building a Feed Forward Neural Network, lecture notes FYS-STK4155, "
    "github.com/CompPhysics/MachineLearning"
)
SPREAD_LEVEL = 0.01  # how often a training of the same kind may be taken for another

_DATA = files("harness.lecture")


@dataclass(frozen=True)
class PrintedNumbers:
    """The printed numbers.

    ``accuracy`` has the test accuracies of a backend's grid, (eta, lmbd) ascending; its first
    ``stable[backend]`` rows are the same in every copy.
    """

    first_probabilities: NDArray[np.float64]
    first_prediction: int
    first_label: int
    old_training_accuracy: float
    new_training_accuracy: float
    accuracy: dict[str, NDArray[np.float64]]
    stable: dict[str, int]


@dataclass(frozen=True)
class Spread:
    """How many of ``cells`` accuracies lie outside the range of ``runs`` unseeded trainings.

    Cells that diverged are not counted. ``expected`` is the number to expect of one more training of the
    same kind, at most; ``p_value`` the probability of so many outside or more, at most.
    """

    program: str
    part: str
    runs: int
    cells: int
    outside: int
    expected: float
    p_value: float

    @property
    def within(self) -> bool:
        """Whether ours may be one more of theirs."""
        return self.p_value >= SPREAD_LEVEL


def printed_numbers() -> PrintedNumbers:
    """The numbers that executed copies of the notes print."""
    numbers: dict[str, Any] = tomllib.loads(_DATA.joinpath("published.toml").read_text("utf-8"))
    grids = {name: numbers[name] for name in ("numpy", "sklearn")}
    return PrintedNumbers(
        np.array(numbers["first_probabilities"]),
        numbers["first_prediction"],
        numbers["first_label"],
        numbers["old_training_accuracy"],
        numbers["new_training_accuracy"],
        {name: np.array(grid["test_accuracy"]) for name, grid in grids.items()},
        {name: grid["stable_rows"] for name, grid in grids.items()},
    )


def unseeded_accuracies() -> pd.DataFrame:
    """Accuracies of the unseeded trainings: program, run, eta, lmbd, train_ and test_accuracy."""
    with as_file(_DATA.joinpath("unseeded.csv")) as path:
        return pd.read_csv(path)


def spread(program: str, part: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Spread:
    """Hold a grid against unseeded trainings of the same cells.

    ours: a row a cell, theirs: a row a cell and run, both with eta, lmbd and ``<part>_accuracy``; NaN is
    a cell that diverged.
    """
    from scipy.stats import binomtest

    column = f"{part}_accuracy"
    ranges = theirs.groupby(["eta", "lmbd"])[column].agg(["min", "max", "size"])
    accuracy = ours.sort_values(["eta", "lmbd"])[column].to_numpy()
    trained = np.isfinite(accuracy)
    accuracy, ranges = accuracy[trained], ranges[trained]
    # TensorFlow hands accuracies over in float32
    below = accuracy < ranges["min"].to_numpy() - 1e-6
    above = accuracy > ranges["max"].to_numpy() + 1e-6
    runs, outside = int(ranges["size"].min()), int((below | above).sum())
    chance = 2 / (runs + 1)
    p_value = binomtest(outside, len(accuracy), chance, alternative="greater").pvalue
    return Spread(
        program, part, runs, len(accuracy), outside, chance * len(accuracy), float(p_value)
    )


def printed_accuracies_section(result: Result) -> Section | None:
    """The printed accuracies beside ours; None unless the run is the notes' own grid on their data."""
    if not _of_the_notes(result):
        return None
    notes, printed = experiment_from({"preset": "lecture"}), printed_numbers()
    rows = []
    for backend, theirs in printed.accuracy.items():
        if backend not in result.backends:
            continue
        ours = _first_repeat(result, backend)["test_accuracy"].to_numpy().reshape(theirs.shape)
        stable = printed.stable[backend]
        rows.append(
            {
                "program": backend,
                "printed alike in every copy": f"eta ≤ {notes.eta[stable - 1]:g}",
                "cells": theirs[:stable].size,
                "equal here, digit for digit": int((ours[:stable] == theirs[:stable]).sum()),
                "cells of the other rows": theirs[stable:].size,
                "equal there": int((ours[stable:] == theirs[stable:]).sum()),
            }
        )
    if not rows:
        return None
    reproduced = all(row["cells"] == row["equal here, digit for digit"] for row in rows)
    return Section(
        "The printed accuracies",
        text=[
            "All accuracies that every executed copy of the notes prints alike come out here as well, "
            "digit for digit."
            if reproduced
            else "Not all accuracies that every executed copy of the notes prints alike come out here.",
            "In the other rows eta is so large that round-off grows to order one or numbers overflow; "
            "what is printed there differs from machine to machine. "
            f"Printed numbers: {SOURCE_OF_NOTES}.",
        ],
        tables=[Table(pd.DataFrame(rows))],
        kind="verdict" if reproduced else "warning",
    )


def unseeded_section(result: Result) -> Section | None:
    """TensorFlow and Keras beside unseeded trainings by the notes' own programs; None as above."""
    if not _of_the_notes(result):
        return None
    unseeded = dict(list(unseeded_accuracies().groupby("program")))
    spreads = [
        spread(backend, part, _first_repeat(result, backend), unseeded[backend])
        for backend in result.backends
        if backend in unseeded
        for part in ("train", "test")
    ]
    if not spreads:
        return None
    within = all(s.within for s in spreads)
    rows = [
        {
            "program": s.program,
            "accuracy": {"train": "training", "test": "test"}[s.part],
            "cells": s.cells,
            "unseeded trainings of each": s.runs,
            "outside their range": s.outside,
            "expected of one more like them": f"at most {s.expected:.1f}",
            "p-value": f"{s.p_value:.2g}",
        }
        for s in spreads
    ]
    return Section(
        "The programs that were never seeded",
        text=[
            "The accuracies here fall within the spread of the notes' own programs."
            if within
            else "The accuracies here fall outside the spread of the notes' own programs.",
            "The notes' TensorFlow and Keras programs, written out with placeholders and a session and as "
            "a Sequential, were trained several times without a seed. Were a training here one more of "
            "the same kind, it would leave their range at a cell with probability 2 / (N + 1) at most, "
            f"for N trainings. The p-value is that of a binomial test; below {SPREAD_LEVEL:g} the two "
            "would be called different. Cells that diverged are not counted.",
        ],
        tables=[Table(pd.DataFrame(rows))],
        kind="verdict" if within else "warning",
    )


def _of_the_notes(result: Result) -> bool:
    """Whether the run is the notes' own grid on their data."""
    notes = experiment_from({"preset": "lecture"})
    return not set(result.experiment.differences(notes)) - {
        "backends",
        "variants",
        "repeats",
        "vary",
    }


def _first_repeat(result: Result, backend: str) -> pd.DataFrame:
    """One backend's records of the first repeat, (eta, lmbd) ascending."""
    records = result.of(backend)
    return records[records["repeat"] == 0].sort_values(["eta", "lmbd"])
