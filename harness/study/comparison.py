"""Backends, or two studies, compared point by point: one family of claims over all points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.compare.comparison import (
    AGAINST,
    AGREEING,
    APART,
    OUTCOME_CODES,
    VERDICTS,
    comparable_pairs,
    decisions,
    measured_cells,
    verdicts_outcome,
)
from harness.document import number_words
from harness.document.plain import plain
from harness.document.section import Section, Table, Title
from harness.document.words import paragraphs, render
from harness.document.writer import PageAddress, write_sections
from harness.errors import InputError
from harness.results.result import Result, load_result
from harness.results.run_folder import RunFolder
from harness.roundoff.stable_cells import by_backend, chaos_maps
from harness.study.study import StudyResult, column_of

_SENTENCES = "study/sentences.jinja"
_LISTED = 50  # cells that the page names


@dataclass(frozen=True)
class StudyComparison:
    """Every point's cells with their verdicts, corrected over all of them together.

    cells: as of :class:`~harness.compare.comparison.Comparison`, after the columns of the axes.
    skipped: points that could not be compared, by the reason.
    points: how many were.
    """

    names: tuple[str, ...]
    metric: str
    margin: float
    alpha: float
    columns: list[str]
    cells: pd.DataFrame
    points: int
    skipped: dict[str, list[str]]

    @property
    def outcome(self) -> str:
        """``equivalent``, ``different`` or ``inconclusive``, over the stable cells of all points."""
        return verdicts_outcome(self.cells["verdict"])

    @property
    def exit_code(self) -> int:
        """0 equivalent, 1 different beyond the margin, 3 inconclusive."""
        return OUTCOME_CODES[self.outcome]

    @property
    def by_point(self) -> pd.DataFrame:
        """A row a point and pair: its outcome, cells by verdict, the largest difference of a stable one."""
        rows = []
        for key, own in self.cells.groupby([*self.columns, "left", "right"], sort=False):
            verdicts = own["verdict"]
            counts = {v: int((verdicts == v).sum()) for v in VERDICTS}
            largest = own.loc[~verdicts.isin(APART), "difference"].abs().max()
            rows.append([*key, verdicts_outcome(verdicts), *counts.values(), largest])
        header = [*self.columns, "left", "right", "outcome", *VERDICTS, "largest"]
        return pd.DataFrame(rows, columns=header)


def compare_study(
    first: StudyResult,
    second: StudyResult | None = None,
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    chaos: bool = True,
    begin: Callable[[int, int], None] = lambda number, total: None,
) -> StudyComparison:
    """Compare the backends at every point of a study, or two studies at the points that both have.

    alpha: the error of the whole family, all cells of all pairs at all points. chaos: the cells that
    round-off carries away are found first. :class:`InputError` where no point can be compared.
    """
    pairs_of_points = list(_points(first, second))
    frames: list[pd.DataFrame] = []
    skipped: dict[str, list[str]] = {}
    for number, (labels, ours, theirs) in enumerate(pairs_of_points, 1):
        begin(number, len(pairs_of_points))
        where = ", ".join(f"{axis} {label}" for axis, label in labels.items())
        run = ours.rsplit("/", 1)[-1]
        try:
            one = load_result(ours)
            other = None if theirs is None else load_result(theirs)
            pairs = comparable_pairs(one, other, margin, alpha)
        except InputError as error:
            reason = str(error).removeprefix("compare: ").replace(repr(run), "the run")
            skipped.setdefault(reason, []).append(where)
            continue
        wild = _wild([r for r in (one, other) if r is not None]) if chaos else None
        cells = measured_cells(pairs, margin, wild)
        for place, (axis, label) in enumerate(labels.items()):
            cells.insert(place, column_of(axis), label)
        frames.append(cells)
    for reason, places in _of_one_alone(first, second):
        skipped[reason] = places
    if not frames:
        reason = next(iter(skipped), "the two have no point in common")
        raise InputError(f"compare: no point can be compared ({reason})")
    cells = decisions(pd.concat(frames, ignore_index=True), margin, alpha)
    names = (first.name,) if second is None else (first.name, second.name)
    columns = first.columns
    return StudyComparison(names, first.metric, margin, alpha, columns, cells, len(frames), skipped)


def _points(
    first: StudyResult, second: StudyResult | None
) -> Iterator[tuple[dict[str, str], str, str | None]]:
    """The points to compare: the values of the axes, and the folders of the runs."""
    if second is not None and set(first.axes) != set(second.axes):
        raise InputError(
            f"compare: {first.name!r} has the axes {', '.join(first.axes)}, {second.name!r} "
            f"{', '.join(second.axes)}; allowed: studies over the same axes"
        )
    theirs = {} if second is None else {_key(first, row): row for row in _rows(second)}
    for row in _rows(first):
        labels = {axis: str(row[column_of(axis)]) for axis in first.axes}
        ours = f"{first.address.rstrip('/')}/{row['folder']}"
        if second is None:
            yield labels, ours, None
        elif other := theirs.get(_key(first, row)):
            yield labels, ours, f"{second.address.rstrip('/')}/{other['folder']}"


def _of_one_alone(
    first: StudyResult, second: StudyResult | None
) -> Iterator[tuple[str, list[str]]]:
    """The points that only one of two studies has, with which."""
    for own, other in () if second is None else ((first, second), (second, first)):
        there = {_key(first, row) for row in _rows(other)}
        lacking = [key for key in (_key(first, row) for row in _rows(own)) if key not in there]
        if lacking:
            names = first.axes
            yield (
                f"only in {own.name!r}",
                [", ".join(map(" ".join, zip(names, key, strict=True))) for key in lacking],
            )


def _rows(study: StudyResult) -> list[dict[Any, Any]]:
    return study.points[study.points["folder"] != ""].to_dict("records")


def _key(study: StudyResult, row: dict[Any, Any]) -> tuple[str, ...]:
    return tuple(str(row[column]) for column in study.columns)


def _wild(runs: Sequence[Result]) -> pd.DataFrame:
    return by_backend(pd.concat([chaos_maps(r.experiment, r.backends) for r in runs]))


def study_comparison_section(comparison: StudyComparison, *, short: bool = False) -> Section:
    """What the comparison comes to, and where; ``short``: for a terminal."""
    cells, table = comparison.cells, comparison.by_point
    verdicts = cells["verdict"]
    against = table[table["outcome"] != "equivalent"]
    shown = against[[c for c in table if c in comparison.columns or table[c].any()]].copy()
    shown["largest"] = [number_words.span(v, comparison.metric) for v in against["largest"]]
    listed = cells[~verdicts.isin([*AGREEING, *APART])]
    order = listed["difference"].abs().sort_values(ascending=False, na_position="first").index
    first = listed.loc[order].head(_LISTED)
    named = first[[*comparison.columns, "left", "right"]].copy()
    named["cell"] = [number_words.cell(*c) for c in zip(first["eta"], first["lmbd"], strict=True)]
    named["verdict"] = first["verdict"]
    named["difference"] = [
        number_words.difference(v, comparison.metric) for v in first["difference"]
    ]
    tables = [Table(shown, "Points that differ or are open")]
    if not short:
        more = f" ({left} more in compare.csv)" if (left := len(listed) - len(named)) else ""
        caption = f"Cells that differ or are open, the largest difference first{more}"
        tables.append(Table(named, caption))
    return Section(
        "Comparison",
        text=paragraphs(
            _SENTENCES,
            "comparison",
            names=comparison.names,
            outcome=comparison.outcome,
            points=comparison.points,
            stable=int((~verdicts.isin(APART)).sum()),
            agreeing=int(verdicts.isin(AGREEING).sum()),
            against=int(verdicts.isin(AGAINST).sum()),
            places=int((table["outcome"] == "different").sum()),
            margin=comparison.margin,
            alpha=comparison.alpha,
            metric=comparison.metric,
        ),
        points=[
            render(_SENTENCES, "skipped", where=where, reason=reason)
            for reason, where in comparison.skipped.items()
        ],
        tables=[t for t in tables if len(t.frame)],
        kind="verdict",
    )


def write_study_comparison(comparison: StudyComparison, address: str) -> PageAddress:
    """Write compare.json, compare.csv, compare.md and compare.html; the page's address."""
    folder = RunFolder(address)
    folder.claim([f"compare.{kind}" for kind in ("json", "csv", "md", "html")])
    folder.write_json("compare.json", study_comparison_json(comparison))
    folder.write("compare.csv", comparison.cells.to_csv(index=False))
    margin = number_words.amount(comparison.margin, comparison.metric)
    title = Title(" and ".join(comparison.names), f"compared at every point, within {margin}")
    return write_sections(title, [study_comparison_section(comparison)], folder, "compare")


def study_comparison_json(comparison: StudyComparison) -> dict[str, Any]:
    """Everything, for a machine; what is not a number is null."""
    content = {
        "studies": comparison.names,
        "outcome": comparison.outcome,
        "exit_code": comparison.exit_code,
        "metric": comparison.metric,
        "margin": comparison.margin,
        "alpha": comparison.alpha,
        "points": comparison.by_point,
        "skipped": comparison.skipped,
        "cells": comparison.cells,
    }
    return {name: plain(value) for name, value in content.items()}
