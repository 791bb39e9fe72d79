"""The network of one record: its weights, as the run kept them or trained again, and what it says of samples.

Run folders hold no weights unless asked to (``run --keep-weights``). What is needed to have them again is in
the plan: the unit that the record came from is trained as in the run, whose labels tell whether that gave the
same network.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend
from backends.network import Network, Weights
from backends.plan import Plan
from backends.registry import usable
from harness.data.dataset import Dataset, dataset_of, load_dataset, survey_dataset
from harness.data.feature_matrix import samples_like
from harness.data.scaling import scaled
from harness.errors import InputError
from harness.executors.shared_data import shared
from harness.experiment.experiment import Experiment
from harness.results.kept_weights import kept_weights
from harness.results.result import Result
from harness.training.prepare import Prepared, prepare
from harness.training.run_unit import unit_weights
from harness.training.units import Unit, cut_units

_log = logging.getLogger(__name__)
_KEPT = 4  # units whose weights are kept in memory


class TrainedNetwork(NamedTuple):
    """A network kept or trained again; ``weights`` are a stack of one, ``exact``: labels as in the run."""

    backend: Backend
    network: Network
    weights: Weights
    prepared: Prepared
    exact: bool

    @property
    def layers(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Weights (inputs, outputs) and biases (outputs,) of every layer, the first hidden one first."""
        pairs = zip(self.weights.W, self.weights.b, strict=True)
        return [(weights[0], biases[0]) for weights, biases in pairs]


def trained_network(
    result: Result, backend: str, eta: float, lmbd: float, repeat: int = 0
) -> TrainedNetwork:
    """The network of one record, as kept or trained again; logs where it labels otherwise than in the run."""
    experiment, backend = result.experiment, result.called(backend)
    cell = cell_number(result, backend, eta, lmbd, repeat)
    data = result.manifest["dataset"]["sha256"]
    found = kept_weights(result, backend, *experiment.cells[cell], repeat)
    if found is not None:
        own, trainer = found, usable(experiment.place(backend))
        prepared = prepare(experiment, _dataset(experiment, data), backend, (repeat,))
    else:
        unit = _unit_of(experiment, data, backend, cell, repeat)
        prepared, weights, trainer = _trained(unit, experiment, data)
        own = weights[unit.repeats.index(repeat) * (unit.last - unit.first) + cell - unit.first]
    kept = result.predicted(backend, *experiment.cells[cell], repeat)
    now = _answers(trainer, prepared, own, prepared.x[prepared.split.test])[0]
    exact = len(kept) > 0 and bool(np.array_equal(kept, now.astype(kept.dtype)))
    if len(kept) and not exact:
        _log.warning(
            "%s, eta %g, lmbd %g, repeat %d: %s, %d of %d test samples come out otherwise than in "
            "the run, which had other versions, threads or another processor",
            *(backend, eta, lmbd, repeat, "trained again" if found is None else "as kept"),
            *(int((kept != now.astype(kept.dtype)).sum()), len(kept)),
        )
    return TrainedNetwork(trainer, prepared.network, own, prepared, exact)


def predictions(
    result: Result,
    backend: str,
    eta: float,
    lmbd: float,
    repeat: int = 0,
    x: NDArray[Any] | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What the network of one record says, a row each sample: ``predicted``, and of each class ``p(class)``.

    ``x``: samples as they come, an array (samples, columns of the data set) or a table with these columns in
    any order; without it the record's test samples, with their ``row`` and ``target``.
    """
    trained = trained_network(result, backend, eta, lmbd, repeat)
    classes, p = result.manifest["dataset"]["classes"], trained.prepared
    frame: dict[str, Any] = {}
    if x is None:
        rows = p.split.test
        inputs = p.x[rows]
        target = result.target(repeat)
        named = np.asarray(classes, dtype=object)[target] if classes else target
        frame = {"row": rows, "target": named}
    else:
        inputs = _as_trained(result, x, p)
    answers, shares = _answers(trained.backend, p, trained.weights, inputs)
    frame["predicted"] = np.asarray(classes, dtype=object)[answers] if classes else answers
    for number, name in enumerate(classes):
        frame[f"p({name})"] = shares[:, number]
    return pd.DataFrame(frame)


def drawn_plan(result: Result, backend: str | None = None, repeat: int = 0) -> Plan:
    """Everything random of a repeat: initial weights and minibatch order, as every backend was given them."""
    backend = result.called(backend or result.backends[0])
    experiment = result.experiment
    if not 0 <= repeat < experiment.repeats:
        raise InputError(f"repeat: found {repeat}; allowed: 0 to {experiment.repeats - 1}")
    dataset = _dataset(experiment, result.manifest["dataset"]["sha256"])
    return prepare(experiment, dataset, backend, (repeat,)).plan


def cell_number(result: Result, backend: str, eta: float, lmbd: float, repeat: int = 0) -> int:
    """The number of a cell of a run; InputError, with what there is, where the run has no such record."""
    experiment = result.experiment
    result.called(backend)
    for name, value, axis in (("eta", eta, experiment.eta), ("lmbd", lmbd, experiment.lmbd)):
        if value not in axis:
            raise InputError(f"{name}: found {value!r}; allowed: {', '.join(map(repr, axis))}")
    if not 0 <= repeat < experiment.repeats:
        raise InputError(f"repeat: found {repeat}; allowed: 0 to {experiment.repeats - 1}")
    return experiment.cells.index((eta, lmbd))


def _unit_of(experiment: Experiment, data: str, name: str, cell: int, repeat: int) -> Unit:
    """The unit that a record came from: weights come out of a stack in its own bits."""
    backend, prepared = (
        usable(experiment.place(name)),
        prepare(experiment, _dataset(experiment, data), name, (repeat,)),
    )
    samples = len(prepared.split.train)
    units = cut_units(experiment, name, backend, prepared.network, samples)
    return next(u for u in units if repeat in u.repeats and u.first <= cell < u.last)


_datasets: dict[tuple[str, str], Dataset] = {}


def _dataset(experiment: Experiment, sha256: str) -> Dataset:
    """The run's data; InputError if they are other ones by now."""
    key = (experiment.digest("backends", "eta", "lmbd", "repeats"), sha256)
    if key not in _datasets:
        dataset = _unchanged(load_dataset(experiment), sha256)
        _datasets.clear()
        _datasets[key] = shared(dataset, experiment)
    return _datasets[key]


def _unchanged(dataset: Dataset, sha256: str) -> Dataset:
    """The data, if they are the run's; InputError if they are other ones by now."""
    if dataset.sha256 != sha256:
        raise InputError(
            f"dataset: {dataset.name!r} has changed since the run (SHA-256 {dataset.sha256[:12]}, then "
            f"{sha256[:12]}); allowed: the data of the run"
        )
    return dataset


class _Hashed(NamedTuple):
    """An experiment as a key: two are the same if their settings are."""

    digest: str
    experiment: Experiment

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.digest == other.digest


def _trained(unit: Unit, experiment: Experiment, data: str) -> tuple[Prepared, Weights, Backend]:
    return _trained_once(unit, _Hashed(experiment.digest(), experiment), data)


@lru_cache(_KEPT)
def _trained_once(unit: Unit, of: _Hashed, data: str) -> tuple[Prepared, Weights, Backend]:
    return unit_weights(unit, of.experiment, _dataset(of.experiment, data))


def _answers(
    backend: Backend, prepared: Prepared, weights: Weights, x: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Class numbers (values, in the units of the data) and the outputs (samples, outputs) of one network."""
    outputs = backend.predict_proba(x, prepared.network, weights)[0]
    if prepared.network.classes:
        return outputs.argmax(axis=1), outputs
    return prepared.in_units(outputs[:, 0]), outputs


def _as_trained(result: Result, x: NDArray[Any] | pd.DataFrame, prepared: Prepared) -> NDArray[Any]:
    """New samples encoded and scaled as the run's: by its training part."""
    experiment = result.experiment
    survey, source = survey_dataset(experiment)
    dataset = _unchanged(
        dataset_of(survey, source, experiment), result.manifest["dataset"]["sha256"]
    )
    joined = replace(
        dataset, x=np.concatenate([dataset.x, samples_like(survey, x, experiment)]), digest=""
    )
    inputs = scaled(joined, prepared.split, experiment)[len(dataset.x) :]
    return inputs.astype(prepared.x.dtype)
