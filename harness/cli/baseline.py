"""``harness baseline``: keep runs to check against, and look at those that are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG, EachFlagOnce

FOLDER = Annotated[str, typer.Option(help="Where baselines are.")]
HERE = "results/baselines"

app = typer.Typer(
    help="Keep a reviewed run to check against: save, list, show.", no_args_is_help=True
)


@app.command(cls=EachFlagOnce)
def save(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run folder.")],
    *,
    name: Annotated[str, typer.Option(help="The baseline's name.", show_default=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Update a baseline of that name.", show_default=False)
    ] = False,
    folder: FOLDER = HERE,
    debug: DEBUG = False,
) -> None:
    """Write a run as a baseline: raw values per repeat, in text, to be reviewed in git.

    It measures which cells are chaotic, and how each backend stands to the reference over some steps.
    """
    from harness.check import baseline
    from harness.check.reference_path import paths
    from harness.cli.console import console
    from harness.results.result import load_result
    from harness.roundoff.stable_cells import stability

    result = load_result(run)
    baseline.suitable(result, name, folder, replace=replace)
    err = console(stderr=True)
    err.print("finding the cells that round-off carries away ...", highlight=False)
    half = result.experiment.repeats // 2
    chaos = stability(result.experiment, result.backends, repeats=half)
    err.print("taking the first steps of every backend ...", highlight=False)
    saved = baseline.save(
        result, name, folder, chaos=chaos, parity=paths(result.experiment), replace=replace
    )
    console().print(
        f"saved: {saved.address}; review it, then: git add {saved.address}",
        highlight=False,
        soft_wrap=True,
    )


@app.command("list", cls=EachFlagOnce)
def listing(folder: FOLDER = HERE, debug: DEBUG = False) -> None:
    """What baselines there are."""
    from rich.table import Table

    from harness.check import baseline
    from harness.cli.console import console

    table = Table()
    for column in ("name", "saved", "data", "backends", "cells", "repeats"):
        table.add_column(column, justify="right" if column in ("cells", "repeats") else "left")
    names = baseline.names(folder)
    for name in names:
        found = baseline.load(name, folder)
        experiment = found.experiment
        table.add_row(
            name,
            found.facts["saved"][:10],
            found.facts["dataset"]["name"],
            ", ".join(found.result.backends),
            str(len(experiment.cells)),
            str(experiment.repeats),
        )
    out = console()
    if names:
        out.print(table)
    else:
        out.print(f"none in {folder}; make one with: harness baseline save RUN --name NAME")


@app.command(cls=EachFlagOnce)
def show(
    name: Annotated[str, typer.Argument(help="The baseline's name.")],
    folder: FOLDER = HERE,
    debug: DEBUG = False,
) -> None:
    """What a baseline holds: where it comes from, its chosen cells with their spread, its stability."""
    from harness.check import baseline
    from harness.check.baseline_section import section
    from harness.cli.console import console
    from harness.cli.sections import show as show_section

    show_section(section(baseline.load(name, folder)), console())
