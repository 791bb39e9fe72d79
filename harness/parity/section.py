"""Parity as sections of a report."""

from __future__ import annotations

from functools import partial

from harness.document.section import Picture, Section, Table
from harness.parity.conformance import check_points, check_section
from harness.parity.figures import error_by_step
from harness.parity.parity import Parity
from harness.parity.tables import step_table, tensor_table, verdict_table
from harness.parity.words import headline, points, sentence
from harness.roundoff.section import chaos_section

METHOD = (
    "All backends start from the same weights and see the same minibatches. A tensor's relative error is "
    "its largest absolute error over its scale: the largest entry of the reference's tensor, now or at "
    "the start. The tolerance grows with the number of steps, from 1e-6 after one to 1e-5 after a "
    "thousand in float32, from 1e-14 to 1e-12 in float64. It is enforced where round-off alone, measured "
    "on the reference itself with all its sums in other orders, stays below a fifth of it."
)
HELD = (
    "Where float32 cannot hold the tolerance even in the reference, because updates fall below half a "
    "unit in the last place, a float32 run is compared with the reference's float32 run instead of the "
    "float64 one; where it loses ten times the tolerance, it is not compared."
)


def sections(parity: Parity) -> list[Section]:
    """The whole report: the verdict, every divergence, the errors of each tensor, the chaos map."""
    found = [verdict_section(parity)]
    for divergence in parity.divergences:
        title = f"Where {divergence.backend} parts from {divergence.reference}"
        tables = [
            Table(step_table(divergence), f"Step {divergence.step}, in the order of computation")
        ]
        shown = tables if len(divergence.tensors) else []
        found.append(Section(title, [f"{sentence(divergence)}."], tables=shown, kind="warning"))
    table = tensor_table(parity)
    if len(table):
        caption = "Largest errors where the tolerance is enforced"
        found.append(Section("Errors by tensor", tables=[Table(table, caption, folded=True)]))
    if len(parity.checks):
        found.append(check_section(parity.checks))
    if len(parity.chaos):
        found.append(chaos_section(parity.chaos))
    return found


def verdict_section(parity: Parity) -> Section:
    """The answer, who disagrees and why, and the figure of the error against the step."""
    pictures = []
    if len(parity.errors):
        caption = (
            "The largest relative error of any weight or bias against the number of steps: in the cells "
            "that are held to the tolerance (lines), and in the others (dotted)."
        )
        alt = f"Error against step. {headline(parity)}"
        pictures.append(Picture("error-by-step", partial(error_by_step, parity), caption, alt))
    held = parity.errors["held"].all() if len(parity.errors) else True
    return Section(
        "Parity",
        text=[headline(parity), METHOD, *([] if held else [HELD])],
        points=[f"{point}." for point in [*points(parity), *check_points(parity.checks)]],
        tables=[Table(verdict_table(parity))],
        pictures=pictures,
        kind="warning" if parity.exit_code else "verdict",
    )
