"""A table looked at under an experiment's settings.

Everything here is found before anything is trained and is told: decisions in the report, oddities as
warnings, what cannot be trained on as refusals, each with the flag that helps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote

import pandas as pd

from harness.data.columns import (
    Column,
    ColumnKind,
    as_texts,
    choose_target,
    column_kind,
    kind_of_dtype,
    left_out,
    listed_names,
    named_columns,
    not_numbers,
    repeating_columns,
)
from harness.data.feature_matrix import make_features
from harness.data.file_table import FileTable
from harness.data.missing_values import sort_out_rows, without_markers
from harness.data.survey import Part, Survey
from harness.data.targets import make_targets
from harness.errors import InputError
from harness.experiment.experiment import Experiment


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
    table = replace(table, frame=without_markers(survey, table.frame, experiment))
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
        frame = without_markers(survey, part.frame, experiment, part.where)
        survey.parts[number] = replace(part, frame=frame)
    _refuse_kinds(survey)
    sort_out_rows(survey, experiment)
    if not survey.features:
        survey.refuse(f"dataset: {name!r} has no feature column beside the target")
    if not survey.refusals:
        make_features(survey)
        make_targets(survey, table.class_names, experiment)
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
            slips = frame[name][not_numbers(frame[name])]
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
