"""Universal approximation: one hidden layer of growing width, fitted to a sine and to a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from backends.formulas import predict
from backends.network import Array, Cells, Network, Training, Weights
from backends.numpy_backend import NumPyBackend
from backends.plan import Plan
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table

_WIDTHS = (1, 2, 4, 8, 16, 32)
_WIDTHS_DRAWN = (1, 4, 32)
_POINTS = 200
_STEPS = 3000
_STARTS = 4  # initial weights tried for each width
_ETA = 0.1
# standard deviation of a hidden unit's weight and bias, so that units differ on -1 .. 1
_STEEPNESS = 5.0

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sine": lambda x: np.sin(2 * np.pi * x),
    "step": lambda x: np.sign(x),
}


@dataclass(frozen=True)
class Approximation:
    """The best fit of one width to one function: values on x, and the root mean squared error."""

    target: str
    width: int
    x: Array
    truth: Array
    fit: Array

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean((self.fit - self.truth) ** 2)))


def approximation(
    target: str, width: int, steps: int = _STEPS, starts: int = _STARTS
) -> Approximation:
    """Fit a 1-width-1 sigmoid network to a function on -1 .. 1 by Adam; the best of several starts."""
    x = np.linspace(-1, 1, _POINTS)[:, None]
    y = _FUNCTIONS[target](x[:, 0])
    network = Network.regressor(1, [width], "sigmoid")
    rng = np.random.default_rng(0)
    plan = Plan(
        initial=Weights(
            (
                rng.normal(0, _STEEPNESS, (starts, 1, width)),
                rng.normal(0, 1 / np.sqrt(width), (starts, width, 1)),
            ),
            (rng.normal(0, _STEEPNESS, (starts, width)), np.zeros((starts, 1))),
        ),
        order=np.tile(np.arange(_POINTS), (starts, steps)),
        bounds=np.arange(steps + 1) * _POINTS,
        checkpoints=(steps,),
    )
    training = Training(optimizer="adam", dtype="float64")
    cells = Cells.of(_ETA, 0.0, list(range(starts)))
    weights = NumPyBackend().train(x, y, network, training, cells, plan).weights
    fits = predict(x, network, weights)[..., 0]
    best = int(np.square(fits - y).mean(axis=1).argmin())
    return Approximation(target, width, x[:, 0], y, fits[best])


def draw_universal_approximation(approximations: Sequence[Approximation]) -> Figure:
    """Some fits of each function, and the error over the width."""
    frame = Frame(width=2.9, height=2.1, left=0.66, right=0.2, top=0.42, bottom=0.5)
    figure, axes = panels(3, 3, frame)
    colours = dict(zip(_WIDTHS_DRAWN, ("#8c959f", "#3b6fb6", "#d9730d"), strict=True))
    for axis, target in zip(axes, _FUNCTIONS, strict=False):
        fits = [f for f in approximations if f.target == target]
        axis.plot(fits[0].x, fits[0].truth, color="#24292f", lw=2.6, alpha=0.35, label="function")
        for fit in fits:
            if fit.width in colours:
                units = "unit" if fit.width == 1 else "units"
                label = f"{fit.width} {units}"
                axis.plot(fit.x, fit.fit, color=colours[fit.width], lw=1.4, label=label)
        axis.set_title(target)
        axis.set_xlabel("x")
        axis.set_ylim(-1.7, 1.7)
    axes[0].legend(frameon=False, fontsize=8, ncols=2, loc="lower left", columnspacing=1.0)
    error = axes[2]
    for target, colour in zip(_FUNCTIONS, ("#2da44e", "#8250df"), strict=True):
        fits = [f for f in approximations if f.target == target]
        error.plot(
            [f.width for f in fits], [f.rmse for f in fits], "o-", color=colour, label=target
        )
    error.set_xscale("log", base=2)
    error.set_yscale("log")
    widths = sorted({f.width for f in approximations})
    error.set_xticks(widths, [str(w) for w in widths])
    error.set_title("error over width")
    error.set_xlabel("hidden units")
    error.set_ylabel("root mean squared error")
    error.legend(frameon=False, fontsize=8.5)
    return figure


def universal_approximation_exhibit() -> Section:
    """Every width fitted to every function."""
    fits = [approximation(target, width) for target in _FUNCTIONS for width in _WIDTHS]
    table = pd.DataFrame({"hidden units": [str(w) for w in _WIDTHS]})
    for target in _FUNCTIONS:
        table[f"RMSE, {target}"] = [f"{f.rmse:.2e}" for f in fits if f.target == target]
    return Section(
        "Universal approximation",
        summary="More units fit a sine fast, and a step, which is not continuous, only slowly.",
        text=[
            "One hidden layer of enough units comes as near as one likes to any continuous function on "
            "a bounded interval (Cybenko 1989; Hornik 1991). The theorem promises that the weights "
            "exist, not that training finds them.",
            f"Here a layer of sigmoid units with one linear output is fitted to {_POINTS} points on "
            f"-1 .. 1 by {_STEPS} steps of Adam, the best of {_STARTS} starts. The sine's error falls "
            "fast with the width. The step is not continuous: a single unit has its shape, but only "
            "weights without bound would make it steep enough, and its error falls slowly.",
        ],
        tables=[Table(table, "Error by width")],
        pictures=[
            Picture(
                "universal-approximation",
                partial(draw_universal_approximation, fits),
                "Fits by 1, 4 and 32 hidden units, and the error of every width.",
                "Two plots of functions with their fits and one of the error falling with the width.",
            )
        ],
    )
