"""Missing values: what stands for one, where they are, and what becomes of rows with one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd

from harness.data.columns import column_kind, listed_names, named_columns
from harness.data.file_table import has_gaps
from harness.data.survey import Survey
from harness.experiment.experiment import Experiment


def without_markers(
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


def sort_out_rows(survey: Survey, experiment: Experiment) -> None:
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
            f"dataset: {survey.name!r} has missing values: {listed_names(where)}; allowed: none, "
            "unless --missing drop leaves out such rows or --missing impute fills them in",
            missing="impute",
        )
