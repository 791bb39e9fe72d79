"""The chosen cell of each backend: what it scores, how sure that is, and what choosing cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import number_words
from harness.results.backend_grid import BackendGrid
from harness.stats import repeats


@dataclass(frozen=True, eq=False)
class Choice:
    """The cell that validation chose for one side, and the cell that the test set would have chosen.

    ``row`` and ``column`` are its place on the grid, ``best`` that of the highest mean test score, of the
    score that chooses.
    ``edges`` are the edges of the grid it lies on, in words.
    """

    side: BackendGrid
    row: int
    column: int
    best: tuple[int, int]
    edges: tuple[str, ...]

    @property
    def eta(self) -> float:
        return float(self.side.eta[self.row])

    @property
    def lmbd(self) -> float:
        return float(self.side.lmbd[self.column])

    def values(self, column: str) -> NDArray[np.float64]:
        """A measured column of the cell, one value a repeat."""
        return self.side.values(column)[self.row, self.column]

    def mean(self, column: str) -> float:
        return float(self.values(column).mean())

    @property
    def predicted(self) -> NDArray[np.object_]:
        """The predicted classes (values) of the test samples, an array in each of (repeat,)."""
        return self.side.predicted[self.row, self.column]

    @property
    def labels(self) -> NDArray[np.int32]:
        """The predicted classes, (repeats, samples), as :attr:`BackendGrid.labels` has them."""
        return self.side.labels[self.row * len(self.side.lmbd) + self.column]

    @property
    def test(self) -> float:
        """The mean test score of the chosen cell."""
        return self.mean(f"test_{self.side.metric}")

    @property
    def test_best(self) -> float:
        """The highest mean test score of all cells, of the score that chooses."""
        return float(self.side.mean(f"test_{self.side.choose_by}")[self.best])

    @property
    def optimism(self) -> float:
        """Selection optimism: by how much the test-best cell flatters beside the chosen one."""
        return self.test_best - self.mean(f"test_{self.side.choose_by}")

    @property
    def samples(self) -> int:
        """How many test samples a repeat has."""
        return len(self.side.result.target(0))

    @property
    def one_accuracy(self) -> tuple[float, float]:
        """The 95 % interval of one such accuracy on so many samples, Wilson's."""
        return repeats.accuracy_interval(self.test, self.samples)


def grid_choices(sides: Sequence[BackendGrid]) -> list[Choice]:
    """The choice of every side that has a cell which is ok in every repeat."""
    made = []
    for side in sides:
        if side.chosen is not None:
            row, column = side.chosen
            test = side.mean(f"test_{side.choose_by}")
            best = side.chosen
            if np.isfinite(test).any():  # not where R² is not defined
                top = np.unravel_index(np.nanargmax(test), test.shape)
                best = (int(top[0]), int(top[1]))
            made.append(Choice(side, row, column, best, _edges(side, row, column)))
    return made


def _edges(side: BackendGrid, row: int, column: int) -> tuple[str, ...]:
    """An axis of one value has no edge, and nothing lies below lmbd = 0."""
    edges = []
    for name, axis, k in (("eta", side.eta, row), ("lmbd", side.lmbd, column)):
        if len(axis) > 1 and k == 0 and axis[0] > 0:
            edges.append(f"smallest {name}")
        if len(axis) > 1 and k == len(axis) - 1:
            edges.append(f"largest {name}")
    return tuple(edges)


def chosen_table(choices: Sequence[Choice]) -> pd.DataFrame:
    """A line for every choice: cell, scores, interval, test-best number, optimism, edge."""
    rows = []
    for choice in choices:
        metric, chooses = choice.side.metric, choice.side.choose_by
        row = {
            "backend": choice.side.label,
            "eta": number_words.grid(choice.eta),
            "lmbd": number_words.grid(choice.lmbd),
            "train": number_words.shown_score(choice.mean(f"train_{metric}"), metric),
            "validation": number_words.shown_score(choice.mean(f"validation_{metric}"), metric),
            "test": number_words.shown_score(choice.test, metric),
        }
        if chooses != metric:
            shown = number_words.shown_score(choice.mean(f"validation_{chooses}"), chooses)
            row[f"validation {number_words.NAMES[chooses]}"] = shown
        for other in choice.side.result.shown_scores[1:]:
            shown = number_words.shown_score(choice.mean(f"test_{other}"), other)
            row[f"test {number_words.NAMES[other]}"] = shown
        if metric == "accuracy":
            low, high = choice.one_accuracy
            row["95 % interval"] = number_words.score_range(low, high, metric)
        else:
            row["test RMSE"] = f"{choice.mean('test_rmse'):.4g}"
        row["test-best"] = number_words.shown_score(choice.test_best, chooses)
        row["optimism"] = number_words.points(choice.optimism, chooses)
        row["on the grid's edge"] = ", ".join(choice.edges) or "no"
        rows.append(row)
    return pd.DataFrame(rows)


def repeats_table(choices: Sequence[Choice]) -> pd.DataFrame:
    """The spread of every chosen cell over repeats, and how the choice itself would have moved."""
    rows = []
    for choice in choices:
        metric = choice.side.metric
        test = choice.values(f"test_{metric}")
        ends = mean_interval(choice.side, f"test_{metric}")
        low, high = (end[choice.row, choice.column] for end in ends)
        alone, optimism = _alone(choice)
        rows.append(
            {
                "backend": choice.side.label,
                "repeats": len(test),
                "mean test": number_words.shown_score(float(test.mean()), metric),
                "sd": number_words.span(float(test.std(ddof=1)), metric),
                "95 % interval": number_words.score_range(float(low), float(high), metric),
                "lowest": number_words.shown_score(float(test.min()), metric),
                "highest": number_words.shown_score(float(test.max()), metric),
                **_other_means(choice),
                "chosen by how many repeats alone": f"{alone} of {len(test)}",
                "optimism, each repeat choosing alone": number_words.points(
                    optimism, choice.side.choose_by
                ),
            }
        )
    return pd.DataFrame(rows)


def _other_means(choice: Choice) -> dict[str, str]:
    """Mean and standard deviation over repeats of the other scores that are shown."""
    shown = {}
    for other in choice.side.result.shown_scores[1:]:
        test = choice.values(f"test_{other}")
        mean = number_words.shown_score(float(test.mean()), other)
        shown[f"mean test {number_words.NAMES[other]}"] = (
            f"{mean} (sd {number_words.span(float(test.std(ddof=1)), other)})"
        )
    return shown


def mean_interval(
    side: BackendGrid, column: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper end of the 95 % interval of the mean over repeats, (eta, lmbd) each."""
    frame = repeats.repeat_summary(side.records, column)
    return frame["low"].to_numpy().reshape(side.shape), frame["high"].to_numpy().reshape(side.shape)


def _alone(choice: Choice) -> tuple[int, float]:
    """How many repeats would have chosen this cell by themselves, and their mean selection optimism."""
    side = choice.side
    picks = repeats.repeat_choices(side.records, side.choose_by)
    same = (picks["eta"] == choice.eta) & (picks["lmbd"] == choice.lmbd)
    highest = np.nanmax(side.values(f"test_{side.choose_by}"), axis=(0, 1))
    return int(same.sum()), float(np.mean(highest - picks["test"].to_numpy()))
