"""Writes a report into a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from harness.beside import beside
from harness.errors import InputError
from harness.report.canvas import KINDS, Kind, style, written
from harness.report.markdown import markdown
from harness.report.page import page
from harness.report.section import Picture, Section
from harness.report.sections import sections
from harness.report.title import Title, title_of
from harness.result import Result
from harness.store import RunFolder


def write(results: Sequence[Result], address: str | None, extra: Sequence[Section]) -> str:
    """See :func:`harness.report.write_report`."""
    if not results:
        raise InputError("run: none given; allowed: at least one run folder")
    folder = RunFolder(address or results[0].address)
    return write_sections(title_of(results), sections(results, extra), folder)


def write_sections(
    title: Title, content: Sequence[Section], folder: RunFolder, name: str = "report"
) -> str:
    """Write sections as figures/, ``name``.md and ``name``.html into a folder; the page's address."""
    pictures = [picture for section in content for picture in section.pictures]
    names = [picture.name for picture in pictures]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two pictures are called {min(twice)!r}")
    others = beside(partial(_drawn, pictures[1::2]))
    drawn = _drawn(pictures[::2]) | others()
    for picture in pictures:
        for kind in KINDS:
            folder.write(f"figures/{picture.name}.{kind}", drawn[picture.name, kind])
    drawings = {picture.name: drawn[picture.name, "svg"] for picture in pictures}
    folder.write(f"{name}.md", markdown(title, content))
    folder.write(f"{name}.html", page(title, content, drawings))
    return f"{folder.address.rstrip('/')}/{name}.html"


def _drawn(pictures: Sequence[Picture]) -> dict[tuple[str, Kind], bytes]:
    """The files of some pictures by name and kind."""
    files = {}
    with style():
        for picture in pictures:
            figure = picture.draw()
            for kind in KINDS:
                files[picture.name, kind] = written(figure, kind)
    return files
