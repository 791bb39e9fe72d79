"""What differs between two runs: data, split, settings, and what was around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from harness.results.manifest import LIBRARIES
from harness.results.result import Result

DifferenceKind = Literal["data", "split", "setting", "version", "machine", "threads", "variable"]
# settings that only say how much of the same thing was run, or by whom
EXTENT = frozenset({"preset", "backends", "variants", "repeats", "eta", "lmbd", "dataset"})
MACHINE = ("platform", "cpu", "blas", "simd")


@dataclass(frozen=True)
class RunDifference:
    """One thing that two runs do not have in common: its kind, its name, and what it is in each."""

    kind: DifferenceKind
    name: str
    first: Any
    second: Any


def run_differences(
    first: Result, second: Result, ignore: Collection[str] = EXTENT
) -> list[RunDifference]:
    """Everything that two runs do not have in common and that can change a result, gravest first.

    Data and split by their hashes; settings but those to ``ignore``; versions, machine, threads and
    environment variables only where both runs recorded them.
    """
    return [*_held_out(first, second), *_settings(first, second, ignore), *_around(first, second)]


def _held_out(first: Result, second: Result) -> Iterator[RunDifference]:
    hashes: tuple[tuple[DifferenceKind, str], ...] = (("data", "sha256"), ("split", "split_sha256"))
    for kind, key in hashes:
        one, two = (r.manifest["dataset"].get(key) for r in (first, second))
        if one != two:
            yield RunDifference(kind, kind, one, two)
            return  # of other data the split is another one in any case


def _settings(first: Result, second: Result, ignore: Collection[str]) -> Iterator[RunDifference]:
    for name, (one, two) in first.experiment.differences(second.experiment).items():
        if name not in ignore:
            yield RunDifference("setting", name, one, two)
    for name in first.backends:
        one, two = (run.experiment.place(name) for run in (first, second))
        if name in second.backends and one != two:
            yield RunDifference("setting", f"variants.{name}", one, two)


def _around(first: Result, second: Result) -> Iterator[RunDifference]:
    looked_at: tuple[tuple[DifferenceKind, str, tuple[str, ...]], ...] = (
        ("version", "versions", ("python", *LIBRARIES)),
        ("machine", "machine", MACHINE),
        ("threads", "execution", ("threads",)),
    )
    for kind, key, names in looked_at:
        one, two = (r.manifest.get(key, {}) for r in (first, second))
        for name in names:
            if name in one and name in two and one[name] != two[name]:
                yield RunDifference(kind, name, one[name], two[name])
    if all("environment" in run.manifest for run in (first, second)):
        one, two = (run.manifest["environment"] for run in (first, second))
        for name in sorted({*one, *two}):
            if one.get(name) != two.get(name):
                values = (one.get(name, "not set"), two.get(name, "not set"))
                yield RunDifference("variable", name, *values)
