"""The gallery: every exhibit as PNG files and all of them on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from harness.document.number_words import count
from harness.document.section import Link, Section, Table, Title
from harness.document.writer import write_sections
from harness.errors import unknown
from harness.lecture.activations import activations_exhibit
from harness.lecture.backpropagation import backpropagation_exhibit
from harness.lecture.dying_relu import dying_relu_exhibit
from harness.lecture.full_batch_descent import full_batch_descent_exhibit
from harness.lecture.limits import limits_exhibit
from harness.lecture.mismatch import mismatch_exhibit
from harness.lecture.notebook import digits_exhibit
from harness.lecture.universal_approximation import universal_approximation_exhibit
from harness.lecture.untrained_network import untrained_network_exhibit
from harness.lecture.vanishing_gradients import vanishing_gradients_exhibit
from harness.results.run_folder import RunFolder

EXHIBITS: dict[str, Callable[[], Section]] = {
    "activations": activations_exhibit,
    "digits": digits_exhibit,
    "untrained": untrained_network_exhibit,
    "full_batch": full_batch_descent_exhibit,
    "universal": universal_approximation_exhibit,
    "backpropagation": backpropagation_exhibit,
    "vanishing": vanishing_gradients_exhibit,
    "dying": dying_relu_exhibit,
    "mismatch": mismatch_exhibit,
    "limits": limits_exhibit,
}
_TITLE = Title(
    "What the lecture shows",
    "the exhibits of the notes on neural networks, computed anew by python -m harness lecture",
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
    folder = RunFolder(output)
    folder.claim(["lecture.md", "lecture.html"])  # which takes no time, unlike the exhibits
    sections: list[Section] = []
    for name in names or EXHIBITS:
        begin(name)
        sections.append(EXHIBITS[name]())
    # the exhibits are what the page is for: their lines stand in a table, and they themselves open
    opened = [replace(section, summary="") for section in sections]
    return write_sections(_TITLE, [_findings(sections), *opened], folder, "lecture")


def _findings(exhibits: Sequence[Section]) -> Section:
    """What each exhibit shows, in a line that leads to it."""
    frame = pd.DataFrame(
        {
            "exhibit": pd.Series([Link(e.title, f"#{e.anchor}") for e in exhibits], dtype=object),
            "what it shows": [e.summary for e in exhibits],
        }
    )
    number = count(len(exhibits), "exhibit")
    return Section(
        "What they show",
        text=[f"{number} of the notes, computed anew: a line each, below with figures."],
        tables=[Table(frame)],
        kind="verdict",
    )
