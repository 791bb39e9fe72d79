"""The split of a data set into train, validation and test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.notebook_stream import NotebookStream
from harness.errors import InputError
from harness.experiment.experiment import Experiment


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts; without a part for validation that is the test part once more."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    @property
    def sha256(self) -> str:
        parts = (self.train, self.validation, self.test)
        return hashlib.sha256(b"|".join(p.astype(np.int64).tobytes() for p in parts)).hexdigest()

    def items(self) -> list[tuple[str, NDArray[np.intp]]]:
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]


def split_rows(dataset: Dataset, experiment: Experiment, repeat: int = 0) -> Split:
    """The split of one repeat: stratified by class and seeded.

    With ``vary = "initialisation"`` it is the same for every repeat; with ``"split"`` each repeat has
    its own; with ``folds = K`` repeat r tests on fold r mod K of the (r // K)-th shuffled K-fold cut.
    The notebook's draws split without regard to classes, and in their own order. Of data with a test part of
    its own only the rest is split. The data set keeps the one that all repeats share.
    """
    if dataset.test:
        _test_part_alone(dataset, experiment)
    if experiment.draws == "notebook":
        stream = NotebookStream(experiment, dataset.counts, repeat)
        return Split(stream.train, stream.validation, stream.test)
    if experiment.folds or experiment.vary == "split":
        return _drawn_split(dataset, experiment, repeat)
    sizes = dataset.test, experiment.test_size, experiment.validation_size
    asked = bool(dataset.classes), *sizes, experiment.seed
    of, split = dataset.splits.get(asked, (None, None))
    if of is not dataset.y or split is None:
        split = _drawn_split(dataset, experiment, repeat)
        dataset.splits[asked] = dataset.y, split
    return split


def _drawn_split(dataset: Dataset, experiment: Experiment, repeat: int) -> Split:
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    rows = np.arange(len(dataset.y))
    strata = dataset.y if dataset.classes else None
    try:
        if dataset.test:
            seed = split_seed(experiment.seed, repeat if experiment.vary == "split" else 0)
            rest, test = rows[: -dataset.test], rows[-dataset.test :]
        elif experiment.folds:
            kind = StratifiedKFold if dataset.classes else KFold
            seed = split_seed(experiment.seed, repeat // experiment.folds)
            cut = kind(experiment.folds, shuffle=True, random_state=seed)
            rest, test = list(cut.split(rows, strata))[repeat % experiment.folds]
        else:
            seed = split_seed(experiment.seed, repeat if experiment.vary == "split" else 0)
            rest, test = train_test_split(
                rows, test_size=experiment.test_size, stratify=strata, random_state=seed
            )
        train, validation = rest, test
        if experiment.validation_size:
            train, validation = train_test_split(
                rest,
                test_size=experiment.validation_size,
                stratify=None if strata is None else strata[rest],
                random_state=seed,
            )
    except ValueError as error:
        raise InputError(
            f"test_size, validation_size: {dataset.name!r} with {len(rows)} samples and "
            f"{len(dataset.classes)} classes cannot be split so ({_smallest_class(dataset) or error})"
        ) from None
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def _smallest_class(dataset: Dataset) -> str:
    """The class with the fewest samples, in words, if each part cannot have one of them."""
    if not dataset.classes:
        return ""
    counts = np.bincount(dataset.y, minlength=len(dataset.classes))
    least = int(counts.argmin())
    if counts[least] >= 3:
        return ""
    numbers = all(name.lstrip("-").replace(".", "", 1).isdigit() for name in dataset.classes)
    return (
        f"class {dataset.classes[least]!r} has {counts[least]}; each part needs one of every class"
        f"{', or --task regression' if numbers else ''}"
    )


def _test_part_alone(dataset: Dataset, experiment: Experiment) -> None:
    """Refuse settings that would split a test part of data which have their own."""
    test_size = Experiment.model_fields["test_size"].default
    for name, asked in (
        ("folds", experiment.folds is not None),
        ("test_size", experiment.test_size != test_size),
        ("draws notebook", experiment.draws == "notebook"),
    ):
        if asked:
            raise InputError(
                f"{name}: {dataset.name!r} has a test part of its own; allowed: without"
            )


def split_seed(seed: int, number: int) -> int:
    """A 32-bit seed from (seed, number) alone."""
    return int(np.random.SeedSequence(seed, spawn_key=(number, 7)).generate_state(1)[0])
