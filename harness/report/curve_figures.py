"""Learning curves, confusion matrices and predicted against true values of the chosen cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.canvas import FAINT, Frame, panels
from harness.document.heatmaps import annotate, name, thinned
from harness.document.number_words import tick
from harness.report.chosen_cells import Choice

_TRAIN, _VALIDATION = "#3b6fb6", "#d9730d"
_COLUMNS = 4
_DOTTED = 30  # epochs looked at up to which each is a dot: between them nothing is known
_LETTERS = 14  # of a class name that are shown
_COUNTED = 12  # classes up to which a confusion matrix shows its counts


def learning_curves(choices: Sequence[Choice]) -> Figure:
    """Loss over score for every choice, after each epoch looked at; with repeats mean and range.

    All losses have one scale and all scores another.
    """
    frame = Frame(width=2.45, height=1.75, left=0.34, right=0.1, top=0.36, bottom=0.1)
    if len(choices) > frame.fitted(len(choices), _COLUMNS, left=0.42)[1]:
        frame = replace(frame, bottom=0.3)  # for the names of the axes above others
    frame, columns = frame.fitted(len(choices), _COLUMNS, left=0.42, rows=2)
    places = [(k // columns * 2 * columns + k % columns) for k in range(len(choices))]
    figure, axes = panels(max(places) + columns + 1, columns, frame, left=0.42, bottom=0.44)
    metric = choices[0].side.metric
    percent = " (%)" if metric in number_words.PERCENT else ""
    drawn = [_over_epochs(choice) for choice in choices]
    losses = _range(drawn, "loss")
    scores = _range(drawn, metric)
    for k, (place, choice) in enumerate(zip(places, choices, strict=True)):
        above, below = axes[place], axes[place + columns]
        _pair(above, drawn[k], "loss")
        _pair(below, drawn[k], metric)
        above.set_title(choice.side.label)
        above.annotate(
            f"η {number_words.grid(choice.eta)}, λ {number_words.grid(choice.lmbd)}",
            (1, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            size=8.5,
            color=FAINT,
        )
        above.set_yscale("log")
        above.set_ylim(losses[0] / 1.3, losses[1] * 1.3)
        ticks = _decades(*above.get_ylim())
        names = [f"{t:g}" if losses[0] > 1e-3 and losses[1] < 1e3 else tick(t) for t in ticks]
        above.set_yticks(ticks, names if k % columns == 0 else [""] * len(ticks))
        above.minorticks_off()
        margin = 0.05 * (scores[1] - scores[0]) or 0.05 * number_words.factor(metric)
        below.set_ylim(scores[0] - margin, scores[1] + margin)
        above.tick_params(labelbottom=False)
        below.set_xlabel("epoch")
        if k % columns == 0:
            above.set_ylabel("loss, without penalty")
            below.set_ylabel(number_words.NAMES[metric] + percent)
        else:
            below.tick_params(labelleft=False)
        for axis in (above, below):
            frame.place(axis)
            axis.yaxis.set_label_coords(-0.52 / frame.width, 0.5)
    for k in set(range(len(axes))) - set(places) - {place + columns for place in places}:
        figure.delaxes(axes[k])
    axes[places[0]].legend(frameon=False, fontsize=8.5, handlelength=1.4)
    return figure


def _over_epochs(choice: Choice) -> dict[str, pd.DataFrame]:
    """Mean, smallest and largest over repeats by epoch, for every quantity of the learning curves.

    Scores that are shares are in per cent.
    """
    c = choice.side.result.curves
    mine = (c["backend"] == choice.side.backend) & (c["eta"] == choice.eta)
    curves = c[mine & (c["lmbd"] == choice.lmbd)].groupby("epoch")
    metric = choice.side.metric
    names = [f"{part}_{q}" for part in ("train", "validation") for q in ("loss", metric)]
    factors = {q: number_words.factor(q.partition("_")[2]) for q in names}
    return {q: curves[q].agg(["mean", "min", "max"]) * factors[q] for q in names}


def _range(drawn: Sequence[dict[str, pd.DataFrame]], quantity: str) -> tuple[float, float]:
    """The smallest and largest finite value of a quantity in all curves."""
    values = np.concatenate(
        [
            frame.to_numpy(float).ravel()
            for d in drawn
            for q, frame in d.items()
            if q.endswith(quantity)
        ]
    )
    values = values[np.isfinite(values)]
    if quantity == "loss":
        values = values[values > 0]
    elif quantity == "r2":
        values = np.clip(values, -0.5, 1)
    return (float(values.min()), float(values.max())) if len(values) else (0.1, 1.0)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers; with their 2s and 5s where there are few."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [float(f"{p * s:.1g}") for p in powers for s in steps if low <= p * s <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks


def _pair(axis: Axes, curves: dict[str, pd.DataFrame], quantity: str) -> None:
    for part, colour in (("train", _TRAIN), ("validation", _VALIDATION)):
        over = curves[f"{part}_{quantity}"]
        dot = "o" if len(over) <= _DOTTED else ""
        axis.plot(over.index, over["mean"], color=colour, lw=1.6, label=part, marker=dot, ms=2.6)
        if not np.array_equal(over["min"], over["max"], equal_nan=True):
            axis.fill_between(over.index, over["min"], over["max"], color=colour, alpha=0.2, lw=0)
    axis.set_xscale("log")
    last = int(max(over.index, default=1))
    ticks = [e for e in (1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if e < 0.6 * last]
    axis.set_xticks([*ticks, last], [str(t) for t in (*ticks, last)])
    axis.minorticks_off()
    axis.grid(alpha=0.25, lw=0.6)
    axis.tick_params(labelsize=8.5, length=2.5)


def confusion_counts(choice: Choice, classes: int) -> NDArray[np.int64]:
    """Test samples by true class (rows) and predicted class (columns), over all repeats together."""
    labels = choice.predicted
    true = [choice.side.result.target(repeat) for repeat in range(choice.side.repeats)]
    pairs = np.concatenate(true) * classes + np.concatenate(list(labels))
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def confusion_matrices(choices: Sequence[Choice], classes: Sequence[str]) -> Figure:
    """A confusion matrix for every choice: counts, coloured by the share of the true class."""
    k = len(classes)
    few = k <= _COUNTED
    names = [c if len(c) <= _LETTERS else f"{c[: _LETTERS - 1]}…" for c in classes]
    longest = max(len(c) for c in names)
    cell = max(0.29, 0.085 * longest) if few else 0.0
    width, height = (max(cell * k, 1.6), max(0.29 * k, 1.2)) if few else (3.6, 3.6)
    frame = Frame(width, height, left=0.5 + 0.08 * longest, right=0.12)
    columns = 2 if len(choices) in (2, 4) else 3
    frame, columns = frame.fitted(len(choices), columns, narrowest=min(width, 1.8))
    figure, axes = panels(len(choices), columns, frame)
    for axis, choice in zip(axes, choices, strict=True):
        counts = confusion_counts(choice, k)
        seaborn.heatmap(
            counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
            ax=axis,
            cmap="Blues",
            vmin=0,
            vmax=1,
            mask=counts == 0,
            cbar=False,
            linewidths=0.5 if few else 0,
            linecolor="#eaeef2",
            xticklabels=False,
            yticklabels=False,
            rasterized=not few,
        )
        if few:
            annotate(axis, np.where(counts > 0, counts.astype(str).astype(object), ""), size=8)
        name(axis, thinned(names), thinned(names), size=8.5)
        axis.set_title(choice.side.label)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
        frame.place(axis)
        axis.yaxis.set_label_coords(-(frame.left - 0.2) / frame.width, 0.5)
    return figure


def predicted_against_true(choices: Sequence[Choice]) -> Figure:
    """Every test sample of every choice, predicted over true value, with the line of equality."""
    frame = Frame(width=2.7, height=2.7, left=0.78, right=0.16)
    frame, columns = frame.fitted(len(choices), 2 if len(choices) in (2, 4) else 3)
    figure, axes = panels(len(choices), columns, frame)
    for axis, choice in zip(axes, choices, strict=True):
        labels = choice.predicted
        predicted = np.concatenate(list(labels))
        true = np.concatenate([choice.side.result.target(r) for r in range(len(labels))])
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axis.plot(ends, ends, color="#8c959f", lw=1)
        axis.scatter(
            true,
            predicted,
            s=14,
            alpha=0.6,
            color=_TRAIN,
            edgecolors="none",
            rasterized=len(true) > 2000,
        )
        axis.set_title(choice.side.label)
        axis.set_xlabel("true")
        axis.set_ylabel("predicted")
        axis.set_aspect("equal")
        axis.grid(alpha=0.25, lw=0.6)
        axis.tick_params(labelsize=8.5, length=2.5)
    return figure
