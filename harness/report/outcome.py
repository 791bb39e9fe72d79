"""The sections that show results: heatmaps, repeats, agreement, chosen cells from near."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report import agreement, numbers, plots
from harness.report.heatmaps import ANNOTATED, Map, Scale, figure_of
from harness.report.material import Material
from harness.report.section import Picture, Section, Table
from harness.report.selection import Choice, interval, repeats_table, varies
from harness.report.side import Side
from harness.training import PARTS

STEP = 0.05  # the colour scale's ends are multiples of it


def score_scale(material: Material, metric: str) -> Scale:
    """One scale for a score in all parts of all sides; a score below 0 (R²) has the lowest colour."""
    found = [
        side.mean(f"{part}_{metric}")[side.ok]
        for side in material.sides
        if side.metric == metric
        for part in PARTS
    ]
    values = np.clip(np.concatenate([*found, np.empty(0)]), 0, 1)
    low = np.floor(values.min(initial=1.0) / STEP) * STEP
    high = np.ceil(values.max(initial=0.0) / STEP) * STEP
    if high <= low:
        low, high = 0.0, 1.0
    unit = " (%)" if metric == "accuracy" else ""
    factor = _factor(metric)
    below = any((f < 0).any() for f in found)
    return Scale(
        "viridis",
        low * factor,
        high * factor,
        numbers.NAMES[metric] + unit,
        {"extend": "min"} if below else {},
    )


def _factor(metric: str) -> float:
    return 100.0 if metric == "accuracy" else 1.0


def _texts(values: NDArray[np.float64], form: Callable[[float], str]) -> NDArray[np.object_]:
    """The numbers of a small grid as text; large grids show none, so none are made."""
    if max(values.shape) > ANNOTATED:
        return np.full(values.shape, "", object)
    return np.vectorize(form, otypes=[object])(values)


def _map(side: Side, column: str, title: str, choice: Choice | None) -> Map:
    values = side.mean(column)
    metric = side.metric
    return Map(
        title,
        side.eta,
        side.lmbd,
        values * _factor(metric),
        _texts(values, lambda v: numbers.score(v, metric, 1).removesuffix(" %")),
        side.status,
        (choice.row, choice.column) if choice else None,
    )


def _described(side: Side, column: str, choice: Choice | None) -> str:
    """A heatmap in words."""
    values, metric = side.mean(column), side.metric
    statuses = pd.Series(side.status.ravel()).value_counts().drop("ok", errors="ignore")
    rest = "".join(f"; {number} {status}" for status, number in statuses.items())
    if not side.ok.any():
        return f"no cell trained{rest}"
    top = np.unravel_index(np.nanargmax(values), values.shape)
    words = (
        f"{numbers.score(float(np.nanmin(values)), metric)} to "
        f"{numbers.score(float(np.nanmax(values)), metric)}, highest at "
        f"{numbers.cell(float(side.eta[top[0]]), float(side.lmbd[top[1]]))}{rest}"
    )
    if choice:
        words += f"; chosen: {numbers.cell(choice.eta, choice.lmbd)}"
    return words


def _columns(material: Material, count: int) -> int:
    """Panels in a row: two by two for four, a row for each of several runs, else up to three."""
    if material.several:
        return max(1, min(4, len(material.results[0].backends)))
    return 2 if count in (2, 4) else 3


def side_by_side(material: Material) -> Section:
    """The test heatmaps of all sides in one figure."""
    pictures = []
    for metric in material.metrics:
        own = [side for side in material.sides if side.metric == metric]
        name = numbers.NAMES[metric]
        scale = score_scale(material, metric)
        maps = [_map(s, f"test_{metric}", s.label, material.chosen(s)) for s in own]
        words = "; ".join(
            f"{s.label}: {_described(s, f'test_{metric}', material.chosen(s))}" for s in own
        )
        pictures.append(
            Picture(
                f"test-{metric}",
                partial(figure_of, maps, scale, _columns(material, len(own))),
                f"Test {name} of all backends, mean over repeats; the outlined cell is the chosen one.",
                f"Heatmaps of test {name} over eta (down) and lmbd (across). {words}.",
            )
        )
    return Section("Side by side", pictures=pictures)


def heatmaps(material: Material) -> Section:
    """A heatmap for every part and side, all on one scale."""
    scales = {metric: score_scale(material, metric) for metric in material.metrics}
    pictures = []
    for part in PARTS:
        for side in material.sides:
            choice, name = material.chosen(side), numbers.NAMES[side.metric]
            column = f"{part}_{side.metric}"
            title = f"{side.label}: {part} {name}"
            drawn = _map(side, column, title, choice)
            pictures.append(
                Picture(
                    f"{side.slug}-{part}-{side.metric}",
                    partial(figure_of, [drawn], scales[side.metric], 1),
                    f"{part.capitalize()} {name} of {side.label}.",
                    f"Heatmap of {title}, eta down, lmbd across: {_described(side, column, choice)}.",
                    wide=False,
                )
            )
    return Section(
        "Heatmaps",
        text=[
            "Train, validation and test score of every backend, on one common colour scale. A cell "
            "without a number is hatched and says why; no other number stands in for it.",
        ],
        pictures=pictures,
    )


def repeats(material: Material) -> Section | None:
    """Spread over repeats: of the chosen cell, of every cell; None with one repeat."""
    spread = [side for side in material.sides if side.repeats > 1 and side.ok.any()]
    if not spread:
        return None
    chosen = [c for c in material.choices if c.side in spread]
    what = "; ".join(dict.fromkeys(varies(side.result) for side in spread))
    tables = [Table(repeats_table(chosen), "Test score of the chosen cells over repeats")]
    for side in spread:
        if max(side.ok.shape) <= ANNOTATED:
            caption = f"{side.label}: mean test score and half width of its 95 % interval"
            tables.append(Table(_interval_table(side), caption, folded=True))
    return Section(
        "Repeats",
        text=[
            f"What varies between repeats: {what}.",
            "`sd` is the sample standard deviation s over the n repeats (n - 1 in the denominator). The "
            "interval is Student's t for the mean, mean ± t(0.975, n - 1) s / sqrt(n). It says how the "
            "mean over repeats would move, not how another test set would score.",
        ],
        tables=tables,
        pictures=[
            _sd_picture(material, m, spread) for m in dict.fromkeys(s.metric for s in spread)
        ],
    )


def _interval_table(side: Side) -> pd.DataFrame:
    """Mean and half width in every cell, eta down, lmbd across."""
    low, high = interval(side.values(f"test_{side.metric}"))
    factor, digits = _factor(side.metric), 1 if side.metric == "accuracy" else 3
    rows = []
    for i, eta in enumerate(side.eta):
        row = {"eta, lmbd": numbers.grid(eta)}
        for j, lmbd in enumerate(side.lmbd):
            middle, half = (high[i, j] + low[i, j]) / 2, (high[i, j] - low[i, j]) / 2
            row[numbers.grid(lmbd)] = (
                f"{middle * factor:.{digits}f} ± {half * factor:.{digits}f}"
                if side.ok[i, j]
                else str(side.status[i, j])
            )
        rows.append(row)
    return pd.DataFrame(rows)


def _sd_picture(material: Material, metric: str, spread: list[Side]) -> Picture:
    own = [side for side in spread if side.metric == metric]
    factor, name = _factor(metric), numbers.NAMES[metric]
    maps = []
    for side in own:
        sd, choice = side.sd(f"test_{metric}"), material.chosen(side)
        form = _texts(
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
        partial(figure_of, maps, scale, _columns(material, len(own))),
        f"Standard deviation of the test {name} over repeats.",
        f"Heatmaps of the standard deviation of test {name} over repeats; highest {highest:.2f}{unit}.",
        wide=len(maps) > 1,
    )


def _top(maps: list[Map]) -> float:
    """The 98th percentile of all values, so that one wild cell does not drown the others."""
    return float(np.nanpercentile(np.concatenate([m.values.ravel() for m in maps]), 98))


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
        "training can be chaotic: two right implementations part there through round-off alone.",
    ]
    if (
        sum(int(c.both.sum()) for c in compared) > agreement.KAPPAS
        and "accuracy" in material.metrics
    ):
        text.append(
            f"Cohen's kappa was computed in the {agreement.KAPPAS} cells that are least alike."
        )
    pictures = []
    for metric in dict.fromkeys(c.side.metric for c in compared):
        own = [c for c in compared if c.side.metric == metric]
        pictures += [
            _difference_picture(material, metric, own),
            _alike_picture(material, metric, own),
        ]
    return Section("Agreement", text=text, tables=tables, pictures=pictures)


def _difference_picture(
    material: Material, metric: str, compared: list[agreement.CellAgreement]
) -> Picture:
    factor, name = _factor(metric), numbers.NAMES[metric]
    digits = 1 if metric == "accuracy" else 2
    maps = [
        Map(
            f"{c.side.label} − {c.reference.label}",
            c.eta,
            c.lmbd,
            c.difference * factor,
            _texts(c.difference, lambda v: numbers.difference(v, metric, digits)),
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
        partial(figure_of, maps, scale, _columns(material, len(maps))),
        f"Difference in test {name} against the reference: red is higher, blue lower.",
        f"Heatmaps of the difference in test {name}: "
        + "; ".join(f"{m.title}: largest {np.nanmax(np.abs(m.values)):.2f}{unit}" for m in maps)
        + ".",
        wide=len(maps) > 1,
    )


def _spread(maps: list[Map]) -> float:
    """The 98th percentile of the differences' sizes."""
    return float(np.nanpercentile(np.abs(np.concatenate([m.values.ravel() for m in maps])), 98))


def _alike_picture(
    material: Material, metric: str, compared: list[agreement.CellAgreement]
) -> Picture:
    share = metric == "accuracy"
    factor = 100.0 if share else 1.0
    maps = [
        Map(
            f"{c.side.label} and {c.reference.label}",
            c.eta,
            c.lmbd,
            c.alike * factor,
            _texts(c.alike, _alike_text(share)),
            c.status,
        )
        for c in compared
    ]
    lowest = min(float(np.nanmin(m.values, initial=factor)) for m in maps)
    what = "test samples labelled alike (%)" if share else "correlation of predictions"
    scale = Scale("cividis", min(lowest, 0.9 * factor), factor, what)
    return Picture(
        f"alike-{metric}",
        partial(figure_of, maps, scale, _columns(material, len(maps))),
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


def near(material: Material) -> Section | None:
    """Learning curves, and confusion matrices or predictions over true values, of the chosen cells."""
    if not material.choices:
        return None
    pictures = []
    for metric in material.metrics:
        own = [c for c in material.choices if c.side.metric == metric]
        several = len(material.metrics) > 1
        suffix = f"-{metric}" if several else ""
        if not own:
            continue
        ends = "; ".join(
            f"{c.side.label}: validation loss {c.mean('validation_loss'):.4g} at the end"
            for c in own
        )
        pictures.append(
            Picture(
                f"learning-curves{suffix}",
                partial(plots.learning_curves, own),
                "Learning curves of the chosen cells"
                + (" (mean and range over repeats)." if own[0].side.repeats > 1 else "."),
                f"Loss and {numbers.NAMES[metric]} on the train and validation part after each epoch "
                f"looked at. {ends}.",
            )
        )
        if metric == "accuracy":
            pictures += _confusions(material, own, suffix)
        else:
            pictures.append(
                Picture(
                    f"predicted{suffix}",
                    partial(plots.predicted_against_true, own),
                    "Predicted over true value of every test sample, chosen cells.",
                    "; ".join(f"{c.side.label}: test R² {c.test:.3f}" for c in own) + ".",
                )
            )
    return Section("Chosen cells from near", pictures=pictures)


def _confusions(material: Material, own: list[Choice], suffix: str) -> list[Picture]:
    """A figure for every set of classes."""
    pictures = []
    sets = list(dict.fromkeys(tuple(c.side.result.manifest["dataset"]["classes"]) for c in own))
    for number, classes in enumerate(sets):
        these = [c for c in own if tuple(c.side.result.manifest["dataset"]["classes"]) == classes]
        wrong = "; ".join(f"{c.side.label}: {_mistakes(c, classes)}" for c in these)
        pictures.append(
            Picture(
                f"confusion{suffix}" + (f"-{number + 1}" if len(sets) > 1 else ""),
                partial(plots.confusion_matrices, these, classes),
                "Confusion matrices of the chosen cells, test samples"
                + (" of all repeats together" if these[0].side.repeats > 1 else "")
                + ": true class down, predicted class across; the colour is the share of the true class.",
                f"Confusion matrices. {wrong}.",
            )
        )
    return pictures


def _mistakes(choice: Choice, classes: tuple[str, ...]) -> str:
    """How many samples are mislabelled, and the commonest confusion."""
    counts = plots.confusion_counts(choice, len(classes))
    off = counts - np.diag(np.diag(counts))
    if not off.any():
        return "no sample mislabelled"
    true, predicted = np.unravel_index(off.argmax(), off.shape)
    return (
        f"{int(off.sum())} of {int(counts.sum())} mislabelled, most often "
        f"{classes[true]} as {classes[predicted]} ({int(off.max())})"
    )
