"""Figures without pyplot: their style, rows of panels laid out in inches, and their files.

Sizes are given and not searched for: matplotlib's layout engines draw a figure several times.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatterMathtext, LogFormatterSciNotation

from backends.frameworks import garbage_waits
from harness.document.foreign_text import visible
from harness.document.number_words import tick
from harness.errors import InputError

Format = Literal["svg", "png", "pdf"]
FORMATS: tuple[Format, ...] = ("svg", "png")  # of the figures in a folder
DPI = 130
_PRINT_DPI = 300
_TALLEST = 9.0  # inches that a page of print has for a figure
INK = "#24292f"
FAINT = "#57606a"
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8c959f",
    "axes.linewidth": 0.7,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "none",  # text stays text: smaller, searchable, quicker to write
    "svg.hashsalt": "report",  # the same figure gives the same bytes
    "pdf.fonttype": 42,  # whole fonts, which publishers ask for
}
_PRINT = {
    "font.size": 8.5,
    "axes.titlesize": 9,
}  # points, in a figure of the width it is printed at
BAR = 0.13  # inches: the width of a colour bar
_PRINTED: ContextVar[float | None] = ContextVar("printed", default=None)


@contextmanager
def style(width: float | None = None) -> Iterator[None]:
    """The report's look, for figures made and written inside; ``width``: of print, in inches."""
    look = STYLE if width is None else STYLE | _PRINT
    token = _PRINTED.set(width)
    try:
        with matplotlib.rc_context(look), garbage_waits():  # type: ignore[arg-type]
            yield
    finally:
        _PRINTED.reset(token)


def printed_width() -> float | None:
    """The width in inches that figures are laid out for, if somebody asked for one."""
    return _PRINTED.get()


@dataclass(frozen=True)
class Frame:
    """Sizes in inches: of a panel, of what stands around each, and of a strip for a colour bar."""

    width: float
    height: float
    left: float = 0.72
    right: float = 0.16
    top: float = 0.42
    bottom: float = 0.56
    bar: float = 0.0

    def fitted(
        self, count: int, columns: int, left: float = 0.0, narrowest: float = 1.4, rows: int = 1
    ) -> tuple[Frame, int]:
        """The frame, and panels in a row, for the width of print; as they are where none was asked for.

        A row has fewer panels where they would be narrower than ``narrowest``; ``rows`` stand on each
        other for each. ``left``: see :func:`panels`.
        """
        columns = min(columns, count)
        total = printed_width()
        if total is None:
            return self, columns
        for few in range(columns, 0, -1):
            width = (total - left - self.bar) / few - self.left - self.right
            if width >= narrowest or few == 1:
                break
        if width <= 0.3:
            raise InputError(
                f"width: this figure has no room in {2.54 * total:.1f} cm; allowed: "
                f"{2.54 * (total + narrowest - width):.1f}cm or more"
            )
        lines = rows * -(-count // few)
        height = min(self.height * width / self.width, self.height * 1.5)
        height = max(min(height, _TALLEST / lines - self.top - self.bottom), 0.6)
        return replace(self, width=width, height=height), few

    def place(self, axis: Axes) -> None:
        """Put title and axis labels where they belong; searching for room costs more than drawing."""
        axis.set_title(axis.get_title(loc="left"), y=1 + 0.07 / self.height, pad=0)
        axis.xaxis.set_label_coords(0.5, -0.26 / self.height)
        axis.yaxis.set_label_coords(-(self.left - 0.22) / self.width, 0.5)
        legend = axis.get_legend()
        if legend:
            legend.set_bbox_to_anchor((0, -0.47 / self.height), axis.transAxes)


def panels(
    count: int, columns: int, frame: Frame, left: float = 0.0, bottom: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels in rows of ``columns``, first row first.

    ``left`` and ``bottom`` are added, in inches, outside all panels.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    step = (frame.left + frame.width + frame.right, frame.top + frame.height + frame.bottom)
    total = (left + columns * step[0] + frame.bar, rows * step[1] + bottom)
    figure = Figure(figsize=total)
    axes = []
    for k in range(count):
        row, column = divmod(k, columns)
        x = left + column * step[0] + frame.left
        y = total[1] - row * step[1] - frame.top - frame.height
        box = (x / total[0], y / total[1], frame.width / total[0], frame.height / total[1])
        axes.append(figure.add_axes(box))
    return figure, axes


def bar_axes(figure: Figure, frame: Frame) -> Axes:
    """The strip for the colour bar, right of all panels and as high as one of them or two."""
    width, height = figure.get_size_inches()
    length = min(height - frame.top - frame.bottom, 1.6 * frame.height)
    bottom = frame.bottom + (height - frame.top - frame.bottom - length) / 2
    box = ((width - frame.bar + 0.04) / width, bottom / height, BAR / width, length / height)
    return figure.add_axes(box)


class _Powers(LogFormatterSciNotation):
    """Names of the ticks of a logarithmic axis, 10⁻³, where matplotlib writes mathematics, which is off."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return tick(x) if super().__call__(x, pos) else ""


def figure_file(figure: Figure, kind: Format) -> bytes:
    """The figure as a file. Call it inside :func:`style`."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter(_Powers())
            if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
                axis.set_minor_formatter(_Powers(labelOnlyBase=False))
    for text in figure.findobj(Text):
        text.set_text(visible(text.get_text()))  # type: ignore[attr-defined]
    stream = io.BytesIO()
    if kind == "png":
        figure.set_dpi(DPI if printed_width() is None else _PRINT_DPI)
        how = {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 4}}
        FigureCanvasAgg(figure).print_png(stream, **how)  # type: ignore[no-untyped-call]
    elif kind == "pdf":
        nothing = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(stream, format="pdf", dpi=_PRINT_DPI, metadata=nothing)
    else:
        figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    return stream.getvalue()
