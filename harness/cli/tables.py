"""Tables on a terminal: as wide as it is, with every number whole."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BETWEEN = 3  # signs between two columns: a space, a line, a space
_SHORT = 12  # a text of so many signs is not broken, as long as there is room


def show_table(
    out: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    numeric: Sequence[bool],
    title: str = "",
) -> None:
    """Print a table; where it is too wide in several, each with the first columns, which name the rows."""
    for part in fitted_tables(header, rows, numeric, title, out.width):
        out.print(part)


def fitted_tables(
    header: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    numeric: Sequence[bool],
    title: str,
    width: int,
) -> list[Table]:
    """A table for rich, as several where it is wider than ``width``; the first has the title.

    Words are broken between them, numbers never. ``numeric`` says which columns go to the right.
    """
    made = []
    columns = [[header[k], *(str(row[k]) for row in rows)] for k in range(len(header))]
    names = next((k for k, right in enumerate(numeric) if right), 1) if len(header) > 1 else 1
    names = max(1, min(names, 3))
    for part in _parts(columns, numeric, names, width):
        widths = _widths([columns[k] for k in part], [numeric[k] for k in part], width)
        shown = Table(title=title or None, title_justify="left", title_style="bold")
        for k, wide in zip(part, widths, strict=True):
            shown.add_column(Text(header[k]), justify="right" if numeric[k] else "left", width=wide)
        for row in rows:
            shown.add_row(*(_plain(row[k]) for k in part))
        made.append(shown)
        title = ""
    return made


def _plain(entry: str | Text) -> Text:
    return entry if isinstance(entry, Text) else Text(entry)


def _parts(
    columns: Sequence[Sequence[str]], numeric: Sequence[bool], names: int, width: int
) -> list[list[int]]:
    """The numbers of the columns of each table, as many in each as fit at their least."""
    parts = [list(range(names))]
    for k in range(names, len(columns)):
        tried = [*parts[-1], k]
        least = sum(_least(columns[j], numeric[j]) + _BETWEEN for j in tried) + 1
        if least > width and len(parts[-1]) > names:
            parts.append([*range(names), k])
        else:
            parts[-1] = tried
    return parts


def _widths(columns: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> list[int]:
    """How wide each column is: what it needs, or, where all need more than there is, the widest less."""
    widths = [max(map(len, column)) for column in columns]
    least = [_least(column, right) for column, right in zip(columns, numeric, strict=True)]
    short = [max(n, min(w, _SHORT)) for n, w in zip(least, widths, strict=True)]
    room = width - 1 - _BETWEEN * len(columns)
    for floor in (short, least):
        while sum(widths) > room and any(w > f for w, f in zip(widths, floor, strict=True)):
            widest = max(
                (k for k in range(len(widths)) if widths[k] > floor[k]), key=lambda k: widths[k]
            )
            widths[widest] -= 1
    return widths


def _least(column: Sequence[str], numeric: bool) -> int:
    """The least width of a column: of its longest word; numbers with their units stay whole."""
    header, *cells = column
    words = header.split() + (list(cells) if numeric else [w for c in cells for w in c.split()])
    return max(map(len, words), default=1)
