"""Data sets: samples as they came.

A data set comes from scikit-learn (``digits``, ``iris``, ``wine``, ``breast_cancer``, ``diabetes``),
from OpenML (``openml:NAME``) or from a file with a target column (:mod:`harness.data.readers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.readers import READERS, file_kinds, read_file, read_openml
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment

CLASSIFICATION = ("digits", "iris", "wine", "breast_cancer")
REGRESSION = ("diabetes",)
# of features that stay as they came: float32 holds their values, and half the memory holds them
_KEPT_DTYPES = ({np.dtype(np.float32)}, {np.dtype(np.uint8)})


@dataclass(frozen=True)
class Dataset:
    """Samples as they came, before any split.

    x: (samples, features), float64, or as an array file has them. y: (samples,), class numbers from 0, or
    real targets. classes: the labels' names in the order of their numbers; empty for regression.
    source: where it came from, for a report. sha256: of x and y as they came. as_trained: whether x is
    scaled already, in the dtype that is trained on; ``digest`` is then the hash of what came.
    """

    name: str
    source: str
    x: NDArray[Any]
    y: NDArray[Any]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    as_trained: bool = False
    digest: str = ""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Samples, features and classes; 0 classes for regression."""
        return len(self.x), self.x.shape[1], len(self.classes)

    @cached_property
    def sha256(self) -> str:
        if self.digest:
            return self.digest
        digest = hashlib.sha256(np.ascontiguousarray(self.x).data)
        digest.update(np.ascontiguousarray(self.y).data)
        return digest.hexdigest()


def load_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data set, checked; :class:`InputError` says what is wrong with it."""
    name, task = experiment.dataset, experiment.task
    if name.startswith("openml:"):
        features, y, source = read_openml(name.removeprefix("openml:"), experiment.target)
        return _from_frame(name, source, features, y, task)
    path = Path(name)
    if path.suffix.lower() in READERS:
        features, y = read_file(path, experiment.target)
        return _from_frame(path.name, f"file {path.name}", features, y, task)
    if name not in (*CLASSIFICATION, *REGRESSION):
        allowed = (*CLASSIFICATION, *REGRESSION, "openml:NAME", f"a {file_kinds()} file")
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
    if set(features.dtypes) in _KEPT_DTYPES:
        x: NDArray[Any] = features.to_numpy()  # no copy, of what was one array
    else:
        x = features.to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(x).all():
        bad = ~np.isfinite(x)
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
