"""The plan that a recipe asks for: initial weights and minibatches, drawn from seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backends.draws import Sources
from backends.memory import NotEnoughMemory
from backends.network import Network
from backends.plan import Plan
from harness.errors import InputError
from harness.experiment.recipe import Recipe


def draw_recipe(
    recipe: Recipe,
    network: Network,
    rows: NDArray[np.integer],
    seeds: Sequence[int | np.random.SeedSequence | Sources],
    *,
    rounded: bool = True,
) -> Plan:
    """The plan that a recipe asks for, one stream for every seed (see :meth:`Plan.draw`).

    :class:`~harness.errors.InputError` for one that this machine could not hold.
    """
    try:
        return Plan.draw(
            network,
            rows,
            seeds,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            keep_last_batch=recipe.keep_last_batch,
            minibatches=recipe.minibatches,
            initial_weights=recipe.initial_weights,
            weight_scale=recipe.weight_scale,
            initial_bias=recipe.initial_bias,
            dtype=recipe.dtype,
            rounded=rounded,
        )
    except NotEnoughMemory as error:
        raise InputError(str(error)) from None


def repeat_seeds(seed: int, repeats: Sequence[int]) -> list[np.random.SeedSequence]:
    """The seeds of some repeats; each depends on (seed, repeat) alone."""
    return [np.random.SeedSequence(seed, spawn_key=(repeat,)) for repeat in repeats]
