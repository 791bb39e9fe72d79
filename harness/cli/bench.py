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

    With whole commands there is a run on as many samples as MNIST has, generated, beside plain fits of one of
    its cells. Each backend works in a process of its own, one at a time, in interleaved repetitions. Quote
    the ratios, which hold beyond this machine; the seconds do not.
    """
    from harness.bench.benchmark import benchmark
    from harness.bench.section import bench_section, draw_bench
    from harness.cli.console import console
    from harness.cli.sections import show_section
    from harness.document.canvas import figure_file, style
    from harness.experiment.execution import cores
    from harness.experiment.experiment import Experiment
    from harness.results.run_folder import RunFolder

    out, err = console(), console(stderr=True)
    folder = RunFolder(output)
    folder.claim(["bench.json", "bench.png"])
    result = benchmark(
        Experiment(**settings),
        repetitions=repetitions,
        sample=sample,
        threads=threads,
        jobs=cores(),
        whole=whole,
        say=lambda line: None if quiet else err.print(line, highlight=False),
    )
    folder.write_json("bench.json", result)
    with style():
        folder.write("bench.png", figure_file(draw_bench(result), "png"))
    show_section(bench_section(result), out)
    out.print(f"stored: {folder.path('bench.json')}, {folder.path('bench.png')}", soft_wrap=True)
