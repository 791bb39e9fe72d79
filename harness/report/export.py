"""Tables and figures of a report for a paper or thesis, by name and in the format that is wanted."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from harness.document import number_words
from harness.document.canvas import Format, figure_file, style
from harness.document.foreign_text import visible
from harness.document.markdown import table_lines
from harness.document.section import Picture, Section, Table, slug
from harness.document.words import render
from harness.errors import InputError, unknown
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid

TableFormat = Literal["latex", "csv", "markdown", "html"]
_INCHES = {"cm": 1 / 2.54, "mm": 1 / 25.4, "in": 1.0, "pt": 1 / 72.27}
_NARROWEST, _WIDEST = 1.5, 40.0  # inches that a figure may be wide
_MEASURED = ("chosen", "cells")  # tables of scores with their standard errors
_POWER = re.compile(r"(?<![\w.])(\d(?:\.\d+)?)e([+-]\d+)(?!\w)")
_T = TypeVar("_T")

# what LaTeX would obey, and signs that the fonts of an ordinary document lack
_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": "$-$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "·": r"$\cdot$",
        "²": "$^2$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "η": r"$\eta$",
        "λ": r"$\lambda$",
        "Δ": r"$\Delta$",
        "–": "--",
        "—": "---",
        "…": r"\dots{}",
        "→": r"$\to$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        **{s: f"$^{{{d}}}$" for d, s in zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True) if d != "2"},
        "⁻": "$^-$",
    }
)


class Measured(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


def export_names(sections: Sequence[Section]) -> tuple[list[str], list[str]]:
    """The names of all tables and of all figures."""
    return list(_tables(sections)), list(_pictures(sections))


def exported_table(
    sections: Sequence[Section],
    material: Material,
    name: str,
    kind: TableFormat = "latex",
    *,
    plus_minus: bool = False,
) -> str:
    """A table of the report as text.

    ``chosen`` and ``cells`` have scores with their standard errors, ``97.2(9)``, or ``97.2 ± 0.9`` if
    ``plus_minus``; as CSV both are numbers. LaTeX wants the package booktabs.
    """
    tables = _tables(sections)
    if name not in tables:
        raise unknown("table", name, tables)
    if plus_minus and (kind == "csv" or name not in _MEASURED):
        found = (
            "csv, where errors have columns of their own" if kind == "csv" else f"table {name!r}"
        )
        raise InputError(
            f"plus_minus: found with {found}; allowed: with {' or '.join(_MEASURED)}, in words"
        )
    table = tables[name]
    if name in _MEASURED:
        chosen = name == _MEASURED[0]
        table = Table(_scores(material.sides, chosen), _score_caption(material, chosen), name=name)
    if kind == "csv":
        return _as_numbers(table.frame).to_csv(index=False)
    if name in _MEASURED:
        table = replace(table, frame=table.frame.map(lambda v: _shown(v, plus_minus)))
    if kind == "markdown":
        return "\n".join(table_lines(table)) + "\n"
    return _latex(table) if kind == "latex" else _html(table)


def exported_figure(
    sections: Sequence[Section], name: str, kind: Format = "pdf", width: float | None = None
) -> bytes:
    """A figure of the report as a file; ``width`` in inches lays it out anew, with texts of 8 to 9 points."""
    pictures = _pictures(sections)
    if name not in pictures:
        raise unknown("figure", name, pictures)
    with style(width):
        figure = pictures[name].draw()
        if width is not None and abs(figure.get_figwidth() - width) > 0.01:
            raise InputError(
                f"width: the figure {name!r} has one layout only, {2.54 * figure.get_figwidth():.1f} cm "
                "wide; allowed: without a width"
            )
        return figure_file(figure, kind)


def inches(width: str) -> float:
    """A width such as 8.6cm, 86mm, 3.4in or 246pt, in inches."""
    said = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(cm|mm|in|pt)\s*", width)
    if said:
        number = float(said[1]) * _INCHES[said[2]]
        if _NARROWEST <= number <= _WIDEST:
            return number
    raise InputError(
        f"width: found {width!r}; allowed: a number with its unit (cm, mm, in, pt), from "
        f"{2.54 * _NARROWEST:.1f}cm to {2.54 * _WIDEST:.0f}cm, such as 8.6cm"
    )


def _tables(sections: Iterable[Section]) -> dict[str, Table]:
    every = [(table, section.title) for section in sections for table in section.tables]
    tables = _named(
        every, lambda one: one[0].name or slug(one[0].caption or one[1]), lambda one: one[0]
    )
    return tables | {name: Table(pd.DataFrame(), name=name) for name in _MEASURED[1:]}


def _pictures(sections: Iterable[Section]) -> dict[str, Picture]:
    every = [picture for section in sections for picture in section.pictures]
    return _named(every, lambda picture: picture.name, lambda picture: picture)


def _named(
    every: Iterable[Any], name: Callable[[Any], str], give: Callable[[Any], _T]
) -> dict[str, _T]:
    """Things by name; where two have the same, the second has a 2 behind it, and so on."""
    told: dict[str, _T] = {}
    for one in every:
        stem, number = name(one), 1
        while (stem if number == 1 else f"{stem}-{number}") in told:
            number += 1
        told[stem if number == 1 else f"{stem}-{number}"] = give(one)
    return told


def _scores(sides: Sequence[BackendGrid], chosen: bool) -> pd.DataFrame:
    """Cells of every backend, all or only the chosen one, with their scores and standard errors."""
    rows = []
    for side in sides:
        cells = [side.chosen] if chosen else list(np.ndindex(side.shape))
        for cell in cells:
            if cell is None:
                continue
            row: dict[str, Any] = {"backend": side.label}
            row |= {"eta": float(side.eta[cell[0]]), "lmbd": float(side.lmbd[cell[1]])}
            for part, name in product(("validation", "test"), side.result.shown_scores):
                unit = " (%)" if name in number_words.PERCENT else ""
                row[f"{part} {number_words.NAMES[name]}{unit}"] = _measured(side, cell, part, name)
            rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.astype(object).where(frame.notna(), None)  # a score that another run alone has


def _measured(side: BackendGrid, cell: tuple[int, ...], part: str, name: str) -> Measured:
    """A score of a cell: over repeats the mean and its error, else that of one share of samples.

    The latter is the half width of Wilson's 68 % interval, which is not zero at 100 %.
    """
    values, factor = side.values(f"{part}_{name}")[cell], number_words.factor(name)
    mean = float(values.mean())
    if len(values) > 1:
        return Measured(factor * mean, factor * float(values.std(ddof=1)) / len(values) ** 0.5)
    parts = side.result.manifest["dataset"]["parts"]
    samples = parts[part if side.result.experiment.validation_size else "test"]
    if name != "accuracy":
        return Measured(factor * mean, float("nan"))
    root = (mean * (1 - mean) / samples + 1 / (4 * samples**2)) ** 0.5
    return Measured(factor * mean, factor * root / (1 + 1 / samples))


def _score_caption(material: Material, chosen: bool) -> str:
    errors: dict[tuple[int, str, bool], list[str]] = {}
    for name, result in zip(material.names, material.results, strict=True):
        experiment = result.experiment
        kind = (experiment.repeats, experiment.what_varies, result.metric == "accuracy")
        errors.setdefault(kind, []).append(name)
    return render(
        "report/sentences.jinja",
        "exported_scores",
        chosen=chosen,
        data=list(dict.fromkeys(r.manifest["dataset"]["name"] for r in material.results)),
        choosing=material.choosing,
        errors=[(runs, *kind) for kind, runs in errors.items()],
    )


def _shown(value: Any, plus_minus: bool) -> Any:
    if isinstance(value, Measured):
        return number_words.with_error(*value, plus_minus)
    return number_words.grid(value) if isinstance(value, float) else value


def _as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """What was measured as two columns, the number and its error."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        values = list(frame[name])
        if any(isinstance(value, Measured) for value in values):
            numbers = [value or Measured(float("nan"), float("nan")) for value in values]
            columns[str(name)] = [value.value for value in numbers]
            columns[f"{name} error"] = [value.error for value in numbers]
        elif all(isinstance(value, float) for value in values):
            columns[str(name)] = values
        else:
            columns[str(name)] = ["" if v is None else visible(str(v)) for v in values]
    return pd.DataFrame(columns)


def latex_words(words: str) -> str:
    """Words as LaTeX prints them, whatever is in them."""
    plain = visible(" ".join(words.replace("`", "").split())).translate(_LATEX)
    return _POWER.sub(_power, plain)


def _power(found: re.Match[str]) -> str:
    times = "" if found[1] == "1" else rf"{found[1]}\cdot "
    return f"${times}10^{{{int(found[2])}}}$"


def _latex(table: Table) -> str:
    """A floating table with booktabs' lines, a caption and a label."""
    numeric = [
        right or all(isinstance(v, str) and re.match(r"[−\d]", v) for v in table.frame[name])
        for right, name in zip(table.numeric, table.frame.columns, strict=True)
    ]
    shown = pd.DataFrame(
        [[latex_words(entry) for entry in row] for row in table.rows],
        columns=[latex_words(name) for name in table.header],
    )
    return str(
        shown.style.hide(axis="index").to_latex(
            column_format="".join("r" if right else "l" for right in numeric),
            hrules=True,
            position="htbp",
            position_float="centering",
            caption=latex_words(table.caption) or None,
            label=f"tab:{table.name}",
        )
    )


def _html(table: Table) -> str:
    """A table alone, to be put into a page."""
    rows = pd.DataFrame(
        [[visible(entry) for entry in row] for row in table.rows],
        columns=[visible(name) for name in table.header],
    )
    caption = html.escape(visible(table.caption))
    text = str(rows.to_html(index=False, border=0, escape=True))
    return text.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1) + "\n"
