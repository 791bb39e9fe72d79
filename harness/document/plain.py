"""Values as JSON knows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain(value: Any) -> Any:
    """The same value in what JSON has: no NumPy, no pandas, nothing that is not finite.

    NaN becomes None, an infinity "infinite" or "-infinite". An array, a tuple or a set becomes a list, a
    Series a list, a DataFrame a list of its rows as dictionaries, a mapping a dictionary with the names
    of its keys.
    """
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a DataFrame
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, np.generic | np.ndarray) or hasattr(value, "to_numpy"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        return "infinite" if value > 0 else "-infinite"
    return value


def rounded(values: NDArray[Any], digits: int = 6) -> list[float | None]:
    """Numbers with so many significant digits, for compact JSON; None where they are not finite."""
    return [
        None
        if not np.isfinite(v)
        else int(v)
        if v == int(v) and abs(v) < 1e6
        else float(f"{v:.{digits}g}")
        for v in np.asarray(values, float).ravel().tolist()
    ]
