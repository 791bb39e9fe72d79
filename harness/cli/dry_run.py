"""What a run would do, printed for ``harness run --dry-run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from harness.experiment.execution import Execution
    from harness.runner import Work


# One core's speed on the machine that results/README.md measures, and how much slower others may be.
_FLOP_PER_SECOND, _SLOWER = 50e9, 4
# of one optimiser step of one network, however small: in a stack of cells, and alone
_LEAST_SECONDS = {True: 10e-6, False: 80e-6}


def show_work(work: Work, execution: Execution, out: Console) -> None:
    """Backends with their networks, units and floating-point operations, and where results would go."""
    from backends.settings import rows_of_batch
    from harness.cli.progress import grid_words
    from harness.cli.tables import show_table
    from harness.data.encoding import inputs_of
    from harness.data.split import split_rows
    from harness.runner import address_of

    experiment, dataset = work.experiment, work.dataset
    split = split_rows(dataset, experiment)
    parts = ", ".join(f"{len(rows)} {part}" for part, rows in split.items())
    inputs = inputs_of(dataset, split, experiment)
    about = f" ({dataset.source}): {parts}; {inputs} features"
    out.print(Text.assemble((dataset.name, "bold"), about))
    header = ["backend", "network", "weights", "networks", "steps each", "units", "GFLOP"]
    rows = []
    steps = work.steps
    for name in experiment.backends:
        if name in work.reasons:
            status, reason = work.reasons[name]
            rows.append([name, f"{status}: {reason}", *[""] * 5])
            continue
        network = experiment.network(name, inputs, len(dataset.classes))
        batch = rows_of_batch(experiment.recipe(name).batch_size, len(split.train))
        units = [unit for unit in work.units if unit.backend == name]
        networks = sum(unit.size for unit in units)
        flop = network.step_flop(batch) * steps[name] * networks
        numbers = (f"{n:,}" for n in (network.parameters, networks, steps[name], len(units)))
        rows.append([name, str(network), *numbers, f"{flop / 1e9:,.1f}"])
    show_table(out, header, rows, [False, False, *[True] * 5])
    out.print(
        f"{len(experiment.cells)} cells x {experiment.repeats} repeat(s); {len(work.units)} units on "
        f"{execution.jobs} worker(s) of {execution.threads} thread(s); into "
        f"{address_of(experiment, execution)}",
        highlight=False,
        soft_wrap=True,
    )
    out.print(grid_words(experiment), highlight=False)
    out.print(time_words(least_seconds(work), execution.jobs), highlight=False)


def least_seconds(work: Work) -> float:
    """Seconds that a usual core would train, estimated from floating-point operations and steps."""
    from backends.settings import rows_of_batch
    from harness.data.encoding import inputs_of
    from harness.data.split import split_rows

    experiment, dataset, steps, seconds = work.experiment, work.dataset, work.steps, 0.0
    split = split_rows(dataset, experiment)
    inputs = inputs_of(dataset, split, experiment)
    for name in {unit.backend for unit in work.units}:
        network = experiment.network(name, inputs, len(dataset.classes))
        batch = rows_of_batch(experiment.recipe(name).batch_size, len(split.train))
        taken = steps[name] * sum(unit.size for unit in work.units if unit.backend == name)
        least = _LEAST_SECONDS[work.backends[name].stacks] * taken
        seconds += max(network.step_flop(batch) * taken / _FLOP_PER_SECOND, least)
    return seconds


def time_words(seconds: float, jobs: int) -> str:
    """How long training will take, in words."""
    from harness.cli.progress import duration

    quick, slow = (duration(k * seconds / jobs) for k in (1, _SLOWER))
    span = quick if quick == slow else f"{quick} to {slow}"
    return (
        f"estimated from the work and the speed of a usual core, nothing was measured: {span} of "
        "training, beside loading the libraries and the report"
    )
