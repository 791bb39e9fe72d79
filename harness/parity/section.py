"""Parity, and the chaos map alone, as sections of a report."""

from __future__ import annotations

from functools import partial

import pandas as pd

from harness.parity.comparison import Parity
from harness.parity.conformity import check_points, check_section
from harness.parity.figures import chaos_figure, error_by_step
from harness.parity.tables import step_table, tensor_table, verdict_table
from harness.parity.words import headline, points, sentence
from harness.report.numbers import count
from harness.report.section import Picture, Section, Table

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
CHAOS = (
    "A map of how far round-off alone carries a training: a backend against itself, with the rows of "
    "each minibatch, the features and the hidden units in other orders. The mathematics is the same, only "
    "sums round differently. Where the two part, so will any two right programs: weights, labels and "
    "accuracies may then differ without a fault anywhere, and no tolerance is enforced."
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


def chaos_section(chaos: pd.DataFrame, name: str = "chaos-map") -> Section:
    """The chaos map of one dtype or several; ``chaos`` is of :func:`harness.parity.chaos.chaos_map`."""
    picture = Picture(
        name,
        partial(chaos_figure, chaos),
        "How many decimal digits of the weights round-off alone takes by the last step.",
        "Heatmaps over eta (down) and lmbd (across). " + " ".join(chaos_words(chaos)),
    )
    return Section("Chaos map", text=[CHAOS], points=chaos_words(chaos), pictures=[picture])


def chaos_words(chaos: pd.DataFrame) -> list[str]:
    """For each recipe and dtype how many cells are of each kind, and what chaos does to the score."""
    found = []
    keys = [key for key in ("recipe", "dtype") if key in chaos]
    several = len(keys) > 1 and len(chaos["recipe"].unique()) > 1
    for names, part in chaos.groupby(keys, sort=False):
        kinds = part["status"].value_counts()
        cells = [
            f"{kinds[k]} {k}" for k in ("stable", "sensitive", "chaotic", "diverged") if k in kinds
        ]
        repeats = part["repeat"].nunique()
        what = count(len(part), "cell" if repeats == 1 else "training")
        words = (
            f"{', '.join(map(str, names if several else names[-1:]))}: of {what} {', '.join(cells)}"
        )
        swing = part.loc[part["chaotic"].astype(bool), "swing"].max()
        if swing > 0:
            words += (
                f"; in chaotic cells round-off alone moves the test score by up to {swing:.3g}"
                " with no fault anywhere"
            )
        found.append(f"{words}.")
    return found
