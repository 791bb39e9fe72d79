"""Parity: whether every backend takes the same path as a reference, weight by weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from backends.base import Backend
from backends.registry import Unavailable, UnusableBackend, find, known, start
from harness.data.dataset import load_dataset
from harness.errors import InputError, unknown
from harness.executors.fork import beside, forks
from harness.executors.threads import fewer_threads
from harness.experiment.chosen_backends import resolve
from harness.experiment.execution import cores
from harness.experiment.experiment import Experiment
from harness.parity.conformance import checked
from harness.parity.divergence import Divergence
from harness.parity.group import Found, Task, compared
from harness.parity.kinks import settled
from harness.parity.verdict import Verdict
from harness.roundoff.trial import recipes

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Parity:
    """What came out.

    ``steps``: the numbers of steps that were looked at. ``verdicts``: one for each backend and dtype.
    ``apart``: who stands apart from a majority, by dtype. ``errors``: as
    :func:`harness.parity.measure.measured` gives them; ``chaos``: as
    :func:`harness.roundoff.chaos_map.chaos_map` does, of the reference, for every recipe and dtype.
    ``checks``: what the conformance kit found, where it was asked for.
    """

    experiment: Experiment
    reference: str
    steps: tuple[int, ...]
    rtol: float | None
    verdicts: tuple[Verdict, ...]
    apart: Mapping[str, Sequence[str]]
    divergences: tuple[Divergence, ...]
    errors: pd.DataFrame
    chaos: pd.DataFrame
    checks: pd.DataFrame
    notes: tuple[str, ...]
    seconds: float

    def of(self, *outcomes: str) -> list[Verdict]:
        """The verdicts with one of these outcomes."""
        return [verdict for verdict in self.verdicts if verdict.outcome in outcomes]

    @property
    def exit_code(self) -> int:
        """0 all agree; 1 somebody disagrees, or fails a check; 3 not everybody could be compared."""
        if self.of("disagrees") or (self.checks["verdict"] == "failed").any():
            return 1
        return 3 if self.of("nothing comparable", "unavailable") or not self.of("agrees") else 0


def parity(
    experiment: Experiment,
    *,
    steps: int | None = None,
    rtol: float | None = None,
    reference: str = "numpy",
    dtypes: Sequence[str] = DTYPES,
    locate: bool = True,
    check: Sequence[str] = (),
    say: Callable[[str], None] = lambda doing: None,
) -> Parity:
    """Train every backend of the experiment along one plan and compare it with the reference.

    All start from the same weights and see the same minibatches, those of the first repeat. ``steps``:
    how many optimiser steps, by default those of the experiment's epochs. ``rtol``: one tolerance in
    place of that of :mod:`backends.distance`. ``locate``: look where those that disagree part from the
    reference. ``check``: backends that go through the conformance kit (:mod:`backends.testing`) as well.
    ``say`` is told what is being done. If the reference itself stands apart from a majority, one of that
    majority takes its place.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps: found {steps}; allowed: 1 or more")
    if rtol is not None and not 0 < rtol < 1:
        raise InputError(f"rtol: found {rtol:g}; allowed: a number between 0 and 1")
    begun = time.perf_counter()
    experiment, found = resolve(experiment)
    try:
        found = {**found, reference: find(reference)}
    except UnusableBackend as missing_:
        found = {**found, reference: missing_}
    except KeyError:
        raise unknown("reference", reference, [*known(), "package.module:Class"]) from None
    task = Task(experiment, load_dataset(experiment), {}, reference, steps, rtol, say)
    task, missing, everything = _side_by_side(task, found, dtypes)
    usable = task.backends
    names = [name for name in experiment.backends if name in usable]
    notes = []
    if reference in {name for apart in everything.apart.values() for name in apart}:
        judge_ = _majority(everything, usable, reference)
        notes.append(
            f"the reference {reference} stands apart from the others, which agree with each other; "
            f"{judge_} took its place"
        )
        task = replace(task, reference=judge_)
        names = list(dict.fromkeys([*names, reference]))
        everything = _compared(task, names, dtypes)
    divergences, kinks = settled(task, everything) if locate else ([], [])
    gone = [Verdict(n, d, "unavailable", missing[n]) for n in missing for d in dtypes]
    return Parity(
        experiment,
        task.reference,
        everything.steps,
        rtol,
        tuple(_sorted([*everything.verdicts, *gone], [*experiment.backends, *names])),
        everything.apart,
        tuple(divergences),
        everything.errors,
        everything.chaos,
        checked({name: usable[name] for name in check if name in usable}, say),
        (*notes, *kinks),
        time.perf_counter() - begun,
    )


# the task with the backends that can be used, why the others cannot, and what comparing them came to
Started = tuple[Task, dict[str, str], Found]


def _side_by_side(
    task: Task, found: Mapping[str, Backend | Unavailable], dtypes: Sequence[str]
) -> Started:
    """Import the backends and compare them; one dtype in a process of its own, where there can be one.

    That has to begin before a framework is imported, so both processes import them.
    """
    if len(dtypes) < 2 or not forks():
        return _begun(task, found, dtypes)
    with fewer_threads(max(1, cores() // 2)):
        quietly = replace(task, say=lambda doing: None)
        other = beside(lambda: _begun(quietly, found, dtypes[:1])[2])
        task, missing, here = _begun(task, found, dtypes[1:])
        task.say(f"everybody {dtypes[0]}")
        return task, missing, Found.joined([other(), here])


def _begun(
    task: Task, found: Mapping[str, Backend | Unavailable], dtypes: Sequence[str]
) -> Started:
    usable, missing = _started(found)
    if task.reference in missing:
        raise InputError(f"reference: {missing[task.reference]}")
    task = replace(task, backends=usable)
    names = [name for name in task.experiment.backends if name in usable]
    return task, missing, _compared(task, names, dtypes)


def _compared(task: Task, names: Sequence[str], dtypes: Sequence[str]) -> Found:
    return Found.joined(
        [compared(task, group, dtypes) for group in recipes(task.experiment, names)]
    )


def _started(
    found: Mapping[str, Backend | Unavailable],
) -> tuple[dict[str, Backend], dict[str, str]]:
    """The backends that can be used, and why the others cannot."""
    usable: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name, backend in found.items():
        reason = backend if isinstance(backend, Unavailable) else start(backend)
        if reason is not None:
            missing[name] = reason.reason
        elif isinstance(backend, Backend):
            usable[name] = backend
    return usable, missing


def _majority(found: Found, usable: Mapping[str, Backend], reference: str) -> str:
    """Somebody of the majority who can take the reference's place; one who stacks, if there is one."""
    apart = {name for names in found.apart.values() for name in names} | {reference}
    agreed = [name for name in found.names if name not in apart]
    return next((name for name in agreed if usable[name].stacks), agreed[0])


def _sorted(verdicts: Sequence[Verdict], names: Sequence[str]) -> list[Verdict]:
    order = list(dict.fromkeys(names))
    return sorted(verdicts, key=lambda v: (order.index(v.backend), v.dtype))
