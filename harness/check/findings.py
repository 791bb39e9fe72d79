"""What fails a check, in words: where, what, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.check.baseline import Baseline
from harness.check.decisive_tests import Primary, Quantity
from harness.document.number_words import cell, change, count, probability
from harness.results.result import Result
from harness.stats.repeats import repeat_table

FindingKind = Literal["parity", "missing", "non-finite", "collapsed", "worse", "changed"]

_HARD: dict[FindingKind, str] = {
    "missing": "did not run",
    "non-finite": "lost their finite weights",
    "collapsed": "fell to guessing",
}


@dataclass(frozen=True)
class Finding:
    """Something that fails a check: where (a backend, or cells), what, and where to look."""

    kind: FindingKind
    where: str
    what: str
    look: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.look}" if self.look else "")


def hard_findings(failures: pd.DataFrame) -> list[Finding]:
    """A finding for every backend and kind of hard failure; its first cell stands for all."""
    found = []
    for kind, happened in _HARD.items():
        for backend, cells in failures[failures["kind"] == kind].groupby("backend", sort=False):
            first = cells.iloc[0]
            networks = count(int(cells["repeats"].sum()), "network")
            found.append(
                Finding(
                    kind,
                    f"{backend}, {count(len(cells), 'cell')}",
                    f"{networks} that trained in the baseline {happened}",
                    f"first at {cell(first['eta'], first['lmbd'])}",
                )
            )
    return found


def worse_finding(primary: Primary, baseline: Baseline, run: Result, repeats: int) -> Finding:
    """A primary quantity that fell by more than the margin."""
    sure = f"{probability(primary.p_worse)} after Holm's correction"
    what = f"{change(primary.difference, primary.low, primary.high, run.metric)}, {sure}"
    find = _lost_class if len(primary.quantity.cells) == 1 else _lost_cell
    shared = range(min(repeats, baseline.experiment.repeats))
    look = find(primary.quantity, baseline.result, run, shared)
    return Finding("worse", primary.quantity.name, what, look)


def changed_finding(changed: pd.DataFrame) -> Finding:
    """The finding that stable cells moved, for whoever wants none to."""
    first = changed.iloc[0]
    return Finding(
        "changed",
        count(len(changed), "stable cell"),
        "not the baseline's predictions or losses, and --strict allows none",
        f"most at {first['backend']}, {cell(first['eta'], first['lmbd'])} "
        f"(a loss moved by {first['shift']:.1e} of itself)",
    )


def _lost_cell(quantity: Quantity, then: Result, now: Result, repeats: Sequence[int]) -> str:
    """The cell of a mean that fell most."""
    score = f"test_{now.metric}"
    means = [
        repeat_table(r.of(quantity.backend), score)[list(repeats)].mean(axis=1) for r in (then, now)
    ]
    fall = (means[1] - means[0]).loc[[(quantity.backend, *c) for c in quantity.cells]]
    _, eta, lmbd = fall.sort_values().index[0]
    return f"most at {cell(eta, lmbd)}"


def _lost_class(quantity: Quantity, then: Result, now: Result, repeats: Sequence[int]) -> str:
    """The class that a chosen cell gets right less often than before; "" where labels are not kept."""
    if now.metric != "accuracy":
        return ""
    target = np.concatenate([now.target(repeat) for repeat in repeats])
    right = [_labels(quantity, result, repeats) == target for result in (then, now)]
    if any(np.ndim(side) == 0 for side in right):  # of another length: not comparable
        return ""
    classes = now.manifest["dataset"]["classes"]
    present = np.unique(target)
    shares = np.array([[side[target == c].mean() for c in present] for side in right])
    lost = int(np.argmin(shares[1] - shares[0]))
    if shares[1, lost] >= shares[0, lost]:
        return ""
    before, after = 100 * shares[:, lost]
    name = classes[int(present[lost])]
    return f"class {name} lost most, {before:.1f} % right in the baseline and {after:.1f} % now"


def _labels(quantity: Quantity, result: Result, repeats: Sequence[int]) -> NDArray[np.integer]:
    eta, lmbd = quantity.cells[0]
    return np.concatenate(
        [result.predicted(quantity.backend, eta, lmbd, repeat) for repeat in repeats]
    )
