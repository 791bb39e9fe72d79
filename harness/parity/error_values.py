"""What a parity's page shows when it is asked: errors by step and tensor, as compact columns for JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.attempt import attempt
from harness.document.heatmaps import colour_stops
from harness.document.plain import rounded
from harness.document.section import Explorer
from harness.document.vega import vega_script
from harness.parity.parity import Parity

_DIGITS = 3
_MOST_NUMBERS = (
    120_000  # errors that are kept cell by cell; of more those of the cells that use most
)
OVERFLOWN = 1e308  # stands for a share that is not finite, which JSON has no number for
_CURVE = (
    "Lines are errors, dashed what is allowed. Hollow points are not judged: there round-off alone parts two "
    "trainings."
)


def errors_explorer(parity: Parity) -> Explorer | None:
    """Every error of a parity: a map for each backend and dtype; None where nothing was compared."""
    if not len(parity.errors):
        return None
    tables = [
        _ErrorTable.of(parity, str(backend), str(dtype))
        for dtype in dict.fromkeys(parity.errors["dtype"])
        for backend in parity.experiment.backends
        if ((parity.errors["backend"] == backend) & (parity.errors["dtype"] == dtype)).any()
    ]
    cells = parity.experiment.cells
    kept, notes = np.arange(len(cells)), []
    if sum(table.relative.size for table in tables) > _MOST_NUMBERS:
        worst = [_judged_or_least(t.share).max(axis=1).argmax(axis=1) for t in tables]
        kept = np.unique(np.concatenate(worst))
        notes.append(
            f"Curves are of the {number_words.count(len(kept), 'cell')} in which some tensor used most of "
            "what it was allowed; errors.parquet has all."
        )
    return map_explorer(
        {
            "what": "Error as a share of what round-off explains, the most in any cell",
            "unit": "relative error",
            "curve": _CURVE,
            "grid": len({int(cell) for cell in parity.errors["cell"].unique()}),
            "cells": [number_words.cell(*cells[k]) for k in kept],
            "maps": _maps(tables, kept),
            "notes": notes,
        },
        "errors.parquet, parity.md and figures/",
    )


def map_explorer(values: dict[str, Any], beside: str) -> Explorer:
    """Maps of tensors by steps, each with its curve; ``beside`` is where all numbers are."""
    here = files("harness.parity")
    spec = json.loads(here.joinpath("errors.json").read_text("utf-8"))
    library, fault = attempt("the page's library for curves", vega_script)
    return Explorer(
        "Errors by step and tensor",
        {**values, "colours": colour_stops("vlag"), "curve_spec": spec},
        here.joinpath("errors.js").read_text("utf-8"),
        beside,
        library or "",
        [fault] if fault else [],
    )


@dataclass(frozen=True)
class _ErrorTable:
    """The errors of one backend in one dtype, arrays of shape (tensors, steps, cells).

    ``relative`` and ``allowed`` are NaN where nothing was looked at; ``share`` is NaN where nothing is
    judged, too, and infinite where an error is not finite.
    """

    backend: str
    dtype: str
    verdict: str
    steps: tuple[int, ...]
    tensors: tuple[str, ...]
    relative: NDArray[np.float64]
    allowed: NDArray[np.float64]
    judged: NDArray[np.bool_]

    @classmethod
    def of(cls, parity: Parity, backend: str, dtype: str) -> _ErrorTable:
        errors = parity.errors
        own = errors[(errors["backend"] == backend) & (errors["dtype"] == dtype)]
        tensor, tensors = pd.factorize(own["tensor"])
        step, steps = pd.factorize(own["step"], sort=True)
        shape = len(tensors), len(steps), len(parity.experiment.cells)
        place = tensor, step, own["cell"].to_numpy()
        relative, allowed = np.full(shape, np.nan), np.full(shape, np.nan)
        judged = np.zeros(shape, dtype=bool)
        relative[place] = own["relative"].fillna(np.inf)
        allowed[place] = own["tolerance"]
        judged[place] = own["enforced"].astype(bool)
        verdict = next(v for v in parity.verdicts if (v.backend, v.dtype) == (backend, dtype))
        names = tuple(map(str, tensors))
        whole = tuple(int(k) for k in steps)
        return cls(backend, dtype, str(verdict.outcome), whole, names, relative, allowed, judged)

    @property
    def share(self) -> NDArray[np.float64]:
        """What is used of what is allowed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.relative == 0, 0.0, self.relative / self.allowed)
        return np.where(self.judged, share, np.nan)


def _maps(tables: Sequence[_ErrorTable], kept: NDArray[np.intp]) -> list[dict[str, Any]]:
    """The maps of a parity; what is allowed stands in the first of those that have the same."""
    maps: list[dict[str, Any]] = []
    known: dict[bytes, int] = {}
    places = {int(cell): number for number, cell in enumerate(kept)}
    for number, table in enumerate(tables):
        share = np.minimum(table.share, OVERFLOWN)
        looked_at = np.asarray(~np.isnan(table.allowed).all(axis=2))
        worst = _judged_or_least(share).argmax(axis=2)
        most = np.take_along_axis(share, worst[..., None], axis=2)[..., 0]
        judged = table.judged.sum(axis=2)
        limits = table.allowed[..., kept]
        same = known.setdefault(limits.tobytes(), number)
        at_worst = [
            np.take_along_axis(t, worst[..., None], axis=2)[..., 0]
            for t in (table.relative, table.allowed)
        ]
        maps.append(
            {
                "who": table.backend,
                "dtype": table.dtype,
                "verdict": table.verdict,
                "steps": table.steps,
                "tensors": table.tensors,
                "share": rows_of(most),
                "judged": [
                    [int(n) if there else None for n, there in zip(*row, strict=True)]
                    for row in zip(judged, looked_at, strict=True)
                ],
                "relative": rows_of(at_worst[0]),
                "allowed": rows_of(at_worst[1]),
                "worst": [
                    [places.get(int(w)) if n else None for w, n in zip(*row, strict=True)]
                    for row in zip(worst, judged, strict=True)
                ],
                "first": first_departure(most),
                "widest": widest_share(most),
                "errors": [
                    [rounded(cells, _DIGITS) for cells in row] for row in table.relative[..., kept]
                ],
                "loose": [
                    [np.flatnonzero(~cells).tolist() for cells in row]
                    for row in table.judged[..., kept]
                ],
                "limits_of": same,
            }
        )
        if same == number:
            maps[-1]["limits"] = [[rounded(cells, _DIGITS) for cells in row] for row in limits]
    return maps


def rows_of(values: NDArray[np.float64]) -> list[list[float | None]]:
    """Rows of numbers for JSON, rounded; None where there is none."""
    return [rounded(row, _DIGITS) for row in values]


def first_departure(share: NDArray[np.float64]) -> list[int] | None:
    """The first tensor, in the first step, that is beyond what is allowed; (tensor, step) or None."""
    tensors, steps = np.nonzero(share > 1)
    if not len(steps):
        return None
    first = np.lexsort((tensors, steps))[0]
    return [int(tensors[first]), int(steps[first])]


def widest_share(share: NDArray[np.float64]) -> list[int]:
    """Where most is used of what is allowed, (tensor, step)."""
    place = _judged_or_least(share).argmax()
    return [int(k) for k in np.unravel_index(place, share.shape)]


def _judged_or_least(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares, what is not judged below all others."""
    return np.where(np.isnan(share), -1.0, share)
