"""Measures the backends side by side, and puts the ratios together.

Every backend has a process of its own with a fixed number of threads, and so has each of the notes'
programs; repetitions go round robin, one process working at a time, and medians are reported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from typing import Any

import pandas as pd
from pebble import ProcessPool

from backends.frameworks import set_threads
from harness.bench import phases
from harness.bench.growth import FACTOR
from harness.bench.whole import LARGE_REPORT, REPORT, RUN, whole_commands
from harness.experiment.experiment import Experiment
from harness.results.manifest import machine, now, versions
from harness.runner import plan_work

DEEP = (100, 50)  # hidden layers of the notes' larger network
# what a stack should gain: over its own one-at-a-time loop, over the notes' fresh models
TARGETS = {
    "numpy": ("at least 2.5", ""),
    "tensorflow": ("", "at least 15"),
    "keras": ("", "at least 50"),
}
LIMITS = {"import harness": 0.3, "--help": 0.3, REPORT: 3.0, LARGE_REPORT: 15.0}  # seconds

Say = Callable[[str], None]


def measure(
    experiment: Experiment,
    *,
    repetitions: int = 3,
    sample: int = 3,
    threads: int = 1,
    jobs: int = 2,
    whole: bool = True,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Time every backend of the experiment that is available here.

    sample: cells that are trained one at a time; ``whole``: also time cold starts of whole commands.
    The result is ready for JSON: ``backends`` (a dict of numbers each, seconds unless named
    otherwise), ``skipped`` (reasons), ``ratios`` (what, measured, target), and the circumstances.
    """
    work = plan_work(experiment)
    experiment = work.experiment
    names = [n for n in work.backends if n not in work.reasons]
    skipped = {n: f"{status}: {reason}" for n, (status, reason) in work.reasons.items()}
    cells = len(experiment.cells)
    sample = min(sample, cells)
    with ExitStack() as stack:
        pools = {name: stack.enter_context(_Process(threads)) for name in names}
        notebooks = {name: stack.enter_context(_Process(threads)) for name in names}
        opened = {}
        for name in names:
            say(f"{name}: importing, building")
            opened[name] = _call(pools[name], phases.open_session, name, experiment)
            _call(notebooks[name], phases.open_notes, name, experiment)
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(repetitions):
            for name in names:
                say(f"{name}: repetition {number + 1} of {repetitions}")
                ours = _call(pools[name], phases.repetition, name, experiment, sample, threads)
                theirs = _call(notebooks[name], phases.notes, name, experiment, sample)
                rounds[name].append(ours | theirs)
        memory = {name: _call(pools[name], phases.footprint) for name in names}
        growths = {}
        for name in names:
            say(f"{name}: {FACTOR} times the cells, repeats, samples")
            growths[name] = _call(pools[name], phases.grown, name, experiment)
        together = _together(pools, names, experiment, threads, jobs, stack, say)
        deep = _deep(experiment, repetitions, threads, stack, say) if "numpy" in names else None
    rows = {
        name: _row(opened[name], rounds[name], memory[name], work, name, cells) for name in names
    }
    times: dict[str, float] = {}
    if whole:
        say("whole commands, cold")
        taken = whole_commands(experiment, jobs, repetitions)
        times = {what: statistics.median(values) for what, values in taken.items()}
    return {
        "created": now(),
        "machine": machine(),
        "versions": versions(),
        "threads": threads,
        "jobs": jobs,
        "repetitions": repetitions,
        "sample": sample,
        "cells": cells,
        "experiment": experiment.model_dump(mode="json"),
        # JSON has no NaN: what a backend has no number for is left out
        "backends": {n: {k: v for k, v in row.items() if v == v} for n, row in rows.items()},
        "skipped": skipped,
        "whole": times,
        "ratios": _ratios(rows, growths, together, deep, times, cells),
    }


def _row(
    opened: dict[str, float],
    rounds: Sequence[dict[str, float]],
    memory: int,
    work: Any,
    name: str,
    cells: int,
) -> dict[str, float]:
    """The numbers of one backend, from the medians of its repetitions."""
    took = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    steps = work.steps[name]
    experiment, dataset = work.experiment, work.dataset
    network = experiment.network(name, dataset.x.shape[1], len(dataset.classes))
    flop = network.step_flop(experiment.recipe(name).batch_size) * steps * cells
    per_step = (took["stack"] - took["first_step"]) / max(1, steps - 1)
    return {
        **opened,
        "first_step": took["first_step"],
        "per_step": per_step,
        "per_epoch": per_step * steps / experiment.recipe(name).epochs,
        "evaluation": took["evaluation"],
        "stack": took["stack"],
        "one_at_a_time": took["one_at_a_time"],
        "notebook": took["notebook"],
        "as_written": took["as_written"],
        "cells_per_second": cells / took["stack"],
        "cells_per_second_one_at_a_time": 1 / took["one_at_a_time"],
        "speed_up": took["one_at_a_time"] * cells / took["stack"],
        "speed_up_over_notebook": took["notebook"] * cells / took["stack"],
        "gflop_per_second": flop / took["stack"] / 1e9,
        "share_of_machine": flop / took["stack"] / took["gemm"],
        "peak_memory_bytes": float(memory),
    }


def _ratios(
    rows: dict[str, dict[str, float]],
    growths: dict[str, dict[str, dict[str, float]]],
    together: float | None,
    deep: float | None,
    times: dict[str, float],
    cells: int,
) -> list[dict[str, Any]]:
    """Each promise with what was measured and what it should be."""
    found: list[tuple[str, float, str]] = []
    if RUN in times:
        whose = {"as_written": "as written", "notebook": "on the run's network and steps"}
        for key, which in whose.items():
            # the cold run imports each library, and so does each notebook
            notebooks = sum(row["import"] + row[key] * cells for row in rows.values())
            what = f"the notes' programs {which}, imports and all cells, over the whole cold run"
            found.append((what, notebooks / times[RUN], "at least 20"))
    for name, row in rows.items():
        if name == "sklearn":
            ratio = row["one_at_a_time"] / row["notebook"]
            found.append(("sklearn: a cell over the library's bare fit", ratio, "at most 1.05"))
            continue
        loop, notebook = TARGETS.get(name, ("", ""))
        found.append((f"{name}: its own loop over the stack", row["speed_up"], loop))
        ratio = row["speed_up_over_notebook"]
        found.append((f"{name}: the notes' program over the stack", ratio, notebook))
    if together is not None:
        found.append(("sklearn: two processes over one", together, "at least 1.8"))
    if deep is not None:
        found.append(
            ("numpy: share of the matrix-product rate, hidden 100,50", deep, "at least 0.4")
        )
    for name, grown in growths.items():
        for what, more in grown.items():
            heading = f"{name}: {FACTOR} x the {what}"
            found.append((f"{heading}, time / {FACTOR}", more["time"], "at most 1.05"))
            found.append((f"{heading}, peak memory", more["memory"], "near 1"))
    for what, limit in LIMITS.items():
        if what in times:
            found.append((f"seconds: {what}", times[what], f"under {limit:g}"))
    return [{"what": w, "measured": m, "target": t} for w, m, t in found if m == m]


def _together(
    pools: dict[str, ProcessPool],
    names: Sequence[str],
    experiment: Experiment,
    threads: int,
    jobs: int,
    stack: ExitStack,
    say: Say,
) -> float | None:
    """How much more two processes of scikit-learn get done than one; None on a single core."""
    if "sklearn" not in names or jobs < 2:
        return None
    say("sklearn: two processes at once")
    pair = [pools["sklearn"], stack.enter_context(_Process(threads))]
    _call(pair[1], phases.open_session, "sklearn", experiment)
    cells = min(8, len(experiment.cells))
    alone = _call(pair[0], phases.work, "sklearn", cells)
    futures = [pool.schedule(phases.work, args=("sklearn", cells)) for pool in pair]
    wait(futures)
    return 2 * alone / max(f.result() for f in futures)


def _deep(
    experiment: Experiment, repetitions: int, threads: int, stack: ExitStack, say: Say
) -> float:
    """Share of the machine's matrix-product rate that the larger network reaches on NumPy."""
    say("numpy: hidden 100,50")
    deep = experiment.model_copy(update={"hidden": DEEP, "overrides": {}})
    pool = stack.enter_context(_Process(threads))
    _call(pool, phases.open_session, "numpy", deep)
    return statistics.median(
        _call(pool, phases.share, "numpy", deep, threads) for _ in range(repetitions)
    )


class _Process(ProcessPool):
    """A process of its own, stopped at the end of the context."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        super().__init__(1, context=context, initializer=_prepare, initargs=(threads,))

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.join()


def _prepare(threads: int) -> None:
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_threads(threads)  # for what is imported from now on
    threadpool_limits(threads)  # for NumPy, which this module has imported already
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)


def _call(pool: ProcessPool, function: Callable[..., Any], *arguments: Any) -> Any:
    return pool.schedule(function, args=arguments).result()


def table(result: dict[str, Any]) -> pd.DataFrame:
    """The backends' numbers as a table: a row a quantity, a column a backend."""
    return pd.DataFrame(result["backends"])
