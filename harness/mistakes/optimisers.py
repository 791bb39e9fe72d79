"""Update rules of one tensor: the harness's own, and others that they are mistaken for.

Each takes the gradient g, what it remembers of this tensor, the training's settings, eta and the number
of the step t (from 1), and gives what is to be taken off the tensor, and the new memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backends.network import Array, Training

Remembered = dict[str, Array]
Memory = dict[str, Remembered]  # by the tensor's name
Optimiser = Callable[[Array, Remembered, Training, float, int], tuple[Array, Remembered]]


def gradient_descent(
    g: Array, kept: Remembered, training: Training, eta: float, t: int
) -> tuple[Array, Remembered]:
    """eta g; with momentum -v, where v = m v - eta g, or, Nesterov, eta g - m v."""
    m = training.momentum
    if not m:
        return eta * g, kept
    v = m * kept.get("v", 0.0) - eta * g
    return (eta * g - m * v if training.nesterov else -v), {"v": v}


def velocity_before(
    g: Array, kept: Remembered, training: Training, eta: float, t: int
) -> tuple[Array, Remembered]:
    """Momentum as in :func:`gradient_descent`, but what comes off is -v of the step before."""
    v = kept.get("v", np.zeros_like(g))
    return -v, {"v": training.momentum * v - eta * g}


def damped(
    g: Array, kept: Remembered, training: Training, eta: float, t: int
) -> tuple[Array, Remembered]:
    """PyTorch's momentum with dampening = m: eta v, where v = g at first, then m v + (1 - m) g."""
    m = training.momentum
    v = m * kept["v"] + (1 - m) * g if "v" in kept else g
    return (eta * (g + m * v) if training.nesterov else eta * v), {"v": v}


def velocity_without_eta(dampening: float = 0.0) -> Optimiser:
    """PyTorch's momentum: v = g at first, then m v + (1 - dampening) g; off come eta v, or eta (g + m v).

    The same as :func:`gradient_descent` for a constant eta and no dampening.
    """

    def optimiser(
        g: Array, kept: Remembered, training: Training, eta: float, t: int
    ) -> tuple[Array, Remembered]:
        m = training.momentum
        if not m:
            return eta * g, kept
        v = m * kept["v"] + (1 - dampening) * g if "v" in kept else g
        return (eta * (g + m * v) if training.nesterov else eta * v), {"v": v}

    return optimiser


def adam(
    g: Array, kept: Remembered, training: Training, eta: float, t: int
) -> tuple[Array, Remembered]:
    """Kingma and Ba 2015, epsilon beside the uncorrected root, as in :class:`backends.network.Training`."""
    return _adam(g, kept, training, eta, t)


def _adam(
    g: Array,
    kept: Remembered,
    training: Training,
    eta: float,
    t: int,
    *,
    first: bool = True,
    second: bool = True,
    form: str = "",
    later: int = 0,
) -> tuple[Array, Remembered]:
    """Adam and its variations: ``first`` and ``second`` moment corrected, for t + ``later`` steps."""
    beta_1, beta_2, epsilon = training.beta_1, training.beta_2, training.epsilon
    start = g if form == "moments start at g" else np.zeros_like(g)
    squared = g * g if form == "moments start at g" else np.zeros_like(g)
    m = beta_1 * kept.get("m", start) + (1 - beta_1) * g
    v = beta_2 * kept.get("v", squared) + (1 - beta_2) * g * g
    kept = {"m": m, "v": v} | {k: kept[k] for k in kept if k == "largest"}
    steps = max(t + later, 0)
    if form in ("corrected in float32", "amsgrad of Keras"):
        beta_1, beta_2 = float(np.float32(beta_1)), float(np.float32(beta_2))
    correct_1 = 1 - beta_1**steps if first else 1.0
    correct_2 = 1 - beta_2**steps if second else 1.0
    if form in ("amsgrad", "amsgrad of Keras"):
        v = kept["largest"] = np.maximum(kept.get("largest", 0.0), v)
    if form == "nadam":
        m = beta_1 * m + (1 - beta_1) * g
    if form == "corrected root":
        root = np.sqrt(v / correct_2) + epsilon
    elif form == "amsgrad of torch":
        top = kept["largest"] = np.maximum(kept.get("largest", 0.0), v)
        root = np.sqrt(top / correct_2) + epsilon
    elif form == "inside the root":
        root = np.sqrt(v / correct_2 + epsilon)
    else:
        root = (np.sqrt(v) + epsilon) / np.sqrt(correct_2)
    return eta / correct_1 * m / root, kept


def adam_as(form: str = "", **changes: bool | int) -> Optimiser:
    """A variation of Adam as an optimiser."""

    def optimiser(
        g: Array, kept: Remembered, training: Training, eta: float, t: int
    ) -> tuple[Array, Remembered]:
        return _adam(g, kept, training, eta, t, form=form, **changes)  # type: ignore[arg-type]

    return optimiser


def scaled_as(form: str = "", start: float = 0.0) -> Optimiser:
    """RMSprop and Adagrad, as :class:`backends.network.Training` has them, and their variations.

    ``start``: of v. ``form``: ``inside the root``, where epsilon is; ``centred``: the mean of g squared is
    taken off v, as PyTorch's centered=True does.
    """

    def optimiser(
        g: Array, kept: Remembered, training: Training, eta: float, t: int
    ) -> tuple[Array, Remembered]:
        keep, share = training.squares
        v = keep * kept.get("v", np.full_like(g, start)) + share * g * g
        m = keep * kept.get("m", 0.0) + share * g
        under = v - m * m if form == "centred" else v
        if form == "inside the root":
            root = np.sqrt(under + training.epsilon)
        else:
            root = np.sqrt(np.maximum(under, 0.0)) + training.epsilon
        return eta * g / root, {"v": v, "m": m} if form == "centred" else {"v": v}

    return optimiser


def adamax(
    g: Array, kept: Remembered, training: Training, eta: float, t: int
) -> tuple[Array, Remembered]:
    """Kingma and Ba 2015, algorithm 2: the largest gradient in place of the root of v."""
    m = training.beta_1 * kept.get("m", 0.0) + (1 - training.beta_1) * g
    u = np.maximum(training.beta_2 * kept.get("u", 0.0), np.abs(g))
    return eta / (1 - training.beta_1**t) * m / (u + training.epsilon), {"m": m, "u": u}


UPDATE_RULES: dict[str, Optimiser] = {
    "sgd": gradient_descent,
    "adam": adam,
    "rmsprop": scaled_as(),
    "adagrad": scaled_as(),
}
