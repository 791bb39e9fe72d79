"""Train, dev and test sets, and a test set that comes from elsewhere: two dev sets tell the difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backends.network import Array, Cells, Network, Training
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table
from harness.lecture.accuracy import accuracies
from harness.lecture.notebook import PIXELS_A_SIDE, notebook

_EPOCHS = 60
_ETA = 0.3


@dataclass(frozen=True)
class Mismatch:
    """Accuracies on five sets, and some images before and after the shift.

    ``train``, ``train_dev`` and ``plain_test`` are as the data came; ``test_dev`` and ``test`` have
    every image shifted by one pixel. Nothing was trained on any of the last four.
    """

    train: float
    train_dev: float
    plain_test: float
    test_dev: float
    test: float
    images: Array
    shifted: Array

    @property
    def variance(self) -> float:
        """What is lost from the training set to new images of the same kind."""
        return self.train - self.train_dev

    @property
    def mismatch(self) -> float:
        """What is lost from images of the training kind to images of the test kind."""
        return self.train_dev - self.test_dev


def shifted_right(images: Array) -> Array:
    """Images (samples, 64) moved one pixel to the right, the left column blank."""
    grid = images.reshape(-1, PIXELS_A_SIDE, PIXELS_A_SIDE)
    moved = np.zeros_like(grid)
    moved[:, :, 1:] = grid[:, :, :-1]
    return moved.reshape(images.shape)


def measure_mismatch(epochs: int = _EPOCHS, seed: int = 0) -> Mismatch:
    """Train a 64-50-10 network on digits and look at all five sets."""
    notes = notebook()
    x = (notes.dataset.x / 16).astype(np.float32)
    y = notes.dataset.y
    parts = np.split(np.random.default_rng(seed).permutation(len(y)), [1000, 1200, 1400, 1600])
    train, train_dev, plain_test, test_dev, test = parts
    network = Network.classifier(x.shape[1], [50], 10)
    plan = Plan.draw(network, train, [seed], epochs=epochs, batch_size=50)
    fit = NumPyBackend().train(x, y, network, Training(), Cells.of(_ETA, 1e-4), plan)

    def accuracy(rows: NDArray[np.intp], images: Array) -> float:
        return float(accuracies(network, fit.weights, images, y[rows])[0])

    return Mismatch(
        accuracy(train, x[train]),
        accuracy(train_dev, x[train_dev]),
        accuracy(plain_test, x[plain_test]),
        accuracy(test_dev, shifted_right(x[test_dev])),
        accuracy(test, shifted_right(x[test])),
        x[test[:4]],
        shifted_right(x[test[:4]]),
    )


def draw_mismatch(measured: Mismatch) -> Figure:
    """Accuracies as bars, and four images of each kind."""
    frame = Frame(width=4.4, height=2.3, left=0.72, right=3.6, top=0.3, bottom=0.62)
    figure, (axis,) = panels(1, 1, frame)
    bars = {
        "train": measured.train,
        "train-dev": measured.train_dev,
        "test, unshifted": measured.plain_test,
        "test-dev": measured.test_dev,
        "test": measured.test,
    }
    colours = ["#3b6fb6"] * 3 + ["#d9730d"] * 2
    axis.bar(range(len(bars)), list(bars.values()), color=colours)
    for place, value in enumerate(bars.values()):
        axis.text(place, value + 0.015, f"{100 * value:.1f} %", ha="center", fontsize=8.5)
    axis.set_xticks(range(len(bars)), [name.replace(", ", ",\n") for name in bars])
    axis.set_ylim(0, 1.12)
    axis.set_ylabel("accuracy")
    width, height = figure.get_size_inches()
    for row, images in enumerate((measured.images, measured.shifted)):
        for column, image in enumerate(images):
            box = ((5.5 + 0.78 * column) / width, (1.85 - 1.1 * row) / height)
            small = figure.add_axes((*box, 0.7 / width, 0.7 / height))
            small.imshow(image.reshape(PIXELS_A_SIDE, PIXELS_A_SIDE), cmap="gray_r", vmin=0, vmax=1)
            small.set_xticks([])
            small.set_yticks([])
            small.spines[:].set(visible=True, color="#d0d7de")
            if column == 0:
                small.set_title(
                    "as trained on" if row == 0 else "one pixel to the right",
                    fontsize=9,
                    fontweight="normal",
                    loc="left",
                )
    return figure


def mismatch_exhibit() -> Section:
    """Five sets of images, two of them of another kind, and what the differences diagnose."""
    measured = measure_mismatch()
    table = pd.DataFrame(
        {
            "comparison": ["train − train-dev", "train-dev − test-dev", "test-dev − test"],
            "what it measures": [
                "variance: overfitting to the training images",
                "mismatch: the test images are of another kind",
                "overfitting to the dev set, and chance",
            ],
            "points": [
                f"{100 * difference:+.1f}".replace("-", "−")
                for difference in (
                    measured.variance,
                    measured.mismatch,
                    measured.test_dev - measured.test,
                )
            ],
        }
    )
    return Section(
        "Train, dev and test sets",
        summary=f"{100 * measured.train_dev:.1f} % on images of the training kind, "
        f"{100 * measured.test:.1f} % on shifted ones: mismatch, which more images "
        "of the old kind do not mend.",
        text=[
            "The training set fixes the weights, the dev (validation) set the hyperparameters, the test "
            "set says in the end how good they are. That works as long as all three are of one kind.",
            "Here the test images are shifted by one pixel to the right, and with one dev set of the "
            "training kind all looks well: "
            f"{100 * measured.train_dev:.1f} % there, {100 * measured.test:.1f} % in the test. A second dev "
            "set of the test kind tells why: nearly all is lost between the two dev sets, so it is "
            "mismatch, and more training images of the old kind would not help.",
            "A fully connected network has no idea that neighbouring pixels belong together; to it, a "
            "shifted image is another image.",
        ],
        tables=[Table(table, "What the differences diagnose")],
        pictures=[
            Picture(
                "mismatch",
                partial(draw_mismatch, measured),
                "Blue: images of the training kind. Orange: shifted.",
                "Bars of accuracy on five sets, high on three and low on two, beside sample images.",
            )
        ],
    )
