"""The recipe: what one backend is to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from backends.settings import (
    DECAY,
    DECAY_EPOCHS,
    Activation,
    Device,
    InitialBias,
    InitialWeights,
    Minibatches,
    Monitor,
    Optimizer,
    Schedule,
    check_activations,
    check_momentum,
    check_nesterov,
    check_schedule,
)
from harness.errors import InputError
from harness.experiment.setting import (
    CONVENTIONS,
    EXECUTION,
    GRID,
    NETWORK,
    CommaSeparated,
    Settings,
    Switch,
    comma_separated,
    setting,
)


def _layers(value: Any) -> Any:
    """Units layer by layer; text ``none`` for no layer, which no other text is."""
    layers = comma_separated(value)
    if layers == ["none"]:
        return []
    if layers == [] and value != [] and value != ():
        raise InputError(f"found {value!r}; allowed: a whole number for each layer, or none")
    return layers


def width_apart(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with ``initial_weights = "normal:0.1"`` told as its name and a ``weight_scale``."""
    law, colon, width = str(given.get("initial_weights", "")).partition(":")
    if not colon:
        return dict(given)
    if law not in ("normal", "truncated_normal") or "weight_scale" in given:
        told = " beside weight_scale" if "weight_scale" in given else ""
        raise InputError(
            f"initial_weights: found {given['initial_weights']!r}{told}; allowed: glorot_uniform, "
            "he_normal, normal:SD, truncated_normal:SD"
        )
    return {**given, "initial_weights": law, "weight_scale": width}


def _one_or_each(value: Any) -> Any:
    """A name as it is, several as a list; a list of one is that one."""
    names = comma_separated(value)
    return names[0] if isinstance(names, list | tuple) and len(names) == 1 else names


class Recipe(Settings):
    """What may differ from backend to backend under a preset: network, optimiser, objective, draws.

    Where ``draws`` are the notebook's, ``shared_stream`` says which of this backend's draws come off
    the one stream (the others from generators of their own), and ``drawn_before`` what was drawn
    between the split and its grid: ``BACKEND weights``, ``BACKEND network`` or ``BACKEND grid``.
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_layers)] = setting(
        (50,),
        "Units of the hidden layers, such as 100,50; none: logistic regression.",
        NETWORK,
        shown="50",
        metavar="UNITS",
        allowed="a whole number, 1 or above, for each layer, or none",
    )
    activation: Annotated[Activation | tuple[Activation, ...], BeforeValidator(_one_or_each)] = (
        setting(
            "sigmoid", "Of all hidden layers, or one each, such as relu,tanh: {choices}.", NETWORK
        )
    )
    optimizer: Optimizer = setting("sgd", "{choices}.", GRID)
    schedule: Schedule = setting(
        "constant",
        "Of eta: {choices}; in epoch e, from 0, inverse is eta / (1 + decay e), step is "
        "eta decay^(e // decay_epochs).",
        GRID,
    )
    decay: float = setting(DECAY, "How fast --schedule lowers eta.", GRID, gt=0)
    decay_epochs: int = setting(DECAY_EPOCHS, "Epochs of a step of --schedule.", GRID, ge=1)
    momentum: float = setting(0.0, "Momentum of sgd.", GRID, ge=0, lt=1)
    nesterov: Switch = setting(False, "Nesterov's form of the momentum.", GRID)
    epochs: int = setting(100, "Passes through the training part.", GRID, ge=1)
    batch_size: Annotated[int, Field(ge=1)] | Literal["all"] = setting(
        100,
        "Samples in a minibatch, or all: one step an epoch.",
        GRID,
        allowed="a whole number, 1 or above, or all",
        metavar="N",
    )
    l1: float = setting(0.0, "Strength of an L1 penalty, the sum of |W|, beside lmbd.", GRID, ge=0)
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
        1.0, "The penalty's gradient is this times lmbd W (and l1 sign(W)).", CONVENTIONS, ge=0
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
    initial_weights: InitialWeights = setting(
        "glorot_uniform",
        "{choices}; normal:0.1 is normal with --weight-scale 0.1.",
        CONVENTIONS,
        allowed="glorot_uniform, he_normal, normal:SD, truncated_normal:SD",
    )
    weight_scale: float = setting(
        1.0, "Factor of Glorot's limit and He's width, or the normal's width.", CONVENTIONS, gt=0
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
        "Stop after so many epochs in a row without a lower validation loss. Default: never.",
        CONVENTIONS,
        ge=1,
    )
    monitor: Monitor = setting(
        "validation",
        "What --patience watches: {choices}; training is scikit-learn's rule on the objective.",
        CONVENTIONS,
    )
    tol: float = setting(0.0, "What counts as lower, for --patience.", CONVENTIONS, ge=0)
    dtype: Literal["float32", "float64"] = setting("float32", "{choices}.", GRID)
    device: Device = setting(
        "cpu",
        "Where libraries train: {choices}; cpu hides a GPU from all, gpu has one worker at a time.",
        EXECUTION,
    )
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

    @property
    def watches_training(self) -> bool:
        """Whether it may stop early by scikit-learn's own rule, which no other library has."""
        return self.patience is not None and self.monitor == "training"

    @property
    def watches_validation(self) -> bool:
        """Whether it may stop early by the validation part."""
        return self.patience is not None and self.monitor == "validation"

    @property
    def idle(self) -> set[str]:
        """The settings that change nothing beside the others, such as how fast a constant eta falls."""
        without = {
            "activation": not self.hidden,
            "decay": self.schedule == "constant",
            "decay_epochs": self.schedule != "step",
            "momentum": self.optimizer != "sgd",
            "nesterov": not self.momentum,
            "keep_last_batch": self.batch_size == "all",
            "monitor": self.patience is None,
            "tol": self.patience is None,
        }
        return {name for name, changes_nothing in without.items() if changes_nothing}

    @model_validator(mode="before")
    @classmethod
    def _width_apart(cls, given: dict[str, Any]) -> dict[str, Any]:
        return width_apart(given)

    @model_validator(mode="after")
    def _optimizer_uses_what_is_given(self) -> Self:
        if not isinstance(self.activation, str):
            check_activations(self.activation, len(self.hidden))
        check_momentum(self.momentum, self.optimizer)
        check_nesterov(self.nesterov, self.momentum)
        check_schedule(self.schedule, self.decay, self.decay_epochs)
        if self.tol and self.patience is None:
            raise InputError(f"tol: found {self.tol:g} without patience; allowed: only with it")
        return self
