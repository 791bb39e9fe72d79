"""How a check says numbers."""

from __future__ import annotations

import math

from harness.document import numbers

count = numbers.count
cell = numbers.cell


def change(difference: float, low: float, high: float, metric: str) -> str:
    """A difference with its interval, as ``down 2.31 points (95 % interval −3.02 to −1.60)``."""
    size = numbers.span(abs(difference), metric)
    way = "down" if difference < 0 else "up" if difference > 0 else "unchanged"
    if way == "unchanged":
        return way
    if math.isnan(low) or low == high:
        return f"{way} {size}"
    ends = " to ".join(numbers.difference(end, metric) for end in (low, high))
    return f"{way} {size} (95 % interval {ends})"


def probability(p: float) -> str:
    """A p value, as ``p = 0.003``."""
    if math.isnan(p):
        return "not tested"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
