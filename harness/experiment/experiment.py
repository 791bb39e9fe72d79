"""The experiment: what to run, said once and validated once.

An :class:`Experiment` is everything that can change a result. How it is carried out (worker processes,
where the folder lies) is not part of it and lives in :mod:`harness.experiment.execution`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from backends.settings import Activation, InitialBias, InitialWeights, Minibatches, Optimizer
from harness.errors import InputError, unknown
from harness.experiment.presets import PRESETS
from harness.experiment.setting import (
    CONVENTIONS,
    DATA,
    GRID,
    NETWORK,
    REPEATS,
    WHAT,
    CommaSeparated,
    Settings,
    Switch,
    name_here,
    setting,
    unknown_setting,
)

if TYPE_CHECKING:
    from backends.network import Network, Training

POWERS_OF_TEN = (1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)  # of the notes' grid
_SHOWN = 6  # numbers of a list that an error message repeats


def parse_numbers(text: str) -> list[float]:
    """The numbers of a grid axis from ``1e-3,1e-2`` or from a log range ``first:last:count``."""
    parts = [part.strip() for part in text.split(",")]
    if any(re.fullmatch(r"[+-]?0\d+", part) for part in parts):
        raise InputError(
            f"found {text!r}; decimals have a point ({text.replace(',', '.', 1)}), commas part numbers"
        )
    try:
        if ":" not in text:
            return [float(part) for part in parts if part]
        first, last, number = text.split(":")
        return _log_range(float(first), float(last), int(number))
    except ValueError:
        raise InputError(
            f"found {text!r}; allowed: a list such as 1e-3,1e-2 or a log range first:last:count such "
            "as 1e-5:1e1:7"
        ) from None


def _log_range(first: float, last: float, number: int) -> list[float]:
    """Numbers from first to last, each the same multiple of the one before, to 12 digits."""
    import numpy as np  # which takes longer to import than everything else that reads settings

    if min(first, last) <= 0 or number < 1 or not np.isfinite([first, last]).all():
        raise ValueError
    return [float(f"{value:.12g}") for value in np.geomspace(first, last, number)]


def _axis(value: Any) -> Any:
    if isinstance(value, int | float):
        return [value]
    if not isinstance(value, str | list | tuple):
        return value
    parts = [value] if isinstance(value, str) else value
    numbers = [parse_numbers(part) if isinstance(part, str) else [part] for part in parts]
    return [number for part in numbers for number in part]


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    repeated = sorted({v for v in values if values.count(v) > 1})
    if repeated:
        more = ", ..." if len(repeated) > _SHOWN else ""
        some = ", ".join(f"{v:g}" for v in repeated[:_SHOWN]) + more
        raise InputError(f"{some} given more than once; allowed: each number once")
    return values


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class Recipe(Settings):
    """What may differ from backend to backend under a preset: network, optimiser, objective, draws.

    Where ``draws`` are the notebook's, ``shared_stream`` says which of this backend's draws come off
    the one stream (the others from generators of their own), and ``drawn_before`` what was drawn
    between the split and its grid: ``BACKEND weights``, ``BACKEND network`` or ``BACKEND grid``.
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], CommaSeparated] = setting(
        (50,),
        "Units of the hidden layers, such as 100,50.",
        NETWORK,
        shown="50",
        metavar="UNITS",
        min_length=1,
    )
    activation: Activation = setting("sigmoid", "Of the hidden layers: {choices}.", NETWORK)
    optimizer: Optimizer = setting("sgd", "{choices}.", GRID)
    momentum: float = setting(0.0, "Momentum of sgd.", GRID, ge=0, lt=1)
    nesterov: Switch = setting(False, "Nesterov's form of the momentum.", GRID)
    epochs: int = setting(100, "Passes through the training part.", GRID, ge=1)
    batch_size: int = setting(100, "Samples in a minibatch.", GRID, ge=1)
    keep_last_batch: Switch = setting(
        False,
        "Keep an epoch's short last minibatch instead of dropping it.",
        GRID,
        flag="--keep-last-batch/--drop-last-batch",
    )
    cost: Literal["mean", "sum"] = setting(
        "mean", "Of a minibatch: {choices} of its samples' cost.", CONVENTIONS
    )
    penalty_factor: float = setting(
        1.0, "The penalty's gradient is this times lmbd W.", CONVENTIONS, ge=0
    )
    penalty_per_sample: Switch = setting(
        False,
        "Divide the penalty by the samples of the minibatch.",
        CONVENTIONS,
        flag="--penalty-per-sample/--penalty-once",
    )
    penalised: Literal["all", "hidden"] = setting(
        "all", "Weights with a penalty: {choices} layers'.", CONVENTIONS
    )
    minibatches: Minibatches = setting(
        "permutation",
        "{choices}: the samples in a new order each epoch, the last order shuffled again, or each "
        "minibatch drawn for itself.",
        CONVENTIONS,
    )
    initial_weights: InitialWeights = setting("glorot_uniform", "{choices}.", CONVENTIONS)
    weight_scale: float = setting(
        1.0, "Factor of Glorot's limit, or the normal's width.", CONVENTIONS, gt=0
    )
    initial_bias: InitialBias = setting(
        0.0,
        "A number, or as_weights: drawn like the weights.",
        CONVENTIONS,
        allowed="a finite number, or as_weights",
        metavar="BIAS",
    )
    patience: int | None = setting(
        None,
        "Stop after more epochs in a row without a lower objective. Default: never.",
        CONVENTIONS,
        ge=1,
    )
    tol: float = setting(0.0, "What counts as lower, for --patience.", CONVENTIONS, ge=0)
    dtype: Literal["float32", "float64"] = setting("float32", "{choices}.", GRID)
    shared_stream: Annotated[tuple[Literal["weights", "minibatches"], ...], CommaSeparated] = (
        setting(
            ("weights", "minibatches"),
            "What is drawn off the one stream of --draws notebook.",
            CONVENTIONS,
            shown="weights,minibatches",
            metavar="DRAWS",
        )
    )
    drawn_before: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\S+ (weights|network|grid)$")], ...], CommaSeparated
    ] = setting(
        (),
        "What that stream gave between split and grid, such as 'numpy weights'.",
        CONVENTIONS,
        allowed="BACKEND weights, BACKEND network or BACKEND grid",
        metavar="DRAWS",
    )

    @model_validator(mode="after")
    def _optimizer_uses_what_is_given(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise InputError(
                f"momentum: found {self.momentum:g} with optimizer {self.optimizer}; "
                "allowed: only with sgd"
            )
        if self.nesterov and not self.momentum:
            raise InputError("nesterov: needs a momentum above 0, found momentum 0")
        if self.tol and self.patience is None:
            raise InputError(f"tol: found {self.tol:g} without patience; allowed: only with it")
        return self


class Experiment(Recipe):
    """Everything that can change a result. Immutable; compare two with ``==``.

    ``draws``: with ``seed`` every repeat has a split, weights and minibatches drawn from seeds of
    their own, the same for all cells; with ``notebook`` one legacy random stream runs through split,
    weights and minibatches of all cells, one after the other (see :mod:`harness.data.notebook_stream`).
    ``validation_size`` 0: no part for validation, the test part stands in for it. What is not given is
    the preset's. Raises :class:`~harness.errors.InputError`, one line on the first fault.
    """

    preset: str = setting(
        "fair", f"Table of settings to start from: {', '.join(PRESETS)}.", WHAT, metavar="NAME"
    )
    backends: Annotated[tuple[str, ...], CommaSeparated, AfterValidator(_once)] = setting(
        ("all",),
        "Backends: names, comma-separated or repeated, package.module:Class, or all.",
        WHAT,
        flag="--backend",
        metavar="NAMES",
        shown="all",
        min_length=1,
    )
    overrides: dict[str, dict[str, Any]] = setting(
        {},
        "A setting of one backend, such as keras.hidden=100,50. Repeatable; overrides.BACKEND in a file.",
        WHAT,
        flag="--override",
        metavar="BACKEND.SETTING=VALUE",
        shown="",
        allowed="tables of settings by backend",
    )
    dataset: str = setting(
        "digits",
        "digits, iris, wine, breast_cancer, diabetes, openml:NAME, or a CSV, Parquet or NPZ file.",
        DATA,
        metavar="DATA",
    )
    target: str | None = setting(
        None, "Target column of a file or OpenML set.", DATA, metavar="COLUMN"
    )
    task: Literal["classification", "regression"] = setting("classification", "{choices}.", DATA)
    test_size: float = setting(0.2, "Share of all samples held out for the test.", DATA, gt=0, lt=1)
    validation_size: float = setting(
        0.2, "Share of the rest held out to choose the best cell.", DATA, ge=0, lt=1
    )
    scale: Literal["none", "standard", "minmax"] = setting(
        "none", "{choices}, fitted on the training part; real targets too.", DATA
    )
    eta: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(_axis), AfterValidator(_distinct)
    ] = setting(
        POWERS_OF_TEN,
        "Learning rates: a list, or a log range first:last:count.",
        GRID,
        shown="1e-5:1e1:7",
        metavar="NUMBERS",
        min_length=1,
    )
    lmbd: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_axis), AfterValidator(_distinct)
    ] = setting(
        POWERS_OF_TEN,
        "L2 strengths: a list, or a log range.",
        GRID,
        shown="1e-5:1e1:7",
        metavar="NUMBERS",
        min_length=1,
    )
    draws: Literal["seed", "notebook"] = setting(
        "seed",
        "{choices}: seeds of their own for each repeat, or one legacy stream through all cells.",
        CONVENTIONS,
    )
    seed: int = setting(0, "Of split, initial weights and minibatch order.", REPEATS, ge=0)
    folds: int | None = setting(
        None,
        "K-fold cross-validation: repeat r tests on fold r mod K, of K repeats if not said otherwise.",
        REPEATS,
        ge=2,
        metavar="K",
    )
    repeats: int = setting(1, "Trainings of every cell, each with draws of its own.", REPEATS, ge=1)
    vary: Literal["initialisation", "split"] = setting(
        "initialisation",
        "What a repeat varies: {choices}; with initialisation the split is fixed.",
        REPEATS,
    )

    @model_validator(mode="before")
    @classmethod
    def _over_the_preset(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        name = given.get("preset", "fair")
        if name not in PRESETS:
            raise unknown("preset", str(name), PRESETS)
        settings = layered(PRESETS[name].settings, given)
        if settings.get("folds") not in (None, "none"):
            settings.setdefault("repeats", settings["folds"])  # each fold tests once
        return settings

    @model_validator(mode="after")
    def _overrides_are_recipes(self) -> Self:
        for backend, changes in self.overrides.items():
            _is_backend(backend, self.backends)
            for key in changes:
                if key not in Recipe.model_fields:
                    raise _no_override(backend, key)
            try:
                recipe = self.recipe(backend)
            except InputError as error:
                raise InputError(f"overrides.{backend}: {error}") from None
            # as a file holds them: what came as text or as a tuple is the same setting
            self.overrides[backend] = {
                key: _as_kept(getattr(recipe, key)) if isinstance(value, str | tuple) else value
                for key, value in changes.items()
            }
        return self

    @model_validator(mode="after")
    def _draws_use_what_is_given(self) -> Self:
        notebook = self.draws == "notebook"
        if notebook and self.folds is not None:
            raise InputError(f"folds: found {self.folds}; allowed: none, where draws is notebook")
        if notebook and self.seed >= 2**32:
            raise InputError(
                f"seed: found {self.seed}; allowed: below 2**32, where draws is notebook"
            )
        if self.drawn_before and not notebook:
            raise InputError("drawn_before: only where draws is notebook, found draws seed")
        if (
            self.folds is not None
            and self.test_size != Experiment.model_fields["test_size"].default
        ):
            raise InputError(
                f"test_size: found {self.test_size:g} with folds {self.folds}; allowed: one of them, "
                "because each fold is the test part in turn"
            )
        return self

    def recipe(self, backend: str) -> Recipe:
        """What one backend is to do: the common settings with this backend's own over them."""
        common = {name: getattr(self, name) for name in Recipe.model_fields}
        return Recipe(**(common | self.overrides.get(backend, {})))

    def network(self, backend: str, features: int, classes: int) -> Network:
        """The network of one backend for this many features and classes (0 classes: regression)."""
        from backends.network import Network

        recipe = self.recipe(backend)
        if classes:
            return Network.classifier(features, recipe.hidden, classes, recipe.activation)
        return Network.regressor(features, recipe.hidden, recipe.activation)

    def training(self, backend: str) -> Training:
        """Optimiser and objective of one backend."""
        from backends.network import Training

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
    """An experiment from settings by name, which may be written with - or _ as in a file."""
    return Experiment(**{key.replace("-", "_"): value for key, value in given.items()})


def experiment_kept(settings: Mapping[str, Any]) -> Experiment:
    """An experiment from its own settings, as a run folder keeps them: none of them is the preset's."""
    nothing = {name: None for name, f in Experiment.model_fields.items() if f.default is None}
    return Experiment(**{**nothing, "overrides": {}, **settings})


def layered(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of two layers, the upper over the lower.

    What the upper gives for all backends wins over what the lower gives to one. Settings of one backend
    add to each other.
    """
    below, own = lower.get("overrides", {}), upper.get("overrides", {})
    for wrong in (layer for layer in (own, below) if not _are_tables(layer)):
        return {**lower, **upper, "overrides": wrong}  # which validation refuses
    overrides = {
        backend: {key: value for key, value in changes.items() if key not in upper}
        for backend, changes in below.items()
    }
    for backend, changes in own.items():
        overrides[backend] = {**overrides.get(backend, {}), **changes}
    both = {**lower, **upper}
    return both | {"overrides": overrides} if "overrides" in both else both


def _are_tables(overrides: Any) -> bool:
    return isinstance(overrides, Mapping) and all(
        isinstance(changes, Mapping) for changes in overrides.values()
    )


def parse_overrides(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Settings by backend from texts such as ``keras.hidden=100,50``."""
    overrides: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        backend, _, name = place.rpartition(".")
        name = name.strip().replace("-", "_")
        if not (equals and backend):
            raise InputError(f"override: found {text!r}; allowed: BACKEND.SETTING=VALUE")
        if name in overrides.setdefault(backend, {}):
            raise InputError(f"override: {backend}.{name} given more than once; allowed: once")
        overrides[backend][name] = value.strip()
    return overrides


def _no_override(backend: str, key: str) -> InputError:
    """The error for a setting that one backend cannot have for itself."""
    ours = name_here(key)
    if ours in Experiment.model_fields and ours not in Recipe.model_fields:
        return InputError(
            f"overrides.{backend}: {ours} is the same for all backends, found {key!r}; allowed: "
            f"{', '.join(Recipe.model_fields)}"
        )
    return unknown_setting(key, Recipe.model_fields, f"overrides.{backend}")


def _as_kept(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_backend(name: str, chosen: Iterable[str]) -> None:
    """Raise :class:`InputError` for a name that no backend has, chosen, built in or installed."""
    if name in chosen:
        return
    from backends.registry import known

    names = list(dict.fromkeys([*known(), *(other for other in chosen if other != "all")]))
    if name not in names:
        raise unknown("overrides", name, names)
