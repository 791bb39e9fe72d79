"""Reports: figures, report.md and report.html from the results of one run or several.

>>> from harness.report import write_report                                      # doctest: +SKIP
>>> write_report([load_result("results/example")])                               # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.section import Picture, Section, Table

if TYPE_CHECKING:
    from harness.result import Result

__all__ = ["Picture", "Section", "Table", "write_report"]


def write_report(
    results: Sequence[Result], address: str | None = None, extra: Sequence[Section] = ()
) -> str:
    """Write figures/, report.md and report.html; the page's address.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's. ``extra`` sections stand after the results; the report on one run
    has its preset's own before them.
    """
    from harness.presets import further_sections
    from harness.report.writer import write

    own = further_sections(results[0]) if len(results) == 1 else []
    return write(results, address, [*own, *extra])
