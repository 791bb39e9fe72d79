"""The gallery: every exhibit as PNG files and all of them on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.document.section import Section, Title
from harness.document.writer import write_sections
from harness.errors import unknown
from harness.lecture import (
    activations,
    backpropagation,
    digits,
    dying,
    full_batch,
    limits,
    mismatch,
    universal,
    untrained,
    vanishing,
)
from harness.results.run_folder import RunFolder

EXHIBITS: dict[str, Callable[[], Section]] = {
    "activations": activations.section,
    "digits": digits.section,
    "untrained": untrained.section,
    "full_batch": full_batch.section,
    "universal": universal.section,
    "backpropagation": backpropagation.section,
    "vanishing": vanishing.section,
    "dying": dying.section,
    "mismatch": mismatch.section,
    "limits": limits.section,
}
TITLE = Title(
    "What the lecture shows",
    "the exhibits of the notes on neural networks, computed anew · "
    "python -m harness lecture makes this page",
)


def gallery(
    output: str,
    names: Sequence[str] = (),
    *,
    begin: Callable[[str], object] = lambda name: None,
) -> str:
    """Compute exhibits (all, unless named); write figures/ and lecture.html; the page's address.

    output: a folder on a disk or any fsspec address. ``begin`` is told the name of each exhibit before
    it is computed. Raises :class:`~harness.errors.InputError` for a name that is not known.
    """
    for name in names:
        if name not in EXHIBITS:
            raise unknown("exhibit", name, EXHIBITS)
    sections: list[Section] = []
    for name in names or EXHIBITS:
        begin(name)
        sections.append(EXHIBITS[name]())
    return write_sections(TITLE, sections, RunFolder(output), "lecture")
