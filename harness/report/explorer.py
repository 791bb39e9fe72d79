"""The interactive head of a report's page: its values, its script, and the library that draws curves."""

from __future__ import annotations

import json
from importlib.resources import files

from harness.document.attempt import attempt
from harness.document.section import Explorer
from harness.document.vega import vega_script
from harness.report.cell_values import cell_values
from harness.report.runs import Material


def cells_explorer(material: Material) -> Explorer:
    """All cells of all sides, to be looked at on the page; without the library it has no curves."""
    here = files("harness.report")
    spec = json.loads(here.joinpath("curves.json").read_text("utf-8"))
    library, fault = attempt("the page's library for curves", vega_script)
    return Explorer(
        "Cells",
        {**cell_values(material), "curve_spec": spec},
        here.joinpath("explorer.js").read_text("utf-8"),
        "records.csv, report.md and figures/",
        library or "",
        [fault] if fault else [],
    )
