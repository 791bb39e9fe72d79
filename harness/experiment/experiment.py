"""The experiment: what to run, said once and validated once.

An :class:`Experiment` is everything that can change a result. How it is carried out (worker processes,
where the folder lies) is not part of it and lives in :mod:`harness.experiment.execution`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from backends.settings import name_here
from harness.errors import InputError, unknown
from harness.experiment.axes import POWERS_OF_TEN, axis_numbers, distinct_numbers
from harness.experiment.memory_data import MemoryData, dataset_name, with_target
from harness.experiment.overrides import layered
from harness.experiment.presets import PRESETS
from harness.experiment.recipe import Recipe, width_apart
from harness.experiment.setting import (
    CONVENTIONS,
    DATA,
    GRID,
    REPEATS,
    WHAT,
    CommaSeparated,
    Switch,
    comma_separated,
    setting,
    unknown_setting,
)
from harness.experiment.variants import place_of_backend, variant_places

if TYPE_CHECKING:
    import pandas as pd

    from backends.network import Network, Training


# what may choose a cell
SCORES = {
    "classification": ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc"),
    "regression": ("r2",),
}


def _number_as_text(value: Any) -> Any:
    """A number in the place of a name or a text, as a file of settings may hold it."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _column_names(value: Any) -> Any:
    names = comma_separated(value)
    return [_number_as_text(name) for name in names] if isinstance(names, list | tuple) else names


# settings that were added after the first runs were kept
_LATER = (
    *("test_file", "features", "drop", "missing", "missing_indicator", "header"),
    *("schedule", "decay", "decay_epochs", "l1"),
    *("missing_values", "variants", "device"),
)
ColumnNames = Annotated[tuple[str, ...], BeforeValidator(_column_names)]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


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
    variants: Annotated[dict[str, str], BeforeValidator(variant_places)] = setting(
        {},
        "A backend under a name of its own, such as old=sklearn@scikit-learn==1.5.2. Repeatable; "
        "variants.NAME in a file, with backend, packages, python, environment, threads, engine.",
        WHAT,
        flag="--variant",
        metavar="NAME=BACKEND@WHERE",
        shown="",
        allowed="tables or texts by name",
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
    dataset: Annotated[str, PlainValidator(dataset_name)] = setting(
        "digits",
        "digits, iris, wine, breast_cancer, diabetes; made for teaching: xor, two_moons, spirals, runge; "
        "openml:NAME, or a file: CSV and other text tables, Parquet, NPZ, ARFF, svmlight, MNIST's idx.",
        DATA,
        metavar="DATA",
    )
    target: Annotated[str | None, BeforeValidator(_number_as_text)] = setting(
        None,
        "Target column by name or number (from 1; -1 the last). Default: one called like a target, or "
        "the last.",
        DATA,
        metavar="COLUMN",
    )
    test_file: str | None = setting(
        None,
        "A file of test samples like the data's; none are held out then.",
        DATA,
        metavar="FILE",
    )
    features: ColumnNames = setting(
        (),
        "Columns to train on, or all. Default: all but ids.",
        DATA,
        metavar="COLUMNS",
        allowed="names or numbers of columns",
    )
    drop: ColumnNames = setting(
        (), "Columns to leave out.", DATA, metavar="COLUMNS", allowed="names or numbers of columns"
    )
    missing: Literal["error", "drop", "impute"] = setting(
        "error",
        "What to do about missing values: {choices}; drop leaves out rows, impute fills in the training "
        "part's median or most frequent category.",
        DATA,
    )
    missing_values: ColumnNames = setting(
        (),
        "Values that stand for a missing one, such as -999, or in one column, such as glucose=0.",
        DATA,
        metavar="VALUES",
        allowed="values, or COLUMN=VALUE",
    )
    missing_indicator: Switch = setting(
        False, "With impute: an input that says where a value was missing.", DATA
    )
    header: Switch | None = setting(
        None, "Whether a text table's first row names the columns. Default: found out.", DATA
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
        tuple[Annotated[float, Field(gt=0)], ...],
        BeforeValidator(axis_numbers),
        AfterValidator(distinct_numbers),
    ] = setting(
        POWERS_OF_TEN,
        "Learning rates: a list, or a log range first:last:count.",
        GRID,
        shown="1e-5:1e1:7",
        metavar="NUMBERS",
        min_length=1,
    )
    lmbd: Annotated[
        tuple[Annotated[float, Field(ge=0)], ...],
        BeforeValidator(axis_numbers),
        AfterValidator(distinct_numbers),
    ] = setting(
        POWERS_OF_TEN,
        "L2 strengths: a list, or a log range.",
        GRID,
        shown="1e-5:1e1:7",
        metavar="NUMBERS",
        min_length=1,
    )
    choose_by: Literal["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "r2"] | None = (
        setting(
            None,
            "Score that picks the cell, on the validation part: {choices}; accuracy (r2) if not said.",
            GRID,
            metavar="SCORE",
        )
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
        settings = layered(PRESETS[name].settings, width_apart(given))
        if isinstance(settings.get("dataset"), tuple | list) and len(settings["dataset"]) == 2:
            table, target = with_target(*settings["dataset"])
            if settings.get("target") not in (None, target):
                raise InputError(
                    f"target: found {settings['target']!r} beside (X, y); allowed: none"
                )
            settings |= {"dataset": table, "target": target}
        if settings.get("folds") not in (None, "none"):
            settings.setdefault("repeats", settings["folds"])  # each fold tests once
        if settings.get("variants") and "backends" not in settings:
            settings["backends"] = ("all", *settings["variants"])
        return settings

    @model_validator(mode="after")
    def _overrides_are_recipes(self) -> Self:
        for backend, changes in self.overrides.items():
            _is_backend(backend, [*self.backends, *map(self.place, self.backends)])
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
                for key, value in width_apart(changes).items()
            }
        return self

    @model_validator(mode="after")
    def _a_score_of_the_task_chooses(self) -> Self:
        allowed = SCORES[self.task]
        if self.choose_by not in (None, *allowed):
            raise InputError(
                f"choose_by: found {self.choose_by!r} with task {self.task}; allowed: "
                f"{', '.join(allowed)}"
            )
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

    @model_validator(mode="after")
    def _there_is_a_part_to_stop_by(self) -> Self:
        if self.stops_by_validation and not self.validation_size:
            raise InputError(
                "patience: found with validation_size 0; allowed: with a validation part, or monitor training"
            )
        return self

    @model_validator(mode="after")
    def _data_settings_are_used(self) -> Self:
        if self.missing_indicator and self.missing != "impute":
            raise InputError(
                f"missing_indicator: found with missing {self.missing}; allowed: with impute"
            )
        if self.drop and self.features not in ((), ("all",)):
            raise InputError(
                "drop: found beside features, which names what is kept; allowed: one of them"
            )
        if self.test_file is not None:
            test_size = Experiment.model_fields["test_size"].default
            for name, asked in (
                ("folds", self.folds is not None),
                ("test_size", self.test_size != test_size),
                ("draws notebook", self.draws == "notebook"),
            ):
                if asked:
                    raise InputError(f"test_file: found beside {name}; allowed: one of them")
        return self

    @property
    def frame(self) -> pd.DataFrame:
        """The table of data given in memory."""
        if not isinstance(self.dataset, MemoryData):
            raise InputError(
                f"dataset: {self.dataset!r} was given in memory and is not here; allowed: the run folder's "
                "experiment.toml with the data.parquet beside it"
            )
        return self.dataset.frame

    def place(self, backend: str) -> str:
        """What the backend of this name is looked up by: its name, or what a variant stands for."""
        return place_of_backend(backend, self.variants)

    def recipe(self, backend: str) -> Recipe:
        """What one backend is to do: the common settings with this backend's own over them.

        A plug-in's may be told of by what it was given as; what a variant stands for has its own.
        """
        common = {name: getattr(self, name) for name in Recipe.model_fields}
        place = self.place(backend)
        given_as = place if ":" in place.partition("@")[0] else backend
        own = self.overrides.get(backend, self.overrides.get(given_as, {}))
        return Recipe(**(common | width_apart(own)))

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
            schedule=recipe.schedule,
            decay=recipe.decay,
            decay_epochs=recipe.decay_epochs,
            l1=recipe.l1,
            dtype=recipe.dtype,
            cost=recipe.cost,
            penalty_factor=recipe.penalty_factor,
            penalty_per_sample=recipe.penalty_per_sample,
            penalised=recipe.penalised,
            patience=recipe.patience,
            monitor="training" if recipe.watches_training else "validation",
            tol=recipe.tol,
            device=recipe.device,
        )

    @property
    def cells(self) -> list[tuple[float, float]]:
        """All pairs (eta, lmbd), lmbd running fastest."""
        return [(eta, lmbd) for eta in self.eta for lmbd in self.lmbd]

    def changed(self, **settings: Any) -> Experiment:
        """The same experiment but for these settings, checked as ever."""
        return experiment_kept(
            {name: getattr(self, name) for name in type(self).model_fields} | settings
        )

    def cell(self, eta: float, lmbd: float) -> Experiment:
        """The experiment of one cell alone."""
        return self.changed(eta=(eta,), lmbd=(lmbd,))

    @property
    def stops_by_validation(self) -> bool:
        """Whether any backend may stop early by the validation part."""
        own = (self.recipe(backend) for backend in self.overrides)
        return self.watches_validation or any(recipe.watches_validation for recipe in own)

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
        """Names of the task's own scores; the first is the one that backends are compared by."""
        return ("accuracy",) if self.task == "classification" else ("r2", "rmse")

    def differences(self, other: Experiment) -> dict[str, tuple[Any, Any]]:
        """The settings in which two experiments differ, as (mine, theirs)."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {k: (mine[k], theirs[k]) for k in mine if mine[k] != theirs[k]}

    def digest(self, *without: str) -> str:
        """A short hash of the settings, some of them left out, and what only says how to choose.

        A setting that runs of before did not know counts only where it is not its default.
        """
        fields = Experiment.model_fields
        later = {name for name in _LATER if getattr(self, name) == fields[name].default}
        if not self.stops_by_validation:
            later.add("monitor")  # scikit-learn's rule is what patience once meant
        settings = self.model_dump(mode="json", exclude={*without, *later, "choose_by"})
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def experiment_from(given: Mapping[str, Any]) -> Experiment:
    """An experiment from settings by name, which may be written with - or _ as in a file."""
    return Experiment(**{key.replace("-", "_"): value for key, value in given.items()})


def experiment_kept(settings: Mapping[str, Any]) -> Experiment:
    """An experiment from its own settings, as a run folder keeps them: none of them is the preset's.

    Backends are called as they were, also where a plug-in has got a name since; patience is by the objective
    where nothing else was known.
    """
    own = settings.get("overrides", {}).values()
    if "monitor" not in settings and any("patience" in one for one in (settings, *own)):
        settings = {**settings, "monitor": "training"}
    nothing = {name: None for name, f in Experiment.model_fields.items() if f.default is None}
    bases = [str(name).partition("@")[0] for name in settings.get("backends", ())]
    places = {base: base for base in bases if ":" in base}
    return Experiment(**{**nothing, "overrides": {}, "variants": places, **settings})


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
