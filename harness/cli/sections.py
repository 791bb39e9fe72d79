"""Prints sections of a report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from harness.cli.tables import fitted_tables
from harness.errors import ExitCode

if TYPE_CHECKING:
    from harness.document.section import Section, Table

STYLES = {"verdict": "bold", "warning": "yellow", "plain": ""}
_SCREEN = 38  # lines of one screen, with two left for an address and the next prompt
_FEW = 3  # rows of a later table that an earlier one leaves room for


def show_section(section: Section, out: Console, *, folded: bool = True, rest: str = "") -> None:
    """Words, points and tables of a section; pictures and, if not ``folded``, long tables stay in files.

    ``rest`` says where all of it is: then it takes no more than one screen, the answer first, and what
    is cut ends with how much more there is, and where. A table's own file is said in its place.
    """
    from rich.padding import Padding

    first, *others = section.text or [section.title]
    answer = Text(first, style=STYLES[section.kind])
    points = [Padding(Text(f"• {point}"), (0, 0, 0, 2)) for point in section.points]
    tables = [table for table in section.tables if folded or not table.folded]
    words = [Text(paragraph, style="dim") for paragraph in (*others, *section.method)]
    if rest:
        room = _SCREEN - _height([answer, *words], out)
        least = [_height(_rows_of(table, _FEW, rest, out), out) for table in tables]
        points = _fitting_points(points, room - sum(least), rest, out)
        room -= _height(points, out)
        shown: list[Any] = []
        for k, table in enumerate(tables):
            fitted = _fitting_table(table, room - sum(least[k + 1 :]), rest, out)
            room -= _height(fitted, out)
            shown += fitted
    else:
        shown = [part for table in tables for part in _rows_of(table, len(table.frame), "", out)]
    for piece in (answer, *points, *shown, *words):
        out.print(piece, highlight=False)


def _height(pieces: Sequence[Any], out: Console) -> int:
    """The lines that pieces take together."""
    return sum(len(out.render_lines(piece, pad=False)) for piece in pieces)


def _fitting_points(points: list[Any], room: int, rest: str, out: Console) -> list[Any]:
    """The points that fit into so many lines, and how many more there are; the first in any case."""
    for kept in range(len(points), 1, -1):
        fitted = points[:kept] + _more(len(points) - kept, rest)
        if _height(fitted, out) <= room:
            return fitted
    return points[:1] + _more(len(points) - 1, rest)


def _fitting_table(table: Table, room: int, rest: str, out: Console) -> list[Any]:
    """A table with as many rows as fit into so many lines, and how many more there are."""
    for kept in range(min(len(table.frame), max(room, 0)), -1, -1):
        fitted = _rows_of(table, kept, rest, out)
        if _height(fitted, out) <= room:
            return fitted
    return _rows_of(table, 0, rest, out)


def _rows_of(table: Table, kept: int, rest: str, out: Console) -> list[Any]:
    """The first rows of a table, and how many more there are; of no row, its caption alone."""
    where = f"in {table.file}" if table.file else rest
    if not kept:
        return [*([Text(table.caption)] if table.caption else []), *_more(len(table.frame), where)]
    head = table.head(kept)
    parts = fitted_tables(head.header, head.rows, head.numeric, table.caption, out.width)
    return [*parts, *_more(len(table.frame) - len(head.frame), where)]


def _more(number: int, where: str) -> list[Any]:
    return [Text(f"  … {number} more: {where}")] if number > 0 else []


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
