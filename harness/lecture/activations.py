"""Activation functions and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from backends.formulas import ACTIVATE, LEAKY_SLOPE, times_derivative
from backends.network import Array
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section

FORMULAS = {  # title and formula of each
    "sigmoid": ("sigmoid", "1 / (1 + exp(−z))"),
    "step": ("step", "0 for z < 0, else 1"),
    "sine": ("sine", "sin z"),
    "relu": ("ReLU", "max(0, z)"),
    "tanh": ("tanh", "tanh z"),
    "leaky_relu": ("leaky ReLU", f"max({LEAKY_SLOPE:g} z, z)"),
    "elu": ("ELU", "z, below 0 exp z − 1"),
}


@dataclass(frozen=True)
class ActivationCurve:
    """An activation function f and its derivative on points z; arrays of the same shape."""

    name: str
    z: Array
    f: Array
    slope: Array


def activation_curve(name: str, z: Array) -> ActivationCurve:
    """One activation function on the points z (float64).

    The step's derivative is 0 wherever it has one, which is why back-propagation cannot train it.
    """
    if name == "step":
        return ActivationCurve(name, z, (z >= 0).astype(np.float64), np.zeros_like(z))
    if name == "sine":
        return ActivationCurve(name, z, np.sin(z), np.cos(z))
    f = ACTIVATE[name](z.copy())
    return ActivationCurve(name, z, f, times_derivative(name, f, np.ones_like(z)))


def draw_activations(curves: Sequence[ActivationCurve]) -> Figure:
    """A panel for each function, the derivative dashed."""
    frame = Frame(width=2.2, height=1.65, left=0.5, right=0.16, top=0.42, bottom=0.5)
    figure, axes = panels(len(curves), 4, frame)
    for axis, curve in zip(axes, curves, strict=True):
        title, formula = FORMULAS[curve.name]
        axis.axhline(0, color="#d0d7de", lw=0.8)
        axis.axvline(0, color="#d0d7de", lw=0.8)
        axis.plot(curve.z, curve.f, color="#3b6fb6", lw=1.8, label="f(z)")
        axis.plot(curve.z, curve.slope, color="#d9730d", lw=1.4, ls="--", label="f′(z)")
        axis.set_title(title)
        axis.set_title(formula, loc="right", fontsize=8.5, fontweight="normal")
        low, high = min(curve.f.min(), -0.15), min(curve.f.max(), 3.0)
        axis.set_ylim(low - 0.1 * (high - low), high + 0.15 * (high - low))
        axis.locator_params(axis="y", nbins=4)
        axis.tick_params(labelsize=8.5, length=2.5)
        axis.set_xlabel("z", fontsize=8.5)
    axes[0].legend(frameon=False, fontsize=8.5, loc="upper left")
    return figure


def activations_exhibit() -> Section:
    """Seven activation functions with their derivatives, and what their slopes mean."""
    z = np.linspace(-10, 10, 801)
    curves = [activation_curve(name, z) for name in FORMULAS]
    largest = {c.name: float(c.slope.max()) for c in curves}
    return Section(
        "Activation functions",
        summary="The slope decides how much of an error reaches the layers below: the sigmoid's is at most "
        f"{largest['sigmoid']:.2g}, tanh's {largest['tanh']:.2g}, ReLU's 0 or 1.",
        text=[
            "A unit passes the weighted sum z of its inputs through f. Back-propagation multiplies by "
            "f′ once for each layer, so the slope decides how much of an error reaches the layers "
            "below.",
        ],
        points=[
            f"The sigmoid's slope is at most {largest['sigmoid']:.2g}, and next to nothing beyond "
            f"|z| = 5; tanh has {largest['tanh']:.2g} at 0 and saturates as well.",
            "The step's slope is 0 wherever it exists: a perceptron of steps has no gradient to follow.",
            "ReLU passes the error on unchanged or not at all; leaky ReLU and ELU keep a slope below "
            "0, so a unit cannot go silent for good.",
            "The sine is not monotonic: many weights give the same output.",
        ],
        pictures=[
            Picture(
                "activations",
                partial(draw_activations, curves),
                "Seven activation functions (blue) and their derivatives (orange, dashed).",
                "Seven small plots of activation functions over z from -10 to 10 with their derivatives.",
            )
        ],
    )
