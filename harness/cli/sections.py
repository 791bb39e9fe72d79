"""Prints sections of a report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from harness.cli.tables import show_table
from harness.errors import ExitCode

if TYPE_CHECKING:
    from harness.document.section import Section

STYLES = {"verdict": "bold", "warning": "yellow", "plain": ""}


def show_section(section: Section, out: Console, *, folded: bool = True) -> None:
    """Words, points and tables of a section; pictures and, if not ``folded``, long tables stay in files."""
    from rich.padding import Padding
    from rich.text import Text

    first, *rest = section.text or [section.title]
    out.print(first, style=STYLES[section.kind], markup=False, highlight=False)
    for point in section.points:
        out.print(Padding(Text(f"• {point}"), (0, 0, 0, 2)), highlight=False)
    for table in section.tables:
        if table.folded and not folded:
            continue
        show_table(out, table.header, table.rows, table.numeric, table.caption)
    for paragraph in (*rest, *section.method):
        out.print(paragraph, style="dim", markup=False, highlight=False)


def tell_faults(faults: Sequence[str], command: str) -> ExitCode:
    """Say what a page lacks, and which command makes it again; how a command ends for that."""
    if not faults:
        return ExitCode.DONE
    from harness.cli.console import console

    err = console(stderr=True)
    for fault in faults:
        err.print(fault, style="red", highlight=False, soft_wrap=True)
    again = f"make it again (--debug shows the traceback): python -m harness {command}"
    err.print(again, highlight=False, soft_wrap=True)
    return ExitCode.UNFINISHED
