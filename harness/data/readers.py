"""Where tables of samples come from: files, one function a format, and OpenML.

A further format is a function from a path and the target's name to a table, and a line in ``READERS``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import InputError, unknown


def read_csv(path: Path, target: str) -> pd.DataFrame:
    """The columns of a CSV file with a header line."""
    return pd.read_csv(path)


def read_parquet(path: Path, target: str) -> pd.DataFrame:
    """The columns of a Parquet file."""
    return pd.read_parquet(path)


def read_npz(path: Path, target: str) -> pd.DataFrame:
    """The arrays of an NPZ file as columns: one-dimensional ones as they are, others cut up."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    others = [key for key in arrays if key != target]
    if len(others) == 1 and target in arrays and arrays[others[0]].ndim > 1:
        (key,) = others
        flat, y = arrays[key].reshape(len(arrays[key]), -1), arrays[target].ravel()
        if len(flat) == len(y):  # stays one array, not a column for each of its features
            names = [f"{key}_{i}" for i in range(flat.shape[1])]
            return pd.DataFrame(flat, columns=names, copy=False).assign(**{target: y})
    columns: dict[str, NDArray[Any]] = {}
    for key, array in arrays.items():
        if key == target:
            columns[key] = array.ravel()
        else:
            flat = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
            columns |= {
                key if array.ndim == 1 else f"{key}_{i}": flat[:, i] for i in range(flat.shape[1])
            }
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"dataset: {path.name!r} has arrays of different lengths {lengths}")
    return pd.DataFrame(columns)


# by suffix, in small letters
READERS: dict[str, Callable[[Path, str], pd.DataFrame]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".npz": read_npz,
}


def file_kinds() -> str:
    """The suffixes that can be read, for a person."""
    *others, last = READERS
    return f"{', '.join(others)} or {last}"


def read_file(path: Path, target: str | None) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target of the table in a file; :class:`InputError` says what is wrong with it."""
    if not path.is_file():
        raise InputError(
            f"dataset: no file {str(path)!r}; allowed: an existing {file_kinds()} file"
        )
    if target is None:
        raise InputError(f"target: needed for the file {path.name!r}; allowed: one of its columns")
    suffix = path.suffix.lower()
    try:
        frame = READERS[suffix](path, target)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:  # pandas' errors included
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: {path.name!r} cannot be read ({reason}); allowed: a whole {suffix} file"
        ) from None
    _check_column(frame, target, path.name)
    return frame.drop(columns=target), frame[target]


def read_openml(name: str, target: str | None) -> tuple[pd.DataFrame, pd.Series, str]:
    """Features, target and source of a data set of OpenML; by default its own target."""
    from sklearn.datasets import fetch_openml

    try:
        bunch = fetch_openml(name, version="active", as_frame=True, parser="auto")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: 'openml:{name}' could not be fetched ({reason}); "
            "allowed: a name that OpenML knows, with a network connection or already in the cache"
        ) from None
    if target is None:
        return bunch.data, bunch.target, f"OpenML {name}, version {bunch.details['version']}"
    frame = bunch.frame
    _check_column(frame, target, f"openml:{name}")
    return frame.drop(columns=target), frame[target], f"OpenML {name}, target {target}"


def _check_column(frame: pd.DataFrame, target: str, name: str) -> None:
    if target not in frame.columns:
        columns = [str(c) for c in frame.columns]
        shown = columns if len(columns) <= 20 else [*columns[:20], "..."]
        raise unknown(f"target: no such column in {name!r}", target, shown)
