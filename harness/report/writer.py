"""Writes a report into a run folder."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import InputError
from harness.report.canvas import style, written
from harness.report.markdown import markdown
from harness.report.page import page
from harness.report.section import Section
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
    drawings: dict[str, bytes] = {}
    with style():
        for picture in (p for section in content for p in section.pictures):
            if picture.name in drawings:
                raise ValueError(f"two pictures are called {picture.name!r}")
            figure = picture.draw()
            drawings[picture.name] = written(figure, "svg")
            folder.write(f"figures/{picture.name}.svg", drawings[picture.name])
            folder.write(f"figures/{picture.name}.png", written(figure, "png"))
    folder.write(f"{name}.md", markdown(title, content))
    folder.write(f"{name}.html", page(title, content, drawings))
    return f"{folder.address.rstrip('/')}/{name}.html"
