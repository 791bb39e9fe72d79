"""Maps of a study: any two axes down and across, the others at what is best on the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from math import prod
from urllib.parse import quote as url_quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.document import number_words
from harness.document.canvas import Frame, bar_axes, panels
from harness.document.heatmaps import ANNOTATED, Map, Scale, draw_map, has_dots, statuses
from harness.document.section import Picture
from harness.errors import unknown
from harness.experiment.study import value_words
from harness.results.file_names import file_name
from harness.study.study import StudyResult, column_of
from harness.training.status import Status

MOST_MAPS = 8  # that are drawn unasked
_LETTER = 0.068  # inches of one in a name
_LONGEST = 22  # letters of a name
BACKEND = "backend"
_NOT_ON_ALL = "not on all that is averaged over"
# scores are averaged over these, where they are not on the map: the best of them says nothing
AVERAGED = ("dataset", "seed")


@dataclass(frozen=True)
class StudyTable:
    """A study's cells, means over repeats, with what maps and comparisons take from them."""

    result: StudyResult
    cells: pd.DataFrame

    def ordered(self) -> pd.DataFrame:
        """The cells in the order in which they are chosen, the best on the validation part first."""
        order = [f"validation_{self.result.choose_by}", "validation_loss", "eta", "lmbd"]
        return self.cells.sort_values(order, ascending=[False, True, True, True], kind="stable")

    def best(self, keys: Sequence[str]) -> pd.DataFrame:
        """For each combination of ``keys`` the cell that is best on the validation part.

        Of each data set and seed one, whose scores are then averaged; NaN where one of them is ``lacking``.
        """
        score = f"validation_{self.result.choose_by}"
        averaged = [a for a in AVERAGED if a in self.result.axes and column_of(a) not in keys]
        within = [*keys, *map(column_of, averaged)]
        best = self.ordered().drop_duplicates(within)
        measured = [score, f"test_{self.result.metric}"]
        groups = best.groupby(list(keys), sort=False)
        means = groups[list(dict.fromkeys(measured))].mean()
        all_of_them = prod(len(self.result.axes[axis]) for axis in averaged)
        lacking = (groups.size() < all_of_them) & (not self.result.facts["zipped"])
        return means.where(~lacking).assign(lacking=lacking)


def default_pairs(result: StudyResult) -> list[tuple[str, str]]:
    """Every two outer axes, the only one against the backends; then each against eta and lmbd."""
    axes = list(result.axes)
    outer = list(combinations(axes, 2)) or [(axes[0], BACKEND)]
    inner = [axis for axis, column in inner_axes(result).items() if column != BACKEND]
    return [*outer, *product(axes, [a for a in inner if len(axis_values(result, a)[1]) > 1])]


def inner_axes(result: StudyResult) -> dict[str, str]:
    """The columns of what every point has, backend, eta and lmbd, by the names that are left for them."""
    return {f"{c} of the grid" if c in result.axes else c: c for c in (BACKEND, "eta", "lmbd")}


def axis_values(result: StudyResult, axis: str) -> tuple[str, list[str]]:
    """The column of an axis, an outer one or one of ``inner_axes``, and its values in words, in order."""
    if axis in result.axes:
        return column_of(axis), result.axes[axis]
    inner = inner_axes(result)
    if axis not in inner:
        raise unknown("map: axis", axis, [*result.axes, *inner])
    column = inner[axis]
    values = result.records[column].unique()
    return column, [value_words(v) for v in (values if column == BACKEND else sorted(values))]


def point_page(folder: str, home: str = "") -> str:
    """The way from a study's page to that of a point; ``home``: the way to the study's folder."""
    return url_quote(f"{home}{folder}/report.html")


def study_map(table: StudyTable, rows: str, columns: str) -> Picture:
    """The map of two axes, a panel a backend."""
    result = table.result
    (down, downs), (across, acrosses) = (axis_values(result, axis) for axis in (rows, columns))
    backends = [] if {rows, columns} & {BACKEND, "backends"} else axis_values(result, BACKEND)[1]
    keys = [down, across, *([BACKEND] if backends else [])]
    best = table.best(keys)[[f"test_{result.metric}", "lacking"]]
    grids = []
    for backend in backends or [""]:
        own = best[best.index.get_level_values(-1) == backend].droplevel(-1) if backend else best
        grids.append((backend, own, _statuses(result, down, across, backend)))
    labels = (rows, columns), (downs, acrosses)
    maps = [_map(result, title, own, status, *labels) for title, own, status in grids]
    name = number_words.NAMES[result.metric]
    words = fixed_words(result, (rows, columns))
    finite = np.concatenate([m.values[m.status == "ok"] for m in maps])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    unit = " (%)" if result.metric in number_words.PERCENT else ""
    scale = Scale("viridis", low, high if high > low else low + 1, f"test {name}{unit}")
    return Picture(
        f"map-{file_name(f'{rows}-{columns}')}",
        partial(_draw, maps, scale),
        f"Test {name} over {rows} (down) and {columns} (across), mean over repeats{words}.",
        f"Heatmap of test {name}: {'; '.join(_described(one, result.metric) for one in maps)}",
        choice=f"{rows} × {columns}",
    )


def fixed_words(result: StudyResult, shown: Sequence[str]) -> str:
    """What was done about the axes that a map does not show, in words."""
    averaged = [a for a in AVERAGED if a in result.axes and a not in shown]
    grid = [axis for axis, column in inner_axes(result).items() if column != BACKEND]
    best = [a for a in (*result.axes, *grid) if a not in (*shown, *averaged)]
    if BACKEND in shown or "backends" in shown or len(axis_values(result, BACKEND)[1]) == 1:
        best = [a for a in best if a != "backends"]
    told = f"; {', '.join(best)} at what is best on the {result.chosen_on} part" if best else ""
    return told + (f", then the mean over {' and '.join(averaged)}" if averaged else "")


def _statuses(
    result: StudyResult, down: str, across: str, backend: str
) -> dict[tuple[str, str], str]:
    """What became of each combination that has no number."""
    records = result.records
    own = records[records[BACKEND] == backend] if backend else records
    keys = [down, across]
    first = own.assign(**{k: own[k].map(value_words) for k in keys}).drop_duplicates(
        [*keys, "status"]
    )
    told = dict(zip(zip(first[down], first[across], strict=True), first["status"], strict=True))
    points = result.points
    if {down, across} <= set(points.columns):
        for row, column, status in points[[down, across, "status"]].itertuples(index=False):
            told.setdefault((row, column), status)
    return {key: str(status) for key, status in told.items()}


def _map(
    result: StudyResult,
    title: str,
    best: pd.DataFrame,
    status: dict[tuple[str, str], str],
    axes: tuple[str, str],
    names: tuple[list[str], list[str]],
) -> Map:
    """One panel: scores where there are any, elsewhere what became of the combination."""
    downs, acrosses = names
    values = np.full((len(downs), len(acrosses)), np.nan)
    became = np.full(values.shape, "not in the study", object)
    for (row, column), fate in status.items():
        became[downs.index(row), acrosses.index(column)] = fate
    for (row, column), score, lacking in best.itertuples(name=None):
        place = downs.index(value_words(row)), acrosses.index(value_words(column))
        values[place], became[place] = score, _NOT_ON_ALL if lacking else str(Status.OK)
    became[(became == Status.OK) & np.isnan(values)] = str(Status.DIVERGED)
    texts = np.full(values.shape, "", object)
    if max(values.shape) <= ANNOTATED:
        for i, j in np.argwhere(~np.isnan(values)):
            shown = number_words.shown_score(float(values[i, j]), result.metric, 1)
            texts[i, j] = shown.removesuffix(" %")
    factor = number_words.factor(result.metric)
    nowhere = np.arange(len(downs), dtype=float), np.arange(len(acrosses), dtype=float)
    return Map(
        title,
        *nowhere,
        values * factor,
        texts,
        became,
        axes=axes,
        names=(_cut(downs), _cut(acrosses)),
    )


def _described(one: Map, metric: str) -> str:
    """A panel in words: its ends."""
    ok = one.status == "ok"
    title = f"{one.title}: " if one.title else ""
    if not ok.any():
        return f"{title}nothing was trained"
    values = np.where(ok, one.values, np.nan) / number_words.factor(metric)
    if not np.isfinite(values).any():
        return f"{title}not defined in any cell"
    top = divmod(int(np.nanargmax(values)), values.shape[1])
    assert one.names is not None
    where = f"{one.axes[0]} {one.names[0][top[0]]}, {one.axes[1]} {one.names[1][top[1]]}"
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return f"{title}{number_words.score_range(low, high, metric)}, highest at {where}"


def _draw(maps: list[Map], scale: Scale) -> Figure:
    """The panels, with room for the names of rows and columns."""
    downs, acrosses = maps[0].names or ((), ())
    letters = max(map(len, downs), default=1), max(map(len, acrosses), default=1)
    few = max(len(downs), len(acrosses)) <= ANNOTATED
    handles = max(len(statuses(m)) + has_dots(m) for m in maps)
    frame = Frame(
        width=max(len(acrosses) * max(0.5, _LETTER * letters[1] + 0.1) if few else 5.0, 2.0),
        height=max(0.4 * len(downs), 0.8) if few else 4.0,
        left=0.5 + _LETTER * letters[0],
        bottom=0.52 + 0.2 * -(-handles // 2),
        bar=scale.room,
    )
    figure, axes = panels(len(maps), 2 if frame.width < 4.5 else 1, frame)
    bar = bar_axes(figure, frame)
    for k, (axis, one) in enumerate(zip(axes, maps, strict=True)):
        draw_map(axis, one, scale, bar if k == 0 else None)
        frame.place(axis)
    return figure


def _cut(names: Sequence[str]) -> list[str]:
    """Names that are not too long for an axis: of a long one its end, which is where paths differ."""
    return [n if len(n) <= _LONGEST else f"…{n[1 - _LONGEST :]}" for n in names]
