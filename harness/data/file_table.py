"""A table as a file held it, before anything is decided about its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

LABEL = "label"  # what the target is called where a file has no name for it
# in which data stay as they came
KEPT_DTYPES = tuple(map(np.dtype, ("uint8", "float32", "float64")))


def _next_number(sample: int) -> int:
    return sample + 1


def map_values(column: pd.Series[Any], function: Callable[[Any], Any]) -> pd.Series[Any]:
    """A column with a function applied to each value that it has, once; what is missing is None."""
    codes, values = pd.factorize(column)
    mapped = np.empty(len(values) + 1, dtype=object)
    for number, value in enumerate(values):
        mapped[number] = function(value)
    return pd.Series(mapped[codes], index=column.index, name=column.name, dtype=object)


def has_gaps(frame: pd.DataFrame) -> bool:
    """Whether anything is missing in a table."""
    floats = [isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in frame.dtypes]
    # the least of numbers with NaN among them is NaN, which is found in one go
    if any(floats) and frame.loc[:, floats].min(skipna=False).isna().any():
        return True
    return any(
        not (isinstance(dtype, np.dtype) and dtype.kind in "biuf") and frame.iloc[:, number].hasnans
        for number, dtype in enumerate(frame.dtypes)
    )


@dataclass(frozen=True)
class FileTable:
    """Samples by columns, and how they were read.

    frame: its index numbers the samples as they lie in the file, from 0. found: what was found out about
    the file, for a person. place: a sample's row as an editor counts it. header: whether columns have
    names of their own; None where there is nothing to find out. unnamed: columns without a name in a table
    that has a header. target: the target's column where the file itself tells. class_names: names of the
    classes 0, 1, ... where the file gives them. measured: columns are all measurements, so that no id is
    looked for. sparse: columns that are not written are 0. test: the file's own test part. written: the
    text of columns whose numbers are written with a unit or in groups, by their names.
    """

    frame: pd.DataFrame
    found: tuple[str, ...] = ()
    place: Callable[[int], int] = _next_number
    header: bool | None = None
    unnamed: frozenset[str] = frozenset()
    target: str | None = None
    class_names: tuple[str, ...] = ()
    measured: bool = False
    sparse: bool = False
    test: pd.DataFrame | None = None
    written: Mapping[str, pd.Series[Any]] = field(default_factory=dict)
