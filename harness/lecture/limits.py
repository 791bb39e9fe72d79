"""The limits of such networks: other methods on the same split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd

from backends.network import Cells
from harness.data.dataset import load_dataset
from harness.document.score_lines import draw_score_lines
from harness.document.section import Picture, Section, Table
from harness.experiment.experiment import experiment_from
from harness.lecture.accuracy import accuracies_on_test
from harness.training.prepare import prepare
from harness.training.reference_methods import reference_scores

_ETA, _LMBD = 0.1, 1e-4  # a good cell of the fair grid


@dataclass(frozen=True)
class Limits:
    """Test accuracies on digits: of the fair preset's network, and of the reference methods by name."""

    network: float
    methods: dict[str, float]


def measure_limits(epochs: int = 100) -> Limits:
    """The fair preset's network at one good cell, and the reference methods, on the same split."""
    experiment = experiment_from({"epochs": epochs})
    dataset = load_dataset(experiment)
    prepared = prepare(experiment, dataset, "numpy", [0])
    network = float(accuracies_on_test(prepared, Cells.of(_ETA, _LMBD))[0])
    methods = reference_scores(experiment, dataset).set_index("model")["test_accuracy"]
    return Limits(network, {str(name): float(value) for name, value in methods.items()})


def limits_exhibit() -> Section:
    """The network beside the reference methods, and what such networks need."""
    limits = measure_limits()
    scores = {"64-50-10 network": limits.network, **limits.methods}
    best = max(limits.methods, key=limits.methods.__getitem__)
    table = pd.DataFrame(
        {
            "method": list(scores),
            "test accuracy": [f"{100 * value:.2f} %" for value in scores.values()],
        }
    )
    return Section(
        "The limits of such networks",
        summary=f"The network has {100 * limits.network:.2f} %; the best of the other methods, {best}, "
        f"{100 * scores[best]:.2f} %.",
        text=[
            "On a small table of numbers a network is one method among others, and often neither the "
            "best nor the easiest. These are on the fair preset's split, with scikit-learn's defaults; "
            f"the network is at eta {_ETA:g}, lmbd {_LMBD:g}.",
        ],
        points=[
            "Networks need many labelled examples; on a few thousand rows other methods keep up.",
            "They need scaled, homogeneous features; trees take them as they come.",
            "They need a learning rate, a penalty, a width and a start to be chosen; the others here "
            "ran as they are.",
            "A good prediction is not an understanding: a wrong model can predict well.",
        ],
        tables=[Table(table, "Test accuracy on digits, same split")],
        pictures=[
            Picture(
                "limits",
                partial(draw_score_lines, {"network": limits.network}, limits.methods, "accuracy"),
                "The network's test accuracy and the reference methods as lines.",
                "One point and four dashed lines close to each other at the top of the scale.",
            )
        ],
    )
