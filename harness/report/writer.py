"""Writes a report into a run folder."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import InputError
from harness.report.canvas import style, written
from harness.report.markdown import markdown
from harness.report.page import page
from harness.report.section import Section
from harness.report.sections import sections
from harness.report.title import title_of
from harness.result import Result
from harness.store import RunFolder


def write(results: Sequence[Result], address: str | None, extra: Sequence[Section]) -> str:
    """See :func:`harness.report.write_report`."""
    if not results:
        raise InputError("run: none given; allowed: at least one run folder")
    folder = RunFolder(address or results[0].address)
    title = title_of(results)
    with style():
        content = sections(results, extra)
        drawings: dict[str, bytes] = {}
        for picture in (p for section in content for p in section.pictures):
            figure = picture.draw()
            drawings[picture.name] = written(figure, "svg")
            folder.write(f"figures/{picture.name}.svg", drawings[picture.name])
            folder.write(f"figures/{picture.name}.png", written(figure, "png"))
    folder.write("report.md", markdown(title, content))
    folder.write("report.html", page(title, content, drawings))
    return f"{folder.address.rstrip('/')}/report.html"
