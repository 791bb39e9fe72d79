"""Many short texts in one artist.

A report draws thousands of numbers. As a :class:`~matplotlib.text.Text` each they take most of its time:
every one is laid out anew for every file. Here a text's outline is computed once and then placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from harness.document.foreign_text import visible

EM = 100.0  # size that outlines are computed at, in points
MIDDLE = 0.365  # height of a digit's middle over its baseline, in ems
TOP = 0.76  # height of a digit's upper end

Across = Literal["left", "center", "right"]


class Words(Artist):
    """Texts at points of an axes, vertically by the middle of their digits.

    at: (texts, 2) in data coordinates; offset: added, in points. ``below`` puts the texts' upper ends,
    not their middles, there. colours: one for all, or one each.
    """

    def __init__(
        self,
        axis: Axes,
        texts: Sequence[str],
        at: NDArray[np.float64],
        *,
        size: float,
        colours: Any,
        across: Across = "center",
        offset: tuple[float, float] = (0.0, 0.0),
        below: bool = False,
    ) -> None:
        super().__init__()
        self.texts, self.at, self.size = list(map(visible, texts)), np.asarray(at, float), size
        same = isinstance(colours, str)
        self.colours = [to_rgba(c) for c in ([colours] * len(texts) if same else colours)]
        self.offset = np.array(offset) - (0, size * (TOP if below else MIDDLE))
        self.text = Text(0, 0, "", size=size, ha=across, va="baseline")
        self.set_transform(axis.transData)
        self.set_zorder(4)
        self.set_clip_on(False)
        axis.add_artist(self)

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: RendererBase) -> None:
        """Draw outlines on a raster, words into a vector file."""
        points = float(renderer.points_to_pixels(1.0))  # type: ignore[arg-type]
        places = self.get_transform().transform(self.at) + self.offset * points
        vector = renderer.option_scale_image()
        height = renderer.get_canvas_width_height()[1]
        font = self.text.get_fontproperties()
        across = self.text.get_horizontalalignment()
        gc = renderer.new_gc()
        for words, (x, y), colour in zip(self.texts, places, self.colours, strict=True):
            if vector:
                gc.set_foreground(colour, isRGBA=True)
                self.text.set_position((x, y))
                renderer.draw_text(gc, x, height - y, words, font, 0, mtext=self.text)
            else:
                path = outline(words, font.get_name(), across)
                scale = self.size * points / EM
                gc.set_linewidth(0)
                renderer.draw_path(gc, path, Affine2D().scale(scale).translate(x, y), colour)
        gc.restore()
        self.stale = False


@cache
def outline(words: str, family: str, across: Across) -> Path:
    """The outline of a text set in ``EM`` points, its baseline at 0, aligned at 0."""
    if not words.strip():  # which a TextPath cannot be made of
        return Path(np.empty((0, 2)))
    path = TextPath((0, 0), words, size=EM, prop=FontProperties(family=family))
    left, right = path.vertices[:, 0].min(), path.vertices[:, 0].max()
    shift = {"left": 0.0, "center": (left + right) / 2, "right": right}[across]
    return Path(np.asarray(path.vertices) - (shift, 0), path.codes)
