"""Data sets: samples as they came, before any split.

A data set comes from scikit-learn (``digits``, ``iris``, ``wine``, ``breast_cancer``, ``diabetes``), is made
for teaching (:mod:`harness.data.teaching_sets`), or comes from OpenML (``openml:NAME``), from a file
(:mod:`harness.data.readers`) or from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.columns import Column
from harness.data.feature_matrix import hash_of
from harness.data.file_table import LABEL, FileTable
from harness.data.oddities import odd_features
from harness.data.openml import read_openml
from harness.data.readers import FILE_KINDS, read_file
from harness.data.survey import Hash, Survey
from harness.data.table_survey import survey_table
from harness.data.teaching_sets import TEACHING_SETS
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment
from harness.experiment.memory_data import MEMORY

CLASSIFICATION = ("digits", "iris", "wine", "breast_cancer", "xor", "two_moons", "spirals")
REGRESSION = ("diabetes", "runge")


@dataclass(frozen=True)
class Dataset:
    """Samples as they came, before any split.

    x: (samples, columns), as they came: float64, or uint8 or float32 where all of a file is. Of a column of
    categories it holds their numbers in the order of their names, and NaN stands for what is missing; what
    a network is given is made of it by :func:`harness.data.encoding.encoded` once the split is known.
    y: (samples,), class numbers from 0, or real targets. classes: the labels' names in the order of their
    numbers; empty for regression. features: the columns' names. categories: of each column the names of
    its categories, none for numbers. test: how many samples, the last ones, are a test part of their own.
    source: where it came from, for a report; decisions: how it was read; warnings: what is odd about it.
    sha256: of all that. as_trained: whether x is what a network is given, encoded, scaled and in the dtype
    that is trained on; ``digest`` is then the hash of what came. hashing: of which x a thread computes it.
    splits: kept by :func:`harness.data.split.split_rows`.
    """

    name: str
    source: str
    x: NDArray[Any]
    y: NDArray[Any]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...] = ()
    test: int = 0
    decisions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    as_trained: bool = False
    digest: str = ""
    hashing: tuple[NDArray[Any], Future[Hash]] | None = field(
        default=None, compare=False, repr=False
    )
    splits: dict[tuple[Any, ...], tuple[NDArray[Any], Any]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def counts(self) -> tuple[int, int, int]:
        """Samples, columns and classes; 0 classes for regression."""
        return len(self.x), self.x.shape[1], len(self.classes)

    @cached_property
    def plain(self) -> bool:
        """Whether all columns are numbers and none is missing: then a network is given as many inputs."""
        if self.as_trained:
            return True
        whole = self.x.dtype.kind != "f" or not np.isnan(self.x.min(initial=0))
        return not any(self.categories) and whole

    @cached_property
    def sha256(self) -> str:
        if self.digest:
            return self.digest
        of, hashed = self.hashing or (None, None)
        digest = hashed.result().copy() if hashed and of is self.x else hash_of([self.x])
        digest.update(np.ascontiguousarray(self.y).data)
        if any(self.categories) or self.test:
            digest.update(repr((self.categories, self.test)).encode())
        return str(digest.hexdigest())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "hashing": None}  # a thread goes nowhere


def load_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data set, checked; :class:`InputError` says what is wrong with it."""
    return dataset_of(*survey_dataset(experiment), experiment)


def dataset_of(survey: Survey, source: str, experiment: Experiment) -> Dataset:
    """The data set that a survey found; :class:`InputError` says what is wrong with it."""
    if survey.refusals:
        raise InputError(survey.refusals[0].words)
    features = survey.features
    x, y = (np.concatenate(a) if len(a) > 1 else a[0] for a in (survey.x, survey.y))
    built_in = experiment.dataset in (*CLASSIFICATION, *REGRESSION)
    categories = tuple(c.values for c in features)
    return Dataset(
        survey.name,
        source,
        x,
        y,
        survey.classes,
        tuple(c.name for c in features),
        categories if any(categories) else (),
        sum(map(len, survey.y[1:])),
        () if built_in else tuple(survey.decisions),
        () if built_in else (*survey.warnings, *odd_features(survey, experiment)),
        () if built_in else tuple(survey.columns),
        hashing=(x, survey.hashing) if survey.hashing else None,
    )


@dataclass(frozen=True)
class Tables:
    """What an experiment's data set is read from: its table, its test file's, and where they come from."""

    name: str
    source: str
    table: FileTable
    test: FileTable | None = None


def survey_dataset(experiment: Experiment) -> tuple[Survey, str]:
    """The experiment's data set looked at, whether it can be trained on or not, and where it comes from."""
    tables = read_tables(experiment)
    return survey_table(tables.name, tables.table, tables.test, experiment), tables.source


def read_tables(experiment: Experiment) -> Tables:
    """The experiment's data set as it was read; :class:`InputError` says what is wrong with a file."""
    name = experiment.dataset
    test = None
    if experiment.test_file is not None:
        test = read_file(_existing(experiment.test_file, "test_file"), experiment.header)
    if name in (*CLASSIFICATION, *REGRESSION):
        made = "made for teaching" if name in TEACHING_SETS else f"sklearn.datasets.load_{name}"
        return Tables(name, made, _built_in(experiment))
    if name.startswith("openml:"):
        table, source = read_openml(name.removeprefix("openml:"))
        _no_header_setting(experiment, name)
        return Tables(name, source, table, test)
    if name.startswith(MEMORY):
        _no_header_setting(experiment, "data in memory")
        table = FileTable(experiment.frame, header=True)
        return Tables("data in memory", "given in memory, kept with the run", table, test)
    path = _existing(name, "dataset")
    return Tables(path.name, f"file {path.name}", read_file(path, experiment.header), test)


def _existing(name: str, setting: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        return path
    if setting == "dataset" and not path.suffix and path.parent == Path("."):
        allowed = (*CLASSIFICATION, *REGRESSION, "openml:NAME", "a file")
        raise unknown("dataset", name, allowed)
    there = path.parent
    near = ""
    if there.is_dir():
        import difflib

        alike = difflib.get_close_matches(path.name, [p.name for p in there.iterdir()], n=1)
        near = f"; did you mean {str(there / alike[0])!r}?" if alike else ""
    raise InputError(
        f"{setting}: no file {name!r}{near or '; allowed: an existing file, ' + FILE_KINDS}"
    )


def _no_header_setting(experiment: Experiment, name: str) -> None:
    if experiment.header is not None:
        raise InputError(f"header: {name!r} has names of its own; allowed: for a text table")


def _built_in(experiment: Experiment) -> FileTable:
    """A data set that comes with scikit-learn, or is made here."""
    from sklearn import datasets

    name, task = experiment.dataset, experiment.task
    for setting in ("target", "test_file", "header"):
        if getattr(experiment, setting) is not None:
            raise InputError(
                f"{setting}: {name!r} has its own; allowed: only with openml: or a file"
                if setting == "target"
                else f"{setting}: {name!r} is no file; allowed: with a file"
            )
    if (name in REGRESSION) != (task == "regression"):
        fitting = REGRESSION if task == "regression" else CLASSIFICATION
        raise InputError(
            f"dataset: {name!r} is not for {task}; allowed: {', '.join(fitting)}, or a file"
        )
    loaders: dict[str, Callable[[], Any]] = {
        "digits": datasets.load_digits,
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
        **TEACHING_SETS,
    }
    bunch = loaders[name]()
    frame = pd.DataFrame(
        bunch.data.astype(np.float64), columns=[str(f) for f in bunch.feature_names]
    )
    frame[LABEL] = bunch.target
    classes = () if name in REGRESSION else tuple(str(c) for c in bunch.target_names)
    return FileTable(frame, target=LABEL, class_names=classes, measured=True)
