"""Repeats: the spread of the chosen cells and of every cell."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from harness.document import number_words
from harness.document.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.document.section import Picture, Section, Table, slug
from harness.document.words import paragraphs
from harness.report.chosen_cells import mean_interval, repeats_table
from harness.report.heatmaps_section import cell_texts, columns_for
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid
from harness.stats.repeats import FORMULA, SHARED_ROWS
from harness.training.units import varies_split


def repeats_section(material: Material) -> Section | None:
    """Spread over repeats: of the chosen cell, of every cell; None with one repeat."""
    spread = [side for side in material.sides if side.repeats > 1 and side.ok.any()]
    if not spread:
        return None
    chosen = [c for c in material.choices if c.side in spread]
    experiments = [side.result.experiment for side in spread]
    text = paragraphs(
        "report/sentences.jinja",
        "repeats",
        what=list(dict.fromkeys(experiment.what_varies for experiment in experiments)),
        formula=FORMULA,
        shared_rows=any(varies_split(experiment) for experiment in experiments),
        caveat=SHARED_ROWS,
    )
    tables = [
        Table(repeats_table(chosen), "Test score of the chosen cells over repeats", name="repeats")
    ]
    for side in spread:
        if max(side.ok.shape) <= ANNOTATED:
            caption = f"{side.label}: mean test score and its 95 % interval"
            tables.append(
                Table(
                    _interval_table(side),
                    caption,
                    folded=True,
                    name=f"intervals-{slug(side.label)}",
                )
            )
    return Section(
        "Repeats",
        text=text,
        tables=tables,
        pictures=[
            _sd_picture(material, m, spread) for m in dict.fromkeys(s.metric for s in spread)
        ],
    )


def _interval_table(side: BackendGrid) -> pd.DataFrame:
    """Mean and interval in every cell, eta down, lmbd across."""
    low, high = mean_interval(side, f"test_{side.metric}")
    factor, digits = number_words.factor(side.metric), 1 if side.metric == "accuracy" else 3
    mean = side.mean(f"test_{side.metric}")
    rows = []
    for i, eta in enumerate(side.eta):
        row = {"eta, lmbd": number_words.grid(eta)}
        for j, lmbd in enumerate(side.lmbd):
            shown = [f"{v[i, j] * factor:.{digits}f}" for v in (mean, low, high)]
            row[number_words.grid(lmbd)] = (
                f"{shown[0]} ({shown[1]} to {shown[2]})"
                if side.ok[i, j]
                else str(side.status[i, j])
            )
        rows.append(row)
    return pd.DataFrame(rows)


def _sd_picture(material: Material, metric: str, spread: list[BackendGrid]) -> Picture:
    own = [side for side in spread if side.metric == metric]
    factor, name = number_words.factor(metric), number_words.NAMES[metric]
    maps = []
    for side in own:
        sd, choice = side.sd(f"test_{metric}"), material.chosen(side)
        form = cell_texts(
            sd * factor,
            lambda v: "" if np.isnan(v) else f"{v:.{1 if metric == 'accuracy' else 2}f}",
        )
        place = (choice.row, choice.column) if choice else None
        maps.append(Map(side.label, side.eta, side.lmbd, sd * factor, form, side.status, place))
    highest = max(float(np.nanmax(m.values)) for m in maps)
    unit = " (points)" if metric == "accuracy" else ""
    top = _top(maps) or 1.0
    more = {"extend": "max"} if highest > top else {}
    scale = Scale("rocket_r", 0.0, top, f"sd of test {name}{unit}", more)
    return Picture(
        f"sd-{metric}",
        partial(figure_of, maps, scale, columns_for(material, len(own))),
        f"Standard deviation of the test {name} over repeats.",
        f"Heatmaps of the standard deviation of test {name} over repeats; "
        f"highest {number_words.span(highest / factor, metric)}.",
        wide=len(maps) > 1,
    )


def _top(maps: list[Map]) -> float:
    """The 98th percentile of all values, so that one wild cell does not drown the others."""
    return float(np.nanpercentile(np.concatenate([m.values.ravel() for m in maps]), 98))
