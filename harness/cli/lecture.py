"""``harness lecture``: the gallery of what the notes show."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def lecture_command(
    exhibit: Annotated[
        list[str] | None,
        typer.Argument(help="Exhibits to compute; all, if none is named.", show_default=False),
    ] = None,
    *,
    output: Annotated[
        str, typer.Option(help="Folder for the pictures and the page.")
    ] = "results/lecture",
    threads: Annotated[int, typer.Option(help="Threads of NumPy's library.", min=1)] = 1,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only what went wrong.", show_default=False)
    ] = False,
    debug: DEBUG = False,
) -> None:
    """Compute what the lecture notes show, as pictures and one page.

    Activation functions, the first digits, the training that fails, universal approximation,
    back-propagation checked, vanishing gradients, dying ReLU, mismatched test sets, other methods.
    """
    from backends.frameworks import set_device, set_threads

    set_threads(threads)
    set_device("cpu")
    from harness.cli.console import console
    from harness.cli.progress import Steps
    from harness.lecture.gallery import EXHIBITS, gallery

    out, steps = console(), Steps(len(exhibit or EXHIBITS))

    def begin(name: str) -> None:
        if not quiet:
            out.print(steps(name), highlight=False)

    page = gallery(output, exhibit or (), begin=begin)
    if not quiet:
        out.print(f"page: {page}", highlight=False, soft_wrap=True)
