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
    "scale": (
        str,
        _flag(
            DATA,
            "none (default), standard or minmax, fitted on the training part; real targets too.",
        ),
    ),
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

EXECUTION = "How to run it"
EXECUTION_FLAGS: dict[str, tuple[Any, Any]] = {
    "jobs": (int, _flag(EXECUTION, "Worker processes; 1 for clean timings. Default: all cores.")),
    "threads": (int, _flag(EXECUTION, "Threads of each worker's libraries. [1]")),
    "executor": (str, _flag(EXECUTION, "processes (default), serial (in this one) or dask.")),
    "scheduler": (
        str,
        _flag(EXECUTION, "Address of a Dask scheduler, for --executor dask.", metavar="ADDRESS"),
    ),
    "unit_timeout": (
        float,
        _flag(EXECUTION, "Seconds after which a unit of work is given up. Default: never."),
    ),
    "name": (str, _flag(EXECUTION, "The run's folder. Default: made from the experiment.")),
    "output": (
        str,
        _flag(EXECUTION, "Where run folders go: a path or fsspec address. Default: results."),
    ),
    "fresh": (bool, _flag(EXECUTION, "Discard what the folder holds and start again.", "--fresh")),
}

DEBUG = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
]


def takes_experiment(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every flag of an experiment; it is called with them merged as ``settings``."""
    return _takes(command, FLAGS)


def takes_run(command: Callable[..., None]) -> Callable[..., None]:
    """As :func:`takes_experiment`, with the flags of the execution as well."""
    return _takes(command, FLAGS | EXECUTION_FLAGS)


def _takes(command: Callable[..., None], flags: dict[str, tuple[Any, Any]]) -> Callable[..., None]:
    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        given.pop("debug")  # read from the command line by harness.cli.main
        values = {name: given.pop(name) for name in flags}
        command(settings=merge(values.pop("config"), values), **given)

    # typer looks for its options in the signature and for types in the annotations: neither as strings
    hints = inspect.get_annotations(command, eval_str=True)
    own = [
        p.replace(annotation=hints[p.name])
        for p in inspect.signature(command).parameters.values()
        if p.name != "settings"
    ]
    added = {
        name: (Annotated[kind | None, option], None) for name, (kind, option) in flags.items()
    } | {"debug": (DEBUG, False)}
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in added.items()
    ]
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(p for p in own if p.kind is not p.KEYWORD_ONLY), *parameters]
        + [p for p in own if p.kind is p.KEYWORD_ONLY]
    )
    wrapped.__annotations__ = {name: annotation for name, (annotation, _) in added.items()} | {
        name: hint for name, hint in hints.items() if name not in ("settings", "return")
    }
    return wrapped


def merge(config: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """Settings from a configuration file with the given flags over them.

    A file may hold settings of the execution (``jobs``, ``name``, ...) as well: sort the result with
    :func:`harness.experiment.config.sort_settings`.
    """
    from harness.experiment.config import read_config

    settings = read_config(config) if config is not None else {}
    given = {SETTING.get(name, name): value for name, value in flags.items()}
    return settings | {name: v for name, v in given.items() if v is not None and v != []}
