"""The figure of a parity: the error of every backend against the step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.document.canvas import FAINT, Frame, panels
from harness.parity.parity import Parity

_COLOURS = ("#3b6fb6", "#d9730d", "#3a8f5c", "#a13d63", "#7a5cc0", "#8a7a2f")
_MARKERS = "osD^vP"


def error_by_step(parity: Parity) -> Figure:
    """The largest relative error of any tensor after every step looked at, a panel for each dtype.

    Drawn where tensors are judged, with the least that any of them was allowed; dotted where not.
    """
    dtypes = [str(d) for d in parity.errors["dtype"].unique()]
    frame = Frame(width=4.1, height=2.9, left=0.85, bottom=0.6)
    figure, axes = panels(len(dtypes), 2, frame)
    names = list(dict.fromkeys(parity.errors["backend"]))
    trained = parity.errors[~parity.errors["tensor"].isin(["loss", "output"])]
    for axis, dtype in zip(axes, dtypes, strict=True):
        errors = trained[trained["dtype"] == dtype]
        for number, name in enumerate(names):
            own = errors[errors["backend"] == name]
            style = {
                "color": _COLOURS[number % len(_COLOURS)],
                "marker": _MARKERS[number % len(_MARKERS)],
                "ms": 4,
            }
            judged = own["enforced"].astype(bool)
            _line(axis, own[~judged], style | {"ls": ":", "lw": 1, "ms": 2.5})
            _line(axis, own[judged], style | {"lw": 1.6, "label": name})
        _allowed_line(axis, errors[errors["enforced"].astype(bool)], parity.steps)
        axis.set_title(dtype)
        axis.set_xlabel("optimiser step")
        axis.set_ylabel("largest relative error")
        frame.place(axis)
    axes[0].plot([], [], ":", color=FAINT, lw=1, label="not judged")
    axes[0].legend(frameon=False, fontsize=8.5, handlelength=1.8)
    return figure


def _line(axis: Axes, errors: pd.DataFrame, style: dict[str, object]) -> None:
    if not len(errors):
        return
    finite = errors["relative"].where(np.isfinite(errors["relative"]))
    worst = finite.groupby(errors["step"]).max().dropna()
    tiny = float(np.finfo(str(errors["dtype"].iloc[0])).eps) / 10
    axis.plot(worst.index, worst.clip(lower=tiny), **style)  # type: ignore[arg-type]


def _allowed_line(axis: Axes, errors: pd.DataFrame, steps: Sequence[int]) -> None:
    least = errors.groupby("step")["tolerance"].min()
    axis.plot(least.index, least, "--", color="#24292f", lw=1.2, label="least allowed")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(alpha=0.25, lw=0.6)
    axis.minorticks_off()
    ticks = list(steps)
    if len(steps) > 1 and steps[-1] < 2 * steps[-2]:
        ticks = [*steps[:-2], steps[-1]]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
