"""``harness check``: is a run as good as its baseline?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from harness.cli.options import DEBUG
from harness.cli.places import (
    require_lasting,
    require_writable,
    unwritten_is_told,
    write_in_place,
    write_text,
)

if TYPE_CHECKING:
    from harness.check.decisive_tests import CheckRules
    from harness.check.verdict import CheckVerdict

_TEST, _OUT = "What is tested", "What is written"
_WHOLE = "--json has all"


def check_command(
    baseline: Annotated[
        str,
        typer.Option(help="Name of the baseline (see harness baseline list).", show_default=False),
    ],
    *,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A run folder to judge, in place of running the baseline's experiment again.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Only these of the baseline's backends, comma-separated or repeated."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(help="Repeats to begin with. [half of the baseline's, the most]"),
    ] = None,
    until_decided: Annotated[
        bool | None,
        typer.Option(
            "--until-decided/--no-until-decided",
            help="Add repeats while the answer is inconclusive. [where the experiment is run again]",
            show_default=False,
            rich_help_panel=_TEST,
        ),
    ] = None,
    most_repeats: Annotated[
        int | None,
        typer.Option(
            help="Repeats to end with at the latest. [4 times the baseline's]",
            rich_help_panel=_TEST,
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            help="Losses up to this are let pass; 0.01 is one point.", rich_help_panel=_TEST
        ),
    ] = 0.01,
    alpha: Annotated[
        float, typer.Option(help="Error of all tests together.", rich_help_panel=_TEST)
    ] = 0.01,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Fail where stable cells moved at all.", rich_help_panel=_TEST
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Train nothing; say what is decided, how often it alarms falsely, and how long it takes.",
            rich_help_panel=_TEST,
        ),
    ] = False,
    runs_per_year: Annotated[
        int, typer.Option(min=1, help="For --explain.", rich_help_panel=_TEST)
    ] = 250,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the verdict as JSON.", rich_help_panel=_OUT, show_default=False
        ),
    ] = False,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JUnit XML.", rich_help_panel=_OUT)
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write Markdown for a CI summary or a pull request; in a file that has it already, in "
            "its place.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder for check.html and check.md: the verdict as a page that opens offline.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    github: Annotated[
        bool | None,
        typer.Option(
            "--github/--no-github",
            help="Print annotations for GitHub. [where GITHUB_ACTIONS is set]",
            rich_help_panel=_OUT,
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes. Default: all cores.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of each worker's libraries.")] = 1,
    output: Annotated[str, typer.Option(help="Where the new run's folder goes.")] = "results",
    folder: Annotated[str, typer.Option(help="Where baselines are.")] = "results/baselines",
    debug: DEBUG = False,
) -> None:
    """Run a baseline's experiment again, with its own seeds, and say whether anything got worse.

    Of a study's baseline every point, at its share of alpha.

    Exit codes: 0 pass; 1 a regression; 2 wrong usage; 3 inconclusive or not comparable.
    """
    from harness.check.baseline import load_baseline
    from harness.check.check import check, checked_experiment
    from harness.check.decisive_tests import MOST_TIMES, CheckRules, planned_looks
    from harness.check.formats import write_check
    from harness.check.power_table import power_section
    from harness.check.section import check_section
    from harness.cli.console import console
    from harness.cli.progress import progress_display
    from harness.cli.sections import show_section
    from harness.errors import InputError
    from harness.experiment.execution import Execution
    from harness.results.run_folder import RunFolder
    from harness.study.checks import check_study, points_beside, study_baselines

    for flag, file in (("junit", junit), ("markdown", markdown)):
        require_writable(flag, file)
    require_lasting(output)
    if page is not None:
        RunFolder(page).require_writable()
    names = [n.strip() for part in backend or [] for n in part.split(",") if n.strip()]
    rules, out = CheckRules(margin, alpha, strict), console()
    settings: dict[str, Any] = {"threads": threads} | ({"jobs": jobs} if jobs else {})
    if points := study_baselines(baseline, folder):
        if explain:
            raise InputError(
                "explain: found with the baseline of a study; allowed: of one of its points "
                f"(--folder {quote(f'{folder}/{baseline}')} --baseline {quote(points[0])})"
            )
        how = {
            "backends": names or None,
            "repeats": repeats,
            "until_decided": until_decided,
            "most_repeats": most_repeats,
            "execution": Execution(**settings, output=f"{output}/check-{baseline}"),
        }
        _check_points(
            baseline,
            check_study(baseline, folder, points, run, rules, **how),
            points_beside(points, run) if run else [],
            rules,
            json,
            junit,
            markdown,
            github,
            page,
        )
    held = load_baseline(baseline, folder)
    experiment = checked_experiment(held, names or None, repeats)
    if explain:
        have, first = held.experiment.repeats, experiment.repeats
        most = first if until_decided is False else most_repeats or MOST_TIMES * have
        looks = planned_looks(first, have, most)
        power = power_section(held, looks, rules, experiment.backends, runs_per_year)
        show_section(power, out)
        return
    err = console(stderr=True)
    say = (lambda what: None) if json else partial(err.print, highlight=False, markup=False)
    with progress_display(err, quiet=json) as progress:
        verdict = check(
            held,
            run,
            backends=experiment.backends,
            repeats=experiment.repeats,
            until_decided=until_decided,
            most_repeats=most_repeats,
            rules=rules,
            execution=Execution(**settings, output=output),
            progress=progress,
            say=say,
        )
    if json:
        from json import dumps

        from harness.check.formats import check_json

        print(dumps(check_json(verdict), indent=2, allow_nan=False))
    else:
        show_section(check_section(verdict, short=True), out, rest=_WHOLE)
        if verdict.run:
            out.print(f"run: {verdict.run.address}", highlight=False, soft_wrap=True)
    _write(verdict, junit, markdown)
    if page is not None:
        with unwritten_is_told("the page"):
            err.print(f"page: {write_check(verdict, page)}", highlight=False, soft_wrap=True)
    _annotate([verdict], github, json)
    raise typer.Exit(verdict.exit_code)


def _check_points(
    name: str,
    verdicts: Iterator[tuple[str, CheckVerdict]],
    beside: Sequence[str],
    rules: CheckRules,
    json: bool,
    junit: str | None,
    markdown: str | None,
    github: bool | None,
    page: str | None,
) -> NoReturn:
    """Judge every point of a study, tell of each as it comes, and end the command.

    ``beside``: points that the baseline lacks.
    """
    from harness.check.formats import check_json, points_junit
    from harness.cli.console import console
    from harness.cli.sections import show_section
    from harness.document.pull_request import pull_request_comment
    from harness.study.checks import checks_code, checks_section, checks_word, write_checks

    made: dict[str, CheckVerdict] = {}
    err = console(stderr=True)
    for point, verdict in verdicts:
        made[point] = verdict
        err.print(f"{point}: {verdict.outcome}", highlight=False, markup=False)
    section = checks_section(made, rules.alpha, beside)
    if json:
        from json import dumps

        told = {point: check_json(verdict) for point, verdict in made.items()}
        print(dumps(told, indent=2, allow_nan=False))
        for line in section.points:
            err.print(line, highlight=False, markup=False)
    else:
        show_section(section, console(), rest=_WHOLE)
    if junit is not None:
        write_text(junit, points_junit(name, made))
    if markdown is not None:
        comment = f"check {name}"
        text = pull_request_comment(comment, checks_word(list(made.values())), [section])
        write_in_place(markdown, comment, text)
    if page is not None:
        with unwritten_is_told("the page"):
            err.print(f"page: {write_checks(name, section, made, page)}", highlight=False)
    _annotate(list(made.values()), github, json)
    raise typer.Exit(checks_code(list(made.values())))


def _write(verdict: CheckVerdict, junit: str | None, markdown: str | None) -> None:
    """The files that were asked for."""
    from harness.check.formats import check_junit, check_markdown, comment_name

    if junit is not None:
        write_text(junit, check_junit(verdict))
    if markdown is not None:
        write_in_place(markdown, comment_name(verdict), check_markdown(verdict))


def _annotate(verdicts: Sequence[CheckVerdict], github: bool | None, json: bool) -> None:
    """Annotations for GitHub, where they are asked for or this is one of its jobs."""
    from harness.check.formats import github_annotations

    if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
        for line in (line for verdict in verdicts for line in github_annotations(verdict)):
            print(line, file=sys.stderr if json else sys.stdout)
