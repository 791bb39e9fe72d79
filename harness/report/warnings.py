"""What a reader should be warned of, found in the records without being asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from harness.document import numbers
from harness.report.backend_grid import Side
from harness.report.chosen_cells import Choice
from harness.report.runs import Material
from harness.results.result import Result
from harness.stats.repeats import collapsed, guessing

REPEATS = 5  # fewer say little about spread
COARSE = 0.01  # of accuracy: a test sample that is worth more makes a coarse test set
NAMED = 6  # cells that a warning names


def warnings(material: Material) -> list[str]:
    """All warnings, the gravest first; what holds for several backends is said once."""
    runs = list(zip(material.names, material.results, strict=True))
    found = _of_runs(runs, lambda result: result.manifest.get("notes", []))
    for kind in (_not_run, _diverged, _collapsed):
        found += _together((side.label, w) for side in material.sides for w in kind(side))
    found += _together((c.side.label, w) for c in material.choices for w in _choice(c))
    found += _of_runs(runs, _run)
    return found + list(_between(material))


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


def _not_run(side: Side) -> Iterator[str]:
    for status in ("failed", "timeout", "unavailable", "unsupported"):
        number = int((side.statuses == status).sum())
        if number:
            reason = side.records.loc[side.records["status"] == status, "reason"].iloc[0]
            yield f"{number} of {numbers.count(side.statuses.size, 'network')} {status} ({reason})"


def _diverged(side: Side) -> Iterator[str]:
    times = (side.statuses == "diverged").sum(axis=2)
    if not times.any():
        return
    cells = [numbers.cell(*c) for c in side.names(times > 0)]
    yield (
        f"{len(cells)} of {numbers.count(side.cells, 'cell')} diverged "
        f"(non-finite weights or outputs): {numbers.listed(cells, NAMED)}"
    )
    some = (times > 0) & (times < side.repeats)
    if some.any():
        cells = [numbers.cell(*c) for c in side.names(some)]
        yield (
            f"diverged in some repeats and not in others, "
            f"no mean is given there: {numbers.listed(cells, NAMED)}"
        )


def _collapsed(side: Side) -> Iterator[str]:
    """Cells that learnt in some repeats only; their mean says nothing."""
    if side.metric != "accuracy" or side.repeats == 1:
        return
    chance, learned = guessing(side.result.target(0).astype(np.int64))
    scores = side.values("test_accuracy").reshape(side.cells, -1)
    times = collapsed(scores, chance, learned).sum(axis=1).reshape(side.ok.shape)
    times = np.where(side.ok, times, 0)
    if times.any():
        cells = [
            f"{numbers.cell(float(side.eta[i]), float(side.lmbd[j]))} ({times[i, j]} of {side.repeats})"
            for i, j in np.argwhere(times)
        ]
        yield (
            "some repeats learnt nothing in cells where others learnt, a mean over them says little: "
            f"{numbers.listed(cells, NAMED)}"
        )


def _choice(choice: Choice) -> Iterator[str]:
    side = choice.side
    if choice.edges:
        yield (
            f"the chosen cell lies on the grid's edge ({', '.join(choice.edges)}); "
            "the optimum may lie outside"
        )
    validation = side.mean(f"validation_{side.metric}")
    ties = int((validation == validation[choice.row, choice.column]).sum())
    if ties > 1:
        yield (
            f"{ties} cells share the highest validation score; the lower validation loss decided"
        )
    if side.metric == "accuracy":
        chance, luck = guessing(side.result.target(0).astype(np.int64))
        if choice.test <= luck:
            yield (
                f"learnt nothing that the test set could show: {numbers.score(choice.test, 'accuracy')}, "
                f"where naming the commonest class gives {numbers.score(chance, 'accuracy')}"
            )
    elif choice.test <= 0:
        yield "learnt nothing; its test R² is not above that of the mean target, 0"


def _run(result: Result) -> Iterator[str]:
    repeats = result.experiment.repeats
    if repeats < REPEATS:
        seen = "no spread can be given" if repeats == 1 else "the spread is poorly known"
        yield f"{numbers.count(repeats, 'repeat')}, fewer than {REPEATS}: {seen}"
    samples = len(result.target(0))
    if result.metric == "accuracy" and 1 / samples > COARSE:
        yield (
            f"a coarse test set: one of its {samples} samples is worth "
            f"{numbers.span(1 / samples, 'accuracy')}"
        )


def _between(material: Material) -> Iterator[str]:
    """What differs between runs that are set side by side."""
    first, first_name = material.results[0], material.names[0]
    for result, name in zip(material.results[1:], material.names[1:], strict=True):
        where = f"{name} and {first_name}"
        mine, theirs = result.manifest, first.manifest
        for key, what in (("sha256", "data"), ("split_sha256", "split")):
            if mine["dataset"].get(key) != theirs["dataset"].get(key):
                yield f"{where}: another {what}; their test scores are not on the same samples"
                break
        versions = mine.get("versions", {}), theirs.get("versions", {})
        libraries = [k for k in versions[0] if versions[0][k] != versions[1].get(k)]
        if libraries:
            changes = [f"{k} {versions[1].get(k, 'none')} → {versions[0][k]}" for k in libraries]
            yield f"{where}: other versions ({', '.join(changes)})"
        threads = [m.get("execution", {}).get("threads") for m in (mine, theirs)]
        if threads[0] != threads[1]:
            yield f"{where}: other thread counts ({threads[0]} and {threads[1]})"
        settings = result.experiment.differences(first.experiment)
        settings.pop("backends", None)
        if settings:
            yield f"{where}: other settings ({', '.join(sorted(settings))})"
