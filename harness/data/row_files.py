"""Files of rows with a notation of their own: ARFF, svmlight."""

from __future__ import annotations

import io
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pandas as pd

from harness.data.file_table import LABEL, FileTable
from harness.errors import InputError

_SHOWN = 60  # characters of a line that a message shows
_HEAD = 20000  # first bytes, in which a qid stands if there is one
_SEVERAL_LABELS = re.compile(rb"(?m)^[ \t]*([0-9.+-]+(?:,[0-9.+-]+)+)[ \t]+\d+:")
_BLANKS = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|[ \t]*(,)[ \t]*|(\{)[ \t]+|[ \t]+(\})"""
)
_NOMINAL = re.compile(r"(?im)^@attribute[^\n{]*\{[^\n}]*\}")


def read_arff(name: str, file: BinaryIO) -> FileTable:
    """The attributes of an ARFF file; nominal ones are text, dates are dates."""
    from scipy.io import arff

    content = file.read()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    lines = text.splitlines()
    begin = next((n for n, li in enumerate(lines) if li.strip().lower().startswith("@data")), -1)
    if begin < 0:
        raise InputError(f"dataset: {name!r} has no line @data; allowed: a whole ARFF file")
    rows = [n + 1 for n in range(begin + 1, len(lines)) if lines[n].strip()[:1] not in ("", "%")]
    if rows and lines[rows[0] - 1].lstrip().startswith("{"):
        raise InputError(
            f"dataset: {name!r} is sparse ARFF, rows in {{ }}; allowed: all values of a row"
        )

    def load(some: Sequence[str]) -> Any:
        head = _NOMINAL.sub(lambda nominal: _tight(nominal[0]), "\n".join(some[: begin + 1]))
        rows = (_tight(line.strip()) for line in some[begin + 1 :])
        return arff.loadarff(io.StringIO("\n".join([head, *rows])))

    try:
        values, about = load(lines)
    except NotImplementedError as error:
        strings = re.findall(r"(?im)^@attribute\s+(\S+)\s+(?:string|relational)\b", text)
        found = f"text attributes {', '.join(strings)}" if strings else str(error)
        raise InputError(
            f"dataset: {name!r} cannot be read ({found}); allowed: numeric, nominal and date attributes"
        ) from None
    except ValueError as error:
        raise _bad_row(name, lines, load, begin + 1, error) from None
    columns: dict[str, Any] = {}
    for attribute, kind in zip(about.names(), about.types(), strict=True):
        column: Any = values[attribute]
        if kind == "nominal":
            told = [v.decode("utf-8", errors="replace") for v in column]
            column = pd.Categorical([None if v == "?" else v for v in told])
        columns[attribute] = column
    return FileTable(pd.DataFrame(columns), ("ARFF",), rows.__getitem__, header=True)


def _bad_row(
    name: str,
    lines: Sequence[str],
    load: Callable[[Sequence[str]], Any],
    begin: int,
    error: Exception,
) -> InputError:
    """What to say of the first line that cannot be read: with it, what ``load`` makes of lines fails."""

    def fails(end: int) -> bool:
        try:
            load(lines[:end])
        except (ValueError, OverflowError):
            return True
        return False

    row = bisect_left(range(begin, len(lines)), True, key=lambda end: fails(end + 1)) + begin + 1
    line, reason = lines[row - 1].strip(), " ".join(str(error).split())
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
    return InputError(
        f"dataset: {name!r} cannot be read from row {row}, {shown!r} ({reason}); allowed: in each row the "
        "values that the file's kind asks for"
    )


def _tight(values: str) -> str:
    """Values without blanks around commas and braces, which SciPy takes for parts of them."""
    if " " not in values and "\t" not in values:
        return values
    return _BLANKS.sub(lambda found: "".join(filter(None, found.groups())), values)


def read_svmlight(name: str, file: BinaryIO) -> FileTable:
    """The features of an svmlight or libsvm file, dense, called f1, f2, ...; its label."""
    from sklearn.datasets import load_svmlight_file

    content = file.read()
    if several := _SEVERAL_LABELS.search(content):
        row = content.count(b"\n", 0, several.start(1)) + 1
        raise InputError(
            f"dataset: {name!r} has several labels in row {row}, {several[1].decode()}; allowed: one "
            "label in each row, of several targets a file each"
        )
    try:
        x, y = load_svmlight_file(io.BytesIO(content))
    except (ValueError, OverflowError) as error:
        lines = content.decode("utf-8", errors="replace").splitlines()

        def load(some: Sequence[str]) -> Any:
            return load_svmlight_file(io.BytesIO("\n".join(some).encode()))

        raise _bad_row(name, lines, load, 0, error) from None
    frame = pd.DataFrame(x.toarray(), columns=[f"f{i + 1}" for i in range(x.shape[1])])
    frame[LABEL] = y
    found = ["svmlight: features that are not written are 0"]
    if b" qid:" in content[:_HEAD]:
        found.append("qid left out, it is no feature")
    return FileTable(frame, tuple(found), target=LABEL, measured=True, sparse=True)
