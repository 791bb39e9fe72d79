"""What a reader should be warned of, found in the records without being asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from harness.document import number_words
from harness.document.words import render
from harness.report.chosen_cells import Choice
from harness.report.runs import Material
from harness.results.backend_grid import BackendGrid
from harness.results.result import Result
from harness.results.run_differences import run_differences
from harness.stats.repeats import collapsed, guessing
from harness.training.status import Status

_REPEATS = 5  # fewer say little about spread
_COARSE = 0.01  # of accuracy: a test sample that is worth more makes a coarse test set
_UNEQUAL = 10  # times: features whose spreads differ so, or that are so large, want scaling
_NAMED = 6  # cells that a warning names


def run_warnings(material: Material) -> list[str]:
    """All warnings, the gravest first; what holds for several backends is said once."""
    return severe_warnings(material) + _cautions(material)


def severe_warnings(material: Material) -> list[str]:
    """What may make numbers mean something else than they seem: networks lost, nothing learnt, other data."""
    runs = list(zip(material.names, material.results, strict=True))
    lines = _of_runs(runs, lambda result: result.manifest.get("notes", []))
    for kind in (_not_run, _collapsed):
        lines += _together((side.label, w) for side in material.sides for w in kind(side))
    lines += _together((c.side.label, w) for c in material.choices for w in _nothing_learnt(c))
    return lines + list(_between(material))


def _cautions(material: Material) -> list[str]:
    """What most grids have some of: cells that diverge, choices at the edge, ties, few repeats or samples."""
    runs = list(zip(material.names, material.results, strict=True))
    lines = _together((side.label, w) for side in material.sides for w in _diverged(side))
    lines += _together((c.side.label, w) for c in material.choices for w in _choice(c))
    return lines + _of_runs(runs, _run)


def _of_runs(
    runs: Sequence[tuple[str, Result]], warned: Callable[[Result], Iterable[str]]
) -> list[str]:
    """What is said of runs; they are named where there are several."""
    if len(runs) == 1:
        return list(warned(runs[0][1]))
    return _together((name, words) for name, result in runs for words in warned(result))


def _together(said: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each thing said, with all those it was said of before it."""
    about: dict[str, list[str]] = {}
    for label, words in said:
        about.setdefault(words, []).append(label)
    return [f"{', '.join(labels)}: {words}" for words, labels in about.items()]


def _say(kind: str, **values: Any) -> str:
    return render("report/sentences.jinja", "warning", kind=kind, named=_NAMED, **values)


def _not_run(side: BackendGrid) -> Iterator[str]:
    for status in (Status.FAILED, Status.TIMEOUT, Status.UNAVAILABLE, Status.UNSUPPORTED):
        lost = int((side.statuses == status).sum())
        if lost:
            reason = side.records.loc[side.records["status"] == status, "reason"].iloc[0]
            yield _say("lost", lost=lost, all=side.statuses.size, status=status, reason=reason)


def _diverged(side: BackendGrid) -> Iterator[str]:
    times = (side.statuses == Status.DIVERGED).sum(axis=2)
    cells = [number_words.cell(*c) for c in side.names(times > 0)]
    if cells:
        yield _say("diverged", cells=cells, all=side.ok.size)
    cells = [number_words.cell(*c) for c in side.names((times > 0) & (times < side.repeats))]
    if cells:
        yield _say("diverged in some", cells=cells)


def _collapsed(side: BackendGrid) -> Iterator[str]:
    """Cells that learnt in some repeats only; their mean says nothing."""
    if side.metric != "accuracy" or side.repeats == 1:
        return
    chance, learned = guessing(side.result.target(0).astype(np.int64))
    times = collapsed(side.scores, chance, learned).sum(axis=1).reshape(side.shape)
    times = np.where(side.ok, times, 0)
    cells = [
        f"{number_words.cell(*cell)} ({number} of {side.repeats})"
        for cell, number in zip(side.cells, times.ravel().tolist(), strict=True)
        if number
    ]
    if cells:
        yield _say("collapsed", cells=cells)


def _choice(choice: Choice) -> Iterator[str]:
    side = choice.side
    if choice.edges:
        yield _say("edge", edges=choice.edges)
    validation = side.mean(f"validation_{side.choose_by}")
    ties = int((validation == validation[choice.row, choice.column]).sum())
    if ties > 1:
        yield _say("ties", ties=ties)


def learnt_nothing(result: Result) -> list[str]:
    """The backends whose chosen cell learnt nothing, in words, with what to try."""
    choices = Material((result,)).choices
    return _together((c.side.label, w) for c in choices for w in _nothing_learnt(c))


def undefined_scores(result: Result) -> Iterator[str]:
    """That R² is not defined, where all test targets of a repeat are the same; in words."""
    if result.metric != "r2":
        return
    every = range(result.experiment.repeats)
    constant = [k + 1 for k in every if np.ptp(result.target(k)) == 0]
    if constant:
        yield _say("no spread", constant=constant, repeats=len(every))


def _nothing_learnt(choice: Choice) -> Iterator[str]:
    side = choice.side
    spread = side.result.manifest["dataset"].get("feature_spread")
    unequal = spread and (spread[1] > _UNEQUAL * spread[0] or spread[1] > _UNEQUAL)
    scaled = side.result.experiment.scale != "none"
    tried = {"spread": spread if unequal and not scaled else None}
    if side.metric == "accuracy":
        chance, luck = guessing(side.result.target(0).astype(np.int64))
        if choice.test <= luck:
            yield _say("guessing", test=choice.test, chance=chance, **tried)
    elif choice.test <= 0:
        yield _say("no fit", **tried)


def _run(result: Result) -> Iterator[str]:
    yield from undefined_scores(result)
    repeats = result.experiment.repeats
    if repeats < _REPEATS:
        yield _say("few repeats", repeats=repeats, wanted=_REPEATS)
    samples = len(result.target(0))
    if result.metric == "accuracy" and 1 / samples > _COARSE:
        yield _say("coarse", samples=samples)


def _between(material: Material) -> Iterator[str]:
    """What differs between runs that are set side by side; one line for each kind of thing."""
    first, first_name = material.results[0], material.names[0]
    for result, name in zip(material.results[1:], material.names[1:], strict=True):
        different = run_differences(first, result, ignore={"backends", "variants"})
        for kind in dict.fromkeys(d.kind for d in different):
            own = [d for d in different if d.kind == kind]
            if kind in ("data", "split"):
                said = _say("samples", what=kind)
            elif kind == "setting":
                said = _say(kind, changes=sorted(d.name for d in own))
            elif kind == "threads":
                said = _say(kind, changes=[f"{d.second} and {d.first}" for d in own])
            else:
                changes = [f"{d.name} {d.first} → {d.second}" for d in own]
                said = _say(kind, changes=changes)
            yield f"{name} and {first_name}: {said}"
