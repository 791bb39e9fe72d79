"""Measures the backends side by side, and puts the ratios together.

Every backend has a process of its own with a fixed number of threads, and so has each of the notes'
programs; repetitions go round robin, one process working at a time, and medians are reported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from pebble import ProcessPool

from backends.frameworks import set_device, set_threads
from harness.bench.jax_program import open_jax_program, time_jax_program
from harness.bench.large_data import large_experiment, measure_large_data
from harness.bench.notes_programs import open_program, time_plain_fit, time_program
from harness.bench.phases import GROWTH, measure_growth, open_backend, time_phases, time_stack
from harness.bench.recorder import recorder_ratio
from harness.bench.whole_commands import (
    DEFAULT_REPORT,
    LARGE_REPORT,
    STUDY_RUN,
    WHOLE_RUN,
    study_ratio,
    time_whole_commands,
)
from harness.experiment.experiment import Experiment
from harness.results.manifest import machine, now, versions
from harness.training.run_unit import peak_memory
from harness.work import plan_work

PEER = "JAX by hand"
_DEEPER = (100, 50)  # hidden layers of a second network that the stacks are held against it on
# what a stack should gain: over its own loop of single cells, over the notes' fresh models
_STACK_TARGETS = {
    "numpy": ("at least 2.5", ""),
    "tensorflow": ("", "at least 15"),
    "keras": ("", "at least 50"),
}
_RECORDED = (100, 20)  # samples in a minibatch of a recorded training
_SECONDS_TARGETS = {"import harness": 0.3, "--help": 0.3, DEFAULT_REPORT: 3.0, LARGE_REPORT: 15.0}


def benchmark(
    experiment: Experiment,
    *,
    repetitions: int = 3,
    sample: int = 3,
    threads: int = 1,
    jobs: int = 2,
    whole: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time every backend of the experiment that is available here.

    sample: cells that are trained one at a time; ``whole``: also time cold starts of whole commands.
    The result is ready for JSON: ``backends`` (a dict of numbers each, seconds unless named
    otherwise), ``skipped`` (reasons), ``ratios`` (what, measured, target), and the circumstances.
    """
    work = plan_work(experiment)
    experiment = work.experiment
    names = [name for name in work.backends if name not in work.reasons]
    cells = len(experiment.cells)
    sample = min(sample, cells)
    rows: dict[str, dict[str, float]] = {}
    growths: dict[str, dict[str, dict[str, float]]] = {}
    device = "gpu" if work.gpus else "cpu"
    with ExitStack() as stack:
        stacks = {name: stack.enter_context(_Process(threads, device)) for name in names}
        notebooks = {name: stack.enter_context(_Process(threads, device)) for name in names}
        by_hand = stack.enter_context(_Process(threads, device))
        opened = {}
        for name in names:
            say(f"{name}: importing, building")
            opened[name] = stacks[name].call(open_backend, name, experiment, threads)
            notebooks[name].call(open_program, name, experiment)
        no_peer = by_hand.call(open_jax_program, experiment) if names else "there is no backend"
        peer: list[float] = []
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(repetitions):
            for name in names:
                say(f"{name}: repetition {number + 1} of {repetitions}")
                ours = stacks[name].call(time_phases, name, experiment, sample, threads)
                theirs = notebooks[name].call(time_program, name, experiment, sample)
                rounds[name].append(ours | theirs)
            if not no_peer:
                say(f"{PEER}: repetition {number + 1} of {repetitions}")
                peer.append(by_hand.call(time_jax_program))
        for name in names:
            memory = stacks[name].call(peak_memory)
            rows[name] = _row(opened[name], rounds[name], memory, cells)
            say(f"{name}: {GROWTH} times the cells, repeats, samples")
            growths[name] = stacks[name].call(measure_growth, name, experiment)
        deeper: dict[str, list[float]] = {name: [] for name in (*names, PEER)}
        if not no_peer and isinstance(experiment.activation, str):
            other = experiment.model_copy(update={"hidden": _DEEPER, "overrides": {}})
            by_hand.call(open_jax_program, other)
            for number in range(repetitions):
                say(f"hidden layers of {_DEEPER}: repetition {number + 1} of {repetitions}")
                for name in names:
                    deeper[name].append(stacks[name].call(time_stack, name, other))
                deeper[PEER].append(by_hand.call(time_jax_program))
        large = {}
        recorded: dict[int, float] = {}
        if whole:
            say("a training of PyTorch, plain and recorded")
            recorder = stack.enter_context(_Process(threads, device))
            recorded = {size: recorder.call(recorder_ratio, size) for size in _RECORDED}
            say("large data: a run, and plain fits of one of its cells")
            with tempfile.TemporaryDirectory() as folder:
                large = measure_large_data(
                    folder,
                    large_experiment(folder, names),
                    jobs,
                    lambda name, data: notebooks[name].call(time_plain_fit, name, data),
                )
    seconds: dict[str, float] = {}
    if whole:
        say("whole commands, cold")
        seconds = time_whole_commands(experiment, jobs, repetitions) | large["seconds"]
    studies: list[Ratio] = []
    if whole and {"numpy", "sklearn"} <= {*names}:
        say("a study of 20 points")
        studies = [(STUDY_RUN, study_ratio(jobs), "at most 1.1")]
    ratios = [
        *_whole_run_ratios(rows, seconds, cells),
        *studies,
        *_stack_ratios(rows),
        *_peer_ratios("all cells", {name: row["stack"] for name, row in rows.items()}, peer),
        *_peer_ratios(
            f"all cells, hidden layers {_DEEPER}",
            {name: statistics.median(deeper[name] or [float("nan")]) for name in names},
            deeper[PEER],
        ),
        *_elsewhere_ratios(rows),
        *_growth_ratios(growths),
        *_large_ratios(large),
        *_recorder_ratios(recorded),
        *(
            (f"seconds: {c}", seconds[c], f"under {t:g}")
            for c, t in _SECONDS_TARGETS.items()
            if c in seconds
        ),
    ]
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
        "skipped": {name: f"{status}: {reason}" for name, (status, reason) in work.reasons.items()}
        | ({PEER: no_peer} if no_peer and names else {}),
        "whole": seconds,
        "ratios": [{"what": w, "measured": m, "target": t} for w, m, t in ratios if m == m],
    }


def _row(
    opened: dict[str, float], rounds: Sequence[dict[str, float]], memory: int, cells: int
) -> dict[str, float]:
    """The numbers of one backend, from the medians of its repetitions."""
    took = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    steps, stack = opened["steps"], took["stack"]
    per_step = (stack - took["first_step"]) / max(1, steps - 1)
    return {
        "import": opened["import"],
        "build": opened["build"],
        "first_step": took["first_step"],
        "per_step": per_step,
        "per_epoch": per_step * steps / opened["epochs"],
        "evaluation": took["evaluation"],
        "stack": stack,
        "elsewhere": took["elsewhere"],
        "one_at_a_time": took["one_at_a_time"],
        "notebook": took["notebook"],
        "as_written": took["as_written"],
        "cells_per_second": cells / stack,
        "speed_up": took["one_at_a_time"] * cells / stack,
        "speed_up_over_notebook": took["notebook"] * cells / stack,
        "gflop_per_second": opened["flop"] / stack / 1e9,
        "share_of_machine": opened["flop"] / stack / took["gemm"],
        "peak_memory_bytes": float(memory),
    }


Ratio = tuple[str, float, str]  # what, measured (NaN: not), target


def _whole_run_ratios(
    rows: dict[str, dict[str, float]], seconds: dict[str, float], cells: int
) -> list[Ratio]:
    """The notes' programs over the whole command; the cold run imports each library, so do notebooks."""
    ratios = []
    for key, which in (
        ("as_written", "as written"),
        ("notebook", "on the run's network and steps"),
    ):
        if WHOLE_RUN in seconds:
            programs = sum(row["import"] + row[key] * cells for row in rows.values())
            what = f"the notes' programs {which}, imports and all cells, over the whole cold run"
            ratios.append((what, programs / seconds[WHOLE_RUN], "at least 20"))
    return ratios


def _stack_ratios(rows: dict[str, dict[str, float]]) -> list[Ratio]:
    """What each backend's stack gains; scikit-learn has none, so its cell beside the library's."""
    ratios = []
    for name, row in rows.items():
        if name == "sklearn":
            ratio = row["one_at_a_time"] / row["notebook"]
            ratios.append(("sklearn: a cell over the library's bare fit", ratio, "at most 1.05"))
            continue
        loop, notebook = _STACK_TARGETS.get(name, ("", ""))
        ratios.append((f"{name}: its own loop over the stack", row["speed_up"], loop))
        ratio = row["speed_up_over_notebook"]
        ratios.append((f"{name}: the notes' program over the stack", ratio, notebook))
    return ratios


def _peer_ratios(what: str, stacks: dict[str, float], peer: Sequence[float]) -> list[Ratio]:
    """Each stack over the grid written out in JAX by hand; of scikit-learn, which has none, its loop."""
    by_hand = statistics.median(peer) if peer else float("nan")
    return [
        (
            f"{name}: {what} over {PEER}",
            seconds / by_hand,
            "" if name == "sklearn" else "at most 1",
        )
        for name, seconds in stacks.items()
    ]


def _elsewhere_ratios(rows: dict[str, dict[str, float]]) -> list[Ratio]:
    """What it costs to have another process train, which was started before."""
    return [
        (f"{name}: all cells elsewhere over here", row["elsewhere"] / row["stack"], "at most 1.1")
        for name, row in rows.items()
    ]


def _growth_ratios(growths: dict[str, dict[str, dict[str, float]]]) -> list[Ratio]:
    """What ten times the work costs, of each kind."""
    ratios = []
    for name, grown in growths.items():
        for what, more in grown.items():
            heading = f"{name}: {GROWTH} x the {what}"
            ratios.append((f"{heading}, time / {GROWTH}", more["time"], "at most 1.05"))
            ratios.append((f"{heading}, peak memory", more["memory"], "near 1"))
    return ratios


def _large_ratios(large: dict[str, Any]) -> list[Ratio]:
    """What evaluation and memory are on large data, by backend."""
    what = "large data: {}: evaluation over ten epochs of training"
    ratios = [
        (what.format(n), share, "at most 0.2") for n, share in large.get("evaluation", {}).items()
    ]
    what = "large data: {}: a worker's peak memory over the data's"
    return ratios + [(what.format(n), share, "") for n, share in large.get("memory", {}).items()]


def _recorder_ratios(recorded: dict[int, float]) -> list[Ratio]:
    """What recording every step costs a plain loop of PyTorch, by samples in a minibatch."""
    what = "PyTorch: a recorded step of 64-50-10 with {} samples over a plain one"
    return [(what.format(size), ratio, "at most 1.05") for size, ratio in recorded.items()]


class _Process(ProcessPool):
    """A process of its own, stopped at the end of the context."""

    def __init__(self, threads: int, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        super().__init__(1, context=context, initializer=_prepare, initargs=(threads, device))

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.join()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function gives in that process."""
        return self.schedule(function, args=arguments).result()


def _prepare(threads: int, device: str) -> None:
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # for what is imported from now on
    set_threads(threads)
    set_device(device)
    threadpool_limits(threads)  # for NumPy, which this module has imported already
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
