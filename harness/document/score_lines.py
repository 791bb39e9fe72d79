"""Scores as points, with others as lines across for a sense of scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from harness.document.canvas import Frame, panels, printed_width
from harness.document.foreign_text import visible


def draw_score_lines(
    networks: Mapping[Any, float], lines: Mapping[Any, float], label: str
) -> Figure:
    """The networks' scores as points, the reference methods' as lines across."""
    frame = Frame(width=4.6, height=2.6, left=0.78, right=2.3, top=0.25, bottom=0.45)
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    if printed_width() is not None:
        frame, beside = replace(frame, right=0.1), {"loc": "best"}
    frame, _ = frame.fitted(1, 1)
    figure, (axis,) = panels(1, 1, frame)
    colours = ("#8c959f", "#2da44e", "#8250df", "#d9730d")
    for (name, value), colour in zip(lines.items(), colours, strict=False):
        axis.axhline(value, color=colour, lw=1.4, ls="--", label=f"{name}  {value:.4f}")
    axis.plot(range(len(networks)), list(networks.values()), "o", color="#3b6fb6", ms=8)
    axis.set_xticks(range(len(networks)), [visible(str(name)) for name in networks])
    axis.set_xlim(-0.6, len(networks) - 0.4)
    values = [*networks.values(), *lines.values()]
    room = max(0.15 * (max(values) - min(values)), 1e-3)
    axis.set_ylim(min(values) - room, max(values) + room)
    axis.set_ylabel(f"test {label}")
    axis.legend(frameon=False, fontsize=8.5, **beside)
    return figure
