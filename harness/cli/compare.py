"""``harness compare``: do backends, or two runs, agree?"""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def compare_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or a study's.")],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Another, on the same data and split: before and after, mine and theirs. "
            "Without it the backends of the one run are compared.",
            show_default=False,
        ),
    ] = None,
    *,
    margin: Annotated[
        float, typer.Option(help="Scores this close count as the same; 0.01 is one point.")
    ] = 0.01,
    alpha: Annotated[
        float, typer.Option(help="Error of the whole family of claims, after Holm's correction.")
    ] = 0.05,
    chaos: Annotated[
        bool,
        typer.Option(
            "--chaos/--no-chaos",
            help="Find the cells that round-off alone carries away, and set them apart.",
        ),
    ] = True,
    output: Annotated[
        str | None,
        typer.Option(
            help="Folder for compare.md, .html, .json, .csv and the figure. [RUN/compare]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON.", show_default=False)
    ] = False,
    debug: DEBUG = False,
) -> None:
    """Say in which cells backends (or two runs) are equivalent within a margin, and in which not.

    Of a study every point, corrected for all together.

    Exit codes: 0 equivalent in every stable cell; 1 different beyond the margin somewhere;
    3 inconclusive (more repeats are needed).
    """
    from shlex import quote

    import pandas as pd

    from harness.cli.console import console
    from harness.cli.places import unwritten_is_told
    from harness.cli.progress import told_steps
    from harness.cli.sections import show_section, tell_faults
    from harness.compare.comparison import comparable_pairs, compare
    from harness.compare.formats import comparison_json, write_comparison
    from harness.document.writer import PageAddress
    from harness.errors import InputError
    from harness.results.result import load_result
    from harness.results.run_folder import RunFolder
    from harness.roundoff.stable_cells import by_backend, chaos_maps

    studies = [RunFolder(place).is_study() for place in (run, other) if place is not None]
    if any(studies):
        if not all(studies):
            raise InputError("compare: found a study and a run; allowed: runs, or studies")
        from harness.cli.study import study_comparison

        study_comparison(run, other, margin, alpha, chaos=chaos, output=output, json=json)
    first = load_result(run)
    second = load_result(other) if other is not None else None
    comparable_pairs(first, second, margin, alpha)  # refused before any work is done
    maps = None
    if chaos:
        what = "finding the cells that round-off carries away"
        runs = [r for r in (first, second) if r is not None]
        try:
            with told_steps(console(stderr=True), what, quiet=json) as begin:
                maps = pd.concat([chaos_maps(r.experiment, r.backends, begin=begin) for r in runs])
        except InputError as error:
            raise InputError(f"{error}; or --no-chaos, to do without the data") from None
    wild = None if maps is None else by_backend(maps)
    comparison = compare(first, second, margin=margin, alpha=alpha, chaos=wild)
    page = PageAddress("none")
    with unwritten_is_told("the comparison"):
        page = write_comparison(comparison, output or f"{run.rstrip('/')}/compare", maps)
    if json:
        from json import dumps

        print(dumps(comparison_json(comparison), indent=2, allow_nan=False))
    else:
        from harness.compare.section import comparison_summary

        out = console()
        show_section(comparison_summary(comparison), out, rest="in compare.md")
        out.print(f"comparison: {page}", highlight=False, soft_wrap=True)
    lacking = tell_faults(
        page.faults, " ".join(["compare", *map(quote, filter(None, (run, other)))])
    )
    raise typer.Exit(comparison.exit_code or lacking)
