"""Writes a document into a folder: page, Markdown and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from harness.document.attempt import attempt
from harness.document.canvas import FORMATS, Format, figure_file, style
from harness.document.glossary import glossary
from harness.document.markdown import markdown
from harness.document.page import page
from harness.document.section import Explorer, Picture, Section, Title
from harness.executors.fork import beside
from harness.results.run_folder import RunFolder

_Files = dict[tuple[str, Format], bytes]


class PageAddress(str):
    """Where a page is; ``faults`` says, a line each, what of it could not be made."""

    faults: tuple[str, ...] = ()


def write_sections(
    title: Title,
    content: Sequence[Section],
    folder: RunFolder,
    name: str = "report",
    explorer: Explorer | None = None,
) -> PageAddress:
    """Write sections as figures/, ``name``.md and ``name``.html into a folder; the page's address.

    The last section is of the words that the others use. A figure that cannot be drawn is replaced by a
    line that says so.
    """
    pictures = [picture for section in content for picture in section.pictures]
    names = [picture.name for picture in pictures]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two pictures are called {min(twice)!r}")
    figures = [f"figures/{picture.name}.{kind}" for picture in pictures for kind in FORMATS]
    folder.claim([f"{name}.md", f"{name}.html", *figures])
    others = beside(partial(_draw_files, pictures[1::2]))
    files, faults = _draw_files(pictures[::2])
    more_files, more_faults = others()
    drawn, faults = files | more_files, faults | more_faults
    content = [_without_faulty(section, faults) for section in content]
    content = [*content, *glossary([title.name, title.about], content)]
    for picture in pictures:
        for kind in FORMATS if picture.name not in faults else ():
            folder.write(f"figures/{picture.name}.{kind}", drawn[picture.name, kind])
    drawings = {name: drawn[name, "svg"] for name in names if name not in faults}
    folder.write(f"{name}.md", markdown(title, content))
    folder.write(f"{name}.html", page(title, content, drawings, explorer))
    address = PageAddress(f"{folder.address.rstrip('/')}/{name}.html")
    address.faults = tuple(fault for section in content for fault in section.faults)
    if explorer:
        address.faults += tuple(explorer.faults)
    return address


def _draw_files(pictures: Sequence[Picture]) -> tuple[_Files, dict[str, str]]:
    """The files of some pictures by name and kind; of those that cannot be drawn, by name, the fault."""
    files: _Files = {}
    faults = {}
    with style():
        for picture in pictures:
            own, fault = attempt(f"the figure {picture.name}", partial(_figure_files, picture))
            if own is None:
                faults[picture.name] = fault
            else:
                files |= own
    return files, faults


def _figure_files(picture: Picture) -> _Files:
    figure = picture.draw()
    return {(picture.name, kind): figure_file(figure, kind) for kind in FORMATS}


def _without_faulty(section: Section, faults: dict[str, str]) -> Section:
    """The section with a line in place of each picture that could not be drawn."""
    own = [faults[picture.name] for picture in section.pictures if picture.name in faults]
    if not own:
        return section
    return replace(
        section,
        points=[*section.points, *own],
        pictures=[picture for picture in section.pictures if picture.name not in faults],
        faults=[*section.faults, *own],
    )
