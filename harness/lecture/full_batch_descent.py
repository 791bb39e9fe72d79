"""The notes' first training, on the whole training part at every step: it fails. Why, and what works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backends.formulas import forward
from backends.network import Cells, Training, Weights
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan
from harness.document.canvas import Frame, panels
from harness.document.number_words import shown_score
from harness.document.section import Picture, Section, Table
from harness.lecture.accuracy import accuracies
from harness.lecture.notebook import Notebook, notebook

_STEPS = 1000
_LMBD = 0.01
_SATURATED = 0.01  # a sigmoid nearer than this to 0 or 1 has less than 4 % of its largest slope


@dataclass(frozen=True)
class FullBatchVariant:
    """One way of training: the cost over the batch, the learning rate, what pixels are divided by."""

    name: str
    cost: Literal["sum", "mean"]
    eta: float
    pixels: float = 1.0


FULL_BATCH_VARIANTS = (
    FullBatchVariant("as written: summed gradient, eta 0.01", "sum", 0.01),
    FullBatchVariant("summed gradient, eta 0.001", "sum", 0.001),
    FullBatchVariant("averaged gradient, eta 0.01", "mean", 0.01),
    FullBatchVariant("averaged gradient, eta 0.1", "mean", 0.1),
    FullBatchVariant("as written, pixels divided by 16", "sum", 0.01, pixels=16.0),
)


@dataclass(frozen=True)
class Descent:
    """How a variant went: training accuracy after each of ``steps``, test accuracy at the end."""

    variant: FullBatchVariant
    steps: tuple[int, ...]
    accuracy: NDArray[np.float64]
    test: float


def full_batch_descents(
    notes: Notebook,
    variants: Sequence[FullBatchVariant] = FULL_BATCH_VARIANTS,
    steps: int = _STEPS,
) -> list[Descent]:
    """Train every variant from the script's own weights; full-batch steps, penalty 0.01."""
    points = tuple(sorted({0, *(round(s) for s in np.geomspace(1, steps, 13))}))
    by_name: dict[str, Descent] = {}
    alike = sorted(variants, key=lambda v: (v.cost, v.pixels))
    for _, group in groupby(alike, key=lambda v: (v.cost, v.pixels)):
        together = list(group)
        path = _train(notes, together, points)
        x, y = notes.dataset.x / together[0].pixels, notes.dataset.y
        rows, others = notes.split.train, notes.split.test
        train = np.array([accuracies(notes.network, w, x[rows], y[rows]) for w in path])
        test = accuracies(notes.network, path[-1], x[others], y[others])
        for k, variant in enumerate(together):
            by_name[variant.name] = Descent(variant, points, train[:, k], float(test[k]))
    return [by_name[variant.name] for variant in variants]


def _train(
    notes: Notebook, variants: Sequence[FullBatchVariant], points: Sequence[int]
) -> tuple[Weights, ...]:
    first, rows = variants[0], notes.split.train
    plan = Plan(
        initial=notes.weights,
        order=np.tile(rows, points[-1])[None].astype(np.int32),
        bounds=np.arange(points[-1] + 1) * len(rows),
        checkpoints=tuple(points),
    )
    fit = NumPyBackend().train(
        notes.dataset.x / first.pixels,
        notes.dataset.y,
        notes.network,
        Training(cost=first.cost, dtype="float64"),
        Cells.of([v.eta for v in variants], _LMBD),
        plan,
    )
    return fit.path


def saturated_share(notes: Notebook, pixels: float = 1.0) -> float:
    """The share of hidden activations that are within 0.01 of 0 or 1 before any training."""
    x = notes.dataset.x[notes.split.train] / pixels
    a = forward(x, notes.network, notes.weights.W, [b[:, None] for b in notes.weights.b])[1]
    return float((np.minimum(a, 1 - a) < _SATURATED).mean())


def draw_full_batch_descent(descents: Sequence[Descent]) -> Figure:
    """Training accuracy over steps, a line a variant."""
    frame = Frame(width=5.4, height=2.6, left=0.72, right=2.9, top=0.3, bottom=0.5)
    figure, (axis,) = panels(1, 1, frame)
    colours = ("#cf222e", "#3b6fb6", "#8c959f", "#2da44e", "#d9730d")
    for descent, colour in zip(descents, colours, strict=False):
        axis.plot(
            np.maximum(descent.steps, 0.6),
            descent.accuracy,
            color=colour,
            marker="o",
            ms=3,
            label=descent.variant.name,
        )
    axis.axhline(0.1, color="#57606a", lw=0.8, ls=":", label="guessing")
    axis.set_xscale("log")
    last = descents[0].steps[-1]
    ticks = [t for t in (1, 10, 100, 1000) if t <= last]
    axis.set_xticks([0.6, *ticks], ["0", *map(str, ticks)])
    axis.minorticks_off()
    axis.set_ylim(0, 1.03)
    axis.set_xlabel("steps, each on all training images")
    axis.set_ylabel("accuracy on the training part")
    axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def full_batch_descent_exhibit() -> Section:
    """The notes' first training, and what it takes to make it work."""
    notes = notebook()
    descents = full_batch_descents(notes)
    samples = len(notes.split.train)
    table = pd.DataFrame(
        {
            "training": [d.variant.name for d in descents],
            "effective eta": [
                d.variant.eta * (samples if d.variant.cost == "sum" else 1) for d in descents
            ],
            "old training accuracy": [f"{d.accuracy[0]:.4f}" for d in descents],
            f"after {descents[0].steps[-1]} steps": [f"{d.accuracy[-1]:.4f}" for d in descents],
            "test accuracy": [f"{d.test:.4f}" for d in descents],
        }
    )
    written, working = descents[0], descents[3]
    raw, scaled = saturated_share(notes), saturated_share(notes, pixels=16.0)
    return Section(
        "The training that fails",
        summary="The gradient added up over the images overshoots, and the network guesses; averaged, with "
        f"eta 0.1, it reaches {shown_score(working.test, 'accuracy')} on the test part.",
        text=[
            f"The script takes {_STEPS} steps with all {samples} images at eta = lmbd = 0.01. Accuracy on "
            f"the training part was {written.accuracy[0]} before and is {written.accuracy[-1]:.4f} "
            "after: guessing.",
            f"The code adds up the gradient over the images, where the formulas average it. Averaged, "
            f"this is a learning rate of 0.01 x {samples} = {0.01 * samples:.2f}; every step overshoots. "
            "With the gradient averaged and eta 0.1 the same network reaches "
            f"{shown_score(working.accuracy[-1], 'accuracy')} on the training part and "
            f"{shown_score(working.test, 'accuracy')} on the test part.",
            f"Raw pixels up to 16 make it worse: with weights from N(0, 1) "
            f"{100 * raw:.0f} % of the hidden activations lie within {_SATURATED:g} of 0 or 1 from the "
            "start, where the sigmoid has next to no slope "
            f"({100 * scaled:.0f} % with pixels divided by 16). Dividing the pixels alone does not "
            "rescue it.",
        ],
        tables=[Table(table, "One thing changed at a time")],
        pictures=[
            Picture(
                "full-batch",
                partial(draw_full_batch_descent, descents),
                "Full-batch descent from the script's own weights.",
                "Lines of training accuracy over 1000 steps: the one as written stays at chance, others "
                "rise.",
            )
        ],
    )
