"""Vanishing and exploding gradients: the gradient's norm by layer and depth, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backends.draws import InitialWeights, draw_weights
from backends.formulas import forward, targets
from backends.network import Activation, Array, Network
from backends.numpy_backend import gradients
from harness.document.canvas import Frame, panels
from harness.document.section import Picture, Section, Table
from harness.lecture.notebook import notebook

_ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh", "relu", "elu")
_WEIGHTS: dict[InitialWeights, str] = {"normal": "N(0, 1)", "glorot_uniform": "Glorot"}
_DEPTHS = (1, 2, 4, 6, 8, 10)
_WIDTH = 50
_BATCH = 200
_WEIGHT_DRAWS = 10


@dataclass(frozen=True)
class GradientNorms:
    """Gradient norms for one activation, kind of weights and number of hidden layers.

    norm[l] is the root mean square of dC/dW^(l+1) over its entries, the geometric mean over draws.
    """

    activation: Activation
    weights: InitialWeights
    depth: int
    norm: NDArray[np.float64]

    @property
    def first(self) -> float:
        """The norm in the first layer, farthest from the cost."""
        return float(self.norm[0])


def gradient_norms(
    x: Array,
    y: NDArray[np.int64],
    activation: Activation,
    weights: InitialWeights,
    depth: int,
    draws: int = _WEIGHT_DRAWS,
) -> GradientNorms:
    """The norms on one batch of inputs x (samples, features) and classes y from 0 to 9."""
    network = Network.classifier(x.shape[1], [_WIDTH] * depth, 10, activation)
    t = targets(y, network, "float64")
    no_penalty = [np.zeros(())] * network.layers
    rms = []
    for seed in range(draws):
        W, b = draw_weights(network, np.random.default_rng(seed), weights)
        a = forward(x, network, W, [bias[None] for bias in b])
        dW = gradients(a, t, network, W, no_penalty, 1 / len(x))[: network.layers]
        rms.append([np.sqrt(np.mean(g * g)) for g in dW])
    tiny = np.finfo(np.float64).tiny
    mean = np.exp(np.log(np.maximum(rms, tiny)).mean(axis=0))
    return GradientNorms(activation, weights, depth, mean)


def norms_by_depth(
    depths: Sequence[int] = _DEPTHS, draws: int = _WEIGHT_DRAWS, samples: int = _BATCH
) -> list[GradientNorms]:
    """Every activation, kind of weights and depth, on digits of mean 0 and variance 1 overall."""
    notes = notebook()
    rows = notes.split.train[:samples]
    x = notes.dataset.x[rows]
    x = (x - x.mean()) / x.std()
    return [
        gradient_norms(x, notes.dataset.y[rows], activation, weights, depth, draws)
        for weights in _WEIGHTS
        for activation in _ACTIVATIONS
        for depth in depths
    ]


def draw_vanishing_gradients(norms: Sequence[GradientNorms]) -> Figure:
    """Above: norm by layer in the deepest network. Below: the first layer's norm against depth."""
    frame = Frame(width=3.9, height=2.1, left=0.8, right=0.2, top=0.42, bottom=0.5)
    figure, axes = panels(4, 2, frame)
    colours = dict(zip(_ACTIVATIONS, ("#3b6fb6", "#2da44e", "#d9730d", "#8250df"), strict=True))
    deepest = max(n.depth for n in norms)
    for column, (weights, name) in enumerate(_WEIGHTS.items()):
        by_layer, by_depth = axes[column], axes[2 + column]
        for activation, colour in colours.items():
            mine = [n for n in norms if n.weights == weights and n.activation == activation]
            deep = next(n for n in mine if n.depth == deepest)
            layers = range(1, len(deep.norm) + 1)
            line: dict[str, Any] = {"color": colour, "marker": "o", "ms": 3.5}
            line["ls"] = "--" if activation == "elu" else "-"  # it often covers relu's
            by_layer.plot(layers, deep.norm, label=activation, **line)
            by_depth.plot([n.depth for n in mine], [n.first for n in mine], **line)
        by_layer.set_yscale("log")
        by_depth.set_yscale("log")
        by_layer.set_title(f"{name} weights, {deepest} hidden layers")
        by_layer.set_xlabel("layer")
        by_depth.set_xlabel("hidden layers")
        by_layer.set_ylabel("rms of dC/dW")
        by_depth.set_ylabel("rms of dC/dW, first layer")
    axes[0].legend(frameon=False, fontsize=8.5)
    return figure


def vanishing_gradients_exhibit() -> Section:
    """How depth shrinks or blows up the first layer's gradient, by activation and initial weights."""
    norms = norms_by_depth()
    shallow, deep = min(_DEPTHS), max(_DEPTHS)
    first = {(n.weights, n.activation, n.depth): n.first for n in norms}
    last = {(n.weights, n.activation, n.depth): float(n.norm[-1]) for n in norms}
    kinds = [(weights, activation) for weights in _WEIGHTS for activation in _ACTIVATIONS]
    table = pd.DataFrame(
        {
            "weights": [_WEIGHTS[weights] for weights, _ in kinds],
            "activation": [activation for _, activation in kinds],
            f"first layer of {shallow} hidden": [f"{first[*k, shallow]:.1e}" for k in kinds],
            f"first layer of {deep} hidden": [f"{first[*k, deep]:.1e}" for k in kinds],
            f"last layer of {deep} hidden": [f"{last[*k, deep]:.1e}" for k in kinds],
        }
    )
    sigmoid = first["glorot_uniform", "sigmoid", shallow] / first["glorot_uniform", "sigmoid", deep]
    grown = {
        name: first["normal", name, deep] / first["normal", name, shallow] for name in _ACTIVATIONS
    }
    return Section(
        "Vanishing gradients",
        summary=f"Under sigmoids the first of {deep} hidden layers gets a gradient {sigmoid:.0e} times "
        f"smaller than with {shallow}; under tanh, ReLU and ELU it does not vanish.",
        text=[
            "Every layer that an error passes on its way back multiplies it by the weights and by f′. "
            f"Here: digits, {_WIDTH} units a layer, no training yet, {_WEIGHT_DRAWS} draws of weights; the "
            "norm is the root mean square of dC/dW.",
            f"Sigmoid with Glorot weights: with {deep} hidden layers the first one gets a gradient "
            f"{sigmoid:.0e} times smaller than with {shallow}, because f′ is at most 1/4. Under tanh, "
            "ReLU and ELU it stays within a factor of "
            f"{_largest_factor(first, deep, shallow):.0f}: Glorot weights were made for that.",
            "With N(0, 1), as the notes' own class draws them, the weights between hidden layers are "
            f"seven times larger. Gradients explode: {grown['relu']:.0e} times larger under ReLU and "
            f"ELU, {grown['tanh']:.0e} under tanh, where saturation holds against it. Only the "
            f"sigmoid's shrink, to {grown['sigmoid']:.0e} of what they were.",
        ],
        tables=[Table(table, "Root mean square of dC/dW")],
        pictures=[
            Picture(
                "vanishing-gradients",
                partial(draw_vanishing_gradients, norms),
                "Norms by layer in the deepest network, and in the first layer by depth.",
                "Four logarithmic plots of gradient norms for four activations and two kinds of weights.",
            )
        ],
    )


def _largest_factor(
    first: dict[tuple[InitialWeights, Activation, int], float], deep: int, shallow: int
) -> float:
    """The largest factor by which depth changes the first layer's gradient, Glorot, without sigmoid."""
    ratios = [
        first["glorot_uniform", name, shallow] / first["glorot_uniform", name, deep]
        for name in _ACTIVATIONS
        if name != "sigmoid"
    ]
    return max(max(r, 1 / r) for r in ratios)
