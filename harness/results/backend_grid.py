"""One backend of one run, laid out on the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.results.result import KEY, Result
from harness.training.evaluate import PARTS
from harness.training.status import Status

NO_LABEL = -1  # where nothing was predicted


@dataclass(frozen=True, eq=False)
class BackendGrid:
    """A backend's records on the grid: axes (eta, lmbd, repeat), all ascending.

    ``label`` names it among others: the backend, and the run's name where there are several. ``eta``,
    ``lmbd`` and ``repeats`` are what is looked at of the run; ``cells`` counts (eta, lmbd) with lmbd
    running fastest. Two of these are equal only if they are the same object.
    """

    result: Result
    backend: str
    label: str
    eta: NDArray[np.float64]
    lmbd: NDArray[np.float64]
    repeats: int

    @classmethod
    def of(cls, result: Result, backend: str, label: str = "") -> BackendGrid:
        """All that a run has of a backend, by its name or what it was given as."""
        backend = result.called(backend)
        records = result.of(backend)
        eta, lmbd = np.unique(records["eta"]), np.unique(records["lmbd"])
        repeats = len(records) // (len(eta) * len(lmbd))
        return cls(result, backend, label or backend, eta, lmbd, repeats)

    @property
    def metric(self) -> str:
        """The score that backends are compared by."""
        return self.result.metric

    @property
    def choose_by(self) -> str:
        """The score that cells are chosen by."""
        return self.result.choose_by

    @property
    def shape(self) -> tuple[int, int]:
        """How many values eta and lmbd have."""
        return len(self.eta), len(self.lmbd)

    @property
    def cells(self) -> list[tuple[float, float]]:
        """The (eta, lmbd) of every cell, in the order of their numbers."""
        return [(float(eta), float(lmbd)) for eta in self.eta for lmbd in self.lmbd]

    def names(self, where: NDArray[np.bool_]) -> list[tuple[float, float]]:
        """The (eta, lmbd) of the marked cells; where: (eta, lmbd)."""
        return [(float(self.eta[i]), float(self.lmbd[j])) for i, j in np.argwhere(where)]

    @cached_property
    def records(self) -> pd.DataFrame:
        """The records, in the order of the grid."""
        return self._looked_at(self.result.of(self.backend))

    @cached_property
    def statuses(self) -> NDArray[np.object_]:
        """The status of every record, (eta, lmbd, repeat)."""
        return self._on_grid(self.records["status"])

    @cached_property
    def status(self) -> NDArray[np.object_]:
        """The status of every cell, (eta, lmbd): ok, or the first repeat's that is not."""
        first = (self.statuses != Status.OK).argmax(axis=2)
        return np.take_along_axis(self.statuses, first[..., None], axis=2)[..., 0]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """The cells that are ok in every repeat, (eta, lmbd)."""
        return np.asarray(self.status == Status.OK)

    def values(self, column: str) -> NDArray[np.float64]:
        """A measured column, (eta, lmbd, repeat); NaN where the record is not ok."""
        return self._measured[column]

    @cached_property
    def _measured(self) -> dict[str, NDArray[np.float64]]:
        """Every score and loss, and the seconds, as :meth:`values` gives it."""
        begins = (*(f"{part}_" for part in PARTS), "seconds")
        columns = [str(c) for c in self.records.columns if str(c).startswith(begins)]
        ok = self.statuses == Status.OK
        return {
            c: np.where(ok, self._on_grid(self.records[c]).astype(np.float64), np.nan)
            for c in columns
        }

    @property
    def scores(self) -> NDArray[np.float64]:
        """The test scores, (cells, repeats); NaN where not ok."""
        return self.test_scores(self.metric)

    def test_scores(self, name: str) -> NDArray[np.float64]:
        """One of the test scores, (cells, repeats); NaN where not ok."""
        return self.values(f"test_{name}").reshape(-1, self.repeats)

    def mean(self, column: str) -> NDArray[np.float64]:
        """The mean over repeats, (eta, lmbd); NaN unless every repeat is ok."""
        return self.values(column).mean(axis=2)

    def sd(self, column: str) -> NDArray[np.float64]:
        """The standard deviation over repeats, n - 1 in the denominator; NaN as in :meth:`mean`."""
        return self.values(column).std(axis=2, ddof=1)

    @cached_property
    def predicted(self) -> NDArray[np.object_]:
        """The predicted classes (values) of the test samples, an array in each of (eta, lmbd, repeat).

        Empty arrays where the record is not ok.
        """
        p = self.result.predictions
        given = self._on_grid(self._looked_at(p[p["backend"] == self.backend])["predicted"])
        if self.metric != "accuracy":
            return given
        whole = np.empty_like(given)  # class numbers, also where a missing backend made them floats
        for place, labels in np.ndenumerate(given):
            whole[place] = np.asarray(labels, dtype=np.int64)
        return whole

    def certainty(self, name: str) -> NDArray[np.object_] | None:
        """How sure the networks are of the test samples, an array in each of (eta, lmbd, repeat).

        name: ``probability`` of the predicted class, or ``lead`` over the next. Empty where it was not kept,
        because it is much; None for a run from before it was.
        """
        p = self.result.predictions
        if name not in p:
            return None
        return self._on_grid(self._looked_at(p[p["backend"] == self.backend])[name])

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """The predicted classes, (cells, repeats, samples); ``NO_LABEL`` where there is none.

        Samples are those of the largest test part; smaller ones (folds) have no label at their ends.
        """
        samples = max(len(self.result.target(repeat)) for repeat in range(self.repeats))
        labels = np.full((*self.predicted.shape, samples), NO_LABEL, dtype=np.int32)
        for place, predicted in np.ndenumerate(self.predicted):
            labels[place][: len(predicted)] = predicted
        return labels.reshape(-1, self.repeats, samples)

    @property
    def targets(self) -> NDArray[np.int32]:
        """The true classes, (repeats, samples), as ``labels`` has the predicted ones."""
        true = [self.result.target(repeat) for repeat in range(self.repeats)]
        targets = np.full((self.repeats, max(map(len, true))), NO_LABEL, dtype=np.int32)
        for row, own in zip(targets, true, strict=True):
            row[: len(own)] = own
        return targets

    @cached_property
    def chosen(self) -> tuple[int, int] | None:
        """(row, column) of the cell that validation chose in the run, None where there is none here."""
        best = self.result.best()
        for own in best[best["backend"] == self.backend].to_dict("records"):
            row, column = (
                np.flatnonzero(axis == own[name])
                for name, axis in (("eta", self.eta), ("lmbd", self.lmbd))
            )
            return (int(row[0]), int(column[0])) if len(row) and len(column) else None
        return None

    def _looked_at(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table that lie on this grid, in its order."""
        inside = frame["eta"].isin(self.eta) & frame["lmbd"].isin(self.lmbd)
        return frame[inside & (frame["repeat"] < self.repeats)].sort_values(KEY)

    def _on_grid(self, column: pd.Series[Any]) -> NDArray[Any]:
        return column.to_numpy().reshape(*self.shape, self.repeats)


def common_grid(a: BackendGrid, b: BackendGrid) -> tuple[BackendGrid, BackendGrid]:
    """Two grids, of each what both have: the same cells and repeats, maybe none."""
    eta, lmbd = np.intersect1d(a.eta, b.eta), np.intersect1d(a.lmbd, b.lmbd)
    repeats = min(a.repeats, b.repeats)
    if (len(eta), len(lmbd)) == a.shape == b.shape and a.repeats == b.repeats:
        return a, b
    return (
        replace(a, eta=eta, lmbd=lmbd, repeats=repeats),
        replace(b, eta=eta, lmbd=lmbd, repeats=repeats),
    )


def backend_grids(results: Sequence[Result]) -> list[BackendGrid]:
    """Every backend of every run; of several runs the same backend's stand next to each other."""
    backends = dict.fromkeys(backend for result in results for backend in result.backends)
    named = list(zip(run_names(results), results, strict=True))
    return [
        BackendGrid.of(result, backend, backend if len(results) == 1 else f"{backend} ({name})")
        for backend in backends
        for name, result in named
        if backend in result.backends
    ]


def run_names(results: Sequence[Result]) -> list[str]:
    """A name for each run, all different."""
    names = [result.name for result in results]
    return [
        f"{name} ({names[: k + 1].count(name)})" if names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]


def same_samples(a: BackendGrid, b: BackendGrid) -> bool:
    """Whether two backends were tested on the same samples in every repeat that both have."""
    if a.result is b.result:
        return True
    if a.metric != b.metric:
        return False
    if a.result.manifest["dataset"]["sha256"] != b.result.manifest["dataset"]["sha256"]:
        return False
    common = range(min(a.repeats, b.repeats))
    return all(np.array_equal(_test_rows(a, r), _test_rows(b, r)) for r in common)


def _test_rows(grid: BackendGrid, repeat: int) -> NDArray[Any]:
    targets = grid.result.targets
    own = targets[targets["repeat"] == repeat]
    return (own if len(own) else targets[targets["repeat"] == -1])["row"].to_numpy()
