"""Parity: whether every backend takes the path of the written-out reference, weight by weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import pandas as pd

from backends.base import Backend
from backends.frameworks import gpus_shown
from backends.registry import UnusableBackend, import_library, known, usable
from backends.testing import Outcome, run_check
from backends.testing.checks import CHECKS
from harness.data.dataset import load_dataset
from harness.errors import InputError, unknown
from harness.executors.fork import beside, forks
from harness.executors.threads import fewer_threads
from harness.experiment.chosen_backends import require_gpus, resolve
from harness.experiment.execution import cores
from harness.experiment.experiment import Experiment
from harness.parity.comparison import (
    ParityComparison,
    ParityTask,
    compare_group,
    reference_beforehand,
)
from harness.parity.divergence import Divergence, divergence_of
from harness.parity.kinks import Kink, grant_kinks
from harness.parity.stock import StockProgram
from harness.parity.verdict import (
    UNDECIDED,
    BackendVerdict,
    ParityOutcome,
)
from harness.roundoff.trial import TOGETHER, recipes
from harness.training.contract import BackendFault, guarded_backend
from harness.training.units import even_chunks

_DTYPES = ("float32", "float64")
WRITTEN_OUT = "the reference"
CHECK_COLUMNS = ["backend", *(field.name for field in fields(Outcome))]
BLAMED_BY = 3  # backends that agree with each other and not with the reference, if nobody does


@dataclass(frozen=True)
class Parity:
    """What came out.

    ``reference``: what the backends were compared with, ``WRITTEN_OUT`` or the name of a backend.
    ``steps``: the numbers of steps that were looked at. ``verdicts``: one for each backend and dtype.
    ``alike``: pairs that disagree with the reference and agree with each other, by dtype. ``fault``: what
    is wrong with the reference itself. ``errors`` and ``chaos``: as in
    :class:`~harness.parity.comparison.ParityComparison`. ``kinks``: where trainings part through nobody's
    fault. ``stock``: how far stacks are from stock programs. ``checks``: what the conformance kit found,
    where it was asked for.
    """

    experiment: Experiment
    reference: str
    steps: tuple[int, ...]
    rtol: float | None
    verdicts: tuple[BackendVerdict, ...]
    alike: Mapping[str, Sequence[tuple[str, str]]]
    fault: str
    divergences: tuple[Divergence, ...]
    kinks: tuple[Kink, ...]
    errors: pd.DataFrame
    chaos: pd.DataFrame
    stock: pd.DataFrame
    checks: pd.DataFrame
    notes: tuple[str, ...]
    seconds: float

    def of(self, *outcomes: ParityOutcome) -> list[BackendVerdict]:
        """The verdicts with one of these outcomes."""
        return [verdict for verdict in self.verdicts if verdict.outcome in outcomes]

    @property
    def agreeing(self) -> list[BackendVerdict]:
        return [verdict for verdict in self.verdicts if verdict.agrees]

    @property
    def disagreeing(self) -> list[BackendVerdict]:
        return [verdict for verdict in self.verdicts if verdict.disagrees]

    @property
    def exit_code(self) -> int:
        """0 all agree; 1 somebody disagrees, or fails a check; 3 not everybody could be judged."""
        if self.fault:
            return 3
        if self.disagreeing or (self.checks["verdict"] == "failed").any():
            return 1
        return 3 if self.of(*UNDECIDED) or not self.agreeing else 0


def parity(
    experiment: Experiment,
    *,
    steps: int | None = None,
    rtol: float | None = None,
    reference: str = "",
    dtypes: Sequence[str] = _DTYPES,
    locate: bool = True,
    check: Sequence[str] = (),
    stock: bool = False,
    repeat: int = 0,
    cells: Sequence[int] = (),
    say: Callable[[str], None] = lambda doing: None,
) -> Parity:
    """Train every backend of the experiment along one plan and compare it with the reference.

    All start from the same weights and see the same minibatches, those of the first repeat or another.
    The reference is the training written out in float64 (:mod:`harness.roundoff.reference`), which is
    checked first itself. ``steps``: how many optimiser steps, by default those of the experiment's epochs.
    ``rtol``: one tolerance in place of what round-off explains. ``reference``: a backend in the
    reference's place; if it does not take the reference's path itself, it loses that place. ``locate``:
    look where those that disagree part from the reference. ``stock``: judge every backend by its stock
    program, ``train_one``, in the place of its stack. ``check``: backends that go through the conformance
    kit (:mod:`backends.testing`) as well. ``cells``: the numbers of some cells of the grid, by default
    all. ``say`` is told what is being done.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps: found {steps}; allowed: 1 or more")
    if rtol is not None and not 0 < rtol < 1:
        raise InputError(f"rtol: found {rtol:g}; allowed: a number between 0 and 1")
    begun = time.perf_counter()
    experiment, here, missing = resolve(experiment)
    chosen: dict[str, Backend | UnusableBackend] = {
        name: StockProgram(one) if stock and one.has_stock_program else one
        for name, one in here.items()
    }
    chosen |= {name: UnusableBackend(name, reason) for name, reason in missing.items()}
    task = ParityTask(
        experiment, load_dataset(experiment), {}, reference, steps, rtol, say, repeat, cells
    )
    notes = []
    if reference:
        _usable_reference(experiment.place(reference))
        alone = parity(
            experiment.model_copy(update={"backends": (reference,)}),
            steps=steps,
            dtypes=("float64",),
            locate=False,
            say=say,
        )
        if not alone.agreeing:
            (verdict,) = alone.verdicts
            notes.append(
                f"{verdict.backend} does not take the path of the written-out reference ({verdict.outcome}"
                f"{': ' if verdict.reason else ''}{verdict.reason}), which took its place"
            )
            task = replace(task, reference="")
        else:
            experiment = experiment.model_copy(update={"variants": alone.experiment.variants})
            task = replace(task, experiment=experiment, reference=alone.experiment.backends[0])
    with gpus_shown(bool(require_gpus(experiment, here))):
        task, missing, comparison = _side_by_side(task, chosen, dtypes)
    comparison, kinks = grant_kinks(task, comparison) if locate else (comparison, [])
    divergences = []
    stopping = {verdict.backend for verdict in comparison.verdicts if verdict.other_stop}
    for name in [n for n in comparison.disagreeing() if n not in stopping] if locate else ():
        try:
            divergences.append(divergence_of(task, comparison, name))
        except BackendFault as fault:
            notes.append(
                f"{name} could not be followed to where it parts from the reference: {fault}"
            )
    gone = [
        BackendVerdict(name, dtype, ParityOutcome.UNAVAILABLE, reason)
        for name, reason in missing.items()
        for dtype in dtypes
    ]
    verdicts = [*explained_verdicts(comparison.verdicts, divergences), *gone]
    order = list(experiment.backends)
    failed = {verdict.backend for verdict in verdicts if verdict.outcome == ParityOutcome.FAILED}
    # the kit is about what trains in a run, also where parity judges stock programs
    to_check = {
        name: guarded_backend(here[name])
        for name in check
        if name in task.backends and name not in failed
    }
    return Parity(
        experiment,
        task.reference or WRITTEN_OUT,
        comparison.steps,
        rtol,
        tuple(sorted(verdicts, key=lambda v: (order.index(v.backend), v.dtype))),
        comparison.alike,
        comparison.fault or _out_voted(comparison),
        tuple(divergences),
        tuple(kinks),
        comparison.errors,
        comparison.chaos,
        comparison.stock,
        _checks(to_check, say),
        (*notes, *comparison.notes),
        time.perf_counter() - begun,
    )


def parity_steps(experiment: Experiment, dtypes: Sequence[str] = _DTYPES) -> int:
    """How many times ``say`` will be told what is being done, if all agree."""
    here, elsewhere = (dtypes[1:], 1) if len(dtypes) > 1 and forks() else (dtypes, 0)
    names = resolve(experiment)[1]
    chunks = len(even_chunks(len(experiment.cells), TOGETHER))
    groups = recipes(experiment, list(names))
    return 1 + elsewhere + chunks * sum(1 + len(here) * (1 + len(group)) for group in groups)


def explained_verdicts(
    verdicts: Sequence[BackendVerdict], divergences: Sequence[Divergence]
) -> list[BackendVerdict]:
    """The verdicts with the tier that the explanation of a difference puts them in.

    A rounding explains nothing in another dtype than that it was seen in.
    """
    explained = {d.backend: d for d in divergences if d.explanation is not None}
    result = []
    for verdict in verdicts:
        divergence = explained.get(verdict.backend)
        why = divergence.explanation if divergence else None
        if verdict.disagrees and divergence is not None and why is not None:
            rounding = why.kind == "rounding"
            if rounding and divergence.dtype != verdict.dtype:
                result.append(verdict)
                continue
            outcome = ParityOutcome.LIBRARY_ROUNDING if rounding else ParityOutcome.OTHER_OBJECTIVE
            verdict = replace(verdict, outcome=outcome, reason=why.words)
        result.append(verdict)
    return result


def _out_voted(comparison: ParityComparison) -> str:
    """What speaks against the reference: nobody agrees with it, and several agree with each other."""
    if any(verdict.agrees for verdict in comparison.verdicts):
        return ""
    for dtype, pairs in comparison.alike.items():
        names = sorted({name for pair in pairs for name in pair})
        if len(names) >= BLAMED_BY and len(pairs) == len(names) * (len(names) - 1) // 2:
            return (
                f"{', '.join(names)} agree with each other in {dtype} and nobody agrees with it; either "
                "they make one mistake or it does"
            )
    return ""


def _usable_reference(name: str) -> Backend:
    try:
        return usable(name)
    except KeyError:
        raise unknown("reference", name, [*known(), "package.module:Class"]) from None
    except UnusableBackend as error:
        raise InputError(f"reference: {error.reason}") from None


# the task with the backends that can be used, why the others cannot, and what comparing them came to
Started = tuple[ParityTask, dict[str, str], ParityComparison]


def _side_by_side(
    task: ParityTask, chosen: Mapping[str, Backend | UnusableBackend], dtypes: Sequence[str]
) -> Started:
    """Import the backends and compare them; one dtype in a process of its own, where there can be one.

    That has to begin before a framework is imported, so both processes import them.
    """
    if len(dtypes) < 2 or not forks():
        return _compared(task, chosen, dtypes)
    with fewer_threads(max(1, cores() // 2)):
        names = [n for n in task.experiment.backends if isinstance(chosen[n], Backend)]
        for group in recipes(task.experiment, names):
            task = replace(task, known={**task.known, **reference_beforehand(task, group)})
        quietly = replace(task, say=lambda doing: None)
        other = beside(lambda: _compared(quietly, chosen, dtypes[:1])[2])
        task, missing, here = _compared(task, chosen, dtypes[1:])
        task.say(f"everybody {dtypes[0]}")
        return task, missing, ParityComparison.joined([other(), here])


def _compared(
    task: ParityTask, chosen: Mapping[str, Backend | UnusableBackend], dtypes: Sequence[str]
) -> Started:
    backends: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    here = [b for b in chosen.values() if isinstance(b, Backend)]
    libraries = dict.fromkeys(backend.library or backend.name for backend in here)
    task.say(f"loading {', '.join(libraries)}")
    for name, backend in chosen.items():
        try:
            if isinstance(backend, UnusableBackend):
                raise backend
            import_library(backend)
            backends[name] = guarded_backend(backend)
        except UnusableBackend as reason:
            missing[name] = reason.reason
    reference = task.reference
    extra = {}
    if reference:
        there = _usable_reference(task.experiment.place(reference))
        extra = {reference: guarded_backend(there)}
    task = replace(task, backends=backends | extra)
    names = [name for name in task.experiment.backends if name in backends]
    groups = recipes(task.experiment, names)
    return task, missing, ParityComparison.joined([compare_group(task, g, dtypes) for g in groups])


def _checks(backends: Mapping[str, Backend], say: Callable[[str], None]) -> pd.DataFrame:
    """What the conformance kit finds; one row for each backend and check."""
    rows = []
    for name, backend in backends.items():
        say(f"{name}, through the checks of backends.testing")
        for one in CHECKS:
            try:
                outcome = run_check(backend, one)
            except BackendFault as fault:
                outcome = Outcome(one.__name__, "failed", str(fault), np.inf, np.inf)
            rows.append({"backend": name, **asdict(outcome)})
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)
