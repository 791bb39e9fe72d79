"""The reference methods beside a run's chosen cells."""

from __future__ import annotations

from functools import partial

import pandas as pd

from harness.data.dataset import Dataset
from harness.document.number_words import NAMES, shown_score
from harness.document.score_lines import draw_score_lines
from harness.document.section import Picture, Section, Table
from harness.document.words import paragraphs
from harness.results.result import Result
from harness.training.reference_methods import reference_scores


def reference_section(result: Result, dataset: Dataset) -> Section:
    """The reference methods beside the run's chosen cells, for a report."""
    experiment, metric = result.experiment, result.metric
    names = list(dict.fromkeys((*experiment.metrics, *result.shown_scores)))
    measured = reference_scores(experiment, dataset).drop(columns="repeat")
    means = measured.groupby("model", sort=False).mean()
    best = result.best().set_index("backend")
    scores = [f"{part}_{m}" for part in ("validation", "test") for m in names]
    rows = [
        {"method": f"{name} (network, chosen cell)", **row[scores], "seconds": row["seconds"]}
        for name, row in best.iterrows()
    ] + [
        {"method": name, **row[scores], "seconds": row["seconds"]} for name, row in means.iterrows()
    ]
    frame = pd.DataFrame({"method": [row["method"] for row in rows]})
    for column in scores:
        part, _, name = column.partition("_")
        frame[f"{part} {NAMES[name]}"] = [shown_score(row[column], name) for row in rows]
    frame["seconds"] = [f"{row['seconds']:.2f}" for row in rows]
    column = f"test_{metric}"
    return Section(
        "Reference methods",
        text=paragraphs("report/sentences.jinja", "references"),
        tables=[
            Table(frame, "Networks and reference methods on the same split", name="references")
        ],
        pictures=[
            Picture(
                "references",
                partial(
                    draw_score_lines,
                    best[column].to_dict(),
                    means[column].to_dict(),
                    NAMES[metric],
                ),
                f"Test {NAMES[metric]} of each backend's chosen cell, with the reference methods as "
                "lines.",
                "Points for the backends and dashed horizontal lines for four reference methods.",
            )
        ],
    )
