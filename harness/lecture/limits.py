"""The limits of such networks: other methods on the same split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd

from backends.formulas import predict
from backends.network import Cells
from backends.numpy_backend import NumPyBackend
from harness.data.dataset import load_dataset
from harness.document.score_lines import draw_score_lines
from harness.document.section import Picture, Section, Table
from harness.experiment.experiment import experiment_from
from harness.training.prepare import prepare
from harness.training.reference_methods import reference_scores

ETA, LMBD = 0.1, 1e-4  # a good cell of the fair grid


@dataclass(frozen=True)
class Limits:
    """Test accuracies on digits: of the fair preset's network, and of the reference methods by name."""

    network: float
    methods: pd.DataFrame


def limits(epochs: int = 100) -> Limits:
    """The fair preset's network at one good cell, and the reference methods, on the same split."""
    experiment = experiment_from({"epochs": epochs})
    dataset = load_dataset(experiment)
    p = prepare(experiment, dataset, "numpy", [0])
    fit = NumPyBackend().train(p.x, p.y, p.network, p.training, Cells.of(ETA, LMBD), p.plan)
    predicted = predict(p.x[p.split.test], p.network, fit.weights)[0].argmax(axis=1)
    accuracy = float((predicted == p.y[p.split.test]).mean())
    return Limits(accuracy, reference_scores(experiment, dataset))


def section() -> Section:
    """The exhibit."""
    found = limits()
    methods = found.methods.set_index("model")
    table = pd.DataFrame(
        {
            "method": ["64-50-10 network", *methods.index],
            "test accuracy": [
                f"{100 * value:.2f} %" for value in (found.network, *methods["test_accuracy"])
            ],
        }
    )
    return Section(
        "The limits of such networks",
        text=[
            "On a small table of numbers a network is one method among others, and often neither the "
            "best nor the easiest. These are on the fair preset's split, with scikit-learn's defaults; "
            f"the network is at eta {ETA:g}, lmbd {LMBD:g}.",
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
                partial(
                    draw_score_lines,
                    {"network": found.network},
                    methods["test_accuracy"].to_dict(),
                    "accuracy",
                ),
                "The network's test accuracy and the reference methods as lines.",
                "One point and four dashed lines close to each other at the top of the scale.",
            )
        ],
    )
