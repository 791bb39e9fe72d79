"""``harness atlas``: which version of which library changed what?"""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from harness.cli.options import DEBUG


def atlas_command(
    columns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COLUMN",
            help="A library of the list, or PACKAGE==VERSION, listed or not; all of the list if left out.",
            show_default=False,
        ),
    ] = None,
    versions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="TOML list of libraries and versions; the harness's own is harness/atlas/versions.toml.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[str, typer.Option(help="Folder of the tables and the report.")] = (
        "results/atlas"
    ),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train again what is there.", show_default=False)
    ] = False,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train what is missing, or report alone.")
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List what would be trained.", show_default=False),
    ] = False,
    debug: DEBUG = False,
) -> None:
    """Train one small network with every version of every library, and tabulate what changed.

    A version is a column, in an environment made for it; it is stored when it is done, and the same command
    goes on from there. Told of each setting (optimiser, activation, dtype): the distance from the float64
    reference, whether the bits are those of the version before, and where not the first step and tensor.

    Exit codes: 0 done; 3 a version could not be trained.
    """
    from harness.atlas.atlas import (
        LISTED,
        chosen_columns,
        columns_to_train,
        listed_columns,
        read_atlas,
        train_columns,
    )
    from harness.atlas.section import atlas_section, write_atlas_report
    from harness.cli.console import console
    from harness.cli.sections import show_section, tell_faults
    from harness.errors import ExitCode
    from harness.results.run_folder import RunFolder

    out, err = console(), console(stderr=True)
    listed = listed_columns(versions or LISTED)
    chosen = chosen_columns(columns or [], listed)
    folder = RunFolder(output)
    atlas = read_atlas(folder)
    todo = columns_to_train(atlas, chosen, listed, fresh=fresh) if train else []
    if dry_run:
        for column in todo:
            out.print(f"{column.library} {column.version}: {column.backend}", soft_wrap=True)
        out.print(f"{len(todo)} of {len(chosen)} columns would be trained", highlight=False)
        return
    if todo:
        folder.require_writable()
        atlas = train_columns(
            folder, todo, lambda what: err.print(f"{what} ...", highlight=False, soft_wrap=True)
        )
    page = write_atlas_report(atlas, folder)
    show_section(atlas_section(atlas), out, folded=False)
    out.print(f"atlas: {page}", highlight=False, soft_wrap=True)
    lacking = tell_faults(page.faults, f"atlas --no-train --output {quote(output)}")
    untrained = train and any(c.version not in atlas.trained(c.library) for c in chosen)
    raise typer.Exit(ExitCode.UNFINISHED if untrained else lacking)
