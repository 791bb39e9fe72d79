"""A comparison in words, as a table, as Markdown and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.compare.comparison import AGREEING, APART, VERDICTS, Comparison
from harness.stats.repeats import FORMULA

SHOWN = 12  # cells that a listing names


def amount(value: float, metric: str) -> str:
    """A difference of scores: accuracies in points (hundredths), other scores as they are."""
    if metric != "accuracy":
        return f"{value:.3g} of {metric}"
    points = f"{100 * value:.3g}"
    return f"{points} point" if points.lstrip("-") == "1" else f"{points} points"


def headline(comparison: Comparison) -> str:
    """The answer in one sentence, over all pairs."""
    verdicts = comparison.cells["verdict"]
    stable = int((~verdicts.isin(APART)).sum())
    pairs = len(comparison.pairs)
    where = f"{comparison.name}, {pairs} pair{'s' if pairs > 1 else ''}"
    agreeing = int(verdicts.isin(AGREEING).sum())
    if comparison.outcome == "different":
        against = int(verdicts.isin(["different", "one diverged"]).sum())
        return f"Different: {where}: {against} of {stable} stable comparisons"
    if comparison.outcome == "equivalent":
        return (
            f"Equivalent: {where}: all {stable} stable comparisons within "
            f"{amount(comparison.margin, comparison.metric)}"
        )
    if not stable:
        return f"Inconclusive: {where}: no stable cell was measured on both sides"
    return f"Inconclusive: {where}: {agreeing} of {stable} stable comparisons are settled"


def sentence(comparison: Comparison, left: str, right: str) -> str:
    """What is known of one pair."""
    cells = comparison.of(left, right)
    count = cells["verdict"].value_counts()
    stable = cells[~cells["verdict"].isin(APART)]
    identical, agreeing = count.get("identical", 0), int(stable["verdict"].isin(AGREEING).sum())
    margin = amount(comparison.margin, comparison.metric)
    kind = "stable cells" if comparison.chaos_known else "cells"
    if not len(stable):
        parts = [f"{left} and {right} have no stable cell to be compared in"]
    elif identical == len(stable):
        parts = [f"{left} and {right} have identical scores in all {len(stable)} {kind}"]
        parts.append(_flipped(stable))
    else:
        parts = [
            f"{left} and {right} are equivalent within {margin} in {agreeing} of {len(stable)} {kind}"
        ]
        if identical:
            parts.append(f"{identical} identical, {_flipped(stable[stable['identical']])}")
    if different := count.get("different", 0):
        worst = stable.sort_values("difference", key=np.abs).iloc[-1]
        size = amount(abs(worst["difference"]), comparison.metric)
        parts.append(
            f"{different} differ{'s' if different == 1 else ''} by more, "
            f"most at eta {worst['eta']:g}, lmbd {worst['lmbd']:g} ({size})"
        )
    if diverged := count.get("one diverged", 0):
        parts.append(f"in {diverged} only one of them diverged")
    if count.get("undecided", 0):
        parts.append(_undecided(comparison, stable[stable["verdict"] == "undecided"]))
    if bimodal := count.get("bimodal", 0):
        parts.append(f"in {bimodal} one of them collapsed to guessing in some repeats")
    if n := count.get("chaotic", 0):
        parts.append(f"{n} cell{'s are' if n > 1 else ' is'} chaotic")
    if n := count.get("diverged", 0):
        parts.append(f"{n} cell{'s' if n > 1 else ''} diverged on both")
    if n := count.get("not run", 0):
        parts.append(f"{n} cell{'s were' if n > 1 else ' was'} not run on both")
    return "; ".join(part for part in parts if part)


def _flipped(cells: pd.DataFrame) -> str:
    if "flips" not in cells:
        return ""
    n = int(cells["flips"].sum())
    return "no label differs" if n == 0 else f"{n} label{'s' if n > 1 else ''} differ"


def _undecided(comparison: Comparison, cells: pd.DataFrame) -> str:
    if comparison.repeats == 1:
        return f"{len(cells)} cannot be decided from one repeat"
    missing = cells["needed"] - cells["n"]
    open_ = cells["needed"] < 0
    words = []
    if (~open_).any():
        least, most = (max(1, int(v)) for v in missing[~open_].agg(["min", "max"]))
        span = str(most) if least == most else f"{least} to {most}"
        n = int((~open_).sum())
        words.append(f"{n} need{'s' if n == 1 else ''} {span} more repeat{'s' if most > 1 else ''}")
    if open_.any():
        n = int(open_.sum())
        words.append(f"{n} {'lies' if n == 1 else 'lie'} too close to the margin to be decided")
    return "; ".join(words)


def counts(comparison: Comparison) -> pd.DataFrame:
    """A row for every pair: how many cells have which verdict, largest difference, agreement.

    flip_share and kappa are means over the stable cells in which both sides learned; own_flips and
    own_kappa the same between the repeats of either side itself.
    """
    rows = []
    for left, right in comparison.pairs:
        cells = comparison.of(left, right)
        stable = cells[~cells["verdict"].isin(APART)]
        row: dict[str, Any] = {"left": left, "right": right}
        row |= {v: int((cells["verdict"] == v).sum()) for v in VERDICTS}
        row["largest"] = stable["difference"].abs().max()
        if "flips" in cells:
            learned = stable[stable["learned"]]  # elsewhere labels are a matter of luck
            row["flip_share"] = learned["flip_share"].mean()
            row["own_flips"] = learned[["own_flips_left", "own_flips_right"]].mean(axis=None)
            row["kappa"] = learned["kappa"].mean()
            row["own_kappa"] = learned[["own_kappa_left", "own_kappa_right"]].mean(axis=None)
        rows.append(row)
    return pd.DataFrame(rows)


def notable(comparison: Comparison) -> pd.DataFrame:
    """The cells that speak against equivalence or leave it open, the largest difference first."""
    cells = comparison.cells
    open_ = cells[~cells["verdict"].isin([*AGREEING, *APART])]
    order = open_["difference"].abs().sort_values(ascending=False, na_position="first").index
    return open_.loc[order].reset_index(drop=True)


def method(comparison: Comparison) -> str:
    """How the verdicts came about, for whoever wants to check them."""
    text = (
        f"Test {comparison.metric}, {comparison.repeats} paired repeat"
        f"{'s' if comparison.repeats > 1 else ''} ({comparison.varies}), {comparison.samples} test "
        f"samples (one is {amount(1 / comparison.samples, comparison.metric)}). "
    )
    if comparison.repeats == 1:
        text += "One repeat: McNemar's exact test on per-sample correctness, Holm's correction. "
    else:
        text += (
            f"Equivalent: TOST within {amount(comparison.margin, comparison.metric)}; different: "
            f"one-sided t tests beyond it; both with Holm's correction over all cells and pairs, "
            f"family alpha {comparison.alpha:g}. Interval: {FORMULA}. "
        )
    if "split fixed" in comparison.varies:
        text += "Claims are about this split."
    else:  # a t test takes repeats to be independent, and these have rows in common
        text += (
            "Repeats share rows: intervals describe these runs and claim nothing about new data."
        )
    if not comparison.chaos_known:
        text += " Chaotic cells were not told apart."
    return text


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything, for a machine; what is not a number is null."""
    return {
        "run": comparison.name,
        "outcome": comparison.outcome,
        "exit_code": comparison.exit_code,
        "headline": headline(comparison),
        "sentences": [sentence(comparison, *pair) for pair in comparison.pairs],
        "method": method(comparison),
        "metric": comparison.metric,
        "margin": comparison.margin,
        "alpha": comparison.alpha,
        "repeats": comparison.repeats,
        "test_samples": comparison.samples,
        "varies": comparison.varies,
        "chaos_known": comparison.chaos_known,
        "notes": comparison.notes,
        "pairs": _rows(counts(comparison)),
        "chosen": _rows(comparison.chosen),
        "cells": _rows(comparison.cells),
        "cochran": _rows(comparison.cochran),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    clean = frame.astype(object).where(frame.notna(), None)
    return [
        {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        for row in clean.to_dict("records")
    ]
