"""How far backends agree with a reference backend on the same test samples, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.document import number_words
from harness.document.words import every, render, series
from harness.results.backend_grid import BackendGrid, common_grid, same_samples
from harness.results.result import Result
from harness.roundoff.disputed_cells import DISPUTED_CELL, dispute_kind, kinds
from harness.roundoff.round_off import PARTED
from harness.roundoff.trial import recipes
from harness.stats.agreement import flips, label_agreement, value_agreement
from harness.training.status import Status

# in this order they are told of; the last are those that were not looked at
_KINDS = ("chaotic", "sensitive", "diverged", "unexplained", "stable", "")


@dataclass(frozen=True, eq=False)
class CellAgreement:
    """One backend against a reference, on the cells that both have; arrays of shape (eta, lmbd).

    ``status`` is ok where both are, else what the one that is not says. ``difference`` is the mean test
    score of the backend minus the reference's. ``alike`` is the share of test samples that both label the
    same; for regression the correlation of what they predict, NaN where undefined. ``same`` is where both
    predict alike: every label, or every value within a thousandth of the targets' standard deviation. All
    are over all repeats together.
    """

    side: BackendGrid
    reference: BackendGrid
    status: NDArray[np.object_]
    difference: NDArray[np.float64]
    alike: NDArray[np.float64]
    same: NDArray[np.bool_]

    @property
    def both(self) -> NDArray[np.bool_]:
        """Where both trained."""
        return np.asarray(self.status == Status.OK)

    @cached_property
    def kappa(self) -> NDArray[np.float64]:
        """Cohen's kappa of the labels, over all repeats together; NaN where undefined."""
        if self.side.metric != "accuracy":
            return np.full(self.side.shape, np.nan)
        values = label_agreement(self.side.labels, self.reference.labels)["kappa"].to_numpy()
        return np.where(self.both, values.reshape(self.side.shape), np.nan)

    @property
    def kinds(self) -> NDArray[np.object_]:
        """What kind of training each cell is, where that was looked at: chaotic, stable, ...; else empty."""
        within = self.side.result is self.reference.result
        known = kinds(self.side.result) if within else {}
        seen = [known.get(cell, "") for cell in self.side.cells]
        return np.array(seen, dtype=object).reshape(self.side.shape)


def reference_pairs(grids: Sequence[BackendGrid]) -> list[tuple[BackendGrid, BackendGrid]]:
    """Which backend is set against which reference, as (backend, reference).

    Within the first run the reference is its first backend that trained; one of a later run has the
    same backend of the first run as its reference. Pairs without a test sample or cell in common are
    left out.
    """
    if not grids:
        return []
    own = [grid for grid in grids if grid.result is grids[0].result]
    first = next((grid for grid in own if grid.ok.any()), own[0])
    partner = {grid.backend: grid for grid in own}
    pairs = [
        (grid, first if grid in own else partner.get(grid.backend, first))
        for grid in grids
        if grid is not first
    ]
    return [
        (grid, reference)
        for grid, reference in pairs
        if all(common_grid(grid, reference)[0].shape) and same_samples(grid, reference)
    ]


def agreement_with(grid: BackendGrid, reference: BackendGrid) -> CellAgreement:
    """One backend against its reference, cell by cell."""
    side, other = common_grid(grid, reference)
    status = np.where(side.status == Status.OK, other.status, side.status).astype(object)
    column = f"test_{side.metric}"
    if side.metric == "accuracy":
        differ, labels = flips(side.labels, other.labels)
        alike, same = 1 - differ / np.maximum(labels, 1), differ == 0
    else:
        rows = (g.predicted.reshape(-1, g.repeats) for g in (side, other))
        cells = value_agreement(*rows)
        targets = np.concatenate([side.result.target(repeat) for repeat in range(side.repeats)])
        alike = cells["alike"].to_numpy()
        same = cells["apart"].to_numpy() <= PARTED * float(np.std(targets))
    both = status == Status.OK
    alike = np.where(both, alike.reshape(side.shape), np.nan)
    same = both & same.reshape(side.shape)
    difference = side.mean(column) - other.mean(column)
    return CellAgreement(side, other, status, difference, alike, same)


def agreement_words(result: Result) -> Iterator[str]:
    """Whether the backends of each recipe agree, in words; nothing where there are no two."""
    if result.disputes is None:
        return
    trained = [name for name in result.backends if (result.of(name)["status"] == Status.OK).any()]
    groups = recipes(result.experiment, trained, dtypes=True)
    for names in groups:
        own = [result.experiment.recipe(name) for name in names]
        if len(names) > 1 and not any(recipe.watches_training for recipe in own):
            who = series(names) if len(groups) > 1 else every(len(names), "backend")
            yield from _dispute_words(result, names, who)


def cell_command(result: Result, eta: float | str, lmbd: float | str, verb: str = "parity") -> str:
    """The command that looks into one cell of a run, by default step by step; a text stands as it is."""
    config = quote(f"{result.address.rstrip('/')}/experiment.toml")
    cell = " ".join(
        f"--{name} {value if isinstance(value, str) else repr(float(value)).removesuffix('.0')}"
        for name, value in (("eta", eta), ("lmbd", lmbd))
    )
    return f"python -m harness {verb} --config {config} {cell}"


def disputed_by_kind(result: Result, names: Sequence[str]) -> tuple[int, pd.Series]:
    """Of backends that train alike: how many cells two of them trained, and the kind of each disputed one.

    The kind is empty where nobody looked; where nobody looked at all, those cells are disputed that one
    and the first do not predict alike.
    """
    if result.disputes is not None:
        compared, cells = _disputed(result, names)
        return compared, cells["status"]
    first, *others = (BackendGrid.of(result, name) for name in names)
    pairs = [agreement_with(grid, first) for grid in others]
    both = np.any([pair.both for pair in pairs], axis=0)
    apart = np.any([pair.both & ~pair.same for pair in pairs], axis=0)
    return int(both.sum()), pd.Series([""] * int(apart.sum()), dtype=object)


def _disputed(result: Result, names: Sequence[str]) -> tuple[int, pd.DataFrame]:
    """How many cells two of a recipe's backends trained, and the disputed ones with what was seen of them."""
    assert result.disputes is not None
    ok = result.records[
        result.records["backend"].isin(names) & (result.records["status"] == Status.OK)
    ]
    trained = ok.groupby(DISPUTED_CELL)["backend"].nunique()
    own = result.disputes[result.disputes["recipe"] == ", ".join(names)]
    if "alone" not in own:  # as older runs have them
        own = own.assign(alone="")
    if "followed" not in own:
        own = own.assign(gap=0.0, followed="")
    cells = own.groupby(DISPUTED_CELL).agg(
        apart=("apart", "max"),
        gap=("gap", "max"),
        followed=("followed", "max"),
        status=("status", "first"),
        difference=("difference", "max"),
        swing=("swing", "max"),
        alone=("alone", lambda names: names.iloc[0] if len(set(names)) == 1 else ""),
    )
    cells["status"] = dispute_kind(cells)
    return len(set(trained.index[trained > 1]) | set(cells.index)), cells


def _dispute_words(result: Result, names: list[str], who: str) -> Iterator[str]:
    """One recipe's disputed cells by kind; nothing where no cell was trained by two backends."""
    compared, cells = _disputed(result, names)
    groups = []
    for kind in _KINDS:
        alike = cells[cells["status"] == kind]
        if len(alike):
            highest: dict[Any, Any] = alike.max(numeric_only=True).to_dict()
            highest["covered"] = bool((alike["gap"] <= alike["swing"]).all())
            highest["followed"] = [said for said in alike["followed"].unique() if said]
            cell = alike.index[int(alike["apart"].argmax())]
            told: dict[str, Any] = {
                "worst": number_words.cell(*cell),
                "parity": cell_command(result, *cell),
            }
            alone: dict[Any, int] = (
                alike["alone"].value_counts().drop("", errors="ignore").to_dict()
            )
            groups.append({"kind": kind, "cells": len(alike), "alone": alone, **told, **highest})
    if compared:
        yield render(
            "report/sentences.jinja",
            "disputes",
            who=who,
            metric=result.metric,
            compared=compared,
            disputed=len(cells),
            groups=groups,
        )
