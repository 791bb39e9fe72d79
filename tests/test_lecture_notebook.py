"""The lecture as a notebook: it runs as it stands, and shows what its text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "results" / "example" / "lecture.ipynb"


def outputs(notebook) -> str:
    """All that its cells print and show as text."""
    told = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            told.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(told)


def apart(text: str) -> dict[str, float]:
    """How far the twins of section 5 are apart in the end, by eta."""
    return {eta: float(end) for eta, end in re.findall(r"([\d.]+): '([\d.]+e[+-]\d+)'", text)}


@pytest.mark.slow
def test_the_notebook_runs_and_says_what_it_said(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(stored)
    fresh = nbformat.from_dict(stored)
    nbclient.NotebookClient(fresh, timeout=300, kernel_name="python3").execute()
    for notebook in (stored, fresh):
        assert all(cell.outputs for cell in notebook.cells[2:] if cell.cell_type == "code")
        text = outputs(notebook)
        ends = apart(text)
        assert ends["0.1"] < 1e-8 < 1e-3 < ends["30"]
        assert "labels differ" in text
    # what does not hang on the processor is the same as when it was written
    first = [line for line in outputs(fresh).splitlines() if line.startswith("test accuracy")]
    assert first == [
        line for line in outputs(stored).splitlines() if line.startswith("test accuracy")
    ]


def test_the_notebook_holds_no_place_of_the_machine_it_was_made_on():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/home/" not in text
    assert "/root/" not in text
    assert "/tmp/" not in text
