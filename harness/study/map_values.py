"""What a study's page shows of its maps: every cell of every point as compact columns, for JSON.

Rows, columns and what is done about all other axes are chosen on the page, by ``map.js``; which of two cells
is better on the validation part is decided here, by the rank of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from harness.document import number_words
from harness.document.heatmaps import colour_stops
from harness.document.plain import rounded
from harness.document.section import Explorer
from harness.experiment.study import value_words
from harness.results.result import CELL
from harness.results.run_folder import rerun_command
from harness.study.maps import (
    AVERAGED,
    BACKEND,
    StudyTable,
    axis_values,
    default_pairs,
    inner_axes,
    point_page,
)
from harness.study.study import StudyResult, column_of
from harness.training.status import Status

_KEYS = ["point", *CELL]
_DIGITS = 5
_MOST_NUMBERS = 400_000  # that are kept; of more only the first scores
_MOST_CELLS = 200_000  # of which not even those are


def study_explorer(
    table: StudyTable, pairs: Sequence[tuple[str, str]] = (), home: str = ""
) -> Explorer | None:
    """The live map of a study, of the first of ``pairs`` at first; None where there are too many cells.

    ``home``: the way from the page to the study's folder.
    """
    result = table.result
    rows, columns = (pairs or default_pairs(result))[0]
    cells = result.records[_KEYS].drop_duplicates().sort_values(_KEYS, ignore_index=True)
    if len(cells) > _MOST_CELLS:
        return None
    axes, inner = _axes(result)
    names = [axis["name"] for axis in axes]
    scores = _scores(table, len(cells))
    known = cells.merge(table.ordered().assign(rank=lambda t: range(len(t))), "left", _KEYS)
    values = {
        "axes": axes,
        "rows": names.index(rows),
        "columns": names.index(columns),
        "averaged": [names.index(axis) for axis in AVERAGED if axis in result.axes],
        "apart": "backends" not in result.axes,
        "part": result.chosen_on,
        "repeats": int(result.records["repeat"].nunique()),
        "points": _points(result, home),
        **_groups(cells, inner),
        "scores": scores,
        "values": {one["key"]: rounded(known[one["key"]].to_numpy(), _DIGITS) for one in scores},
        "rank": rounded(known["rank"].to_numpy(), 9),
        "lost": _lost(result, cells),
        "colours": colour_stops("viridis"),
    }
    script = files("harness.study").joinpath("map.js").read_text("utf-8")
    return Explorer(
        "Any two axes", values, script, "records.csv, and as pictures below and in figures/"
    )


def _axes(result: StudyResult) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """Every axis with its values in words, the outer ones first; the values of backend, eta and lmbd."""
    records = result.records
    inner = [
        list(records[BACKEND].unique()),
        sorted(records["eta"].unique()),
        sorted(records["lmbd"].unique()),
    ]
    outer = [{"name": axis, "values": axis_values(result, axis)[1]} for axis in result.axes]
    of_grid = [
        {"name": name, "values": list(map(value_words, values))}
        for name, values in zip(inner_axes(result), inner, strict=True)
    ]
    return [*outer, *of_grid], inner


def _scores(table: StudyTable, cells: int) -> list[dict[str, Any]]:
    """What a map may show, what is asked for most first; as many as find room."""
    result = table.result
    metrics = list(dict.fromkeys([result.metric, result.choose_by]))
    wanted = [f"{part}_{score}" for part in ("test", "validation", "train") for score in metrics]
    wanted += ["test_loss", "validation_loss", "train_loss", "seconds"]
    room = max(1, _MOST_NUMBERS // cells)
    made = []
    for key in [name for name in wanted if name in table.cells][:room]:
        part, _, score = key.partition("_")
        name = f"{part} {number_words.NAMES.get(score, score)}" if score else "training time"
        percent = score in number_words.PERCENT
        positive = score in ("loss", "rmse", "")
        made.append({"key": key, "name": name, "percent": percent, "positive": positive})
    return made


def _points(result: StudyResult, home: str) -> list[dict[str, Any]]:
    """Every point: the numbers of its values, its folder and how to run it, or why it cannot be run."""
    made = []
    numbers = {
        axis: {value: k for k, value in enumerate(values)} for axis, values in result.axes.items()
    }
    for point in result.points.to_dict("records"):
        own: dict[str, Any] = {"at": [n[point[column_of(axis)]] for axis, n in numbers.items()]}
        if point["folder"]:
            address = f"{result.address.rstrip('/')}/{point['folder']}"
            page = point_page(point["folder"], home)
            own |= {"name": point["folder"].rsplit("/", 1)[-1], "page": page}
            own["command"] = rerun_command(address)
        else:
            own["reason"] = point["reason"]
        made.append(own)
    return made


def _groups(cells: pd.DataFrame, inner: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The cells in their order: point, backend and number of the grid of each stretch, and the grids."""
    backends, etas, lmbds = ({v: k for k, v in enumerate(values)} for values in inner)
    grids: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    groups = []
    for _, own in cells.groupby(["point", BACKEND], sort=True):
        grid = (
            tuple(etas[v] for v in own["eta"].unique()),
            tuple(lmbds[v] for v in own["lmbd"].unique()),
        )
        point, backend = own[["point", BACKEND]].iloc[0]
        groups.append([int(point), backends[backend], grids.setdefault(grid, len(grids))])
    return {"groups": groups, "grids": list(grids)}


def _lost(result: StudyResult, cells: pd.DataFrame) -> dict[str, list[int]]:
    """By status the numbers of the cells that were not trained in every repeat."""
    bad = result.records[result.records["status"] != Status.OK].drop_duplicates(_KEYS)
    numbered = cells.assign(number=range(len(cells))).merge(bad[[*_KEYS, "status"]], "inner", _KEYS)
    return {
        str(status): own["number"].tolist() for status, own in numbered.groupby("status", sort=True)
    }
