"""What a report is made of: sections of words, tables and pictures.

Markdown and HTML are two renderings of the same list of sections, so they cannot disagree. A verb that
has something to add to a report hands over a :class:`Section`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NOTHING = "–"
NUMBER = re.compile(
    r"[−+-]?\d+(\.\d+)?(e[−+-]?\d+)?(\(\d+(\.\d+)?\))?( (%|points|s|min|h|MiB|GiB))?"
)


class Link(str):
    """Words of a table that lead to a place: an address relative to the page."""

    address: str

    def __new__(cls, words: str, address: str) -> Link:
        link = super().__new__(cls, words)
        link.address = address
        return link


@dataclass(frozen=True)
class Title:
    """What a document is called, and one line under it that says what it is about."""

    name: str
    about: str


@dataclass(frozen=True)
class Table:
    """A table: the columns of ``frame`` in their order, the first one naming the rows.

    The frame's index is not shown. ``folded`` tables are closed at first where the medium can.
    ``name`` is what an export asks for it by, and needs saying where the caption is long. ``file`` has
    its rows as well, those that a table of many does not show among them.
    """

    frame: pd.DataFrame
    caption: str = ""
    folded: bool = False
    name: str = ""
    file: str = ""

    def head(self, rows: int) -> Table:
        """Its first rows."""
        return replace(self, frame=self.frame.head(rows))

    @property
    def header(self) -> list[str]:
        return [str(column) for column in self.frame.columns]

    @property
    def rows(self) -> list[list[str]]:
        """What is shown, cell by cell."""
        return [[text(value) for value in row] for row in self.frame.itertuples(index=False)]

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds nothing but numbers (and goes to the right)."""
        columns = zip(*self.rows, strict=True) if len(self.frame) else [()] * len(self.header)
        return [
            bool(c) and all(v == NOTHING or bool(NUMBER.fullmatch(v)) for v in c) for c in columns
        ]


@dataclass(frozen=True)
class Picture:
    """A figure with the stem of its file names, a caption, and the words that stand in for it.

    ``draw`` makes the figure when its files are written. A ``wide`` one has a line of its own, others
    stand two in a line. One that is not ``on_page`` is a file, and in Markdown, only: the page shows the
    same numbers otherwise. Of neighbours that have a ``choice`` the page shows one, chosen by that name.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str
    alt: str
    wide: bool = True
    on_page: bool = True
    choice: str = ""


@dataclass(frozen=True)
class Section:
    """A titled part of a report; what is empty is left out.

    ``text`` are paragraphs and ``points`` a list, both plain words in which `backticks` mark code;
    ``code`` is a block to be copied. Shown in the order of the fields, but that ``method``, paragraphs on
    how it was found, follows the text where nothing can be folded and stands at the end where it can.
    ``faults`` are those of the points that say what could not be made. On the page a section with a
    ``summary`` is folded, and this line of plain words stands for it. A ``scriptless`` one is on a page with
    an explorer, which shows the same, only where scripts do not run.
    """

    title: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    code: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    kind: Literal["plain", "verdict", "warning"] = "plain"
    faults: Sequence[str] = ()
    summary: str = ""
    method: Sequence[str] = ()
    scriptless: bool = False

    @property
    def anchor(self) -> str:
        """The title as a link target."""
        return slug(self.title)


@dataclass(frozen=True)
class Explorer:
    """The part of a page that answers a reader's questions: values for JSON, and the script that shows them.

    It stands after the page's first section under its ``title``; the script finds an empty element
    ``#explorer``, the values in ``#explorer-data`` and what ``page.js`` has as ``Page``. ``library`` is a
    script that it may load later, from ``#explorer-library``. ``files`` beside the page have the same
    numbers, for readers without scripts. ``faults`` say what is missing.
    """

    title: str
    values: dict[str, Any]
    script: str
    files: str
    library: str = ""
    faults: Sequence[str] = ()


def without_pictures(section: Section) -> Section:
    """The section, its pictures not on the page, which shows the same numbers otherwise."""
    return replace(section, pictures=[replace(p, on_page=False) for p in section.pictures])


def slug(name: str) -> str:
    """A name in lower-case letters, digits and dashes, for files and links."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "untitled"


def text(value: Any) -> str:
    """A table's entry as it is shown: yes or no, four significant digits, a dash for what is missing."""
    if value is None or value != value:  # NaN differs from itself
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Link):
        return value
    return f"{value:.4g}" if isinstance(value, float) else str(value)
