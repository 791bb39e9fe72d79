"""What is odd about a data set: columns that give the target away, imbalance, constants, scales."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.columns import listed_names
from harness.data.survey import IMBALANCED, Survey
from harness.experiment.experiment import Experiment

_LOOKED_AT = 2000  # samples in which a column that gives the target away is looked for
_FIRST = 100  # of them that rule most columns out
_MOST_COLUMNS = 200  # among which it is looked for
_BINS = 32
# share of what a guess leaves open that one column predicts, that others do
_ALONE, _OTHERS = 0.97, 0.9
_WHOLE = 1e15  # whole numbers below are written without a power
_MOSTLY = 0.5  # share of missing values
_FEW = 3  # samples of a class, one for each part
_GROUPS = 4  # of columns that hold the same values, which are named
_SCALES = 1000  # ratio of the widest to the narrowest feature, from which on scaling helps


SCALES_DIFFER = "scales differ"  # how the warning begins


def odd_features(survey: Survey, experiment: Experiment) -> list[str]:
    """Warnings on a survey without refusals, the gravest first."""
    x, y = survey.x[0], survey.y[0]
    warnings = []
    if not all(c.name.rpartition("_")[2].isdigit() for c in survey.features[:50]):
        warnings += _leaks(survey, x, y)
    if survey.classes:
        counts = np.bincount(y, minlength=len(survey.classes))
        if counts.max() > IMBALANCED * len(y):
            largest = survey.classes[int(counts.argmax())]
            warnings.append(
                f"imbalanced: {100 * counts.max() / len(y):.0f} % of the samples are of class {largest}, "
                "so a network that always says so has that accuracy"
            )
        few = [name for name, n in zip(survey.classes, counts, strict=True) if n < _FEW]
        if few and len(survey.x) == 1:
            warnings.append(
                f"{listed_names(few)}: fewer than {_FEW} samples of a class, too few for one in each of "
                "training, validation and test part; leave out those rows, or merge them with another class"
            )
    gappy = np.flatnonzero(survey.gaps[0])
    mostly = [survey.features[n].name for n in gappy if np.isnan(x[:, n]).mean() > _MOSTLY]
    if mostly:
        warnings.append(
            f"{listed_names(mostly)} missing in more than half of the samples, so that most of it would be "
            f"made up; --drop {quote(','.join(mostly))}"
        )
    numbers = [n for n, c in enumerate(survey.features) if c.kind == "number"]
    low, high = (end[numbers] for end in survey.ends[0])
    width = np.asarray(high, float) - np.asarray(low, float)
    constant = [survey.features[n].name for n, w in zip(numbers, width, strict=True) if w == 0]
    if constant:
        warnings.append(f"constant, of no use: {listed_names(constant)}")
    warnings += _equal_columns(survey, x)
    warnings += _likely_markers(
        survey, x, dict(zip(numbers, zip(low, high, strict=True), strict=True))
    )
    if experiment.scale == "none" and (width > 0).any():
        wide = width[width > 0]
        if wide.max() > _SCALES * wide.min():
            first, last = (
                survey.features[numbers[int(n)]].name for n in (np.argmax(width), _least(width))
            )
            warnings.append(
                f"{SCALES_DIFFER}: {first} spans {width.max():.3g}, {last} {wide.min():.3g}; a network "
                "learns better from --scale standard"
            )
    return warnings


def _equal_columns(survey: Survey, x: NDArray[Any]) -> list[str]:
    """Columns that hold the same values as another one, those left out that are constant."""
    low, high = survey.ends[0]
    varied = np.flatnonzero(low != high)
    rows = np.unique(np.linspace(0, len(x) - 1, _FIRST).astype(int))
    some = np.asarray(x[rows], order="F")
    told = []
    for group in _groups(varied, lambda n: some[:, n].tobytes()):
        for same in _groups(group, lambda n: (survey.features[n].values, x[:, n].tobytes())):
            names = [survey.features[n].name for n in same]
            told.append(
                f"{listed_names(names)} hold the same values, of which one is enough: "
                f"--drop {quote(','.join(names[1:]))}"
            )
    more = f"columns of {len(told) - _GROUPS} more groups hold the same values"
    return told if len(told) <= _GROUPS else [*told[:_GROUPS], more]


def _groups(columns: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """The columns that have a key in common with others."""
    found: dict[Hashable, list[int]] = {}
    for column in columns:
        found.setdefault(key(column), []).append(int(column))
    return [group for group in found.values() if len(group) > 1]


def _likely_markers(
    survey: Survey, x: NDArray[Any], ends: dict[int, tuple[float, float]]
) -> list[str]:
    """Values that seem to stand for a missing one, such as -999, with the columns they are in.

    It is a column's first or last, comes more than once, and lies further from all others than half of what
    they span: nines alone, or a negative whole number where nothing else is negative.
    """
    columns: dict[float, list[str]] = {}
    for number, pair in ends.items():
        for value in pair:
            nines = len(digits := _in_full(abs(float(value)))) > 1 and set(digits) == {"9"}
            if not nines and not (value <= -10 and value == int(value)):
                continue
            values = x[:, number]
            others = values[(values != value) & ~np.isnan(values.astype(float))]
            if not len(others):
                continue
            least, most = float(others.min()), float(others.max())
            gap = least - value if value < least else value - most
            times = int((values == value).sum())
            if times > 1 and gap > (most - least) / 2 and (nines or least >= 0):
                name = survey.features[number].name
                columns.setdefault(float(value), []).append(f"{name} ({times} times)")
    return [
        f"{_in_full(value)} in {listed_names(names)} lies far from all other values; if it stands for a "
        f"missing one: --missing-values {_in_full(value)}"
        for value, names in columns.items()
    ]


def _in_full(value: float) -> str:
    """A value as a file has it, with all its digits."""
    return str(int(value)) if value.is_integer() and abs(value) < _WHOLE else repr(value)


def _least(width: NDArray[Any]) -> int:
    return int(np.argmin(np.where(width > 0, width, np.inf)))


def _leaks(survey: Survey, x: NDArray[Any], y: NDArray[Any]) -> list[str]:
    """Columns that are the target in other words, and one that alone predicts it while no other does."""
    features, target = survey.features, survey.target
    if len(features) > _MOST_COLUMNS:
        return []
    told, power = [], np.zeros(len(features))
    rows = np.random.default_rng(0).permutation(len(y))[:_LOOKED_AT]
    some, own = np.asarray(x[rows], np.float64, order="F"), y[rows]
    for number, column in enumerate(features):
        if survey.classes and _one_to_one(x[:, number], y):
            told.append(
                f"{column.name} gives {target} away: one value of it for each class; "
                f"--drop {quote(column.name)}"
            )
        power[number] = _predicts(some[:, number], own, bool(survey.classes))
    if told or len(features) < 2:
        return told
    best, second = np.argsort(power)[::-1][:2]
    if power[best] >= _ALONE and power[second] < _OTHERS:
        name = features[int(best)].name
        return [
            f"{name} alone predicts {target} almost without fault, and no other column does; if it is not "
            f"known before {target} is, it gives it away: --drop {quote(name)}"
        ]
    return []


def _one_to_one(values: NDArray[Any], y: NDArray[Any]) -> bool:
    """Whether there is one value for each class and one class for each value, what is missing left out."""
    for rows in (slice(_FIRST), slice(_LOOKED_AT), slice(None)):  # the first tell of most columns
        some = values[rows]
        whole = some == some
        pairs = {*zip(some[whole].tolist(), y[rows][whole].tolist(), strict=True)}
        if not len(pairs) == len({value for value, _ in pairs}) == len({own for _, own in pairs}):
            return False
    return len(pairs) > 1


def _predicts(values: NDArray[np.float64], y: NDArray[Any], classes: bool) -> float:
    """The share of what a guess leaves open that a column predicts, learnt on one half, tried on the other.

    The column is cut into bins of equally many samples, each of which predicts its commonest class or its
    mean value.
    """
    values = np.nan_to_num(values, nan=-np.inf)
    half = len(y) // 2
    if half < 10:
        return 0.0
    edges = np.unique(
        np.quantile(values[:half], np.linspace(0, 1, _BINS + 1)[1:-1], method="higher")
    )
    bins = np.searchsorted(edges, values)
    before, after = slice(None, half), slice(half, None)
    if classes:
        counts = np.zeros((len(edges) + 1, int(y.max()) + 1))
        np.add.at(counts, (bins[before], y[before]), 1)
        guess = counts.sum(axis=0).argmax()
        wrong = (counts.argmax(axis=1)[bins[after]] != y[after]).mean()
        open_ = (y[after] != guess).mean()
    else:
        sums = np.bincount(bins[before], y[before], len(edges) + 1)
        number = np.maximum(np.bincount(bins[before], minlength=len(edges) + 1), 1)
        wrong = np.square((sums / number)[bins[after]] - y[after]).mean()
        open_ = np.var(y[after])
    return float(1 - wrong / open_) if open_ else 0.0
