"""Sentences from templates.

A room's sentences lie in a ``.jinja`` file beside its code, each in a block of its own; what they say of
what is decided in Python, and only the English is there. Filters, beside Jinja's own:

``count`` (``3|count("cell")``: 3 cells), ``plural`` (``n|plural("is", "are")``: the form alone), ``series``
(a, b and c), ``listed`` (a; b; and 3 more), and the numbers of :mod:`harness.document.number_words`:
``amount``, ``score``, ``difference``, ``points``, ``span``, ``range`` of two (all with the metric),
``seconds``, ``size``, ``grid`` and ``metric``, the name of a score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from harness.document import number_words


def render(template: str, block: str = "", /, **values: Any) -> str:
    """The words of a template, or of one of its blocks, on one line.

    template: its place in the package, such as ``compare/sentences.jinja``. A name that a template uses
    and ``values`` lack is an error (``jinja2.UndefinedError``).
    """
    return " ".join(_rendered(template, block, values).split())


def paragraphs(template: str, block: str = "", /, **values: Any) -> list[str]:
    """The words of a template, or of one of its blocks, as paragraphs: what blank lines separate."""
    parts = re.split(r"\n\s*\n", _rendered(template, block, values))
    return [" ".join(part.split()) for part in parts if part.strip()]


def plural(number: int, one: str, many: str | None = None) -> str:
    """The form of a word that goes with a number: ``many``, by default with an s, unless it is 1."""
    return one if number == 1 else many or f"{one}s"


def every(number: int, noun: str, many: str | None = None) -> str:
    """``the one cell``, ``both cells``, ``all 9 cells``."""
    if number in (1, 2):
        return f"the one {noun}" if number == 1 else f"both {many or f'{noun}s'}"
    return f"all {number_words.count(number, noun, many)}"


def series(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *rest, last = [str(item) for item in items] or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def _rendered(template: str, block: str, values: dict[str, Any]) -> str:
    text = _environment().get_template(template)
    if not block:
        return text.render(values)
    if block not in text.blocks:
        raise KeyError(f"{template} has no block {block!r}")
    return "".join(text.blocks[block](text.new_context(values)))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "count": number_words.count,
        "plural": plural,
        "every": every,
        "series": series,
        "listed": number_words.listed,
        "amount": number_words.amount,
        "score": number_words.shown_score,
        "difference": number_words.difference,
        "points": number_words.points,
        "span": number_words.span,
        "range": lambda ends, metric: number_words.score_range(ends[0], ends[1], metric),
        "seconds": number_words.seconds,
        "size": number_words.size,
        "grid": number_words.grid,
        "metric": number_words.NAMES.__getitem__,
    }
    environment.globals["cell"] = number_words.cell
    return environment
