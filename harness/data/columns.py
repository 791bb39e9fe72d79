"""What the columns of a table are, and what becomes of each: target, feature, or left out."""

from __future__ import annotations

import re
from collections.abc import Container, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.data.file_table import FileTable, map_values
from harness.errors import InputError, unknown

ColumnKind = Literal["number", "yes or no", "category", "date", "complex", "other", "mixed"]

TARGET_NAMES = (
    *(
        "target",
        "label",
        "labels",
        "survived",
        "exited",
        "churn",
        "diagnosis",
        "outcome",
        "species",
    ),
    *("variety", "quality", "class", "y", "income", "default", "medv", "median_house_value"),
    *("saleprice", "price", "charges", "output", "result"),
)
_ROW_NAMES = re.compile(  # of a column that names or counts the rows, in small letters
    r"id|ids|index|idx|key|uid|uuid|guid|unnamed: ?\d+|row[_ ]?(number|num|no|id|names?)?|"
    r"(sample|patient|customer|subject|record|case|user|order)?[_ ]?(code[_ ])?(id|no|nr|num|number)"
)
_ENDS_IN_ID = re.compile(r".*([_ .-][iI][dD]|[a-z]I[dD])")
_TIMES = re.compile(
    r"(?i)(.*[_ -])?(time|date|datetime|year|month|week|day|hour|minute|second|step|age|t)"
)
_MONTH = "(?i:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zä]*"
_DATE = re.compile(
    r"\d{4}-\d{2}|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([ T].*)?"
    rf"|(\d{{1,2}}[. /-]+{_MONTH}|{_MONTH}[. /-]+\d{{1,2}},?)[. /-]+(\d{{4}}|\d{{2}})"
    r"|\d{1,2}[:.]\d{2}[:.]\d{2}|\d{1,2}:\d{2}( ?[AaPp][Mm])?"
)
_KINDS_OF_DTYPES: dict[str, ColumnKind] = {
    **dict.fromkeys("iuf", "number"),
    **dict.fromkeys("mM", "date"),
    "b": "yes or no",
    "c": "complex",
}
_TRUTH = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0, "TRUE": 1.0, "FALSE": 0.0}
_NEARLY = 0.9  # share of distinct values, from which on they name rows
_LEAST = 10  # rows from which values that differ in every row look like an id
_MOST_CLASSES = 100  # that a column may have to be taken for a target by itself
_LOOKED_AT = 100  # first rows, in one of which a value comes again unless they are numbered
_MANY = 100  # values of a text, from which on it may be one of its own in almost every row
_MOST_CATEGORIES = 1000  # columns that one text may become
_MIXED = 0.8  # share of numbers, from which on other text in a column is a slip


@dataclass(frozen=True)
class Column:
    """A column of a table and what becomes of it; ``values``: its categories in the order of their names."""

    name: str
    kind: ColumnKind
    use: str
    values: tuple[str, ...] = ()

    @property
    def is_feature(self) -> bool:
        return self.use == "feature"


def column_kind(column: pd.Series[Any]) -> ColumnKind:
    """What a column's values are; ``mixed`` are numbers with some text among them."""
    if kind := kind_of_dtype(column.dtype):
        return kind
    values = _distinct(column)
    kinds = set(map(type, values))
    if not kinds:
        return "number"
    if kinds <= {bool, np.bool_}:
        return "yes or no"
    if kinds <= {int, float, Decimal, np.float64, np.int64, bool}:
        return "number"
    if any(issubclass(kind, complex) for kind in kinds):
        return "complex"
    if any(hasattr(kind, "isoformat") for kind in kinds):
        return "date"
    if not kinds <= {str, bool, int, float, np.str_}:
        return "other"
    distinct = values.astype(str)
    if set(distinct) <= _TRUTH.keys():
        return "yes or no"
    if all(map(_DATE.fullmatch, distinct.head(1000))):  # sooner than pandas, which goes through all
        return "date"
    numbers = pd.to_numeric(distinct, errors="coerce").notna().to_numpy()
    if numbers.all():
        return "number"
    if numbers.any() and column.dropna().isin(values[numbers]).mean() > _MIXED:
        return "mixed"
    return "category"


def kind_of_dtype(dtype: Any) -> ColumnKind | None:
    """What values of a dtype are; None for text and objects, which may be anything."""
    if isinstance(dtype, np.dtype) and dtype.kind in _KINDS_OF_DTYPES:  # sooner than asking pandas
        return _KINDS_OF_DTYPES[dtype.kind]
    if pd.api.types.is_bool_dtype(dtype):
        return "yes or no"
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "date"
    return "number" if pd.api.types.is_numeric_dtype(dtype) else None


def _distinct(column: pd.Series[Any]) -> pd.Series[Any]:
    """The values of a column, each once, without what is missing."""
    if column.dtype == "str":  # in half of the time
        return pd.Series(column.unique().astype(object)).dropna()
    try:
        return pd.Series(column.factorize()[1].astype(object))
    except TypeError:  # lists, which are refused later
        return pd.Series(column.dropna())


def as_numbers(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """The numbers of a column of numbers or of yes and no; NaN where one is missing."""
    if column_kind(column) == "yes or no" and column.dtype == object:
        column = map_values(column, lambda value: _TRUTH.get(str(value), np.nan)).astype(float)
    if column.dtype.kind in "iufb" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if column.dtype == object or column.dtype == "str":
        column = map_values(column, float).astype(float)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def as_texts(column: pd.Series[Any], kind: ColumnKind | None = None) -> pd.Series[Any]:
    """The names of a column's values; a whole number has no point, what is missing no name.

    ``kind``: what :func:`column_kind` says of the column, where that is known.
    """
    kind = kind or column_kind(column)
    if kind == "category" and column.dtype == "str":
        return column
    if kind == "number":
        return map_values(column, _number_name)
    if kind == "yes or no":
        return map_values(column, lambda value: str(bool(_TRUTH[str(value)])))
    return map_values(column, str)


def not_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Where a column holds something that is neither a number nor missing."""
    return column.notna() & pd.to_numeric(column.astype(object), errors="coerce").isna()


def _number_name(value: Any) -> str:
    if isinstance(value, float | np.floating) and np.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def named_columns(
    frame: pd.DataFrame, names: Sequence[str], setting: str, table: str
) -> list[Hashable]:
    """The columns that names or numbers (from 1; -1 the last) mean; an error names all that mean none."""
    found, wrong = [], []
    for name in names:
        column = _column_named(frame, name)
        found.append(column) if column is not None else wrong.append(name)
    if len(wrong) == 1:
        near = [str(c) for c in frame.columns if str(c).lower() == wrong[0].lower()]
        what = f"{setting}: no such column in {table!r}"
        raise unknown(what, wrong[0], map(str, frame.columns), near[0] if near else None)
    if wrong:
        raise InputError(
            f"{setting}: no such columns in {table!r}: {', '.join(wrong)}; allowed: "
            f"{listed_names(map(str, frame.columns))}"
        )
    return found


def _column_named(frame: pd.DataFrame, name: str) -> Hashable | None:
    for column in frame.columns:
        if str(column) == name:
            return column
    if re.fullmatch(r"-?\d+", name) and 0 < abs(int(name)) <= frame.shape[1]:
        number = int(name)
        return frame.columns[number - 1 if number > 0 else number]
    return None


def listed_names(names: Any, most: int = 12) -> str:
    """Names in a list that is cut where it is long."""
    names = list(names)
    more = f", ... ({len(names)})" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def choose_target(
    table: FileTable, asked: str | None, task: str, name: str
) -> tuple[Hashable, str]:
    """The target's column, and by what it was chosen.

    The asked one; the file's own; one that is called like a target; of classes the last that can be them,
    or the first; of values the last number. :class:`~harness.errors.InputError` where none is plain.
    """
    frame = table.frame
    if asked is not None:
        if _column_named(frame, asked) is None and "," in asked:
            several = named_columns(frame, [a.strip() for a in asked.split(",")], "target", name)
            raise InputError(
                f"target: found {len(several)} columns, {asked}; allowed: one; run each by itself, with "
                "--drop for the others"
            )
        return named_columns(frame, [asked], "target", name)[0], "as asked"
    if table.target is not None:
        return table.target, "the file's own"
    lower = {str(c).lower(): c for c in reversed(frame.columns)}
    by_name = next((lower[n] for n in TARGET_NAMES if n in lower), None)
    if by_name is not None and (
        len(frame[by_name].dropna().unique()) == 1  # of which is said that it is one class
        or _can_be_target(frame[by_name], task, fractions=True)
    ):
        return by_name, "by its name"
    first, last = frame.columns[0], frame.columns[-1]
    if _can_be_target(frame[last], task):
        return last, "the last column"
    if task == "classification" and _can_be_target(frame[first], task):
        return first, "the first column; the last has too many values for classes"
    hint = " (or --task regression)" if task == "classification" else ""
    if table.measured:
        hint += "; none is called y, label, labels, target or targets"
    raise InputError(
        f"target: no column of {name!r} is plainly the target; allowed: --target with one of "
        f"{listed_names(map(str, frame.columns))}{hint}"
    )


def _can_be_target(column: pd.Series[Any], task: str, *, fractions: bool = False) -> bool:
    """Whether a column can be the target that nobody named: classes, or numbers for regression."""
    kind = column_kind(column)
    if task == "regression":
        return kind == "number"
    if kind not in ("number", "category", "yes or no"):
        return False
    distinct = column.nunique()
    whole = fractions or kind != "number" or not _has_fractions(column)
    return whole and 1 < distinct <= max(2, min(_MOST_CLASSES, len(column) // 4))


def left_out(
    table: FileTable, name: Hashable, kind: ColumnKind, repeating: Container[Hashable] = ()
) -> str:
    """Why a column is left out by default, in words; empty if it is not.

    Names of rows are: a column called like one; one without a name in a table that has a header; whole
    numbers that count the rows; in the first column of a table without a header, or in text, values that
    are almost all distinct. ``repeating``: columns of which :func:`repeating_columns` knows it.
    """
    called, first = str(name), name == table.frame.columns[0]
    if table.measured and called not in table.unnamed:
        return ""
    if called in table.unnamed and first:
        what = "a row number" if kind == "number" else "it names the rows"
        return f"unnamed first column left out, {what}"
    if table.measured:
        return ""
    rows, by_name = len(table.frame), _ROW_NAMES.fullmatch(called.lower()) is not None
    ends_in_id = _ENDS_IN_ID.fullmatch(called) is not None
    if name in repeating and not (first or by_name or ends_in_id):
        return ""
    column = table.frame[name]
    by_name = by_name or (ends_in_id and column.nunique() >= _NEARLY * rows)
    if table.header and by_name and not (kind == "number" and _has_fractions(column)):
        return f"{called} left out, an id by its name"
    if rows < _LEAST or kind not in ("number", "category"):
        return ""
    if kind == "number":
        return _number_id(column, called, first, table.header)
    distinct = column.nunique()
    if (distinct == column.notna().sum() and distinct > rows // 2) or (
        first and distinct >= _NEARLY * rows
    ):
        where = "first column" if not table.header and first else called
        what = "an id" if first or _is_code(column) else "a text of its own in every row"
        return f"{where} left out, {what}"
    if distinct > _MOST_CATEGORIES or (distinct > _MANY and distinct > rows / 10):
        return f"{called} left out, a text with {distinct:,} values in {rows:,} rows"
    return ""


def repeating_columns(frame: pd.DataFrame) -> set[Hashable]:
    """The columns of numbers in whose first rows a value comes again: none of them numbers the rows."""
    head = frame.iloc[:_LOOKED_AT]
    dtypes = zip(head.columns, list(head.dtypes), strict=True)
    numbers = [c for c, dtype in dtypes if isinstance(dtype, np.dtype) and dtype.kind in "iu"]
    values = head[numbers].to_numpy().T.tolist()
    return {c for c, v in zip(numbers, values, strict=True) if len(set(v)) < len(v)}


def _number_id(column: pd.Series[Any], called: str, first: bool, header: bool | None) -> str:
    rows, some = len(column), column.iloc[:_LOOKED_AT].dropna().tolist()
    if not first and len(set(some)) < len(some):
        return ""
    if column.dtype.kind == "f" and any(value % 1 for value in some):
        return ""
    values = pd.Series(as_numbers(column)).dropna()
    low, high = values.min(), values.max()
    counts_rows = high - low == rows - 1 and low in (0, 1)
    if not (counts_rows or first) or not np.isfinite([low, high]).all() or _has_fractions(values):
        return ""
    distinct = values.nunique()
    if counts_rows and distinct == rows and not _TIMES.fullmatch(called):
        return f"{called if header else 'first column' if first else called} left out, an id"
    if not header and first and distinct >= _NEARLY * rows:
        return "first column left out, an id"
    return ""


def _has_fractions(column: pd.Series[Any]) -> bool:
    return column.dtype.kind not in "iu" and bool((column.dropna() % 1 != 0).any())


def _is_code(column: pd.Series[Any]) -> bool:
    """Whether texts are codes, all of one shape: A-0001, A-0002."""
    shapes = set(column.dropna().astype(str).str.replace(r"\d", "0", regex=True))
    return len(shapes) == 1 and " " not in shapes.pop()
