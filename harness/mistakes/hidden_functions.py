"""Activation functions and their derivatives: the harness's own, and what they are mistaken for."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from scipy.special import erf, expit

from backends.formulas import ELU_ALPHA, LEAKY_SLOPE
from backends.network import Array

Function = Callable[[Array], Array]


def _gelu_slope(z: Array) -> Array:
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return cast(Array, 0.5 * (1 + erf(z / np.sqrt(2))) + z * density)


def _leaky(slope: float) -> tuple[Function, Function]:
    return (lambda z: np.where(z > 0, z, slope * z), lambda z: np.where(z > 0, 1.0, slope))


def _tanh_gelu(z: Array) -> Array:
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def _tanh_gelu_slope(z: Array) -> Array:
    inner = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    widening = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return cast(Array, 0.5 * (1 + np.tanh(inner)) + 0.5 * z * widening / np.cosh(inner) ** 2)


_SELU, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer and others 2017

# as TensorFlow and Keras hold it, whatever the dtype
IN_SINGLE = "leaky_relu with the slope rounded to float32"

# f and f' by name, both as functions of z; for relu and its kin f'(0) is the left derivative
HIDDEN_FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": _leaky(LEAKY_SLOPE),
    "elu": (
        lambda z: np.where(z > 0, z, ELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1.0, ELU_ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "selu": (
        lambda z: _SELU * np.where(z > 0, z, _SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: _SELU * np.where(z > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "gelu": (lambda z: 0.5 * z * (1 + erf(z / np.sqrt(2))), _gelu_slope),
    "gelu by tanh": (_tanh_gelu, _tanh_gelu_slope),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "softplus": (lambda z: np.logaddexp(0, z), expit),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "hard sigmoid": (
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda z: (np.abs(z) < 3) / 6,
    ),
    "relu6": (lambda z: np.clip(z, 0, 6), lambda z: ((z > 0) & (z < 6)) * 1.0),
    "leaky_relu with slope 0.1": _leaky(0.1),
    "leaky_relu with slope 0.2": _leaky(0.2),
    "leaky_relu with slope 0.3": _leaky(0.3),
    IN_SINGLE: _leaky(float(np.float32(LEAKY_SLOPE))),
    "relu with f'(0) = 1": (lambda z: np.maximum(z, 0), lambda z: (z >= 0) * 1.0),
}

# f' as libraries compute it, from a = f(z), where that loses digits: a lies within round-off of 1
_SLOPES_OF_A: dict[str, Function] = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
}


def slope_of(function: str, z: Array, a: Array) -> Array:
    """f'(z) of a hidden layer, as libraries compute it."""
    if function in _SLOPES_OF_A:
        return _SLOPES_OF_A[function](a)
    return HIDDEN_FUNCTIONS[function][1](z)


def leaky_relu_name(slope: float) -> str:
    """What leaky ReLU of a slope is called here."""
    return "leaky_relu" if slope == LEAKY_SLOPE else f"leaky_relu with slope {slope:g}"
