"""The target of a table: real values, or the numbers of classes that keep their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.columns import as_numbers, as_texts, column_kind, listed_names
from harness.data.feature_matrix import LARGEST, numbers_of_texts
from harness.data.survey import Part, Survey
from harness.experiment.experiment import Experiment


def make_targets(survey: Survey, class_names: Sequence[str], experiment: Experiment) -> None:
    """Targets of every part as an array; ``class_names``: of the classes 0, 1, ... if a file gives them."""
    if experiment.task == "regression":
        survey.y = [_values(survey, part) for part in survey.parts]
    else:
        _classes(survey, class_names)


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
    if not (np.abs(values) <= LARGEST).all():
        row = int(np.argmin(np.abs(values) <= LARGEST))
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
    survey.y.append(numbers_of_texts(texts, numbers).astype(np.int64))
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
    return numbers_of_texts(texts, numbers).astype(np.int64)
