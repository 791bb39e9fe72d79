"""What the report on a run of the preset ``lecture`` has beside the usual sections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.data.dataset import Dataset, load_dataset
from harness.document.canvas import Frame, panels
from harness.document.numbers import score
from harness.document.section import Picture, Section, Table
from harness.experiment.experiment import experiment_from
from harness.lecture.conventions import conventions
from harness.lecture.effects import (
    EVERYTHING,
    SWITCHES,
    WRITTEN,
    Effect,
    effects,
    from_frame,
    to_frame,
)
from harness.lecture.published import SOURCE, published
from harness.lecture.slips import slips
from harness.lecture.unseeded import LEVEL, PARTS, kept, spread
from harness.results.result import Result
from harness.results.run_folder import RunFolder

KEPT = "conventions.parquet"  # in the run folder: what the switched grids gave


def lecture_sections(result: Result) -> list[Section]:
    """The sections of one run; trains the grid again for every convention, once for a run folder."""
    if result.experiment.task != "classification":
        return [programs(result)]
    dataset = load_dataset(result.experiment)
    found = [reproduction(result), unseeded(result), programs(result)]
    found += [consequences(result, dataset), told_slips(result, dataset)]
    return [s for s in found if s is not None]


def programs(result: Result) -> Section:
    """What differs between the programs."""
    return Section(
        "What differs between the programs",
        text=[
            "The notes' programs look like one network written in several libraries. They differ in all "
            "of this:"
        ],
        tables=[Table(conventions(result.experiment, result.backends))],
    )


def reproduction(result: Result) -> Section | None:
    """The printed accuracies beside ours; None unless the run is the notes' own grid on their data."""
    if not _of_the_notes(result):
        return None
    notes, print_outs = experiment_from({"preset": "lecture"}), published()
    rows, lines = [], []
    for backend, theirs in print_outs.accuracy.items():
        if backend not in result.backends:
            continue
        records = result.of(backend)
        first = records[records["repeat"] == 0].sort_values(["eta", "lmbd"])
        ours = first["test_accuracy"].to_numpy().reshape(theirs.shape)
        stable = print_outs.stable[backend]
        equal = int((ours[:stable] == theirs[:stable]).sum())
        rows.append(
            {
                "program": backend,
                "printed alike in every copy": f"eta ≤ {notes.eta[stable - 1]:g}",
                "cells": theirs[:stable].size,
                "equal here, digit for digit": equal,
                "cells of the other rows": theirs[stable:].size,
                "equal there": int((ours[stable:] == theirs[stable:]).sum()),
            }
        )
        lines.append(equal == theirs[:stable].size)
    if not rows:
        return None
    verdict = (
        "All accuracies that every executed copy of the notes prints alike come out here as well, digit "
        "for digit."
        if all(lines)
        else "Not all accuracies that every executed copy of the notes prints alike come out here."
    )
    return Section(
        "The printed accuracies",
        text=[
            verdict,
            "In the other rows eta is so large that round-off grows to order one or numbers overflow; "
            "what is printed there differs from machine to machine. "
            f"Printed numbers: {SOURCE}.",
        ],
        tables=[Table(pd.DataFrame(rows))],
        kind="verdict" if all(lines) else "warning",
    )


def unseeded(result: Result) -> Section | None:
    """TensorFlow and Keras beside unseeded trainings by the notes' own programs; None as above."""
    if not _of_the_notes(result):
        return None
    theirs, found = kept(), []
    for backend in (b for b in result.backends if b in set(theirs["program"])):
        records = result.of(backend)
        ours = records[records["repeat"] == 0]
        found += [spread(backend, p, ours, theirs[theirs["program"] == backend]) for p in PARTS]
    if not found:
        return None
    within = all(s.within for s in found)
    rows = [
        {
            "program": s.program,
            "accuracy": f"{s.part}ing" if s.part == "train" else s.part,
            "cells": s.cells,
            "unseeded trainings of each": s.runs,
            "outside their range": s.outside,
            "expected of one more like them": f"at most {s.expected:.1f}",
            "p-value": f"{s.p_value:.2g}",
        }
        for s in found
    ]
    return Section(
        "The programs that were never seeded",
        text=[
            "The accuracies here fall within the spread of the notes' own programs."
            if within
            else "The accuracies here fall outside the spread of the notes' own programs.",
            "The notes' TensorFlow and Keras programs, written out with placeholders and a session and as "
            "a Sequential, were trained several times without a seed. Were a training here one more of "
            "the same kind, it would leave their range at a cell with probability 2 / (N + 1) at most, "
            f"for N trainings. The p-value is that of a binomial test; below {LEVEL:g} the two would be "
            "called different. Cells that diverged are not counted.",
        ],
        tables=[Table(pd.DataFrame(rows))],
        kind="verdict" if within else "warning",
    )


def _of_the_notes(result: Result) -> bool:
    """Whether the run is the notes' own grid on their data."""
    notes = experiment_from({"preset": "lecture"})
    return not set(result.experiment.differences(notes)) - {"backends", "repeats", "vary"}


def consequences(result: Result, dataset: Dataset) -> Section:
    """What each convention does to the grid."""
    found = [*_written(result), *_switched(result, dataset)]
    rows = []
    for program in [*SWITCHES, "all"]:
        for e in found:
            if e.program == program:
                eta, lmbd, accuracy = e.best
                rows.append(
                    {
                        "program": e.program,
                        "switched to the fair convention": e.switched,
                        "best eta": f"{eta:g}",
                        "best lmbd": f"{lmbd:g}",
                        "test accuracy": score(accuracy, "accuracy"),
                        "eta that reach 90 %": ", ".join(f"{v:g}" for v in e.working) or "none",
                    }
                )
    return Section(
        "What each difference does to the grid",
        text=_answer(found, result),
        tables=[
            Table(
                pd.DataFrame(rows),
                "One convention after another switched, each on top of those above it",
            )
        ],
        pictures=[
            Picture(
                "conventions",
                partial(draw, found),
                "The best test accuracy at each eta. Left: the programs as written. Right: the NumPy "
                "program with its conventions switched one by one.",
                "Two plots of accuracy over the learning rate; the curves of the left one are far apart, "
                "on the right they move together.",
            )
        ],
    )


def _answer(found: Sequence[Effect], result: Result) -> list[str]:
    """Why the best eta is where it is."""
    written = {e.program: e for e in found if e.switched == WRITTEN}
    switched = {e.switched: e for e in found if e.program == "numpy"}
    batch = result.experiment.recipe("numpy").batch_size
    text = [
        "Cells are chosen on the test part here, as in the notes. The switched grids are trained by the "
        "NumPy backend, all cells from the same initial weights; that the library makes no difference "
        "is what the preset fair shows.",
    ]
    if "numpy" in written and "the cost is averaged, not summed" in switched:
        before, after = (
            written["numpy"].best[0],
            switched["the cost is averaged, not summed"].best[0],
        )
        others = ", ".join(
            f"{name}'s is {e.best[0]:g}"
            for name, e in written.items()
            if name in ("tensorflow", "keras")
        )
        text.insert(
            0,
            f"NumPy's best eta is {before:g}"
            + (f" while {others}" if others else "")
            + ": its class adds "
            f"the gradient up over the minibatch where the others average it. A cell (eta, lmbd) of it "
            f"is a cell ({batch} eta, lmbd / {batch}) of theirs. Averaged, its best eta is {after:g}.",
        )
    if "sklearn" in written:
        text.insert(
            1,
            f"scikit-learn's best eta, {written['sklearn'].best[0]:g}, is that of Adam, whose steps have "
            "the size of eta whatever the gradient's; and its penalty is divided by the minibatch's "
            "size, so that large lmbd still work.",
        )
    return text


def _written(result: Result) -> list[Effect]:
    """The grids of the run itself."""
    found = []
    for backend in result.backends:
        table = result.pivot(backend, "test_accuracy")
        if table.notna().to_numpy().any():
            eta, lmbd = (tuple(float(v) for v in axis) for axis in (table.index, table.columns))
            found.append(Effect(backend, WRITTEN, eta, lmbd, table.to_numpy(np.float64)))
    return found


def _switched(result: Result, dataset: Dataset) -> list[Effect]:
    """The switched grids, from the run folder if they are there, else computed and kept there."""
    folder = RunFolder(result.address)
    defining = {"experiment": result.experiment.digest("repeats"), "programs": result.backends}
    if folder.exists(KEPT):
        frame, metadata = folder.read_frame(KEPT)
        if metadata == defining:
            return from_frame(frame)
    found = effects(result.experiment, dataset, [b for b in result.backends if b in SWITCHES])
    folder.write_frame(KEPT, to_frame(found), defining)
    return found


def draw(found: Sequence[Effect]) -> Figure:
    """Best accuracy over eta: the programs as written, and NumPy's on its way to the fair recipe."""
    frame = Frame(width=4.1, height=2.6, left=0.72, right=0.2, top=0.42, bottom=1.4)
    figure, axes = panels(2, 2, frame)
    colours = ("#cf222e", "#2da44e", "#d9730d", "#3b6fb6")
    groups = {
        "as written": [(e.program, e) for e in found if e.switched == WRITTEN],
        "numpy, switched one by one": [
            (e.switched, e) for e in found if e.program == "numpy" or e.switched == EVERYTHING
        ],
    }
    for axis, (title, lines) in zip(axes, groups.items(), strict=True):
        for (label, effect), colour in zip(lines, colours, strict=False):
            axis.plot(effect.eta, effect.by_eta, "o-", ms=4, color=colour, label=label)
        axis.set_xscale("log")
        axis.set_ylim(0, 1.03)
        axis.set_title(title)
        axis.set_xlabel("eta")
        axis.set_ylabel("best test accuracy")
        if lines:
            axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(0, -0.17))
    return figure


def told_slips(result: Result, dataset: Dataset) -> Section:
    """The slips of the text."""
    return Section(
        "Slips of the text",
        text=["Stated, so that nobody copies them; the preset repeats those of the programs."],
        points=slips(result.experiment, dataset),
    )
