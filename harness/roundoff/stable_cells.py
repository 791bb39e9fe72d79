"""Which cells of a run round-off alone carries away, for each of its backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import pandas as pd

from harness.data.dataset import load_dataset
from harness.experiment.experiment import Experiment
from harness.roundoff.chaos_map import chaos_map
from harness.roundoff.trial import recipes

STABILITY_COLUMNS = ["backend", "eta", "lmbd", "difference", "chaotic"]
STABILITY_REPEATS = (
    3  # that are looked at, unless told otherwise: chaos is a matter of degree and of luck
)


def stability(
    experiment: Experiment,
    backends: Sequence[str],
    repeats: int | None = None,
    begin: Callable[[int, int], None] = lambda number, total: None,
) -> pd.DataFrame:
    """Each backend's cells: columns backend, eta, lmbd, difference, chaotic.

    ``difference`` is the largest relative distance of weights between a training and its twins, over
    the first repeats; ``chaotic`` whether any of them is. InputError if the data cannot be loaded.
    """
    return by_backend(chaos_maps(experiment, backends, repeats, begin))


def chaos_maps(
    experiment: Experiment,
    backends: Sequence[str],
    repeats: int | None = None,
    begin: Callable[[int, int], None] = lambda number, total: None,
) -> pd.DataFrame:
    """A chaos map of every recipe; ``recipe`` names the backends that have it.

    ``begin`` is told the number of each repeat's map, and how many there are, before it is made.
    The other columns are those of :mod:`harness.roundoff.chaos_map`.
    """
    dataset = load_dataset(experiment)
    numbers = range(min(experiment.repeats, repeats or STABILITY_REPEATS))
    maps = []
    groups = recipes(experiment, backends, dtypes=True)
    for k, (names, number) in enumerate(product(groups, numbers)):
        begin(k + 1, len(groups) * len(numbers))
        chaos = chaos_map(experiment, dataset, names[0], [number])
        maps.append(chaos.assign(recipe=", ".join(names)))
    return pd.concat(maps, ignore_index=True)


def by_backend(maps: pd.DataFrame) -> pd.DataFrame:
    """The worst of the repeats in every cell, for each backend of each recipe."""
    cells = maps.groupby(["recipe", "eta", "lmbd"], as_index=False, sort=False)
    worst = cells.agg(difference=("difference", "max"), chaotic=("chaotic", "max"))
    backends = worst["recipe"].str.split(", ")
    return worst.assign(backend=backends).explode("backend", ignore_index=True)[STABILITY_COLUMNS]
