"""What a table comes to under an experiment's settings: its columns, what is wrong, what is odd.

Everything here is found before anything is trained and is told: decisions in the report, oddities as
warnings, what cannot be trained on as refusals, each with the flag that helps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.columns import (
    Column,
    ColumnKind,
    as_numbers,
    as_texts,
    choose_target,
    column_kind,
    kind_of_dtype,
    left_out,
    listed_names,
    named_columns,
    repeating_columns,
)
from harness.data.file_table import KEPT_DTYPES, FileTable, has_gaps
from harness.errors import InputError, unknown
from harness.experiment.experiment import Experiment

_LARGEST = float(np.finfo(np.float32).max)
_NAMED = 12  # columns that one message names
_AT_ONCE = 2**21  # numbers that are copied at once
_IN_CACHE = 2**17  # numbers that are looked at together
IMBALANCED = 0.6  # share of the largest class, above which accuracy alone says little


@dataclass(frozen=True)
class Part:
    """The training samples of a table, or those of its own test part.

    ``where``: how a message calls it; ``setting``: by what it was given.
    """

    frame: pd.DataFrame
    place: Callable[[int], int]
    where: str
    setting: str = "dataset"

    def row(self, sample: int) -> int:
        """The row of the sample at a position, as an editor counts it."""
        return self.place(int(self.frame.index[sample]))


@dataclass(frozen=True)
class Refusal:
    """Why a table cannot be trained on as it is, and the settings with which it can."""

    words: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Survey:
    """A table looked at; what is wrong with it is in ``refusals``, the gravest first."""

    name: str
    parts: list[Part]
    columns: list[Column]
    target: Hashable | None
    decisions: list[str]
    warnings: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    x: list[NDArray[Any]] = field(default_factory=list)  # of each part
    ends: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)  # of x's columns
    gaps: list[NDArray[np.bool_]] = field(default_factory=list)  # which of them lack a value
    y: list[NDArray[Any]] = field(default_factory=list)

    @property
    def features(self) -> list[Column]:
        return [column for column in self.columns if column.is_feature]

    def refuse(self, words: str, **settings: str) -> None:
        self.refusals.append(Refusal(words, settings))


def survey_table(
    name: str, table: FileTable, test: FileTable | None, experiment: Experiment
) -> Survey:
    """Decide about every column, sort out rows, and make numbers of the rest.

    ``test``: the table of a test file. Raises :class:`~harness.errors.InputError` for settings that name
    what the table does not have; what is wrong with the table itself is in the survey's refusals.
    """
    table = _with_names(table)
    survey = Survey(name, [Part(table.frame, table.place, "")], [], None, list(table.found))
    try:
        survey.target, how = choose_target(table, experiment.target, experiment.task, name)
        survey.decisions.append(f"target {survey.target}, {how}")
    except InputError as error:
        if experiment.target is not None:
            raise
        survey.refuse(str(error), target="COLUMN")
    if experiment.task == "classification" and survey.target in table.written:
        table = replace(table, frame=_labels_as_written(table, str(survey.target)))
        about = f"numbers of {survey.target} "
        survey.decisions = [words for words in survey.decisions if not words.startswith(about)]
    table = replace(table, frame=_without_markers(survey, table.frame, experiment))
    survey.parts = [Part(table.frame, table.place, "")]
    survey.columns = _columns(survey, table, experiment)
    if table.test is not None:
        if test is not None:
            raise InputError(
                f"test_file: {name!r} has a test part of its own; allowed: one of the two"
            )
        survey.parts.append(Part(table.test, lambda sample: sample + 1, " of the test part"))
    elif test is not None:
        file = Path(str(experiment.test_file)).name
        survey.parts.append(_test_part(survey, table, _with_names(test), file, experiment))
    for number, part in enumerate(survey.parts[1:], start=1):
        frame = _without_markers(survey, part.frame, experiment, part.where)
        survey.parts[number] = replace(part, frame=frame)
    _refuse_kinds(survey)
    _sort_out_rows(survey, experiment)
    if not survey.features:
        survey.refuse(f"dataset: {name!r} has no feature column beside the target")
    if not survey.refusals:
        _make_numbers(survey, table, experiment)
    return survey


def _with_names(table: FileTable) -> FileTable:
    """The table with text for names of columns, and numbers for columns that hold them as text."""
    frame = table.frame
    if not all(isinstance(column, str) for column in frame.columns):
        frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(
            f"dataset: two columns are called {twice[0]!r}; allowed: names that differ"
        )
    return replace(table, frame=frame)


def _without_markers(
    survey: Survey, frame: pd.DataFrame, experiment: Experiment, where: str = ""
) -> pd.DataFrame:
    """The table, nothing in the place of what is said to stand for a missing value.

    Classes keep their names, unless the target is named with the value.
    """
    if not experiment.missing_values:
        return frame
    markers: dict[Hashable, list[str]] = {column: [] for column in frame.columns}
    for entry in experiment.missing_values:
        name, in_one_column, value = entry.rpartition("=")
        asked = [c for c in markers if c != survey.target or experiment.task == "regression"]
        if in_one_column:
            asked = named_columns(frame, [name], "missing_values", survey.name)
        for column in asked:
            markers[column].append(value)
    changed, counts = {}, {}
    for column, texts in markers.items():
        gone = _is_one_of(frame[column], texts)
        if gone.any():
            values = frame[column].mask(gone)
            text = not pd.api.types.is_numeric_dtype(values.dtype)
            numbers = text and column_kind(values) == "number"
            changed[column] = pd.to_numeric(values) if numbers else values
            counts[column] = int(gone.sum())
    said = listed_names(f"{n} in {column}" for column, n in counts.items()) or "found nowhere"
    survey.decisions.append(
        f"{listed_names(experiment.missing_values)} for a missing value{where}: {said}"
    )
    return frame.assign(**changed)  # type: ignore[arg-type]


def _is_one_of(column: pd.Series[Any], texts: Sequence[str]) -> pd.Series[Any]:
    """Where a column holds one of some values: the same text, or the same number."""
    if not texts or pd.api.types.is_bool_dtype(column.dtype):
        return pd.Series(False, index=column.index)
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").dropna().tolist()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.isin(numbers)
    told = column.astype(object)
    return told.isin([*texts, *numbers]) & ~told.isin([True, False])


def _columns(survey: Survey, table: FileTable, experiment: Experiment) -> list[Column]:
    """Every column with what becomes of it; what is left out is among the survey's decisions."""
    frame = table.frame
    dropped = named_columns(frame, experiment.drop, "drop", survey.name)
    every = experiment.features == ("all",)
    named = [] if every else named_columns(frame, experiment.features, "features", survey.name)
    for setting, chosen in (("drop", dropped), ("features", named)):
        if survey.target in chosen:
            raise InputError(
                f"{setting}: {survey.target!r} is the target; allowed: other columns, or another --target"
            )
    if both := [str(c) for c in named if c in dropped]:
        raise InputError(f"features: {both[0]!r} is under drop as well; allowed: one of the two")
    columns = []
    lacking = frame.iloc[:1].isna().all().to_numpy()  # only these may be empty
    dtypes, repeating = list(frame.dtypes), repeating_columns(frame)
    for number, column in enumerate(frame.columns):
        use, kind = "feature", kind_of_dtype(dtypes[number]) or column_kind(frame[column])
        if column == survey.target:
            use = "target"
        elif column in dropped:
            use = "left out, as asked"
        elif named and column not in named:
            use = "left out, not among --features"
        elif lacking[number] and frame[column].isna().all():
            use = "left out, empty"
        elif not named and not every and (told := left_out(table, column, kind, repeating)):
            survey.decisions.append(told)
            use = told[told.index("left out") :]
        values: tuple[str, ...] = ()
        if use == "feature" and kind == "category":
            values = tuple(sorted(as_texts(frame[column], kind).dropna().unique()))
        columns.append(Column(str(column), kind, use, values))
    for use, names in (("as asked", dropped), ("empty", [])):
        names = names or [c.name for c in columns if c.use == f"left out, {use}"]
        if names:
            survey.decisions.append(f"{listed_names(map(str, names))} left out, {use}")
    return columns


def _labels_as_written(table: FileTable, target: str) -> pd.DataFrame:
    """The table, its target as the text that it is in the file: of a class ``5%`` is the name."""
    return table.frame.assign(**{target: table.written[target]})


def _test_part(
    survey: Survey, table: FileTable, test: FileTable, file: str, experiment: Experiment
) -> Part:
    """The samples of a test file, its columns matched with those of the table."""
    if experiment.task == "classification":
        by_place = dict(zip(table.frame.columns, test.frame.columns, strict=False))
        own = str(survey.target if test.header else by_place.get(str(survey.target)))
        if own in test.written:
            test = replace(test, frame=_labels_as_written(test, own))
    frame, needed = test.frame, [c.name for c in survey.columns if c.use in ("feature", "target")]
    if table.sparse:
        frame = frame.reindex(columns=table.frame.columns, fill_value=0)
    elif table.header != test.header or (
        table.header is False and frame.shape[1] == table.frame.shape[1]
    ):
        if frame.shape[1] != table.frame.shape[1]:
            raise InputError(
                f"test_file: {file!r} has {frame.shape[1]} columns, {survey.name!r} "
                f"{table.frame.shape[1]}; "
                "allowed: the same columns (--header or --no-header says of both whether they are named)"
            )
        frame = frame.set_axis(table.frame.columns, axis=1)
    if lost := [c for c in needed if c not in frame.columns]:
        what = "the target " if lost == [survey.target] else ""
        raise InputError(
            f"test_file: {file!r} has no column {what}{listed_names(lost)}; allowed: the columns of "
            f"{survey.name!r}, the true labels among them"
        )
    for words in test.found:
        if "left out" in words:
            told = words.replace("first line", "first line of the test file", 1)
            survey.decisions.append(told if told != words else f"test file: {words}")
    survey.decisions.append(f"test part of its own, {len(frame)} samples, from the test file")
    return Part(frame, test.place, " of the test file", "test_file")


def _refuse_kinds(survey: Survey) -> None:
    """Refuse columns that are neither numbers nor categories, all at once."""
    frame, wrong = survey.parts[0].frame, [c for c in survey.columns if c.is_feature]
    kinds: dict[ColumnKind, list[str]] = {}
    for column in wrong:
        kinds.setdefault(column.kind, []).append(column.name)
    told, names = [], []
    for kind, what in (
        ("date", "dates or times"),
        ("complex", "complex numbers"),
        ("other", "lists or other objects"),
    ):
        if kind in kinds:
            first = kinds[kind][0]  # type: ignore[index]
            value = frame[first].dropna().iloc[0]
            told.append(f"{listed_names(kinds[kind])} holds {what} such as {str(value)!r}")  # type: ignore[index]
            names += kinds[kind]  # type: ignore[index]
    if told:
        texts = [
            c.name for c in survey.columns if c.use == "left out, a text of its own in every row"
        ]
        told += [f"{listed_names(texts)} a text of its own in every row"] if texts else []
        unusable = ",".join(n for n in frame.columns if n in (*names, *texts))
        survey.refuse(
            f"dataset: column {'; column '.join(told)} in {survey.name!r}; allowed: numbers and "
            f"categories. Leave out what cannot be used: --drop {quote(unusable)}",
            drop=unusable,
        )
    if mixed := kinds.get("mixed", []):
        told, marks = [], set()
        for name in mixed:
            slips = frame[name][_not_numbers(frame[name])]
            row = survey.parts[0].place(int(slips.index[0]))
            told.append(f"{name} has {str(slips.iloc[0])!r} in row {row} ({len(slips)} such)")
            often = slips.nunique() == 1 < len(slips)
            marks.add(str(slips.iloc[0]) if often else "")
        means = {"drop": ",".join(mixed)}
        advice = ""
        if "" not in marks and not any("," in mark or "=" in mark for mark in marks):
            means = {"missing_values": ",".join(sorted(marks)), "missing": "impute"}
            advice = f"another name for a missing one: --missing-values {quote(means['missing_values'])}; "
        survey.refuse(
            f"dataset: {survey.name!r} has text in columns of numbers: {listed_names(told)}; allowed: "
            f"numbers, and ?, NA, N/A, nan, null or nothing for a missing one; {advice}or leave them out: "
            f"--drop {quote(','.join(mixed))}",
            **means,
        )


def _not_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Where a column holds something that is neither a number nor missing."""
    return column.notna() & pd.to_numeric(column.astype(object), errors="coerce").isna()


def _sort_out_rows(survey: Survey, experiment: Experiment) -> None:
    """Count what is missing; leave out rows, or refuse, as the experiment says."""
    used = [c.name for c in survey.columns if c.use in ("feature", "target")]
    where = []
    for number, part in enumerate(survey.parts):
        if not has_gaps(part.frame[used]):
            continue
        gone = part.frame[used].isna()
        counts = gone.sum()
        counts = counts[counts > 0]
        told = [f"{n} missing in {column}{part.where}" for column, n in counts.items()]
        survey.decisions += told
        if experiment.missing == "error":
            rows = [part.row(int(np.argmax(gone[column]))) for column in counts.index]
            where += [
                f"{words} (first in row {row})" for words, row in zip(told, rows, strict=True)
            ]
            continue
        bad = gone.any(axis=1)
        if experiment.missing == "impute":
            bad = gone[survey.target] if survey.target in gone else bad & False
        if bad.any():
            frame = part.frame[~bad]
            survey.parts[number] = replace(part, frame=frame)
            why = "of missing values" if experiment.missing == "drop" else "the target is missing"
            rows_ = f"{int(bad.sum())} row{'s' if bad.sum() > 1 else ''}{part.where}"
            survey.decisions.append(f"{rows_} left out, because {why}")
            if not len(frame):
                survey.refuse(
                    f"dataset: no row of {survey.name!r}{part.where} is whole; allowed: --missing impute, "
                    f"or leave out what is mostly missing: --drop {quote(str(counts.idxmax()))}",
                    missing="impute",
                    drop=str(counts.idxmax()),
                )
    if where:
        survey.refuse(
            f"dataset: {survey.name!r} has missing values: {listed_names(where, _NAMED)}; allowed: none, "
            "unless --missing drop leaves out such rows or --missing impute fills them in",
            missing="impute",
        )


def _make_numbers(survey: Survey, table: FileTable, experiment: Experiment) -> None:
    """Features and targets of every part as arrays."""
    for part in survey.parts:
        x = _matrix(survey, part)
        low, high, gaps = _column_ends(x)
        _check_range(survey, part, low, high)
        survey.x.append(x)
        survey.ends.append((low, high))
        survey.gaps.append(gaps)
    if experiment.task == "regression":
        survey.y = [_values(survey, part) for part in survey.parts]
    else:
        _classes(survey, table.class_names)


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
        for first in range(
            0, len(x), rows
        ):  # turns columns into rows in less time than all at once
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
        return _numbers_of(texts, known, len(known))
    if column_kind(values) not in ("number", "yes or no"):
        slips = np.flatnonzero(_not_numbers(values))
        if len(slips):
            raise InputError(
                f"{part.setting}: column {column.name!r} holds {str(values.iloc[slips[0]])!r} in row "
                f"{part.row(int(slips[0]))}, numbers in {survey.name!r}; allowed: the same kind in both"
            )
        values = pd.to_numeric(values)
    return as_numbers(values)


def _numbers_of(
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
    frame = _without_markers(survey, frame.reindex(columns=old.columns), experiment)
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
        wide = np.argwhere(np.abs(matrix) > _LARGEST)
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
            f"x: found no column {listed_names(lost, _NAMED)}; allowed: a table that has "
            f"{listed_names(names, _NAMED)}"
        )
    if twice := [name for name in names if list(frame.columns).count(name) > 1]:
        raise InputError(f"x: two columns are called {twice[0]!r}; allowed: names that differ")
    return frame[list(names)]


def _check_range(survey: Survey, part: Part, low: NDArray[Any], high: NDArray[Any]) -> None:
    """Refuse infinite values, and those that float32 cannot hold; ``low``, ``high``: the columns' ends."""
    outside = (low < -_LARGEST) | (high > _LARGEST)
    wrong = [c.name for c, out in zip(survey.features, outside, strict=True) if out]
    if not wrong:
        return
    told = []
    for name in wrong:
        values = np.abs(as_numbers(part.frame[name]).astype(float))
        row = int(np.argmax(np.nan_to_num(values, nan=0, posinf=np.inf) > _LARGEST))
        told.append(f"{name} ({part.frame[name].iloc[row]} in row {part.row(row)}{part.where})")
    survey.refuse(
        f"dataset: {survey.name!r} has infinite values or such as float32 cannot hold in "
        f"{listed_names(told)}; allowed: finite numbers up to 3.4e38. Divide the column by a power of "
        f"ten, or leave it out: --drop {quote(','.join(wrong))}",
        drop=",".join(wrong),
    )


def _values(survey: Survey, part: Part) -> NDArray[np.float64]:
    """Real targets of a part."""
    column = part.frame[survey.target]
    if column_kind(column) not in ("number", "yes or no"):
        survey.refuse(
            f"target: {survey.target!r} of {survey.name!r} is text such as {str(column.iloc[0])!r} in row "
            f"{part.row(0)}{part.where}; allowed: numbers, or --task classification",
            task="classification",
        )
        return np.empty(0)
    values = as_numbers(column).astype(np.float64)
    if not (np.abs(values) <= _LARGEST).all():
        row = int(np.argmin(np.abs(values) <= _LARGEST))
        survey.refuse(
            f"target: {survey.target!r} of {survey.name!r} is {values[row]} in row "
            f"{part.row(row)}{part.where}; allowed: finite numbers up to 3.4e38"
        )
    return values


def _classes(survey: Survey, names: Sequence[str]) -> None:
    """Class numbers of every part and the classes' names, which are the training part's."""
    target, train = str(survey.target), survey.parts[0].frame[survey.target]
    kind = column_kind(train)
    if kind not in ("number", "yes or no", "category", "mixed"):
        survey.refuse(f"target: {target!r} of {survey.name!r} holds {kind}s; allowed: classes")
        return
    texts = as_texts(train, kind)
    if kind == "number":
        order = as_texts(pd.Series(np.unique(as_numbers(train)))).tolist()
        labels = list(dict.fromkeys(order))
    else:
        labels = sorted(texts.unique())
    if len(labels) < 2:
        survey.refuse(
            f"target: {target!r} of {survey.name!r} has one class only, {labels[0]!r}; allowed: two or more"
        )
    elif len(labels) > len(train) // 2:
        survey.refuse(
            f"target: {target!r} of {survey.name!r} has {len(labels)} classes for {len(train)} samples; "
            "allowed: at least two samples a class (or --task regression)",
            task="regression",
        )
    numbers = {label: number for number, label in enumerate(labels)}
    survey.y.append(_numbers_of(texts, numbers).astype(np.int64))
    for part in survey.parts[1:]:
        survey.y.append(_labels_like(survey, part, numbers))
    if names and set(labels) <= set(map(str, range(len(names)))):
        codes = np.array([int(label) for label in labels])
        survey.y = [codes[y] for y in survey.y]
        labels = list(names)
    survey.classes = tuple(labels)


def _labels_like(survey: Survey, part: Part, numbers: dict[str, int]) -> NDArray[np.int64]:
    """Class numbers of a test part by the training part's names; a final dot of all labels is left out."""
    texts = as_texts(part.frame[survey.target])
    if texts.str.endswith(".").all() and not any(name.endswith(".") for name in numbers):
        texts = texts.str[:-1]
        survey.decisions.append("labels of the test file end in ., which is left out")
    strange = [name for name in texts.unique() if name not in numbers]
    if strange:
        row = part.row(int(np.argmax(texts == strange[0])))
        survey.refuse(
            f"test_file: {survey.target!r} is {listed_names(map(repr, strange))} there, first in row {row}; "
            f"allowed: the classes of {survey.name!r}: {listed_names(numbers)}"
        )
        return np.empty(0, np.int64)
    return _numbers_of(texts, numbers).astype(np.int64)
