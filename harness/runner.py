"""Trains and saves: has the units of an experiment carried out, keeps every finished one on disk.

A finished unit is a part in the run folder (:mod:`harness.results.parts`). Going on with a run is skipping
the parts that exist; what a killed run was doing is at most lost, never half written.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from harness.data.split import split_rows
from harness.errors import InputError
from harness.executors.by_name import check_executor, executor
from harness.executors.job import Job
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.results.file_names import data_name, folder_name
from harness.results.kept_weights import WEIGHTS
from harness.results.manifest import begin_manifest, gpu_notes, now, sealed
from harness.results.parts import Parts
from harness.results.result import Result
from harness.results.run_folder import (
    DAMAGE,
    RUN_FILES,
    RunFolder,
    as_sealed,
    content_hash,
    parquet_frame,
)
from harness.results.run_tables import run_tables
from harness.training.status import SETTLED, Status
from harness.training.unit_digest import backend_surroundings, unit_digest
from harness.training.units import Unit, UnitOutcome
from harness.work import Work

_log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told how a run goes: once at its start, then for every unit."""

    def begin(self, plan: Work, folder: RunFolder) -> None: ...

    def finished(self, outcome: UnitOutcome) -> None: ...


def train_and_save(
    work: Work,
    execution: Execution | None = None,
    *,
    progress: Progress | None = None,
    add: Callable[[Result], Result] = lambda result: result,
    finish: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Carry work out, or finish what was interrupted; the result, also on disk.

    ``add`` is asked for what belongs to the result beside the records, ``finish`` is called with it once it
    is all on disk; until both are done nobody else writes to the folder. Without ``execution`` units run
    one after the other in this process and results land in ``results/``. Raises
    :class:`~harness.errors.InputError` for a folder that cannot be used, before anything is written;
    KeyboardInterrupt leaves all finished units in the folder.
    """
    with open_run(work, execution or Execution(executor="serial")) as run:
        if progress:
            progress.begin(run.work, run.parts.folder)
        outcomes = dict(run.before)
        with closing(carry_out([run])) as stream:
            for outcome in stream:
                outcomes[outcome.unit] = outcome
                if progress:
                    progress.finished(outcome)
        return save_run(run, outcomes, add, finish)


@dataclass(frozen=True)
class OpenRun:
    """A run whose folder is this process's alone, until :func:`save_run` has written it.

    ``before``: outcomes of the units that were done; ``manifest``: what it was; ``written``: hashes of
    files; ``changes``: why backends are trained again; ``begun``, ``created``: when this began.
    """

    work: Work
    execution: Execution
    parts: Parts
    before: Mapping[Unit, UnitOutcome]
    manifest: Mapping[str, Any]
    written: Mapping[str, str]
    changes: dict[str, list[str]]
    begun: float
    created: str


def surroundings_of(works: Iterable[Work], execution: Execution) -> dict[str, dict[str, str]]:
    """What the results of each backend of some works depend on here and now, beside settings and data.

    By what a backend is looked up by: at another point of a study its name may stand for another.
    """
    backends = {
        work.experiment.place(name): backend
        for work in works
        for name, backend in work.backends.items()
    }
    return {
        place: backend_surroundings(backend, execution.threads)
        for place, backend in backends.items()
    }


def records_kept(
    work: Work, execution: Execution, around: Mapping[str, dict[str, str]]
) -> pd.DataFrame | None:
    """The records of a finished run that is all of this work; None if there is anything to do.

    Nothing but names and hashes is looked at. ``around``: see :func:`surroundings_of`.
    """
    folder = RunFolder(address_of(work.experiment, execution))
    if execution.fresh or not folder.is_run():
        return None
    manifest, _ = _manifest_there(folder)
    if not manifest or manifest.get("finished") is None:
        return None
    missing = {name for name, about in manifest["backends"].items() if "unavailable" in about}
    if missing != {n for n, (status, _) in work.reasons.items() if status == Status.UNAVAILABLE}:
        return None
    try:
        content = folder.read("records.parquet")
        whole = content_hash(content) == manifest["files"]["records.parquet"]
        if not whole or folder.read_experiment() != work.experiment:
            return None
    except (OSError, InputError, *DAMAGE):
        return None
    if not _parts(work, folder, around, execution.keep_weights).complete:
        return None
    return parquet_frame(content)[0]


@contextmanager
def open_run(
    work: Work, execution: Execution, around: Mapping[str, dict[str, str]] | None = None
) -> Iterator[OpenRun]:
    """The run's folder, locked, said to be unfinished, with what is in it from before.

    Raises :class:`~harness.errors.InputError` for a folder that cannot be used, before anything is written.
    ``around``: the backends' :func:`surroundings_of`, where they are known.
    """
    around = surroundings_of([work], execution) if around is None else around
    folder = RunFolder(address_of(work.experiment, execution))
    begun, created = time.perf_counter(), now()
    check_executor(execution)
    _check_folder(folder, work, execution)
    folder.require_writable()
    with folder.lock():
        _check_folder(folder, work, execution)  # which another run may have made meanwhile
        if execution.fresh and (stays := folder.clear_contents()):
            _log.info(
                "left in %s, not written by the harness: %s", folder.address, ", ".join(stays)
            )
        folder.claim(RUN_FILES)
        folder.remove_half_written()
        before_this = _begin_writing(folder)
        about = [work.dataset.source, f"SHA-256 {work.dataset.sha256}", *work.dataset.decisions]
        data_lines = [f"data: {line}" for line in about]
        written = {"experiment.toml": folder.write_experiment(work.experiment, data_lines)}
        if execution.keep_weights:
            units = tuple(replace(unit, keep_weights=True) for unit in work.units)
            work = replace(work, units=units)
        parts = _parts(work, folder, around, execution.keep_weights)
        before = parts.finished()
        work = replace(work, done={unit: outcome.finished for unit, outcome in before.items()})
        changes = _changes(work, parts)
        yield OpenRun(work, execution, parts, before, before_this, written, changes, begun, created)


def save_run(
    run: OpenRun,
    outcomes: Mapping[Unit, UnitOutcome],
    add: Callable[[Result], Result] = lambda result: result,
    finish: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Write the tables and the manifest of a run whose units all have their outcome."""
    work, folder = run.work, run.parts.folder
    tables = run_tables(
        work.experiment, work.dataset, [outcomes[u] for u in work.units], work.reasons
    )
    manifest = _manifest(work, run.execution, outcomes, run.created)
    manifest["directory"] = _started_in(folder)
    manifest["trained_again"] = run.changes
    if networks := run.parts.weights():
        manifest[WEIGHTS] = networks
    manifest["stale_parts_removed"] = _remove_stale(run.parts, tables["records"])
    manifest["wall_seconds"] = _wall_seconds(work, run.manifest, run.begun)
    written = dict(run.written)
    for name, table in tables.items():
        written[f"{name}.parquet"] = folder.write_frame(f"{name}.parquet", table)
    written["records.csv"] = folder.write("records.csv", tables["records"].to_csv(index=False))
    kept = {k: v for k, v in run.manifest.get("files", {}).items() if k not in written}
    result = add(
        Result(folder.address, work.experiment, manifest | {"files": kept | written}, **tables)
    )
    folder.write_json("manifest.json", sealed(result.manifest))
    finish(result)
    return result


def _begin_writing(folder: RunFolder) -> dict[str, Any]:
    """Say in the manifest, if there is one, that the run is not finished; what it was before."""
    manifest, damage = _manifest_there(folder)
    if damage:
        _log.warning("manifest.json of %s %s: made anew", folder.address, damage)
    if manifest:
        unfinished: dict[str, Any] = {"files": {}} | manifest | {"finished": None}
        folder.write_json("manifest.json", sealed(unfinished))
    return manifest


def _manifest_there(folder: RunFolder) -> tuple[dict[str, Any], str]:
    """A folder's manifest, empty if there is none that can be trusted; and what is wrong with it, if so."""
    try:
        manifest = dict(folder.read_json("manifest.json"))
    except FileNotFoundError:
        return {}, ""
    except DAMAGE as error:
        return {}, f"is damaged ({error})"
    right = as_sealed(manifest) and isinstance(manifest.get("dataset"), dict)
    return (manifest, "") if right else ({}, "is not what was written")


def address_of(experiment: Experiment, execution: Execution) -> str:
    """The run folder's address; the name must stay inside ``output``."""
    name = execution.name
    if name is None:
        name = f"{data_name(experiment.dataset)}-{experiment.preset}-{experiment.digest()[:8]}"
    folder_name("name", name)
    return f"{execution.output.rstrip('/')}/{name}" if execution.output != "/" else f"/{name}"


def _check_folder(folder: RunFolder, work: Work, execution: Execution) -> None:
    """A folder may be new, hold this experiment, or one that it only adds to, on the same data.

    What is in it beside a run stays there, but a run cannot begin over somebody's file.
    """
    experiment = work.experiment
    if folder.is_study():
        raise InputError(
            f"name: {folder.address!r} holds a study; choose another --name, or --over, as it was made"
        )
    if not folder.is_run():
        folder.refuse_foreign(RUN_FILES)
        return
    if execution.fresh or not (folder.exists() or folder.exists("manifest.json")):
        return
    try:
        there = folder.read_experiment()
    except (OSError, InputError, *DAMAGE) as error:
        raise InputError(
            f"name: experiment.toml of {folder.address!r} is damaged ({error}); --fresh discards that run "
            "and makes it anew"
        ) from None
    for key, (new, old) in experiment.differences(there).items():
        if key == "choose_by":  # the same trainings, another choice among them
            continue
        grows = key in ("backends", "eta", "lmbd") and set(new) >= set(old)
        grows = grows or (key == "variants" and new.items() >= old.items())
        if not (grows or (key == "repeats" and new > old)):
            raise InputError(
                f"name: {folder.address!r} holds another experiment ({key} {old!r}, now {new!r}); "
                "choose another --name, or --fresh to discard what is there"
            )
    manifest, _ = _manifest_there(folder)
    if not manifest:  # parts of other data are told by their digests
        return
    before = manifest["dataset"].get("sha256", "")
    if before != work.dataset.sha256:
        raise InputError(
            f"dataset: {work.dataset.name!r} has changed since {folder.address!r} was made from it (SHA-256 "
            f"{work.dataset.sha256[:12]}, then {before[:12]}); choose another --name, or --fresh to discard "
            "what is there"
        )


def _parts(
    work: Work, folder: RunFolder, around: Mapping[str, dict[str, str]], keep_weights: bool
) -> Parts:
    """The folder's parts, each unit's named by the digest of what it depends on here and now."""
    around = {name: around[work.experiment.place(name)] for name in work.backends}
    data = work.dataset.sha256
    digests = {u: unit_digest(u, work.experiment, data, around[u.backend]) for u in work.units}
    return Parts(folder, work.experiment, work.dataset, digests, around, keep_weights)


def _changes(work: Work, parts: Parts) -> dict[str, list[str]]:
    """Why backends are trained again that had been trained here, also logged."""
    missing = {unit.backend for unit in work.missing}
    changes = {name: what for name, what in parts.changes().items() if name in missing}
    for name, what in changes.items():
        _log.info("%s is trained again; what has changed: %s", name, ", ".join(what))
    return changes


def carry_out(
    runs: Sequence[OpenRun], log: str | None = None
) -> Generator[UnitOutcome, None, None]:
    """Have every missing unit of some runs done, as one queue; each part is on disk before its outcome.

    ``log``: where workers' chatter goes, by default into the first run's folder.
    """
    units = tuple(unit for run in runs for unit in run.work.missing)
    if not units:
        return
    folder, execution = runs[0].parts.folder, runs[0].execution
    of_unit = {unit: run.parts for run in runs for unit in run.work.missing}
    given = {
        run.work.missing[0].point: (run.work.experiment, run.work.dataset)
        for run in runs
        if run.work.missing
    }
    chatter = log or (folder.path("workers.log") if folder.local else None)
    for note in dict.fromkeys(note for run in runs for note in gpu_notes(run.work.gpus)):
        _log.warning(note)
    stream = executor(execution.executor)(Job(units, given, execution, chatter))
    try:
        for outcome in stream:
            if outcome.rows is not None and Status.UNAVAILABLE not in set(outcome.rows["status"]):
                outcome = of_unit[outcome.unit].write(outcome)
            yield outcome
    finally:
        stream.close()  # type: ignore[attr-defined]


def _started_in(folder: RunFolder) -> str:
    """The working directory as seen from the folder, so that both may be moved; whole where it cannot be."""
    if "://" not in folder.address:
        with suppress(ValueError):  # on another drive
            return os.path.relpath(os.getcwd(), folder.address)
    return os.getcwd()


def _manifest(
    work: Work, execution: Execution, outcomes: Mapping[Unit, UnitOutcome], created: str
) -> dict[str, Any]:
    """The run's manifest, with what became of every unit and how many are from before."""
    manifest = begin_manifest(
        work.experiment,
        execution,
        dataset=work.dataset,
        split=split_rows(work.dataset, work.experiment),
        backends=work.backends,
        gpus=work.gpus,
        missing={n: why for n, (status, why) in work.reasons.items() if n not in work.backends},
        created=created,
    )
    units = [
        {
            "unit": str(unit),
            "backend": unit.backend,
            "networks": unit.size,
            "status": str(outcomes[unit].status),
            "reason": outcomes[unit].reason,
            "finished": outcomes[unit].finished,
            **outcomes[unit].timings,
        }
        for unit in work.units
    ]
    taken_over = {"units": len(work.done), "finished": work.done_when}
    return manifest | {"finished": now(), "taken_over": taken_over, "units": units}


def _remove_stale(parts: Parts, records: pd.DataFrame) -> int:
    """Remove stale parts if nothing is left to be done; how many, also logged."""
    if not records["status"].isin(SETTLED).all():
        return 0
    removed = parts.remove_stale()
    if removed:
        _log.info("%d part(s) of other code, versions, threads or variables removed", removed)
    return removed


def _wall_seconds(work: Work, before_this: Mapping[str, Any], begun: float) -> float:
    """Seconds since ``begun``; of a run that only found everything done, those of before."""
    if work.units and not work.missing and "wall_seconds" in before_this:
        return float(before_this["wall_seconds"])
    return time.perf_counter() - begun
