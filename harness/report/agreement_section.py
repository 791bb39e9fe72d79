"""The section on agreement between backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.heatmaps import Map, Scale, figure_of
from harness.document.section import Picture, Section, Table
from harness.document.words import paragraphs
from harness.report.agreement import CellAgreement
from harness.report.chosen_cells import Choice
from harness.report.heatmaps_section import cell_texts, columns_for
from harness.report.runs import Material
from harness.results.backend_grid import same_samples
from harness.stats.agreement import label_agreement, value_agreement

_LISTED = 5  # cells that the table of the least alike shows for each pair


def agreement_section(material: Material) -> Section | None:
    """Agreement between backends, in their chosen cells and cell by cell; None with nothing to compare."""
    compared = [c for c in material.compared if c.both.any()]
    if not compared:
        return None
    tables = [
        Table(
            _chosen_cells(material.choices),
            "Each backend in its own chosen cell, same test samples",
            name="agreement-chosen",
        ),
        Table(
            _whole_grid(compared),
            "The same cell in both, over the whole grid",
            name="agreement",
        ),
    ]
    worst = _least_alike(compared)
    if len(worst):
        tables.append(
            Table(worst, f"The cells least alike, up to {_LISTED} a pair", name="least-alike")
        )
    pictures = []
    for metric in dict.fromkeys(c.side.metric for c in compared):
        own = [c for c in compared if c.side.metric == metric]
        if any(np.isfinite(c.difference).any() for c in own):
            pictures.append(_difference_picture(material, metric, own))
        pictures.append(_alike_picture(material, metric, own))
    text = paragraphs(
        "report/sentences.jinja",
        "agreement",
        labels="accuracy" in material.metrics,
        values="r2" in material.metrics,
        repeated=any(side.repeats > 1 for side in material.sides),
        looked=any(result.disputes is not None for result in material.results),
        chaotic=any((c.kinds == "chaotic").any() for c in compared),
    )
    return Section("Agreement", text=text, tables=tables, pictures=pictures)


def _chosen_cells(choices: Sequence[Choice]) -> pd.DataFrame:
    """Every pair of backends, each in its own chosen cell."""
    rows = []
    for one, other in combinations(choices, 2):
        if not same_samples(one.side, other.side):
            continue
        metric = one.side.metric
        repeats = min(one.side.repeats, other.side.repeats)
        row: dict[str, Any] = {
            "pair": f"{one.side.label} and {other.side.label}",
            "same cell": (one.eta, one.lmbd) == (other.eta, other.lmbd),
            "test difference": number_words.points(one.test - other.test, metric),
        }
        if metric == "accuracy":
            cell = label_agreement(*(c.labels[None, :repeats] for c in (one, other))).iloc[0]
            row["labelled alike"] = number_words.shown_score(cell["alike"], metric)
            row["labels that differ"] = f"{cell['flips']:.0f} of {cell['labels']:.0f}"
            row["Cohen's kappa"] = _or_undefined(cell["kappa"])
        else:
            cell = value_agreement(*(c.predicted[None, :repeats] for c in (one, other))).iloc[0]
            row["correlation of predictions"] = _or_undefined(cell["alike"], 6)
            row["largest difference of predictions"] = float(cell["apart"])
        rows.append(row)
    return pd.DataFrame(rows)


def _whole_grid(compared: Sequence[CellAgreement]) -> pd.DataFrame:
    """A line for every backend and its reference: how alike they are over all cells that both trained."""
    rows = []
    for c in compared:
        metric = c.side.metric
        row: dict[str, Any] = {
            "backend": c.side.label,
            "against": c.reference.label,
            "cells both trained": f"{int(c.both.sum())} of {c.status.size}",
        }
        if c.both.any():
            if np.isfinite(c.difference).any():  # not where R² is not defined
                gap = np.nanmax(np.abs(c.difference))
                row["largest test difference"] = number_words.span(float(gap), metric)
                row["mean test difference"] = number_words.points(
                    float(np.nanmean(c.difference)), metric
                )
            if metric == "accuracy":
                row["cells labelled identically"] = int(c.same.sum())
                row["alike, median"] = number_words.shown_score(
                    float(np.nanmedian(c.alike)), metric
                )
                row["alike, lowest"] = number_words.shown_score(float(np.nanmin(c.alike)), metric)
                row["kappa, lowest"] = _or_undefined(_least(c.kappa))
            else:
                row["correlation, median"] = _or_undefined(float(np.nanmedian(c.alike)), 6)
                row["correlation, lowest"] = _or_undefined(_least(c.alike), 6)
        rows.append(row)
    return pd.DataFrame(rows)


def _or_undefined(value: float, digits: int = 4) -> str:
    return "undefined" if np.isnan(value) else f"{value:.{digits}f}"


def _least(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else float("nan")


def _least_alike(compared: Sequence[CellAgreement]) -> pd.DataFrame:
    """The cells in which backends and references differ most, up to five a pair.

    ``training`` says what kind it is there, where that was looked at: chaotic, sensitive or stable.
    """
    rows = []
    for c in compared:
        metric = c.side.metric
        kinds = c.kinds
        gap = np.where(np.isnan(c.alike), np.inf, c.alike)
        for at in zip(
            *np.unravel_index(np.argsort(gap, axis=None)[:_LISTED], gap.shape), strict=True
        ):
            if not c.both[at] or c.same[at]:
                continue
            row = {
                "backend": c.side.label,
                "against": c.reference.label,
                "eta": number_words.grid(c.side.eta[at[0]]),
                "lmbd": number_words.grid(c.side.lmbd[at[1]]),
                "test difference": number_words.points(float(c.difference[at]), metric),
            }
            if metric == "accuracy":
                row["labelled alike"] = number_words.shown_score(float(c.alike[at]), metric)
                row["Cohen's kappa"] = _or_undefined(c.kappa[at])
            else:
                row["correlation of predictions"] = _or_undefined(c.alike[at], 6)
            if kinds.any():
                row["training"] = kinds[at] or "not looked at"
            rows.append(row)
    return pd.DataFrame(rows)


def _difference_picture(
    material: Material, metric: str, compared: Sequence[CellAgreement]
) -> Picture:
    factor, name = number_words.factor(metric), number_words.NAMES[metric]
    digits = 1 if metric == "accuracy" else 2
    maps = [
        Map(
            f"{c.side.label} − {c.reference.label}",
            c.side.eta,
            c.side.lmbd,
            c.difference * factor,
            _marked(
                c, cell_texts(c.difference, lambda v: number_words.difference(v, metric, digits))
            ),
            c.status,
        )
        for c in compared
    ]
    largest = max(float(np.nanmax(np.abs(c.difference))) for c in compared) * factor
    reach = max(1.0 if metric == "accuracy" else 0.01, min(largest, 1.5 * _spread(maps)))
    unit = " (points)" if metric == "accuracy" else ""
    extend = {"extend": "both"} if largest > reach else {}
    scale = Scale("vlag", -reach, reach, f"difference in test {name}{unit}", extend)
    return Picture(
        f"difference-{metric}",
        partial(figure_of, maps, scale, columns_for(material, len(maps))),
        f"Difference in test {name} against the reference: red is higher, blue lower.",
        f"Heatmaps of the difference in test {name}: "
        + "; ".join(
            f"{m.title}: largest {number_words.span(np.nanmax(np.abs(c.difference)), metric)}"
            for m, c in zip(maps, compared, strict=True)
        )
        + ".",
        wide=len(maps) > 1,
        on_page=False,
    )


def _marked(c: CellAgreement, shown: NDArray[np.object_]) -> NDArray[np.object_]:
    """The numbers of a map, with a sign in the cells whose training is chaotic."""
    chaotic = (c.kinds == "chaotic") & (shown != "")
    return np.where(chaotic, shown + "~", shown)


def _spread(maps: list[Map]) -> float:
    """The 98th percentile of the differences' sizes."""
    return float(np.nanpercentile(np.abs(np.concatenate([m.values.ravel() for m in maps])), 98))


def _alike_picture(material: Material, metric: str, compared: Sequence[CellAgreement]) -> Picture:
    share = metric == "accuracy"
    factor = 100.0 if share else 1.0
    maps = [
        Map(
            f"{c.side.label} and {c.reference.label}",
            c.side.eta,
            c.side.lmbd,
            c.alike * factor,
            _marked(c, cell_texts(c.alike, _alike_text(share))),
            c.status,
        )
        for c in compared
    ]
    lowest = min(float(np.nanmin(m.values, initial=factor)) for m in maps)
    what = "test samples labelled alike (%)" if share else "correlation of predictions"
    scale = Scale("cividis", min(lowest, 0.9 * factor), factor, what)
    return Picture(
        f"alike-{metric}",
        partial(figure_of, maps, scale, columns_for(material, len(maps))),
        "Share of test samples that both label the same, right or wrong."
        if share
        else "Correlation of what both predict for the test samples.",
        f"Heatmaps of {what}; lowest {lowest:.4g}.",
        wide=len(maps) > 1,
        on_page=False,
    )


def _alike_text(share: bool) -> Callable[[float], str]:
    def shown(value: float) -> str:
        if np.isnan(value):
            return ""
        if value == 1:
            return "100" if share else "1"
        return f"{min(100 * value, 99.9):.1f}" if share else f"{value:.2f}"

    return shown
