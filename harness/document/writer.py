"""Writes a document into a folder: page, Markdown and figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from harness.document.canvas import FORMATS, Format, figure_file, style
from harness.document.markdown import markdown
from harness.document.page import page
from harness.document.section import Picture, Section, Title
from harness.executors.fork import beside
from harness.results.run_folder import RunFolder


def write_sections(
    title: Title, content: Sequence[Section], folder: RunFolder, name: str = "report"
) -> str:
    """Write sections as figures/, ``name``.md and ``name``.html into a folder; the page's address."""
    pictures = [picture for section in content for picture in section.pictures]
    names = [picture.name for picture in pictures]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two pictures are called {min(twice)!r}")
    figures = [f"figures/{picture.name}.{kind}" for picture in pictures for kind in FORMATS]
    folder.claim([f"{name}.md", f"{name}.html", *figures])
    others = beside(partial(_draw_files, pictures[1::2]))
    drawn = _draw_files(pictures[::2]) | others()
    for picture in pictures:
        for kind in FORMATS:
            folder.write(f"figures/{picture.name}.{kind}", drawn[picture.name, kind])
    drawings = {picture.name: drawn[picture.name, "svg"] for picture in pictures}
    folder.write(f"{name}.md", markdown(title, content))
    folder.write(f"{name}.html", page(title, content, drawings))
    return f"{folder.address.rstrip('/')}/{name}.html"


def _draw_files(pictures: Sequence[Picture]) -> dict[tuple[str, Format], bytes]:
    """The files of some pictures by name and kind."""
    files = {}
    with style():
        for picture in pictures:
            figure = picture.draw()
            for kind in FORMATS:
                files[picture.name, kind] = figure_file(figure, kind)
    return files
