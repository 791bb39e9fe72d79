"""The bench as tables and as a picture."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness.document.section import Section, Table

_SERIES = {
    "stack": "all cells at once",
    "one_at_a_time": "one cell at a time",
    "notebook": "the notes' program, a fresh model per cell",
}
_UNITS = {
    "gflop_per_second": "GFLOP/s",
    "share_of_machine": "of the matrix-product rate",
    "peak_memory_bytes": "MiB",
}


def bench_section(result: dict[str, Any]) -> Section:
    """What :func:`harness.bench.benchmark.benchmark` measured: backends, whole commands, ratios."""
    frame = pd.DataFrame(result["backends"])
    if "peak_memory_bytes" in frame.index:
        frame.loc["peak_memory_bytes"] /= 2**20
    names = [
        f"{str(key).replace('_', ' ').removesuffix(' bytes')} {_UNITS.get(str(key), '')}".strip()
        for key in frame.index
    ]
    frame.insert(0, "", names)
    whole = pd.DataFrame(
        {
            "": list(result["whole"]),
            "seconds": [f"{seconds:.2f}" for seconds in result["whole"].values()],
        }
    )
    ratios = pd.DataFrame(
        {
            "": [ratio["what"] for ratio in result["ratios"]],
            "measured": [f"{ratio['measured']:.3g}" for ratio in result["ratios"]],
            "target": [ratio["target"] for ratio in result["ratios"]],
        }
    )
    tables = [
        Table(frame, f"{result['cells']} cells; seconds unless said otherwise"),
        Table(whole, "Whole commands, cold"),
        Table(ratios, "Ratios"),
    ]
    return Section(
        "How fast",
        text=[
            f"Of one cell, sampled on {result['sample']}: one at a time; notebook (the notes' program on "
            "this network and number of steps, a bare fit for sklearn); as written (on the notes' network "
            "and samples).",
        ],
        points=[f"{name} {reason}" for name, reason in result["skipped"].items()],
        tables=[table for table in tables if len(table.frame)],
    )


def draw_bench(result: dict[str, Any]) -> Figure:
    """Seconds of a grid by backend: stacked, in turn, by the notes' programs; bars on a logarithmic axis."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.subplots()
    names, cells = list(result["backends"]), result["cells"]
    colours = ("#31688e", "#35b779", "#b5b5b5")
    for index, ((key, label), colour) in enumerate(zip(_SERIES.items(), colours, strict=True)):
        measured = {
            place: row[key] for place, row in enumerate(result["backends"].values()) if key in row
        }
        heights = [seconds * (1 if key == "stack" else cells) for seconds in measured.values()]
        places = [place + (index - 1) * 0.27 for place in measured]
        bars = axes.bar(places, heights, 0.25, label=label, color=colour)
        axes.bar_label(bars, fmt="%.3g", fontsize=8, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(f"seconds for {cells} cells")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    return figure
