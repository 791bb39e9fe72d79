"""The report on one run or several: which sections, in which order, under which title."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.document import number_words
from harness.document.attempt import attempt, attempt_sections
from harness.document.section import Section, Title
from harness.document.writer import PageAddress, write_sections
from harness.errors import InputError
from harness.report.agreement_section import agreement_section
from harness.report.answer import answer_section
from harness.report.curves_section import curves_section
from harness.report.explorer import cells_explorer
from harness.report.heatmaps_section import heatmaps_section, side_by_side_section
from harness.report.networks_section import networks_section
from harness.report.provenance_section import (
    failures_section,
    reproduction_section,
    time_section,
)
from harness.report.repeats_section import repeats_section
from harness.report.runs import Material
from harness.report.setup_section import data_section, grid_section
from harness.report.verdict_section import chosen_section, run_verdict, warning_section
from harness.results.backend_grid import run_names
from harness.results.result import Result
from harness.results.run_folder import RunFolder

# what the page folds, with the line that stands for it there
_SUMMARIES = {
    "Verdict": "the answer at length",
    "Chosen cells": "train, validation and test of each backend's cell, and what choosing cost",
    "Repeats": "spread, intervals, and how the choice would have moved",
    "Agreement": "tables of labels, kappa and the cells least alike",
    "Chosen cells in detail": "figures of the chosen cells",
    "Data": "source, sizes, split and hashes",
    "Grid and hyperparameters": "what was the same in all cells, and what was not",
    "Networks and conventions": "libraries, versions, and how each is told the same",
    "Time and memory": "by backend",
    "Runs and failures": "what failed, and why",
    "Reproduction": "command, machine and versions",
}
SectionMaker = Callable[[Material], Section | None]
# The answer stands first, then what a preset adds, the results, what a flag adds, on what and how it was run.
# A title is used here where its section cannot be made.
_ANSWER: dict[str, SectionMaker] = {"Answer": answer_section}
_RESULTS: dict[str, SectionMaker] = {
    "Verdict": run_verdict,
    "Chosen cells": chosen_section,
    "Side by side": side_by_side_section,
    "Warnings": warning_section,
    "Heatmaps": heatmaps_section,
    "Repeats": repeats_section,
    "Agreement": agreement_section,
    "Chosen cells in detail": curves_section,
}
_CIRCUMSTANCES: dict[str, SectionMaker] = {
    "Data": data_section,
    "Grid": grid_section,
    "Networks and conventions": networks_section,
    "Time and memory": time_section,
    "Runs and failures": failures_section,
    "Reproduction": reproduction_section,
}


def write_results(
    results: Sequence[Result],
    address: str | None = None,
    extra: Sequence[Section] = (),
    of_preset: Sequence[Section] = (),
) -> PageAddress:
    """Write figures/, report.md and report.html; the page's address, with what of it could not be made.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's. ``extra`` sections stand after the results, those of a preset before.
    """
    if not results:
        raise InputError("run: none given; allowed: at least one run folder")
    folder = RunFolder(address or results[0].address)
    material = Material(tuple(results))
    content = report_sections(results, extra, of_preset)
    explorer, fault = attempt("the page's explorer", partial(cells_explorer, material))
    if fault:
        content[0] = replace(content[0], points=[fault], faults=[*content[0].faults, fault])
    return write_sections(report_title(results), content, folder, explorer=explorer)


def report_title(results: Sequence[Result]) -> Title:
    """What was trained, in words; below it the names of the runs, backends, grid and day of the first."""
    first = results[0]
    experiment = first.experiment
    backends = list(dict.fromkeys(b for result in results for b in result.backends))
    about = [
        *run_names(results),
        ", ".join(backends),
        f"{len(experiment.eta)} × {len(experiment.lmbd)} grid",
        number_words.count(experiment.repeats, "repeat"),
        f"preset {experiment.preset}",
        str(first.manifest.get("created") or "")[:10],
    ]
    return Title(
        " and ".join(dict.fromkeys(map(_in_words, results))), " · ".join(filter(None, about))
    )


def _in_words(result: Result) -> str:
    """Data set, network and optimiser of a run; of backends with settings of their own the first's."""
    about = result.manifest.get("backends", {}).get(result.backends[0], {})
    recipe = result.experiment.recipe(result.backends[0])
    network = str(about.get("network") or "").partition(" ")[0]
    words = [str(result.manifest["dataset"]["name"]), network, recipe.optimizer]
    return ", ".join(word for word in words if word)


def report_sections(
    results: Sequence[Result], extra: Sequence[Section] = (), of_preset: Sequence[Section] = ()
) -> list[Section]:
    """The sections of a report on one run or several, in their order; see ``_RESULTS``."""
    m = Material(tuple(results))
    found = [*_sections(_ANSWER, m), *of_preset, *_sections(_RESULTS, m), *extra]
    return [
        replace(section, summary=section.summary or _SUMMARIES.get(section.title, ""))
        for section in (*found, *_sections(_CIRCUMSTANCES, m))
    ]


def _sections(makers: Mapping[str, SectionMaker], material: Material) -> Iterator[Section]:
    for title, make in makers.items():
        yield from attempt_sections(title, partial(make, material))
