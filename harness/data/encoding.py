"""What a network is given of columns: missing values filled in, categories as 0 and 1.

All of it is fitted on the training part alone. A category that the training part does not have is no
column: a sample that has it is 0 in all columns of that feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.data.split import Split
from harness.experiment.experiment import Experiment


@dataclass(frozen=True)
class Encoder:
    """What a network is given of columns, before scaling.

    inputs: the inputs' names. transform: (samples, columns) to (samples, inputs).
    """

    inputs: tuple[str, ...]
    transform: Callable[[NDArray[Any]], NDArray[Any]]


def fitted_encoder(dataset: Dataset, split: Split, experiment: Experiment) -> Encoder:
    """The encoder of a data set, fitted on the training part.

    A feature that is missing somewhere gets the training part's median, a category its most frequent one;
    where ``missing_indicator`` is asked for, a column at the end says of each such feature whether it was
    missing. Categories become one column each, in the order of their names.
    """
    if dataset.plain:
        return Encoder(dataset.features, lambda x: x)
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    categories = dataset.categories or ((),) * len(dataset.features)
    steps: list[tuple[str, Any, list[int]]] = []
    for number, names in enumerate(categories):
        if not names:
            step = SimpleImputer(strategy="median", keep_empty_features=True)
        else:
            step = make_pipeline(
                SimpleImputer(strategy="most_frequent", keep_empty_features=True),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            )
        steps.append((str(number), step, [number]))
    if experiment.missing_indicator:
        marks = MissingIndicator(features="missing-only", error_on_new=False)
        steps.append(("missing", marks, list(range(len(categories)))))
    transformer = ColumnTransformer(steps)
    transformer.fit(dataset.x[split.train])
    inputs: list[str] = []
    for number, (feature, names) in enumerate(zip(dataset.features, categories, strict=True)):
        if not names:
            inputs.append(feature)
            continue
        (codes,) = transformer.named_transformers_[str(number)][-1].categories_
        inputs += [f"{feature}={names[int(code)]}" for code in codes]
    if experiment.missing_indicator:
        missing = transformer.named_transformers_["missing"].features_
        inputs += [f"{dataset.features[number]} is missing" for number in missing]
    return Encoder(tuple(inputs), lambda x: np.asarray(transformer.transform(x), dtype=np.float64))


def encoded(
    dataset: Dataset, split: Split, experiment: Experiment
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """All samples as a network's inputs before scaling, (samples, inputs), and the inputs' names."""
    encoder = fitted_encoder(dataset, split, experiment)
    return encoder.transform(dataset.x), encoder.inputs


def inputs_of(dataset: Dataset, split: Split, experiment: Experiment) -> int:
    """How many inputs a network has."""
    return len(fitted_encoder(dataset, split, experiment).inputs)
