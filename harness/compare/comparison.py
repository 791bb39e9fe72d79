"""The comparison itself: one row for every pair and cell, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.compare.pairs import Pair, grid_pairs
from harness.errors import InputError
from harness.results.backend_grid import BackendGrid
from harness.results.result import Result
from harness.results.run_differences import RunDifference, run_differences
from harness.stats import agreement
from harness.stats.differences import false_discovery, holm, paired
from harness.stats.power import repeats_needed
from harness.stats.repeats import collapsed, guessing
from harness.training.status import NOT_TRAINED, Status
from harness.training.units import varies_split

VERDICTS = {
    "identical": "the same score in every repeat",
    "equivalent": "equivalent within the margin (TOST, Holm)",
    "different": "different by more than the margin (t test, Holm)",
    "one diverged": "one side diverged, the other did not",
    "undecided": "more repeats would decide",
    "bimodal": "one side collapsed to guessing in some repeats: a mean says nothing",
    "chaotic": "round-off alone carries this cell away",
    "diverged": "both sides diverged",
    "not run": "failed, timed out or not supported on a side",
}
AGREEING = ("identical", "equivalent")
AGAINST = ("different", "one diverged")
OPEN = ("undecided", "bimodal", "not run")
OUTCOME_CODES = {"equivalent": 0, "different": 1, "inconclusive": 3}
APART = ("chaotic", "diverged", "not run")


@dataclass(frozen=True)
class Comparison:
    """Pairs of sides, compared cell by cell.

    cells: a row for every pair and cell. Columns: left, right, backend (of both sides, empty if they have
    two), eta, lmbd, verdict; those of
    :func:`harness.stats.differences.paired`; holm_equivalent and holm_beyond, its p values under
    Holm's correction over all cells and pairs that are tested; q, p_difference (with a single repeat
    p_mcnemar) under false-discovery control; needed (repeats that would decide an undecided cell, 0
    elsewhere, -1 if more than :data:`harness.stats.power.MOST_REPEATS`); flips (labels that differ, in
    all repeats together), labels (their number), flip_share, own_flips_left, own_flips_right (share of
    labels that differ between the side's own repeats), kappa, own_kappa_left, own_kappa_right;
    collapsed_left, collapsed_right (repeats); learned (both sides did, in every repeat); with a single
    repeat only_left, only_right and p_mcnemar.
    chosen: a row for every pair, each side at the cell it chose on its validation part; for each of
    ``others``, scores that are shown beside the one compared by, such as ``macro_f1``, columns
    ``macro_f1_left, macro_f1_right, macro_f1_difference, macro_f1_low, macro_f1_high``.
    cochran: with a single repeat of three or more backends, Cochran's Q of every cell; else empty.
    samples: test samples of each repeat. shared_rows: whether repeats have rows in common that others
    test. differences: what else two runs do not have in common.
    """

    names: tuple[str, ...]
    metric: str
    margin: float
    alpha: float
    repeats: int
    samples: tuple[int, ...]
    varies: str
    shared_rows: bool
    chaos_known: bool
    cells: pd.DataFrame
    chosen: pd.DataFrame
    others: tuple[str, ...]
    cochran: pd.DataFrame
    differences: list[RunDifference]

    @property
    def runs(self) -> str:
        """The name of the run, or of both."""
        return " and ".join(self.names)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Labels of the sides of every pair."""
        return list(dict.fromkeys(zip(self.cells["left"], self.cells["right"], strict=True)))

    def of(self, left: str, right: str) -> pd.DataFrame:
        """The cells of one pair."""
        return self.cells[(self.cells["left"] == left) & (self.cells["right"] == right)]

    @property
    def outcome(self) -> str:
        """``equivalent``, ``different`` or ``inconclusive``, over all stable cells of all pairs."""
        return verdicts_outcome(self.cells["verdict"])

    @property
    def exit_code(self) -> int:
        """0 equivalent, 1 different beyond the margin, 3 inconclusive (or nothing to compare)."""
        return OUTCOME_CODES[self.outcome]


def verdicts_outcome(verdicts: pd.Series) -> str:
    """``equivalent``, ``different`` or ``inconclusive``: what the verdicts of some cells come to."""
    if verdicts.isin(AGAINST).any():
        return "different"
    settled = verdicts.isin(AGREEING).any() and not verdicts.isin(OPEN).any()
    return "equivalent" if settled else "inconclusive"


def comparable_pairs(
    first: Result, second: Result | None, margin: float, alpha: float
) -> list[Pair]:
    """The pairs that :func:`compare` compares; InputError for what it would refuse, before any work."""
    if not 0 < margin < 1 or not 0 < alpha < 1:
        raise InputError(
            f"margin, alpha: found {margin:g}, {alpha:g}; allowed: numbers between 0 and 1"
        )
    return grid_pairs(first, second)


def compare(
    first: Result,
    second: Result | None = None,
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    chaos: pd.DataFrame | None = None,
) -> Comparison:
    """Compare the backends within a run, or two runs, cell by cell on their test scores.

    margin: what counts as the same, in units of the score (0.01: one point of accuracy). alpha: the
    family's error, for claims of equivalence and of difference each. chaos: columns eta, lmbd,
    chaotic (and repeat or backend, if known); its cells are set apart.
    """
    pairs = comparable_pairs(first, second, margin, alpha)
    cells = measured_cells(pairs, margin, chaos)
    repeats = pairs[0][0].repeats
    others = tuple(
        name
        for name in first.shown_scores[1:]
        if all(f"test_{name}" in grid.records for pair in pairs for grid in pair)
    )
    return Comparison(
        names=(first.name,) if second is None else (first.name, second.name),
        metric=first.metric,
        margin=margin,
        alpha=alpha,
        repeats=repeats,
        samples=tuple(len(first.target(repeat)) for repeat in range(repeats)),
        varies=first.experiment.what_varies,
        shared_rows=varies_split(first.experiment),
        chaos_known=chaos is not None,
        cells=decisions(cells, margin, alpha),
        chosen=_chosen(pairs, margin, others),
        others=others,
        cochran=_cochran(pairs),
        differences=[] if second is None else run_differences(first, second),
    )


def measured_cells(
    pairs: Sequence[Pair], margin: float, chaos: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The cells of some pairs with all that is measured of them; :func:`decisions` decides."""
    return pd.concat([_cells(*pair, margin, chaos) for pair in pairs], ignore_index=True)


def decisions(cells: pd.DataFrame, margin: float, alpha: float) -> pd.DataFrame:
    """The cells of all pairs with their corrected p values, verdicts and repeats needed.

    Only what is to be decided belongs to the family: stable, measured on both sides, not identical.
    """
    cells = cells.copy()
    tested = (cells["verdict"] == "") & ~cells["identical"]
    p_difference = cells["p_difference"]
    if "p_mcnemar" in cells:  # a single repeat: nothing but its samples can tell
        far = cells["difference"].abs() > margin
        cells["p_beyond"] = cells["p_mcnemar"].where(far, 1.0)
        p_difference = cells["p_mcnemar"]
    for name, p in (("holm_equivalent", "p_equivalent"), ("holm_beyond", "p_beyond")):
        cells[name] = holm(cells[p].where(tested).to_numpy())
    cells["q"] = false_discovery(p_difference.where(tested).to_numpy())
    free = cells["verdict"] == ""
    cells.loc[free, "verdict"] = "undecided"
    cells.loc[free & (cells["holm_equivalent"] < alpha), "verdict"] = "equivalent"
    cells.loc[free & (cells["holm_beyond"] < alpha), "verdict"] = "different"
    cells.loc[free & cells["identical"], "verdict"] = "identical"
    cells["needed"] = 0
    rest = cells["verdict"] == "undecided"
    if rest.any():
        sd = cells.loc[rest, "sd"].to_numpy()
        share = alpha / rest.sum()  # what Holm leaves for the last cells
        difference = cells.loc[rest, "difference"].to_numpy()
        cells.loc[rest, "needed"] = repeats_needed(difference, sd, margin, share)
    return cells


def _cells(
    left: BackendGrid, right: BackendGrid, margin: float, chaos: pd.DataFrame | None
) -> pd.DataFrame:
    """One pair's cells: differences, agreement, and the verdicts that need no test."""
    frame = pd.DataFrame(left.cells, columns=["eta", "lmbd"])
    frame.insert(0, "left", left.label)
    frame.insert(1, "right", right.label)
    frame.insert(2, "backend", left.backend if left.backend == right.backend else "")
    frame = frame.join(paired(left.scores, right.scores, margin, quantum=_quantum(left)))
    statuses = [grid.statuses.reshape(len(frame), -1) for grid in (left, right)]
    lost = [np.isin(status, NOT_TRAINED).any(axis=1) for status in statuses]
    gone = [np.asarray(status == Status.DIVERGED) for status in statuses]
    verdict = np.full(len(frame), "", dtype=object)
    if left.metric == "accuracy":
        labels, bimodal = _labels(left, right)
        frame = frame.join(labels)
        verdict[bimodal] = "bimodal"
    verdict[(gone[0] != gone[1]).any(axis=1)] = "one diverged"
    verdict[gone[0].all(axis=1) & gone[1].all(axis=1)] = "diverged"
    verdict[_chaotic(chaos, left) | _chaotic(chaos, right)] = "chaotic"
    verdict[lost[0] | lost[1]] = "not run"
    frame.insert(5, "verdict", verdict)
    return frame


def _quantum(grid: BackendGrid) -> float | None:
    """What every accuracy is a whole multiple of, over test parts of all repeats; None of other scores."""
    if grid.metric != "accuracy":
        return None
    return 1 / lcm(*(len(grid.result.target(repeat)) for repeat in range(grid.repeats)))


def _labels(left: BackendGrid, right: BackendGrid) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """How far labels agree in each cell, and where repeats collapsed on one side only.

    With one repeat McNemar's test as well.
    """
    frame = agreement.label_agreement(left.labels, right.labels)
    frame["flip_share"] = 1 - frame.pop("alike")
    guesses = [guessing(left.result.target(repeat)) for repeat in range(left.repeats)]
    chance, luck = np.array(guesses).T  # a value each repeat
    lost = []
    for name, grid in (("left", left), ("right", right)):
        frame[f"own_flips_{name}"], frame[f"own_kappa_{name}"] = _own_flips(grid)
        lost.append(collapsed(grid.scores, chance, luck))
        frame[f"collapsed_{name}"] = lost[-1].sum(axis=1)
    frame["learned"] = np.asarray((np.fmin(left.scores, right.scores) > luck).all(axis=1))
    if left.repeats == 1:
        test = agreement.mcnemar(left.labels[:, 0], right.labels[:, 0], left.targets[0])
        frame[["only_left", "only_right", "p_mcnemar"]] = test
    return frame, np.asarray((lost[0] != lost[1]).any(axis=1))


def _own_flips(grid: BackendGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of labels that differ between a backend's own repeats, and their kappa; (cells,) each.

    NaN where repeats were tested on samples of their own.
    """
    if (grid.result.targets["repeat"] == -1).all():
        return agreement.own_flips(grid.labels, int(grid.labels.max(initial=0)) + 1)
    nothing = np.full(len(grid.cells), np.nan)
    return nothing, nothing


def _chaotic(chaos: pd.DataFrame | None, grid: BackendGrid) -> NDArray[np.bool_]:
    """Which cells round-off alone carries away, in any repeat."""
    cells = grid.cells
    if chaos is None:
        return np.zeros(len(cells), dtype=bool)
    if "backend" in chaos:
        chaos = chaos[chaos["backend"] == grid.backend]
    wild = chaos.loc[chaos["chaotic"].astype(bool), ["eta", "lmbd"]]
    known = set(wild.itertuples(index=False, name=None))
    return np.array([cell in known for cell in cells])


def _chosen(pairs: list[Pair], margin: float, others: Sequence[str]) -> pd.DataFrame:
    """Each pair at the cells that its sides chose: paired difference, uncorrected; so for other scores."""
    rows = []
    for left, right in pairs:
        if left.chosen is None or right.chosen is None:
            continue
        row: dict[str, Any] = {"left": left.label, "right": right.label}
        cell = []
        for name, grid in (("left", left), ("right", right)):
            i, j = grid.chosen or (0, 0)
            row |= {f"eta_{name}": grid.eta[i], f"lmbd_{name}": grid.lmbd[j]}
            cell.append(grid.scores[[i * grid.shape[1] + j]])
            row[f"score_{name}"] = cell[-1].mean()
        difference = paired(cell[0], cell[1], margin, quantum=_quantum(left))
        row |= {str(key): value for key, value in difference.iloc[0].items()}
        for other in others:
            row |= _other_score(left, right, other, margin)
        rows.append(row)
    return pd.DataFrame(rows)


def _other_score(left: BackendGrid, right: BackendGrid, name: str, margin: float) -> dict[str, Any]:
    """Another score of both sides at the cells they chose, with the paired difference and its interval."""
    row: dict[str, Any] = {}
    cell = []
    for side, grid in (("left", left), ("right", right)):
        i, j = grid.chosen or (0, 0)
        cell.append(grid.test_scores(name)[[i * grid.shape[1] + j]])
        row[f"{name}_{side}"] = cell[-1].mean()
    difference = paired(cell[0], cell[1], margin).iloc[0]
    return row | {
        f"{name}_{column}": difference[column] for column in ("difference", "low", "high")
    }


def _cochran(pairs: list[Pair]) -> pd.DataFrame:
    """Cochran's Q over all backends of a run with a single repeat, Holm over the cells."""
    every = list({grid.label: grid for pair in pairs for grid in pair}.values())
    first = every[0]
    within = all(grid.result is first.result for grid in every)
    columns = ["eta", "lmbd", "p", "holm"]
    if first.repeats > 1 or len(every) < 3 or not within or first.metric != "accuracy":
        return pd.DataFrame(columns=columns)
    labels = np.stack([grid.labels[:, 0] for grid in every], axis=1)
    p = agreement.cochran(labels, first.targets[0])
    cells = pd.DataFrame(first.cells, columns=["eta", "lmbd"])
    return cells.assign(p=p, holm=holm(p))
