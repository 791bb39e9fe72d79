"""How a text table is laid out: delimiter, quotes, decimal mark, whether its first row names the columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from harness.errors import InputError

MISSING = frozenset(
    ("", "?", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "Null", "<NA>", "#N/A")
)
_DELIMITERS = ("\t", ";", ",", "|", " ")  # those that numbers do not contain first
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|Inf|INF)")
_ALIGNED = re.compile(r"\S {2,}\S")  # as in columns of blanks, with a tab among them
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class TextLayout:
    """How a text table is laid out: fields, and lines that hold none. ``columns``: fields of most rows."""

    delimiter: str
    quote: str
    decimal: str
    columns: int

    def records(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Rows as lists of fields, each with the number of its last line, from 1."""
        if self.delimiter == " ":
            lines = (line.replace("\t", " ").strip() for line in lines)
        reader = csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, skipinitialspace=True
        )
        for row in reader:
            yield reader.line_num, [field.strip() for field in row]

    def rows(self, lines: Sequence[str]) -> list[list[str]]:
        if all(line.split(None, 1) == [line] for line in lines):  # no blanks anywhere
            rows = csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote)
            return [row for row in rows if any(row)]
        return [row for _, row in self.records(lines) if any(row)]

    def is_number(self, field: str) -> bool:
        return _is_number(field.replace(",", ".", 1) if self.decimal == "," else field)


def _is_number(field: str) -> bool:
    """Whether a field is a number, ``_NUMBER`` that is; sooner than by that for most."""
    if field[-1:].isdigit() and field.isascii() and "_" not in field:
        try:
            float(field)
        except ValueError:
            return False
        return True
    return _NUMBER.fullmatch(field) is not None


def find_layout(name: str, lines: Sequence[str]) -> tuple[TextLayout, list[list[str]]]:
    """The delimiter by which most lines have equally many fields, with quotes and decimal mark; the rows."""
    quoted = re.compile(r"(?:^|[,;\t| ])'[^'\n]*'(?=\s*(?:[,;\t| ]|$))")
    single = sum("'" in line and quoted.search(line) is not None for line in lines)
    quote = "'" if single * 2 >= len(lines) and not any('"' in line for line in lines) else '"'
    best: tuple[float, TextLayout, list[list[str]]] | None = None
    wrong: csv.Error | None = None
    text = "\n".join(lines)
    for delimiter in _DELIMITERS:
        if delimiter not in text and not (delimiter == " " and "\t" in text):
            continue
        layout = TextLayout(delimiter, quote, ".", 0)
        try:
            rows = layout.rows(lines)
        except csv.Error as error:  # a field too long, where the delimiter is another
            wrong = error
            continue
        body = rows[1:] or rows
        if not body:
            continue
        columns, often = Counter(map(len, body)).most_common(1)[0]
        share = often / len(body)
        better = best is None or share > best[0] + 0.05
        if best and delimiter == " " and best[1].delimiter == "\t" and columns > best[1].columns:
            aligned = sum(_ALIGNED.search(line) is not None for line in lines)
            better = share >= best[0] and aligned >= 0.9 * len(lines)
        if columns > 1 and better:
            best = share, TextLayout(delimiter, quote, _decimal(layout, body), columns), rows
    if best is None and wrong:
        raise wrong
    if best is None:
        raise InputError(
            f"dataset: {name!r} has one column only, no tab, semicolon, comma or blank between fields; "
            "allowed: a table with a target and at least one feature"
        )
    return best[1:]


def _decimal(layout: TextLayout, rows: Sequence[list[str]]) -> str:
    """The decimal mark: a comma where some fields are such numbers and none has a point."""
    if layout.delimiter == ",":
        return "."
    fields = [field for row in rows for field in row]
    commas = sum(_COMMA_NUMBER.fullmatch(field) is not None for field in fields)
    points = sum("." in f and _NUMBER.fullmatch(f) is not None for f in fields)
    return "," if commas > points else "."


def counts_and_classes(rows: Sequence[list[str]], layout: TextLayout) -> tuple[str, ...]:
    """Names of the classes where the first row is ``samples, features, name, name, ...``."""
    first = [field for field in rows[0] if field]
    if len(first) < 4 or len(rows) < 3 or not (first[0].isdigit() and first[1].isdigit()):
        return ()
    names, last = first[2:], {row[-1] for row in rows[1:]}
    codes = {str(number) for number in range(len(names))}
    fits = int(first[1]) == layout.columns - 1 and last <= codes
    return tuple(names) if fits and not any(map(layout.is_number, names)) else ()


def has_header(rows: Sequence[list[str]], layout: TextLayout) -> bool:
    """Whether the first row names the columns: text above numbers, and nothing that rows hold too."""
    first, rest = rows[0], rows[1:]
    if not rest:
        return not any(map(layout.is_number, first))
    if len(first) == layout.columns - 1:  # as R writes names of rows
        return True
    inner = [f for f in first if layout.is_number(f)]
    if len(inner) >= max(3, len(first) - 2) and _counts_up(inner):
        return not all(_counts_up(row[: len(inner)]) for row in rest[:3])
    is_number = cache(layout.is_number if layout.decimal == "," else _is_number)
    yes = no = 0
    for field, column in zip(first, zip(*_padded(rest, len(first)), strict=False), strict=False):
        values = [value for value in column if value not in MISSING]
        if not values or field in MISSING:
            continue
        numbers = len([*filter(is_number, values)]) >= 0.9 * len(values)
        if numbers and not is_number(field):
            yes += 1
        elif numbers or field in values:
            no += 1
    if yes or no:
        return yes >= no
    return len(set(first)) == len(first) and all(first[1:])


def _counts_up(fields: Sequence[str]) -> bool:
    """Whether fields are 0, 1, 2, ... or 1, 2, 3, ..., as columns without a name are called."""
    if not all(field.isdigit() for field in fields):
        return False
    numbers = [int(field) for field in fields]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)


def _padded(rows: Sequence[list[str]], length: int) -> list[list[str]]:
    return [row[:length] + [""] * (length - len(row)) for row in rows]
