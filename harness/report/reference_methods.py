"""Reference lines: what other methods score on the same split, for a sense of scale.

Logistic (for regression: linear) regression, a random forest, gradient boosting and k nearest
neighbours, all of scikit-learn with its defaults, each trained on the same rows as the networks and
scored on the same parts. Nothing is tuned; the validation part is only scored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.data.dataset import Dataset
from harness.data.scaling import scaled
from harness.data.split import Split, split_rows
from harness.document.section import Picture, Section, Table
from harness.experiment.experiment import Experiment
from harness.training.evaluate import score
from harness.training.units import varies_split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.results.result import Result


def models(task: str, seed: int) -> dict[str, Any]:
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


def references(
    experiment: Experiment, dataset: Dataset, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """The reference methods on the experiment's split or splits, one row each.

    Columns: model, repeat, then ``{train,validation,test}_{metric}`` for the experiment's metrics, and
    seconds. Repeats that share their split share a row, repeat 0.
    """
    repeats = range(experiment.repeats) if varies_split(experiment) else range(1)
    rows = []
    for repeat in repeats:
        split = split_rows(dataset, experiment, repeat)
        x = scaled(dataset, split, experiment)
        for name, model in models(experiment.task, experiment.seed).items():
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
    found = {}
    for part, rows in split.items():
        predicted = np.asarray(model.predict(x[rows]))[None]
        for metric in experiment.metrics:
            found[f"{part}_{metric}"] = float(score(metric, predicted, dataset.y[rows])[0])
    return found | {"seconds": seconds}


def section(result: Result, dataset: Dataset) -> Section:
    """The reference methods beside the run's chosen cells, for a report."""
    from harness.document.numbers import NAMES
    from harness.document.numbers import score as shown

    experiment, metric = result.experiment, result.metric
    means = (
        references(experiment, dataset).drop(columns="repeat").groupby("model", sort=False).mean()
    )
    best = result.best().set_index("backend")
    scores = [f"{part}_{m}" for part in ("validation", "test") for m in experiment.metrics]
    rows = [
        {"method": f"{name} (network, chosen cell)", **row[scores], "seconds": row["seconds"]}
        for name, row in best.iterrows()
    ] + [
        {"method": name, **row[scores], "seconds": row["seconds"]} for name, row in means.iterrows()
    ]
    frame = pd.DataFrame({"method": [row["method"] for row in rows]})
    for column in scores:
        part, _, name = column.partition("_")
        frame[f"{part} {NAMES[name]}"] = [shown(row[column], name) for row in rows]
    frame["seconds"] = [f"{row['seconds']:.2f}" for row in rows]
    column = f"test_{metric}"
    return Section(
        "Reference methods",
        text=[
            "Other methods of scikit-learn with their defaults, trained on the same rows and scored on "
            "the same parts, nothing tuned: a sense of scale, not a contest.",
        ],
        tables=[Table(frame, "Networks and reference methods on the same split")],
        pictures=[
            Picture(
                "references",
                partial(draw, best[column].to_dict(), means[column].to_dict(), NAMES[metric]),
                f"Test {NAMES[metric]} of each backend's chosen cell, with the reference methods as "
                "lines.",
                "Points for the backends and dashed horizontal lines for four reference methods.",
            )
        ],
    )


def draw(networks: Mapping[Any, float], lines: Mapping[Any, float], label: str) -> Figure:
    """The networks' scores as points, the reference methods' as lines across."""
    from harness.document.canvas import Frame, panels

    frame = Frame(width=4.6, height=2.6, left=0.78, right=2.3, top=0.25, bottom=0.45)
    figure, (axis,) = panels(1, 1, frame)
    colours = ("#8c959f", "#2da44e", "#8250df", "#d9730d")
    for (name, value), colour in zip(lines.items(), colours, strict=False):
        axis.axhline(value, color=colour, lw=1.4, ls="--", label=f"{name}  {value:.4f}")
    axis.plot(range(len(networks)), list(networks.values()), "o", color="#3b6fb6", ms=8)
    axis.set_xticks(range(len(networks)), list(networks))
    axis.set_xlim(-0.6, len(networks) - 0.4)
    values = [*networks.values(), *lines.values()]
    room = max(0.15 * (max(values) - min(values)), 1e-3)
    axis.set_ylim(min(values) - room, max(values) + room)
    axis.set_ylabel(f"test {label}")
    axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure
