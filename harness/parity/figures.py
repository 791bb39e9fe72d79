"""The figure of parity: the error against the step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backends.distance import Tolerance
from harness.document.canvas import FAINT, Frame, panels
from harness.parity.parity import Parity

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
