"""The experiment: what to run, said once and validated once.

An :class:`Experiment` is everything that can change a result. How it is carried out (worker processes,
where the folder lies) is not part of it and lives in :mod:`harness.experiment.execution`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from backends.draws import InitialBias, InitialWeights, Minibatches
from backends.network import ACTIVATIONS, OPTIMIZERS, Activation, Network, Optimizer, Training
from harness.errors import InputError, unknown
from harness.experiment.presets import PRESETS

GRID = tuple(float(f"{value:.12g}") for value in np.logspace(-5, 1, 7))
SHOWN = 6  # numbers of a list that an error message repeats


def parse_numbers(text: str) -> list[float]:
    """The numbers of a grid axis from ``1e-3,1e-2`` or from a log range ``first:last:count``."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",") if part.strip()]
        first, last, count = text.split(":")
        ends = (float(first), float(last))
        if min(ends) <= 0 or int(count) < 1 or not all(map(math.isfinite, ends)):
            raise ValueError
        values = np.geomspace(*ends, int(count))
        return [float(f"{value:.12g}") for value in values]
    except ValueError:
        raise InputError(
            f"found {text!r}; allowed: a list such as 1e-3,1e-2 or a log range first:last:count such "
            "as 1e-5:1e1:7"
        ) from None


def _axis(value: Any) -> Any:
    if isinstance(value, str):
        return parse_numbers(value)
    return [value] if isinstance(value, int | float) else value


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    repeated = sorted({v for v in values if values.count(v) > 1})
    if repeated:
        raise ValueError(f"{_some(repeated)} given more than once; allowed: each number once")
    return values


def _etas(values: tuple[float, ...]) -> tuple[float, ...]:
    if wrong := [v for v in values if not (math.isfinite(v) and v > 0)]:
        raise ValueError(f"found {_some(wrong)}; allowed: finite numbers above 0")
    return _distinct(values)


def _lmbds(values: tuple[float, ...]) -> tuple[float, ...]:
    if wrong := [v for v in values if not (math.isfinite(v) and v >= 0)]:
        raise ValueError(f"found {_some(wrong)}; allowed: finite numbers, 0 or above")
    return _distinct(values)


def _some(values: list[float]) -> str:
    more = ", ..." if len(values) > SHOWN else ""
    return ", ".join(f"{v:g}" for v in values[:SHOWN]) + more


def _names(value: Any) -> Any:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str) for p in parts):
        return value
    names = [name.strip() for part in parts for name in part.split(",") if name.strip()]
    return list(dict.fromkeys(names))


def _sizes(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int) else value


Etas = Annotated[
    tuple[float, ...], BeforeValidator(_axis), AfterValidator(_etas), Field(min_length=1)
]
Lmbds = Annotated[
    tuple[float, ...], BeforeValidator(_axis), AfterValidator(_lmbds), Field(min_length=1)
]


class Recipe(BaseModel):
    """What may differ from backend to backend under a preset: network, optimiser, objective, draws.

    Where ``draws`` are the notebook's, ``shared_stream`` says which of this backend's draws come off
    the one stream (the others from generators of their own), and ``drawn_before`` what was drawn
    between the split and its grid: ``BACKEND weights``, ``BACKEND network`` or ``BACKEND grid``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_sizes), Field(min_length=1)
    ] = (50,)
    activation: Activation = "sigmoid"
    optimizer: Optimizer = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    epochs: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=1)] = 100
    keep_last_batch: bool = False
    cost: Literal["mean", "sum"] = "mean"
    penalty_factor: Annotated[float, Field(ge=0)] = 1.0
    penalty_per_sample: bool = False
    penalised: Literal["all", "hidden"] = "all"
    minibatches: Minibatches = "permutation"
    initial_weights: InitialWeights = "glorot_uniform"
    weight_scale: Annotated[float, Field(gt=0)] = 1.0
    initial_bias: InitialBias = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None
    tol: Annotated[float, Field(ge=0)] = 0.0
    dtype: Literal["float32", "float64"] = "float32"
    shared_stream: tuple[Literal["weights", "minibatches"], ...] = ("weights", "minibatches")
    drawn_before: tuple[Annotated[str, Field(pattern=r"^\S+ (weights|network|grid)$")], ...] = ()

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs a momentum above 0, found momentum 0")
        return self


class Experiment(Recipe):
    """Everything that can change a result. Immutable; compare two with ``==``.

    ``draws``: with ``seed`` every repeat has a split, weights and minibatches drawn from seeds of
    their own, the same for all cells; with ``notebook`` one legacy random stream runs through split,
    weights and minibatches of all cells, one after the other (see :mod:`harness.data.notebook_stream`).
    ``validation_size`` 0: no part for validation, the test part stands in for it.

    Raises :class:`~harness.errors.InputError` through :func:`experiment_from`; built directly, the
    constructor raises pydantic's ``ValidationError``, which is a ``ValueError`` as well.
    """

    preset: str = "fair"
    backends: Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1)] = ("all",)
    task: Literal["classification", "regression"] = "classification"
    dataset: str = "digits"
    target: str | None = None
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    validation_size: Annotated[float, Field(ge=0, lt=1)] = 0.2
    scale: Literal["none", "standard", "minmax"] = "none"
    eta: Etas = GRID
    lmbd: Lmbds = GRID
    draws: Literal["seed", "notebook"] = "seed"
    seed: Annotated[int, Field(ge=0)] = 0
    repeats: Annotated[int, Field(ge=1)] = 1
    vary: Literal["initialisation", "split"] = "initialisation"
    folds: Annotated[int, Field(ge=2)] | None = None
    overrides: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _overrides_are_recipes(self) -> Self:
        for backend, changes in self.overrides.items():
            wrong = [key for key in changes if key not in Recipe.model_fields]
            if wrong:
                raise unknown(f"overrides.{backend}", wrong[0], Recipe.model_fields)
            self.recipe(backend)
        return self

    @model_validator(mode="after")
    def _notebook_has_one_stream(self) -> Self:
        if self.draws == "notebook" and self.folds is not None:
            raise ValueError(f"folds: found {self.folds}; allowed: none, where draws is notebook")
        if self.draws == "notebook" and self.seed >= 2**32:
            raise ValueError(
                f"seed: found {self.seed}; allowed: below 2**32, where draws is notebook"
            )
        return self

    def recipe(self, backend: str) -> Recipe:
        """What one backend is to do: the common settings with this backend's own over them."""
        common = {name: getattr(self, name) for name in Recipe.model_fields}
        return Recipe(**(common | self.overrides.get(backend, {})))

    def network(self, backend: str, features: int, classes: int) -> Network:
        """The network of one backend for this many features and classes (0 classes: regression)."""
        recipe = self.recipe(backend)
        if classes:
            return Network.classifier(features, recipe.hidden, classes, recipe.activation)
        return Network.regressor(features, recipe.hidden, recipe.activation)

    def training(self, backend: str) -> Training:
        """Optimiser and objective of one backend."""
        recipe = self.recipe(backend)
        return Training(
            optimizer=recipe.optimizer,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            dtype=recipe.dtype,
            cost=recipe.cost,
            penalty_factor=recipe.penalty_factor,
            penalty_per_sample=recipe.penalty_per_sample,
            penalised=recipe.penalised,
            patience=recipe.patience,
            tol=recipe.tol,
        )

    @property
    def cells(self) -> list[tuple[float, float]]:
        """All pairs (eta, lmbd), lmbd running fastest."""
        return [(eta, lmbd) for eta in self.eta for lmbd in self.lmbd]

    @property
    def what_varies(self) -> str:
        """What differs between repeats, in words: what their spread is the spread of."""
        if self.folds:
            return f"initial weights, order and the test fold (of {self.folds})"
        if self.vary == "split":
            return "initial weights, order and the stratified split"
        return "initial weights and order; split fixed"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the scores; the first is the one that cells are chosen by."""
        return ("accuracy",) if self.task == "classification" else ("r2", "rmse")

    def differences(self, other: Experiment) -> dict[str, tuple[Any, Any]]:
        """The settings in which two experiments differ, as (mine, theirs)."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {k: (mine[k], theirs[k]) for k in mine if mine[k] != theirs[k]}

    def digest(self, *without: str) -> str:
        """A short hash of the settings, some of them left out."""
        settings = self.model_dump(mode="json", exclude=set(without))
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def experiment_from(given: Mapping[str, Any]) -> Experiment:
    """An experiment from settings by name, over those of its preset; faults as one clear line."""
    name = given.get("preset", "fair")
    if name not in PRESETS:
        raise unknown("preset", str(name), PRESETS)
    given = {key.replace("-", "_"): value for key, value in given.items()}
    for key in given:
        if key not in Experiment.model_fields:
            raise unknown("setting", key, Experiment.model_fields)
    settings = {**PRESETS[name].settings, **given}
    if "overrides" not in given and "overrides" in settings:
        # what is given for all backends wins over what the preset gives to one
        settings["overrides"] = {
            backend: {key: value for key, value in changes.items() if key not in given}
            for backend, changes in settings["overrides"].items()
        }
    try:
        return Experiment(**settings)
    except ValidationError as error:
        raise InputError(one_line(error)) from None


def one_line(error: ValidationError) -> str:
    """The first fault of a validation as one line: the setting, what was found, what is allowed."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    found, message, kind = first["input"], first["msg"], first["type"]
    choices = {"activation": ACTIVATIONS, "optimizer": OPTIMIZERS}
    if kind == "literal_error" and isinstance(found, str):
        allowed = choices.get(name) or first["ctx"]["expected"].replace("'", "").replace(
            " or ", ", "
        ).split(", ")
        return str(unknown(name, found, allowed))
    message = message.removeprefix("Value error, ")
    if kind == "value_error":
        return f"{name}: {message}" if name else message
    if kind == "too_short":
        return f"{name}: found nothing; allowed: at least one value"
    # pydantic goes on to say how it failed
    allowed = message.removeprefix("Input should be ").split(", unable to parse")[0]
    return f"{name}: found {found!r}; allowed: {allowed}"
