"""The bench as a picture: seconds of a grid by backend, stacked, in turn and by the notes' programs."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

SERIES = {
    "stack": "all cells at once",
    "one_at_a_time": "one cell at a time",
    "notebook": "the notes' program, a fresh model per cell",
}


def bench_figure(result: dict[str, Any]) -> Figure:
    """Bars on a logarithmic axis, a group for each backend."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.subplots()
    names, cells = list(result["backends"]), result["cells"]
    colours = ("#31688e", "#35b779", "#b5b5b5")
    for index, ((key, label), colour) in enumerate(zip(SERIES.items(), colours, strict=True)):
        drawn = [(p, row[key]) for p, row in enumerate(result["backends"].values()) if key in row]
        heights = [seconds * (1 if key == "stack" else cells) for _, seconds in drawn]
        places = [place + (index - 1) * 0.27 for place, _ in drawn]
        bars = axes.bar(places, heights, 0.25, label=label, color=colour)
        axes.bar_label(bars, fmt="%.3g", fontsize=8, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(f"seconds for {cells} cells")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG file's content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
