"""A finished run for TensorBoard: models' graphs, curves by epoch, and the grid as hyperparameters.

DIRECTORY/graphs/BACKEND             the graph of one training step
DIRECTORY/BACKEND/eta=.. lmbd=..     loss and score by epoch, hyperparameters and final scores
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.frameworks import load
from backends.registry import UnusableBackend, usable
from backends.settings import rows_of_batch
from harness.document.number_words import NAMES
from harness.errors import InputError
from harness.results.file_names import file_name
from harness.results.result import KEY

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.result import Result

_MARK = ".harness"  # ends the names of the event files that are ours
_HYPERPARAMETERS = ("backend", "eta", "lmbd", "repeat")


def check_tensorboard(directory: str) -> None:
    """Whether event files can be written there; makes nothing, and imports nothing that takes time.

    Raises :class:`~harness.errors.InputError` if TensorBoard is not installed or the place is no
    directory.
    """
    for module in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"tensorboard: {module} is not installed; install it with: "
                f"python -m pip install {module}"
            )
    place = Path(directory).absolute()
    above = next(path for path in (place, *place.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        reason = f"{str(above)!r} is {'not writable' if above.is_dir() else 'a file'}"
        raise InputError(
            f"tensorboard: {directory!r} cannot be a directory ({reason}); allowed: a local directory"
        )


def write_tensorboard(result: Result, directory: str) -> str:
    """Write event files for a run into a folder of its name in a directory; the folder's path.

    ``python -m tensorboard.main --logdir DIRECTORY`` shows them, beside those of other runs there.
    Written again, a run replaces its own files and leaves those of other programs.
    Raises as :func:`check_tensorboard`.
    """
    check_tensorboard(directory)
    tf = load("tensorflow")
    plugin = importlib.import_module("tensorboard.plugins.hparams.summary_v2")
    folder = Path(directory) / file_name(result.name)
    for old in folder.rglob(f"events.out.tfevents.*{_MARK}"):
        old.unlink()
    _write_graphs(tf, result, str(folder))
    _write_config(tf, plugin, result, str(folder))
    curves = dict(iter(result.curves.groupby(KEY, sort=False)))
    for record in result.records.to_dict("records"):
        key = tuple(record[name] for name in KEY)
        _write_record(tf, plugin, result, str(folder), record, curves.get(key))
    return str(folder)


def _writer(tf: Any, directory: str) -> Any:
    """TensorFlow's writer into a directory, whose file is known as ours by its name."""
    return tf.summary.create_file_writer(directory, filename_suffix=_MARK)


def _write_graphs(tf: Any, result: Result, directory: str) -> None:
    """The graph of every backend that has one."""
    experiment, about = result.experiment, result.manifest["dataset"]
    for name in result.backends:
        try:
            backend = usable(name)
        except (KeyError, UnusableBackend):  # of a run on another machine
            continue
        network = experiment.network(name, about["features"], len(about["classes"]))
        training = experiment.training(name)
        if backend.unsupported(network, training):
            continue
        rows = rows_of_batch(experiment.recipe(name).batch_size, about["parts"]["train"])
        if draw := getattr(backend, "graph", None):  # of the libraries that compute along a graph
            with _writer(tf, f"{directory}/graphs/{file_name(name)}").as_default():
                tf.summary.graph(draw(network, training, rows))


def _write_config(tf: Any, plugin: Any, result: Result, directory: str) -> None:
    """Which hyperparameters and scores the HParams tab has, and in which order."""
    hyperparameters = [
        plugin.HParam(name, plugin.Discrete(result.records[name].unique().tolist()))
        for name in _varied(result)
    ]
    scores = [plugin.Metric(tag, display_name=tag.replace("_", " ")) for tag in _scores(result)]
    with _writer(tf, directory).as_default():
        plugin.hparams_config(hparams=hyperparameters, metrics=scores)


def _varied(result: Result) -> list[str]:
    """The names of what makes one network of the run differ from another."""
    several = result.experiment.repeats > 1
    return [name for name in _HYPERPARAMETERS if several or name != "repeat"]


def _scores(result: Result) -> list[str]:
    """The final scores and losses, as the records call them."""
    metrics = dict.fromkeys((*result.experiment.metrics, *result.shown_scores, "loss"))
    return [f"{part}_{m}" for part in ("test", "validation", "train") for m in metrics]


def _write_record(
    tf: Any,
    plugin: Any,
    result: Result,
    directory: str,
    record: dict[Any, Any],
    curve: pd.DataFrame | None,
) -> None:
    """One network: its curves, its hyperparameters and its final scores, where there are any."""
    varied = {n: record[n] for n in _varied(result)}
    name = " ".join(f"{n}={v:g}" for n, v in varied.items() if n != "backend")
    place = f"{directory}/{file_name(record['backend'])}/{name}"
    with _writer(tf, place).as_default():
        plugin.hparams(varied, trial_id=f"{record['backend']} {name}")
        for quantity in ("loss", result.metric):
            for part in ("train", "validation"):
                _write_curve(tf, curve, quantity, part)
        for tag in _scores(result):
            if np.isfinite(record[tag]):
                tf.summary.scalar(tag, record[tag], step=0)


def _write_curve(tf: Any, curve: pd.DataFrame | None, quantity: str, part: str) -> None:
    if curve is None:
        return
    tag = f"{NAMES.get(quantity, quantity)} by epoch/{part}"
    for epoch, value in zip(curve["epoch"], curve[f"{part}_{quantity}"], strict=True):
        if np.isfinite(value):
            tf.summary.scalar(tag, value, step=int(epoch))
