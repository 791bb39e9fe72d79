"""What a run would do, printed for ``harness run --dry-run``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from backends.network import Network
    from harness.data.split import Split
    from harness.experiment.execution import Execution
    from harness.work import Work


# One core's speed on the machine that results/README.md measures, and how much slower others may be.
_FLOP_PER_SECOND, _SLOWER = 50e9, 4
# of one optimiser step of one network, however small: in a stack of cells, and alone
_LEAST_SECONDS = {True: 10e-6, False: 80e-6}


class _Load(NamedTuple):
    """What one backend has to train: networks, each of so many steps of so many operations."""

    network: Network
    networks: int
    steps: int
    units: int
    step_flop: int


def show_work(work: Work, execution: Execution, out: Console) -> None:
    """Backends with their networks, units and floating-point operations, and where results would go."""
    from harness.cli.progress import grid_words
    from harness.cli.tables import show_table
    from harness.runner import address_of

    experiment, dataset = work.experiment, work.dataset
    split, inputs = _samples(work)
    parts = ", ".join(f"{len(rows)} {part}" for part, rows in split.items())
    about = f" ({dataset.source}): {parts}; {inputs} features"
    out.print(Text.assemble((dataset.name, "bold"), about))
    header = ["backend", "network", "weights", "networks", "steps each", "units", "GFLOP"]
    rows = []
    loads = _loads(work, split, inputs)
    for name in experiment.backends:
        if name in work.reasons:
            status, reason = work.reasons[name]
            rows.append([name, f"{status}: {reason}", *[""] * 5])
            continue
        load = loads[name]
        counts = (load.network.parameters, load.networks, load.steps, load.units)
        flop = load.step_flop * load.steps * load.networks
        rows.append([name, str(load.network), *(f"{n:,}" for n in counts), f"{flop / 1e9:,.1f}"])
    show_table(out, header, rows, [False, False, *[True] * 5])
    out.print(
        f"{len(experiment.cells)} cells x {experiment.repeats} repeat(s); {len(work.units)} units on "
        f"{execution.jobs} worker(s) of {execution.threads} thread(s); into "
        f"{address_of(experiment, execution)}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(grid_words(experiment), highlight=False)
    out.print(time_words(_seconds(work, loads), execution.jobs), highlight=False)


def least_seconds(work: Work) -> float:
    """Seconds that a usual core would train, estimated from floating-point operations and steps."""
    return _seconds(work, _loads(work, *_samples(work)))


def _samples(work: Work) -> tuple[Split, int]:
    """The first repeat's split, and how many inputs a network has."""
    from harness.data.encoding import inputs_of
    from harness.data.split import split_rows

    split = split_rows(work.dataset, work.experiment)
    return split, inputs_of(work.dataset, split, work.experiment)


def _loads(work: Work, split: Split, inputs: int) -> dict[str, _Load]:
    """What each backend that trains at all has to train."""
    from backends.settings import rows_of_batch

    experiment, steps, loads = work.experiment, work.steps, {}
    for name in experiment.backends:
        if name not in work.reasons:
            network = experiment.network(name, inputs, len(work.dataset.classes))
            batch = rows_of_batch(experiment.recipe(name).batch_size, len(split.train))
            sizes = [unit.size for unit in work.units if unit.backend == name]
            flop = network.step_flop(batch)
            loads[name] = _Load(network, sum(sizes), steps[name], len(sizes), flop)
    return loads


def _seconds(work: Work, loads: Mapping[str, _Load]) -> float:
    seconds = 0.0
    for name, load in loads.items():
        taken = load.steps * load.networks
        least = _LEAST_SECONDS[work.backends[name].stacks] * taken
        seconds += max(load.step_flop * taken / _FLOP_PER_SECOND, least)
    return seconds


def time_words(seconds: float, jobs: int) -> str:
    """How long training will take, in words."""
    from harness.report.run_tally import duration

    quick, slow = (duration(k * seconds / jobs) for k in (1, _SLOWER))
    span = quick if quick == slow else f"{quick} to {slow}"
    return (
        f"estimated from the work and the speed of a usual core, nothing was measured: {span} of "
        "training, beside loading the libraries and the report"
    )
