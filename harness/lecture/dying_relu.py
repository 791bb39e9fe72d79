"""Dying ReLU: the share of hidden units that are silent on every training image, against eta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backends.formulas import forward
from backends.network import Cells, Network, Training
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table
from harness.lecture.accuracy import accuracies
from harness.lecture.notebook import notebook

_ETAS = tuple(float(f"{eta:.3g}") for eta in np.geomspace(0.01, 5, 14))
_UNITS = 50
_EPOCHS = 20
_WEIGHT_DRAWS = 5


@dataclass(frozen=True)
class DeadUnits:
    """Dead units and test accuracy for each eta; arrays (draws, etas). A diverged cell is NaN."""

    etas: tuple[float, ...]
    dead: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def dead_units(
    etas: Sequence[float] = _ETAS, epochs: int = _EPOCHS, draws: int = _WEIGHT_DRAWS
) -> DeadUnits:
    """Train 64-50-10 ReLU networks on digits by SGD without penalty, for several draws of weights.

    A unit is dead if its activation is 0 on every training image: its gradient is 0 for good then.
    """
    notes = notebook()
    x = notes.dataset.x.astype(np.float32) / 16
    y, split = notes.dataset.y, notes.split
    network = Network.classifier(x.shape[1], [_UNITS], 10, "relu")
    plan = Plan.draw(network, split.train, range(draws), epochs=epochs, batch_size=100)
    cells = Cells.grid(etas, [0.0], streams=draws)
    weights = NumPyBackend().train(x, y, network, Training(), cells, plan).weights
    with np.errstate(over="ignore", invalid="ignore"):
        hidden = forward(x[split.train], network, weights.W, [b[:, None] for b in weights.b])[1]
        dead = (hidden == 0).all(axis=1).mean(axis=1)
    accuracy = accuracies(network, weights, x[split.test], y[split.test])
    shape = (draws, len(etas))
    finite = weights.finite()
    return DeadUnits(
        tuple(etas),
        np.where(finite, dead, np.nan).reshape(shape),
        np.where(finite, accuracy, np.nan).reshape(shape),
    )


def draw_dying_relu(measured: DeadUnits) -> Figure:
    """Share of dead units and test accuracy over eta: the mean of the draws, and their range."""
    frame = Frame(width=5.4, height=2.3, left=0.72, right=0.25, top=0.3, bottom=0.5)
    figure, (axis,) = panels(1, 1, frame)
    for values, colour, label in (
        (measured.dead, "#cf222e", "share of dead units"),
        (measured.accuracy, "#3b6fb6", "test accuracy"),
    ):
        axis.plot(measured.etas, values.mean(axis=0), "o-", ms=4, color=colour, label=label)
        low, high = values.min(axis=0), values.max(axis=0)
        axis.fill_between(measured.etas, low, high, color=colour, alpha=0.18, lw=0)
    axis.set_xscale("log")
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlabel("learning rate eta")
    axis.legend(frameon=False, fontsize=8.5, loc="center left")
    return figure


def dying_relu_exhibit() -> Section:
    """ReLU units that fall silent for good, and the accuracy, over the learning rate."""
    measured = dead_units()
    etas = measured.etas
    dead, accuracy = measured.dead.mean(axis=0), measured.accuracy.mean(axis=0)
    table = pd.DataFrame(
        {
            "eta": [f"{eta:g}" for eta in etas],
            "dead units": [f"{100 * d:.1f} %" for d in dead],
            "test accuracy": [f"{100 * a:.1f} %" for a in accuracy],
        }
    )
    fall = int(np.argmax(dead > 0.5))  # the first eta at which most units are dead
    return Section(
        "Dying ReLU",
        summary=f"From eta {etas[fall]:g} on {100 * dead[fall]:.0f} % of the units are silent for good, and "
        "the network guesses.",
        text=[
            "A ReLU whose z is below 0 on every training image gives 0 and passes no gradient back: it "
            "stays silent for good. A single large step can throw a unit there.",
            f"{_EPOCHS} epochs of SGD on digits (pixels divided by 16), {_UNITS} ReLU units, "
            f"{_WEIGHT_DRAWS} draws of weights. Up to eta {etas[fall - 1]:g} at most "
            f"{100 * dead[:fall].max():.0f} % of the units are dead, and the accuracy rises to "
            f"{100 * accuracy[:fall].max():.1f} %; from eta {etas[fall]:g} on "
            f"{100 * dead[fall]:.0f} % are, and the network guesses.",
        ],
        tables=[Table(table, "Mean over the draws", folded=True)],
        pictures=[
            Picture(
                "dying-relu",
                partial(draw_dying_relu, measured),
                "Mean over the draws; the shade is their range.",
                "Two lines over the learning rate: dead units rise steeply where accuracy falls.",
            )
        ],
    )
