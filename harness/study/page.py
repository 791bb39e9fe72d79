"""Writes a study's page."""

from __future__ import annotations

from collections.abc import Sequence

from harness.document.section import Section
from harness.document.writer import PageAddress, write_sections
from harness.results.run_folder import RunFolder
from harness.study.section import study_sections, study_title
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

    ``maps``: the axes of the maps, rows and columns, by default every two. ``extra`` sections stand at the
    end. ``held``: the caller sees to it that nobody else writes there.
    """
    folder = RunFolder(address or result.address)
    sections = [*study_sections(result, maps), *extra]
    if held:
        return write_sections(study_title(result), sections, folder)
    with folder.lock():
        return write_sections(study_title(result), sections, folder)
