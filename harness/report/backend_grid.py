"""One backend of one run, as a report sets it beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document.section import slug
from harness.results.result import KEY, Result
from harness.stats.repeats import repeat_summary
from harness.training.evaluate import PARTS


@dataclass(frozen=True, eq=False)
class Side:
    """A backend of a run, its records laid out on the grid: axes (eta, lmbd, repeat), both ascending.

    ``label`` names it in the whole report: the backend, and the run's name where there are several.
    Two sides are equal only if they are the same object.
    """

    result: Result
    backend: str
    label: str

    @property
    def slug(self) -> str:
        return slug(self.label)

    @property
    def metric(self) -> str:
        return self.result.metric

    @cached_property
    def records(self) -> pd.DataFrame:
        return self.result.of(self.backend).sort_values(KEY)

    @cached_property
    def eta(self) -> NDArray[np.float64]:
        return np.unique(self.records["eta"])

    @cached_property
    def lmbd(self) -> NDArray[np.float64]:
        return np.unique(self.records["lmbd"])

    @property
    def repeats(self) -> int:
        return len(self.records) // (len(self.eta) * len(self.lmbd))

    @property
    def cells(self) -> int:
        """How many cells the grid has."""
        return len(self.eta) * len(self.lmbd)

    @cached_property
    def statuses(self) -> NDArray[np.object_]:
        """The status of every record, (eta, lmbd, repeat)."""
        return self._on_grid(self.records["status"])

    @cached_property
    def status(self) -> NDArray[np.object_]:
        """The status of every cell, (eta, lmbd): ok, or the first repeat's that is not."""
        first = (self.statuses != "ok").argmax(axis=2)
        return np.take_along_axis(self.statuses, first[..., None], axis=2)[..., 0]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """The cells that are ok in every repeat, (eta, lmbd)."""
        return np.asarray(self.status == "ok")

    def values(self, column: str) -> NDArray[np.float64]:
        """A measured column, (eta, lmbd, repeat); NaN where the record is not ok."""
        return self._measured[column]

    @cached_property
    def _measured(self) -> dict[str, NDArray[np.float64]]:
        """Every score and loss, as :meth:`values` gives it."""
        parts = tuple(f"{part}_" for part in PARTS)
        columns = [str(c) for c in self.records.columns if str(c).startswith(parts)]
        ok = self.statuses == "ok"
        return {
            c: np.where(ok, self._on_grid(self.records[c]).astype(np.float64), np.nan)
            for c in columns
        }

    def mean(self, column: str) -> NDArray[np.float64]:
        """The mean over repeats, (eta, lmbd); NaN unless every repeat is ok."""
        return self.values(column).mean(axis=2)

    def sd(self, column: str) -> NDArray[np.float64]:
        """The standard deviation over repeats, n - 1 in the denominator; NaN as in :meth:`mean`."""
        return self.values(column).std(axis=2, ddof=1)

    def interval(self, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the 95 % interval of the mean over repeats, (eta, lmbd) each."""
        frame = repeat_summary(self.records, column)
        return self._on_grid(frame["low"])[..., 0], self._on_grid(frame["high"])[..., 0]

    @cached_property
    def predicted(self) -> NDArray[np.object_]:
        """The predicted classes (values) of the test samples, an array in each of (eta, lmbd, repeat)."""
        p = self.result.predictions
        own = p[p["backend"] == self.backend].sort_values(KEY)
        found = self._on_grid(own["predicted"])
        if self.metric != "accuracy":
            return found
        whole = np.empty_like(found)  # class numbers, also where a missing backend made them floats
        for place, labels in np.ndenumerate(found):
            whole[place] = np.asarray(labels, dtype=np.int64)
        return whole

    def names(self, where: NDArray[np.bool_]) -> list[tuple[float, float]]:
        """The (eta, lmbd) of the marked cells."""
        return [(float(self.eta[i]), float(self.lmbd[j])) for i, j in np.argwhere(where)]

    def _on_grid(self, column: pd.Series[Any]) -> NDArray[Any]:
        return column.to_numpy().reshape(len(self.eta), len(self.lmbd), -1)


def sides(results: Sequence[Result]) -> list[Side]:
    """Every backend of every run; of several runs the same backend's stand next to each other."""
    backends = dict.fromkeys(backend for result in results for backend in result.backends)
    named = list(zip(run_names(results), results, strict=True))
    return [
        Side(result, backend, backend if len(results) == 1 else f"{backend} ({name})")
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
