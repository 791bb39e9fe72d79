"""Writes a comparison into a folder."""

from __future__ import annotations

import pandas as pd

from harness.compare.comparison import Comparison
from harness.compare.section import section
from harness.compare.words import amount, as_json
from harness.document.title import Title
from harness.document.writer import write_sections
from harness.results.run_folder import RunFolder
from harness.roundoff.section import chaos_section


def write(comparison: Comparison, address: str, chaos: pd.DataFrame | None = None) -> str:
    """Write compare.json, compare.csv, compare.md, compare.html and figures/; the page's address.

    ``chaos``: the chaos maps of :func:`harness.roundoff.stable_cells.chaos_maps`, to be drawn as well.
    """
    folder = RunFolder(address)
    folder.write_json("compare.json", as_json(comparison))
    folder.write("compare.csv", comparison.cells.to_csv(index=False))
    margin = amount(comparison.margin, comparison.metric)
    title = Title(comparison.name, f"compared within a margin of {margin}")
    maps = [] if chaos is None else [chaos_section(chaos)]
    return write_sections(title, [section(comparison), *maps], folder, "compare")
