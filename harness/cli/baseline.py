"""``harness baseline``: keep runs to check against, and look at those that are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG, EachFlagOnce, Verbs

_Folder = Annotated[str, typer.Option(help="Where baselines are.")]
_HERE = "results/baselines"

baseline_app = typer.Typer(
    cls=Verbs, help="Keep a reviewed run to check against: save, list, show.", no_args_is_help=True
)


@baseline_app.command("save", cls=EachFlagOnce)
def save_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run folder, or a study's.")],
    *,
    name: Annotated[str, typer.Option(help="The baseline's name.", show_default=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Update a baseline of that name.", show_default=False)
    ] = False,
    folder: _Folder = _HERE,
    debug: DEBUG = False,
) -> None:
    """Write a run as a baseline: raw values per repeat, in text, to be reviewed in git.

    Of a study every point becomes one, in a folder of the name.

    It measures which cells are chaotic, and how each backend stands to the reference over some steps.
    """
    from harness.results.run_folder import RunFolder
    from harness.study.checks import study_baseline
    from harness.study.study import load_study

    if not RunFolder(run).is_study():
        _save(run, name, folder, replace=replace)
        return
    with study_baseline(load_study(run), name, folder, replace=replace) as (place, points):
        for point, address in points.items():
            _save(address, point, place, replace=True)  # which of them may be replaced is settled


def _save(run: str, name: str, folder: str, *, replace: bool) -> None:
    """Write one run as a baseline, and say where."""
    from harness.check.baseline import require_savable, save_baseline
    from harness.check.reference_path import reference_paths
    from harness.cli.console import console
    from harness.cli.progress import told_steps
    from harness.results.result import load_result
    from harness.roundoff.stable_cells import stability

    result = load_result(run)
    require_savable(result, name, folder, replace=replace)
    err = console(stderr=True)
    half, what = result.experiment.repeats // 2, "finding the cells that round-off carries away"
    with told_steps(err, what) as begin:
        chaos = stability(result.experiment, result.backends, half, begin)
    err.print("taking the first steps of every backend ...", highlight=False)
    saved = save_baseline(
        result,
        name,
        folder,
        chaos=chaos,
        parity=reference_paths(result.experiment),
        replace=replace,
    )
    console().print(
        f"saved: {saved.address}; review it, then: git add {saved.address}",
        highlight=False,
        soft_wrap=True,
    )


@baseline_app.command("list", cls=EachFlagOnce)
def list_baselines_command(folder: _Folder = _HERE, debug: DEBUG = False) -> None:
    """What baselines there are."""
    from rich.table import Table

    from harness.check.baseline import baseline_names, load_baseline
    from harness.cli.console import console
    from harness.errors import InputError
    from harness.results.run_folder import RunFolder
    from harness.study.checks import study_baselines

    table = Table()
    for column in ("name", "saved", "data", "backends", "cells", "repeats"):
        table.add_column(column, justify="right" if column in ("cells", "repeats") else "left")
    names = baseline_names(folder)
    for name in names:
        found = load_baseline(name, folder)
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
    told = []
    for name in RunFolder(folder).names(""):
        if name in names or name.startswith("."):
            continue
        try:
            points = study_baselines(name, folder)
            if points:
                where = f"{folder.rstrip('/')}/{name}"
                told.append(f"{name}: a study, {len(points)} points, in {where}")
        except InputError as error:  # what is wrong with one is no reason not to list the others
            told.append(str(error))
    for line in told:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    if not names and not told:
        out.print(
            f"none in {folder}; make one with: python -m harness baseline save RUN --name NAME"
        )


@baseline_app.command("show", cls=EachFlagOnce)
def show_command(
    name: Annotated[str, typer.Argument(help="The baseline's name.")],
    folder: _Folder = _HERE,
    debug: DEBUG = False,
) -> None:
    """What a baseline holds: where it comes from, its chosen cells with their spread, its stability."""
    from harness.check.baseline import load_baseline
    from harness.check.section import baseline_section
    from harness.cli.console import console
    from harness.cli.sections import show_section

    show_section(baseline_section(load_baseline(name, folder)), console())
