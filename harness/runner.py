"""Runs an experiment: cuts it into units, has them carried out, keeps every finished one on disk.

A finished unit is a part in the run folder, named by a hash of what defines it. Resuming is skipping
the parts that exist; what a killed run was doing is at most lost, never half written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from backends.base import Backend
from backends.registry import Unavailable
from harness.data.dataset import Dataset, load_dataset
from harness.data.split import split_rows
from harness.errors import InputError
from harness.executors.by_name import executor
from harness.executors.job import Job, Outcome
from harness.experiment.chosen_backends import resolve
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.manifest import begin, now
from harness.results.result import KEY, Result
from harness.results.run_folder import RunFolder
from harness.training.evaluate import PARTS
from harness.training.run_unit import without_result
from harness.training.units import Unit, cut, digest, varies_split


class Progress(Protocol):
    """Told how a run goes: once at its start, then for every unit."""

    def begin(self, plan: Work, folder: RunFolder) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Work:
    """What an experiment comes to on this machine.

    ``units`` have a part each once done; ``reasons`` says why backends have no units, as (status,
    reason); ``done`` are the units whose parts exist.
    """

    experiment: Experiment
    dataset: Dataset
    backends: dict[str, Backend | Unavailable]
    units: tuple[Unit, ...]
    parts: dict[Unit, str]
    reasons: dict[str, tuple[str, str]]
    done: frozenset[Unit] = frozenset()

    @property
    def networks(self) -> int:
        """Trainings in all units."""
        return sum(unit.size for unit in self.units)

    @property
    def steps(self) -> dict[str, int]:
        """Optimiser steps of one training, by backend."""
        samples = len(split_rows(self.dataset, self.experiment).train)
        steps = {}
        for name in self.backends:
            recipe = self.experiment.recipe(name)
            batch = min(recipe.batch_size, samples)
            tail = recipe.keep_last_batch and samples % batch > 0
            steps[name] = recipe.epochs * (samples // batch + tail)
        return steps


def plan_work(experiment: Experiment, bounds: Sequence[int] = ()) -> Work:
    """Load the data and cut the experiment into units; trains nothing. ``bounds``: as of :func:`cut`."""
    experiment, backends = resolve(experiment)
    dataset = load_dataset(experiment)
    samples = len(split_rows(dataset, experiment).train)
    units: list[Unit] = []
    reasons: dict[str, tuple[str, str]] = {}
    parts: dict[Unit, str] = {}
    for name, backend in backends.items():
        if isinstance(backend, Unavailable):
            reasons[name] = ("unavailable", backend.reason)
            continue
        network = experiment.network(name, dataset.x.shape[1], len(dataset.classes))
        reason = backend.unsupported(network, experiment.training(name))
        if reason:
            reasons[name] = ("unsupported", reason)
            continue
        for unit in cut(experiment, name, backend, network, samples, bounds):
            units.append(unit)
            parts[unit] = f"parts/{digest(unit, experiment, dataset, backend)}.parquet"
    return Work(experiment, dataset, backends, tuple(units), parts, reasons)


def train_and_save(
    work: Work, execution: Execution | None = None, *, progress: Progress | None = None
) -> Result:
    """Carry work out, or finish what was interrupted; the result, also on disk.

    Without ``execution`` units run one after the other in this process and results land in
    ``results/``. Raises :class:`~harness.errors.InputError` for a folder that cannot be used, before
    anything is written; KeyboardInterrupt leaves all finished units in the folder.
    """
    execution = execution or Execution(executor="serial")
    folder = RunFolder(address_of(work.experiment, execution))
    begun, created = time.perf_counter(), now()
    with _locked(folder):
        _check_folder(folder, work.experiment, execution)
        folder.write_experiment(work.experiment)
        existing = set(folder.names("parts"))
        done = [u for u in work.units if work.parts[u].removeprefix("parts/") in existing]
        work = replace(work, done=frozenset(done))
        if progress:
            progress.begin(work, folder)
        outcomes = _carry_out(work, execution, folder, progress)
        return _assemble(work, execution, folder, outcomes, begun, created)


def address_of(experiment: Experiment, execution: Execution) -> str:
    """The run folder's address; the name must stay inside ``output``."""
    name = execution.name
    if name is None:
        data = experiment.dataset.replace(":", "-").rsplit("/", 1)[-1].rsplit(".", 1)[0]
        name = f"{data}-{experiment.preset}-{experiment.digest()[:8]}"
    if not name or name in (".", "..") or any(c in name for c in "/\\:") or name.startswith("."):
        raise InputError(
            f"name: found {name!r}; allowed: a plain folder name, without '/', '\\', ':' "
            "or a leading '.'"
        )
    return f"{execution.output.rstrip('/')}/{name}" if execution.output != "/" else f"/{name}"


def _locked(folder: RunFolder) -> Any:
    """The folder's lock; :class:`InputError` if nothing can be written there."""
    try:
        folder.write(".writable", "")
        folder.fs.rm_file(folder.path(".writable"))
    except OSError as error:
        raise InputError(
            f"output: {folder.address!r} cannot be written ({error.strerror or error}); "
            "allowed: a folder that can be"
        ) from None
    return folder.lock()


def _check_folder(folder: RunFolder, experiment: Experiment, execution: Execution) -> None:
    """A folder may be new, hold this experiment, or one that this experiment only adds to."""
    if not folder.exists("experiment.toml"):
        return
    if execution.fresh:
        folder.clear_contents()
        return
    for key, (new, old) in experiment.differences(folder.read_experiment()).items():
        grows = key in ("backends", "eta", "lmbd") and set(new) >= set(old)
        if not (grows or (key == "repeats" and new > old)):
            raise InputError(
                f"name: {folder.address!r} holds another experiment ({key} {old!r}, now {new!r}); "
                "choose another --name, or --fresh to discard what is there"
            )


def _carry_out(
    work: Work, execution: Execution, folder: RunFolder, progress: Progress | None
) -> dict[Unit, Outcome]:
    """Have every unit done that has no part yet; each part is on disk before the next outcome."""
    missing = tuple(unit for unit in work.units if unit not in work.done)
    log = folder.path("workers.log") if folder.local else None
    job = Job(missing, work.experiment, work.dataset, execution, log)
    outcomes: dict[Unit, Outcome] = {}
    if not missing:
        return outcomes
    stream = executor(execution.executor)(job)
    try:
        for outcome in stream:
            outcomes[outcome.unit] = outcome
            if outcome.rows is not None and not (outcome.rows["status"] == "unavailable").any():
                folder.write_frame(work.parts[outcome.unit], outcome.rows, outcome.timings)
            if progress:
                progress.finished(outcome)
    finally:
        stream.close()  # type: ignore[attr-defined]
    return outcomes


def _assemble(
    work: Work,
    execution: Execution,
    folder: RunFolder,
    outcomes: Mapping[Unit, Outcome],
    begun: float,
    created: str,
) -> Result:
    """Put the parts together and write the run's tables."""
    experiment = work.experiment
    frames, units = [], []
    for unit in work.units:
        outcome = outcomes.get(unit)
        if outcome is None:
            kept, timings = folder.read_frame(work.parts[unit])
            outcome = Outcome(unit, "done", rows=kept, timings=timings)
        if outcome.rows is None:
            frames.append(without_result(unit, experiment, outcome.status, outcome.reason))
        else:
            frames.append(outcome.rows)
        units.append(
            {
                "unit": str(unit),
                "backend": unit.backend,
                "networks": unit.size,
                "status": outcome.status,
                "reason": outcome.reason,
                **outcome.timings,
            }
        )
    for name, (status, reason) in work.reasons.items():
        everything = Unit(name, tuple(range(experiment.repeats)), 0, len(experiment.cells))
        frames.append(without_result(everything, experiment, status, reason))
    tables = _tables(pd.concat(frames, ignore_index=True), experiment)
    manifest = _manifest(work, execution, folder, units, created, time.perf_counter() - begun)
    targets = _targets(work)
    for name, frame in (*tables.items(), ("targets", targets)):
        folder.write_frame(f"{name}.parquet", frame)
    folder.write("records.csv", tables["records"].to_csv(index=False))
    folder.write_json("manifest.json", manifest)
    return Result(folder.address, experiment, manifest, targets=targets, **tables)


def _tables(rows: pd.DataFrame, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Records, predictions and curves from the rows of all units, in the order of the experiment."""
    rows["backend"] = pd.Categorical(rows["backend"], list(experiment.backends), ordered=True)
    rows = rows.sort_values(KEY, kind="stable", ignore_index=True)
    rows["backend"] = rows["backend"].astype(str)
    curves = [str(c) for c in rows.columns if str(c).startswith("curve_")]
    measured = [f"{part}_{m}" for part in PARTS for m in (*experiment.metrics, "loss")]
    long = rows[[*KEY, "epoch", *curves]].explode(["epoch", *curves], ignore_index=True)
    long = long.dropna(subset=["epoch"]).rename(
        columns={c: c.removeprefix("curve_") for c in curves}
    )
    values = {c.removeprefix("curve_"): "float32" for c in curves}
    return {
        "records": rows[[*KEY, "status", "reason", *measured, "seconds"]],
        "predictions": rows[[*KEY, "predicted"]],
        "curves": long.astype({"epoch": "int32", **values}).reset_index(drop=True),
    }


def _targets(work: Work) -> pd.DataFrame:
    """The test samples: once for all repeats where they share the split, else for each."""
    repeats = range(work.experiment.repeats) if varies_split(work.experiment) else (-1,)
    frames = []
    for repeat in repeats:
        test = split_rows(work.dataset, work.experiment, max(repeat, 0)).test
        frames.append(pd.DataFrame({"repeat": repeat, "row": test, "target": work.dataset.y[test]}))
    return pd.concat(frames, ignore_index=True)


def _manifest(
    work: Work,
    execution: Execution,
    folder: RunFolder,
    units: Sequence[dict[str, Any]],
    created: str,
    seconds: float,
) -> dict[str, Any]:
    """The run's manifest; a run that only found everything done keeps its earlier wall time."""
    split = split_rows(work.dataset, work.experiment)
    manifest = begin(work.experiment, execution, work.dataset, split, work.backends, created)
    if len(work.done) == len(work.units) and work.units and folder.exists("manifest.json"):
        seconds = folder.read_json("manifest.json")["wall_seconds"]
    return manifest | {"finished": now(), "units": list(units), "wall_seconds": seconds}
