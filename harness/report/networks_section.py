"""Networks and libraries, and the conventions by which each library is told the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from harness.document.section import Section, Table
from harness.experiment.recipe import Recipe
from harness.report.runs import Material
from harness.results.result import Result

# quantities of the tables of conventions that only some runs have a use for; all others every run has
_NEEDED: dict[str, Callable[[Recipe, Result], bool]] = {
    "Adam": lambda recipe, result: recipe.optimizer == "adam",
    "Adam epsilon": lambda recipe, result: recipe.optimizer == "adam",
    "rmsprop, adagrad": lambda recipe, result: recipe.optimizer in ("rmsprop", "adagrad"),
    "momentum": lambda recipe, result: recipe.optimizer == "sgd" and recipe.momentum > 0,
    "l1": lambda recipe, result: recipe.l1 > 0,
    "schedule": lambda recipe, result: recipe.schedule != "constant",
    "stopping": lambda recipe, result: recipe.patience is not None,
    "short last minibatch": lambda recipe, result: recipe.keep_last_batch,
    "leaky_relu slope": lambda recipe, result: "leaky_relu" in recipe.activation,
    "two classes": lambda recipe, result: len(result.manifest["dataset"].get("classes") or []) == 2,
    "float64": lambda recipe, result: recipe.dtype == "float64",
    "float64 on PyTorch and JAX": lambda recipe, result: recipe.dtype == "float64",
    "momentum, beta_1, beta_2, epsilon in float64": lambda recipe, result: (
        recipe.dtype == "float64" and (recipe.momentum > 0 or recipe.optimizer != "sgd")
    ),
}

# settings that only a preset which copies another program changes
_CONVENTIONAL = (
    *("cost", "penalty_factor", "penalty_per_sample", "penalised", "minibatches"),
    *("initial_weights", "weight_scale", "initial_bias", "patience"),
)


def networks_section(material: Material) -> Section:
    """Networks, parameter counts and libraries, and how each library is told the canonical quantities."""
    rows = []
    here: dict[str, dict[str, str]] = {}
    defaults: dict[str, dict[str, str]] = {}
    needed: set[str] = set()
    for side in material.sides:
        about = side.result.manifest["backends"].get(side.backend, {})
        stacks, place = about.get("stacks"), about.get("place", side.backend)
        rows.append(
            {
                "backend": side.label,
                **({"stands for": place} if place != side.backend else {}),
                "network": about.get("network"),
                "parameters": about.get("parameters"),
                "library": about.get("library"),
                "version": about.get("version"),
                "trains cells": None if stacks is None else ("stacked" if stacks else "one by one"),
                **({"on": about["gpus"][0]} if about.get("gpus") else {}),
            }
        )
        if side.result is material.results[0]:
            recipe = side.result.experiment.recipe(side.backend)
            for told in about.get("conventions", []):
                if told["quantity"] not in _NEEDED or _NEEDED[told["quantity"]](
                    recipe, side.result
                ):
                    needed.add(told["quantity"])
                here.setdefault(told["quantity"], {})[side.backend] = told["here"]
                defaults.setdefault(told["quantity"], {})[side.backend] = told["default"]
    tables = [Table(pd.DataFrame(rows, dtype=object), "Networks and libraries", name="networks")]
    if here:
        caption = (
            "Conventions: how the canonical quantities reach each library. The numbers of this report are of "
            "what stands here, ours included; each library as its own documentation teaches it is the stock "
            "program, which parity --stock judges"
        )
        if any(_departs(side.result.experiment.recipe(side.backend)) for side in material.sides):
            caption += "; where the fixed hyperparameters above depart from them, those hold"
        of_use = [quantity for quantity in here if quantity in needed]
        others = [quantity for quantity in here if quantity not in needed]
        tables.append(Table(_by_quantity(here, of_use), caption, name="conventions"))
        tables.append(
            Table(
                _by_quantity(defaults, of_use),
                "What each library does by itself",
                True,
                "library-defaults",
            )
        )
        if others:
            words = f"Conventions that this run has no use for ({len(others)})"
            tables.append(Table(_by_quantity(here, others), words, True, "other-conventions"))
    return Section("Networks and conventions", tables=tables)


def _by_quantity(words: Mapping[str, Mapping[str, str]], quantities: Sequence[str]) -> pd.DataFrame:
    """Words by quantity and backend as a table: these quantities down, backends across."""
    backends = dict.fromkeys(backend for row in words.values() for backend in row)
    return pd.DataFrame(
        [
            {"quantity": quantity, **{backend: row.get(backend) for backend in backends}}
            for quantity, row in ((quantity, words[quantity]) for quantity in quantities)
        ],
        dtype=object,
    )


def _departs(recipe: Recipe) -> bool:
    """Whether a backend trains on another objective or other draws than the canonical ones."""
    canonical = Recipe()
    return any(getattr(recipe, key) != getattr(canonical, key) for key in _CONVENTIONAL)
