"""``harness parity``: do the backends take the same path?"""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from harness.cli.options import takes_experiment
from harness.cli.waiting import Waiting

_PANEL = "How to compare"


@takes_experiment
def parity_command(
    settings: dict[str, Any],
    *,
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECORDING]",
            help="Recordings of trainings, or folders of them: each is judged step by step; two are also "
            "compared with each other. Without any, backends are judged.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Optimiser steps to take; by default those of all epochs.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            help="Largest relative error that passes; by default what round-off explains, measured "
            "tensor by tensor.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            help="Backend whose float64 run takes the place of the written-out reference.",
            metavar="BACKEND",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        str | None,
        typer.Option(
            help="Folder for parity.md, .html, .json, errors, chaos map and figures; by default "
            "parity/ in the run's folder.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    stock: Annotated[
        bool,
        typer.Option(
            "--stock",
            help="Judge the library's stock program (its train_one, one network at a time) over the whole "
            "path, in place of the stack.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = False,
    conformance: Annotated[
        bool | None,
        typer.Option(
            "--conformance/--no-conformance",
            help="Also run the checks of backends.testing; by default on backends not built in.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            help="Folder in which every backend's training of the middle cell is kept as a recording.",
            metavar="DIR",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    feedback: Annotated[
        bool,
        typer.Option(
            "--feedback",
            help="Of recordings: say what is right and what is not, without the line that mends it.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = False,
    junit: Annotated[
        str | None,
        typer.Option(
            help="Write the verdicts as JUnit XML.",
            metavar="FILE",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option(
            help="Write Markdown for a CI summary or a pull request; in a file that has it already, in its "
            "place.",
            metavar="FILE",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the outcome as JSON.", rich_help_panel=_PANEL, show_default=False
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Do not say what is being done.", show_default=False),
    ] = False,
) -> None:
    """Train every backend along one plan and compare every weight, step by step, with a reference.

    Each backend is judged in float32 and in float64 by what round-off alone does to a training that is
    written out for this. One that disagrees is followed to the first step and the first tensor that differ,
    and the mistake is named if one of those known explains it.

    Given recordings (backends/README.md says how to make one), each step of each is held against the
    reference's, and the settings that its weights show against those that its author states.

    Exit codes: 0 all agree; 1 somebody disagrees; 3 not everybody could be judged.
    """
    from backends.registry import BUILT_IN
    from harness.cli.console import console
    from harness.cli.places import (
        require_writable,
        unwritten_is_told,
        write_in_place,
        write_text,
    )
    from harness.cli.progress import Steps, status_line
    from harness.cli.sections import show_section, tell_faults
    from harness.document.writer import PageAddress
    from harness.errors import InputError
    from harness.experiment.chosen_backends import resolve
    from harness.experiment.execution import Execution
    from harness.experiment.experiment import experiment_from
    from harness.parity.parity import parity, parity_steps
    from harness.parity.record import parity_json, write_parity
    from harness.runner import address_of

    if recordings:
        from harness.cli.recordings import judge_files

        chosen = settings.pop("backends", [])
        if settings:
            raise InputError(
                f"{next(iter(settings))}: found beside a recording, which says itself how it was trained; "
                "allowed: backend"
            )
        code = judge_files(recordings, chosen, output, feedback, junit, json, quiet, markdown)
        raise typer.Exit(code)
    require_writable("junit", junit)
    require_writable("markdown", markdown)
    if feedback:
        raise InputError("feedback: found without a recording; allowed: with one or more")
    experiment, *_ = resolve(experiment_from(settings))
    everybody = experiment.backends
    check = [n for n in everybody if conformance or (conformance is None and n not in BUILT_IN)]
    out, waiting = console(), Waiting()
    waiting.until(time.perf_counter(), "loading")
    steps_told = Steps(parity_steps(experiment), loading=1)
    with status_line(console(stderr=True), quiet=quiet) as show:

        def say(text: str) -> None:
            show(steps_told(text if text.startswith("loading") else f"training {text}"))

        result = parity(
            experiment,
            steps=steps,
            rtol=rtol,
            reference=reference,
            check=check,
            stock=stock,
            say=say,
        )
        if record is not None:
            from harness.recordings.backend import record_backends

            record_backends(experiment, record, steps, say)
    if junit is not None:
        from harness.recordings.section import parity_junit, verdict_cases

        write_text(junit, parity_junit(verdict_cases(result)))
    if markdown is not None:
        from harness.parity.record import parity_comment

        write_in_place(markdown, *parity_comment(result))
    waiting.until(time.perf_counter(), "training and comparing")
    page = PageAddress("none")
    with unwritten_is_told("parity"):
        page = write_parity(result, output or f"{address_of(experiment, Execution())}/parity")
    if json:
        from json import dumps

        print(dumps(parity_json(result), indent=2, allow_nan=False))
    else:
        from harness.parity.section import parity_section

        show_section(parity_section(result), out)
        waiting.until(time.perf_counter(), "page")
        out.print(waiting.words(), highlight=False, soft_wrap=True)
        out.print(f"parity: {page}", highlight=False, soft_wrap=True)
    lacking = tell_faults(page.faults, "parity, with the same flags")
    raise typer.Exit(result.exit_code or lacking)
