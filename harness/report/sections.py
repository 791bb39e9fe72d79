"""The list of sections that a report is."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report import agreed, detail, overview, provenance, scores, setup, spread
from harness.report.material import Material, material
from harness.report.section import Section
from harness.result import Result


def sections(results: Sequence[Result], extra: Sequence[Section] = ()) -> list[Section]:
    """The sections of a report on one run or several, in their order.

    What came out stands first, then the ``extra`` sections, then on what and how it was run.
    """
    m: Material = material(results)
    found = [
        overview.verdict(m),
        overview.chosen(m),
        scores.side_by_side(m),
        overview.warned(m),
        scores.heatmaps(m),
        spread.repeats(m),
        agreed.agreed(m),
        detail.detail(m),
        *extra,
        setup.data(m),
        setup.grid(m),
        setup.networks(m),
        provenance.time(m),
        provenance.runs(m),
        provenance.reproduction(m),
    ]
    return [section for section in found if section is not None]
