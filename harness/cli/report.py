"""``harness report``: make the report again."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def report_command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Run folders, or the folder of a study.")
    ],
    output: Annotated[
        str | None,
        typer.Option(help="Folder to write to. Default: the first run's.", show_default=False),
    ] = None,
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous",
            help="Leave out machine, commit and folders, for reviewers who must not know whose it is.",
            show_default=False,
        ),
    ] = False,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="ROWS,COLUMNS",
            help="Of a study: two axes to map, eta and lmbd among them. Repeatable. Default: every two "
            "outer axes.",
            show_default=False,
        ),
    ] = None,
    debug: DEBUG = False,
) -> None:
    """Write figures, report.md and report.html again, from run folders side by side, or from a study."""
    from shlex import quote

    from harness.api import load_study, write_report, write_study
    from harness.cli.console import console
    from harness.cli.progress import told
    from harness.cli.sections import tell_faults
    from harness.cli.study import map_axes
    from harness.errors import InputError
    from harness.results.result import load_result
    from harness.results.run_folder import RunFolder

    out = console()
    studies = [address for address in runs if RunFolder(address).is_study()]
    if (studies or maps) and (len(runs) > 1 or not studies):
        raise InputError("report: a study, and --map, go alone; allowed: one study, or runs")
    if studies and anonymous:
        raise InputError("anonymous: found beside a study; allowed: with runs")
    with told(out):
        if studies:
            pairs = [map_axes(text) for text in maps or []]
            page = write_study(load_study(runs[0]), output, maps=pairs)
        else:
            results = [load_result(address) for address in runs]
            page = write_report(results, output, anonymous=anonymous)
    out.print(f"report: {page}", highlight=False, soft_wrap=True)
    again = [*map(quote, runs), *(["--anonymous"] if anonymous else [])]
    raise typer.Exit(tell_faults(page.faults, " ".join(["report", *again])))
