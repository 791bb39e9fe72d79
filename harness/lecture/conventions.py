"""What the programs of a run differ in: their conventions side by side, read from their recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from harness.document.number_words import count
from harness.document.section import Section, Table
from harness.experiment.experiment import Experiment
from harness.experiment.recipe import Recipe
from harness.results.result import Result

_WEIGHTS = {
    "glorot_uniform": "Glorot uniform",
    "he_normal": "He normal",
    "normal": "N(0, 1)",
    "truncated_normal": "truncated N(0, 1)",
}
_OPTIMISERS = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
_MINIBATCHES = {
    "permutation": "a permutation an epoch",
    "reshuffle": "the last epoch's order, reshuffled",
    "independent": "n // B independent draws an epoch, each without replacement",
}


def _activation(recipe: Recipe) -> str:
    if not recipe.hidden:
        return "none"
    return recipe.activation if isinstance(recipe.activation, str) else ", ".join(recipe.activation)


def _cost(recipe: Recipe) -> str:
    return "sum over the minibatch" if recipe.cost == "sum" else "mean over the minibatch"


def _penalty(recipe: Recipe) -> str:
    factor = "" if recipe.penalty_factor == 1 else f"{recipe.penalty_factor:g} * "
    per = " / n" if recipe.penalty_per_sample else ""
    where = ", hidden layers only" if recipe.penalised == "hidden" else ""
    both = f"(lmbd * W + {recipe.l1:g} * sign(W))" if recipe.l1 else "lmbd * W"
    return f"{factor}{both}{per}{where}"


def _schedule(recipe: Recipe) -> str:
    if recipe.schedule == "inverse":
        return f"eta / (1 + {recipe.decay:g} epoch)"
    if recipe.schedule == "step":
        return f"times {recipe.decay:g} after each {count(recipe.decay_epochs, 'epoch')}"
    return "constant"


def _weights(recipe: Recipe) -> str:
    scale = "" if recipe.weight_scale == 1 else f", times {recipe.weight_scale:.3g}"
    return _WEIGHTS[recipe.initial_weights] + scale


def _biases(recipe: Recipe) -> str:
    return (
        "drawn as the weights"
        if recipe.initial_bias == "as_weights"
        else f"{recipe.initial_bias:g}"
    )


def _minibatches(recipe: Recipe) -> str:
    tail = "" if recipe.minibatches == "independent" else ", tail dropped"
    if recipe.keep_last_batch:
        tail = ", tail kept"
    return f"{_MINIBATCHES[recipe.minibatches]}, B = {recipe.batch_size}{tail}"


def _stopping(recipe: Recipe) -> str:
    if recipe.patience is None:
        return "no"
    if recipe.watches_validation:
        return (
            f"when {recipe.patience} epochs lower the validation loss by less than {recipe.tol:g}"
        )
    return f"when more than {recipe.patience} epochs gain less than {recipe.tol:g}"


def _randomness(recipe: Recipe) -> str:
    if not recipe.shared_stream:
        return "generators of its own"
    if len(recipe.shared_stream) == 2:
        return "the notebook's stream" + (", after the NumPy grid" if _after_grid(recipe) else "")
    (shared,) = recipe.shared_stream
    return f"the notebook's stream for {shared}, one of its own for the rest"


def _after_grid(recipe: Recipe) -> bool:
    return any(what.endswith(" grid") for what in recipe.drawn_before)


_CONVENTIONS: dict[str, Callable[[Recipe], str]] = {
    "hidden layers": lambda recipe: ", ".join(map(str, recipe.hidden)) or "none",
    "activation": _activation,
    "cost": _cost,
    "gradient of the penalty": _penalty,
    "optimiser": lambda recipe: _OPTIMISERS[recipe.optimizer],
    "schedule of eta": _schedule,
    "initial weights": _weights,
    "initial biases": _biases,
    "minibatches": _minibatches,
    "stops early": _stopping,
    "precision": lambda recipe: recipe.dtype,
    "random numbers": _randomness,
}


def conventions(experiment: Experiment, backends: Sequence[str]) -> pd.DataFrame:
    """A row for each convention, a column for each backend."""
    recipes = {name: experiment.recipe(name) for name in backends}
    frame = pd.DataFrame({"convention": list(_CONVENTIONS)})
    for name, recipe in recipes.items():
        frame[name] = [word(recipe) for word in _CONVENTIONS.values()]
    return frame


def conventions_section(result: Result) -> Section:
    """The table of the run's programs, for a report."""
    return Section(
        "What differs between the programs",
        text=[
            "The notes' programs look like one network written in several libraries. They differ in all "
            "of this:"
        ],
        tables=[Table(conventions(result.experiment, result.backends))],
    )
