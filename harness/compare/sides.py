"""The sides of a comparison: one backend of one run, its scores and labels laid out by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import InputError
from harness.results.result import Result
from harness.stats import agreement
from harness.stats.agreement import MISSING
from harness.stats.repeats import repeat_table

Cell = tuple[float, float]
NOT_MEASURED = ("unsupported", "unavailable", "failed", "timeout")


@dataclass(frozen=True)
class Side:
    """One backend of one run on some cells and repeats.

    cells: pairs (eta, lmbd); repeats: their numbers. Arrays follow these orders. chosen: the run's
    chosen cell of this backend, None if it has none.
    """

    result: Result
    backend: str
    label: str
    cells: tuple[Cell, ...]
    repeats: tuple[int, ...]
    chosen: Cell | None

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """Test scores (cells, repeats); NaN where not ok."""
        wide = repeat_table(self.result.of(self.backend), f"test_{self.result.metric}")
        return self._rows(wide.droplevel("backend")).to_numpy(np.float64)

    @cached_property
    def status(self) -> NDArray[np.object_]:
        """Statuses (cells, repeats)."""
        records = self.result.of(self.backend)
        wide = records.pivot(index=["eta", "lmbd"], columns="repeat", values="status")
        return self._rows(wide).to_numpy(object)

    @cached_property
    def labels(self) -> NDArray[np.integer]:
        """Predicted test labels (cells, repeats, samples), -1 where not measured."""
        own = self.result.predictions[self.result.predictions["backend"] == self.backend]
        wide = self._rows(own.pivot(index=["eta", "lmbd"], columns="repeat", values="predicted"))
        samples = len(self.result.target(self.repeats[0]))
        labels = np.full((*wide.shape, samples), MISSING, dtype=np.int16)
        for place, predicted in np.ndenumerate(wide.to_numpy(object)):
            if np.size(predicted) == samples:
                labels[place] = predicted
        return labels

    @cached_property
    def own_flips(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of labels that differ between its own repeats, and their kappa; (cells,) each.

        NaN where repeats were tested on samples of their own.
        """
        if (self.result.targets["repeat"] == -1).all():
            return agreement.own_flips(self.labels, int(self.labels.max(initial=0)) + 1)
        nothing = np.full(len(self.cells), np.nan)
        return nothing, nothing

    def _rows(self, wide: pd.DataFrame) -> pd.DataFrame:
        index = pd.MultiIndex.from_tuples(self.cells, names=["eta", "lmbd"])
        return wide.reindex(index=index, columns=list(self.repeats))


def pairs(first: Result, second: Result | None = None) -> list[tuple[Side, Side]]:
    """What is compared with what.

    Within one run every two of its backends; between two runs each backend that both have, or, if they
    share none and have one each, those two. :class:`InputError` where nothing can be compared.
    """
    if second is None:
        sides = _sides(first, first, "")
        if len(sides) < 2:
            raise InputError(
                f"compare: {first.name!r} has one backend that ran ({', '.join(sides) or 'none'}); "
                "allowed: two or more, or a second run"
            )
        return list(combinations(sides.values(), 2))
    _same_task(first, second)
    names = (first.name, second.name) if first.name != second.name else ("first", "second")
    left, right = (
        _sides(own, other, name)
        for own, other, name in ((first, second, names[0]), (second, first, names[1]))
    )
    shared = [b for b in left if b in right]
    if shared:
        return [(left[b], right[b]) for b in shared]
    if len(left) == len(right) == 1:
        return list(zip(left.values(), right.values(), strict=True))
    raise InputError(
        f"compare: {first.name!r} ({', '.join(left)}) and {second.name!r} ({', '.join(right)}) "
        "share no backend; allowed: runs that do, or that have one each"
    )


def _sides(result: Result, other: Result, run: str) -> dict[str, Side]:
    """A side for each backend of a run that ran, on the cells and repeats of both runs."""
    cells = [c for c in result.experiment.cells if c in set(other.experiment.cells)]
    repeats = range(min(result.experiment.repeats, other.experiment.repeats))
    if not cells:
        raise InputError(
            f"compare: {result.name!r} and {other.name!r} share no cell of the grid; "
            "allowed: runs with a common eta and lmbd"
        )
    best = result.best()
    chosen = dict(zip(best["backend"], zip(best["eta"], best["lmbd"], strict=True), strict=True))
    return {
        backend: Side(
            result,
            backend,
            f"{backend} ({run})" if run else backend,
            tuple(cells),
            tuple(repeats),
            chosen.get(backend),
        )
        for backend in result.backends
        if not result.of(backend)["status"].isin(NOT_MEASURED).all()
    }


def _same_task(first: Result, second: Result) -> None:
    """Two runs can be paired only on the same data and the same split."""
    for key, what in (
        ("sha256", "data"),
        ("split_sha256", "split into train, validation and test"),
    ):
        one, two = (r.manifest["dataset"].get(key) for r in (first, second))
        if one != two:
            raise InputError(
                f"compare: {first.name!r} and {second.name!r} have different {what}; "
                "allowed: runs of the same data, seed, test_size and validation_size"
            )


def settings(first: Result, second: Result) -> list[str]:
    """In words, what else differs between two runs: settings, versions, threads."""
    ignored = {"backends", "repeats", "eta", "lmbd", "dataset"}
    differences = first.experiment.differences(second.experiment)
    notes = [
        f"{name}: {_plain(mine)} in {first.name}, {_plain(theirs)} in {second.name}"
        for name, (mine, theirs) in differences.items()
        if name not in ignored
    ]
    for key in ("versions", "machine", "execution"):
        mine, theirs = (r.manifest.get(key, {}) for r in (first, second))
        names = [n for n in mine if n in theirs and mine[n] != theirs[n] and n in _TOLD[key]]
        notes += [f"{n}: {mine[n]} in {first.name}, {theirs[n]} in {second.name}" for n in names]
    return notes


_TOLD: dict[str, Sequence[str]] = {
    "versions": ("python", "numpy", "scipy", "scikit-learn", "tensorflow", "keras"),
    "machine": ("platform", "cpu"),
    "execution": ("threads",),
}


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
