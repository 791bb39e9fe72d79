"""What may fail without costing the rest: a section, a figure, a second look at cells.

Training may have taken hours when a report is written, and what stands in it comes from data and plug-ins of
any kind. One part of it that cannot be made is told of in one line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from harness.document.foreign_text import visible
from harness.document.section import Section

_T = TypeVar("_T")
_LONGEST = 300  # signs of an error's text that are told

_logger = logging.getLogger(__name__)


def attempt(what: str, make: Callable[[], _T]) -> tuple[_T | None, str]:
    """What ``make`` gives, and no fault; or nothing, and the fault in one line. The log has the trace."""
    try:
        return make(), ""
    # any error there is: it is named here, and whatever else there is to say must not be lost with it
    except Exception as error:
        words = visible(" ".join(str(error).split()))
        if len(words) > _LONGEST:
            words = f"{words[:_LONGEST]}…"
        fault = f"{what} could not be made: {type(error).__name__}{': ' if words else ''}{words}"
        _logger.debug("%s", fault, exc_info=True)
        return None, fault


def attempt_sections(
    title: str, make: Callable[[], Section | Sequence[Section] | None]
) -> list[Section]:
    """The sections that ``make`` gives, maybe none; where it fails, one that says so."""
    made, fault = attempt("this section", make)
    if fault:
        return [Section(title, points=[fault], kind="warning", faults=[f"{title}: {fault}"])]
    if made is None:
        return []
    return [made] if isinstance(made, Section) else list(made)
