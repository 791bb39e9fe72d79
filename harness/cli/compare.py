"""``harness compare``: do backends, or two runs, agree?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from harness.cli.options import DEBUG

if TYPE_CHECKING:
    from harness.document.section import Section
    from harness.document.writer import PageAddress


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
    from harness.errors import InputError
    from harness.results.run_folder import RunFolder

    studies = [RunFolder(place).is_study() for place in (run, other) if place is not None]
    if any(studies) and not all(studies):
        raise InputError("compare: found a study and a run; allowed: runs, or studies")
    compared = _study_comparison if all(studies) else _run_comparison
    made = compared(run, other, margin, alpha, chaos=chaos, quiet=json)
    _end(made, output or f"{run.rstrip('/')}/compare", [run, other], json=json)


class _Compared(NamedTuple):
    """A comparison as this command ends with it."""

    write: Callable[[str], PageAddress]
    as_json: Callable[[], dict[str, Any]]
    summary: Callable[[], Section]
    exit_code: int


def _run_comparison(
    run: str, other: str | None, margin: float, alpha: float, *, chaos: bool, quiet: bool
) -> _Compared:
    """The backends of one run, or two runs."""
    import pandas as pd

    from harness.cli.console import console
    from harness.cli.progress import told_steps
    from harness.compare.comparison import comparable_pairs, compare
    from harness.compare.formats import comparison_json, write_comparison
    from harness.compare.section import comparison_summary
    from harness.errors import InputError
    from harness.results.result import load_result
    from harness.roundoff.stable_cells import by_backend, chaos_maps

    first = load_result(run)
    second = load_result(other) if other is not None else None
    comparable_pairs(first, second, margin, alpha)  # refused before any work is done
    maps = None
    if chaos:
        what = "finding the cells that round-off carries away"
        runs = [r for r in (first, second) if r is not None]
        try:
            with told_steps(console(stderr=True), what, quiet=quiet) as begin:
                maps = pd.concat([chaos_maps(r.experiment, r.backends, begin=begin) for r in runs])
        except InputError as error:
            raise InputError(f"{error}; or --no-chaos, to do without the data") from None
    wild = None if maps is None else by_backend(maps)
    made = compare(first, second, margin=margin, alpha=alpha, chaos=wild)
    return _Compared(
        lambda address: write_comparison(made, address, maps),
        partial(comparison_json, made),
        partial(comparison_summary, made),
        made.exit_code,
    )


def _study_comparison(
    study: str, other: str | None, margin: float, alpha: float, *, chaos: bool, quiet: bool
) -> _Compared:
    """The points of a study, or of two."""
    from harness.cli.console import console
    from harness.cli.progress import told_steps
    from harness.study.comparison import (
        compare_study,
        study_comparison_json,
        study_comparison_section,
        write_study_comparison,
    )
    from harness.study.study import load_study

    first = load_study(study)
    second = None if other is None else load_study(other)
    with told_steps(console(stderr=True), "comparing point by point", quiet=quiet) as begin:
        made = compare_study(first, second, margin=margin, alpha=alpha, chaos=chaos, begin=begin)
    return _Compared(
        partial(write_study_comparison, made),
        partial(study_comparison_json, made),
        partial(study_comparison_section, made, short=True),
        made.exit_code,
    )


def _end(made: _Compared, address: str, places: list[str | None], *, json: bool) -> NoReturn:
    """Write the comparison, print it, and end the command as its outcome is."""
    from shlex import quote

    from harness.cli.console import console
    from harness.cli.places import unwritten_is_told
    from harness.cli.sections import show_section, tell_faults
    from harness.document.writer import PageAddress

    page = PageAddress("none")
    with unwritten_is_told("the comparison"):
        page = made.write(address)
    if json:
        from json import dumps

        print(dumps(made.as_json(), indent=2, allow_nan=False))
    else:
        out = console()
        show_section(made.summary(), out, rest="in compare.md")
        out.print(f"comparison: {page}", highlight=False, soft_wrap=True)
    again = " ".join(["compare", *map(quote, filter(None, places))])
    raise typer.Exit(made.exit_code or tell_faults(page.faults, again))
