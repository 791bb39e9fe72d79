"""The section on agreement between backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.document import numbers
from harness.document.heatmaps import Map, Scale, figure_of
from harness.document.section import Picture, Section, Table
from harness.report import agreement
from harness.report.agreement import CellAgreement
from harness.report.heatmaps_section import columns_for, texts
from harness.report.runs import Material
from harness.roundoff.disputed_cells import kinds


def agreed(material: Material) -> Section | None:
    """Agreement between sides, in their chosen cells and cell by cell; None with nothing to compare."""
    compared = [c for c in material.compared if c.both.any()]
    if not compared:
        return None
    tables = [
        Table(
            agreement.chosen_agreement(material.choices),
            "Each backend in its own chosen cell, same test samples",
        ),
        Table(agreement.summary(compared), "The same cell in both, over the whole grid"),
    ]
    worst = agreement.least_alike(compared)
    if len(worst):
        tables.append(Table(worst, f"The cells least alike, up to {agreement.LISTED} a pair"))
    text = [
        "Differences are the first minus the second named, in percentage points of accuracy. Labels are "
        "compared sample by sample on the test set, over all repeats together. Where eta is large, "
        "training can be chaotic: two right implementations part there through round-off alone. Cells "
        "that two backends do not label alike are trained again by the NumPy backend, as planned and "
        "with its sums in other orders: that tells whether it is so. ~ marks such cells in the maps.",
    ]
    pictures = []
    for metric in dict.fromkeys(c.side.metric for c in compared):
        own = [c for c in compared if c.side.metric == metric]
        pictures += [
            _difference_picture(material, metric, own),
            _alike_picture(material, metric, own),
        ]
    return Section("Agreement", text=text, tables=tables, pictures=pictures)


def _difference_picture(
    material: Material, metric: str, compared: Sequence[CellAgreement]
) -> Picture:
    factor, name = numbers.factor(metric), numbers.NAMES[metric]
    digits = 1 if metric == "accuracy" else 2
    maps = [
        Map(
            f"{c.side.label} − {c.reference.label}",
            c.eta,
            c.lmbd,
            c.difference * factor,
            _marked(c, texts(c.difference, lambda v: numbers.difference(v, metric, digits))),
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
        + "; ".join(f"{m.title}: largest {np.nanmax(np.abs(m.values)):.2f}{unit}" for m in maps)
        + ".",
        wide=len(maps) > 1,
    )


def _marked(c: CellAgreement, shown: NDArray[np.object_]) -> NDArray[np.object_]:
    """The numbers of a map, with a sign in the cells whose training is chaotic."""
    known = kinds(c.side.result) if c.side.result is c.reference.result else {}
    for i, eta in enumerate(c.eta.tolist()):
        for j, lmbd in enumerate(c.lmbd.tolist()):
            if shown[i, j] and known.get((eta, lmbd)) == "chaotic":
                shown[i, j] += "~"
    return shown


def _spread(maps: list[Map]) -> float:
    """The 98th percentile of the differences' sizes."""
    return float(np.nanpercentile(np.abs(np.concatenate([m.values.ravel() for m in maps])), 98))


def _alike_picture(material: Material, metric: str, compared: Sequence[CellAgreement]) -> Picture:
    share = metric == "accuracy"
    factor = 100.0 if share else 1.0
    maps = [
        Map(
            f"{c.side.label} and {c.reference.label}",
            c.eta,
            c.lmbd,
            c.alike * factor,
            _marked(c, texts(c.alike, _alike_text(share))),
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
    )


def _alike_text(share: bool) -> Callable[[float], str]:
    def shown(value: float) -> str:
        if np.isnan(value):
            return ""
        if value == 1:
            return "100" if share else "1"
        return f"{min(100 * value, 99.9):.1f}" if share else f"{value:.2f}"

    return shown
