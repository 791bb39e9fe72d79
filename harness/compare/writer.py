"""Writes a comparison into a folder."""

from __future__ import annotations

from harness.compare.comparison import Comparison
from harness.compare.section import section
from harness.compare.words import amount, as_json
from harness.report.title import Title
from harness.report.writer import write_sections
from harness.store import RunFolder


def write(comparison: Comparison, address: str) -> str:
    """Write compare.json, compare.csv, compare.md, compare.html and figures/; the page's address."""
    folder = RunFolder(address)
    folder.write_json("compare.json", as_json(comparison))
    folder.write("compare.csv", comparison.cells.to_csv(index=False))
    margin = amount(comparison.margin, comparison.metric)
    title = Title(comparison.name, f"compared within a margin of {margin}")
    return write_sections(title, [section(comparison)], folder, "compare")
