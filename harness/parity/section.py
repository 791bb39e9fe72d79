"""Parity as sections of a report: words, tables and the figure of the error against the step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from backends.testing import ROUNDED
from harness.document.section import Picture, Section, Table
from harness.document.words import render
from harness.parity.divergence import ONLY_TOGETHER, Divergence
from harness.parity.error_figure import error_by_step
from harness.parity.kinks import Kink
from harness.parity.parity import WRITTEN_OUT, Parity
from harness.parity.stock import stock_points, stock_table
from harness.parity.verdict import UNDECIDED, BackendVerdict, ParityOutcome
from harness.roundoff.round_off import TIMES_ROUND_OFF, TWINS
from harness.roundoff.section import chaos_section

_SENTENCES = "parity/sentences.jinja"
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
        where = f"step {divergence.step}, first in {tensor_words(divergence.first)}"
        summary = where if divergence.step and divergence.first else "the weights of a cell agree"
        sections.append(Section(title, text, tables=tables, kind="warning", summary=summary))
    table = tensor_table(parity)
    if len(table):
        caption = "Largest errors, and what was allowed there"
        sections.append(
            Section("Errors by tensor", tables=[Table(table, caption)], summary=caption)
        )
    if len(parity.stock):
        sections.append(_stock_section(parity.stock))
    if len(parity.checks):
        shown = parity.checks[["backend", "check", "verdict", "words"]].copy()
        shown["check"] = shown["check"].str.replace("_", " ")
        counts = ", ".join(
            f"{n} {verdict}" for verdict, n in shown["verdict"].value_counts().items()
        )
        summary = f"{counts}, of the checks that every backend goes through"
        tables = [Table(shown, "Checks of backends.testing")]
        sections.append(Section("Conformance", tables=tables, summary=summary))
    if len(parity.chaos):
        sections.append(chaos_section(parity.chaos))
    return sections


def _stock_section(stock: pd.DataFrame) -> Section:
    text = (
        "What is judged above trains all cells as one stack, where the backend can. The stock program is "
        "the library as its own documentation teaches it, one network at a time, nothing made up for. Here "
        "the two are held against each other in at most two cells over the first steps; each may be off as "
        "far as round-off allows it. parity --stock judges the stock program itself, over the whole path."
    )
    summary = "each library as its documentation teaches it, against all cells at once"
    return Section(
        "Stack and stock program", [text], tables=[Table(stock_table(stock))], summary=summary
    )


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
        text=[parity_headline(parity)],
        points=[f"{point}." for point in [*parity_points(parity), *_check_points(parity.checks)]],
        tables=[Table(verdict_table(parity))] if parity.verdicts else [],
        pictures=pictures,
        kind="warning" if parity.exit_code else "verdict",
        method=[_METHOD, _FLOAT32],
    )


def parity_headline(parity: Parity) -> str:
    """The answer in one sentence."""
    kind, names = _answer(parity)
    rounded = parity.of(ParityOutcome.LIBRARY_ROUNDING)
    exact = [verdict for verdict in parity.agreeing if verdict not in rounded]
    shares = {v.dtype: v.share for v in sorted(exact, key=lambda v: v.share)}
    return render(
        _SENTENCES,
        "headline",
        kind=kind,
        names=names,
        fault=parity.fault,
        reference=parity.reference,
        steps=parity.steps[-1] if parity.steps else 0,
        shares=dict(sorted(shares.items())),
        rounded=[f"{verdict.backend} in {verdict.dtype}" for verdict in rounded],
    )


def _answer(parity: Parity) -> tuple[str, list[str]]:
    """What came of it, and who it is said of."""
    failed = parity.checks[parity.checks["verdict"] == "failed"]
    silent = {str(outcome): _names(parity.of(outcome)) for outcome in UNDECIDED}
    answers = {
        "fault": [WRITTEN_OUT] if parity.fault else [],
        "disagree": _names(parity.disagreeing),
        "checks": list(dict.fromkeys(failed["backend"])),
        **silent,
        "agree": _names(parity.agreeing),
    }
    return next(((kind, names) for kind, names in answers.items() if names), ("nobody", []))


def followed_words(parity: Parity, repeat: int, cells: int) -> str:
    """What following some cells of a run came to; ``repeat`` counts from 0."""
    said = [divergence_sentence(divergence) for divergence in parity.divergences]
    said += [kink_sentence(kink) for kink in parity.kinks]
    said += [
        f"{v.backend} failed in {v.dtype}: {v.reason}" for v in parity.of(ParityOutcome.FAILED)
    ]
    return render(
        _SENTENCES,
        "followed",
        cells=cells,
        repeat=repeat,
        fault=parity.fault,
        points=said,
        names=_names(parity.agreeing),
    )


def parity_points(parity: Parity) -> list[str]:
    """What stands beside the headline: where they part, who was not compared, who is alike."""
    said = [divergence_sentence(divergence) for divergence in parity.divergences]
    said += [*parity.notes, *(kink_sentence(kink) for kink in parity.kinks)]
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
    return said


def _check_points(checks: pd.DataFrame) -> list[str]:
    """A sentence for every backend that was checked, and one for every check it failed."""
    said = []
    for name, own in checks.groupby("backend", sort=False):
        counts = own["verdict"].value_counts()
        verdicts = ("passed", ROUNDED, "failed", "skipped")
        numbers = [f"{counts[v]} {v}" for v in verdicts if v in counts]
        said.append(f"{name}: of {len(own)} conformance checks {', '.join(numbers)}")
        for rounding, rounded in own[own["verdict"] == ROUNDED].groupby("rounding", sort=False):
            said.append(
                f"{name}: {rounding}; errors of up to {rounded['needed'].max():.1e} in float64, within "
                "float32's round-off, count as that in the checks"
            )
        for row in own[own["verdict"] == "failed"].to_dict("records"):
            what = str(row["check"]).replace("_", " ")
            said.append(f"{name} fails the check that {what}: {row['words']}")
    return said


def divergence_sentence(divergence: Divergence) -> str:
    """Where and why a backend parts from the reference."""
    table = divergence.tensors
    wrong_step = bool(len(table) and table["differs"].any())
    size = table.loc[table["differs"], "relative"].min() if wrong_step else np.nan
    return render(
        _SENTENCES,
        "divergence",
        d=divergence,
        together=divergence.first == ONLY_TOGETHER,
        first=tensor_words(divergence.first) if divergence.step and divergence.first else "",
        wrong_step=wrong_step,
        single=divergence.dtype == "float64" and 1e-10 < size < 1e-6,
    )


def kink_sentence(kink: Kink) -> str:
    """What happened at a kink."""
    return render(_SENTENCES, "kink", k=kink)


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


def _names(verdicts: Sequence[BackendVerdict]) -> list[str]:
    return list(dict.fromkeys(verdict.backend for verdict in verdicts))
