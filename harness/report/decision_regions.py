"""What the page shows of data with one or two features: regions of classes, or the fitted curve.

A picture is a list of numbers: level and length of stretches in turn, row by row from the lowest value of the
second feature on; of a curve its values. Levels are class numbers, or 0 to ``LEVELS`` over the range of
the targets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import load_dataset
from harness.data.encoding import encoded
from harness.data.split import split_rows
from harness.document.attempt import attempt
from harness.results.backend_grid import BackendGrid
from harness.results.result import Result
from harness.training.input_mesh import mesh_axes

LEVELS = 24  # of real values over two features
_MOST_NUMBERS = (
    400_000  # that all pictures are made of; of more, those of remarkable cells are kept
)
_MOST_SAMPLES = 400  # that are drawn over them
_DIGITS = 4


def add_decision_regions(
    sides: Sequence[BackendGrid],
    places: Sequence[NDArray[np.int64]],
    shown: Sequence[dict[str, Any]],
    remarkable: Collection[int],
    notes: list[str],
) -> dict[str, Any]:
    """The pictures, equal ones once, and of every run its axes and samples.

    Each of ``shown`` is given the numbers of its own, cell by cell. ``remarkable``: the cells that are
    kept where all would be too many.
    """
    about: dict[int, dict[str, Any] | None] = {}
    for side, own in zip(sides, shown, strict=True):
        if own["run"] not in about:
            about[own["run"]] = attempt("the decision regions", partial(_axes, side.result))[0]
    pictures = _pictures(sides, places, shown, about, None)
    if sum(map(len, pictures)) > _MOST_NUMBERS:
        pictures = _pictures(sides, places, shown, about, remarkable)
        notes.append(
            "Regions and curves are shown of cells that are not predicted alike or that were chosen, to keep "
            "the page small; regions.parquet has all."
        )
    return {
        "pictures": [list(picture) for picture in pictures],
        "runs": [about[run] for run in sorted(about)],
        "levels": LEVELS,
    }


def _axes(result: Result) -> dict[str, Any] | None:
    """Names and ends of a run's features, and samples to be drawn over them; None without regions."""
    if result.regions is None or not len(result.regions):
        return None
    dataset = load_dataset(result.experiment)
    if dataset.sha256 != result.manifest["dataset"]["sha256"]:
        return None
    split = split_rows(dataset, result.experiment)
    x, names = encoded(dataset, split, result.experiment)
    axes = mesh_axes(x)
    rows = np.concatenate([split.train, split.test])
    if len(rows) > _MOST_SAMPLES:
        rows = np.random.default_rng(0).choice(rows, _MOST_SAMPLES, replace=False)
    test = np.isin(rows, split.test)
    return {
        "names": list(names),
        "ends": [_rounded(axis[[0, -1]]) for axis in axes],
        "points": [len(axis) for axis in axes],
        "x": [_rounded(column) for column in x[rows].T],
        "y": _rounded(dataset.y[rows]),
        "range": _rounded(np.array([dataset.y.min(), dataset.y.max()])),
        "tested": test.astype(int).tolist(),
    }


def _pictures(
    sides: Sequence[BackendGrid],
    places: Sequence[NDArray[np.int64]],
    shown: Sequence[dict[str, Any]],
    about: dict[int, dict[str, Any] | None],
    only: Collection[int] | None,
) -> dict[tuple[float, ...], int]:
    """Every picture with its number; of some cells alone, unless ``only`` is None."""
    pictures: dict[tuple[float, ...], int] = {}
    for side, place, own in zip(sides, places, shown, strict=True):
        numbers: list[int | None] = [None] * len(own["status"])
        run, regions = about[own["run"]], side.result.regions
        if run is not None and regions is not None:
            mine = regions[regions["backend"] == side.backend]
            rows = np.searchsorted(side.eta, mine["eta"].to_numpy())
            columns = np.searchsorted(side.lmbd, mine["lmbd"].to_numpy())
            cells = place[rows * len(side.lmbd) + columns].tolist()
            for number, answers in zip(cells, mine["region"], strict=True):
                if only is None or number in only:
                    picture = _picture(np.asarray(answers), run)
                    numbers[number] = pictures.setdefault(picture, len(pictures))
        own["regions"] = numbers
    return pictures


def _picture(answers: NDArray[Any], run: dict[str, Any]) -> tuple[float, ...]:
    """Answers on the mesh as a picture."""
    if answers.dtype.kind == "f":
        if len(run["points"]) == 1:
            return tuple(_rounded(answers))
        low, high = run["range"]
        scaled = (answers - low) / ((high - low) or 1.0) * LEVELS
        answers = np.clip(np.round(scaled), 0, LEVELS).astype(int)
    across, stretches = run["points"][0], []
    for row in answers.reshape(-1, across):  # a stretch ends with its row
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
        stretches.append(np.column_stack([row[starts], np.diff(np.r_[starts, across])]))
    return tuple(np.concatenate(stretches).ravel().tolist())


def _rounded(values: NDArray[Any]) -> list[float]:
    return [float(f"{v:.{_DIGITS}g}") for v in np.asarray(values, float).ravel()]
