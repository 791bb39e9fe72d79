"""``harness export``: tables and figures of a report for a paper or thesis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import DEBUG
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.document.section import Section

_FORMATS = {"table": ("latex", "csv", "markdown", "html"), "figure": ("pdf", "svg", "png")}


def export_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders.")],
    table: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A table of the report.", show_default=False),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A figure of the report.", show_default=False),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="latex (default), csv, markdown or html; of a figure pdf (default), svg or png.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTH",
            help="Of a figure, such as 8.6cm, 170mm, 3.4in or 246pt: it is laid out for that, with "
            "texts of 8 to 9 points.",
            show_default=False,
        ),
    ] = None,
    plus_minus: Annotated[
        bool,
        typer.Option(
            "--plus-minus",
            help="Scores as 97.2 ± 0.9, not as 97.2(9).",
            show_default=False,
        ),
    ] = False,
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous", help="Without machine, commit and folders.", show_default=False
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where it goes. Default: a table is printed, a figure is NAME.FORMAT here.",
            show_default=False,
        ),
    ] = None,
    debug: DEBUG = False,
) -> None:
    """Write one table or figure of the report on a run, or several side by side, for a paper or thesis.

    Tables are called chosen, cells (all, with standard errors), agreement, agreement-chosen, least-alike,
    hyperparameters, conventions, networks, data, classes, grid, time, versions and so on; figures
    test-accuracy, learning-curves, confusion, difference-accuracy, alike-accuracy and so on. Without
    a name: all that there are for the run.
    """
    kind = _kind(table, figure, format_, width, plus_minus, output)
    from harness.api import report_content
    from harness.cli.places import require_writable
    from harness.report.export import exported_figure, exported_table, inches
    from harness.report.runs import Material
    from harness.results.result import load_result

    inch = None if width is None else inches(width)
    require_writable("output", output)
    results = [load_result(address) for address in runs]
    sections = report_content(results, anonymous=anonymous)
    if table is not None:
        material = Material(tuple(results))
        given: Any = kind
        text = exported_table(sections, material, table, given, plus_minus=plus_minus)
        if output is None:
            print(text, end="")
            return
        content = text.encode()
    elif figure is not None:
        given = kind
        content = exported_figure(sections, figure, given, inch)
        output = output or f"{figure}.{kind}"
    else:
        _list(sections)
        return
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_bytes(content)
    print(output)


def _kind(
    table: str | None,
    figure: str | None,
    kind: str | None,
    width: str | None,
    plus_minus: bool,
    output: str | None,
) -> str:
    """The format asked for; InputError for what does not go together."""
    if table is not None and figure is not None:
        raise InputError("figure: found beside table; allowed: one of them")
    either = table if table is not None else figure
    for flag, given, of, what in (
        ("width", width is not None, figure, "--figure NAME"),
        ("plus_minus", plus_minus, table, "--table NAME"),
        ("format", kind is not None, either, "--table NAME or --figure NAME"),
        ("output", output is not None, either, "--table NAME or --figure NAME"),
    ):
        if given and of is None:
            raise InputError(f"{flag}: found without what is to be exported; allowed: with {what}")
    allowed = _FORMATS["figure" if figure is not None else "table"]
    if kind is None:
        return allowed[0]
    if kind not in allowed:
        from harness.errors import unknown

        raise unknown("format", kind, allowed)
    return kind


def _list(sections: list[Section]) -> None:
    from harness.report.export import export_names

    for what, names in zip(("tables", "figures"), export_names(sections), strict=True):
        print(f"{what}: {', '.join(names)}")
