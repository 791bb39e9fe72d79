"""The result of a run, as reports, comparisons and checks read it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.survey import IMBALANCED
from harness.errors import InputError, unknown
from harness.experiment.config import data_place
from harness.experiment.experiment import SCORES, Experiment
from harness.results.run_folder import DAMAGE, RunFolder, as_sealed, content_hash, rerun_command

_log = logging.getLogger(__name__)
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
        ``r2``, ``rmse`` and ``loss``); where any may stop early, ``epochs``, after how many it
        did; last ``seconds``, the cell's share of its stack's training time.
        ``status`` is ok, diverged, unsupported, unavailable, failed or timeout; what was not
        measured is NaN.
    predictions : DataFrame
        The key columns and ``predicted``: for each record an array of the test samples' predicted
        class numbers (values, for regression), in the order of ``targets``; empty if not ok. Of classes
        also ``probability``, of the predicted one, and ``lead``, over the one that came next; both empty
        in runs so large that they are not kept.
    targets : DataFrame
        ``repeat, row, target``: the test samples of each repeat; repeat -1 stands for all.
    curves : DataFrame
        Learning curves in long form: the key columns, ``epoch, train_loss, train_accuracy,
        validation_loss, validation_accuracy``.
    disputes : DataFrame or None
        The cells that backends do not label alike, looked at again (see
        :mod:`harness.roundoff.disputed_cells`); None where nobody looked.
    regions : DataFrame or None
        ``backend, eta, lmbd, region``: what the first repeat's networks say on a mesh over one or two
        features (:mod:`harness.training.input_mesh`); None of data with more.
    """

    address: str
    experiment: Experiment
    manifest: dict[str, Any]
    records: pd.DataFrame
    predictions: pd.DataFrame
    targets: pd.DataFrame
    curves: pd.DataFrame
    disputes: pd.DataFrame | None = None
    regions: pd.DataFrame | None = None

    def __repr__(self) -> str:
        cells, repeats = len(self.experiment.cells), self.experiment.repeats
        return f"Result({self.address!r}: {', '.join(self.backends)}; {cells} cells x {repeats} repeats)"

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
        """The records of one backend, by its name or what it was given as; InputError if it has none."""
        return self.records[self.records["backend"] == self.called(backend)]

    def called(self, backend: str) -> str:
        """The name of a backend that may be told by what it was given as; InputError if there is none."""
        if backend in self.backends:
            return backend
        names = [name for name in self.backends if self.experiment.place(name) == backend]
        if len(names) != 1:
            raise unknown("backend", backend, self.backends)
        return names[0]

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
        return chosen_cells(self.records, self.choose_by)

    def target(self, repeat: int) -> NDArray[Any]:
        """The true classes (values) of a repeat's test samples, (samples,)."""
        own = self.targets[self.targets["repeat"] == repeat]
        common = own if len(own) else self.targets[self.targets["repeat"] == -1]
        return common["target"].to_numpy()

    def predicted(self, backend: str, eta: float, lmbd: float, repeat: int) -> NDArray[Any]:
        """The predicted classes (values) of a record's test samples; empty if it is not ok."""
        p = self.predictions
        row = p[
            (p["backend"] == self.called(backend))
            & (p["eta"] == eta)
            & (p["lmbd"] == lmbd)
            & (p["repeat"] == repeat)
        ]
        return np.asarray(row["predicted"].iloc[0])

    @property
    def complete(self) -> bool:
        """Whether every record was measured or can never be: nothing failed, nothing is missing."""
        return bool(self.records["status"].isin(["ok", "diverged", "unsupported"]).all())


def cell_means(records: pd.DataFrame, within: Sequence[str] = ()) -> pd.DataFrame:
    """Means over repeats of every score and loss, of the cells that are ok in every repeat.

    ``within``: columns that tell apart grids in one table.
    """
    keys = [*within, *CELL]
    parts = ("train_", "validation_", "test_")
    measured = [c for c in records.columns if str(c).startswith(parts)]
    means = records.groupby(keys, sort=True)[[*measured, "seconds"]].mean()
    whole = (records["status"] == "ok").groupby([records[key] for key in keys]).all()
    return means[whole].reset_index()


def chosen_cells(records: pd.DataFrame, choose_by: str, within: Sequence[str] = ()) -> pd.DataFrame:
    """The chosen cell of each backend, as :meth:`Result.best` has it; of each grid ``within`` the table."""
    order = [f"validation_{choose_by}", "validation_loss", "eta", "lmbd"]
    ordered = cell_means(records, within).sort_values(order, ascending=[False, True, True, True])
    keys = [*within, "backend"]
    first = ordered.drop_duplicates(keys)
    return records[keys].drop_duplicates().merge(first, on=keys).reset_index(drop=True)


def _with_data_place(experiment: Experiment, address: str) -> Experiment:
    """The experiment, its data file named so that it is found from here, if it can be."""
    places = {
        name: data_place(place, Path(address))
        for name in ("dataset", "test_file")
        if type(place := getattr(experiment, name)) is str
    }
    return experiment.model_copy(update=places)


def load_result(address: str) -> Result:
    """The result in a run folder.

    Raises :class:`InputError` if there is none, if the run is unfinished, and for a file that is not what
    the run wrote; each time with what mends it. Of a run from before contents were hashed it is logged
    that nobody can tell.
    """
    folder = RunFolder(address)
    busy = folder.busy()
    try:
        return _whole_result(folder)
    except FileNotFoundError as error:
        if folder.is_run() and not busy:
            lost = str(error.filename or "a file").rsplit("/", 1)[-1]
            begun = f"is unfinished: it has no {lost}"
            what = f"has lost {lost}" if folder.exists("manifest.json") else begun
            raise InputError(f"run: {address!r} {what}; {_mend(folder)}") from None
        if not busy:
            raise InputError(
                f"run: {address!r} is not a finished run folder; allowed: a folder that "
                "'python -m harness run' wrote, such as results/NAME"
            ) from None
    except InputError:
        if not busy:
            raise
    raise InputError(f"run: {address!r} is being written by a run; wait for it")


def _whole_result(folder: RunFolder) -> Result:
    """The result in a folder whose files are what the manifest says."""
    manifest = _read(folder, "manifest.json", folder.read_json)
    if not isinstance(manifest, dict) or not as_sealed(manifest):
        raise _not_written(folder, "manifest.json")
    hashes = manifest.get("files")
    if hashes is not None and manifest["finished"] is None:
        raise InputError(f"run: {folder.address!r} is unfinished; {_mend(folder)}")
    if hashes is None:
        _log.warning(
            "%s is from before contents were hashed: whether its files are as they were written is not known",
            folder.address,
        )
    for name, digest in (hashes or {}).items():
        if content_hash(folder.read(name)) != digest:
            raise _not_written(folder, name)
    looked = "disputes.parquet" in (hashes or {"disputes.parquet": ""})
    looked = looked and folder.exists("disputes.parquet")
    result = Result(
        address=folder.address,
        experiment=_read(
            folder,
            "experiment.toml",
            lambda name: _with_data_place(folder.read_experiment(), folder.address),
        ),
        manifest=manifest,
        records=_table(folder, "records.parquet"),
        predictions=_table(folder, "predictions.parquet"),
        targets=_table(folder, "targets.parquet"),
        curves=_table(folder, "curves.parquet"),
        disputes=_table(folder, "disputes.parquet") if looked else None,
        regions=_table(folder, "regions.parquet") if "regions.parquet" in (hashes or {}) else None,
    )
    if not _is_all_of(result.records, result.experiment):
        raise InputError(
            f"run: {folder.address!r} is unfinished: its records are not all that its experiment.toml "
            f"asks for; {_mend(folder)}"
        )
    return result


def _read(folder: RunFolder, name: str, reader: Callable[[str], Any]) -> Any:
    """What a reader makes of a file; :class:`InputError` if that cannot be read."""
    try:
        return reader(name)
    except DAMAGE as error:
        raise _not_written(folder, name, f" ({error})") from None


def _table(folder: RunFolder, name: str) -> pd.DataFrame:
    return _read(folder, name, folder.read_frame)[0]


def _is_all_of(records: pd.DataFrame, experiment: Experiment) -> bool:
    """Whether there is a record of every backend, cell and repeat of an experiment, and no other."""
    axes = (experiment.backends, sorted(experiment.eta), sorted(experiment.lmbd))
    planned = pd.MultiIndex.from_product([*axes, range(experiment.repeats)])
    kept = pd.MultiIndex.from_frame(records[KEY])
    return len(records) == len(planned) and bool(planned.isin(kept).all())


def _not_written(folder: RunFolder, name: str, why: str = "") -> InputError:
    """The error for a file that somebody or something has changed."""
    mend = _mend(folder)
    if name == "experiment.toml":
        mend = "the command that made it, which is in manifest.json, with --fresh makes it anew"
    return InputError(
        f"run: {name} of {folder.address!r} is damaged: it is not what the run wrote{why}; {mend}"
    )


def _mend(folder: RunFolder) -> str:
    """The command that finishes a run, and puts its tables right from its parts."""
    return f"the same command again mends it, or: {rerun_command(folder.address)}"
