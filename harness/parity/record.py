"""Parity as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.parity.divergence import Divergence
from harness.parity.parity import Parity
from harness.parity.tables import tensor_table
from harness.parity.verdict import Verdict
from harness.parity.words import headline, points


def as_json(parity: Parity) -> dict[str, Any]:
    """Everything but the errors of each cell, which are in a table of their own."""
    return {
        "outcome": {0: "agree", 1: "disagree", 3: "nothing comparable"}[parity.exit_code],
        "exit_code": parity.exit_code,
        "headline": headline(parity),
        "points": points(parity),
        "reference": parity.reference,
        "steps": list(parity.steps),
        "rtol": parity.rtol,
        "experiment": parity.experiment.model_dump(mode="json"),
        "verdicts": [_verdict_json(v) for v in parity.verdicts],
        "apart": {dtype: list(names) for dtype, names in parity.apart.items()},
        "tensors": tensor_table(parity).to_dict("records"),
        "divergences": [_divergence_json(d) for d in parity.divergences],
        "cells": _cells_json(parity.chaos),
        "checks": [
            {str(name): _plain(value) for name, value in row.items()}
            for row in parity.checks.to_dict("records")
        ],
        "seconds": round(parity.seconds, 3),
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    worst = verdict.worst and {name: _plain(value) for name, value in verdict.worst.items()}
    return {
        "backend": verdict.backend,
        "dtype": verdict.dtype,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "values": verdict.values,
        "stable_cells": verdict.cells,
        "cells": verdict.grid,
        "needed": _plain(verdict.needed),
        "share": _plain(verdict.share),
        "worst": worst,
    }


def _divergence_json(divergence: Divergence) -> dict[str, Any]:
    why = divergence.explanation
    tensors = [
        {str(name): _plain(value) for name, value in row.items()}
        for row in divergence.tensors.to_dict("records")
    ]
    return {
        "backend": divergence.backend,
        "reference": divergence.reference,
        "dtype": divergence.dtype,
        "eta": divergence.eta,
        "lmbd": divergence.lmbd,
        "step": divergence.step,
        "epoch": divergence.epoch,
        "before": _plain(divergence.before),
        "after": _plain(divergence.after),
        "first_tensor": divergence.first,
        "explanation": why and {"words": why.words, "left": _plain(why.left), "of": _plain(why.of)},
        "tensors": tensors,
    }


def _cells_json(chaos: pd.DataFrame) -> list[dict[str, Any]]:
    if not len(chaos):
        return []
    keys = ["recipe", "dtype", "status"]
    counts = chaos.groupby(keys, sort=False).size().reset_index(name="cells")
    return [{str(k): _plain(v) for k, v in row.items()} for row in counts.to_dict("records")]


def _plain(value: Any) -> Any:
    """A number that JSON knows; what is not finite becomes its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else "infinite"
    return value
