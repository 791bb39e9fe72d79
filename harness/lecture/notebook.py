"""What the notes' script has at hand when its first network is ready; its first exhibit, five digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backends.draws import draw_weights
from backends.network import Network, Weights
from harness.data.dataset import Dataset, load_dataset
from harness.data.notebook_stream import NotebookStream
from harness.data.split import Split, split_rows
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section
from harness.experiment.experiment import experiment_from

PIXELS_A_SIDE = 8


@dataclass(frozen=True)
class Notebook:
    """Digits, the rows of the pictures shown, the split, the network and the script's own weights."""

    dataset: Dataset
    pictures: tuple[int, ...]
    split: Split
    network: Network
    weights: Weights


@dataclass(frozen=True)
class Digit:
    """One image, (8, 8) with values 0 .. 16, its row in the data and its label."""

    row: int
    image: NDArray[np.float64]
    label: int


def notebook() -> Notebook:
    """The notebook after ``np.random.seed(0)`` and its first cells, number for number."""
    experiment = experiment_from({"preset": "lecture"})
    dataset = load_dataset(experiment)
    stream = NotebookStream(experiment, dataset.counts)
    recipe = experiment.recipe("numpy")
    network = experiment.network("numpy", dataset.x.shape[1], len(dataset.classes))
    weights = draw_weights(network, stream.rng, recipe.initial_weights, bias=recipe.initial_bias)
    return Notebook(
        dataset,
        tuple(int(row) for row in stream.pictures),
        split_rows(dataset, experiment),
        network,
        Weights.stack([weights]),
    )


def first_digits(notes: Notebook) -> list[Digit]:
    """The digits that the notebook draws with its first random numbers."""
    images = notes.dataset.x.reshape(-1, PIXELS_A_SIDE, PIXELS_A_SIDE)
    return [Digit(row, images[row], int(notes.dataset.y[row])) for row in notes.pictures]


def draw_digits(digits: Sequence[Digit]) -> Figure:
    """The images side by side, dark ink on white."""
    frame = Frame(width=1.35, height=1.35, left=0.2, right=0.2, top=0.42, bottom=0.12)
    figure, axes = panels(len(digits), len(digits), frame)
    for axis, digit in zip(axes, digits, strict=True):
        axis.imshow(digit.image, cmap="gray_r", interpolation="nearest", vmin=0, vmax=16)
        axis.set_title(f"label {digit.label}")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set(visible=True, color="#d0d7de")
    return figure


def digits_exhibit() -> Section:
    """Five random digits with their labels, and the data they come from."""
    notes = notebook()
    digits = first_digits(notes)
    samples, features = notes.dataset.x.shape
    return Section(
        "Five random digits",
        summary=f"{samples} images of {PIXELS_A_SIDE} x {PIXELS_A_SIDE} pixels, {len(notes.split.train)} "
        f"to train on and {len(notes.split.test)} to test on.",
        text=[
            f"{samples} images of {PIXELS_A_SIDE} x {PIXELS_A_SIDE} pixels with grey levels from 0 to 16 "
            f"(`sklearn.datasets.load_digits`), each laid out as a row of {features} features. The "
            "layout throws away which pixels are neighbours.",
            f"After `np.random.seed(0)` the notes show the rows {', '.join(str(d.row) for d in digits)}, "
            f"and then keep {len(notes.split.train)} images to train on and {len(notes.split.test)} "
            "to test on.",
        ],
        pictures=[
            Picture(
                "digits",
                partial(draw_digits, digits),
                "The five digits of the notes, by their random numbers.",
                "Five small grey images of handwritten digits labelled "
                + ", ".join(str(d.label) for d in digits),
            )
        ],
    )
