"""The features of a table, or of new samples like it, as numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.columns import (
    Column,
    as_numbers,
    as_texts,
    column_kind,
    listed_names,
    not_numbers,
)
from harness.data.file_table import KEPT_DTYPES
from harness.data.missing_values import without_markers
from harness.data.survey import Hash, Part, Survey
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment

LARGEST = float(np.finfo(np.float32).max)
_AT_ONCE = 2**21  # numbers that are copied at once
_LARGE = 2**22  # bytes, from which on a thread hashes them
_IN_CACHE = 2**17  # numbers that are looked at together


def make_features(survey: Survey) -> None:
    """Features of every part as an array, with the ends and gaps of its columns; hashed meanwhile."""
    survey.x = [_matrix(survey, part) for part in survey.parts]
    if sum(x.nbytes for x in survey.x) > _LARGE and len({x.dtype for x in survey.x}) == 1:
        thread = ThreadPoolExecutor(1)  # NumPy and hashlib leave each other the cores
        survey.hashing = thread.submit(hash_of, survey.x)
        thread.shutdown(wait=False)
    for part, x in zip(survey.parts, survey.x, strict=True):
        low, high, gaps = _column_ends(x)
        _check_range(survey, part, low, high)
        survey.ends.append((low, high))
        survey.gaps.append(gaps)


def hash_of(arrays: Sequence[NDArray[Any]]) -> Hash:
    """The SHA-256 of arrays in C order, one after the other, to which more may be added."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest


def _column_ends(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """The least and the largest value of each column, and whether one is missing there.

    Rows are gone through once, some at a time, so that they stay in the cache; columns with a gap again.
    """
    size = max(1, _IN_CACHE // x.shape[1])
    stretches = [x[first : first + size] for first in range(0, len(x), size)]
    low = np.min([np.minimum.reduce(rows, axis=0) for rows in stretches], axis=0)
    high = np.max([np.maximum.reduce(rows, axis=0) for rows in stretches], axis=0)
    gaps = low != low
    for number in np.flatnonzero(gaps):
        low[number], high[number] = np.fmin.reduce(x[:, number]), np.fmax.reduce(x[:, number])
    return low, high, gaps


def _matrix(survey: Survey, part: Part) -> NDArray[Any]:
    """The features of a part: numbers, and the number of the category in the order of names.

    A category that only the test part has gets the number after the last. NaN is missing.
    """
    features = survey.features
    frame = part.frame[[c.name for c in features]]
    kinds = set(frame.dtypes)
    kept = next(iter(kinds)) if len(kinds) == 1 else None
    dtype = kept if kept in KEPT_DTYPES else np.dtype(np.float64)
    if kept == dtype and frame.iloc[:2].to_numpy().flags.c_contiguous:
        return np.ascontiguousarray(frame.to_numpy())  # without a copy, where the file holds rows
    x = np.empty(frame.shape, dtype)
    if all(isinstance(kind, np.dtype) and kind.kind in "iuf" for kind in kinds):
        rows = max(1, _AT_ONCE // x.shape[1])
        # columns become rows in less time than all at once
        for first in range(0, len(x), rows):
            x[first : first + rows] = frame.iloc[first : first + rows].to_numpy()
        return x
    for number, column in enumerate(features):
        x[:, number] = _feature(survey, part, column)
    return x


def _feature(survey: Survey, part: Part, column: Column) -> NDArray[Any]:
    values = part.frame[column.name]
    if column.kind == "category":
        known = {value: number for number, value in enumerate(column.values)}
        texts = as_texts(values, "category" if values.dtype == "str" else None)
        return numbers_of_texts(texts, known, len(known))
    if column_kind(values) not in ("number", "yes or no"):
        slips = np.flatnonzero(not_numbers(values))
        if len(slips):
            raise InputError(
                f"{part.setting}: column {column.name!r} holds {str(values.iloc[slips[0]])!r} in row "
                f"{part.row(int(slips[0]))}, numbers in {survey.name!r}; allowed: the same kind in both"
            )
        values = pd.to_numeric(values)
    return as_numbers(values)


def numbers_of_texts(
    texts: pd.Series[Any], known: Mapping[str, int], other: float = np.nan
) -> NDArray[np.float64]:
    """The number of each text; ``other`` for one that is not known, NaN where one is missing."""
    codes, distinct = pd.factorize(texts)
    return np.array([*(known.get(text, other) for text in distinct), np.nan])[codes]


def samples_like(
    survey: Survey, x: NDArray[Any] | pd.DataFrame, experiment: Experiment
) -> NDArray[Any]:
    """New samples, as they come, as the features of a survey: (samples, features).

    A table's columns are taken by their names, an array's as the data have them.
    :class:`~harness.errors.InputError` for samples that are not like those of the data.
    """
    names = [column.name for column in survey.features]
    frame = _new_table(x, names)
    old = survey.parts[0].frame
    frame = without_markers(survey, frame.reindex(columns=old.columns), experiment)
    part = Part(frame, lambda sample: sample + 1, "", "x")
    for column in survey.features:
        values = frame[column.name]
        gone = np.flatnonzero(values.isna())
        if len(gone) and experiment.missing != "impute":
            raise InputError(
                f"x: column {column.name!r} has no value in row {part.row(int(gone[0]))}; allowed: whole "
                "samples, unless the run filled in what was missing (missing impute)"
            )
        if column.kind == "category":
            known = {*column.values}.union(
                *(as_texts(p.frame[column.name]).dropna() for p in survey.parts[1:])
            )
            strange = [text for text in as_texts(values).dropna().unique() if text not in known]
            if strange:
                raise unknown(f"x: category of column {column.name!r}", strange[0], sorted(known))
    matrix = _matrix(survey, part)
    with np.errstate(invalid="ignore"):
        wide = np.argwhere(np.abs(matrix) > LARGEST)
    if len(wide):
        row, number = wide[0]
        raise InputError(
            f"x: column {names[number]!r} is {matrix[row, number]} in row {part.row(int(row))}; allowed: "
            "finite numbers up to 3.4e38"
        )
    return matrix


def _new_table(x: NDArray[Any] | pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Samples as a table of these columns."""
    if not isinstance(x, pd.DataFrame):
        array = np.atleast_2d(np.asarray(x, dtype=None if hasattr(x, "dtype") else object))
        if array.ndim != 2 or array.shape[1] != len(names):
            raise InputError(
                f"x: found an array of shape {np.shape(x)}; allowed: (samples, {len(names)}), columns as the "
                "data have them"
            )
        return pd.DataFrame(array, columns=list(names)).infer_objects()
    frame = x.set_axis([str(column) for column in x.columns], axis=1).reset_index(drop=True)
    if lost := [name for name in names if name not in frame.columns]:
        raise InputError(
            f"x: found no column {listed_names(lost)}; allowed: a table that has "
            f"{listed_names(names)}"
        )
    if twice := [name for name in names if list(frame.columns).count(name) > 1]:
        raise InputError(f"x: two columns are called {twice[0]!r}; allowed: names that differ")
    return frame[list(names)]


def _check_range(survey: Survey, part: Part, low: NDArray[Any], high: NDArray[Any]) -> None:
    """Refuse infinite values, and those that float32 cannot hold; ``low``, ``high``: the columns' ends."""
    outside = (low < -LARGEST) | (high > LARGEST)
    wrong = [c.name for c, out in zip(survey.features, outside, strict=True) if out]
    if not wrong:
        return
    told = []
    for name in wrong:
        values = np.abs(as_numbers(part.frame[name]).astype(float))
        row = int(np.argmax(np.nan_to_num(values, nan=0, posinf=np.inf) > LARGEST))
        told.append(f"{name} ({part.frame[name].iloc[row]} in row {part.row(row)}{part.where})")
    survey.refuse(
        f"dataset: {survey.name!r} has infinite values or such as float32 cannot hold in "
        f"{listed_names(told)}; allowed: finite numbers up to 3.4e38. Divide the column by a power of "
        f"ten, or leave it out: --drop {quote(','.join(wrong))}",
        drop=",".join(wrong),
    )
