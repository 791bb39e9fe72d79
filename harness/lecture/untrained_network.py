"""Shapes of an untrained network, and its first probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from backends.formulas import forward, predict
from backends.network import Array
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table
from harness.lecture.notebook import Notebook, notebook


@dataclass(frozen=True)
class ForwardPass:
    """The shapes of every array of one forward pass, and what comes out for the training part.

    probabilities: (samples, classes); label: the true class of each sample.
    """

    shapes: dict[str, tuple[int, ...]]
    probabilities: Array
    label: Array

    @property
    def accuracy(self) -> float:
        return float((self.probabilities.argmax(axis=1) == self.label).mean())


def untrained_pass(notes: Notebook) -> ForwardPass:
    """One forward pass of the training part through the script's own weights."""
    x = notes.dataset.x[notes.split.train]
    W, b = [W[0] for W in notes.weights.W], [b[0] for b in notes.weights.b]
    a = forward(x, notes.network, W, [bias[None] for bias in b])
    shapes = {
        "X, inputs": x.shape,
        "W_h, weights of the hidden layer": W[0].shape,
        "b_h, biases of the hidden layer": b[0].shape,
        "a_h, activations of the hidden layer": a[1].shape,
        "W_o, weights of the output layer": W[1].shape,
        "b_o, biases of the output layer": b[1].shape,
        "probabilities": a[2].shape,
    }
    probabilities = predict(x, notes.network, notes.weights)[0]
    return ForwardPass(shapes, probabilities, notes.dataset.y[notes.split.train])


def draw_untrained_network(untrained: ForwardPass) -> Figure:
    """The probabilities of image 0 over the classes, the true one marked."""
    frame = Frame(width=5.4, height=2.0, left=0.72, right=0.2, top=0.42, bottom=0.5)
    figure, (axis,) = panels(1, 1, frame)
    p = untrained.probabilities[0]
    true = int(untrained.label[0])
    bars = axis.bar(np.arange(len(p)), p, color="#3b6fb6")
    bars[true].set_color("#d9730d")
    axis.set_yscale("log")
    axis.set_ylim(p.min() / 3, 3)
    axis.set_xticks(np.arange(len(p)))
    axis.set_xlabel("class")
    axis.set_ylabel("probability")
    axis.set_title(f"image 0: the network says {p.argmax()}, it is a {true}")
    return figure


def untrained_network_exhibit() -> Section:
    """One forward pass of the notes' first network before any training."""
    notes = notebook()
    untrained = untrained_pass(notes)
    shapes = pd.DataFrame(
        {
            "array": list(untrained.shapes),
            "shape": [" x ".join(map(str, shape)) for shape in untrained.shapes.values()],
        }
    )
    p = untrained.probabilities[0]
    first = pd.DataFrame(
        {"class": [str(k) for k in range(len(p))], "probability": [f"{v:.8e}" for v in p]}
    )
    return Section(
        "An untrained network",
        summary=f"Right for {100 * untrained.accuracy:.2f} % of the training images, as by guessing.",
        text=[
            f"The {notes.network} network with {notes.network.parameters} parameters, weights from "
            "N(0, 1) and biases 0.01, before any training. A matrix product takes all images through "
            "a layer at once.",
            f"For every image the probabilities sum to one: the largest deviation among "
            f"{len(untrained.probabilities)} images is "
            f"{np.abs(untrained.probabilities.sum(axis=1) - 1).max():.1e}. The class with the highest one is "
            f"the prediction; it is right for {100 * untrained.accuracy:.2f} % of the training images, "
            f"where guessing gives about {100 / len(p):.0f} %.",
        ],
        tables=[
            Table(shapes, "Shapes"),
            Table(first, "Probabilities of image 0, as the notes print them"),
        ],
        pictures=[
            Picture(
                "untrained",
                partial(draw_untrained_network, untrained),
                "Sure of itself and wrong: weights of unit size on pixels up to 16 saturate everything. "
                "Orange is the true class.",
                "A bar chart on a logarithmic axis of ten class probabilities of an untrained network.",
            )
        ],
    )
