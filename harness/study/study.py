"""A study carried out: every point a run in a folder of its own, the units of all points one queue.

study.toml     reproduces the study           records.parquet, .csv   all points' records, a column an axis
study.json     points, with what, how long    points.csv, chosen.csv  a row a point; its chosen cells
points/NAME/   the run of one point           report.html, .md        what people read
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import tomli_w

from harness.data.split import split_rows
from harness.errors import InputError
from harness.executors.by_name import check_executor
from harness.experiment.execution import Execution
from harness.experiment.experiment import SCORES
from harness.experiment.study import Study
from harness.results.file_names import data_name, file_name, folder_name
from harness.results.manifest import command, git_commit, machine, now, sealed, versions
from harness.results.result import chosen_cells
from harness.results.run_folder import (
    DAMAGE,
    STUDY_FILES,
    RunFolder,
    as_sealed,
    content_hash,
    rerun_command,
)
from harness.runner import (
    OpenRun,
    Progress,
    carry_out,
    open_run,
    records_kept,
    save_run,
    surroundings_of,
)
from harness.training.evaluate import curve_epochs
from harness.training.status import TRAINED, Status
from harness.training.units import Unit, UnitOutcome
from harness.work import Work, plan_works

_log = logging.getLogger(__name__)
POINTS = "points"  # the folder of the points' folders
_AT_ONCE = 400  # points whose folders are open together
_HELD = 20_000  # networks whose results wait in memory for the rest of their points
# on disk, measured on scikit-learn's data sets: a point, a record in all tables, a label, an epoch of a curve
_POINT_BYTES, _RECORD_BYTES, _LABEL_BYTES, _CURVE_BYTES = 60_000, 900, 0.5, 16
_STEM = 60  # characters of a point's folder that are words


@dataclass(frozen=True)
class StudyPlan:
    """What a study comes to on this machine: the work of each point by its number, or why there is none."""

    study: Study
    works: Mapping[int, Work]
    reasons: Mapping[int, str]

    @property
    def networks(self) -> int:
        """Trainings in all points."""
        return sum(work.networks for work in self.works.values())


@dataclass(frozen=True)
class StudyResult:
    """A study's tables.

    axes: the values of each axis in words, in their order.
    points: a row a point: ``point``, the axes, ``folder`` (below the study's, empty for a point that cannot
    be run), ``status``, ``reason``, ``networks``, ``seconds`` of its units.
    records: those of all points (see :class:`~harness.results.result.Result`), after the columns ``point``
    and ``column_of`` each axis.
    facts: study.json.
    """

    address: str
    axes: dict[str, list[str]]
    points: pd.DataFrame
    records: pd.DataFrame
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the study's folder."""
        return self.address.rstrip("/").rsplit("/", 1)[-1]

    @property
    def metric(self) -> str:
        """The score that is told of: accuracy, or r2 for regression."""
        return SCORES[self.facts["task"]][0]

    @property
    def choose_by(self) -> str:
        """The score that chooses."""
        return str(self.facts["choose_by"] or self.metric)

    @property
    def chosen_on(self) -> str:
        """The part that chooses: ``validation``, or where there is none ``test``."""
        return "validation" if self.facts["validated"] else "test"

    @property
    def complete(self) -> bool:
        """Whether every network was measured or never can be."""
        return bool(self.records["status"].isin([*TRAINED, Status.UNSUPPORTED]).all())

    @property
    def columns(self) -> list[str]:
        """The axes' columns in the records."""
        return [column_of(axis) for axis in self.axes]

    def chosen(self) -> pd.DataFrame:
        """The chosen cell of each point and backend, means over repeats, a row each."""
        keys = ["point", *self.columns]
        return chosen_cells(self.records, self.choose_by, keys)


def column_of(axis: str) -> str:
    """The name of an axis's column; one that records have already is told apart."""
    return f"over {axis}" if axis in ("eta", "lmbd", "seed") else axis


def plan_study(study: Study) -> StudyPlan:
    """Load the data and cut all points into units; trains nothing.

    A point that cannot be run keeps its reason. :class:`~harness.errors.InputError` if that is so of all
    points with some value.
    """
    experiments = {k: p.experiment for k, p in enumerate(study.points) if p.experiment is not None}
    works, reasons = {}, {k: p.reason for k, p in enumerate(study.points) if p.experiment is None}
    for point, work in plan_works(experiments).items():
        if isinstance(work, InputError):
            reasons[point] = str(work)
        else:
            works[point] = work
    for number, labels in enumerate(study.labels.values()):
        for label in labels:
            own = [k for k, p in enumerate(study.points) if p.labels[number] == label]
            if not any(k in works for k in own):
                raise InputError(reasons[own[0]])
    return StudyPlan(study, works, reasons)


def study_address(study: Study, execution: Execution) -> str:
    """The study's folder: named by what all points share, so that more values of an axis add to it."""
    base = study.base
    stem = "study" if "dataset" in study.axes else f"study-{data_name(base.dataset)}"
    name = execution.name or f"{stem}-{base.preset}-{study.digest()}"
    folder_name("name", name)
    return f"{execution.output.rstrip('/')}/{name}"


def train_study(
    plan: StudyPlan,
    execution: Execution | None = None,
    *,
    progress: Progress | None = None,
    finish: Callable[[StudyResult], None] = lambda result: None,
) -> StudyResult:
    """Carry a study out, or finish it; the tables, also on disk.

    Points that are there already, whole, are left as they are. A point is written as soon as its last unit is
    done; KeyboardInterrupt leaves all finished units. ``finish`` is called with the result while the folder
    is still this study's alone.
    """
    execution = execution or Execution(executor="serial")
    study, folder = plan.study, RunFolder(study_address(plan.study, execution))
    check_executor(execution)
    if folder.is_run():
        raise InputError(f"name: {folder.address!r} holds a run; choose another --name")
    folder.require_writable()
    begun, created = time.perf_counter(), now()
    with folder.lock():
        folder.claim(STUDY_FILES)
        folder.write("study.toml", _as_toml(study))
        names = _folders(study, folder)
        around = surroundings_of(plan.works.values(), execution)
        frames: dict[int, pd.DataFrame] = {}
        seconds: dict[int, float] = {}
        numbers = list(plan.works)
        for first in range(0, len(numbers), _AT_ONCE):
            works = {k: plan.works[k] for k in numbers[first : first + _AT_ONCE]}
            how = {k: _below(execution, folder, names[k]) for k in works}
            for k in works:
                kept = records_kept(works[k], how[k], around)
                if kept is not None:
                    frames[k] = kept
            queue = _Queue({k: work for k, work in works.items() if k not in frames}, how, around)
            whole = [works[k] for k in works if k in frames]
            queue.run(folder, plan, progress, whole)
            frames |= queue.frames
            seconds |= queue.seconds
        took = {"wall_seconds": time.perf_counter() - begun, "created": created}
        result = _saved_study(plan, folder, names, frames, seconds, took, execution)
        finish(result)
    return result


def study_bytes(plan: StudyPlan) -> float:
    """What a study takes on disk, roughly: tables and parts of networks, what each point has once."""
    total = 0.0
    for work in plan.works.values():
        test = len(split_rows(work.dataset, work.experiment).test)
        epochs = {n: curve_epochs(work.experiment.recipe(n).epochs) for n in work.backends}
        total += _POINT_BYTES
        for unit in work.units:
            curve = _CURVE_BYTES * len(epochs[unit.backend])
            total += unit.size * (_RECORD_BYTES + test * _LABEL_BYTES + curve)
    return total


class _Queue:
    """The units of some points, carried out as one queue; each point is saved when its last is done."""

    def __init__(
        self,
        works: Mapping[int, Work],
        how: Mapping[int, Execution],
        around: Mapping[str, dict[str, str]],
    ) -> None:
        self.works, self.how, self.around = works, how, around
        self.frames: dict[int, pd.DataFrame] = {}
        self.seconds: dict[int, float] = {}
        self.outcomes: dict[int, dict[Unit, UnitOutcome]] = {k: {} for k in works}
        self.left: dict[int, int] = {}
        self.on_disk: set[int] = set()  # points of which some rows are no longer in memory
        self.held = 0

    def run(
        self, folder: RunFolder, plan: StudyPlan, progress: Progress | None, whole: Sequence[Work]
    ) -> None:
        """Have all units done that are not, and every point saved; those of ``whole`` are."""
        when = facts_there(folder).get("finished", "before")
        known = [replace(w, done=dict.fromkeys(w.units, when)) for w in whole]
        with ExitStack() as stack:
            holds: dict[int, ExitStack] = {}
            runs: dict[int, OpenRun] = {}
            for k, work in self.works.items():
                holds[k] = stack.enter_context(ExitStack())
                run = holds[k].enter_context(open_run(work, self.how[k], self.around))
                self.left[k] = len(run.work.missing)
                if run.before:
                    self.on_disk.add(k)
                runs[k] = replace(run, before={})
            if progress:
                progress.begin(_together(plan, [*(r.work for r in runs.values()), *known]), folder)
            for k in [k for k in runs if not self.left[k]]:
                self._save(k, runs.pop(k), holds[k])
            log = folder.path("workers.log") if folder.local else None
            with closing(carry_out(list(runs.values()), log)) as stream:
                for outcome in stream:
                    k = outcome.unit.point
                    self._keep(k, outcome)
                    if progress:
                        progress.finished(outcome)
                    if not self.left[k]:
                        self._save(k, runs.pop(k), holds[k])

    def _keep(self, k: int, outcome: UnitOutcome) -> None:
        self.left[k] -= 1
        self.seconds[k] = self.seconds.get(k, 0.0) + unit_seconds(outcome)
        if self.held > _HELD and outcome.finished:
            self.on_disk.add(k)
            return
        self.held += outcome.unit.size
        self.outcomes[k][outcome.unit] = outcome

    def _save(self, k: int, run: OpenRun, hold: ExitStack) -> None:
        own = self.outcomes.pop(k)
        self.held -= sum(unit.size for unit in own)
        if k in self.on_disk:
            own = run.parts.finished() | own
        self.frames[k] = save_run(run, own).records
        hold.close()


def unit_seconds(outcome: UnitOutcome) -> float:
    """How long a unit took, all of it."""
    return sum(value for name, value in outcome.timings.items() if name.endswith("_seconds"))


def _together(plan: StudyPlan, works: Sequence[Work]) -> Work:
    """The works of several points as one, for whoever tells of progress."""
    first = next(iter(plan.works.values()))
    units = tuple(unit for work in works for unit in work.units)
    done = {unit: when for work in works for unit, when in work.done.items()}
    backends = {name: backend for work in works for name, backend in work.backends.items()}
    lost = Counter((n, *why) for work in works for n, why in work.reasons.items())
    reasons = {
        name: (status, f"{reason} (at {number} of {len(works)} points)")
        for (name, status, reason), number in lost.items()
    }
    return Work(first.experiment, first.dataset, backends, units, reasons, done)


def _below(execution: Execution, folder: RunFolder, name: str) -> Execution:
    """How a point is carried out: its folder is below the study's."""
    place = {"output": f"{folder.address.rstrip('/')}/{POINTS}", "name": name}
    return execution.model_copy(update=place)


def _folders(study: Study, folder: RunFolder) -> dict[int, str]:
    """The name of each point's folder: its values, and a hash of its settings.

    A folder that is there with that hash is taken, so that a further axis, of which there was one value
    before, finds what was trained.
    """
    there = {name.rsplit("-", 1)[-1]: name for name in folder.names(POINTS)}
    names = {}
    for k, point in enumerate(study.points):
        if point.experiment is not None:
            words = [os.path.basename(label) or label for label in point.labels]
            digest = study.point_digest(point.experiment)
            stem = file_name("_".join(words)[:_STEM]).strip(".-")
            names[k] = there.get(digest, f"{stem}-{digest}")
    return names


def _as_toml(study: Study) -> str:
    """The study as a file of settings that reproduces it."""
    checked = study.base.model_dump(mode="json", exclude_none=True, exclude={"overrides"})
    given = {name: value for name, value in study.settings.items() if value is not None}
    settings = {name: checked.get(name, _plain_value(value)) for name, value in given.items()}
    over = {
        name: [point.labels[number] for point in study.points]
        if study.zipped
        else study.labels[name]
        for number, name in enumerate(study.axes)
    }
    if study.zipped:
        settings["zip"] = True
    return tomli_w.dumps({**settings, "over": over})


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain_value(own) for name, own in value.items() if own is not None}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _saved_study(
    plan: StudyPlan,
    folder: RunFolder,
    names: Mapping[int, str],
    frames: Mapping[int, pd.DataFrame],
    seconds: Mapping[int, float],
    took: Mapping[str, Any],
    execution: Execution,
) -> StudyResult:
    """Write the tables of a study whose points are all saved."""
    study = plan.study
    before = facts_there(folder)
    old = {p["folder"]: p.get("seconds", 0.0) for p in before.get("points", []) if p["folder"]}
    rows, tables = [], []
    for k, point in enumerate(study.points):
        at = {column_of(axis): label for axis, label in zip(study.axes, point.labels, strict=True)}
        if k in frames:
            place = f"{POINTS}/{names[k]}"
            statuses = set(frames[k]["status"])
            status = "ok" if statuses & {*TRAINED} else min(map(str, statuses))
            reason = "; ".join(r for r in frames[k]["reason"].unique() if isinstance(r, str) and r)
            spent = seconds.get(k, 0.0) or old.get(place, 0.0)
            networks = int(frames[k]["status"].isin([*TRAINED]).sum())
            rows.append([k, *point.labels, place, status, reason, networks, spent])
            tables.append(frames[k].assign(point=k, **at))
        else:
            why = plan.reasons[k]
            rows.append([k, *point.labels, "", str(Status.UNSUPPORTED), why, 0, 0.0])
    columns = [column_of(axis) for axis in study.axes]
    about = ["folder", "status", "reason", "networks", "seconds"]
    points = pd.DataFrame(rows, columns=["point", *columns, *about])
    records = pd.concat(tables, ignore_index=True)
    records = records[
        ["point", *columns, *(c for c in tables[0].columns if c not in ("point", *columns))]
    ]
    base = plan.study.base
    facts: dict[str, Any] = {
        **took,
        "finished": now(),
        "command": command(),
        "git_commit": git_commit(),
        "versions": versions(),
        "machine": machine(),
        "jobs": execution.jobs,
        "axes": study.labels,
        "zipped": study.zipped,
        "task": base.task,
        "choose_by": base.choose_by,
        "validated": base.validation_size > 0,
        "grid": [len(base.eta), len(base.lmbd)],
        "repeats": base.repeats,
        "points": points.to_dict("records"),
    }
    result = StudyResult(folder.address, study.labels, points, records, facts)
    files = {
        "records.parquet": folder.write_frame("records.parquet", records),
        "records.csv": folder.write("records.csv", records.to_csv(index=False)),
        "points.csv": folder.write("points.csv", points.to_csv(index=False)),
        "chosen.csv": folder.write("chosen.csv", result.chosen().to_csv(index=False)),
    }
    folder.write_json("study.json", sealed(facts | {"files": files}))
    return result


def facts_there(folder: RunFolder) -> dict[str, Any]:
    """study.json of a folder; empty where there is none, or not what was written."""
    with suppress(OSError, *DAMAGE):
        facts = dict(folder.read_json("study.json"))
        return facts if as_sealed(facts) else {}
    return {}


def load_study(address: str) -> StudyResult:
    """The study in a folder; :class:`InputError` if there is none, or what is there is not whole."""
    folder = RunFolder(address)
    mend = f"the same command again mends it, or: {rerun_command(address, 'study.toml')}"
    try:
        facts = folder.read_json("study.json")
        content = folder.read("records.parquet")
    except FileNotFoundError:
        raise InputError(f"study: {address!r} is unfinished; {mend}") from None
    except DAMAGE as error:
        raise InputError(f"study: {address!r} is damaged ({error}); {mend}") from None
    if not as_sealed(facts) or content_hash(content) != facts["files"]["records.parquet"]:
        raise InputError(f"study: {address!r} is not what was written; {mend}")
    records, _ = folder.read_frame("records.parquet")
    points = pd.DataFrame(facts["points"])
    return StudyResult(address, facts["axes"], points, records, facts)
