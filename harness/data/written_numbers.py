"""Text that is numbers, as people and other programs write them: grouped by thousands, with a unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import eq
from typing import Any

import pandas as pd

from harness.data.file_table import map_values
from harness.data.text_layout import MISSING, TextLayout

_UNITS = ("%", "$", "€", "£")


def with_numbers(
    frame: pd.DataFrame, layout: TextLayout, found: list[str]
) -> tuple[pd.DataFrame, dict[str, pd.Series[Any]]]:
    """The table with text free of blanks at its ends, and numbers for columns that hold nothing else.

    Numbers may be grouped by thousands, or all have the same unit, of ``_UNITS``, before or behind them; the
    text of such columns comes back as well, by their names.
    """
    changed, written = {}, {}
    for name, dtype in zip(frame.columns, list(frame.dtypes), strict=True):
        if dtype.kind not in "OT" and dtype != "str":
            continue
        given = frame[name].factorize()[1]
        stripped = [value for value in map(_stripped, given) if value is not None]
        alike = len(stripped) == len(given) and all(map(eq, stripped, given))
        values = frame[name] if alike else map_values(frame[name], _stripped)
        numbers, how = _plain_numbers(list(dict.fromkeys(stripped)), layout)
        if numbers:
            if how:
                written[name] = values
                found.append(f"numbers of {name} {how}")
            values = pd.to_numeric(map_values(values, numbers.__getitem__))
        changed[name] = values
    return (frame.assign(**changed) if changed else frame), written


def _plain_numbers(texts: Sequence[Any], layout: TextLayout) -> tuple[dict[str, str], str]:
    """Texts as numbers are written elsewhere, and what was in the way; nothing unless all are numbers."""
    group = "." if layout.decimal == "," else ","
    grouped = re.compile(
        rf"[+-]?\d{{1,3}}({re.escape(group)}\d{{3}})+({re.escape(layout.decimal)}\d*)?"
    )
    units, numbers, groups = set(), {}, False
    for text in texts:
        if not isinstance(text, str):
            return {}, ""
        unit = next((u for u in _UNITS if text.startswith(u) or text.endswith(u)), "")
        number = text.removeprefix(unit).removesuffix(unit).strip()
        units.add(unit)
        if len(units) > 1 or number.startswith(_UNITS) or number.endswith(_UNITS):
            return {}, ""
        if grouped.fullmatch(number):
            number, groups = number.replace(group, ""), True
        elif not layout.is_number(number):
            return {}, ""
        numbers[text] = number.replace(",", ".") if layout.decimal == "," else number
    unit = "".join(units)
    told = [f"grouped by {group}"] if groups else []
    return numbers, " and ".join([*told, *([f"without their {unit}"] if unit else [])])


def _stripped(value: Any) -> Any:
    """A field without blanks at its ends; None if nothing is left, or what stands for nothing."""
    if isinstance(value, str):
        value = value.strip()
        return None if value in MISSING else value
    return value
