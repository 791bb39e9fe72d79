"""Verdicts over errors: who agrees with the reference, how closely, and who stands apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from backends.distance import Errors

Outcome = Literal[
    "agrees", "disagrees", "reference", "nothing comparable", "unsupported", "unavailable"
]

TWICE = 2.0  # two paths within the tolerance of a third are within twice that of each other


@dataclass(frozen=True)
class Verdict:
    """One backend in one dtype.

    ``values``: how many numbers were compared where the tolerance is enforced, in ``cells`` of ``grid``
    cells. ``needed``: the tolerance that would have been needed there for any number of steps; ``worst``:
    the row of the errors that used most of the tolerance, and ``share`` how much of it.
    """

    backend: str
    dtype: str
    outcome: Outcome
    reason: str = ""
    values: int = 0
    cells: int = 0
    grid: int = 0
    needed: float = float("nan")
    share: float = float("nan")
    worst: dict[str, Any] | None = None


def judge(errors: pd.DataFrame, backend: str, dtype: str) -> Verdict:
    """The verdict on one backend in one dtype; comparing nothing is none."""
    own = errors[(errors["backend"] == backend) & (errors["dtype"] == dtype)]
    counted = own[own["enforced"]]
    grid = len(own[["eta", "lmbd"]].drop_duplicates())
    cells = len(counted[["eta", "lmbd"]].drop_duplicates())
    values = int(counted["values"].sum())
    if not values:
        reason = "in no cell does round-off alone stay below the tolerance"
        return Verdict(backend, dtype, "nothing comparable", reason, grid=grid)
    relative = counted["relative"].fillna(np.inf)
    shares = relative / counted["tolerance"]
    share = float(shares.max())
    worst = counted.iloc[int(shares.to_numpy().argmax())].to_dict()
    outcome: Outcome = "agrees" if share <= 1 else "disagrees"
    return Verdict(
        backend,
        dtype,
        outcome,
        "" if share <= 1 else f"{share:.3g} times the tolerance",
        values,
        cells,
        grid,
        float(relative.max()),
        share,
        {str(name): value for name, value in worst.items()},
    )


def standing_apart(names: Sequence[str], ratios: Errors) -> list[str]:
    """Who stands apart from a majority whose members agree with one another; none if there is none.

    ratios: distances in units of the tolerance, (names, names).
    """
    near = ratios <= TWICE
    groups = [set(np.flatnonzero(row)) for row in near]
    for group in sorted(groups, key=len, reverse=True):
        alike = all(near[i, j] for i in group for j in group)
        if alike and len(group) >= 2 and 2 * len(group) > len(names):
            return [name for k, name in enumerate(names) if k not in group]
    return []
