"""The experiment's flags, said once for every verb that takes an experiment.

:func:`takes_experiment` adds them to a command, which receives what was given, configuration file and
flags merged, as ``settings``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


WHAT, DATA, NETWORK, GRID, DRAWS = "What to run", "Data", "Network", "Grid and training", "Repeats"


def _flag(panel: str, text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(
        *names, help=text, rich_help_panel=panel, show_default=False, metavar=metavar
    )


# name, type, option; None means not given, so that a configuration file or the preset decides
FLAGS: dict[str, tuple[Any, Any]] = {
    "preset": (str, _flag(WHAT, "Table of settings to start from: fair (default), lecture.")),
    "config": (
        Path,
        _flag(WHAT, "TOML file of settings, named as the flags; flags win.", metavar="FILE"),
    ),
    "backend": (
        list[str],
        _flag(
            WHAT,
            "Backends: names, comma-separated or repeated, package.module:Class, or all (default).",
            metavar="NAMES",
        ),
    ),
    "dataset": (
        str,
        _flag(
            DATA,
            "digits (default), iris, wine, breast_cancer, diabetes, openml:NAME, "
            "or a CSV, Parquet or NPZ file.",
        ),
    ),
    "target": (str, _flag(DATA, "Target column of a file or OpenML set.", metavar="COLUMN")),
    "task": (str, _flag(DATA, "classification (default) or regression.")),
    "test_size": (float, _flag(DATA, "Share of all samples held out for the test. [0.2]")),
    "validation_size": (
        float,
        _flag(DATA, "Share of the rest held out to choose the best cell. [0.2]"),
    ),
    "scale": (str, _flag(DATA, "none (default), standard or minmax; fitted on the training part.")),
    "hidden": (str, _flag(NETWORK, "Units of the hidden layers, such as 100,50. [50]")),
    "activation": (
        str,
        _flag(NETWORK, "identity, sigmoid (default), tanh, relu, leaky_relu or elu."),
    ),
    "eta": (
        str,
        _flag(GRID, "Learning rates: a list, or a log range first:last:count. [1e-5:1e1:7]"),
    ),
    "lmbd": (str, _flag(GRID, "L2 strengths: a list, or a log range. [1e-5:1e1:7]")),
    "optimizer": (str, _flag(GRID, "sgd (default) or adam.")),
    "momentum": (float, _flag(GRID, "Momentum of sgd. [0]")),
    "nesterov": (
        bool,
        _flag(GRID, "Nesterov's form of the momentum.", "--nesterov/--no-nesterov"),
    ),
    "epochs": (int, _flag(GRID, "Passes through the training part. [100]")),
    "batch_size": (int, _flag(GRID, "Samples in a minibatch. [100]")),
    "keep_last_batch": (
        bool,
        _flag(
            GRID,
            "Keep an epoch's short last minibatch instead of dropping it.",
            "--keep-last-batch/--drop-last-batch",
        ),
    ),
    "dtype": (str, _flag(GRID, "float32 (default) or float64.")),
    "seed": (int, _flag(DRAWS, "Of split, initial weights and minibatch order. [0]")),
    "repeats": (int, _flag(DRAWS, "Trainings of every cell, each with draws of its own. [1]")),
    "vary": (
        str,
        _flag(DRAWS, "What a repeat varies: initialisation (default; split fixed), or split too."),
    ),
    "folds": (int, _flag(DRAWS, "K-fold cross-validation: repeat r tests on fold r mod K.")),
}

SETTING = {"backend": "backends"}  # flags whose setting has another name


def takes_experiment(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every flag of an experiment; it is called with them merged as ``settings``."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        flags = {name: given.pop(name) for name in FLAGS}
        command(settings=merge(flags.pop("config"), flags), **given)

    own = [p for p in inspect.signature(command).parameters.values() if p.name != "settings"]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind | None, option],
        )
        for name, (kind, option) in FLAGS.items()
    ]
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*added, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own)]
    )
    # typer reads annotations beside the signature
    hints = inspect.get_annotations(command, eval_str=True)
    wrapped.__annotations__ = {p.name: p.annotation for p in added} | {
        name: hint for name, hint in hints.items() if name not in ("settings", "return")
    }
    return wrapped


def merge(config: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """Settings from a configuration file with the given flags over them, checked for known names.

    A file may also hold settings of the execution (``jobs``, ``name``, ...); they stay in the result.
    """
    from harness.settings import read_config

    settings = read_config(config) if config is not None else {}
    given = {SETTING.get(name, name): value for name, value in flags.items() if value is not None}
    return settings | {name: value for name, value in given.items() if value != []}
