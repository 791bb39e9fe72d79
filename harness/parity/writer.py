"""Writes parity into a folder."""

from __future__ import annotations

from harness.document.section import Title
from harness.document.writer import write_sections
from harness.parity.parity import Parity
from harness.parity.record import as_json
from harness.parity.section import sections
from harness.results.run_folder import RunFolder


def write(parity: Parity, address: str) -> str:
    """Write parity.json, .md, .html, errors.parquet, chaos.parquet and figures/; the page's address."""
    folder = RunFolder(address)
    experiment = parity.experiment
    about = (
        f"{experiment.dataset} · {', '.join(experiment.backends)} · against {parity.reference} · "
        f"{len(experiment.eta)} × {len(experiment.lmbd)} grid · {parity.steps[-1]} steps"
    )
    folder.write_experiment(experiment)
    folder.write_json("parity.json", as_json(parity))
    folder.write_frame("errors.parquet", parity.errors)
    folder.write_frame("chaos.parquet", parity.chaos)
    return write_sections(Title("Parity", about), sections(parity), folder, "parity")
