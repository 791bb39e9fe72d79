"""Parity in tables: verdicts, and the errors of every tensor."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.parity.divergence import Divergence
from harness.parity.parity import Parity
from harness.parity.verdict import Verdict


def verdict_table(parity: Parity) -> pd.DataFrame:
    """One line for each backend and dtype."""
    rows = []
    for v in parity.verdicts:
        row: dict[str, Any] = {"backend": v.backend, "dtype": v.dtype, "verdict": v.outcome}
        if v.worst is not None:
            row |= {
                "error after 1": _largest(parity.errors, v, parity.steps[0]),
                f"after {parity.steps[-1]}": _largest(parity.errors, v, parity.steps[-1]),
                "needed": f"{v.needed:.1e}",
                "of allowed": f"{v.share:.2g}",
                "cells": f"{v.cells} of {v.grid}",
                "numbers": str(v.values),
            }
        rows.append(row)
    return pd.DataFrame(rows).astype(object)


def _largest(errors: pd.DataFrame, verdict: Verdict, step: int) -> str | None:
    own = errors[(errors["backend"] == verdict.backend) & (errors["dtype"] == verdict.dtype)]
    relative = own.loc[own["enforced"] & (own["step"] == step), "relative"]
    return f"{relative.max():.1e}" if len(relative) else None


def tensor_table(parity: Parity) -> pd.DataFrame:
    """The largest error of every tensor where the tolerance is enforced, by backend and dtype."""
    counted = parity.errors[parity.errors["enforced"].astype(bool)]
    if not len(counted):
        return pd.DataFrame()
    keys = ["backend", "dtype", "tensor"]
    grouped = counted.groupby(keys, sort=False)
    table = grouped.agg(
        absolute=("absolute", "max"), relative=("relative", "max"), values=("values", "sum")
    ).reset_index()
    worst = counted.assign(share=counted["relative"] / counted["tolerance"])
    table["of allowed"] = worst.groupby(keys, sort=False)["share"].max().to_numpy()
    for column in ("absolute", "relative"):
        table[column] = [f"{value:.1e}" for value in table[column]]
    table["of allowed"] = [f"{value:.2g}" for value in table["of allowed"]]
    return table.rename(columns={"values": "numbers"}).astype(object)


def step_table(divergence: Divergence) -> pd.DataFrame:
    """The tensors of the first step that differs, in the order of computation."""
    rows = []
    for row in divergence.tensors.to_dict("records"):
        verdict = "differs" if row["differs"] else "agrees"
        rows.append(
            {
                "tensor": row["tensor"],
                "verdict": verdict if row["seen"] else "not seen from outside",
                "absolute error": f"{row['absolute']:.1e}" if row["seen"] else None,
                "relative error": f"{row['relative']:.1e}" if row["seen"] else None,
            }
        )
    return pd.DataFrame(rows).astype(object)
