"""Whether the backends of a run agree, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from harness.document import numbers
from harness.results.result import Result
from harness.roundoff.disputed_cells import DISPUTED_CELL, dispute_kind
from harness.roundoff.trial import recipes


def agreement_words(result: Result) -> Iterator[str]:
    """Whether the backends of each recipe agree, in words; nothing where there are no two."""
    if result.disputes is None:
        return
    trained = [name for name in result.backends if (result.of(name)["status"] == "ok").any()]
    groups = recipes(result.experiment, trained, dtypes=True)
    for names in (g for g in groups if len(g) > 1):
        if result.experiment.recipe(names[0]).patience is None:
            said = " ".join(_words(result, names, len(groups) > 1))
            yield from [said] if said else []


def _words(result: Result, names: list[str], several: bool) -> Iterator[str]:
    ok = result.records[result.records["backend"].isin(names) & (result.records["status"] == "ok")]
    trained = ok.groupby(DISPUTED_CELL)["backend"].nunique()
    assert result.disputes is not None
    found = result.disputes[result.disputes["recipe"] == ", ".join(names)]
    cells = found.groupby(DISPUTED_CELL).agg(
        apart=("apart", "max"),
        status=("status", "first"),
        difference=("difference", "max"),
        swing=("swing", "max"),
    )
    cells["status"] = dispute_kind(cells)
    compared = set(trained.index[trained > 1]) | set(cells.index)
    if not compared:
        return
    who = numbers.listed(names) if several else f"the {len(names)} backends"
    alike = (
        "label every test sample alike"
        if result.metric == "accuracy"
        else "predict alike, to a thousandth of the spread"
    )
    yield f"In {len(compared) - len(cells)} of {numbers.count(len(compared), 'cell')} {who} {alike}."
    for status, said in SAID.items():
        if (cells["status"] == status).any():
            yield said(cells[cells["status"] == status], result.metric)


def _chaotic(cells: pd.DataFrame, metric: str) -> str:
    swing = cells["swing"].max()
    moved = f", and moves test {numbers.NAMES[metric]} by up to {numbers.span(swing, metric)}"
    return (
        f"{_cells(cells)} chaotic: there round-off alone carries training elsewhere"
        + (moved if swing > 0 else "")
        + " (numpy against itself, its sums in other orders)."
    )


def _sensitive(cells: pd.DataFrame, metric: str) -> str:
    return (
        f"{_cells(cells)} sensitive: round-off grows there, and up to {_share(cells)} of the samples "
        "are taken differently."
    )


def _diverged(cells: pd.DataFrame, metric: str) -> str:
    return f"{_cells(cells)} on the edge of divergence: round-off decides whether weights overflow."


def _unexplained(cells: pd.DataFrame, metric: str) -> str:
    return (
        f"{_cells(cells)} not explained by round-off: it moves weights there by up to "
        f"{numbers.score(float(cells['difference'].max()), 'accuracy', 4)} and no test "
        f"{numbers.NAMES[metric]}, {_suspicious(cells)}"
    )


def _stable(cells: pd.DataFrame, metric: str) -> str:
    return f"{_cells(cells)} stable, {_suspicious(cells)}"


def _suspicious(cells: pd.DataFrame) -> str:
    eta, lmbd = cells.index[int(cells["apart"].argmax())]
    return (
        f"and yet up to {_share(cells)} of the samples are taken differently "
        f"({numbers.cell(eta, lmbd)}): a sample on a boundary, or a fault; `python -m harness parity` tells."
    )


def _unseen(cells: pd.DataFrame, metric: str) -> str:
    differ = "differs and was" if len(cells) == 1 else "differ and were"
    return f"{numbers.count(len(cells), 'more cell')} {differ} not looked at again."


def _cells(cells: pd.DataFrame) -> str:
    return f"{len(cells)} {'is' if len(cells) == 1 else 'are'}"


def _share(cells: pd.DataFrame) -> str:
    return numbers.score(float(cells["apart"].max()), "accuracy")


SAID: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "chaotic": _chaotic,
    "sensitive": _sensitive,
    "diverged": _diverged,
    "unexplained": _unexplained,
    "stable": _stable,
    "": _unseen,
}
