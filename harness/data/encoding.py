"""What a network is given of columns: missing values filled in, categories as 0 and 1.

All of it is fitted on the training part alone. A category that the training part does not have is no
column: a sample that has it is 0 in all columns of that feature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.split import Split
from harness.experiment.experiment import Experiment


@dataclass(frozen=True)
class Encoder:
    """What a network is given of columns, before scaling.

    inputs: the inputs' names. fill: by column, what stands for a missing value. known: by column, the
    categories of the training part, none for numbers. marked: columns whose gaps get an input of their own.
    as_it_is: numbers without a gap, which stay what they are.
    """

    inputs: tuple[str, ...]
    fill: NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    known: tuple[NDArray[Any], ...] = ()
    marked: tuple[int, ...] = ()
    as_it_is: bool = False

    def transform(self, x: NDArray[Any]) -> NDArray[Any]:
        """(samples, columns) to (samples, inputs)."""
        if self.as_it_is:
            return x
        result, at = np.zeros((len(x), len(self.inputs))), 0
        for number, codes in enumerate(self.known):
            values = _filled(x[:, number], self.fill[number])
            if len(codes):
                place = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
                rows = np.flatnonzero(codes[place] == values)
                result[rows, at + place[rows]] = 1
                at += len(codes)
            else:
                result[:, at] = values
                at += 1
        for number in self.marked:
            result[:, at] = np.isnan(x[:, number])
            at += 1
        return result


def _filled(values: NDArray[Any], fill: float) -> NDArray[Any]:
    return np.where(np.isnan(values), fill, values)


def fitted_encoder(dataset: Dataset, split: Split, experiment: Experiment) -> Encoder:
    """The encoder of a data set, fitted on the training part.

    A feature that is missing somewhere gets the training part's median, a category its most frequent one;
    where ``missing_indicator`` is asked for, a column at the end says of each such feature whether it was
    missing. Categories become one column each, in the order of their names.
    """
    if dataset.plain:
        return Encoder(dataset.features, as_it_is=True)
    train = dataset.x[split.train]
    categories = dataset.categories or ((),) * len(dataset.features)
    gappy = np.isnan(dataset.x).any(axis=0)
    fill, known, inputs = np.zeros(train.shape[1]), [], []
    for number, (feature, names) in enumerate(zip(dataset.features, categories, strict=True)):
        values = train[:, number]
        if gappy[number]:
            fill[number] = _fill_value(values, "most_frequent" if names else "median")
        codes = np.unique(_filled(values, fill[number])) if names else np.zeros(0)
        known.append(codes)
        inputs += [f"{feature}={names[int(c)]}" for c in codes] if names else [feature]
    gaps = np.flatnonzero(np.isnan(train).any(axis=0)) if experiment.missing_indicator else ()
    inputs += [f"{dataset.features[number]} is missing" for number in gaps]
    return Encoder(tuple(inputs), fill, tuple(known), tuple(map(int, gaps)))


def _fill_value(values: NDArray[Any], strategy: str) -> float:
    """What scikit-learn's SimpleImputer puts in the place of a missing value, 0 where all are missing."""
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer(strategy=strategy, keep_empty_features=True)
    return float(imputer.fit(values[:, None]).statistics_[0])


def encoded(
    dataset: Dataset, split: Split, experiment: Experiment
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """All samples as a network's inputs before scaling, (samples, inputs), and the inputs' names."""
    encoder = fitted_encoder(dataset, split, experiment)
    return encoder.transform(dataset.x), encoder.inputs


def inputs_of(dataset: Dataset, split: Split, experiment: Experiment) -> int:
    """How many inputs a network has."""
    return len(fitted_encoder(dataset, split, experiment).inputs)
