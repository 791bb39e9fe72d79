"""Verdicts over errors: whether a backend takes the reference's path, and what it does otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd


class ParityOutcome(StrEnum):
    """What came of comparing a backend with the reference, from best to worst."""

    IDENTICAL = "identical"
    ROUND_OFF = "same to round-off"
    LIBRARY_ROUNDING = "same but for a known rounding"  # of the library, named, with its size
    OTHER_OBJECTIVE = "another objective"  # a mistake that accounts for the difference, named
    UNEXPLAINED = "another, unexplained"
    FAILED = "failed"  # its code raised
    NOT_COMPARABLE = "nothing comparable"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"


TAKES_THE_PATH = (
    ParityOutcome.IDENTICAL,
    ParityOutcome.ROUND_OFF,
    ParityOutcome.LIBRARY_ROUNDING,
)
LEAVES_THE_PATH = (ParityOutcome.OTHER_OBJECTIVE, ParityOutcome.UNEXPLAINED)
UNDECIDED = (ParityOutcome.FAILED, ParityOutcome.NOT_COMPARABLE, ParityOutcome.UNAVAILABLE)


@dataclass(frozen=True)
class BackendVerdict:
    """One backend in one dtype.

    ``values``: how many numbers were compared, in ``cells`` of ``grid`` cells. ``worst``: the row of the
    errors that used most of what was allowed there; ``needed``: the tolerance that it would have needed,
    ``allowed``: the one it had, ``share``: the one over the other. ``other_stop``: it only stops early at
    another epoch, or says so, as the reason says.
    """

    backend: str
    dtype: str
    outcome: ParityOutcome
    reason: str = ""
    values: int = 0
    cells: int = 0
    grid: int = 0
    needed: float = float("nan")
    allowed: float = float("nan")
    share: float = float("nan")
    worst: dict[str, Any] | None = None
    other_stop: bool = False

    @property
    def agrees(self) -> bool:
        return self.outcome in TAKES_THE_PATH

    @property
    def disagrees(self) -> bool:
        return self.outcome in LEAVES_THE_PATH


def judge_errors(errors: pd.DataFrame, backend: str, dtype: str) -> BackendVerdict:
    """The verdict on one backend in one dtype by its errors alone; comparing nothing is none."""
    own = errors[(errors["backend"] == backend) & (errors["dtype"] == dtype)]
    counted = own[own["enforced"].astype(bool)]
    grid, cells = own["cell"].nunique(), counted["cell"].nunique()
    values = int(counted["values"].sum())
    if not values:
        reason = "in no cell is what round-off alone does small enough to compare anything"
        return BackendVerdict(backend, dtype, ParityOutcome.NOT_COMPARABLE, reason, grid=grid)
    relative = counted["relative"].fillna(np.inf)
    shares = relative / counted["tolerance"]
    worst = counted.iloc[int(shares.to_numpy().argmax())].to_dict()
    share = float(shares.max())
    outcome, reason = ParityOutcome.ROUND_OFF, ""
    if not share <= 1:
        outcome, reason = ParityOutcome.UNEXPLAINED, f"{share:.3g} times what round-off explains"
    elif not relative.any():
        outcome = ParityOutcome.IDENTICAL
    return BackendVerdict(
        backend,
        dtype,
        outcome,
        reason,
        values,
        cells,
        grid,
        float(worst["relative"]),
        float(worst["tolerance"]),
        share,
        {str(name): value for name, value in worst.items()},
    )
