"""A comparison as a section of a report: words, tables and a map of the differences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.compare.comparison import APART, VERDICTS, Comparison
from harness.compare.words import SHOWN, counts, headline, method, notable, sentence
from harness.document import numbers
from harness.document.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.document.section import NOTHING, Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNS = {"different": "≠", "undecided": "?"}
DRAWN_APART = (*APART, "bimodal", "one diverged")


def section(comparison: Comparison) -> Section:
    """The comparison, ready for Markdown, HTML or a report on the runs."""
    pictures = []
    if not comparison.cells["difference"].isna().all():
        pictures.append(differences(comparison))
    return Section(
        "Agreement",
        text=[f"{headline(comparison)}.", method(comparison)],
        points=[
            *(f"{sentence(comparison, *pair)}." for pair in comparison.pairs),
            *comparison.notes,
        ],
        tables=[t for t in tables(comparison) if len(t.frame)],
        pictures=pictures,
        kind="verdict",
    )


def tables(comparison: Comparison) -> list[Table]:
    """Verdicts and agreement of every pair; its chosen cells; the cells that speak against or are open."""
    metric = comparison.metric
    found = counts(comparison)
    pair = found["left"] + " − " + found["right"]
    verdicts = [v for v in VERDICTS if found[v].any()]
    shown = found[verdicts].copy()
    shown.insert(0, "pair", pair)
    shown["largest difference"] = [numbers.span(v, metric) for v in found["largest"]]
    made = [Table(shown, "Cells by verdict")]
    if "flip_share" in found:
        alike = pd.DataFrame({"pair": pair})
        alike["labels that differ"] = [numbers.score(v, "accuracy") for v in found["flip_share"]]
        alike["between own repeats"] = [numbers.score(v, "accuracy") for v in found["own_flips"]]
        alike["kappa"] = [_kappa(v) for v in found["kappa"]]
        alike["of own repeats"] = [_kappa(v) for v in found["own_kappa"]]
        made.append(Table(alike, "Labels, in stable cells that learned"))
    made.append(
        Table(_chosen(comparison), "Each side's chosen cell (not corrected for many pairs)")
    )
    made.append(Table(_cells(notable(comparison), metric), "Cells that differ or are open"))
    decided = comparison.cochran[comparison.cochran["holm"] < comparison.alpha]
    made.append(Table(decided, "Cells where Cochran's Q sees a difference between backends (Holm)"))
    return made


def _kappa(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.4f}"


def _chosen(comparison: Comparison) -> pd.DataFrame:
    metric = comparison.metric
    return pd.DataFrame(
        [
            {
                "pair": f"{row['left']} − {row['right']}",
                "left": numbers.cell(row["eta_left"], row["lmbd_left"]),
                "right": numbers.cell(row["eta_right"], row["lmbd_right"]),
                "scores": f"{numbers.score(row['score_left'], metric)}, "
                f"{numbers.score(row['score_right'], metric)}",
                "difference": _interval(row, metric),
            }
            for row in comparison.chosen.to_dict("records")
        ]
    )


def _cells(cells: pd.DataFrame, metric: str) -> pd.DataFrame:
    rows = []
    for row in cells.head(SHOWN).to_dict("records"):
        needed = row["needed"] - row["n"]
        rows.append(
            {
                "pair": f"{row['left']} − {row['right']}",
                "cell": numbers.cell(row["eta"], row["lmbd"]),
                "verdict": row["verdict"],
                "difference": _interval(row, metric),
                "more repeats": max(1, needed) if row["needed"] > 0 else None,
            }
        )
    return pd.DataFrame(rows).astype(object)


def _interval(row: Mapping[Hashable, Any], metric: str) -> str:
    mean = numbers.difference(row["difference"], metric)
    if np.isnan(row["low"]):
        return mean
    low, high = (numbers.difference(row[side], metric) for side in ("low", "high"))
    return f"{mean} [{low}, {high}]"


def differences(comparison: Comparison) -> Picture:
    """Maps of the mean difference, a panel for every pair; signs mark what is not equivalent."""
    unit = "points" if comparison.metric == "accuracy" else comparison.metric
    return Picture(
        "differences",
        lambda: _drawn(comparison, unit),
        f"Mean difference in test {comparison.metric} ({unit}), left minus right; ≠ different by "
        "more than the margin, ? open; hatched cells are set apart.",
        "Heatmaps of differences over eta (down) and lmbd (across). "
        + "; ".join(sentence(comparison, *pair) for pair in comparison.pairs),
    )


def _drawn(comparison: Comparison, unit: str) -> Figure:
    """The figure; its colours reach to the largest difference, and at least to the margin."""
    factor = 100.0 if comparison.metric == "accuracy" else 1.0
    maps = [_map(comparison, left, right, factor) for left, right in comparison.pairs]
    drawn = np.concatenate([np.abs(one.values[one.status == "ok"]) for one in maps])
    largest = float(np.nanmax(drawn, initial=comparison.margin * factor))
    ends = {"ticks": [-largest, 0, largest], "format": "%.2g"}
    scale = Scale("vlag", -largest, largest, f"difference ({unit})", ends)
    return figure_of(maps, scale, columns=3 if len(maps) > 4 else 2)


def _map(comparison: Comparison, left: str, right: str, factor: float) -> Map:
    grid = comparison.of(left, right).set_index(["eta", "lmbd"]).sort_index()
    apart = grid["verdict"].isin(DRAWN_APART)
    status = grid["verdict"].where(apart, "ok").unstack("lmbd").to_numpy(object)
    values = grid["difference"].unstack("lmbd")
    texts = np.full(values.shape, "", dtype=object)
    if max(values.shape) <= ANNOTATED:
        signs = grid["verdict"].map(SIGNS).fillna("").unstack("lmbd").to_numpy()
        for place, value in np.ndenumerate(values.to_numpy()):
            digits = 1 if abs(value) >= 0.1 else 2  # what fits into a cell
            texts[place] = f"{signs[place]}{numbers.difference(value, comparison.metric, digits)}"
    return Map(
        f"{left} − {right}",
        values.index.to_numpy(),
        values.columns.to_numpy(),
        values.to_numpy() * factor,
        texts,
        status,
    )
