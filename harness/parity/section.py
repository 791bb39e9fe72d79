"""Parity as sections of a report: words, tables and the figure of the error against the step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.document.canvas import FAINT, Frame, panels
from harness.document.number_words import cell, count
from harness.document.section import Picture, Section, Table
from harness.parity.divergence import ONLY_TOGETHER, Divergence
from harness.parity.parity import Parity
from harness.parity.stock import stock_points, stock_table
from harness.parity.verdict import BackendVerdict, ParityOutcome
from harness.roundoff.round_off import TIMES_ROUND_OFF, TWINS
from harness.roundoff.section import chaos_section

_COLOURS = ("#3b6fb6", "#d9730d", "#3a8f5c", "#a13d63", "#7a5cc0", "#8a7a2f")
_MARKERS = "osD^vP"
_METHOD = (
    "All backends start from the same weights and see the same minibatches. They are compared with a "
    "reference that is none of them: the training written out in float64, whose gradients were checked "
    "against finite differences of the objective in extended precision before it was used. A tensor's "
    "relative error is its largest absolute error over its scale: the largest entry of the reference's "
    f"tensor, now or at the start. It may be {TIMES_ROUND_OFF:g} times as large as round-off alone makes it "
    f"in that tensor, cell and step, measured on {TWINS} twins of the reference in the backend's own dtype, "
    "with every result perturbed in its last place and every sum in another order, and never has to be "
    f"smaller than {TIMES_ROUND_OFF:g} units in the last place of the largest entry. Where round-off alone "
    "reaches a thousandth of the weights, nothing is compared."
)
_FLOAT32 = (
    "A float32 run is compared with the float64 reference too; what float32 itself loses on the way, the "
    "same in every library, is part of the round-off that is measured."
)


def parity_sections(parity: Parity) -> list[Section]:
    """The whole report: the verdict, every divergence, the errors of each tensor, the chaos map."""
    sections = [parity_section(parity)]
    for divergence in parity.divergences:
        title = f"Where {divergence.backend} parts from {divergence.reference}"
        caption = f"Step {divergence.step}, in the order of computation"
        tables = [Table(step_table(divergence), caption)] if len(divergence.tensors) else []
        text = [f"{divergence_sentence(divergence)}."]
        sections.append(Section(title, text, tables=tables, kind="warning"))
    table = tensor_table(parity)
    if len(table):
        caption = "Largest errors, and what was allowed there"
        sections.append(Section("Errors by tensor", tables=[Table(table, caption, folded=True)]))
    if len(parity.stock):
        sections.append(_stock_section(parity.stock))
    if len(parity.checks):
        shown = parity.checks[["backend", "check", "verdict", "words"]].copy()
        shown["check"] = shown["check"].str.replace("_", " ")
        tables = [Table(shown, "Checks of backends.testing", folded=True)]
        sections.append(Section("Conformance", tables=tables))
    if len(parity.chaos):
        sections.append(chaos_section(parity.chaos))
    return sections


def _stock_section(stock: pd.DataFrame) -> Section:
    text = (
        "What is judged above trains all cells as one stack. The stock program is the library as its own "
        "documentation teaches it, one network at a time, nothing made up for. Here the two are held "
        "against each other in two cells over the first steps; parity --stock judges the stock program "
        "itself, over the whole path."
    )
    return Section("Stack and stock program", [text], tables=[Table(stock_table(stock))])


def parity_section(parity: Parity) -> Section:
    """The answer, who disagrees and why, and the figure of the error against the step."""
    pictures = []
    if len(parity.errors):
        caption = (
            "The largest relative error of any weight or bias against the number of steps (lines), and the "
            "least that any tensor was allowed (dashed)."
        )
        alt = f"Error against step. {parity_headline(parity)}"
        pictures.append(Picture("error-by-step", partial(error_by_step, parity), caption, alt))
    return Section(
        "Parity",
        text=[parity_headline(parity), _METHOD, _FLOAT32],
        points=[f"{point}." for point in [*parity_points(parity), *_check_points(parity.checks)]],
        tables=[Table(verdict_table(parity))] if parity.verdicts else [],
        pictures=pictures,
        kind="warning" if parity.exit_code else "verdict",
    )


def parity_headline(parity: Parity) -> str:
    """The answer in one sentence."""
    if parity.fault:
        return f"The reference is at fault, so nobody is judged: {parity.fault}."
    wrong = _names(parity.disagreeing)
    if wrong:
        verb = "does" if len(wrong) == 1 else "do"
        return f"Disagree: {_series(wrong)} {verb} not take the path of {parity.reference}."
    failed = parity.checks[parity.checks["verdict"] == "failed"]
    if len(failed):
        names = _series(list(dict.fromkeys(failed["backend"])))
        return f"Weights agree, but {names} does not pass every conformance check."
    for outcome, words in {
        ParityOutcome.FAILED: "Unfinished: {} raised an error.",
        ParityOutcome.NOT_COMPARABLE: "Nothing comparable: too little of {} could be compared.",
        ParityOutcome.UNAVAILABLE: "Unfinished: {} cannot be used here.",
    }.items():
        if silent := _names(parity.of(outcome)):
            return words.format(_series(silent))
    agreed = _names(parity.agreeing)
    if not agreed:
        return "Nothing comparable: no backend can train this."
    verb = "takes" if len(agreed) == 1 else "take"
    return (
        f"Agree: {_series(agreed)} {verb} the path of {parity.reference} over "
        f"{count(parity.steps[-1], 'step')}, {_accuracy(parity)}."
    )


def _accuracy(parity: Parity) -> str:
    worst = {v.dtype: v for v in sorted(parity.agreeing, key=lambda v: v.share)}
    parts = [f"{v.share:.2g} in {dtype}" for dtype, v in sorted(worst.items())]
    return f"with errors of at most {' and '.join(parts)} of what round-off explains"


def parity_points(parity: Parity) -> list[str]:
    """What stands beside the headline: who is alike, where they part, who was not compared."""
    said = [*parity.notes, *(kink.words() for kink in parity.kinks)]
    silent = (
        ParityOutcome.FAILED,
        ParityOutcome.NOT_COMPARABLE,
        ParityOutcome.UNSUPPORTED,
        ParityOutcome.UNAVAILABLE,
    )
    for verdict in parity.verdicts:
        if verdict.outcome in silent:
            words = "failed in" if verdict.outcome == ParityOutcome.FAILED else ""
            what = f"{words} {verdict.dtype}" if words else f"{verdict.dtype}: {verdict.outcome}"
            said.append(f"{verdict.backend} {what}: {verdict.reason}")
        elif verdict.outcome == ParityOutcome.LIBRARY_ROUNDING:
            said.append(
                f"{verdict.backend} {verdict.dtype}: {verdict.outcome}: {verdict.reason} "
                f"({verdict.needed:.1e})"
            )
    said += stock_points(parity.stock)
    for dtype, pairs in parity.alike.items():
        said += [f"{one} and {other} agree with each other in {dtype}" for one, other in pairs]
    return said + [divergence_sentence(divergence) for divergence in parity.divergences]


def _check_points(checks: pd.DataFrame) -> list[str]:
    """A sentence for every backend that was checked, and one for every check it failed."""
    said = []
    for name, own in checks.groupby("backend", sort=False):
        counts = own["verdict"].value_counts()
        numbers = [f"{counts[v]} {v}" for v in ("passed", "failed", "skipped") if v in counts]
        said.append(f"{name}: of {len(own)} conformance checks {', '.join(numbers)}")
        for row in own[own["verdict"] == "failed"].to_dict("records"):
            what = str(row["check"]).replace("_", " ")
            said.append(f"{name} fails the check that {what}: {row['words']}")
    return said


def divergence_sentence(divergence: Divergence) -> str:
    """Where and why a backend parts from the reference."""
    name = f"{divergence.backend} ({divergence.dtype}, {cell(divergence.eta, divergence.lmbd)})"
    if not divergence.step:
        if divergence.first == ONLY_TOGETHER:
            return (
                f"{name}: trained alone, the cell agrees; it differs where it is trained together "
                "with others"
            )
        what = "loss" if divergence.first == "loss" else "own forward pass"
        return f"{name}: its weights agree, its {what} does not ({divergence.after:.1e})"
    epoch = f" (epoch {divergence.epoch})" if divergence.epoch else ""
    first = (
        f", first in {tensor_words(divergence.first)} ({divergence.how})"
        if divergence.first
        else ""
    )
    where = (
        f"{name} parts from {divergence.reference} in step {divergence.step}{epoch}{first}: "
        f"relative error {divergence.before:.1e} before, {divergence.after:.1e} after it"
    )
    if divergence.explanation:
        why = divergence.explanation
        return (
            f"{where}. Explanation: {why.words}. That gives its weights after this step to "
            f"{why.left:.1e}, where they differ by {why.of:.1e}"
        )
    return f"{where}. {_hint(divergence)}"


def _hint(divergence: Divergence) -> str:
    table = divergence.tensors
    if not table["differs"].any():
        return "No single step is wrong: the difference builds up"
    size = table.loc[table["differs"], "relative"].min() if len(table) else np.nan
    if divergence.dtype == "float64" and 1e-10 < size < 1e-6:
        return (
            "No mistake that was tried explains it; the size of the difference is that of a number "
            "that went through float32"
        )
    return "No mistake that was tried explains it"


def tensor_words(tensor: str) -> str:
    """A tensor's name for a reader."""
    fixed = {
        "rows": "the rows of the minibatch",
        "targets": "what the output should give",
        "output": "the output",
        "cross-entropy": "the cost (its derivative by z)",
    }
    if tensor in fixed:
        return fixed[tensor]
    if tensor.startswith("initial "):
        return f"the {tensor}"
    if tensor.startswith("penalty of "):
        return f"the penalty's gradient of {tensor.removeprefix('penalty of ')}"
    if tensor.startswith("d"):
        return f"the gradient of {tensor.removeprefix('d')}"
    if tensor.startswith(("W", "b")):
        return f"the update of {tensor}"
    kind = "z" if tensor.startswith("z") else "the activations"
    return f"{kind} of layer {tensor[1:]}"


def verdict_table(parity: Parity) -> pd.DataFrame:
    """One line for each backend and dtype."""
    rows = []
    for v in parity.verdicts:
        row: dict[str, Any] = {"backend": v.backend, "dtype": v.dtype, "verdict": str(v.outcome)}
        if v.worst is not None:
            row |= {
                "error after 1": _largest(parity.errors, v, parity.steps[0]),
                f"after {parity.steps[-1]}": _largest(parity.errors, v, parity.steps[-1]),
                "needed": f"{v.needed:.1e}",
                "allowed": f"{v.allowed:.1e}",
                "of allowed": f"{v.share:.2g}",
                "cells": f"{v.cells} of {v.grid}",
                "numbers": str(v.values),
            }
        rows.append(row)
    return pd.DataFrame(rows).astype(object)


def _largest(errors: pd.DataFrame, verdict: BackendVerdict, step: int) -> str | None:
    own = errors[(errors["backend"] == verdict.backend) & (errors["dtype"] == verdict.dtype)]
    relative = own.loc[own["enforced"].astype(bool) & (own["step"] == step), "relative"]
    return f"{relative.max():.1e}" if len(relative) else None


def tensor_table(parity: Parity) -> pd.DataFrame:
    """For every tensor what it needed and was allowed where it used most, by backend and dtype."""
    counted = parity.errors[parity.errors["enforced"].astype(bool)]
    if not len(counted):
        return pd.DataFrame()
    keys = ["backend", "dtype", "tensor"]
    counted = counted.assign(share=(counted["relative"] / counted["tolerance"]).fillna(np.inf))
    grouped = counted.groupby(keys, sort=False)
    worst = counted.loc[
        grouped["share"].idxmax(), [*keys, "absolute", "relative", "tolerance", "share"]
    ]
    table = worst.reset_index(drop=True)
    for column in ("absolute", "relative", "tolerance"):
        table[column] = [f"{value:.1e}" for value in table[column]]
    table["share"] = [f"{value:.2g}" for value in table["share"]]
    table["numbers"] = grouped["values"].sum().to_numpy()
    names = {"relative": "needed", "tolerance": "allowed", "share": "of allowed"}
    return table.rename(columns=names).astype(object)


def step_table(divergence: Divergence) -> pd.DataFrame:
    """The tensors of the first step that differs, in the order of computation."""
    rows = []
    for row in divergence.tensors.to_dict("records"):
        verdict = "differs" if row["differs"] else "agrees"
        rows.append(
            {
                "tensor": {"cross-entropy": "cost by z"}.get(row["tensor"], row["tensor"]),
                "verdict": verdict if row["seen"] else "not seen from outside",
                "absolute error": f"{row['absolute']:.1e}" if row["seen"] else None,
                "relative error": f"{row['relative']:.1e}" if row["seen"] else None,
            }
        )
    return pd.DataFrame(rows).astype(object)


def error_by_step(parity: Parity) -> Figure:
    """The largest relative error of any tensor after every step looked at, a panel for each dtype.

    Drawn where tensors are judged, with the least that any of them was allowed; dotted where not.
    """
    dtypes = [str(d) for d in parity.errors["dtype"].unique()]
    frame = Frame(width=4.1, height=2.9, left=0.85, bottom=0.6)
    figure, axes = panels(len(dtypes), 2, frame)
    names = list(dict.fromkeys(parity.errors["backend"]))
    trained = parity.errors[~parity.errors["tensor"].isin(["loss", "output"])]
    for axis, dtype in zip(axes, dtypes, strict=True):
        errors = trained[trained["dtype"] == dtype]
        for number, name in enumerate(names):
            own = errors[errors["backend"] == name]
            style = {
                "color": _COLOURS[number % len(_COLOURS)],
                "marker": _MARKERS[number % len(_MARKERS)],
                "ms": 4,
            }
            judged = own["enforced"].astype(bool)
            _line(axis, own[~judged], style | {"ls": ":", "lw": 1, "ms": 2.5})
            _line(axis, own[judged], style | {"lw": 1.6, "label": name})
        _allowed_line(axis, errors[errors["enforced"].astype(bool)], parity.steps)
        axis.set_title(dtype)
        axis.set_xlabel("optimiser step")
        axis.set_ylabel("largest relative error")
        frame.place(axis)
    axes[0].plot([], [], ":", color=FAINT, lw=1, label="not judged")
    axes[0].legend(frameon=False, fontsize=8.5, handlelength=1.8)
    return figure


def _line(axis: Axes, errors: pd.DataFrame, style: dict[str, object]) -> None:
    if not len(errors):
        return
    finite = errors["relative"].where(np.isfinite(errors["relative"]))
    worst = finite.groupby(errors["step"]).max().dropna()
    tiny = float(np.finfo(str(errors["dtype"].iloc[0])).eps) / 10
    axis.plot(worst.index, worst.clip(lower=tiny), **style)  # type: ignore[arg-type]


def _allowed_line(axis: Axes, errors: pd.DataFrame, steps: Sequence[int]) -> None:
    least = errors.groupby("step")["tolerance"].min()
    axis.plot(least.index, least, "--", color="#24292f", lw=1.2, label="least allowed")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(alpha=0.25, lw=0.6)
    axis.minorticks_off()
    ticks = list(steps)
    if len(steps) > 1 and steps[-1] < 2 * steps[-2]:
        ticks = [*steps[:-2], steps[-1]]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])


def _names(verdicts: Sequence[BackendVerdict]) -> list[str]:
    return list(dict.fromkeys(verdict.backend for verdict in verdicts))


def _series(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
