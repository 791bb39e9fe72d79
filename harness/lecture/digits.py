"""Five random digits with their labels, and the data they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section
from harness.lecture.notebook import Notebook, notebook

SIDE = 8  # pixels


@dataclass(frozen=True)
class Digit:
    """One image, (8, 8) with values 0 .. 16, its row in the data and its label."""

    row: int
    image: NDArray[np.float64]
    label: int


def digits(notes: Notebook) -> list[Digit]:
    """The digits that the notebook draws with its first random numbers."""
    data = notes.dataset
    return [Digit(r, data.x[r].reshape(SIDE, SIDE), int(data.y[r])) for r in notes.pictures]


def draw(found: Sequence[Digit]) -> Figure:
    """The images side by side, dark ink on white."""
    frame = Frame(width=1.35, height=1.35, left=0.2, right=0.2, top=0.42, bottom=0.12)
    figure, axes = panels(len(found), len(found), frame)
    for axis, digit in zip(axes, found, strict=True):
        axis.imshow(digit.image, cmap="gray_r", interpolation="nearest", vmin=0, vmax=16)
        axis.set_title(f"label {digit.label}")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set(visible=True, color="#d0d7de")
    return figure


def section() -> Section:
    """The exhibit."""
    notes = notebook()
    found = digits(notes)
    samples, features = notes.dataset.x.shape
    return Section(
        "Five random digits",
        text=[
            f"{samples} images of {SIDE} x {SIDE} pixels with grey levels from 0 to 16 "
            f"(`sklearn.datasets.load_digits`), each laid out as a row of {features} features. The "
            "layout throws away which pixels are neighbours.",
            f"After `np.random.seed(0)` the notes show the rows {', '.join(str(d.row) for d in found)}, "
            f"and then keep {len(notes.split.train)} images to train on and {len(notes.split.test)} "
            "to test on.",
        ],
        pictures=[
            Picture(
                "digits",
                partial(draw, found),
                "The five digits of the notes, by their random numbers.",
                "Five small grey images of handwritten digits labelled "
                + ", ".join(str(d.label) for d in found),
            )
        ],
    )
