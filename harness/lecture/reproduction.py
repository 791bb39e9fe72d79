"""Our seeded TensorFlow and Keras against the notes' own programs, which nobody seeded.

No number of theirs can come out again, so the question is whether ours could be one of theirs. The notes'
programs (:mod:`harness.lecture.programs`) were trained N times, each time with other draws; the accuracies
are kept in ``unseeded.csv``. If our training of a cell is one more of the same kind, all N + 1 accuracies
of the cell are equally likely to be the least or the greatest: ours lies outside the range of the others
with probability 2 / (N + 1), less where accuracies tie. How many cells do is binomial at most.

To measure anew, which takes minutes for TensorFlow and most of an hour for Keras:

    python -m harness.lecture.unseeded tensorflow,keras 9
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import as_file, files

import pandas as pd

from backends.frameworks import set_threads
from harness.data.dataset import load_dataset
from harness.data.split import split_rows
from harness.experiment.experiment import Experiment, experiment_from
from harness.lecture.programs import PROGRAMS, Task

KEPT = files("harness.lecture").joinpath("unseeded.csv")
CELL = ["eta", "lmbd"]
PARTS = ("train", "test")
LEVEL = 0.01  # how often a training of the same kind may be taken for another


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
        return self.p_value >= LEVEL


def spread(program: str, part: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Spread:
    """Hold a grid against unseeded trainings of the same cells.

    ours: a row a cell, theirs: a row a cell and run, both with eta, lmbd and ``<part>_accuracy``; NaN is
    a cell that diverged.
    """
    from scipy.stats import binomtest

    column = f"{part}_accuracy"
    ours = ours[ours[column].notna()]
    cells = pd.MultiIndex.from_frame(ours[CELL].map("{:.6g}".format))
    keys = [theirs[name].map("{:.6g}".format) for name in CELL]
    range_ = theirs.groupby(keys)[column].agg(["min", "max", "size"]).loc[cells]
    # TensorFlow hands accuracies over in float32
    mine = ours[column].to_numpy()
    outside = (mine < range_["min"].to_numpy() - 1e-6) | (mine > range_["max"].to_numpy() + 1e-6)
    runs, number = int(range_["size"].min()), int(outside.sum())
    chance = 2 / (runs + 1)
    p_value = binomtest(number, len(mine), chance, alternative="greater").pvalue
    return Spread(program, part, runs, len(mine), number, chance * len(mine), float(p_value))


def kept() -> pd.DataFrame:
    """The accuracies of the unseeded trainings: program, run, eta, lmbd, train_ and test_accuracy."""
    with as_file(KEPT) as path:
        return pd.read_csv(path)


def task(experiment: Experiment, program: str) -> Task:
    """The data and the network of one of the notes' programs."""
    dataset, recipe = load_dataset(experiment), experiment.recipe(program)
    split, x = split_rows(dataset, experiment), dataset.x.astype(recipe.dtype)
    return Task(
        *(x[split.train], dataset.y[split.train], x[split.test], dataset.y[split.test]),
        classes=len(dataset.classes),
        hidden=tuple(recipe.hidden),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
    )


def measure(program: str, runs: int) -> pd.DataFrame:
    """Train the notes' grid ``runs`` times with one of their programs."""
    experiment = experiment_from({"preset": "lecture"})
    given, train = task(experiment, program), PROGRAMS[program]
    rows = [
        (program, run, eta, lmbd, *train(given, eta, lmbd))
        for run in range(runs)
        for eta, lmbd in experiment.cells
    ]
    return pd.DataFrame(rows, columns=["program", "run", *CELL, *(f"{p}_accuracy" for p in PARTS)])


if __name__ == "__main__":
    set_threads(1)
    measured = [measure(name, int(sys.argv[2])) for name in sys.argv[1].split(",")]
    pd.concat(measured).to_csv(sys.stdout, index=False, float_format="%.6g")
