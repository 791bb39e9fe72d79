"""The notebook's random stream: one legacy RandomState that runs through everything in turn.

A notebook seeds NumPy once, at its top. What a cell draws then depends on all that was drawn before: the
pictures it shows, the split, every network trained until there. :class:`NotebookStream` draws in that
order, so that a plan holds the numbers the notebook had, and each network of a grid has its own.

Of a backend's recipe two settings concern this file alone: ``shared_stream`` says which of its draws come
off the stream, ``drawn_before`` what was drawn between the split and its grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.draws import Sources, draw_weights, sources_of
from backends.network import Cells, Fit, Network, Weights
from backends.plan import Plan
from harness.data.recipe_plan import draw_recipe
from harness.errors import InputError
from harness.experiment.experiment import Experiment
from harness.experiment.recipe import Recipe

PICTURES = 5  # random samples that the notebook shows before it splits


class NotebookStream:
    """The stream of one repeat, at first just after the split.

    ``counts`` are the data set's samples, features and classes. ``train``, ``validation`` and ``test`` are
    row numbers in the order of the split, which minibatches refer to; without a part for validation that
    is the test part once more. ``pictures`` are those of the samples that the notebook shows before it.
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
        self.validation: NDArray[np.intp]
        self.test: NDArray[np.intp]
        rest, self.test = train_test_split(
            samples, test_size=experiment.test_size, random_state=self.rng
        )
        held = round(experiment.validation_size * len(rest))
        self.train, validation = np.split(rest, [len(rest) - held])
        self.validation = validation if held else self.test
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

    def wind(self, backend: str) -> None:
        """Draw, and throw away, what came between the split and this backend's grid."""
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
                draw_recipe(recipe, network, self.train, [(self.rng, self.rng)], rounded=False)

    def plan(self, backend: str, cells: Sequence[int], epochs: int | None = None) -> Plan:
        """The next networks, a stream of the plan for each cell; ``epochs`` if not the recipe's."""
        recipe = self.experiment.recipe(backend)
        if epochs is not None:
            recipe = recipe.model_copy(update={"epochs": epochs})
        sources = [self._sources(recipe, cell) for cell in cells]
        plan = draw_recipe(recipe, self._network(backend), self.train, sources, rounded=False)
        return replace(plan, validation=self.validation) if recipe.watches_validation else plan

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


def draws_in_turn(experiment: Experiment, backend: str) -> bool:
    """Whether what is drawn for one cell depends on when the training of the cell before stopped."""
    recipe = experiment.recipe(backend)
    return (
        experiment.draws == "notebook"
        and recipe.patience is not None
        and "minibatches" in recipe.shared_stream
    )


def notebook_plan(
    experiment: Experiment,
    counts: tuple[int, int, int],
    backend: str,
    repeats: Sequence[int],
    cells: range,
) -> Plan:
    """The plan of some cells of some repeats, each repeat's stream wound forward to them.

    Where cells draw in turn it is the first cell's: the others' are known once that one has stopped.
    """
    in_turn = draws_in_turn(experiment, backend)
    plans = []
    for repeat in repeats:
        stream = NotebookStream(experiment, counts, repeat)
        stream.wind(backend)
        for cell in range(cells.start):  # drawn and thrown away
            stream.plan(backend, [cell])
        plans.append(stream.plan(backend, cells[:1] if in_turn else cells))
    return Plan.concatenate(plans)


def train_in_turn(
    train: Callable[[Cells, Plan], Fit],
    stream: NotebookStream,
    backend: str,
    cells: Cells,
    checkpoints: Sequence[int],
) -> Fit:
    """Train the grid's cells one after the other, each on what the stream holds after the last.

    A network that stops early leaves the rest of its draws to the next one. ``stream`` must stand at
    the split; checkpoints are numbers of steps.
    """
    stream.wind(backend)
    epochs = stream.experiment.recipe(backend).epochs
    fits = []
    for cell, (eta, lmbd) in enumerate(zip(cells.eta, cells.lmbd, strict=True)):
        before = stream.state
        plan = stream.plan(backend, [cell])
        fit = train(Cells.of(float(eta), float(lmbd)), plan.at(checkpoints))
        fits.append(fit)
        taken = (fit.steps or (plan.steps,))[0] * epochs // plan.steps
        if taken < epochs:
            stream.state = before
            stream.plan(backend, [cell], epochs=taken)
    path = tuple(Weights.concatenate(point) for point in zip(*(f.path for f in fits), strict=True))
    return Fit(path, tuple(step for fit in fits for step in fit.steps or ()) or None)
