"""Writes a study's page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from harness.document.attempt import attempt
from harness.document.section import Section
from harness.document.writer import PageAddress, write_sections
from harness.results.run_folder import RunFolder
from harness.study.map_values import study_explorer
from harness.study.section import study_sections, study_table, study_title
from harness.study.study import StudyResult


def write_study(
    result: StudyResult,
    address: str | None = None,
    extra: Sequence[Section] = (),
    *,
    maps: Sequence[tuple[str, str]] = (),
    held: bool = False,
) -> PageAddress:
    """Write figures/, report.md and report.html of a study, by default into its folder; the page's address.

    ``maps``: the axes of the maps, rows and columns, by default every two; the page begins with the first.
    ``extra`` sections stand at the end. ``held``: the caller sees to it that nobody else writes there.
    """
    folder = RunFolder(address or result.address)
    table, home = study_table(result), _way(folder, RunFolder(result.address))
    explorer, fault = attempt("the live map", partial(study_explorer, table, maps, home))
    live = explorer is not None
    sections = [*study_sections(table, maps, home, live=live), *extra]
    if fault:
        sections.append(Section("Live map", points=[fault], kind="warning", faults=[fault]))
    with nullcontext() if held else folder.lock():
        return write_sections(study_title(result), sections, folder, explorer=explorer)


def _way(page: RunFolder, study: RunFolder) -> str:
    """The way from a page's folder to the study's, empty or with a slash at its end."""
    if page.root == study.root or not (page.local and study.local):
        return ""
    try:
        return os.path.relpath(study.root, page.root).replace(os.sep, "/") + "/"
    except ValueError:  # two drives have no way between them
        return ""
