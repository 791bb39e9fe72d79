"""The result of a run, as reports, comparisons and checks read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.survey import IMBALANCED
from harness.errors import InputError, unknown
from harness.experiment.experiment import SCORES, Experiment
from harness.results.run_folder import RunFolder

CELL = ["backend", "eta", "lmbd"]
KEY = [*CELL, "repeat"]


@dataclass(frozen=True)
class Result:
    """A run, finished or not.

    Attributes
    ----------
    address : str
        The run folder.
    experiment : Experiment
    manifest : dict
        Versions, machine, data set, split, timings (see :mod:`harness.results.manifest`).
    records : DataFrame
        One row for each backend x eta x lmbd x repeat, sorted so: ``backend, eta, lmbd, repeat,
        status, reason``, then of each part ``{train,validation,test}_``: ``accuracy``,
        ``balanced_accuracy``, ``macro_f1``, for two classes ``roc_auc``, and ``loss`` (for regression
        ``r2``, ``rmse`` and ``loss``); last ``seconds``, the cell's share of its stack's training time.
        ``status`` is ok, diverged, unsupported, unavailable, failed or timeout; what was not
        measured is NaN.
    predictions : DataFrame
        The key columns and ``predicted``: for each record an array of the test samples' predicted
        class numbers (values, for regression), in the order of ``targets``; empty if not ok.
    targets : DataFrame
        ``repeat, row, target``: the test samples of each repeat; repeat -1 stands for all.
    curves : DataFrame
        Learning curves in long form: the key columns, ``epoch, train_loss, train_accuracy,
        validation_loss, validation_accuracy``.
    disputes : DataFrame or None
        The cells that backends do not label alike, looked at again (see
        :mod:`harness.roundoff.disputed_cells`); None where nobody looked.
    """

    address: str
    experiment: Experiment
    manifest: dict[str, Any]
    records: pd.DataFrame
    predictions: pd.DataFrame
    targets: pd.DataFrame
    curves: pd.DataFrame
    disputes: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.address.rstrip("/").rsplit("/", 1)[-1]

    @property
    def backends(self) -> list[str]:
        """The run's backends, in the order they were asked for."""
        return [str(name) for name in self.records["backend"].unique()]

    @property
    def metric(self) -> str:
        """The score that backends and runs are compared by: accuracy, or r2 for regression."""
        return self.experiment.metrics[0]

    @property
    def choose_by(self) -> str:
        """The score that cells are chosen by, on the validation part."""
        return self.experiment.choose_by or self.metric

    @property
    def largest_class(self) -> float:
        """The share of the largest class in all samples; 0 for regression, and where nobody counted."""
        counts = self.manifest["dataset"].get("class_counts", {})
        parts = ("train", "validation", "test")[:: 1 if self.experiment.validation_size else 2]
        of_parts = [counts[part].values() for part in parts if part in counts]
        classes = [sum(own) for own in zip(*of_parts, strict=True)]
        return max(classes) / sum(classes) if classes else 0.0

    @property
    def shown_scores(self) -> tuple[str, ...]:
        """The scores that a reader is shown: accuracy, and the others where it says little by itself.

        That is where the largest class has more than ``IMBALANCED`` of the samples, or where another
        score chooses. Runs of earlier versions have no others.
        """
        more = self.largest_class > IMBALANCED or self.choose_by != self.metric
        others = [name for name in SCORES[self.experiment.task] if name != self.metric]
        known = [name for name in others if f"test_{name}" in self.records]
        return (self.metric, *(known if more else ()))

    def of(self, backend: str) -> pd.DataFrame:
        """The records of one backend; InputError if the run has none."""
        if backend not in self.backends:
            raise unknown("backend", backend, self.backends)
        return self.records[self.records["backend"] == backend]

    def pivot(self, backend: str, column: str) -> pd.DataFrame:
        """One column of one backend as a table: eta down, lmbd across, the mean over repeats.

        A cell counts only where every repeat is ok; else it is NaN.
        """
        records = self.of(backend)
        if column not in records:
            raise unknown("column", column, records.columns)
        values = records[column].where(records["status"] == "ok")
        grouped = values.groupby([records["eta"], records["lmbd"]])
        return grouped.mean().where(grouped.count() == grouped.size()).unstack("lmbd")

    def status(self, backend: str) -> pd.DataFrame:
        """The status of each cell, eta down, lmbd across: ok, or the first that is not."""
        records = self.of(backend)
        worst_first = records.sort_values("status", key=lambda s: s == "ok", kind="stable")
        return worst_first.groupby(["eta", "lmbd"])["status"].first().unstack("lmbd")

    def best(self) -> pd.DataFrame:
        """The chosen cell of each backend, a row each: highest mean of the validation score that chooses.

        Ties go to the lower validation loss, then to the smaller eta and lmbd. Columns: backend, eta,
        lmbd and the means over repeats of every score and loss. A backend without a cell that is ok in
        every repeat has no row.
        """
        score, loss = f"validation_{self.choose_by}", "validation_loss"
        rows = []
        for backend in self.backends:
            means = self._means(backend)
            if len(means):
                ordered = means.sort_values(
                    [score, loss, "eta", "lmbd"], ascending=[False, True, True, True]
                )
                rows.append(ordered.iloc[0])
        columns = list(self._means(self.backends[0]).columns) if self.backends else []
        return pd.DataFrame(rows, columns=columns).reset_index(drop=True)

    def _means(self, backend: str) -> pd.DataFrame:
        records = self.of(backend)
        measured = [
            c for c in records.columns if str(c).startswith(("train_", "validation_", "test_"))
        ]
        grouped = records.groupby(CELL, sort=True)
        means = grouped[[*measured, "seconds"]].mean()
        whole = (records["status"] == "ok").groupby([records[c] for c in CELL]).all()
        return means[whole].reset_index()

    def target(self, repeat: int) -> NDArray[Any]:
        """The true classes (values) of a repeat's test samples, (samples,)."""
        own = self.targets[self.targets["repeat"] == repeat]
        common = own if len(own) else self.targets[self.targets["repeat"] == -1]
        return common["target"].to_numpy()

    def predicted(self, backend: str, eta: float, lmbd: float, repeat: int) -> NDArray[Any]:
        """The predicted classes (values) of a record's test samples; empty if it is not ok."""
        p = self.predictions
        row = p[
            (p["backend"] == backend)
            & (p["eta"] == eta)
            & (p["lmbd"] == lmbd)
            & (p["repeat"] == repeat)
        ]
        return np.asarray(row["predicted"].iloc[0])

    @property
    def complete(self) -> bool:
        """Whether every record was measured or can never be: nothing failed, nothing is missing."""
        return bool(self.records["status"].isin(["ok", "diverged", "unsupported"]).all())


def load_result(address: str) -> Result:
    """The result in a run folder; :class:`InputError` if there is none."""
    folder = RunFolder(address)
    try:
        if not folder.exists("records.parquet"):
            raise FileNotFoundError
        looked = folder.exists("disputes.parquet")
        return Result(
            address=address,
            experiment=folder.read_experiment(),
            manifest=folder.read_json("manifest.json"),
            records=folder.read_frame("records.parquet")[0],
            predictions=folder.read_frame("predictions.parquet")[0],
            targets=folder.read_frame("targets.parquet")[0],
            curves=folder.read_frame("curves.parquet")[0],
            disputes=folder.read_frame("disputes.parquet")[0] if looked else None,
        )
    except FileNotFoundError:
        raise InputError(
            f"run: {address!r} is not a finished run folder; allowed: a folder that "
            "'harness run' wrote, such as results/NAME"
        ) from None
    except InputError:
        raise
    except ValueError as error:  # of TOML, JSON and Parquet that is cut short or overwritten
        raise InputError(
            f"run: {address!r} is damaged ({error}); allowed: a folder that 'harness run' wrote; "
            "the same run with --fresh makes it anew"
        ) from None
