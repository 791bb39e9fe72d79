"""The comparison itself: one row for every pair and cell, with a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.compare.sides import NOT_MEASURED, Cell, Side, pairs, settings
from harness.errors import InputError
from harness.results.result import Result
from harness.stats import agreement
from harness.stats.differences import false_discovery, holm, paired
from harness.stats.power import repeats_needed
from harness.stats.repeats import collapsed, guessing

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
APART = ("chaotic", "diverged", "not run")


@dataclass(frozen=True)
class Comparison:
    """Pairs of sides, compared cell by cell.

    cells: a row for every pair and cell. Columns: left, right, eta, lmbd, repeats, verdict; those of
    :func:`harness.stats.differences.paired`; holm_equivalent and holm_beyond, its p values under
    Holm's correction over all cells and pairs that are tested; q, p_difference under false-discovery
    control; needed (repeats that would decide an undecided cell, 0 elsewhere, -1 if more than
    :data:`harness.stats.power.MOST_REPEATS`); flips (labels that differ, in all repeats together), labels
    (their number), flip_share, own_flips_left, own_flips_right (share of labels that differ
    between the side's own repeats), kappa, own_kappa_left, own_kappa_right; collapsed_left,
    collapsed_right (repeats); learned (both sides did, in every repeat); with a single repeat
    only_left, only_right and p_mcnemar.
    chosen: a row for every pair, each side at the cell it chose on its validation part.
    cochran: with a single repeat of three or more backends, Cochran's Q of every cell; else empty.
    """

    name: str
    metric: str
    margin: float
    alpha: float
    repeats: int
    samples: int
    varies: str
    chaos_known: bool
    cells: pd.DataFrame
    chosen: pd.DataFrame
    cochran: pd.DataFrame
    notes: list[str]

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
        verdicts = self.cells["verdict"]
        if verdicts.isin(AGAINST).any():
            return "different"
        settled = verdicts.isin(AGREEING).any() and not verdicts.isin(OPEN).any()
        return "equivalent" if settled else "inconclusive"

    @property
    def exit_code(self) -> int:
        """0 equivalent, 1 different beyond the margin, 3 inconclusive (or nothing to compare)."""
        return {"equivalent": 0, "different": 1, "inconclusive": 3}[self.outcome]


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
    if not 0 < margin < 1 or not 0 < alpha < 1:
        raise InputError(
            f"margin, alpha: found {margin:g}, {alpha:g}; allowed: numbers between 0 and 1"
        )
    sides = pairs(first, second)
    frames = [_cells(left, right, margin, chaos) for left, right in sides]
    cells = pd.concat(frames, ignore_index=True)
    decide(cells, margin, alpha)
    target = first.target(0)
    return Comparison(
        name=first.name if second is None else f"{first.name} and {second.name}",
        metric=first.metric,
        margin=margin,
        alpha=alpha,
        repeats=len(sides[0][0].repeats),
        samples=len(target),
        varies=first.experiment.what_varies,
        chaos_known=chaos is not None,
        cells=cells,
        chosen=_chosen(sides, margin),
        cochran=_cochran(sides, target),
        notes=[] if second is None else settings(first, second),
    )


def decide(cells: pd.DataFrame, margin: float, alpha: float) -> None:
    """Add the corrected p values, verdicts and repeats needed to the cells of all pairs, in place.

    Only what is to be decided belongs to the family: stable, measured on both sides, not identical.
    """
    tested = (cells["verdict"] == "") & ~cells["identical"]
    if "p_mcnemar" in cells:  # a single repeat: nothing but its samples can tell
        far = cells["difference"].abs() > margin
        cells["p_beyond"] = cells["p_mcnemar"].where(far, 1.0)
    for name, p in (("holm_equivalent", "p_equivalent"), ("holm_beyond", "p_beyond")):
        cells[name] = holm(cells[p].where(tested).to_numpy())
    cells["q"] = false_discovery(cells["p_difference"].where(tested).to_numpy())
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


def _cells(left: Side, right: Side, margin: float, chaos: pd.DataFrame | None) -> pd.DataFrame:
    """One pair's cells: differences, agreement, and the verdicts that need no test."""
    frame = pd.DataFrame(left.cells, columns=["eta", "lmbd"])
    frame.insert(0, "left", left.label)
    frame.insert(1, "right", right.label)
    frame["verdict"] = ""
    frame = frame.join(paired(left.scores, right.scores, margin))
    lost = [np.isin(side.status, NOT_MEASURED).any(axis=1) for side in (left, right)]
    gone = [(side.status == "diverged") for side in (left, right)]
    frame.loc[(gone[0] != gone[1]).any(axis=1), "verdict"] = "one diverged"
    frame.loc[gone[0].all(axis=1) & gone[1].all(axis=1), "verdict"] = "diverged"
    frame.loc[lost[0] | lost[1], "verdict"] = "not run"
    classification = left.result.metric == "accuracy"
    if classification:
        _agreement(frame, left, right)
    wild = [_chaotic(chaos, side.backend, side.cells) for side in (left, right)]
    frame.loc[(wild[0] | wild[1]) & (frame["verdict"] != "not run"), "verdict"] = "chaotic"
    return frame


def _agreement(frame: pd.DataFrame, left: Side, right: Side) -> None:
    """Flips, kappa, and repeats that only one side collapsed in; with one repeat McNemar's test. In place."""
    a, b = left.labels, right.labels
    target = left.result.target(0)
    classes = int(max(a.max(), b.max(), target.max())) + 1
    flips = agreement.flips(a, b)
    measured = np.isfinite(flips).sum(axis=1)
    frame["flips"] = np.nansum(flips, axis=1) * a.shape[2]
    frame["labels"] = measured * a.shape[2]
    frame["flip_share"] = frame["flips"] / frame["labels"].where(frame["labels"] > 0)
    frame["kappa"] = agreement.kappa(a, b, classes)
    chance, luck = guessing(target)
    lost = []
    for name, side in (("left", left), ("right", right)):
        frame[f"own_flips_{name}"], frame[f"own_kappa_{name}"] = side.own_flips
        lost.append(collapsed(side.scores, chance, luck))
        frame[f"collapsed_{name}"] = lost[-1].sum(axis=1)
    frame["learned"] = np.asarray((np.fmin(left.scores, right.scores) > luck).all(axis=1))
    frame.loc[(lost[0] != lost[1]).any(axis=1) & (frame["verdict"] == ""), "verdict"] = "bimodal"
    if a.shape[1] == 1:
        test = agreement.mcnemar(a[:, 0], b[:, 0], target)
        frame[["only_left", "only_right", "p_mcnemar"]] = test


def _chaotic(
    chaos: pd.DataFrame | None, backend: str, cells: tuple[Cell, ...]
) -> NDArray[np.bool_]:
    """Which cells round-off alone carries away, in any repeat."""
    if chaos is None:
        return np.zeros(len(cells), dtype=bool)
    if "backend" in chaos:
        chaos = chaos[chaos["backend"] == backend]
    wild = chaos.loc[chaos["chaotic"].astype(bool), ["eta", "lmbd"]]
    found = set(wild.itertuples(index=False, name=None))
    return np.array([cell in found for cell in cells])


def _chosen(sides: list[tuple[Side, Side]], margin: float) -> pd.DataFrame:
    """Each pair at the cells that its sides chose: paired difference, uncorrected."""
    rows = []
    for left, right in sides:
        if left.chosen not in left.cells or right.chosen not in right.cells:
            continue
        a, b = (side.scores[[side.cells.index(side.chosen)]] for side in (left, right))
        row = paired(a, b, margin).iloc[0].to_dict()
        for name, side in (("left", left), ("right", right)):
            row |= {name: side.label}
            row |= dict(zip((f"eta_{name}", f"lmbd_{name}"), side.chosen or (), strict=True))
        row |= {"score_left": a.mean(), "score_right": b.mean()}
        rows.append(row)
    return pd.DataFrame(rows)


def _cochran(sides: list[tuple[Side, Side]], target: NDArray[np.integer]) -> pd.DataFrame:
    """Cochran's Q over all backends of a run with a single repeat, Holm over the cells."""
    every = list({side.label: side for pair in sides for side in pair}.values())
    first = every[0]
    within = all(side.result is first.result for side in every)
    columns = ["eta", "lmbd", "p", "holm"]
    if len(first.repeats) > 1 or len(every) < 3 or not within or first.result.metric != "accuracy":
        return pd.DataFrame(columns=columns)
    labels = np.stack([side.labels[:, 0] for side in every], axis=1)
    p = agreement.cochran(labels, target)
    cells = pd.DataFrame(first.cells, columns=["eta", "lmbd"])
    return cells.assign(p=p, holm=holm(p))
