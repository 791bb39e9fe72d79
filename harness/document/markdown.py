"""A report as plain Markdown, for a terminal, a README or a pull request."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from harness.document.foreign_text import visible
from harness.document.section import Link, Picture, Section, Table, Title


def markdown(title: Title, sections: Sequence[Section]) -> str:
    """The whole report; pictures are links into figures/."""
    lines = [f"# {escaped(title.name)}", "", escaped(title.about)]
    for section in sections:
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    for paragraph in (*section.text, *section.method):
        yield from ("", escaped(paragraph))
    if section.points:
        yield ""
        yield from (f"- {escaped(point)}" for point in section.points)
    if section.code:
        fence = "`" * max(3, _longest_run(section.code) + 1)
        yield from ("", f"{fence}sh", visible(section.code), fence)
    for table in section.tables:
        yield from ("", *table_lines(table))
    yield from _pictures(section.pictures)


def _longest_run(code: str) -> int:
    """The length of the longest run of backticks."""
    longest = current = 0
    for sign in code:
        current = current + 1 if sign == "`" else 0
        longest = max(longest, current)
    return longest


def table_lines(table: Table) -> Iterator[str]:
    """A table's lines, its caption before them."""
    if table.caption:
        yield from (f"**{escaped(table.caption)}**", "")
    yield _row(table.header)
    yield "|" + "|".join(" ---: " if right else " --- " for right in table.numeric) + "|"
    for row in table.rows:
        yield _row(row)


def _row(entries: Sequence[str]) -> str:
    return "| " + " | ".join(_entry(entry) for entry in entries) + " |"


def _entry(entry: str) -> str:
    shown = escaped(entry).replace("|", "\\|")
    return f"[{shown}]({entry.address})" if isinstance(entry, Link) else shown


def _pictures(pictures: Sequence[Picture]) -> Iterator[str]:
    """Wide pictures one by one with their captions, others two in a line, as a table."""
    for wide, group in itertools.groupby(pictures, key=lambda p: p.wide):
        if wide:
            for picture in group:
                yield from ("", _image(picture), "", escaped(picture.caption))
            continue
        rest = list(group)
        for pair in (rest[k : k + 2] for k in range(0, len(rest), 2)):
            yield from ("", _row([p.caption for p in pair]), "|" + " --- |" * len(pair))
            yield "| " + " | ".join(_image(p) for p in pair) + " |"


def _image(picture: Picture) -> str:
    alt = escaped(picture.alt).replace("[", "(").replace("]", ")").replace("|", "\\|")
    return f"![{alt}](figures/{picture.name}.png)"


def escaped(words: str) -> str:
    """Words on one line in which no sign starts a tag, emphasis or a formula; `backticks` stay code."""
    parts = visible(" ".join(words.split())).split("`")
    if len(parts) % 2 == 0:  # an odd backtick is no code
        return _plain("'".join(parts))
    return "".join(f"`{p}`" if k % 2 else _plain(p) for k, p in enumerate(parts))


def _plain(words: str) -> str:
    words = re.sub(r"&(?=#?\w+;)", "&amp;", words)
    words = re.sub(r"([\\\[\]$]|~(?=~))", r"\\\1", words).replace("<", "&lt;")
    words = re.sub(r"(?<=\S)\*|\*(?=\S)", r"\\*", words)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", words)
