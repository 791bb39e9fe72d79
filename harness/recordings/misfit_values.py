"""What the page of judged recordings shows when it is asked: misfits by step and tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.document.section import Explorer
from harness.parity.error_values import (
    OVERFLOWN,
    first_departure,
    map_explorer,
    rows_of,
    widest_share,
)
from harness.recordings.judgement import RecordedParity

_MOST_COLUMNS = 40  # steps of a map; of more the worst of several
_MOST_STEPS = 1000  # of a curve
_RECORDED_CURVE = (
    "Every step is judged from the recording's own weights before it, so errors do not pile up."
)


def misfits_explorer(judged: Sequence[RecordedParity]) -> Explorer | None:
    """What each step of recordings leaves unexplained, a map for each; None where no step was judged."""
    maps = [_recorded_map(parity) for parity in judged if len(parity.misfits)]
    if not maps:
        return None
    return map_explorer(
        {
            "what": "What a step leaves unexplained, as a share of what round-off may",
            "unit": "share of what is allowed",
            "curve": _RECORDED_CURVE,
            "grid": 1,
            "cells": [],
            "maps": maps,
            "notes": [],
        },
        "parity.json and parity.md",
    )


def _recorded_map(parity: RecordedParity) -> dict[str, Any]:
    """The map of one recording, and its curves; the worst of several steps where there are many."""
    share, steps = np.minimum(parity.misfits.T, OVERFLOWN), np.asarray(parity.kept_steps)
    begins, most = _worst_of_several(share, _MOST_COLUMNS)
    line_begins, line = _worst_of_several(share, _MOST_STEPS)
    ends = [*(begins[1:] - 1), len(steps) - 1]
    return {
        "who": parity.name,
        "dtype": parity.rules.training.dtype,
        "verdict": str(parity.outcome),
        "steps": steps[begins].tolist(),
        "ends": steps[ends].tolist(),
        "tensors": list(parity.recording.weights(0)),
        "share": rows_of(most),
        "judged": np.ones(most.shape, dtype=int).tolist(),
        "first": first_departure(most),
        "widest": widest_share(most),
        "whole": {"steps": steps[line_begins].tolist(), "share": rows_of(line)},
    }


def _worst_of_several(
    values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """At most so many columns: where each begins, and the largest of each row in it."""
    columns = values.shape[1]
    begins = np.unique(np.linspace(0, columns, min(most, columns), endpoint=False).astype(int))
    return begins, np.maximum.reduceat(values, begins, axis=1)
