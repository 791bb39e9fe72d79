"""Text tables: CSV and its kin, with whatever delimiter, quotes, comments and decimal mark they have.

What a file's first lines show decides how all of it is read; pandas does the reading. That every row has
as many fields as the others is counted afterwards.
"""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from harness.data.file_table import FileTable, has_gaps
from harness.data.text_content import (
    SAMPLE_BYTES,
    as_utf8,
    comment_lines,
    comments_in_words,
    first_lines,
)
from harness.data.text_layout import (
    MISSING,
    TextLayout,
    counts_and_classes,
    find_layout,
    has_header,
)
from harness.data.written_numbers import with_numbers
from harness.errors import InputError

_WORDS = {"\t": "tab", " ": "blanks"}
_SHOWN = 3  # rows that a message names
_PARALLEL = tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)  # pandas reads large files so
_LARGE = 5 * 2**20  # bytes, from which on it does


@dataclass(frozen=True)
class _Reading:
    """What a text's first lines show of how all of it is to be read, and what of that is told.

    skipped: numbers of the lines that hold no rows, from 0. blanks: whether there are blanks, which may
    stand behind delimiters.
    """

    layout: TextLayout
    names: tuple[str, ...]
    unnamed: frozenset[str]
    named: bool
    class_names: tuple[str, ...]
    skipped: tuple[int, ...]
    found: tuple[str, ...]
    blanks: bool

    @property
    def skips_first_lines(self) -> bool:
        return list(self.skipped) == list(range(len(self.skipped)))

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of pandas.read_csv; it skips a number of first lines in less time than a list of them."""
        layout = self.layout
        return {
            "sep": r"\s+" if layout.delimiter == " " else layout.delimiter,
            "header": None,
            "names": list(self.names),
            "index_col": False,
            "skiprows": len(self.skipped) if self.skips_first_lines else list(self.skipped),
            "na_values": sorted(MISSING),
            "keep_default_na": False,
            "quotechar": layout.quote,
            "skipinitialspace": self.blanks,
            "decimal": layout.decimal,
        }


def read_delimited(
    name: str, file: BinaryIO, header: bool | None = None, path: Path | None = None
) -> FileTable:
    """The table in an open text file; ``header``: whether its first row names the columns, if known.

    ``path``: of a file that holds the text as it is, which pandas reads with all cores where it is large.
    """
    if path is not None and _PARALLEL and path.stat().st_size >= _LARGE:
        table = _read_in_parallel(name, file, header, path)
        if table is not None:
            return table
        file.seek(0)
    content, reading = _looked_at(name, file.read(), header)
    return _table(name, _frame(name, content, reading), reading, content)


def _looked_at(name: str, content: bytes, header: bool | None) -> tuple[bytes, _Reading]:
    """A text in UTF-8, and how it is to be read."""
    found: list[str] = []
    content = as_utf8(name, content, found)
    head = first_lines(content)
    if not head:
        raise InputError(f"dataset: {name!r} holds no rows; allowed: a table with rows")
    comments = comment_lines(content, head)
    lines = [line for number, line in enumerate(head) if number not in comments and line.strip()]
    try:
        layout, rows = find_layout(name, lines)
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
        found.append(comments_in_words(comments))
    class_names = counts_and_classes(rows, layout) if header is None else ()
    named = header if header is not None else not class_names and has_header(rows, layout)
    if class_names:
        found.append("first line holds counts and class names, not a header")
    found.append("header" if named else "no header; columns are called c1, c2, ...")
    names, unnamed = _names(rows[0] if named else [], layout.columns, found)
    skipped = sorted(comments | ({_first_row(head, comments)} if named or class_names else set()))
    blanks = b" " in content or b"\t" in content
    return content, _Reading(
        layout, tuple(names), unnamed, named, class_names, tuple(skipped), tuple(found), blanks
    )


def _read_in_parallel(
    name: str, file: BinaryIO, header: bool | None, path: Path
) -> FileTable | None:
    """The table as the first lines of a file say that it is to be read; None if others say it otherwise.

    They cannot where nothing but numbers came out: comments, blanks and signs beyond ASCII are text. Nor
    is a table taken in which pandas found numbers in one stretch of a column and text in another, which
    come out as objects.
    """
    start = file.read(SAMPLE_BYTES)
    if not start.isascii() or b"\n" not in start:
        return None
    _, reading = _looked_at(name, start, header)
    if not reading.skips_first_lines:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(os.path.abspath(path), compression=None, **reading.settings)
        except (ValueError, OverflowError, pd.errors.ParserWarning):  # told of in the usual way
            return None
    kinds = {dtype.kind for dtype in frame.dtypes}
    if not kinds <= set("iufb"):
        file.seek(0)
        whole, same = _looked_at(name, file.read(), header)
        if same != reading or "object" in map(str, frame.dtypes):
            return None
        return _table(name, frame, reading, whole)
    return _table(name, frame, reading, path)


def _table(name: str, frame: pd.DataFrame, reading: _Reading, content: bytes | Path) -> FileTable:
    """The rows that pandas read as a table, checked and mended; ``content``: the text, or its file."""
    found = list(reading.found)
    places = _Places(content, reading.layout, frozenset(reading.skipped))
    _check_widths(name, reading.layout, frame, places)
    frame = _without_nothing(frame, reading.unnamed, reading.named, found)
    frame, written = with_numbers(frame, reading.layout, found)
    return FileTable(
        frame,
        tuple(found),
        places.of,
        reading.named,
        reading.unnamed,
        class_names=reading.class_names,
        written=written,
    )


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


def _frame(name: str, content: bytes, reading: _Reading) -> pd.DataFrame:
    """All rows, as pandas reads them."""
    try:
        return pd.read_csv(io.BytesIO(content), low_memory=False, **reading.settings)
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
    """The rows of a file as an editor counts them; it is gone through as far as a message asks for one."""

    def __init__(self, content: bytes | Path, layout: TextLayout, skipped: frozenset[int]) -> None:
        self._given = content, layout, skipped
        self._rows: list[tuple[int, list[str]]] = []
        self._further = self._records()

    def of(self, sample: int) -> int:
        """The row of a sample, from 1."""
        while len(self._rows) <= sample:
            self._rows.append(next(self._further))
        return self._rows[sample][0]

    def rows(self) -> list[tuple[int, list[str]]]:
        """The row that each sample begins in, and its fields."""
        self._rows += self._further
        return self._rows

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        content, layout, skipped = self._given
        text = content if isinstance(content, bytes) else content.read_bytes()
        kept: list[bool] = []  # of each line, whether it holds anything

        def lines() -> Iterator[str]:
            for number, line in enumerate(io.BytesIO(text)):
                told = "" if number in skipped else line.decode("utf-8").rstrip("\r\n")
                kept.append(bool(told.strip()))
                yield told

        begin = 0
        for end, fields in layout.records(lines()):
            while begin < end and not kept[begin]:
                begin += 1
            if fields and (len(fields) > 1 or fields[0]):
                yield begin + 1, fields
            begin = end


def _check_widths(name: str, layout: TextLayout, frame: pd.DataFrame, places: _Places) -> None:
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
