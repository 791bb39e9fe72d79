"""What repeats say about a cell: centre, spread, interval; and how the choice of a cell fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from harness.errors import unknown

if TYPE_CHECKING:
    from harness.experiment.experiment import Experiment
    from harness.results.result import Result

CELL = ["backend", "eta", "lmbd"]
LEVEL = 0.95
FORMULA = "mean ± t(0.975, n − 1) · sd / √n over n repeats; sd with n − 1"
GUESSING = 0.001  # how often guessing may be taken for learning


def what_varies(experiment: Experiment) -> str:
    """What differs between repeats, in words: what their spread is the spread of."""
    if experiment.folds:
        return f"initial weights, order and the test fold (of {experiment.folds})"
    if experiment.vary == "split":
        return "initial weights, order and the stratified split"
    return "initial weights and order; split fixed"


def table(records: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column with a row for each backend x eta x lmbd and a column for each repeat.

    NaN where the record is not ok.
    """
    if column not in records:
        raise unknown("column", column, records.columns)
    values = records[column].where(records["status"] == "ok").astype(np.float64)
    named = records.assign(value=values)
    wide = named.pivot(index=CELL, columns="repeat", values="value")  # a record twice is an error
    return wide.reindex(list(dict.fromkeys(records["backend"])), level="backend")


def summary(records: pd.DataFrame, column: str, level: float = LEVEL) -> pd.DataFrame:
    """Centre, spread and interval of every cell over its repeats that are ok.

    Columns: backend, eta, lmbd, n (repeats that count), planned, mean, sd, low, high. The interval is
    Student's, see ``FORMULA``; with one repeat sd and interval are NaN.
    """
    values = table(records, column)
    frame = pd.DataFrame(index=values.index)
    frame["n"] = values.count(axis=1)
    frame["planned"] = values.shape[1]
    frame["mean"] = values.mean(axis=1)
    frame["sd"] = values.std(axis=1, ddof=1)
    n = frame["n"].where(frame["n"] > 1)
    half = stats.t.isf((1 - level) / 2, n - 1) * frame["sd"] / np.sqrt(n)
    frame["low"], frame["high"] = frame["mean"] - half, frame["mean"] + half
    return frame.reset_index()


def choices(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The cell that each repeat alone would choose on its validation part.

    Columns: backend, repeat, eta, lmbd, validation, test. Ties as in
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


def selection_optimism(result: Result) -> pd.DataFrame:
    """For each backend, the cell chosen on validation against the cell that is best on the test part.

    Columns: backend; eta, lmbd, validation, test (means over repeats at the chosen cell); sd (of its
    test score over repeats); best_eta, best_lmbd, best_test; optimism = best_test - test, by how much
    choosing on the test part would flatter; same_choice, the share of repeats that alone would have
    chosen that cell. Backends without a cell that is ok throughout have no row.
    """
    metric = result.metric
    test = summary(result.records, f"test_{metric}")
    whole = test[test["n"] == test["planned"]]
    own = choices(result.records, metric)
    rows = []
    for chosen in result.best().to_dict("records"):
        cells = whole[whole["backend"] == chosen["backend"]].set_index(["eta", "lmbd"])
        here = (chosen["eta"], chosen["lmbd"])
        best = cells["mean"].idxmax()
        picks = own[own["backend"] == chosen["backend"]]
        rows.append(
            {
                "backend": chosen["backend"],
                "eta": here[0],
                "lmbd": here[1],
                "validation": chosen[f"validation_{metric}"],
                "test": chosen[f"test_{metric}"],
                "sd": cells.loc[here, "sd"],
                "best_eta": best[0],
                "best_lmbd": best[1],
                "best_test": cells.loc[best, "mean"],
                "optimism": cells.loc[best, "mean"] - chosen[f"test_{metric}"],
                "same_choice": ((picks["eta"] == here[0]) & (picks["lmbd"] == here[1])).mean(),
            }
        )
    return pd.DataFrame(rows)


def standard_error(accuracy: float, samples: int) -> float:
    """Binomial standard error sqrt(p (1 - p) / n) of an accuracy measured on n samples."""
    return float(stats.binom.std(samples, accuracy) / samples)


def guessing(targets: NDArray[np.integer]) -> tuple[float, float]:
    """The accuracy of naming the largest class, and what luck of 1 in 1000 makes of it.

    A run at or below the first has collapsed, or never learned; one above the second did learn.
    """
    share = float(np.bincount(targets).max() / len(targets))
    return share, float(stats.binom.isf(GUESSING, len(targets), share) / len(targets))


def collapsed(values: NDArray[np.float64], chance: float, learned: float) -> NDArray[np.bool_]:
    """The repeats that came to no more than ``chance`` in a cell where another one ``learned``.

    values: scores (cells, repeats), NaN where diverged; see :func:`guessing`. Cells with some such
    repeats are bimodal, and their mean says nothing.
    """
    lost = ~(values > chance)
    return np.asarray(lost & (values > learned).any(axis=1, keepdims=True))
