"""A comparison as a section of a report: words, tables and a map of the differences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.compare.comparison import AGAINST, AGREEING, APART, VERDICTS, Comparison
from harness.compare.pairs import told_apart
from harness.document import number_words
from harness.document.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.document.section import NOTHING, Picture, Section, Table
from harness.document.words import paragraphs, render
from harness.results.run_differences import RunDifference
from harness.stats.differences import is_exact
from harness.stats.repeats import FORMULA, SHARED_ROWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SENTENCES = "compare/sentences.jinja"
_LISTED = 50  # cells that the page names
_CELLS_FILE = "compare.csv"  # has them all
_ON_A_TERMINAL = ("pair", "backend", "cell", "verdict", "difference", "more repeats")
_SIGNS = {"different": "≠", "undecided": "?"}
_DRAWN_APART = (*APART, "bimodal", "one diverged")


def comparison_section(comparison: Comparison) -> Section:
    """The comparison, ready for Markdown, HTML or a report on the runs."""
    pictures = []
    if not comparison.cells["difference"].isna().all():
        pictures.append(_difference_map(comparison))
    return Section(
        "Agreement",
        text=[f"{comparison_headline(comparison)}."],
        points=[
            *(f"{pair_words(comparison, *pair)}." for pair in comparison.pairs),
            *difference_words(comparison),
        ],
        tables=[t for t in _tables(comparison) if len(t.frame)],
        pictures=pictures,
        kind="verdict",
        method=[method_words(comparison)],
    )


def comparison_summary(comparison: Comparison) -> Section:
    """The comparison for a terminal: pairs of which the same is known share a line."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for left, right in comparison.pairs:
        known = pair_words(comparison, left, right).removeprefix(f"{left} and {right}").strip()
        alike.setdefault(known, []).append((left, right))
    points = [
        f"{pairs[0][0]} and {pairs[0][1]} {known}."
        if len(pairs) == 1
        else f"{pair_names(pairs, ' and ')}: {known}."
        for known, pairs in alike.items()
    ]
    cells = _cells(comparison)
    shown = cells.frame[[c for c in cells.frame if c in _ON_A_TERMINAL]]
    tables = [replace(cells, frame=shown.dropna(axis="columns", how="all"))]
    if len(comparison.pairs) == 1:
        tables.append(Table(_chosen(comparison).drop(columns="pair"), "Each side's chosen cell"))
    return Section(
        "Agreement",
        text=[f"{comparison_headline(comparison)}."],
        points=[*points, *difference_words(comparison)],
        tables=[table for table in tables if len(table.frame)],
        kind="verdict",
    )


def pair_names(pairs: Sequence[tuple[str, str]], between: str = " − ") -> str:
    """Pairs in few words: those with the same right side share it, ``numpy, sklearn − keras``."""
    lefts: dict[str, list[str]] = {}
    for left, right in pairs:
        lefts.setdefault(right, []).append(left)
    rights: dict[str, list[str]] = {}
    for right, own in lefts.items():
        rights.setdefault(", ".join(own), []).append(right)
    return "; ".join(f"{own}{between}{', '.join(right)}" for own, right in rights.items())


def comparison_headline(comparison: Comparison) -> str:
    """The answer in one sentence, over all pairs."""
    verdicts = comparison.cells["verdict"]
    return render(
        _SENTENCES,
        "headline",
        runs=comparison.runs,
        pairs=len(comparison.pairs),
        outcome=comparison.outcome,
        stable=int((~verdicts.isin(APART)).sum()),
        against=int(verdicts.isin(AGAINST).sum()),
        agreeing=int(verdicts.isin(AGREEING).sum()),
        margin=comparison.margin,
        metric=comparison.metric,
    )


def pair_words(comparison: Comparison, left: str, right: str) -> str:
    """What is known of one pair."""
    cells = comparison.of(left, right)
    number = cells["verdict"].value_counts()
    stable = cells[~cells["verdict"].isin(APART)]
    different = cells[cells["verdict"] == "different"]
    largest = different.sort_values("difference", key=np.abs).tail(1)
    undecided = stable[stable["verdict"] == "undecided"]
    decidable = undecided[undecided["needed"] > 0]
    missing = (decidable["needed"] - decidable["n"]).clip(lower=1)
    same = stable[stable["identical"]]
    clauses = paragraphs(
        _SENTENCES,
        "pair",
        left=left,
        right=right,
        metric=comparison.metric,
        margin=comparison.margin,
        repeats=comparison.repeats,
        chaos_known=comparison.chaos_known,
        stable=len(stable),
        identical=int(number.get("identical", 0)),
        agreeing=int(stable["verdict"].isin(AGREEING).sum()),
        labelled="flips" in cells,
        flips=int(same["flips"].sum()) if "flips" in cells else 0,
        different=len(different),
        worst=", ".join(number_words.cell(*c) for c in largest[["eta", "lmbd"]].to_numpy()),
        largest=float(largest["difference"].abs().max()),
        diverged_once=int(number.get("one diverged", 0)),
        undecided=len(undecided),
        decidable=len(decidable),
        least=missing.min() if len(missing) else 0,
        most=missing.max() if len(missing) else 0,
        bimodal=int(number.get("bimodal", 0)),
        chaotic=int(number.get("chaotic", 0)),
        diverged=int(number.get("diverged", 0)),
        not_run=int(number.get("not run", 0)),
    )
    return "; ".join(clauses)


def method_words(comparison: Comparison) -> str:
    """How the verdicts came about, for whoever wants to check them."""
    return render(
        _SENTENCES,
        "method",
        metric=comparison.metric,
        repeats=comparison.repeats,
        varies=comparison.varies,
        smallest=min(comparison.samples),
        biggest=max(comparison.samples),
        margin=comparison.margin,
        alpha=comparison.alpha,
        formula=FORMULA,
        exact=is_exact(comparison.repeats),
        shared_rows=comparison.shared_rows,
        caveat=SHARED_ROWS,
        chaos_known=comparison.chaos_known,
    )


def difference_words(comparison: Comparison) -> list[str]:
    """What else two runs do not have in common, a line each."""
    return [_difference(d, *comparison.names) for d in comparison.differences]


def _difference(difference: RunDifference, first: str, second: str = "") -> str:
    one, two = (
        ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value or "none")
        for value in (difference.first, difference.second)
    )
    return f"{difference.name}: {one} in {first}, {two} in {second}"


def verdict_counts(comparison: Comparison) -> pd.DataFrame:
    """A row for every pair: how many cells have which verdict, largest difference, agreement.

    flip_share and kappa are means over the stable cells in which both sides learned; own_flips and
    own_kappa the same between the repeats of either side itself.
    """
    rows = []
    for left, right in comparison.pairs:
        cells = comparison.of(left, right)
        stable = cells[~cells["verdict"].isin(APART)]
        row: dict[str, Any] = {"left": left, "right": right}
        row |= {v: int((cells["verdict"] == v).sum()) for v in VERDICTS}
        row["largest"] = stable["difference"].abs().max()
        if "flips" in cells:
            learned = stable[stable["learned"]]  # elsewhere labels are a matter of luck
            row["flip_share"] = learned["flip_share"].mean()
            row["own_flips"] = learned[["own_flips_left", "own_flips_right"]].mean(axis=None)
            row["kappa"] = learned["kappa"].mean()
            row["own_kappa"] = learned[["own_kappa_left", "own_kappa_right"]].mean(axis=None)
        rows.append(row)
    return pd.DataFrame(rows)


def notable_cells(comparison: Comparison) -> pd.DataFrame:
    """The cells that speak against equivalence or leave it open, the largest difference first."""
    cells = comparison.cells
    open_ = cells[~cells["verdict"].isin([*AGREEING, *APART])]
    order = open_["difference"].abs().sort_values(ascending=False, na_position="first").index
    return open_.loc[order].reset_index(drop=True)


def _tables(comparison: Comparison) -> list[Table]:
    """Verdicts and agreement of every pair; its chosen cells; the cells that speak against or are open."""
    metric = comparison.metric
    counts = verdict_counts(comparison)
    pair = counts["left"] + " − " + counts["right"]
    shown = counts[[v for v in VERDICTS if counts[v].any()]].copy()
    shown.insert(0, "pair", pair)
    shown["largest difference"] = [number_words.span(v, metric) for v in counts["largest"]]
    made = [Table(shown, "Cells by verdict")]
    if "flip_share" in counts and counts["flip_share"].notna().any():
        alike = pd.DataFrame({"pair": pair})
        alike["labels that differ"] = [
            number_words.shown_score(v, "accuracy") for v in counts["flip_share"]
        ]
        alike["between own repeats"] = [
            number_words.shown_score(v, "accuracy") for v in counts["own_flips"]
        ]
        alike["kappa"] = [_to_places(v) for v in counts["kappa"]]
        alike["of own repeats"] = [_to_places(v) for v in counts["own_kappa"]]
        made.append(Table(alike, "Labels, in stable cells that learned"))
    made.append(
        Table(_chosen(comparison), "Each side's chosen cell (not corrected for many pairs)")
    )
    cells = _cells(comparison)
    more = len(cells.frame) - _LISTED
    note = f" ({more} more in {cells.file})" if more > 0 else ""
    made.append(replace(cells.head(_LISTED), caption=cells.caption + note))
    decided = comparison.cochran[comparison.cochran["holm"] < comparison.alpha]
    made.append(Table(decided, "Cells where Cochran's Q sees a difference between backends (Holm)"))
    return made


def _to_places(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.4f}"


def _chosen(comparison: Comparison) -> pd.DataFrame:
    metric = comparison.metric
    rows = []
    for row in comparison.chosen.to_dict("records"):
        shown = {
            "pair": f"{row['left']} − {row['right']}",
            "left": number_words.cell(row["eta_left"], row["lmbd_left"]),
            "right": number_words.cell(row["eta_right"], row["lmbd_right"]),
            "scores": f"{number_words.shown_score(row['score_left'], metric)}, "
            f"{number_words.shown_score(row['score_right'], metric)}",
            "difference": _interval(row, metric),
        }
        for other in comparison.others:
            own: dict[Hashable, Any] = {
                end: row[f"{other}_{end}"] for end in ("difference", "low", "high")
            }
            both = (number_words.shown_score(row[f"{other}_{s}"], other) for s in ("left", "right"))
            shown[number_words.NAMES[other]] = f"{', '.join(both)}: {_interval(own, other)}"
        rows.append(shown)
    return pd.DataFrame(rows)


def _cells(comparison: Comparison) -> Table:
    """The notable cells; pairs that are alike in one share a row."""
    p_name = "p (McNemar)" if comparison.repeats == 1 else "p (permutation)"
    p_column = "p_mcnemar" if comparison.repeats == 1 else "p_permutation"
    caption = "Cells that differ or are open"
    of_one = bool((comparison.cells["backend"] != "").all())  # two runs, backend by backend
    if of_one:
        caption += f", {' − '.join(told_apart(*comparison.names))}"
    alike: dict[tuple[Any, ...], list[dict[Hashable, Any]]] = {}
    for row in notable_cells(comparison).to_dict("records"):
        needed = row["needed"] - row["n"]
        shown = {
            "cell": number_words.cell(row["eta"], row["lmbd"]),
            "verdict": row["verdict"],
            "difference": _interval(row, comparison.metric),
            p_name: row.get(p_column, np.nan),
            "q": row["q"],
            "more repeats": max(1, needed) if row["needed"] > 0 else None,
        }
        alike.setdefault(tuple(map(str, shown.values())), []).append(row | shown)
    rows = []
    for same in alike.values():
        pairs = [(row["left"], row["right"]) for row in same]
        who = ", ".join(row["backend"] for row in same) if of_one else pair_names(pairs)
        name = {"backend" if of_one else "pair": who}
        rows.append(name | {key: same[0][key] for key in shown})
    return Table(pd.DataFrame(rows).astype(object), caption, file=_CELLS_FILE)


def _interval(row: Mapping[Hashable, Any], metric: str) -> str:
    mean = number_words.difference(row["difference"], metric)
    if np.isnan(row["low"]):
        return mean
    low, high = (number_words.difference(row[side], metric) for side in ("low", "high"))
    return f"{mean} [{low}, {high}]"


def _difference_map(comparison: Comparison) -> Picture:
    """Maps of the mean difference, a panel for every pair; signs mark what is not equivalent."""
    return Picture(
        "differences",
        lambda: _draw_differences(comparison),
        render(_SENTENCES, "map", metric=comparison.metric, alpha=comparison.alpha),
        "Heatmaps of differences over eta (down) and lmbd (across). "
        + "; ".join(pair_words(comparison, *pair) for pair in comparison.pairs),
    )


def _draw_differences(comparison: Comparison) -> Figure:
    """The figure; its colours reach to the largest difference, and at least to the margin."""
    factor = number_words.factor(comparison.metric)
    maps = [_map(comparison, left, right) for left, right in comparison.pairs]
    drawn = np.concatenate([np.abs(one.values[one.status == "ok"]) for one in maps])
    largest = float(np.nanmax(drawn, initial=comparison.margin * factor))
    ends = {"ticks": [-largest, 0, largest]}
    unit = "points" if comparison.metric == "accuracy" else number_words.NAMES[comparison.metric]
    scale = Scale("vlag", -largest, largest, f"difference ({unit})", ends)
    return figure_of(maps, scale, columns=3 if len(maps) > 4 else 2)


def _map(comparison: Comparison, left: str, right: str) -> Map:
    cells = comparison.of(left, right)
    shape = cells["eta"].nunique(), cells["lmbd"].nunique()
    apart = cells["verdict"].isin(_DRAWN_APART)
    values = cells["difference"].to_numpy()
    texts = np.full(len(cells), "", dtype=object)
    if max(shape) <= ANNOTATED:
        signs = cells["verdict"].map(_SIGNS).fillna("")
        for place, (sign, value) in enumerate(zip(signs, values, strict=True)):
            digits = 2 if abs(value) < 0.01 else 1  # what fits into a cell
            texts[place] = f"{sign}{number_words.difference(value, comparison.metric, digits)}"
    return Map(
        f"{left} − {right}",
        np.unique(cells["eta"]),
        np.unique(cells["lmbd"]),
        values.reshape(shape) * number_words.factor(comparison.metric),
        texts.reshape(shape),
        cells["verdict"].where(apart, "ok").to_numpy(object).reshape(shape),
        dotted=(cells["q"] < comparison.alpha).to_numpy().reshape(shape),
        dot=f"q < {comparison.alpha:g}",
    )
