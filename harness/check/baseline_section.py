"""A baseline as a section: what it was made of, and what it can be trusted with."""

from __future__ import annotations

import pandas as pd

from harness.check.baseline import Baseline
from harness.document import numbers
from harness.document.section import Section, Table
from harness.stats.repeats import FORMULA, selection_optimism, summary, what_varies


def section(baseline: Baseline) -> Section:
    """The baseline's origin, stability and chosen cells."""
    facts, experiment = baseline.facts, baseline.experiment
    data, run = facts["dataset"], facts["run"]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
    machine, threads = facts["machine"], facts["execution"].get("threads")
    parts = ", ".join(f"{n} {part}" for part, n in data["parts"].items())
    return Section(
        f"Baseline {baseline.name}",
        text=[
            f"{baseline.name}: {data['name']}, {', '.join(baseline.result.backends)}, "
            f"{len(experiment.eta)} × {len(experiment.lmbd)} grid, {experiment.repeats} repeats "
            f"({what_varies(experiment)})",
            f"Interval: {FORMULA}.",
        ],
        points=[
            f"saved {facts['saved']}, from a run of {run.get('created')} at commit "
            f"{run.get('git_commit') or 'unknown'}",
            f"data: {data['source']}, {parts}; sha256 {data['sha256'][:12]}",
            f"made with {versions}",
            f"on {machine.get('cpu')}, {machine.get('platform')}, {threads} thread(s) a worker",
            f"stability: {_stability(baseline)}",
            f"over the first steps: {_parity(baseline)}",
            f"a check runs the first {baseline.repeats} repeats again",
        ],
        tables=[Table(_chosen(baseline), "Chosen cells, test score over repeats")],
        kind="verdict",
    )


def _stability(baseline: Baseline) -> str:
    if baseline.chaos is None:
        return "not measured"
    cells = len(baseline.chaos)
    return f"{len(baseline.chaotic)} of {cells} cells, over all backends, are chaotic"


def _parity(baseline: Baseline) -> str:
    found = baseline.facts["parity"]
    told = [f"{backend} {facts['outcome']}" for backend, facts in found.items()]
    return ", ".join(told) or "not measured"


def _chosen(baseline: Baseline) -> pd.DataFrame:
    metric = baseline.result.metric
    cells = summary(baseline.result.records, f"test_{metric}").to_dict("records")
    spread = {(row["backend"], row["eta"], row["lmbd"]): row for row in cells}
    rows = []
    for row in selection_optimism(baseline.result).to_dict("records"):
        cell = (row["backend"], row["eta"], row["lmbd"])
        own = spread[cell]
        ends = " to ".join(numbers.score(own[end], metric) for end in ("low", "high"))
        rows.append(
            {
                "backend": row["backend"],
                "cell": numbers.cell(row["eta"], row["lmbd"]),
                "mean": numbers.score(own["mean"], metric),
                "sd": numbers.span(own["sd"], metric),
                "interval": ends,
                "selection optimism": numbers.points(row["optimism"], metric),
                "stable": "no" if cell in baseline.chaotic else "yes",
            }
        )
    return pd.DataFrame(rows)
