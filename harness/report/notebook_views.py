"""What a result shows of itself in a notebook; :mod:`harness.api` gives results these as methods."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.canvas import figure_file, style
from harness.document.foreign_text import html_text
from harness.document.heatmaps import Map, Scale, figure_of
from harness.document.page import words
from harness.document.section import NOTHING
from harness.errors import InputError, unknown
from harness.report import curve_figures
from harness.report.agreement import agreement_with
from harness.report.chosen_cells import Choice, chosen_table
from harness.report.heatmaps_section import cell_texts
from harness.report.run_warnings import run_warnings
from harness.report.runs import Material
from harness.report.trained_network import (
    cell_number,
    drawn_plan,
    predictions,
    trained_network,
)
from harness.report.verdict_section import run_verdict
from harness.results.backend_grid import BackendGrid
from harness.results.result import Result
from harness.training.evaluate import PARTS

_SIZE = 3.0  # inches of a small heatmap in the summary, at most


def heatmap(
    result: Result,
    column: str = "",
    backends: Sequence[str] | str = (),
    reference: str | None = None,
) -> Figure:
    """A measured column of the records over the grid, a panel for each backend; by default the test score.

    ``reference``: a backend whose values are subtracted from the others'.
    """
    column = column or f"test_{result.metric}"
    sides = _sides(result, backends)
    measured = [str(c) for c in result.records if str(c).partition("_")[0] in (*PARTS, "seconds")]
    if column not in measured:
        raise unknown("column", column, measured)
    factor = number_words.factor(column.partition("_")[2])
    maps = []
    if reference is not None:
        (other,) = _sides(result, reference)
        for side in sides:
            if side.backend == other.backend:
                continue
            c = agreement_with(side, other)
            gap = side.mean(column) - other.mean(column)
            texts = cell_texts(gap, partial(_difference, column))
            title = f"{side.label} − {other.label}"
            maps.append(Map(title, side.eta, side.lmbd, gap * factor, texts, c.status))
        if not maps:
            raise InputError(f"reference: found {reference!r} and no other backend beside it")
    for side in sides if reference is None else ():
        values = side.mean(column)
        texts = cell_texts(values, partial(_number, column))
        maps.append(
            Map(side.label, side.eta, side.lmbd, values * factor, texts, side.status, side.chosen)
        )
    scale = _scale(column, maps, reference)
    return _shown(partial(figure_of, maps, scale, 2 if len(maps) in (2, 4) else 3))


def _number(column: str, value: float) -> str:
    """A value of a cell, without the unit."""
    if column == "seconds":
        return f"{value:.2g}" if np.isfinite(value) else NOTHING
    return number_words.in_cell(value, column.partition("_")[2])


def _difference(column: str, value: float) -> str:
    """A signed difference of two values of a cell, without the unit."""
    if column == "seconds":
        return f"{value:+.2g}".replace("-", "−") if np.isfinite(value) else NOTHING
    return number_words.difference(value, column.partition("_")[2], 1)


def _scale(column: str, maps: Sequence[Map], reference: str | None) -> Scale:
    values = np.concatenate([m.values.ravel() for m in maps])
    values = values[np.isfinite(values)]
    part, _, score = column.partition("_")
    name = f"{part} {number_words.NAMES.get(score, score)}".strip()
    unit = " (%)" if score in number_words.PERCENT else ""
    if reference is not None:
        reach = float(np.abs(values).max(initial=0.0)) or 1.0
        unit = " (points)" if unit else ""
        return Scale("vlag", -reach, reach, f"difference in {name}{unit}")
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return Scale("viridis", low, high if high > low else low + 1, name + unit)


def learning_curves_figure(
    result: Result,
    backends: Sequence[str] | str = (),
    eta: float | None = None,
    lmbd: float | None = None,
) -> Figure:
    """Loss and score over epochs, a column for each backend: of one cell, or of each its chosen one."""
    choices = _cells(result, backends, eta, lmbd)
    return _shown(partial(curve_figures.learning_curves, choices))


def confusion(
    result: Result,
    backends: Sequence[str] | str = (),
    eta: float | None = None,
    lmbd: float | None = None,
) -> Figure:
    """Confusion matrices on the test samples: of one cell, or of each backend its chosen one."""
    classes = result.manifest["dataset"]["classes"]
    if not classes:
        raise InputError("confusion: found a regression; allowed: a classification")
    choices = _cells(result, backends, eta, lmbd)
    return _shown(partial(curve_figures.confusion_matrices, choices, classes))


def flipped_samples(
    result: Result,
    a: str,
    b: str,
    eta: float | None = None,
    lmbd: float | None = None,
    repeat: int = 0,
) -> pd.DataFrame:
    """The test samples that two backends label differently in a cell: row, target and both labels.

    Without a cell: those of all cells, with their eta and lmbd.
    """
    if result.metric != "accuracy":
        raise InputError("flips: found a regression; allowed: a classification")
    if (eta is None) != (lmbd is None):
        raise InputError("flips: found one of eta and lmbd; allowed: both or none")
    a, b = result.called(a), result.called(b)
    cells = result.experiment.cells if eta is None or lmbd is None else [(eta, lmbd)]
    names = np.asarray(result.manifest["dataset"]["classes"], dtype=object)
    target = result.target(repeat)
    t = result.targets
    rows = t[t["repeat"] == (repeat if (t["repeat"] == repeat).any() else -1)]["row"].to_numpy()
    frames = []
    for cell in cells:
        for backend in (a, b):
            cell_number(result, backend, *cell, repeat)
        one, other = (result.predicted(backend, *cell, repeat) for backend in (a, b))
        if not len(one) or not len(other):  # one of them did not train
            continue
        k = np.flatnonzero(one != other)
        told = {"eta": cell[0], "lmbd": cell[1], "row": rows[k], "target": names[target[k]]}
        frames.append(pd.DataFrame(told | {a: names[one[k]], b: names[other[k]]}))
    columns = ["eta", "lmbd", "row", "target", a, b]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def weights(
    result: Result, backend: str, eta: float, lmbd: float, repeat: int = 0
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Weights (inputs, outputs) and biases of every layer of one network, kept or trained again."""
    return trained_network(result, backend, eta, lmbd, repeat).layers


def result_html(result: Result) -> str:
    """The answer, the chosen cells, small heatmaps, and where the page is."""
    material = Material((result,))
    answer = "".join(f"<p>{words(line)}</p>" for line in run_verdict(material).text)
    table = chosen_table(material.choices)
    rows = table.map(lambda v: f"{v:.4g}" if isinstance(v, float) else str(v))
    small = base64.b64encode(figure_file(heatmap(result), "png")).decode()
    picture = (
        f'<img alt="heatmaps of test {html_text(result.metric)}" style="max-width:{_SIZE * 2}in" '
        f'src="data:image/png;base64,{small}">'
    )
    warnings = "".join(f"<li>{words(line)}</li>" for line in run_warnings(material))
    warned = (
        f"<details><summary>warnings</summary><ul>{warnings}</ul></details>" if warnings else ""
    )
    page = f"{result.address}/report.html"
    link = f"<code>write_report(result)</code> writes {html_text(page)}"
    if Path(page).exists():
        link = f'<a href="{html_text(page)}" target="_blank">{html_text(page)}</a>'
    return (
        f"<div><h4>{html_text(result.name)}</h4>{answer}"
        f"{rows.to_html(index=False, border=0, escape=True)}{picture}{warned}<p>{link}</p></div>"
    )


# the methods that harness.api gives results, by name
VIEWS: dict[str, Callable[..., Any]] = {
    "heatmap": heatmap,
    "learning_curves": learning_curves_figure,
    "confusion": confusion,
    "flips": flipped_samples,
    "weights": weights,
    "predict": predictions,
    "plan": drawn_plan,
    "_repr_html_": result_html,
}


def _sides(result: Result, backends: Sequence[str] | str) -> list[BackendGrid]:
    names = [backends] if isinstance(backends, str) else list(backends) or result.backends
    return [BackendGrid.of(result, name) for name in names]


def _cells(
    result: Result, backends: Sequence[str] | str, eta: float | None, lmbd: float | None
) -> list[Choice]:
    """A cell of each backend: the one asked for, or its chosen one."""
    if (eta is None) != (lmbd is None):
        raise InputError("cell: found one of eta and lmbd; allowed: both or none")
    made = []
    for side in _sides(result, backends):
        at = side.chosen
        if eta is not None and lmbd is not None:
            number = cell_number(result, side.backend, eta, lmbd)
            place = side.cells.index(result.experiment.cells[number])
            at = (place // len(side.lmbd), place % len(side.lmbd))
        if at is not None and side.ok[at]:
            made.append(Choice(side, *at, at, ()))
    if not made:
        raise InputError("cell: none of the backends trained there in every repeat")
    return made


def _shown(draw: Callable[[], Figure]) -> Figure:
    """A figure in the report's look that notebooks show as it is, with pyplot imported or without."""
    with style():
        figure = draw()
        png = figure_file(figure, "png")
    figure._repr_png_ = lambda: png  # type: ignore[attr-defined]
    return figure
