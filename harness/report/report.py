"""The report on one run or several: which sections, in which order, under which title."""

from __future__ import annotations

from collections.abc import Sequence

from harness.document import numbers
from harness.document.section import Section
from harness.document.title import Title
from harness.document.writer import write_sections
from harness.errors import InputError
from harness.report import (
    agreement_section,
    curves_section,
    heatmaps_section,
    provenance_section,
    repeats_section,
    setup_section,
    verdict_section,
)
from harness.report.backend_grid import run_names
from harness.report.runs import Material, material
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
    return write_sections(title_of(results), sections(results, extra), folder)


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


def sections(results: Sequence[Result], extra: Sequence[Section] = ()) -> list[Section]:
    """The sections of a report on one run or several, in their order.

    What came out stands first, then the ``extra`` sections, then on what and how it was run.
    """
    m: Material = material(results)
    found = [
        verdict_section.verdict(m),
        verdict_section.chosen(m),
        heatmaps_section.side_by_side(m),
        verdict_section.warned(m),
        heatmaps_section.heatmaps(m),
        repeats_section.repeats(m),
        agreement_section.agreed(m),
        curves_section.detail(m),
        *extra,
        setup_section.data(m),
        setup_section.grid(m),
        setup_section.networks(m),
        provenance_section.time(m),
        provenance_section.runs(m),
        provenance_section.reproduction(m),
    ]
    return [section for section in found if section is not None]
