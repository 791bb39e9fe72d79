"""What is shown of a study: its best points, maps of its axes, how much each axis matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.document import number_words
from harness.document.attempt import attempt_sections
from harness.document.canvas import FAINT, INK, Frame, panels
from harness.document.heatmaps import CHOSEN
from harness.document.section import NOTHING, Link, Picture, Section, Table, Title
from harness.document.words import paragraphs, render
from harness.results.result import cell_means
from harness.results.run_folder import rerun_command
from harness.study.effects import REST, AxisRanking, axis_rankings, axis_shares
from harness.study.maps import (
    MOST_MAPS,
    StudyTable,
    default_pairs,
    inner_axes,
    point_page,
    study_map,
)
from harness.study.study import StudyResult, column_of
from harness.training.status import TRAINED

_SENTENCES = "study/sentences.jinja"
_BEST = 5  # points in a table of the best
_MOST_POINTS_SHOWN = 500  # rows of a table of all


def study_title(result: StudyResult) -> Title:
    """The study's name, its axes and the day it was finished."""
    axes = ", ".join(f"{name} ({len(values)})" for name, values in result.axes.items())
    rows, columns = result.facts["grid"]
    backends = ", ".join(map(str, result.records["backend"].unique()))
    day = str(result.facts["finished"])[:10]
    return Title(result.name, f"study over {axes} · {backends} · {rows} × {columns} grid · {day}")


def study_table(result: StudyResult) -> StudyTable:
    """The study's cells, means over repeats."""
    return StudyTable(result, cell_means(result.records, ["point", *result.columns]))


def study_summary(result: StudyResult) -> list[Section]:
    """The study on one screen of a terminal."""
    table = study_table(result)
    best = _best_section(table)
    first = axis_shares(result, chosen=True)
    told = [_share_words(first, result)] if len(first) else []
    ranked = [_rank_words(one, result) for one in axis_rankings(table)]
    return [best, *([Section("Axes", text=[*told, *ranked])] if told or ranked else [])]


def study_sections(
    table: StudyTable, maps: Sequence[tuple[str, str]] = (), home: str = "", *, live: bool = True
) -> list[Section]:
    """All sections of the page.

    ``maps``: the axes of each map, by default every two outer ones; ``home``: the way from the page to the
    study's folder; ``live``: whether the page has a map of which rows and columns can be chosen.
    """
    result = table.result
    for rows, columns in maps:
        study_map(table, rows, columns)  # refuses what is no axis before anything is written
    makers: dict[str, Callable[[], Section | None]] = {
        "Best points": partial(_best_section, table),
        "Maps": partial(_maps_section, table, maps, live),
        "What matters": partial(_shares_section, result),
        "Over data sets": partial(_ranks_section, table),
        "Points": partial(_points_section, result, home),
        "Reproduction": partial(_reproduction, result),
    }
    return [s for title, make in makers.items() for s in attempt_sections(title, make)]


def _best_section(table: StudyTable) -> Section:
    """How large the study is, and its best points, for each data set where that is an axis."""
    result = table.result
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
        part=result.chosen_on,
    )
    apart = [column_of("dataset")] if "dataset" in result.axes else []
    best = chosen.sort_values(
        [f"validation_{result.choose_by}", "validation_loss"],
        ascending=[False, True],
        kind="stable",
    )
    if apart:  # one line a data set and backend
        best = best.drop_duplicates([*apart, "backend"])
        places = {label: k for k, label in enumerate(result.axes["dataset"])}
        best = best.sort_values(apart[0], key=lambda s: s.map(places), kind="stable")
    else:
        best = best.head(_BEST)
    caption = f"The highest on the {result.chosen_on} part"
    return Section(
        "Best points",
        text=text,
        tables=[Table(_shown_cells(result, best), f"{caption}{', by data set' if apart else ''}")],
        kind="verdict",
    )


def _shown_cells(result: StudyResult, cells: pd.DataFrame) -> pd.DataFrame:
    """Chosen cells as a reader sees them."""
    frame = cells[[*result.columns, "backend"]].copy()
    if "backends" in frame:
        frame = frame.drop(columns="backend")
    frame["chosen eta"] = [number_words.grid(v) for v in cells["eta"]]
    frame["lmbd"] = [number_words.grid(v) for v in cells["lmbd"]]
    for part, name in (("validation", result.choose_by), ("test", result.metric)):
        shown = [number_words.shown_score(v, name) for v in cells[f"{part}_{name}"]]
        frame[f"{part} {number_words.NAMES[name]}"] = shown
    return frame.reset_index(drop=True)


def _maps_section(table: StudyTable, maps: Sequence[tuple[str, str]], live: bool = True) -> Section:
    """A map for every two axes that were asked for."""
    pairs = list(maps) or default_pairs(table.result)
    drawn = pairs if maps else pairs[:MOST_MAPS]
    text = paragraphs(
        _SENTENCES,
        "maps",
        folder=quote(table.result.address),
        axes=[*table.result.axes, *inner_axes(table.result)],
        left=len(pairs) - len(drawn),
        part=table.result.chosen_on,
        live=live,
    )
    pictures = [study_map(table, *pair) for pair in drawn]
    return Section("Maps", text=text, pictures=pictures, scriptless=True)


def _shares_section(result: StudyResult) -> Section:
    """How much each axis explains, of the chosen cells and of all cells."""
    chosen, every = (axis_shares(result, chosen=which) for which in (True, False))
    tables = [
        Table(_shown_shares(frame), caption)
        for frame, caption in (
            (chosen, "Of the test score of every point's chosen cells"),
            (every, "Of the test score of all trained cells"),
        )
        if len(frame)
    ]
    told = [_share_words(chosen, result)] if len(chosen) else []
    averaged = len(result.records["backend"].unique()) > 1 and "backends" not in result.axes
    how = {"zipped": result.facts["zipped"], "averaged": averaged}
    text = [*told, *paragraphs(_SENTENCES, "shares", **how)]
    return Section("What matters", text=text, tables=tables)


def _shown_shares(frame: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame({"axis": frame["axis"]})
    shown["share of variance"] = [_percent(v) for v in frame["share"]]
    shown["95 % interval"] = [
        NOTHING if np.isnan(low) else _ends(low, high)
        for low, high in zip(frame["low"], frame["high"], strict=True)
    ]
    return shown


def _percent(share: float) -> str:
    return NOTHING if np.isnan(share) else f"{100 * share:.1f} %"


def _ends(low: float, high: float) -> str:
    return f"{_percent(low).removesuffix(' %')} to {_percent(high)}"


def _share_words(shares: pd.DataFrame, result: StudyResult) -> str:
    """Which axes matter most, in a sentence."""
    axes = shares[shares["axis"] != REST]
    rest = shares.loc[shares["axis"] == REST, "share"]
    told = [
        f"{axis} {_percent(share)}" + ("" if np.isnan(low) else f" ({_ends(low, high)})")
        for axis, share, low, high in zip(*(axes[c] for c in axes.columns), strict=True)
    ]
    return render(
        _SENTENCES,
        "share",
        metric=result.metric,
        varies=not axes["share"].isna().all(),
        told=told,
        rest=_percent(float(rest.iloc[0])) if len(rest) else NOTHING,
        sure=not axes["low"].isna().all(),
    )


def _ranks_section(table: StudyTable) -> Section | None:
    """The values of each axis ranked over the data sets."""
    made = axis_rankings(table)
    if not made:
        return None
    result = table.result
    return Section(
        "Over data sets",
        text=paragraphs(
            _SENTENCES,
            "ranks",
            sets=len(result.axes["dataset"]),
            rope=made[0].rope,
            metric=result.metric,
            baycomp=made[0].chances is not None,
        ),
        points=[_rank_words(one, result) for one in made],
        tables=[t for one in made for t in _rank_tables(one, result)],
        pictures=[_rank_picture(made)],
    )


def _rank_words(one: AxisRanking, result: StudyResult) -> str:
    return render(
        _SENTENCES,
        "rank",
        axis=one.axis,
        ranks=[f"{v} {r:.2f}" for v, r in zip(one.values, one.ranking.ranks, strict=True)],
        critical=f"{one.ranking.critical:.2f}",
        p=number_words.probability(one.ranking.p),
        groups=[", ".join(group) for group in one.groups],
        sets=len(one.scores),
        left_out=one.left_out,
    )


def _rank_tables(one: AxisRanking, result: StudyResult) -> list[Table]:
    """Scores with their mean rank, and how likely neighbours differ."""
    scores = pd.DataFrame({one.axis: one.values})
    scores["mean rank"] = [f"{rank:.2f}" for rank in one.ranking.ranks]
    for name, row in one.scores.iterrows():
        scores[str(name)] = [number_words.shown_score(row[v], result.metric) for v in one.values]
    made = [Table(scores, f"Test score of each {one.axis} by data set, best mean rank first")]
    if one.chances is not None:
        shown = pd.DataFrame({"neighbours": one.chances["better"] + " and " + one.chances["worse"]})
        for title, column in (
            ("first better", "left"),
            ("practically the same", "same"),
            ("second better", "right"),
        ):
            shown[title] = [_percent(v) for v in one.chances[column]]
        made.append(Table(shown, f"How likely, by the Bayesian signed-rank test: {one.axis}"))
    return made


def _rank_picture(made: Sequence[AxisRanking]) -> Picture:
    return Picture(
        "ranks",
        partial(_draw_ranks, made),
        "Mean ranks over the data sets, 1 is best. A bar joins values that cannot be told apart: they "
        "lie within the critical difference (Nemenyi), drawn above.",
        "Mean ranks: "
        + "; ".join(
            f"{one.axis}: "
            + ", ".join(f"{v} {r:.2f}" for v, r in zip(one.values, one.ranking.ranks, strict=True))
            for one in made
        ),
    )


def _draw_ranks(made: Sequence[AxisRanking]) -> Figure:
    """A panel an axis: values by mean rank, one below the other, bars over those of a group."""
    most = max(len(one.values) for one in made)
    longest = max(len(v) for one in made for v in one.values)
    frame = Frame(width=4.2, height=0.5 + 0.27 * most, left=0.5 + 0.07 * min(longest, 24), top=0.5)
    figure, axes = panels(len(made), 2, frame)
    for axis, one in zip(axes, made, strict=True):
        ranks, count = one.ranking.ranks, len(one.values)
        places = np.arange(count)
        axis.plot(ranks, places, "o", color=INK, ms=5)
        for first, last in one.ranking.groups:
            axis.plot([ranks[first], ranks[last]], [first, last], color=CHOSEN, lw=4, alpha=0.5)
        axis.plot([1, 1 + one.ranking.critical], [-0.8, -0.8], color=FAINT, lw=2)
        axis.text(1, -0.95, f"critical difference {one.ranking.critical:.2f}", fontsize=8)
        axis.set_ylim(count - 0.5, -1.4)
        axis.set_xlim(0.8, max(count, 1 + one.ranking.critical) + 0.2)
        axis.set_yticks(places, [v[:24] for v in one.values])
        axis.set_xlabel("mean rank")
        axis.set_title(one.axis)
        frame.place(axis)
    return figure


def _points_section(result: StudyResult, home: str) -> Section:
    """Every point with its chosen cells, and those that could not be run with the reason."""
    lost = _not_trained(result)
    chosen = result.chosen()
    shown = _shown_cells(result, chosen)
    folders = result.points.set_index("point")["folder"]
    links = [Link("its page", point_page(folders[k], home)) for k in chosen["point"]]
    shown["report"] = pd.Series(links, dtype=object)  # else they would become plain text
    tables = [Table(shown.head(_MOST_POINTS_SHOWN), "Chosen cells of all points")]
    if len(lost):
        tables.insert(0, Table(lost.head(_MOST_POINTS_SHOWN), "What was not trained"))
    example = next((f for f in result.points["folder"] if f), "points/NAME")
    return Section(
        "Points",
        text=paragraphs(_SENTENCES, "points", left=max(0, len(shown) - _MOST_POINTS_SHOWN)),
        code=rerun_command(f"{result.address.rstrip('/')}/{example}"),
        tables=tables,
        summary=f"{number_words.count(len(result.points), 'point')}, their chosen cells, and how to run one",
    )


def _not_trained(result: StudyResult) -> pd.DataFrame:
    """Points that cannot be run, and backends that were not trained at a point, with the reason."""
    points, records = result.points, result.records
    columns = [*result.columns, "backend", "status", "reason"]
    refused = points[points["folder"] == ""].assign(backend="all")
    lost = records[~records["status"].isin(TRAINED)].drop_duplicates(["point", *columns[-3:]])
    both = pd.concat([refused, lost])
    both = both.sort_values("point", kind="stable").astype({"reason": str})
    return both[list(dict.fromkeys(columns))].reset_index(drop=True)


def _reproduction(result: StudyResult) -> Section:
    facts = result.facts
    about: dict[str, Any] = {
        "made by": " ".join(map(str, facts["command"])),
        "finished": facts["finished"],
        "units' own time": number_words.seconds(float(result.points["seconds"].sum())),
        "this command": number_words.seconds(float(facts["wall_seconds"])),
        "workers": facts["jobs"],
        "processor": facts["machine"]["cpu"],
        **{name: v for name, v in facts["versions"].items() if name in ("python", "numpy")},
    }
    frame = pd.DataFrame({"what": list(about), "value": [str(v) for v in about.values()]})
    command = rerun_command(result.address, "study.toml")
    summary = "command, machine and versions"
    return Section("Reproduction", code=command, tables=[Table(frame)], summary=summary)
