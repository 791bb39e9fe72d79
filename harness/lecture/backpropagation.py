"""The four equations of back-propagation, checked against finite differences.

They are written out in :data:`EQUATIONS`, where delta^l = dC/dz^l. The notes derive them for
C = 1/2 sum (a^L - t)^2 with sigmoid outputs; with the cross-entropy of a softmax (1) becomes
delta^L = a^L - t, and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from backends.formulas import ACTIVATE, times_derivative
from backends.network import Array, Network
from backends.numpy_backend import gradients as backend_gradients
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table

# for one batch, with z^l = a^(l-1) W^l + b^l and a^l = f(z^l)
EQUATIONS = """\
(1)  delta^L = dC/da^L * f'(z^L)                    error of the output layer
(2)  delta^l = (delta^(l+1) W^(l+1)^T) * f'(z^l)    error of a hidden layer
(3)  dC/db^l = sum of delta^l over the samples
(4)  dC/dW^l = a^(l-1)^T delta^l"""

Cost = Literal["squared error", "cross-entropy"]
OUTPUT_OF_COST: dict[Cost, str] = {"squared error": "sigmoid", "cross-entropy": "softmax"}

_SIZES = (4, 5, 6, 3)
_SAMPLES = 7
# of the central difference; its error is of order _STEP^2, round-off of order 1e-16 / _STEP
_STEP = 1e-5


@dataclass(frozen=True)
class SmallNetwork:
    """A network with sigmoid hidden layers and one batch of samples; all arrays float64.

    b: (1, units) a layer, or (samples, units), a bias of each sample's own.
    """

    cost: Cost
    x: Array
    t: Array
    W: tuple[Array, ...]
    b: tuple[Array, ...]


@dataclass(frozen=True)
class EquationCheck:
    """One quantity of one equation, by the formula and by finite differences."""

    cost: Cost
    equation: int
    quantity: str
    formula: Array
    difference: Array

    @property
    def error(self) -> float:
        """The largest deviation, over the quantity's largest size."""
        size = float(np.abs(self.formula).max())
        return float(np.abs(self.formula - self.difference).max()) / size


def small_network(cost: Cost, seed: int = 0) -> SmallNetwork:
    """A network of random weights, inputs and one-hot targets."""
    rng = np.random.default_rng(seed)
    shapes = list(pairwise(_SIZES))
    return SmallNetwork(
        cost,
        rng.normal(size=(_SAMPLES, _SIZES[0])),
        np.eye(_SIZES[-1])[rng.integers(_SIZES[-1], size=_SAMPLES)],
        tuple(rng.normal(size=shape) for shape in shapes),
        tuple(rng.normal(size=(1, outputs)) for _, outputs in shapes),
    )


def forward_pass(net: SmallNetwork) -> list[Array]:
    """Activations a^0 .. a^L, (samples, units) each."""
    last = len(net.W) - 1
    a = [net.x]
    for layer, (W, b) in enumerate(zip(net.W, net.b, strict=True)):
        activation = OUTPUT_OF_COST[net.cost] if layer == last else "sigmoid"
        a.append(ACTIVATE[activation](a[-1] @ W + b))
    return a


def objective(net: SmallNetwork) -> float:
    """C, summed over samples and outputs."""
    a = forward_pass(net)[-1]
    if net.cost == "squared error":
        return float(0.5 * np.square(a - net.t).sum())
    return float(-(net.t * np.log(a)).sum())


def layer_errors(net: SmallNetwork) -> list[Array]:
    """delta^1 .. delta^L by equations (1) and (2)."""
    a = forward_pass(net)
    error: Array = a[-1] - net.t
    if net.cost == "squared error":
        error = times_derivative("sigmoid", a[-1], error)
    delta = [error]
    for layer in reversed(range(1, len(net.W))):
        error = times_derivative("sigmoid", a[layer], error @ net.W[layer].T)
        delta.insert(0, error)
    return delta


def gradients_by_equations(net: SmallNetwork) -> tuple[list[Array], list[Array]]:
    """dC/dW^l and dC/db^l by equations (3) and (4)."""
    a, delta = forward_pass(net), layer_errors(net)
    return (
        [a[layer].T @ d for layer, d in enumerate(delta)],
        [d.sum(axis=0, keepdims=True) for d in delta],
    )


def gradients_by_backend(net: SmallNetwork) -> tuple[list[Array], list[Array]]:
    """The same gradients by the NumPy backend, which trains the grid; cross-entropy only."""
    sizes = (net.x.shape[1], *(W.shape[1] for W in net.W))
    network = Network.classifier(sizes[0], sizes[1:-1], sizes[-1])
    no_penalty = [np.zeros(())] * network.layers
    both = backend_gradients(forward_pass(net), net.t, network, net.W, no_penalty, 1.0)
    return both[: network.layers], both[network.layers :]


def central_difference(function: Callable[[Array], float], at: Array) -> Array:
    """The gradient of a function at a point by central differences, entry by entry."""
    slope = np.empty_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = _STEP
        slope[place] = (function(at + step) - function(at - step)) / (2 * _STEP)
    return slope


def check_equations(net: SmallNetwork) -> list[EquationCheck]:
    """Every quantity of the four equations for one network."""
    (dW, db), delta = gradients_by_equations(net), layer_errors(net)
    checks = []
    for layer, (W, b) in enumerate(zip(net.W, net.b, strict=True)):
        number = layer + 1
        first = 1 if number == len(net.W) else 2
        own = np.repeat(b, len(net.x), axis=0)  # to move one sample's bias is to move its z
        for equation, quantity, formula, difference in (
            (first, f"delta^{number}", delta[layer], _moved(net, "b", layer, own)),
            (3, f"dC/db^{number}", db[layer], _moved(net, "b", layer, b)),
            (4, f"dC/dW^{number}", dW[layer], _moved(net, "W", layer, W)),
        ):
            checks.append(EquationCheck(net.cost, equation, quantity, formula, difference))
    return sorted(checks, key=lambda check: check.equation)


def _moved(net: SmallNetwork, name: Literal["W", "b"], layer: int, at: Array) -> Array:
    """dC by central differences, with W or b of one layer moved about ``at``."""
    values = net.W if name == "W" else net.b

    def objective_at(value: Array) -> float:
        moved = (*values[:layer], value, *values[layer + 1 :])
        return objective(replace(net, W=moved) if name == "W" else replace(net, b=moved))

    return central_difference(objective_at, at)


def draw_backpropagation(checks: Sequence[EquationCheck]) -> Figure:
    """Every entry by finite differences over the same by formula: all on the diagonal."""
    frame = Frame(width=3.4, height=3.0, left=0.72, right=0.25, top=0.42, bottom=0.5)
    costs = list(dict.fromkeys(c.cost for c in checks))
    figure, axes = panels(len(costs), len(costs), frame)
    colours = {1: "#cf222e", 2: "#d9730d", 3: "#2da44e", 4: "#3b6fb6"}
    for axis, cost in zip(axes, costs, strict=True):
        mine = [c for c in checks if c.cost == cost]
        ends = [min(c.formula.min() for c in mine), max(c.formula.max() for c in mine)]
        axis.plot(ends, ends, color="#d0d7de", lw=3, zorder=0)
        for equation, colour in colours.items():
            own = [c for c in mine if c.equation == equation]
            axis.scatter(
                np.concatenate([c.formula.ravel() for c in own]),
                np.concatenate([c.difference.ravel() for c in own]),
                s=12,
                color=colour,
                label=f"equation {equation}",
            )
        axis.set_title(f"{cost}, {OUTPUT_OF_COST[cost]} outputs")
        axis.set_xlabel("by the equation")
        axis.set_ylabel("by finite differences")
    axes[0].legend(frameon=False, fontsize=8.5)
    return figure


def backpropagation_exhibit() -> Section:
    """The four equations, and how far each is from finite differences."""
    checks = [check for cost in OUTPUT_OF_COST for check in check_equations(small_network(cost))]
    table = pd.DataFrame(
        {
            "cost": [f"{c.cost}, {OUTPUT_OF_COST[c.cost]} outputs" for c in checks],
            "equation": [f"({c.equation})" for c in checks],
            "quantity": [c.quantity for c in checks],
            "entries": [c.formula.size for c in checks],
            "largest relative deviation": [f"{c.error:.1e}" for c in checks],
        }
    )
    sizes = "-".join(map(str, _SIZES))
    net = small_network("cross-entropy")
    apart = max(
        float(np.abs(one - other).max())
        for ours, backend in zip(
            gradients_by_equations(net), gradients_by_backend(net), strict=True
        )
        for one, other in zip(ours, backend, strict=True)
    )
    return Section(
        "The four equations of back-propagation",
        summary="By equation and by finite differences every quantity is the same to "
        f"{max(c.error for c in checks):.1e}.",
        text=[
            f"Checked on a {sizes} network with {_SAMPLES} samples: every quantity once by its equation "
            f"and once by moving one number by ±{_STEP:g} and looking at the cost. delta is found by "
            f"moving z itself. The largest relative deviation is {max(c.error for c in checks):.1e}; "
            "central differences in double precision promise about 1e-9.",
            f"For the cross-entropy, the gradients of the NumPy backend that trains the grid are the same "
            f"to {apart:.0e}.",
        ],
        code=EQUATIONS,
        tables=[Table(table, "By equation and by finite differences", folded=True)],
        pictures=[
            Picture(
                "backpropagation",
                partial(draw_backpropagation, checks),
                "Every entry of delta, dC/db and dC/dW by both ways.",
                "Two scatter plots in which all points lie on the diagonal.",
            )
        ],
    )
