"""Text tables: CSV and its kin, with whatever delimiter, quotes, comments and decimal mark they have.

What a file's first lines show decides how all of it is read; pandas does the reading. That every row has
as many fields as the others is counted afterwards.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import eq
from typing import Any

import pandas as pd

from harness.data.file_table import FileTable, has_gaps, map_values
from harness.errors import InputError

MISSING = frozenset(
    ("", "?", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "Null", "<NA>", "#N/A")
)
_COMMENTS = "%#|"  # signs that begin a line without data
_DELIMITERS = ("\t", ";", ",", "|", " ")  # those that numbers do not contain first
_WORDS = {"\t": "tab", " ": "blanks"}
_SAMPLE = 400  # lines that decide how the others are read
_SAMPLE_BYTES = 2**20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|Inf|INF)")
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_UNITS = ("%", "$", "€", "£")
_NO_TEXT = "it holds bytes that are no text"
_SHOWN = 3  # rows that a message names


@dataclass(frozen=True)
class _Layout:
    """How a text table is laid out: fields, and lines that hold none. ``columns``: fields of most rows."""

    delimiter: str
    quote: str
    decimal: str
    columns: int

    def records(self, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """Rows as lists of fields, each with the number of its last line, from 1."""
        if self.delimiter == " ":
            lines = [line.replace("\t", " ").strip() for line in lines]
        reader = csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, skipinitialspace=True
        )
        for row in reader:
            yield reader.line_num, [field.strip() for field in row]

    def rows(self, lines: Sequence[str]) -> list[list[str]]:
        return [row for _, row in self.records(lines) if any(row)]

    def is_number(self, field: str) -> bool:
        if self.decimal == ",":
            field = field.replace(",", ".", 1)
        return _NUMBER.fullmatch(field) is not None


def read_delimited(name: str, content: bytes, header: bool | None = None) -> FileTable:
    """The table in a text file's content; ``header``: whether its first row names the columns, if known."""
    found: list[str] = []
    content = _as_utf8(name, content, found)
    head = _sample(content)
    if not head:
        raise InputError(f"dataset: {name!r} holds no rows; allowed: a table with rows")
    comments = _comment_lines(content, head)
    lines = [line for number, line in enumerate(head) if number not in comments and line.strip()]
    try:
        layout = _layout(name, lines)
        rows = layout.rows(lines)
    except csv.Error as error:
        raise InputError(f"dataset: {name!r} cannot be read as a table ({error})") from None
    if len(rows) == 1 and len(lines) > 2:
        raise _open_quote(name, _first_row(head, comments) + 1)
    found.append(f"delimiter {_WORDS.get(layout.delimiter, layout.delimiter)}")
    if layout.quote == "'":
        found.append("fields in single quotes")
    if layout.decimal == ",":
        found.append("decimal comma")
    if comments:
        found.append(_comments_in_words(comments))
    class_names = _counts_and_classes(rows, layout) if header is None else ()
    named = header if header is not None else not class_names and _has_header(rows, layout)
    if class_names:
        found.append("first line holds counts and class names, not a header")
    found.append("header" if named else "no header; columns are called c1, c2, ...")
    names, unnamed = _names(rows[0] if named else [], layout.columns, found)
    skipped = sorted(comments | ({_first_row(head, comments)} if named or class_names else set()))
    frame = _frame(name, content, layout, names, skipped)
    places = _Places(content, layout, frozenset(skipped))
    _check_widths(name, content, layout, frame, places, skipped)
    frame = _without_nothing(frame, unnamed, named, found)
    frame = _mended(frame, layout, found)
    return FileTable(frame, tuple(found), places.of, named, unnamed, class_names=class_names)


def _as_utf8(name: str, content: bytes, found: list[str]) -> bytes:
    """The text in UTF-8, with the line ends of today; the encoding is told where it is another."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding, words = "utf-16", "encoding UTF-16"
    elif content.startswith(BOM_UTF8):
        encoding, words = "utf-8-sig", "a byte-order mark at its start"
    elif content[:100].count(0) >= len(content[:100]) // 3 > 0:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        words = "encoding UTF-16"
    elif content.isascii():
        encoding, words = "utf-8", ""
    else:
        try:
            content.decode("utf-8")
            encoding, words = "utf-8", ""
        except UnicodeDecodeError:
            encoding, words = "cp1252", "encoding Latin-1 (Windows-1252)"
    if encoding != "utf-8":
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            text, reason = "\0", str(error) if encoding != "cp1252" else _NO_TEXT
        else:
            reason = _NO_TEXT
        if re.search("[\0-\x08\x0e-\x1f\ufeff\ufffe]", text[:_SAMPLE_BYTES]):
            raise _no_table(name, reason)
        content = text.encode("utf-8")
        found.append(words)
    elif b"\0" in content[:_SAMPLE_BYTES]:
        raise _no_table(name, _NO_TEXT)
    return content if b"\n" in content else content.replace(b"\r", b"\n")


def _no_table(name: str, reason: str) -> InputError:
    return InputError(
        f"dataset: {name!r} cannot be read ({reason}); allowed: a text table, Parquet, NPZ, ARFF, svmlight "
        "or idx file, gzipped or not"
    )


def _sample(content: bytes) -> list[str]:
    """The first lines, none of them cut off."""
    text = content[:_SAMPLE_BYTES]
    if len(text) < len(content) and b"\n" in text:
        text = text[: text.rindex(b"\n")]
    return text.decode("utf-8", errors="replace").splitlines()[:_SAMPLE]


def _comment_lines(content: bytes, head: Sequence[str]) -> set[int]:
    """Numbers of the lines that begin with a comment sign, from 0; none if that is how rows begin."""
    starts = [line.lstrip()[:1] for line in head if line.strip()]
    signs = [sign for sign in _COMMENTS if starts.count(sign) <= len(starts) // 2]
    found = {0} if content[:1].decode("latin-1") in signs else set()
    for sign in signs:
        if sign.encode() not in content:  # found sooner than a line end before it
            continue
        at = content.find(f"\n{sign}".encode()) + 1
        while at:
            found.add(content.count(b"\n", 0, at))
            at = content.find(f"\n{sign}".encode(), at) + 1
    return found


def _comments_in_words(comments: set[int]) -> str:
    if comments == {0}:
        return "first line left out, a comment"
    return f"{len(comments)} comment line{'s' if len(comments) > 1 else ''} left out"


def _layout(name: str, lines: Sequence[str]) -> _Layout:
    """The delimiter by which most lines have equally many fields; quotes and decimal mark with it."""
    quoted = re.compile(r"(?:^|[,;\t| ])'[^'\n]*'(?=\s*(?:[,;\t| ]|$))")
    single = sum("'" in line and quoted.search(line) is not None for line in lines)
    quote = "'" if single * 2 >= len(lines) and not any('"' in line for line in lines) else '"'
    best: tuple[float, _Layout] | None = None
    wrong: csv.Error | None = None
    text = "\n".join(lines)
    for delimiter in _DELIMITERS:
        if delimiter not in text and not (delimiter == " " and "\t" in text):
            continue
        layout = _Layout(delimiter, quote, ".", 0)
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
        if columns > 1 and (best is None or share > best[0] + 0.05):
            best = share, _Layout(delimiter, quote, _decimal(layout, body), columns)
    if best is None and wrong:
        raise wrong
    if best is None:
        raise InputError(
            f"dataset: {name!r} has one column only, no tab, semicolon, comma or blank between fields; "
            "allowed: a table with a target and at least one feature"
        )
    return best[1]


def _decimal(layout: _Layout, rows: Sequence[list[str]]) -> str:
    """The decimal mark: a comma where some fields are such numbers and none has a point."""
    if layout.delimiter == ",":
        return "."
    fields = [field for row in rows for field in row]
    commas = sum(_COMMA_NUMBER.fullmatch(field) is not None for field in fields)
    points = sum("." in f and _NUMBER.fullmatch(f) is not None for f in fields)
    return "," if commas > points else "."


def _counts_and_classes(rows: Sequence[list[str]], layout: _Layout) -> tuple[str, ...]:
    """Names of the classes where the first row is ``samples, features, name, name, ...``."""
    first = [field for field in rows[0] if field]
    if len(first) < 4 or len(rows) < 3 or not (first[0].isdigit() and first[1].isdigit()):
        return ()
    names, last = first[2:], {row[-1] for row in rows[1:]}
    codes = {str(number) for number in range(len(names))}
    fits = int(first[1]) == layout.columns - 1 and last <= codes
    return tuple(names) if fits and not any(map(layout.is_number, names)) else ()


def _has_header(rows: Sequence[list[str]], layout: _Layout) -> bool:
    """Whether the first row names the columns: text above numbers, and nothing that rows hold too."""
    first, rest = rows[0], rows[1:_SAMPLE]
    if not rest:
        return not any(map(layout.is_number, first))
    if len(first) == layout.columns - 1:  # as R writes names of rows
        return True
    inner = [f for f in first if layout.is_number(f)]
    if len(inner) >= max(3, len(first) - 2) and _counts_up(inner):
        return not all(_counts_up(row[: len(inner)]) for row in rest[:3])
    is_number = cache(layout.is_number if layout.decimal == "," else _NUMBER.fullmatch)
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


def _names(
    first: Sequence[str], columns: int, found: list[str]
) -> tuple[list[str], frozenset[str]]:
    """The columns' names, each once, and those of columns that have none in the header."""
    names = list(first)
    if names and len(names) == columns - 1:
        names = ["", *names]
        found.append("the header has a field less than the rows: the first column is unnamed")
    named = bool(names)
    names += [""] * (columns - len(names))
    unnamed = set()
    for number, name in enumerate(names):
        if not name:
            names[number] = f"c{number + 1}"
            unnamed.add(names[number])
        elif name in names[:number]:
            again = next(f"{name}.{k}" for k in range(2, columns + 2) if f"{name}.{k}" not in names)
            found.append(f"a second column {name} is called {again}")
            names[number] = again
    return names, frozenset(unnamed) if named else frozenset()


def _first_row(head: Sequence[str], comments: set[int]) -> int:
    return next(n for n, line in enumerate(head) if n not in comments and line.strip())


def _frame(
    name: str, content: bytes, layout: _Layout, names: Sequence[str], skipped: Sequence[int]
) -> pd.DataFrame:
    """All rows, as pandas reads them; it takes a number of first lines to skip in less time than a list."""
    first = list(skipped) == list(range(len(skipped)))
    try:
        return pd.read_csv(
            io.BytesIO(content),
            sep=r"\s+" if layout.delimiter == " " else layout.delimiter,
            header=None,
            names=list(names),
            index_col=False,
            skiprows=len(skipped) if first else list(skipped),
            na_values=sorted(MISSING),
            keep_default_na=False,
            quotechar=layout.quote,
            skipinitialspace=True,
            decimal=layout.decimal,
            low_memory=False,
        )
    except (ValueError, OverflowError) as error:  # pandas' parser errors included
        reason = " ".join(str(error).split())
        if quote := re.search(r"EOF inside string starting at row (\d+)", reason):
            raise _open_quote(name, int(quote[1]) + 1) from None
        told = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason)
        if told:
            wanted, row, seen = told.groups()
            reason = f"row {row} has {seen} fields, the others {wanted}"
        raise InputError(
            f"dataset: {name!r} cannot be read ({reason}); allowed: as many fields in each row"
        ) from None


def _open_quote(name: str, row: int) -> InputError:
    return InputError(
        f"dataset: {name!r} has a quote in row {row} that is never closed; allowed: quotes in pairs"
    )


class _Places:
    """The rows of a file as an editor counts them; the file is gone through when a message asks for one."""

    def __init__(self, content: bytes, layout: _Layout, skipped: frozenset[int]) -> None:
        self._given = content, layout, skipped

    def of(self, sample: int) -> int:
        """The row of a sample, from 1."""
        return self._rows[sample][0]

    def rows(self) -> list[tuple[int, list[str]]]:
        """The row that each sample begins in, and its fields."""
        return self._rows

    @cached_property
    def _rows(self) -> list[tuple[int, list[str]]]:
        content, layout, skipped = self._given
        lines = content.decode("utf-8").split("\n")
        kept = ["" if n in skipped else line.rstrip("\r") for n, line in enumerate(lines)]
        rows, begin = [], 0
        for end, fields in layout.records(kept):
            while begin < end and not kept[begin].strip():
                begin += 1
            if fields and (len(fields) > 1 or fields[0]):
                rows.append((begin + 1, fields))
            begin = end
        return rows


def _check_widths(
    name: str,
    content: bytes,
    layout: _Layout,
    frame: pd.DataFrame,
    places: _Places,
    skipped: Sequence[int],
) -> None:
    """Raise :class:`InputError` if a row is short of fields, which pandas would take for missing ones."""
    last = frame.columns[-1]
    if not frame[last].isna().any():  # a short row lacks its last field
        return
    short = []
    for line, row in places.rows():
        if len(row) < layout.columns and any(row):
            empty = frame.columns[len(row) :]
            if not frame[empty].isna().all(axis=None):
                short.append((line, len(row)))
    if short:
        rows = ", ".join(f"row {line} has {number}" for line, number in short[:_SHOWN])
        raise InputError(
            f"dataset: {name!r} has {len(short)} row{'s' if len(short) > 1 else ''} short of fields "
            f"({rows}, the others {layout.columns}); allowed: as many fields in each row"
        )


def _without_nothing(
    frame: pd.DataFrame, unnamed: frozenset[str], named: bool, found: list[str]
) -> pd.DataFrame:
    """The table without rows and columns that hold nothing at all."""
    if has_gaps(frame):
        rows = frame.isna().all(axis=1)
        if rows.any():
            found.append(f"{int(rows.sum())} empty row{'s' if rows.sum() > 1 else ''} left out")
            frame = frame[~rows]
        empty = [c for c in frame.columns if frame[c].isna().all()]
        if empty:
            some = [c for c in empty if named and c not in unnamed]
            told = f" ({', '.join(some)})" if some else ""
            found.append(f"{len(empty)} empty column{'s' if len(empty) > 1 else ''} left out{told}")
            frame = frame.drop(columns=empty)
    return frame


def _mended(frame: pd.DataFrame, layout: _Layout, found: list[str]) -> pd.DataFrame:
    """The table with text free of blanks at its ends, and numbers for columns that hold nothing else.

    Numbers may be grouped by thousands, or all have the same unit, of ``_UNITS``, before or behind them.
    """
    changed = {}
    for name in frame.columns:
        if frame[name].dtype.kind not in "OT" and frame[name].dtype != "str":
            continue
        given = frame[name].factorize()[1]
        stripped = [value for value in map(_stripped, given) if value is not None]
        alike = len(stripped) == len(given) and all(map(eq, stripped, given))
        values = frame[name] if alike else map_values(frame[name], _stripped)
        numbers, how = _plain_numbers(list(dict.fromkeys(stripped)), layout)
        if numbers:
            values = map_values(values, numbers.__getitem__)
            values = pd.to_numeric(values)
            found += [f"numbers of {name} {how}"] if how else []
        changed[name] = values
    return frame.assign(**changed) if changed else frame


def _plain_numbers(texts: Sequence[Any], layout: _Layout) -> tuple[dict[str, str], str]:
    """Texts as numbers are written elsewhere, and what was in the way; nothing unless all are numbers."""
    group = "." if layout.decimal == "," else ","
    grouped = re.compile(
        rf"[+-]?\d{{1,3}}({re.escape(group)}\d{{3}})+({re.escape(layout.decimal)}\d*)?"
    )
    units, numbers, groups = set(), {}, False
    for text in texts:
        if not isinstance(text, str):
            return {}, ""
        unit = next((u for u in _UNITS if text.startswith(u) or text.endswith(u)), "")
        number = text.removeprefix(unit).removesuffix(unit).strip()
        units.add(unit)
        if len(units) > 1 or number.startswith(_UNITS) or number.endswith(_UNITS):
            return {}, ""
        if grouped.fullmatch(number):
            number, groups = number.replace(group, ""), True
        elif not layout.is_number(number):
            return {}, ""
        numbers[text] = number.replace(",", ".") if layout.decimal == "," else number
    unit = "".join(units)
    told = [f"grouped by {group}"] if groups else []
    return numbers, " and ".join([*told, *([f"without their {unit}"] if unit else [])])


def _stripped(value: Any) -> Any:
    """A field without blanks at its ends; None if nothing is left, or what stands for nothing."""
    if isinstance(value, str):
        value = value.strip()
        return None if value in MISSING else value
    return value
