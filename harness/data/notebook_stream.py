"""The notebook's random stream: one legacy RandomState that runs through everything in turn.

A notebook seeds NumPy once, at its top. What a cell draws then depends on all that was drawn before: the
pictures it shows, the split, every network trained until there. :class:`NotebookStream` draws in that
order, so that a plan holds the numbers the notebook had, and each network of a grid has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.draws import Sources, draw_weights, sources_of
from backends.network import Network
from backends.plan import Plan
from harness.errors import InputError
from harness.experiment.experiment import Experiment, Recipe

PICTURES = 5  # random samples that the notebook shows before it splits


class NotebookStream:
    """The stream of one repeat, at first just after the split into ``train`` and ``test``.

    ``counts`` are the data set's samples, features and classes. ``train`` and ``test`` are row numbers in
    the order of the split, which minibatches refer to;
    ``pictures`` those of the samples that the notebook shows before it.
    Repeat 0 is the notebook; others go on with a stream of their own, from the start where the split
    varies and else from after it.
    """

    def __init__(
        self, experiment: Experiment, counts: tuple[int, int, int], repeat: int = 0
    ) -> None:
        from sklearn.model_selection import train_test_split

        self.experiment, self.counts, self.repeat = experiment, counts, repeat
        self.rng = np.random.RandomState(experiment.seed)
        other = np.random.RandomState([experiment.seed, repeat])
        if repeat and experiment.vary == "split":
            self.rng = other
        samples = np.arange(counts[0])
        self.pictures: NDArray[np.intp] = self.rng.choice(samples, size=PICTURES)
        self.train: NDArray[np.intp]
        self.test: NDArray[np.intp]
        self.train, self.test = train_test_split(
            samples, test_size=experiment.test_size, random_state=self.rng
        )
        if repeat and experiment.vary != "split":
            self.rng = other

    @property
    def state(self) -> dict[str, Any]:
        """Where the stream stands; set it to go back there."""
        state: dict[str, Any] = self.rng.get_state(legacy=False)
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.rng.set_state(state)

    def wind(self, backend: str, pool: NDArray[np.integer]) -> None:
        """Draw, and throw away, what came between the split and this backend's grid.

        pool: the rows that minibatches are drawn from.
        """
        for what in self.experiment.recipe(backend).drawn_before:
            name, _, kind = what.partition(" ")
            recipe, network = self.experiment.recipe(name), self._network(name)
            if kind == "weights":
                draw_weights(network, self.rng, recipe.initial_weights)
                continue
            if kind == "grid" and recipe.patience is not None:
                raise InputError(
                    f"drawn_before: found {what!r}; allowed: a grid whose draws do not depend on "
                    "when training stopped"
                )
            for _ in self.experiment.cells if kind == "grid" else [None]:
                draw_recipe(recipe, network, pool, [(self.rng, self.rng)], rounded=False)

    def skip(self, backend: str, pool: NDArray[np.integer], cells: Iterable[int]) -> None:
        """Draw the networks of these cells and throw them away."""
        for cell in cells:
            self.plan(backend, pool, [cell])

    def plan(
        self,
        backend: str,
        pool: NDArray[np.integer],
        cells: Sequence[int],
        epochs: int | None = None,
    ) -> Plan:
        """The next networks, a stream of the plan for each cell; ``epochs`` if not the recipe's."""
        recipe = self.experiment.recipe(backend)
        if epochs is not None:
            recipe = recipe.model_copy(update={"epochs": epochs})
        sources = [self._sources(recipe, cell) for cell in cells]
        return draw_recipe(recipe, self._network(backend), pool, sources, rounded=False)

    def _sources(self, recipe: Recipe, cell: int) -> Sources:
        own = sources_of(
            np.random.SeedSequence(self.experiment.seed, spawn_key=(self.repeat, cell))
        )
        return (
            self.rng if "weights" in recipe.shared_stream else own[0],
            self.rng if "minibatches" in recipe.shared_stream else own[1],
        )

    def _network(self, backend: str) -> Network:
        _, features, classes = self.counts
        return self.experiment.network(backend, features, classes)


def draw_recipe(
    recipe: Recipe,
    network: Network,
    rows: NDArray[np.integer],
    seeds: Sequence[int | np.random.SeedSequence | Sources],
    *,
    rounded: bool = True,
) -> Plan:
    """The plan that a recipe asks for, one stream for every seed (see :meth:`Plan.draw`)."""
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
