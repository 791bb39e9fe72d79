"""``harness upgrade``: what does another version of a library change?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harness.cli.options import takes_run

_INCONCLUSIVE_TO_BISECT = 125  # what git bisect run takes for "cannot be judged"


@takes_run
def upgrade_command(
    settings: dict[str, Any],
    *,
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION...",
            help="Two or more, oldest first: 'scikit-learn==1.5.2', a VARIABLE=VALUE, or an interpreter.",
        ),
    ],
    margin: Annotated[
        float, typer.Option(help="Scores this close count as the same; 0.01 is one point.")
    ] = 0.01,
    bisect: Annotated[
        bool,
        typer.Option(
            "--bisect",
            help="Exit code 125 for what is inconclusive, as git bisect run wants it.",
            show_default=False,
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON.", show_default=False)
    ] = False,
) -> None:
    """Train along one plan with two versions of a library and say what changed.

    Nothing, round-off alone, the path of the training, or its accuracy. Of more than two versions the first
    that differs is sought by bisection. --backend says whose versions they are, where the library does not
    tell.

    Exit codes: 0 nothing but round-off, or the same accuracy; 1 another accuracy; 3 inconclusive.
    """
    from harness.cli.console import console
    from harness.cli.sections import tell_faults
    from harness.errors import ExitCode
    from harness.experiment.config import sort_settings
    from harness.experiment.execution import Execution
    from harness.runner import address_of
    from harness.upgrade.section import upgrade_json, upgrade_section, write_upgrade
    from harness.upgrade.upgrade import UPGRADE_REPEATS, upgrade, upgraded_backends

    bases = settings.pop("backends", None)
    base = "" if bases is None else ",".join([bases] if isinstance(bases, str) else bases)
    names = upgraded_backends(versions, base)
    settings = {"repeats": UPGRADE_REPEATS} | settings | {"backends": names}
    experiment, execution = sort_settings(settings)
    out, doing = console(), console(stderr=True)
    result = upgrade(
        experiment,
        versions,
        base,
        execution=execution,
        margin=margin,
        say=lambda what: doing.print(f"{what} ...", highlight=False, soft_wrap=True),
    )
    cells = len(experiment.cells)
    folder = address_of(experiment, Execution(output=execution.output))
    page = write_upgrade(result, cells, f"{folder}/upgrade")
    if json:
        from json import dumps

        print(dumps(upgrade_json(result, cells), indent=2, allow_nan=False))
    else:
        from harness.cli.sections import show_section

        show_section(upgrade_section(result, cells), out)
        out.print(f"upgrade: {page}", highlight=False, soft_wrap=True)
    code = int(result.exit_code or tell_faults(page.faults, "upgrade, with the same versions"))
    raise typer.Exit(_INCONCLUSIVE_TO_BISECT if bisect and code == ExitCode.UNFINISHED else code)
