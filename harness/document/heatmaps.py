"""Heatmaps over the grid of eta (down) and lmbd (across)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.document.canvas import BAR, FAINT, INK, Frame, bar_axes, panels, printed_width
from harness.document.number_words import tick
from harness.document.text_artist import Words

ANNOTATED = 12  # the longest side of a grid whose cells carry their numbers
LABELS = 8  # names at most, at an axis of a longer one
_NARROWEST = 0.25  # inches of a cell whose number is read in print
_SMALLEST, _EM = 6.0, 0.64  # points of such a number; the width of a digit over its size
HANDLES = 2  # entries of a legend in a row
CHOSEN = "#e8590c"
HATCH = "#8c959f"
_BAR_SIZE, _BAR_GAP = (
    8.5,
    0.07,
)  # points of the values at a colour bar; inches between bar and value
_EQUAL_CONTRAST = 0.179  # relative luminance on which black and white stand out alike, 4.58:1

# How a cell that holds no number is drawn: its sign, its ground, its hatching.
MARKS: dict[str, tuple[str, str, str]] = {
    "diverged": ("×", "#d0d7de", "////"),
    "unsupported": ("–", "#f0f2f4", "...."),
    "unavailable": ("∅", "#f0f2f4", "oo"),
    "failed": ("!", "#ffd8d3", "xxxx"),
    "timeout": ("…", "#fff1c2", "----"),
    "chaotic": ("~", "#e6e1f2", "\\\\\\\\"),
    "bimodal": ("∨", "#fff1c2", "||||"),
    "one diverged": ("×", "#ffd8d3", "////"),
    "not run": ("!", "#ffd8d3", "xxxx"),
}
OTHER = ("?", "#f0f2f4", "++")


@dataclass(frozen=True)
class Map:
    """Numbers on a grid, ready to be drawn; arrays of shape (eta, lmbd).

    ``texts`` are what small grids show in the cells, ``status`` says which hold a number, ``chosen`` is
    the (row, column) to outline. The cells that are true in ``dotted`` have a dot in a corner, which the
    legend calls ``dot``. ``axes`` name what is down and across, ``names`` its values where those are no
    numbers.
    """

    title: str
    eta: NDArray[np.float64]
    lmbd: NDArray[np.float64]
    values: NDArray[np.float64]
    texts: NDArray[np.object_]
    status: NDArray[np.object_]
    chosen: tuple[int, int] | None = None
    dotted: NDArray[np.bool_] | None = None
    dot: str = ""
    axes: tuple[str, str] = ("learning rate eta (η)", "penalty lmbd (λ)")
    names: tuple[Sequence[str], Sequence[str]] | None = None


@dataclass(frozen=True)
class Scale:
    """The colours of a map: a seaborn or matplotlib colour map between two values, named by a label.

    ``ticks`` are the values that stand at the colour bar, by default round ones.
    """

    cmap: str
    low: float
    high: float
    label: str
    bar: dict[str, Any] = field(default_factory=dict)

    @property
    def ticks(self) -> list[float]:
        if "ticks" in self.bar:
            return list(self.bar["ticks"])
        values = MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        margin = 1e-9 * (self.high - self.low)
        return [float(v) for v in values if self.low - margin <= v <= self.high + margin]

    @property
    def power(self) -> int:
        """The power of ten that all values at the bar are given in: 0, but where they are tiny or huge."""
        largest = max(map(abs, self.ticks), default=0.0)
        return 0 if not largest or 0.1 <= largest < 1e4 else int(np.floor(np.log10(largest)))

    @property
    def words(self) -> list[str]:
        """The values at the bar, all with as many decimals as tell each exactly, two at most."""
        values = [v / 10.0**self.power for v in self.ticks]
        exact = [d for d in range(2) if all(abs(v - round(v, d)) < 1e-6 for v in values)]
        digits = exact[0] if exact else 2
        return ["0" if v == 0 else f"{v:.{digits}f}".replace("-", "−") for v in values]

    @property
    def name(self) -> str:
        """The label, with the power of ten."""
        return f"{self.label}, in {tick(10.0**self.power)}" if self.power else self.label

    @property
    def label_place(self) -> float:
        """Inches from the bar to the middle of its label, which stands beyond the longest value."""
        return _BAR_GAP + _EM * _BAR_SIZE / 72 * max(map(len, self.words), default=1) + 0.13

    @property
    def room(self) -> float:
        """Inches that the bar takes with values and label."""
        return BAR + self.label_place + 0.13


def figure_of(maps: Sequence[Map], scale: Scale, columns: int) -> Figure:
    """The maps as panels of one figure with one colour bar."""
    rows = max(len(m.eta) for m in maps)
    across = max(len(m.lmbd) for m in maps)
    small = all(is_small(m.values) for m in maps)
    handles = max(len(statuses(m)) + (m.chosen is not None) + has_dots(m) for m in maps)
    legend = -(-handles // HANDLES)
    frame = Frame(
        width=max(0.47 * across, 2.3) if small else 4.0,
        height=max(0.4 * rows, 1.2) if small else 4.0 * min(1.0, max(0.5, rows / across)),
        bottom=0.5 + 0.2 * legend,
        bar=scale.room,
    )
    if printed_width() is not None:
        frame = replace(frame, left=0.62, right=0.08)
    frame, columns = frame.fitted(len(maps), columns, narrowest=_NARROWEST * across if small else 2)
    figure, axes = panels(len(maps), columns, frame)
    bar = bar_axes(figure, frame)
    for k, (axis, one) in enumerate(zip(axes, maps, strict=True)):
        draw_map(axis, one, scale, bar if k == 0 else None)
        if k % columns:
            axis.set_ylabel("")
        frame.place(axis)
    return figure


def draw_map(axis: Axes, one: Map, scale: Scale, bar: Axes | None = None) -> None:
    """One map on one axes, with the colour bar on another if given."""
    ok = one.status == "ok"
    small = is_small(one.values)
    seaborn.heatmap(
        one.values,
        ax=axis,
        cmap=scale.cmap,
        vmin=scale.low,
        vmax=scale.high,
        mask=~ok | ~np.isfinite(one.values),
        linewidths=0.6 if small else 0,
        linecolor="white",
        cbar=bar is not None,
        cbar_ax=bar,
        cbar_kws={"label": scale.name, **scale.bar, "ticks": scale.ticks}
        if bar is not None
        else None,
        xticklabels=False,
        yticklabels=False,
        rasterized=not small,
    )
    if bar is not None:
        _name_colours(bar, scale)
    axis.set_title(one.title)
    axis.set_ylabel(one.axes[0])
    axis.set_xlabel(one.axes[1])
    if one.names:
        name(axis, thinned(one.names[0]), thinned(one.names[1]))
    else:
        name(axis, marks(one.eta), marks(one.lmbd))
    if small:
        annotate(axis, one.texts)
    handles = _mark(axis, one)
    if one.chosen is not None:
        handles.insert(0, _outline(axis, one))
    if one.dotted is not None and has_dots(one):
        rows, columns = np.nonzero(one.dotted)
        label = f"{one.dot} ({len(rows)})"
        place = (columns + 0.88, rows + 0.15)
        handles += axis.plot(*place, "o", ms=3, color=INK, mec="white", mew=0.5, label=label)
    if handles:
        axis.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(-0.01, 0.0),
            borderaxespad=0.0,
            borderpad=0.0,
            ncols=HANDLES,
            frameon=False,
            fontsize=8.5,
            handlelength=1.4,
            columnspacing=1.2,
            handletextpad=0.5,
        )


def _name_colours(bar: Axes, scale: Scale) -> None:
    """The values at a colour bar, as texts like all others here, and the label beyond them."""
    bar.tick_params(length=2.5, labelright=False)
    right = np.array([(bar.get_xlim()[1], v) for v in scale.ticks])
    Words(bar, scale.words, right, size=_BAR_SIZE, colours=INK, across="left", offset=(5, 0))
    bar.yaxis.set_label_coords(1 + scale.label_place / BAR, 0.5)
    bar.yaxis.label.set_verticalalignment("center")


def is_small(values: NDArray[Any]) -> bool:
    """Whether a grid's cells have room for a number each."""
    return max(values.shape) <= ANNOTATED


def annotate(axis: Axes, texts: NDArray[np.object_], size: float = 8.5) -> None:
    """Write into the cells of the heatmap on these axes, light on dark and dark on light.

    In print they are as small as their cells want, and left out where nobody could read them.
    """
    if printed_width() is not None:
        width = axis.get_figure().get_figwidth() * axis.get_position().width  # type: ignore[union-attr]
        longest = max(len(str(shown)) for shown in texts.flat)
        size = min(size, 72 * width / texts.shape[1] / (_EM * max(longest, 1)))
        if size < _SMALLEST:
            return
    mesh: Any = axis.collections[0]
    mesh.update_scalarmappable()
    rows, columns = np.nonzero((texts != "") & ~np.ma.getmaskarray(mesh.get_array()))
    colours = mesh.get_facecolor().reshape(*texts.shape, 4)[rows, columns]
    # relative luminance, https://www.w3.org/TR/WCAG20/#relativeluminancedef
    linear = np.where(colours <= 0.03928, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)[
        :, :3
    ]
    light = linear @ (0.2126, 0.7152, 0.0722) > _EQUAL_CONTRAST
    at = np.column_stack([columns + 0.5, rows + 0.5])
    Words(
        axis,
        texts[rows, columns].tolist(),
        at,
        size=size,
        colours=np.where(light, "black", "white").tolist(),
    )


def marks(values: NDArray[np.float64]) -> dict[float, str]:
    """What stands at an axis, by place: every value of a short axis, the powers of ten of a long one."""
    if len(values) <= ANNOTATED:
        return {k + 0.5: tick(v) for k, v in enumerate(values)}
    positive = values > 0
    logs, places = np.log10(values[positive]), np.flatnonzero(positive) + 0.5
    powers = np.arange(np.ceil(logs[0] - 1e-9), np.floor(logs[-1] + 1e-9) + 1)
    if len(powers) < 3:
        return thinned([tick(v) for v in values])
    every = -(-len(powers) // LABELS)
    return {float(np.interp(p, logs, places)): tick(10.0**p) for p in powers[::every]}


def thinned(names: Sequence[str]) -> dict[float, str]:
    """The names of rows or columns, by place; of many only some."""
    every = 1 if len(names) <= ANNOTATED else -(-len(names) // LABELS)
    return {k + 0.5: names[k] for k in range(0, len(names), every)}


def name(axis: Axes, down: dict[float, str], across: dict[float, str], size: float = 9) -> None:
    """Name rows and columns of a heatmap."""
    bottom = max(axis.get_ylim())
    left = np.array([(0, place) for place in down])
    under = np.array([(place, bottom) for place in across])
    Words(axis, list(down.values()), left, size=size, colours=INK, across="right", offset=(-4, 0))
    Words(axis, list(across.values()), under, size=size, colours=INK, offset=(0, -4), below=True)


def _mark(axis: Axes, one: Map) -> list[Any]:
    """Grey and hatched where there is no number; the legend's handles."""
    small = is_small(one.values)
    handles: list[Any] = []
    for status in statuses(one):
        sign, ground, hatch = MARKS.get(status, OTHER)
        cells = np.argwhere(one.status == status)[:, None, ::-1].astype(np.float64)
        square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
        hatched = PolyCollection(
            list(cells + square),
            facecolors=ground,
            edgecolors=HATCH,
            hatch=hatch,
            linewidths=0.4 if small else 0.0,
            rasterized=not small,
        )
        axis.add_collection(hatched, autolim=False)
        if small:
            middle = (0.34, 0.26) + square * (0.32, 0.48)
            clear = PolyCollection(list(cells + middle), facecolors=ground, edgecolors="none")
            axis.add_collection(clear, autolim=False)
            Words(axis, [sign] * len(cells), cells[:, 0] + 0.5, size=11, colours=INK)
        words = f"{sign} {status} ({len(cells)})"
        handles.append(Patch(facecolor=ground, edgecolor=FAINT, hatch=hatch, label=words))
    return handles


def has_dots(one: Map) -> bool:
    """Whether any cell of a map has a dot."""
    return one.dotted is not None and bool(one.dotted.any())


def statuses(one: Map) -> list[str]:
    """What there is on a map beside numbers."""
    return list(dict.fromkeys(one.status[one.status != "ok"].tolist()))


def _outline(axis: Axes, one: Map) -> Rectangle:
    """A frame around the chosen cell, as large as the cell; on a fine grid its line is thinner."""
    assert one.chosen is not None
    row, column = one.chosen
    fine = not is_small(one.values)
    margin = 0.0 if fine else -0.03
    for colour, width in (
        (("white", 2.4), (CHOSEN, 1.2)) if fine else (("white", 3.6), (CHOSEN, 2.0))
    ):
        frame = Rectangle(
            (column - margin, row - margin),
            1 + 2 * margin,
            1 + 2 * margin,
            fill=False,
            edgecolor=colour,
            linewidth=width,
            clip_on=False,
            zorder=5,
            label="chosen cell",
        )
        axis.add_patch(frame)
    return frame


def colour_stops(name: str) -> list[str]:
    """A colour map of the figures in 33 steps, for a page's script."""
    return [to_hex(matplotlib.colormaps[name](k / 32)) for k in range(33)]
