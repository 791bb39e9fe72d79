"""What is compared with what: two backends of a run, or one of two runs."""

from __future__ import annotations

from itertools import combinations

from harness.errors import InputError
from harness.results.backend_grid import BackendGrid, common_grid
from harness.results.result import Result
from harness.results.run_differences import run_differences
from harness.training.status import NOT_TRAINED

Pair = tuple[BackendGrid, BackendGrid]


def grid_pairs(first: Result, second: Result | None = None) -> list[Pair]:
    """The pairs to compare, each on the cells and repeats that both have.

    Within one run every two of its backends; between two runs each backend that both have, or, if they
    share none and have one each, those two. :class:`InputError` where nothing can be compared.
    """
    if second is None:
        grids = _measured_grids(first, "")
        if len(grids) < 2:
            raise InputError(
                f"compare: {first.name!r} has one backend that ran ({', '.join(grids) or 'none'}); "
                "allowed: two or more, or a second run"
            )
        return list(combinations(grids.values(), 2))
    _same_task(first, second)
    names = told_apart(first.name, second.name)
    left, right = (_measured_grids(r, name) for r, name in zip((first, second), names, strict=True))
    shared = [(left[backend], right[backend]) for backend in left if backend in right]
    if not shared and len(left) == len(right) == 1:
        shared = list(zip(left.values(), right.values(), strict=True))
    if not shared:
        raise InputError(
            f"compare: {first.name!r} ({', '.join(left)}) and {second.name!r} ({', '.join(right)}) "
            "share no backend; allowed: runs that do, or that have one each"
        )
    pairs = [common_grid(one, other) for one, other in shared]
    if not all(pairs[0][0].shape):
        raise InputError(
            f"compare: {first.name!r} and {second.name!r} share no cell of the grid; "
            "allowed: runs with a common eta and lmbd"
        )
    return pairs


def told_apart(first: str, second: str) -> tuple[str, str]:
    """What two runs are called beside each other: their names, if those differ."""
    return (first, second) if first != second else ("first", "second")


def _measured_grids(result: Result, run: str) -> dict[str, BackendGrid]:
    """Each backend of a run that ran."""
    return {
        backend: BackendGrid.of(result, backend, f"{backend} ({run})" if run else backend)
        for backend in result.backends
        if not result.of(backend)["status"].isin(NOT_TRAINED).all()
    }


def _same_task(first: Result, second: Result) -> None:
    """Two runs can be paired only on the same data and the same split."""
    words = {"data": "data", "split": "split into train, validation and test"}
    for difference in run_differences(first, second):
        if difference.kind in words:
            raise InputError(
                f"compare: {first.name!r} and {second.name!r} have different "
                f"{words[difference.kind]}; allowed: runs of the same data, seed, test_size and "
                "validation_size"
            )
