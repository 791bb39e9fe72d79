"""_PerCell of predictions, for a stack of cells at once.

Where classes are of unequal size accuracy says little: naming the largest class alone is right in its share
of the samples. Balanced accuracy, macro F1 and, for two classes, the area under the ROC curve are taken
as scikit-learn defines them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from backends.network import Array, Network
from harness.experiment.experiment import Experiment

_PerCell = NDArray[np.float64]
OF_CLASSES = ("balanced_accuracy", "macro_f1")
OF_TWO_CLASSES = "roc_auc"


def score_names(experiment: Experiment, classes: int) -> tuple[str, ...]:
    """The scores that records have of each part; 0 classes: regression."""
    more = (*OF_CLASSES, *((OF_TWO_CLASSES,) if classes == 2 else ()))
    return (*experiment.metrics, *(more if classes else ()))


def scores(
    names: Sequence[str], answers: NDArray[Any], y: NDArray[Any], rank: Array | None = None
) -> dict[str, _PerCell]:
    """_PerCell by name, each of shape (cells,).

    answers: predicted class numbers, for regression values, (cells, samples). y: (samples,). rank:
    what samples are ranked by for ``roc_auc``, such as the probability of the second class.
    """
    found: dict[str, _PerCell] = {}
    counts = _confusion(answers, y) if set(OF_CLASSES) & set(names) else None
    for name in names:
        if name == OF_TWO_CLASSES:
            assert rank is not None
            found[name] = roc_auc(rank, y)
        elif name in OF_CLASSES:
            assert counts is not None
            found[name] = (balanced_accuracy if name == "balanced_accuracy" else macro_f1)(counts)
        else:
            found[name] = score(name, answers, y)
    return found


def score(metric: str, predicted: NDArray[Any], y: NDArray[Any]) -> _PerCell:
    """accuracy: share of predicted labels equal to y. r2: 1 - sum (y - p)^2 / sum (y - mean y)^2.
    rmse: square root of the mean of (y - p)^2. predicted: (cells, samples); gives (cells,). The R² of
    targets that are all the same is not defined: NaN.
    """
    if metric == "accuracy":
        return (predicted == y).mean(axis=1)
    squared = np.square(predicted.astype(np.float64) - y)
    if metric == "rmse":
        return np.sqrt(squared.mean(axis=1))
    if y.min() == y.max():
        return np.full(len(predicted), np.nan)
    return 1 - squared.sum(axis=1) / np.square(y - y.mean(dtype=np.float64)).sum()


def _confusion(predicted: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """Samples of each true class (rows) taken for each class (columns); (cells, classes, classes)."""
    cells, classes = len(predicted), int(max(y.max(), predicted.max())) + 1
    place = (np.arange(cells)[:, None] * classes + y) * classes + predicted
    counts = np.bincount(place.ravel(), minlength=cells * classes**2)
    return counts.reshape(cells, classes, classes)


def balanced_accuracy(counts: NDArray[np.int64]) -> _PerCell:
    """The mean over the classes that occur of the share of their samples that is recognised; (cells,)."""
    right, true = _diagonal(counts), counts.sum(axis=2)
    return _mean(right / np.maximum(true, 1), true > 0)


def macro_f1(counts: NDArray[np.int64]) -> _PerCell:
    """The mean of 2 TP / (2 TP + FP + FN) over the classes that occur or are predicted; (cells,)."""
    named = counts.sum(axis=1) + counts.sum(axis=2)
    return _mean(2 * _diagonal(counts) / np.maximum(named, 1), named > 0)


def roc_auc(rank: Array, y: NDArray[Any]) -> _PerCell:
    """The chance that a sample of class 1 ranks above one of class 0, ties counting half; (cells,).

    By the rank sum, (R_1 - n_1 (n_1 + 1) / 2) / (n_0 n_1) (Mann and Whitney 1947); NaN where y has one
    class only. rank: (cells, samples).
    """
    second = y == 1
    ones, zeros = int(second.sum()), int((~second).sum())
    if not ones or not zeros:
        return np.full(len(rank), np.nan)
    total = rankdata(rank, axis=1)[:, second].sum(axis=1)
    return np.asarray((total - ones * (ones + 1) / 2) / (ones * zeros))


def _diagonal(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diagonal(counts, axis1=1, axis2=2)


def _mean(values: _PerCell, where: NDArray[np.bool_]) -> _PerCell:
    """The mean of each cell's values that count."""
    return np.asarray((values * where).sum(axis=1) / where.sum(axis=1))


def answers_of(z: Array, network: Network) -> NDArray[Any]:
    """Class numbers from logits (cells, samples, outputs); for regression the values themselves."""
    if network.output == "softmax":
        return z.argmax(axis=-1)
    return z[..., 0] if network.output == "identity" else (z[..., 0] > 0).astype(np.int64)
