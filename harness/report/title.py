"""What a report is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report import numbers
from harness.report.side import run_names
from harness.result import Result


@dataclass(frozen=True)
class Title:
    """The title, and one line under it that says what it is about."""

    name: str
    about: str


def title_of(results: Sequence[Result]) -> Title:
    """The names of the runs, and data, backends, grid and day of the first."""
    first = results[0]
    experiment = first.experiment
    backends = list(dict.fromkeys(b for result in results for b in result.backends))
    about = [
        ", ".join(dict.fromkeys(str(r.manifest["dataset"]["name"]) for r in results)),
        ", ".join(backends),
        f"{len(experiment.eta)} × {len(experiment.lmbd)} grid",
        numbers.count(experiment.repeats, "repeat"),
        f"preset {experiment.preset}",
        str(first.manifest.get("created") or "")[:10],
    ]
    return Title(" · ".join(run_names(results)), " · ".join(a for a in about if a))
