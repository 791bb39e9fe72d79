"""A comparison as files: JSON, CSV, Markdown and HTML."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.compare.comparison import Comparison
from harness.compare.section import (
    comparison_headline,
    comparison_section,
    difference_words,
    method_words,
    pair_words,
    verdict_counts,
)
from harness.document.number_words import amount
from harness.document.plain import plain
from harness.document.section import Title
from harness.document.writer import PageAddress, write_sections
from harness.results.run_folder import RunFolder
from harness.roundoff.section import chaos_section


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Everything, for a machine; what is not a number is null."""
    content = {
        "run": comparison.runs,
        "outcome": comparison.outcome,
        "exit_code": comparison.exit_code,
        "headline": comparison_headline(comparison),
        "sentences": [pair_words(comparison, *pair) for pair in comparison.pairs],
        "method": method_words(comparison),
        "metric": comparison.metric,
        "margin": comparison.margin,
        "alpha": comparison.alpha,
        "repeats": comparison.repeats,
        "test_samples": comparison.samples,
        "varies": comparison.varies,
        "chaos_known": comparison.chaos_known,
        "notes": difference_words(comparison),
        "pairs": verdict_counts(comparison),
        "chosen": comparison.chosen,
        "cells": comparison.cells,
        "cochran": comparison.cochran,
    }
    return {name: plain(value) for name, value in content.items()}


def write_comparison(
    comparison: Comparison, address: str, chaos: pd.DataFrame | None = None
) -> PageAddress:
    """Write compare.json, compare.csv, compare.md, compare.html and figures/; the page's address.

    ``chaos``: the chaos maps of :func:`harness.roundoff.stable_cells.chaos_maps`, to be drawn as well.
    """
    folder = RunFolder(address)
    folder.claim([f"compare.{kind}" for kind in ("json", "csv", "md", "html")])
    folder.write_json("compare.json", comparison_json(comparison))
    folder.write("compare.csv", comparison.cells.to_csv(index=False))
    margin = amount(comparison.margin, comparison.metric)
    title = Title(comparison.runs, f"compared within a margin of {margin}")
    maps = [] if chaos is None else [chaos_section(chaos)]
    return write_sections(title, [comparison_section(comparison), *maps], folder, "compare")
