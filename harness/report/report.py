"""The report on one run or several: which sections, in which order, under which title."""

from __future__ import annotations

from collections.abc import Sequence

from harness.document import number_words
from harness.document.section import Section, Title
from harness.document.writer import write_sections
from harness.errors import InputError
from harness.report.agreement_section import agreement_section
from harness.report.curves_section import curves_section
from harness.report.heatmaps_section import heatmaps_section, side_by_side_section
from harness.report.provenance_section import (
    failures_section,
    reproduction_section,
    time_section,
)
from harness.report.repeats_section import repeats_section
from harness.report.runs import Material
from harness.report.setup_section import data_section, grid_section, networks_section
from harness.report.verdict_section import chosen_section, run_verdict, warning_section
from harness.results.backend_grid import run_names
from harness.results.result import Result
from harness.results.run_folder import RunFolder


def write_results(
    results: Sequence[Result], address: str | None = None, extra: Sequence[Section] = ()
) -> str:
    """Write figures/, report.md and report.html; the page's address.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's. ``extra`` sections stand after the results.
    """
    if not results:
        raise InputError("run: none given; allowed: at least one run folder")
    folder = RunFolder(address or results[0].address)
    return write_sections(report_title(results), report_sections(results, extra), folder)


def report_title(results: Sequence[Result]) -> Title:
    """The names of the runs, and data, backends, grid and day of the first."""
    first = results[0]
    experiment = first.experiment
    backends = list(dict.fromkeys(b for result in results for b in result.backends))
    about = [
        ", ".join(dict.fromkeys(str(r.manifest["dataset"]["name"]) for r in results)),
        ", ".join(backends),
        f"{len(experiment.eta)} × {len(experiment.lmbd)} grid",
        number_words.count(experiment.repeats, "repeat"),
        f"preset {experiment.preset}",
        str(first.manifest.get("created") or "")[:10],
    ]
    return Title(" · ".join(run_names(results)), " · ".join(a for a in about if a))


def report_sections(results: Sequence[Result], extra: Sequence[Section] = ()) -> list[Section]:
    """The sections of a report on one run or several, in their order.

    What came out stands first, then the ``extra`` sections, then on what and how it was run.
    """
    m = Material(tuple(results))
    in_order = [
        run_verdict(m),
        chosen_section(m),
        side_by_side_section(m),
        warning_section(m),
        heatmaps_section(m),
        repeats_section(m),
        agreement_section(m),
        curves_section(m),
        *extra,
        data_section(m),
        grid_section(m),
        networks_section(m),
        time_section(m),
        failures_section(m),
        reproduction_section(m),
    ]
    return [section for section in in_order if section is not None]
