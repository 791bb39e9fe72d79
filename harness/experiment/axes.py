"""The axes of the grid, as lists of numbers or as log ranges."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from harness.errors import InputError

POWERS_OF_TEN = (1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)  # of the notes' grid
_MOST = 1000  # numbers of an axis
_SHOWN = 6  # numbers of a list that an error message repeats


def parse_numbers(text: str) -> list[float]:
    """The numbers of a grid axis from ``1e-3,1e-2`` or from a log range ``first:last:count``."""
    parts = [part.strip() for part in text.split(",")]
    if any(re.fullmatch(r"[+-]?0\d+", part) for part in parts):
        raise InputError(
            f"found {text!r}; decimals have a point ({text.replace(',', '.', 1)}), commas part numbers"
        )
    try:
        if ":" not in text:
            return [float(part) for part in parts if part]
        first, last, number = text.split(":")
        return _log_range(float(first), float(last), min(int(number), _MOST + 1))
    except ValueError:
        raise InputError(
            f"found {text!r}; allowed: a list such as 1e-3,1e-2 or a log range first:last:count such "
            "as 1e-5:1e1:7"
        ) from None


def _log_range(first: float, last: float, number: int) -> list[float]:
    """Numbers from first to last, each the same multiple of the one before, to 12 digits."""
    import numpy as np  # which takes longer to import than everything else that reads settings

    if min(first, last) <= 0 or number < 1 or not np.isfinite([first, last]).all():
        raise ValueError
    return [float(f"{value:.12g}") for value in np.geomspace(first, last, number)]


def axis_numbers(value: Any) -> Any:
    """One number, a list or text as a list of numbers; anything else as it is, for the model to refuse."""
    if isinstance(value, int | float):
        return [value]
    if not isinstance(value, str | list | tuple):
        return value
    parts = [value] if isinstance(value, str) else value
    numbers = [parse_numbers(part) if isinstance(part, str) else [part] for part in parts]
    return [number for part in numbers for number in part]


def distinct_numbers(values: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers; :class:`~harness.errors.InputError` if one is there twice."""
    if len(values) > _MOST:
        raise InputError(f"found more than {_MOST:,} numbers; allowed: at most {_MOST:,}")
    repeated = sorted(v for v, times in Counter(values).items() if times > 1)
    if repeated:
        more = ", ..." if len(repeated) > _SHOWN else ""
        some = ", ".join(f"{v:g}" for v in repeated[:_SHOWN]) + more
        raise InputError(f"{some} given more than once; allowed: each number once")
    return values
