"""Reference lines: what other methods score on the same split, for a sense of scale.

Logistic (for regression: linear) regression, a random forest, gradient boosting and k nearest
neighbours, all of scikit-learn with its defaults, each trained on the same rows as the networks and
scored on the same parts. Nothing is tuned; the validation part is only scored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.data.dataset import Dataset
from harness.data.scaling import scaled
from harness.data.split import Split, split_rows
from harness.experiment.experiment import Experiment
from harness.training.scores import score_names, scores
from harness.training.units import varies_split


def reference_models(task: str, seed: int) -> dict[str, Any]:
    """The reference methods by name, unfitted. Those that measure distances see standardised features."""
    from sklearn import ensemble, linear_model, neighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task == "regression":
        return {
            "linear regression": linear_model.LinearRegression(),
            "random forest": ensemble.RandomForestRegressor(random_state=seed),
            "gradient boosting": ensemble.HistGradientBoostingRegressor(random_state=seed),
            "k nearest neighbours": make_pipeline(
                StandardScaler(), neighbors.KNeighborsRegressor()
            ),
        }
    return {
        "logistic regression": make_pipeline(
            StandardScaler(), linear_model.LogisticRegression(max_iter=1000)
        ),
        "random forest": ensemble.RandomForestClassifier(random_state=seed),
        "gradient boosting": ensemble.HistGradientBoostingClassifier(random_state=seed),
        "k nearest neighbours": make_pipeline(StandardScaler(), neighbors.KNeighborsClassifier()),
    }


def reference_scores(
    experiment: Experiment, dataset: Dataset, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """The reference methods on the experiment's split or splits, one row each.

    Columns: model, repeat, then ``{train,validation,test}_{score}`` for the scores that records have, and
    seconds. Repeats that share their split share a row, repeat 0.
    """
    repeats = range(experiment.repeats) if varies_split(experiment) else range(1)
    rows = []
    for repeat in repeats:
        split = split_rows(dataset, experiment, repeat)
        x = scaled(dataset, split, experiment)
        for name, model in reference_models(experiment.task, experiment.seed).items():
            if names is None or name in names:
                measured = _measured(model, x, dataset, split, experiment)
                rows.append({"model": name, "repeat": repeat, **measured})
    return pd.DataFrame(rows)


def _measured(
    model: Any, x: Any, dataset: Dataset, split: Split, experiment: Experiment
) -> dict[str, float]:
    begun = time.perf_counter()
    model.fit(x[split.train], dataset.y[split.train])
    seconds = time.perf_counter() - begun
    names = score_names(experiment, len(dataset.classes))
    measured = {}
    for part, rows in split.items():
        predicted = np.asarray(model.predict(x[rows]))[None]
        rank = model.predict_proba(x[rows])[None, :, 1] if len(dataset.classes) == 2 else None
        for name, values in scores(names, predicted, dataset.y[rows], rank).items():
            measured[f"{part}_{name}"] = float(values[0])
    return measured | {"seconds": seconds}
