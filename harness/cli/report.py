"""``harness report``: make the report again."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def report_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders.")],
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
    debug: DEBUG = False,
) -> None:
    """Write figures, report.md and report.html again, from one run folder or several side by side."""
    from shlex import quote

    from harness.api import write_report
    from harness.cli.console import console
    from harness.cli.progress import told
    from harness.cli.sections import tell_faults
    from harness.results.result import load_result

    out = console()
    with told(out):
        results = [load_result(address) for address in runs]
        if anonymous:
            from harness.report.anonymous import anonymous_result

            results = [anonymous_result(result) for result in results]
        page = write_report(results, output)
    out.print(f"report: {page}", highlight=False, soft_wrap=True)
    again = [*map(quote, runs), *(["--anonymous"] if anonymous else [])]
    raise typer.Exit(tell_faults(page.faults, " ".join(["report", *again])))
