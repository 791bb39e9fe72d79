"""``harness list``: backends, data sets and presets."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import DEBUG


def list_command(
    *,
    clear_environments: Annotated[
        bool,
        typer.Option(
            "--clear-environments",
            help="Remove the environments that were made for NAME@PACKAGE==VERSION.",
            show_default=False,
        ),
    ] = False,
    debug: DEBUG = False,
) -> None:
    """Show the backends with their versions and what they support, data sets, presets and environments."""
    if clear_environments:
        from backends.environments import cache
        from backends.environments import clear_environments as clear

        print(f"removed {len(clear())} environments from {cache()}")
        return
    from rich.table import Table
    from rich.text import Text

    from backends.environments import environments
    from backends.registry import UnusableBackend, find, known, version
    from harness.cli.console import console
    from harness.data.dataset import CLASSIFICATION, REGRESSION
    from harness.data.readers import FILE_KINDS
    from harness.experiment.presets import PRESETS

    out = console()
    backends = Table(title="Backends", title_justify="left")
    for column in ("name", "library", "trains", "activations", "optimizers"):
        backends.add_column(column)
    for name, place in known().items():
        try:
            backend = find(name)
        except UnusableBackend as missing:
            backends.add_row(
                name, Text.assemble(("unavailable", "red"), f": {missing.reason}"), place
            )
            continue
        backends.add_row(
            name,
            f"{backend.library} {version(backend)}" if backend.library else "",
            "all cells at once" if backend.stacks else "one cell after the other",
            ", ".join(backend.activations),
            ", ".join(backend.optimizers),
        )
    out.print(backends)
    sets = Table(title="Data sets", title_justify="left")
    for column in ("name", "task"):
        sets.add_column(column)
    for name in CLASSIFICATION:
        sets.add_row(name, "classification")
    for name in REGRESSION:
        sets.add_row(name, "regression")
    sets.add_row("openml:NAME", "either; fetched by scikit-learn, kept in its cache")
    sets.add_row("a file", f"either; {FILE_KINDS}: python -m harness data FILE")
    out.print(sets)
    presets = Table(title="Presets", title_justify="left")
    for column in ("name", "what it is"):
        presets.add_column(column)
    for name, preset in PRESETS.items():
        presets.add_row(name, preset.summary)
    out.print(presets)
    made = environments()
    if made:
        shown = Table(title="Environments", title_justify="left")
        for column in ("packages", "folder"):
            shown.add_column(column)
        for one in made:
            shown.add_row(", ".join(one.packages), str(one.folder))
        out.print(shown)
