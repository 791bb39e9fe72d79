"""Figures of parity: the error against the step, and the chaos map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backends.distance import Tolerance
from harness.parity.comparison import Parity
from harness.report.canvas import FAINT, Frame, panels
from harness.report.heatmaps import ANNOTATED, Map, Scale, figure_of

COLOURS = ("#3b6fb6", "#d9730d", "#3a8f5c", "#a13d63", "#7a5cc0", "#8a7a2f")
MARKERS = "osD^vP"


def error_by_step(parity: Parity) -> Figure:
    """The largest relative error of any tensor after every step looked at, a panel for each dtype.

    Drawn where the tolerance is enforced, with the tolerance; dotted where it is not.
    """
    dtypes = [str(d) for d in parity.errors["dtype"].unique()]
    frame = Frame(width=4.1, height=2.9, left=0.85, bottom=0.6)
    figure, axes = panels(len(dtypes), 2, frame)
    names = list(dict.fromkeys(parity.errors["backend"]))
    for axis, dtype in zip(axes, dtypes, strict=True):
        errors = parity.errors[
            (parity.errors["dtype"] == dtype) & ~parity.errors["tensor"].isin(["loss", "output"])
        ]
        for number, name in enumerate(names):
            own = errors[errors["backend"] == name]
            style = {
                "color": COLOURS[number % len(COLOURS)],
                "marker": MARKERS[number % len(MARKERS)],
                "ms": 4,
            }
            if name != parity.reference:  # which is not compared with itself
                _line(axis, own[~own["enforced"]], style | {"ls": ":", "lw": 1, "ms": 2.5})
            _line(axis, own[own["enforced"]], style | {"lw": 1.6, "label": name})
        _allowed(axis, parity, dtype)
        axis.set_title(dtype)
        axis.set_xlabel("optimiser step")
        axis.set_ylabel("largest relative error")
        frame.place(axis)
    axes[0].plot([], [], ":", color=FAINT, lw=1, label="cells not held to it")
    axes[0].legend(frameon=False, fontsize=8.5, handlelength=1.8)
    return figure


def _line(axis: Axes, errors: pd.DataFrame, style: dict[str, object]) -> None:
    if not len(errors):
        return
    finite = errors["relative"].where(np.isfinite(errors["relative"]))
    worst = finite.groupby(errors["step"]).max().dropna()
    tiny = float(np.finfo(str(errors["dtype"].iloc[0])).eps) / 10
    axis.plot(worst.index, worst.clip(lower=tiny), **style)  # type: ignore[arg-type]


def _allowed(axis: Axes, parity: Parity, dtype: str) -> None:
    tolerance = Tolerance(dtype, parity.rtol)
    allowed = [tolerance.at(step) for step in parity.steps]
    axis.plot(parity.steps, allowed, "--", color="#24292f", lw=1.2, label="tolerance")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(alpha=0.25, lw=0.6)
    axis.minorticks_off()
    if len(parity.steps) > 1 and parity.steps[-1] < 2 * parity.steps[-2]:
        ticks = [*parity.steps[:-2], parity.steps[-1]]
    else:
        ticks = list(parity.steps)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])


def chaos_figure(chaos: pd.DataFrame) -> Figure:
    """The share of a number's digits that round-off alone takes, over the grid.

    ``chaos`` is of :func:`harness.parity.chaos.chaos_map`; a panel for each dtype and recipe, the worst
    of the repeats. Small grids carry the number of digits.
    """
    keys = [key for key in ("recipe", "dtype") if key in chaos]
    maps = []
    for names, part in chaos.groupby(keys, sort=False):
        maps.append(_map(names, part, several=chaos[keys].nunique().iloc[0] > 1 and len(keys) > 1))
    ends = {"ticks": [0, 0.5, 1], "format": "%g"}
    scale = Scale("rocket_r", 0, 1, "share of digits lost", ends)
    return figure_of(maps, scale, columns=2)


def _map(names: Sequence[object], part: pd.DataFrame, several: bool) -> Map:
    dtype = str(names[-1])
    digits = -np.log10(np.finfo(dtype).eps)
    worst = part.groupby(["eta", "lmbd"]).agg(
        growth=("growth", "max"), diverged=("status", lambda s: (s == "diverged").any())
    )
    grid = worst["growth"].unstack("lmbd")
    lost = np.log10(np.fmax(grid.to_numpy(dtype=float), 1.0))
    gone = worst["diverged"].unstack("lmbd").to_numpy()
    texts = np.full(lost.shape, "", dtype=object)
    if max(lost.shape) <= ANNOTATED:
        texts = np.array([[f"{v:.1f}" for v in row] for row in lost], dtype=object)
    return Map(
        f"{names[0]}, {dtype}" if several else f"{dtype} ({digits:.0f} digits)",
        grid.index.to_numpy(dtype=float),
        grid.columns.to_numpy(dtype=float),
        np.clip(lost / digits, 0, 1),
        texts,
        np.where(gone, "diverged", "ok").astype(object),
    )
