"""A verdict as a comment on a pull request: short, the answer first, the rest to be opened.

A comment stands between two marks that nobody sees. A file that has them, such as the summary of a CI step or
a comment that is updated, gets the new one in the place of the old.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.document.markdown import escaped, table_lines
from harness.document.section import Section, Table, slug

LONGEST = 60  # lines of a comment
_POINTS = 8  # that are seen at once


def pull_request_comment(name: str, outcome: str, sections: Sequence[Section]) -> str:
    """Sections as Markdown of at most ``LONGEST`` lines, the first paragraph of the first one as the answer.

    Methods and tables are folded, the last rows of long tables left out with their number.
    """
    begin, end = _marks(name)
    first = sections[0]
    lines = [begin, f"### {escaped(name)}: {escaped(outcome)}"]
    lines += ["", f"**{escaped(first.text[0])}**"] if first.text else []
    points = [point for section in sections for point in section.points]
    if points:
        lines += ["", *(f"- {escaped(point)}" for point in points[:_POINTS])]
    folds = [*_more(points[_POINTS:]), *_method(sections)]
    tables = [table for section in sections for table in section.tables if len(table.frame)]
    left = LONGEST - len(lines) - 1 - sum(map(len, folds))
    for number, table in enumerate(tables):
        fold = _table(table, left // (len(tables) - number))
        lines += fold
        left -= len(fold)
    return "\n".join([*lines, *(line for fold in folds for line in fold), end]) + "\n"


def in_place(text: str, name: str, comment: str) -> str:
    """A file's text with the comment in the place of the last one of that name, or behind all else."""
    begin, end = map(re.escape, _marks(name))
    there = re.compile(rf"{begin}.*?{end}\n?", re.DOTALL)
    if there.search(text):
        return there.sub(lambda _: comment, text, count=1)
    return text + ("" if not text or text.endswith("\n") else "\n") + comment


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- harness: {slug(name)} -->", f"<!-- end of harness: {slug(name)} -->"


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    told = escaped(summary).replace("`", "")
    return ["", f"<details><summary>{told}</summary>", "", *lines, "", "</details>"]


def _more(points: Sequence[str]) -> Iterator[list[str]]:
    if points:
        few = points[:_POINTS]
        rest = [f"- and {len(points) - len(few)} more"] if len(points) > len(few) else []
        shown = [f"- {escaped(point)}" for point in few]
        yield _folded(f"{len(points)} more", [*shown, *rest])


def _method(sections: Sequence[Section]) -> Iterator[list[str]]:
    words = [escaped(paragraph) for paragraph in (*sections[0].text[1:], *sections[0].method)]
    if words:
        yield _folded("How this was found", [" ".join(words)])


def _table(table: Table, room: int) -> list[str]:
    """A folded table in so many lines; none where not even one row has room."""
    bare = Table(table.frame)
    rows = room - len(_folded("", ())) - 3  # its head, and the line on what is left out
    if rows < 1:
        return []
    shown = list(table_lines(Table(bare.frame.head(rows))))
    left = len(table.frame) - rows
    rest = ["", f"{left} more rows are in the report."] if left > 0 else []
    caption = table.caption or "All of it"
    return _folded(f"{caption} ({len(table.frame)})", [*shown, *rest[-1:]])
