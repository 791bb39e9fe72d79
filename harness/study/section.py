"""What is shown of a study: its best points, maps of its axes, how much each axis matters."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.document import number_words
from harness.document.section import Section, Table, Title
from harness.document.words import paragraphs
from harness.study.study import StudyResult, column_of

_SENTENCES = "study/sentences.jinja"
_BEST = 5  # points in a table of the best


def study_title(result: StudyResult) -> Title:
    """The study's name, its axes and the day it was finished."""
    axes = ", ".join(f"{name} ({len(values)})" for name, values in result.axes.items())
    rows, columns = result.facts["grid"]
    backends = ", ".join(map(str, result.records["backend"].unique()))
    day = str(result.facts["finished"])[:10]
    return Title(result.name, f"study over {axes} · {backends} · {rows} × {columns} grid · {day}")


def study_summary(result: StudyResult) -> list[Section]:
    """The study on one screen of a terminal."""
    return [_verdict(result)]


def study_sections(result: StudyResult, maps: Sequence[tuple[str, str]] = ()) -> list[Section]:
    """All sections of the page."""
    return [_verdict(result), _points(result)]


def _verdict(result: StudyResult) -> Section:
    """How large the study is, and its best points, for each data set where that is an axis."""
    points, chosen = result.points, result.chosen()
    text = paragraphs(
        _SENTENCES,
        "verdict",
        points=len(points),
        axes=list(result.axes),
        zipped=result.facts["zipped"],
        networks=int(points["networks"].sum()),
        refused=int((points["folder"] == "").sum()),
        failed=int(points["status"].isin(["failed", "timeout", "unavailable"]).sum()),
        metric=result.choose_by,
    )
    apart = [column_of("dataset")] if "dataset" in result.axes else []
    order = [*apart, f"validation_{result.choose_by}"]
    best = chosen.sort_values(order, ascending=[*(True for _ in apart), False], kind="stable")
    best = best.groupby(apart, sort=False).head(_BEST) if apart else best.head(_BEST)
    return Section(
        "Best points",
        text=text,
        tables=[Table(_shown_cells(result, best), "The highest on the validation part")],
        kind="verdict",
    )


def _shown_cells(result: StudyResult, cells: pd.DataFrame) -> pd.DataFrame:
    """Chosen cells as a reader sees them."""
    frame = cells[[*result.columns, "backend", "eta", "lmbd"]].copy()
    frame["eta"] = [number_words.grid(v) for v in cells["eta"]]
    frame["lmbd"] = [number_words.grid(v) for v in cells["lmbd"]]
    for part, name in (("validation", result.choose_by), ("test", result.metric)):
        shown = [number_words.shown_score(v, name) for v in cells[f"{part}_{name}"]]
        frame[f"{part} {number_words.NAMES[name]}"] = shown
    return frame


def _points(result: StudyResult) -> Section:
    """Every point with its chosen cells, and those that could not be run with the reason."""
    lost = result.points[result.points["status"] != "ok"]
    told = lost[[*result.columns, "status", "reason"]]
    tables = [
        Table(_shown_cells(result, result.chosen()), "Chosen cells of all points", folded=True)
    ]
    if len(lost):
        tables.append(Table(told, "Points that were not trained"))
    return Section("Points", text=paragraphs(_SENTENCES, "points"), tables=tables)
