"""What repeats say about a cell: centre, spread, interval; and how the choice of a cell fares."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from harness.errors import unknown
from harness.stats.differences import CONFIDENCE

_CELL = ["backend", "eta", "lmbd"]
FORMULA = "mean ± t(0.975, n − 1) · sd / √n over n repeats; sd with n − 1"
# where the split varies; a t test takes repeats to be independent, and these have rows in common
SHARED_ROWS = "Repeats share rows: intervals describe these runs and claim nothing about new data."
_BOUNDED = ("accuracy", "r2")  # scores that are at most 1
_GUESSING = 0.001  # how often guessing may be taken for learning


def repeat_table(records: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column with a row for each backend x eta x lmbd and a column for each repeat.

    NaN where the record is not ok.
    """
    if column not in records:
        raise unknown("column", column, records.columns)
    values = records[column].where(records["status"] == "ok").astype(np.float64)
    named = records.assign(value=values)
    wide = named.pivot(index=_CELL, columns="repeat", values="value")  # a record twice is an error
    return wide.reindex(list(dict.fromkeys(records["backend"])), level="backend")


def repeat_summary(records: pd.DataFrame, column: str, level: float = CONFIDENCE) -> pd.DataFrame:
    """Centre, spread and interval of every cell over its repeats that are ok.

    Columns: backend, eta, lmbd, n (repeats that count), planned, mean, sd, low, high. The interval is
    Student's, see ``FORMULA``, as far as the score can be; with one repeat sd and interval are NaN.
    """
    values = repeat_table(records, column)
    frame = pd.DataFrame(index=values.index)
    frame["n"] = values.count(axis=1)
    frame["planned"] = values.shape[1]
    frame["mean"] = values.mean(axis=1)
    frame["sd"] = values.std(axis=1, ddof=1)
    n = frame["n"].where(frame["n"] > 1)
    half = stats.t.isf((1 - level) / 2, n - 1) * frame["sd"] / np.sqrt(n)
    least = 0.0 if column.endswith("accuracy") else None
    frame["low"] = (frame["mean"] - half).clip(lower=least)
    frame["high"] = (frame["mean"] + half).clip(upper=1.0 if column.endswith(_BOUNDED) else None)
    return frame.reset_index()


def repeat_choices(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The cell that each repeat alone would choose by a score on its validation part.

    Columns: backend, repeat, eta, lmbd, validation, test, both of that score. Ties as in
    :meth:`harness.results.result.Result.best`: lower validation loss, then smaller eta and lmbd.
    """
    score, loss = f"validation_{metric}", "validation_loss"
    ok = records[records["status"] == "ok"].sort_values(
        [score, loss, "eta", "lmbd"], ascending=[False, True, True, True]
    )
    first = ok.drop_duplicates(["backend", "repeat"]).sort_values(["backend", "repeat"])
    named = first.rename(columns={score: "validation", f"test_{metric}": "test"})
    columns = ["backend", "repeat", "eta", "lmbd", "validation", "test"]
    return named[columns].reset_index(drop=True)


def selection_optimism(test: pd.DataFrame, chosen: pd.DataFrame, metric: str) -> pd.Series[float]:
    """By how much choosing a cell on the test part would flatter, for each row of ``chosen``.

    test: the test scores as :func:`repeat_table` lays them out; chosen: a row a backend, with its chosen
    cell's eta, lmbd and mean ``test_`` score. Cells that are not ok in every repeat do not count.
    """
    highest = test.mean(axis=1, skipna=False).groupby(level="backend").max()
    return chosen["backend"].map(highest) - chosen[f"test_{metric}"]


def accuracy_interval(
    accuracy: float, samples: int, level: float = CONFIDENCE
) -> tuple[float, float]:
    """Wilson's interval of one accuracy measured on n samples: within [0, 1], and of some width at 100 %.

    Wilson (1927), J. Am. Stat. Assoc. 22:209.
    """
    low, high = proportion_confint(accuracy * samples, samples, alpha=1 - level, method="wilson")
    return float(low), float(high)


def guessing(targets: NDArray[np.integer]) -> tuple[float, float]:
    """The accuracy of naming the largest class, and what luck of 1 in 1000 makes of it.

    A run at or below the first has collapsed, or never learned; one above the second did learn.
    """
    share = float(np.bincount(targets).max() / len(targets))
    return share, float(stats.binom.isf(_GUESSING, len(targets), share) / len(targets))


def collapsed(values: NDArray[np.float64], chance: float, learned: float) -> NDArray[np.bool_]:
    """The repeats that came to no more than ``chance`` in a cell where another one ``learned``.

    values: scores (cells, repeats), NaN where diverged; see :func:`guessing`. Cells with some such
    repeats are bimodal, and their mean says nothing.
    """
    lost = ~(values > chance)
    return np.asarray(lost & (values > learned).any(axis=1, keepdims=True))
