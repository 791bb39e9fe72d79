"""What is drawn for one network: initial weights and the order of its samples.

Both draw from a ``Generator`` or from a legacy ``RandomState``, which have these methods in common; from
the latter, with the same calls, come the numbers that older programs drew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backends.network import Array, Network
from backends.settings import InitialBias as InitialBias
from backends.settings import InitialWeights as InitialWeights
from backends.settings import Minibatches as Minibatches

Source = np.random.Generator | np.random.RandomState
Sources = tuple[Source, Source]


def sources_of(seed: int | np.random.SeedSequence | Sources) -> Sources:
    """Two independent generators, for the weights and for the order, without changing ``seed``."""
    if isinstance(seed, tuple):
        return seed
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    key = root.spawn_key
    weights, order = (
        np.random.default_rng(np.random.SeedSequence(root.entropy, spawn_key=(*key, child)))
        for child in (0, 1)
    )
    return weights, order


def draw_weights(
    network: Network,
    rng: Source,
    distribution: InitialWeights = "glorot_uniform",
    scale: float = 1.0,
    bias: InitialBias = 0.0,
) -> tuple[list[Array], list[Array]]:
    """Initial weight matrices (inputs, outputs) and biases (outputs,) of one network, float64.

    ``glorot_uniform``: uniform in +-scale * sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010,
    eq. 16); ``he_normal``: normal, standard deviation scale * sqrt(2 / inputs) (He et al. 2015, eq. 10),
    not truncated as Keras's; ``normal``: standard deviation ``scale``; ``truncated_normal``: the same,
    redrawn beyond two standard deviations. Biases all equal ``bias``, or are drawn ``as_weights``: each
    layer's after its weights, in the same way.
    """
    W: list[Array] = []
    b: list[Array] = []
    for inputs, outputs in network.shapes:
        shapes = [(inputs, outputs), (outputs,)] if bias == "as_weights" else [(inputs, outputs)]
        if distribution == "glorot_uniform":
            limit = scale * np.sqrt(6.0 / (inputs + outputs))
            drawn: list[Array] = [rng.uniform(-limit, limit, shape) for shape in shapes]
        else:
            width = scale * np.sqrt(2 / inputs) if distribution == "he_normal" else scale
            drawn = [
                width * _normal(rng, shape, distribution == "truncated_normal") for shape in shapes
            ]
        W.append(drawn[0])
        b.append(np.full(outputs, bias) if bias != "as_weights" else drawn[1])
    return W, b


def _normal(rng: Source, shape: tuple[int, ...], truncated: bool) -> Array:
    draw = np.asarray(rng.standard_normal(shape))
    while truncated and (outside := np.abs(draw) > 2).any():
        draw[outside] = rng.standard_normal(int(outside.sum()))
    return draw


def draw_order(
    pool: NDArray[np.integer],
    rng: Source,
    epochs: int,
    sizes: Sequence[int],
    minibatches: Minibatches,
) -> NDArray[np.int32]:
    """The rows of all minibatches, one after the other; ``sizes`` are those of an epoch's minibatches.

    ``permutation``: a new permutation of the pool each epoch. ``reshuffle``: each epoch shuffles the
    order of the epoch before, as scikit-learn does. ``independent``: every minibatch is drawn without
    replacement on its own, so an epoch may show a sample twice and another not at all.
    """
    pool = pool.astype(np.int32)
    if minibatches == "independent":
        draws = [rng.choice(pool, size, replace=False) for _ in range(epochs) for size in sizes]
        return np.concatenate(draws)
    epochs_rows, current, seen = [], pool.copy(), sum(sizes)
    for _ in range(epochs):
        if minibatches == "reshuffle":
            rng.shuffle(current)
        else:
            current = rng.permutation(pool)
        epochs_rows.append(current[:seen].copy())
    return np.concatenate(epochs_rows)
