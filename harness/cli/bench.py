"""``harness bench``: how fast, as ratios within one run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harness.cli.options import takes_experiment

_HOW = "How to measure"


@takes_experiment
def bench_command(
    settings: dict[str, Any],
    *,
    repetitions: Annotated[
        int, typer.Option(min=1, help="Rounds; medians are reported.", rich_help_panel=_HOW)
    ] = 3,
    sample: Annotated[
        int,
        typer.Option(min=1, help="Cells that are trained one at a time.", rich_help_panel=_HOW),
    ] = 3,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of each backend.", rich_help_panel=_HOW)
    ] = 1,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--no-whole", help="Also time whole commands, cold.", rich_help_panel=_HOW
        ),
    ] = True,
    output: Annotated[
        str, typer.Option(help="Folder for bench.json and bench.png.", rich_help_panel=_HOW)
    ] = "results/bench",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the tables.")] = False,
) -> None:
    """Time every backend: import, build, steps, the stack against one cell at a time and the notes' programs.

    Each backend works in a process of its own, one at a time, in interleaved repetitions. Quote the
    ratios, which hold beyond this machine; the seconds do not.
    """
    from harness.bench.figure import as_png, bench_figure
    from harness.bench.measure import measure
    from harness.cli.console import console
    from harness.experiment.execution import cores
    from harness.experiment.experiment import Experiment
    from harness.results.run_folder import RunFolder

    out, err = console(), console(stderr=True)
    result = measure(
        Experiment(**settings),
        repetitions=repetitions,
        sample=sample,
        threads=threads,
        jobs=cores(),
        whole=whole,
        say=lambda line: None if quiet else err.print(line, highlight=False),
    )
    folder = RunFolder(output)
    folder.write_json("bench.json", result)
    folder.write("bench.png", as_png(bench_figure(result)))
    _print(result, out)
    out.print(f"stored: {folder.path('bench.json')}, {folder.path('bench.png')}", soft_wrap=True)


_UNITS = {"gflop_per_second": "GFLOP/s", "share_of_machine": "", "peak_memory_bytes": "MiB"}


def _print(result: dict[str, Any], out: Any) -> None:
    from rich.table import Table

    from harness.bench.measure import table

    frame = table(result)
    shown = Table(
        title=f"{result['cells']} cells; seconds unless said otherwise. Of one cell, sampled on "
        f"{result['sample']}: one at a time; notebook (the notes' program on this network and number "
        "of steps, a bare fit for sklearn); as written (on the notes' network and samples)",
        title_justify="left",
    )
    shown.add_column("")
    for name in frame.columns:
        shown.add_column(name, justify="right")
    for quantity, row in frame.iterrows():
        scale = 2**20 if quantity == "peak_memory_bytes" else 1
        unit = _UNITS.get(str(quantity), "")
        label = str(quantity).replace("_", " ").removesuffix(" bytes")
        shown.add_row(f"{label} {unit}".strip(), *(f"{value / scale:.4g}" for value in row))
    out.print(shown)
    if result["whole"]:
        whole = Table(title="Whole commands, cold", title_justify="left")
        whole.add_column("")
        whole.add_column("seconds", justify="right")
        for what, seconds in result["whole"].items():
            whole.add_row(what, f"{seconds:.2f}")
        out.print(whole)
    ratios = Table(title="Ratios", title_justify="left")
    ratios.add_column("")
    ratios.add_column("measured", justify="right")
    ratios.add_column("target")
    for ratio in result["ratios"]:
        ratios.add_row(ratio["what"], f"{ratio['measured']:.3g}", ratio["target"])
    out.print(ratios)
    for name, reason in result["skipped"].items():
        out.print(f"{name} {reason}", highlight=False)
