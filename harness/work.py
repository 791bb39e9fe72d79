"""What an experiment comes to on this machine: its data, the backends that are here, and units of work.

Nothing is trained here, and nothing written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backends.base import Backend
from backends.settings import rows_of_batch
from harness.data.dataset import Dataset, load_dataset
from harness.data.encoding import inputs_of
from harness.data.split import split_rows
from harness.errors import InputError
from harness.executors.shared_data import shared
from harness.experiment.chosen_backends import require_gpus, resolve
from harness.experiment.experiment import Experiment
from harness.experiment.recipe import Recipe
from harness.training.contract import BackendFault, guarded_backend
from harness.training.scores import score_names
from harness.training.status import Status
from harness.training.units import Unit, cut_units, require_unit_memory


@dataclass(frozen=True)
class Work:
    """What an experiment comes to on this machine.

    ``backends`` are those that are here; ``units`` what is to be trained; ``reasons`` says why backends
    have no units, as (status, reason); ``done`` are the units taken over from before, with the times at
    which they were finished. ``gpus``: what each backend sees that is to train on one.
    """

    experiment: Experiment
    dataset: Dataset
    backends: dict[str, Backend]
    units: tuple[Unit, ...]
    reasons: dict[str, tuple[Status, str]]
    done: Mapping[Unit, str] = field(default_factory=dict)
    gpus: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def networks(self) -> int:
        """Trainings in all units."""
        return sum(unit.size for unit in self.units)

    @property
    def missing(self) -> tuple[Unit, ...]:
        """The units that are not done."""
        return tuple(unit for unit in self.units if unit not in self.done)

    @property
    def done_when(self) -> str:
        """When the units taken over were finished: a time, or the first and the last."""
        times = sorted(self.done.values())
        return " to ".join(dict.fromkeys([times[0], times[-1]])) if times else ""

    @property
    def steps(self) -> dict[str, int]:
        """Optimiser steps of one training, by backend."""
        samples = len(split_rows(self.dataset, self.experiment).train)
        steps = {}
        for name in self.experiment.backends:
            recipe = self.experiment.recipe(name)
            batch = rows_of_batch(recipe.batch_size, samples)
            tail = recipe.keep_last_batch and samples % batch > 0
            steps[name] = recipe.epochs * (samples // batch + tail)
        return steps


def plan_work(experiment: Experiment, bounds: Sequence[int] = ()) -> Work:
    """Load the data and cut the experiment into units; trains nothing.

    :class:`~harness.errors.InputError` for what this machine could not hold. ``bounds``: see
    :func:`cut_units`.
    """
    work = plan_works({0: experiment}, bounds)[0]
    if isinstance(work, InputError):
        raise work
    return work


def plan_works(
    experiments: Mapping[int, Experiment], bounds: Sequence[int] = ()
) -> dict[int, Work | InputError]:
    """The work of each of several experiments, by its number, which is the ``point`` of its units.

    In place of what cannot be run there is the error that :func:`plan_work` raises. What several train
    on alike is loaded once.
    """
    prepared: dict[str, Dataset] = {}
    found: dict[Any, tuple[Experiment, dict[str, Backend], dict[str, str]]] = {}
    works: dict[int, Work | InputError] = {}
    for point, experiment in experiments.items():
        key = _data_key(experiment)
        names = (experiment.backends, tuple(sorted(experiment.variants.items())))
        try:
            if names not in found:
                found[names] = resolve(experiment)
            spelt, *_ = found[names]
            named = {"backends": spelt.backends, "variants": spelt.variants}
            full = experiment.model_copy(update=named)
            if key not in prepared:
                prepared[key] = shared(load_dataset(experiment), experiment)
            work = _cut_work((full, *found[names][1:]), prepared[key], bounds)
        except InputError as error:
            works[point] = error
            continue
        units = tuple(replace(unit, point=point) for unit in work.units)
        works[point] = replace(work, units=units)
    return works


def _data_key(experiment: Experiment) -> str:
    """All that the data depend on, as they are read, split, scaled and handed to workers."""
    others = {*Recipe.model_fields, "backends", "overrides", "eta", "lmbd", "preset"} - {"dtype"}
    return experiment.model_dump_json(exclude=others)


def _cut_work(
    resolved: tuple[Experiment, dict[str, Backend], dict[str, str]],
    dataset: Dataset,
    bounds: Sequence[int],
) -> Work:
    """An experiment whose backends were looked for, cut into units."""
    experiment, backends, missing = resolved
    names = score_names(experiment, len(dataset.classes))
    if experiment.choose_by not in (None, *names):
        raise InputError(
            f"choose_by: found {experiment.choose_by!r}, which is of two classes, and {dataset.name!r} "
            f"has {len(dataset.classes)}; allowed: {', '.join(names)}"
        )
    split = split_rows(dataset, experiment)
    samples, inputs = len(split.train), inputs_of(dataset, split, experiment)
    units: list[Unit] = []
    gpus: dict[str, tuple[str, ...]] = {}
    reasons = {name: (Status.UNAVAILABLE, reason) for name, reason in missing.items()}
    for name, backend in backends.items():
        network = experiment.network(name, inputs, len(dataset.classes))
        require_unit_memory(experiment, name, network, samples, len(split.test))
        try:
            reason = guarded_backend(backend).unsupported(network, experiment.training(name))
        except BackendFault as fault:
            reasons[name] = (Status.FAILED, str(fault))
            continue
        if reason:
            reasons[name] = (Status.UNSUPPORTED, reason)
            continue
        gpus |= require_gpus(experiment, {name: backend})
        units += cut_units(experiment, name, backend, network, samples, bounds)
    return Work(experiment, dataset, backends, tuple(units), reasons, gpus=gpus)
