"""Where tables of samples come from: files, told apart by what is in them.

A further kind of file is a function from its name and the open file to a :class:`FileTable`, and a line in
``_KINDS``. Files may be gzipped.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from harness.data.array_files import IDX_TYPES, read_idx, read_zip
from harness.data.delimited import read_delimited
from harness.data.file_table import FileTable
from harness.data.row_files import read_arff, read_svmlight
from harness.errors import InputError

FILE_KINDS = "CSV and other text tables, Parquet, NPZ, ARFF, svmlight and MNIST's idx files"
_HEAD = 20000  # first bytes, by which kinds of files are told apart


def read_file(path: Path, header: bool | None = None) -> FileTable:
    """The table in a file; :class:`~harness.errors.InputError` says what is wrong with it."""
    path = _inside(path)
    try:
        with _unpacked(path) as file:
            kind, read = _kind(path.name, file.read(_HEAD))
            file.seek(0)
            if header is not None and kind:
                raise InputError(f"header: {path.name!r} is {kind}; allowed: for a text table")
            if kind == "idx":
                table = read_idx(path)
            elif read:
                table = read(path.name, file)
            else:
                place = None if isinstance(file, io.BytesIO) else path
                table = read_delimited(path.name, file, header, place)
    except InputError:
        raise
    except MemoryError:
        raise InputError(
            f"dataset: {path.name!r} does not fit in memory as a table; allowed: fewer rows or columns"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"dataset: {str(path)!r} cannot be read ({reason})") from None
    except (
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: {path.name!r} cannot be read ({reason}); allowed: a whole file, not cut short"
        ) from None
    for frame, part in ((table.frame, ""), (table.test, " in its test part")):
        if frame is not None and not len(frame):
            names = f", only the names of {frame.shape[1]} columns" if table.header else ""
            raise InputError(
                f"dataset: {path.name!r} holds no rows{part}{names}; allowed: a table with rows"
            )
    return table


def _inside(path: Path) -> Path:
    """The file itself; of a folder that holds one of the same name, that one."""
    inner = path / path.name
    if inner.is_file():
        return inner
    if path.is_dir():
        raise InputError(f"dataset: {str(path)!r} is a folder; allowed: a file in it")
    return path


def _unpacked(path: Path) -> BinaryIO:
    """A file's content, open for reading from its start; what is gzipped is unpacked in memory."""
    file: BinaryIO = path.open("rb")
    if not file.seekable():  # what another program writes
        with file:
            file = io.BytesIO(file.read())
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if packed:
        with file:
            return io.BytesIO(gzip.decompress(file.read()))
    return file


def _kind(name: str, head: bytes) -> tuple[str, Callable[[str, BinaryIO], FileTable] | None]:
    """What a file is, by its first bytes, and the function that reads it; nothing for a text table."""
    if len(head) > 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 0 < head[3] < 9:
        return "idx", None
    for pattern, what, allowed in _OTHERS:
        if re.match(pattern, head):
            raise InputError(f"dataset: {name!r} is {what}; allowed: {allowed}")
    for pattern, kind, read in _KINDS:
        if re.match(pattern, head):
            return kind, read
    return "", None


def read_parquet(name: str, file: BinaryIO) -> FileTable:
    """The columns of a Parquet file."""
    try:
        frame = pd.read_parquet(file)
    except (ValueError, OSError):  # in Arrow's words, of its buffers
        raise InputError(
            f"dataset: {name!r} cannot be read (it begins like Parquet and is damaged); allowed: a whole "
            "file, not cut short"
        ) from None
    return FileTable(frame.reset_index(drop=True), header=True)


_PACKED = "the same file gzipped, or not packed"
# what is no table, by its first bytes: what it is, and what to give
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x93NUMPY", "one NPY array", "features and target in one NPZ: np.savez(FILE, x=x, y=y)"),
    (rb"\xd0\xcf\x11\xe0", "an Excel workbook", "its sheet saved as CSV"),
    (rb"BZh\d", "packed with bzip2", _PACKED),
    (rb"\xfd7zXZ", "packed with xz", _PACKED),
    (rb"\x28\xb5\x2f\xfd", "packed with Zstandard", _PACKED),
    (rb"7z\xbc\xaf", "a 7z archive", "the file in it, unpacked"),
    (rb"\x89HDF", "HDF5", "NPZ or Parquet"),
    (rb"\x80[\2-\5]", "pickled, which may run programs", "NPZ, Parquet or CSV"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file", "what git lfs pull brings"),
    (rb"(?i)\s*<(!doctype|html|\?xml)", "a web page or XML", "the table itself (on a site: Raw)"),
    (rb"\s*(\[\s*)?[\[{]\s*[\"\[]", "JSON", "a table: pandas.read_json(FILE).to_csv(...)"),
)
# by the first bytes, in this order; a text table is what is none of them
_KINDS: tuple[tuple[bytes, str, Callable[[str, BinaryIO], FileTable]], ...] = (
    (rb"PAR1", "Parquet", read_parquet),
    (rb"PK\x03\x04|PK\x05\x06", "NPZ", read_zip),
    (rb"(?i)(\s*(%[^\n]*)?\n)*\s*@relation", "ARFF", read_arff),
    (
        rb"(\s*(#[^\n]*)?\n)*[+-]?[0-9.eE+-]+(,\d+)*(\s+qid:\d+)?(\s+\d+:[^\s:]+)+\s*[\r\n]",
        "svmlight",
        read_svmlight,
    ),
)
