"""The scores of sides as heatmaps: side by side, and one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.document.section import Picture, Section, slug
from harness.document.words import paragraphs
from harness.report.chosen_cells import Choice
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid
from harness.results.file_names import file_name
from harness.training.evaluate import PARTS
from harness.training.status import Status

_STEP = 0.05  # the colour scale's ends are multiples of it


def side_by_side_section(material: Material) -> Section:
    """The test heatmaps of all sides in one figure."""
    pictures = []
    for metric in material.shown_scores:
        own = _with_score(material, metric)
        name = number_words.NAMES[metric]
        scale = _score_scale(material, metric)
        maps = [_score_map(s, f"test_{metric}", s.label, material.chosen(s)) for s in own]
        words = "; ".join(
            f"{s.label}: {_described(s, f'test_{metric}', material.chosen(s))}" for s in own
        )
        pictures.append(
            Picture(
                f"test-{metric}",
                partial(figure_of, maps, scale, columns_for(material, len(own))),
                f"Test {name}"
                + (", mean over repeats" if any(s.repeats > 1 for s in own) else "")
                + ("; the outlined cell is the chosen one." if material.choices else "."),
                f"Heatmaps of test {name} over eta (down) and lmbd (across). {words}.",
                on_page=False,
            )
        )
    return Section("Side by side", pictures=pictures)


def heatmaps_section(material: Material) -> Section:
    """A heatmap for every part and side, all on one scale."""
    scales = {metric: _score_scale(material, metric) for metric in material.shown_scores}
    stems = _stems([side.label for side in material.sides])
    pictures = []
    for metric, part in product(material.shown_scores, PARTS):
        for side in _with_score(material, metric):
            choice, name = material.chosen(side), number_words.NAMES[metric]
            column = f"{part}_{metric}"
            title = f"{side.label}: {part} {name}"
            drawn = _score_map(side, column, title, choice)
            pictures.append(
                Picture(
                    f"{stems[side.label]}-{part}-{metric}",
                    partial(figure_of, [drawn], scales[metric], 1),
                    f"{part.capitalize()} {name} of {side.label}.",
                    f"Heatmap of {title}, eta down, lmbd across: {_described(side, column, choice)}.",
                    wide=False,
                    on_page=False,
                )
            )
    return Section(
        "Heatmaps",
        text=paragraphs("report/sentences.jinja", "heatmaps", backends=len(material.sides)),
        pictures=pictures,
    )


def _with_score(material: Material, metric: str) -> list[BackendGrid]:
    """The sides whose runs show a score."""
    return [side for side in material.sides if metric in side.result.shown_scores]


def _stems(labels: list[str]) -> dict[str, str]:
    """A name for files by label, in plain letters; where two would share one, each has a hash as well."""
    plain = [slug(label) for label in labels]
    return {
        label: stem if plain.count(stem) == 1 else file_name(label)
        for label, stem in zip(labels, plain, strict=True)
    }


def _score_scale(material: Material, metric: str) -> Scale:
    """One scale for a score in all parts of all sides; a score below 0 (R²) has the lowest colour."""
    found = [
        side.mean(f"{part}_{metric}")[side.ok]
        for side in _with_score(material, metric)
        for part in PARTS
    ]
    values = np.clip(np.concatenate([*found, np.empty(0)]), 0, 1)
    values = values[np.isfinite(values)]  # R² is not defined where all targets are the same
    low = np.floor(values.min(initial=1.0) / _STEP) * _STEP
    high = np.ceil(values.max(initial=0.0) / _STEP) * _STEP
    if high <= low:
        low, high = 0.0, 1.0
    unit = " (%)" if metric in number_words.PERCENT else ""
    factor = number_words.factor(metric)
    below = any((f < 0).any() for f in found)
    return Scale(
        "viridis",
        low * factor,
        high * factor,
        number_words.NAMES[metric] + unit,
        {"extend": "min"} if below else {},
    )


def cell_texts(values: NDArray[np.float64], form: Callable[[float], str]) -> NDArray[np.object_]:
    """The numbers of a small grid as text; large grids show none, so none are made."""
    if max(values.shape) > ANNOTATED:
        return np.full(values.shape, "", object)
    return np.vectorize(form, otypes=[object])(values)


def _score_map(side: BackendGrid, column: str, title: str, choice: Choice | None) -> Map:
    values, metric = side.mean(column), column.partition("_")[2]
    return Map(
        title,
        side.eta,
        side.lmbd,
        values * number_words.factor(metric),
        cell_texts(values, lambda v: number_words.in_cell(v, metric)),
        side.status,
        (choice.row, choice.column) if choice else None,
    )


def _described(side: BackendGrid, column: str, choice: Choice | None) -> str:
    """A heatmap in words."""
    values, metric = side.mean(column), column.partition("_")[2]
    statuses = pd.Series(side.status.ravel()).value_counts().drop(Status.OK, errors="ignore")
    rest = "".join(f"; {number} {status}" for status, number in statuses.items())
    if not side.ok.any():
        return f"no cell trained{rest}"
    if not np.isfinite(values).any():
        return f"not defined in any cell{rest}"
    top = np.unravel_index(np.nanargmax(values), values.shape)
    words = (
        f"{number_words.shown_score(float(np.nanmin(values)), metric)} to "
        f"{number_words.shown_score(float(np.nanmax(values)), metric)}, highest at "
        f"{number_words.cell(float(side.eta[top[0]]), float(side.lmbd[top[1]]))}{rest}"
    )
    if choice:
        words += f"; chosen: {number_words.cell(choice.eta, choice.lmbd)}"
    return words


def columns_for(material: Material, count: int) -> int:
    """Panels in a row: two by two for four, a column for each of several runs, at most three."""
    if material.several:
        return min(3, len(material.results))
    return 2 if count in (2, 4) else 3
