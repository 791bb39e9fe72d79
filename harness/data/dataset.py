"""Data sets: samples as they came.

A data set comes from scikit-learn (``digits``, ``iris``, ``wine``, ``breast_cancer``, ``diabetes``),
from OpenML (``openml:NAME``) or from a CSV, Parquet or NPZ file with a target column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment

FILES = (".csv", ".parquet", ".npz")
CLASSIFICATION = ("digits", "iris", "wine", "breast_cancer")
REGRESSION = ("diabetes",)


@dataclass(frozen=True)
class Dataset:
    """Samples as they came, before any split.

    x: (samples, features), float64. y: (samples,), class numbers from 0, or real targets.
    classes: the labels' names in the order of their numbers; empty for regression.
    source: where it came from, for a report. sha256: of x and y.
    """

    name: str
    source: str
    x: NDArray[np.float64]
    y: NDArray[Any]
    classes: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Samples, features and classes; 0 classes for regression."""
        return len(self.x), self.x.shape[1], len(self.classes)

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self.x).tobytes())
        digest.update(np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()


def load_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data set, checked; :class:`InputError` says what is wrong with it."""
    name, task = experiment.dataset, experiment.task
    if name.startswith("openml:"):
        frame, target, source = _openml(name.removeprefix("openml:"), experiment.target)
        return _from_frame(name, source, frame, target, task)
    if name.lower().endswith(FILES):
        return _from_file(Path(name), experiment.target, task)
    if name not in (*CLASSIFICATION, *REGRESSION):
        allowed = (*CLASSIFICATION, *REGRESSION, "openml:NAME", "a .csv, .parquet or .npz file")
        raise unknown("dataset", name, allowed)
    if experiment.target is not None:
        raise InputError(
            f"target: {name!r} has its own target; allowed: only with openml: or a file"
        )
    if (name in REGRESSION) != (task == "regression"):
        fitting = REGRESSION if task == "regression" else CLASSIFICATION
        raise InputError(
            f"dataset: {name!r} is not for {task}; allowed: {', '.join(fitting)}, or a file"
        )
    return _from_sklearn(name)


def _from_sklearn(name: str) -> Dataset:
    from sklearn import datasets

    loaders: dict[str, Callable[[], Any]] = {
        "digits": datasets.load_digits,
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }
    bunch = loaders[name]()
    classes = () if name in REGRESSION else tuple(str(c) for c in bunch.target_names)
    y = bunch.target.astype(np.int64 if classes else np.float64)
    names = tuple(str(f) for f in bunch.feature_names)
    source = f"sklearn.datasets.{loaders[name].__name__}"
    return Dataset(name, source, bunch.data.astype(np.float64), y, classes, names)


def _openml(name: str, target: str | None) -> tuple[pd.DataFrame, pd.Series, str]:
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
    _has_column(frame, target, f"openml:{name}")
    return frame.drop(columns=target), frame[target], f"OpenML {name}, target {target}"


def _from_file(path: Path, target: str | None, task: str) -> Dataset:
    if not path.is_file():
        raise InputError(f"dataset: no file {str(path)!r}; allowed: an existing {_or(FILES)} file")
    if target is None:
        raise InputError(f"target: needed for the file {path.name!r}; allowed: one of its columns")
    frame = _read(path, target)
    _has_column(frame, target, path.name)
    source = f"file {path.name}"
    return _from_frame(path.name, source, frame.drop(columns=target), frame[target], task)


def _read(path: Path, target: str) -> pd.DataFrame:
    import zipfile

    try:
        if path.suffix.lower() == ".csv":
            return pd.read_csv(path)
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        with np.load(path, allow_pickle=False) as arrays:
            return _columns({name: arrays[name] for name in arrays.files}, target, path.name)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:  # pandas' errors included
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"dataset: {path.name!r} cannot be read ({reason}); "
            f"allowed: a whole {path.suffix.lower()} file"
        ) from None


def _columns(arrays: dict[str, NDArray[Any]], target: str, name: str) -> pd.DataFrame:
    """The arrays of an NPZ file as columns: one-dimensional ones as they are, two-dimensional cut up."""
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
        raise InputError(f"dataset: {name!r} has arrays of different lengths {lengths}")
    return pd.DataFrame(columns)


def _has_column(frame: pd.DataFrame, target: str, name: str) -> None:
    if target not in frame.columns:
        columns = [str(c) for c in frame.columns]
        shown = columns if len(columns) <= 20 else [*columns[:20], "..."]
        raise unknown(f"target: no such column in {name!r}", target, shown)


def _from_frame(
    name: str, source: str, features: pd.DataFrame, target: pd.Series, task: str
) -> Dataset:
    text = [str(c) for c in features.columns if not _numeric(features[c])]
    if text:
        raise InputError(
            f"dataset: feature column {text[0]!r} of {name!r} holds text or categories; "
            "allowed: numbers"
        )
    if features.shape[1] == 0:
        raise InputError(f"dataset: {name!r} has no feature column beside the target")
    x = features.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"dataset: feature column {str(features.columns[column])!r} of {name!r} has "
            f"{int(bad.sum())} NaN or infinite value(s), the first in row {row}; "
            "allowed: finite numbers"
        )
    if target.isna().any():
        raise InputError(f"target: {target.name!r} of {name!r} has missing values; allowed: none")
    columns = tuple(str(c) for c in features.columns)
    if task == "regression":
        if not _numeric(target):
            raise InputError(f"target: {target.name!r} of {name!r} is text; allowed: numbers")
        y = target.to_numpy(dtype=np.float64)
        if not np.isfinite(y).all():
            raise InputError(f"target: {target.name!r} of {name!r} has infinite values")
        return Dataset(name, source, x, y, (), columns)
    labels, y = np.unique(target.to_numpy(dtype=object).astype(str), return_inverse=True)
    if _numeric(target):
        values, y = np.unique(target.to_numpy(), return_inverse=True)
        labels = np.array([f"{v:g}" for v in values])
    if len(labels) < 2:
        raise InputError(
            f"target: {target.name!r} of {name!r} has one class only; allowed: two or more"
        )
    if len(x) < len(labels) or len(labels) > len(x) // 2:
        raise InputError(
            f"target: {target.name!r} of {name!r} has {len(labels)} classes for {len(x)} samples; "
            "allowed: at least two samples a class (or --task regression)"
        )
    return Dataset(name, source, x, y.astype(np.int64), tuple(map(str, labels)), columns)


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
