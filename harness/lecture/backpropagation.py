"""The four equations of back-propagation, checked against finite differences.

For one batch, with z^l = a^(l-1) W^l + b^l and a^l = f(z^l):

    (1)  delta^L = dC/da^L * f'(z^L)                    error of the output layer
    (2)  delta^l = (delta^(l+1) W^(l+1)^T) * f'(z^l)    error of a hidden layer
    (3)  dC/db^l = sum of delta^l over the samples
    (4)  dC/dW^l = a^(l-1)^T delta^l

where delta^l = dC/dz^l. The notes derive them for C = 1/2 sum (a^L - t)^2 with sigmoid outputs; with the
cross-entropy of a softmax (1) becomes delta^L = a^L - t, and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

Cost = Literal["squared error, sigmoid outputs", "cross-entropy, softmax outputs"]
COSTS: tuple[Cost, ...] = ("squared error, sigmoid outputs", "cross-entropy, softmax outputs")
SIZES = (4, 5, 6, 3)
SAMPLES = 7
STEP = (
    1e-5  # of the central difference; its error is of order STEP^2, round-off of order 1e-16 / STEP
)


@dataclass(frozen=True)
class Small:
    """A small network with sigmoid hidden layers on one batch; all arrays float64."""

    cost: Cost
    x: Array
    t: Array
    W: tuple[Array, ...]
    b: tuple[Array, ...]


@dataclass(frozen=True)
class Check:
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


def small(cost: Cost, sizes: Sequence[int] = SIZES, samples: int = SAMPLES, seed: int = 0) -> Small:
    """A network of random weights, inputs and one-hot targets."""
    rng = np.random.default_rng(seed)
    shapes = list(pairwise(sizes))
    return Small(
        cost,
        rng.normal(size=(samples, sizes[0])),
        np.eye(sizes[-1])[rng.integers(sizes[-1], size=samples)],
        tuple(rng.normal(size=shape) for shape in shapes),
        tuple(rng.normal(size=(1, outputs)) for _, outputs in shapes),
    )


def forward(net: Small, shift: Sequence[Array | float] | None = None) -> list[Array]:
    """Activations a^0 .. a^L; ``shift[l]`` is added to z^(l+1), to find out what C does."""
    last = len(net.W) - 1
    output = "softmax" if net.cost == COSTS[1] else "sigmoid"
    a = [net.x]
    for layer, (W, b) in enumerate(zip(net.W, net.b, strict=True)):
        z = a[-1] @ W + b + (shift[layer] if shift is not None else 0.0)
        a.append(ACTIVATE[output if layer == last else "sigmoid"](z))
    return a


def objective(net: Small, shift: Sequence[Array | float] | None = None) -> float:
    """C, summed over samples and outputs."""
    a = forward(net, shift)[-1]
    if net.cost == COSTS[0]:
        return float(0.5 * np.square(a - net.t).sum())
    return float(-(net.t * np.log(a)).sum())


def errors(net: Small) -> list[Array]:
    """delta^1 .. delta^L by equations (1) and (2)."""
    a = forward(net)
    delta: Array = a[-1] - net.t
    if net.cost == COSTS[0]:
        delta = times_derivative("sigmoid", a[-1], delta)
    found = [delta]
    for layer in reversed(range(1, len(net.W))):
        delta = times_derivative("sigmoid", a[layer], delta @ net.W[layer].T)
        found.insert(0, delta)
    return found


def gradients(net: Small) -> tuple[list[Array], list[Array]]:
    """dC/dW^l and dC/db^l by equations (3) and (4)."""
    a, delta = forward(net), errors(net)
    return (
        [a[layer].T @ d for layer, d in enumerate(delta)],
        [d.sum(axis=0, keepdims=True) for d in delta],
    )


def of_backend(net: Small) -> tuple[list[Array], list[Array]]:
    """The same gradients by the NumPy backend, which trains the grid; cross-entropy only."""
    sizes = (net.x.shape[1], *(W.shape[1] for W in net.W))
    network = Network.classifier(sizes[0], sizes[1:-1], sizes[-1])
    no_penalty = [np.zeros(())] * network.layers
    found = backend_gradients(forward(net), net.t, network, net.W, no_penalty, 1.0)
    return found[: network.layers], found[network.layers :]


def difference(function: Callable[[Array], float], at: Array) -> Array:
    """The gradient of a function at a point by central differences, entry by entry."""
    found = np.empty_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = STEP
        found[place] = (function(at + step) - function(at - step)) / (2 * STEP)
    return found


def checks(net: Small) -> list[Check]:
    """Every quantity of the four equations for one network."""
    dW, db = gradients(net)
    layers = range(len(net.W))
    found = []
    for layer, delta in enumerate(errors(net)):
        along = partial(_with_shift, net, layer)
        equation = 1 if layer == len(net.W) - 1 else 2
        measured = difference(along, np.zeros_like(delta))
        found.append(Check(net.cost, equation, f"delta^{layer + 1}", delta, measured))
    for layer in layers:
        along = partial(_with_bias, net, layer)
        measured = difference(along, net.b[layer])
        found.append(Check(net.cost, 3, f"dC/db^{layer + 1}", db[layer], measured))
    for layer in layers:
        along = partial(_with_weight, net, layer)
        measured = difference(along, net.W[layer])
        found.append(Check(net.cost, 4, f"dC/dW^{layer + 1}", dW[layer], measured))
    return sorted(found, key=lambda c: c.equation)


def _with_shift(net: Small, layer: int, value: Array) -> float:
    return objective(net, [value if k == layer else 0.0 for k in range(len(net.W))])


def _with_bias(net: Small, layer: int, value: Array) -> float:
    return objective(_replaced(net, layer, b=value))


def _with_weight(net: Small, layer: int, value: Array) -> float:
    return objective(_replaced(net, layer, W=value))


def _replaced(net: Small, layer: int, W: Array | None = None, b: Array | None = None) -> Small:
    weights, biases = list(net.W), list(net.b)
    weights[layer] = weights[layer] if W is None else W
    biases[layer] = biases[layer] if b is None else b
    return Small(net.cost, net.x, net.t, tuple(weights), tuple(biases))


def draw(found: Sequence[Check]) -> Figure:
    """Every entry by finite differences over the same by formula: all on the diagonal."""
    frame = Frame(width=3.4, height=3.0, left=0.72, right=0.25, top=0.42, bottom=0.5)
    costs = list(dict.fromkeys(c.cost for c in found))
    figure, axes = panels(len(costs), len(costs), frame)
    colours = {1: "#cf222e", 2: "#d9730d", 3: "#2da44e", 4: "#3b6fb6"}
    for axis, cost in zip(axes, costs, strict=True):
        mine = [c for c in found if c.cost == cost]
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
        axis.set_title(cost)
        axis.set_xlabel("by the equation")
        axis.set_ylabel("by finite differences")
    axes[0].legend(frameon=False, fontsize=8.5)
    return figure


def section() -> Section:
    """The exhibit."""
    found = [check for cost in COSTS for check in checks(small(cost))]
    table = pd.DataFrame(
        {
            "cost": [c.cost for c in found],
            "equation": [f"({c.equation})" for c in found],
            "quantity": [c.quantity for c in found],
            "entries": [c.formula.size for c in found],
            "largest relative deviation": [f"{c.error:.1e}" for c in found],
        }
    )
    sizes = "-".join(map(str, SIZES))
    net = small(COSTS[1])
    apart = max(
        float(np.abs(one - other).max())
        for ours, backend in zip(gradients(net), of_backend(net), strict=True)
        for one, other in zip(ours, backend, strict=True)
    )
    return Section(
        "The four equations of back-propagation",
        text=[
            f"Checked on a {sizes} network with {SAMPLES} samples: every quantity once by its equation "
            f"and once by moving one number by ±{STEP:g} and looking at the cost. delta is found by "
            f"moving z itself. The largest relative deviation is {max(c.error for c in found):.1e}; "
            "central differences in double precision promise about 1e-9.",
            f"For the cross-entropy, the gradients of the NumPy backend that trains the grid are the same "
            f"to {apart:.0e}.",
        ],
        code="\n".join(
            line.removeprefix("    ")
            for line in (__doc__ or "").splitlines()
            if line.startswith("    (")
        ),
        tables=[Table(table, "By equation and by finite differences", folded=True)],
        pictures=[
            Picture(
                "backpropagation",
                partial(draw, found),
                "Every entry of delta, dC/db and dC/dW by both ways.",
                "Two scatter plots in which all points lie on the diagonal.",
            )
        ],
    )
