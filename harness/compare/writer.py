"""Writes a comparison into a folder."""

from __future__ import annotations

from harness.compare.comparison import Comparison
from harness.compare.section import section
from harness.compare.words import as_json
from harness.report.canvas import style, written
from harness.report.markdown import markdown
from harness.report.page import page
from harness.report.title import Title
from harness.store import RunFolder


def write(comparison: Comparison, address: str) -> str:
    """Write compare.json, compare.csv, compare.md, compare.html and figures/; the page's address."""
    folder = RunFolder(address)
    title = Title(comparison.name, f"compared within a margin of {comparison.margin:g}")
    with style():
        content = [section(comparison)]
        drawings = {}
        for picture in content[0].pictures:
            figure = picture.draw()
            drawings[picture.name] = written(figure, "svg")
            folder.write(f"figures/{picture.name}.svg", drawings[picture.name])
            folder.write(f"figures/{picture.name}.png", written(figure, "png"))
    folder.write_json("compare.json", as_json(comparison))
    folder.write("compare.csv", comparison.cells.to_csv(index=False))
    folder.write("compare.md", markdown(title, content))
    folder.write("compare.html", page(title, content, drawings))
    return f"{folder.address.rstrip('/')}/compare.html"
