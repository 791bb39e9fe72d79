"""The first page: the verdict in words, the chosen cells, the warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.document import numbers
from harness.document.section import Section, Table
from harness.report.agreement import CellAgreement
from harness.report.chosen_cells import Choice, chosen_table
from harness.report.disputed_words import agreement_words
from harness.report.runs import Material
from harness.report.warnings import warnings
from harness.results.result import Result

WORDS = {"timeout": "timed out"}


def verdict(material: Material) -> Section:
    """What came out, in words."""
    text = list(_completeness(material, finished=False))
    for name, result in zip(material.names, material.results, strict=True):
        own = [c for c in material.choices if c.side.result is result]
        said = " ".join(_scores(own, result))
        text.append(f"{name}: {said}" if material.several else said)
    settled = "" if material.several else " ".join(agreement_words(material.results[0]))
    text += _agreement(material, settled)
    text += _completeness(material, finished=True)
    found = len(warnings(material))
    if found:
        text[-1] += f" {numbers.count(found, 'warning').capitalize()}, listed below."
    return Section("Verdict", text=text, kind="verdict")


def _completeness(material: Material, finished: bool) -> Iterator[str]:
    """What became of the planned networks, for the runs that are finished or those that are not."""
    for name, result in zip(material.names, material.results, strict=True):
        if result.complete != finished:
            continue
        counts = result.records["status"].value_counts().to_dict()
        planned, ok = len(result.records), int(counts.pop("ok", 0))
        prefix = f"{name}: " if material.several else ""
        if ok == planned:
            yield f"{prefix}All {numbers.count(planned, 'planned network')} trained."
        else:
            rest = ", ".join(f"{number} {WORDS.get(str(s), s)}" for s, number in counts.items())
            state = "" if finished else "Unfinished. "
            yield (
                f"{prefix}{state}Of {numbers.count(planned, 'planned network')} {ok} trained; {rest}."
            )


def _scores(own: Sequence[Choice], result: Result) -> Iterator[str]:
    if not own:
        yield "No backend has a cell that trained in every repeat, so none is chosen."
        return
    metric = result.metric
    name = numbers.NAMES[metric]
    judge = f"validation {name}" if result.experiment.validation_size else "the test set itself"
    ranked = sorted(own, key=lambda c: c.test)
    low, high = ranked[0], ranked[-1]
    samples = numbers.count(own[0].samples, "test sample")
    if len(own) == 1:
        yield (
            f"Chosen on {judge}, {low.side.backend} reaches a test {name} of "
            f"{numbers.score(low.test, metric)} on {samples}."
        )
    elif high.test == low.test:
        yield (
            f"Chosen on {judge}, all {len(own)} backends reach the same test {name} of "
            f"{numbers.score(low.test, metric)} on {samples}."
        )
    else:
        yield (
            f"Chosen on {judge}, the {len(own)} backends reach a test {name} of "
            f"{numbers.score(low.test, metric)} ({_who(own, low)}) to "
            f"{numbers.score(high.test, metric)} ({_who(own, high)}) on {samples}: "
            f"{numbers.span(high.test - low.test, metric)} apart."
        )
    if metric == "accuracy":
        error = max(c.standard_error for c in own)
        yield (
            f"One sample is worth {numbers.span(1 / own[0].samples, metric)}; the binomial standard "
            f"error of one such accuracy is {numbers.span(error, metric)}."
        )
    cells = {(c.eta, c.lmbd) for c in own}
    if len(cells) == 1 and len(own) > 1:
        yield f"All chose the same cell, {numbers.cell(*cells.pop())}."


def _who(own: Sequence[Choice], like: Choice) -> str:
    return ", ".join(c.side.backend for c in own if c.test == like.test)


def _agreement(material: Material, settled: str) -> Iterator[str]:
    """Cell by cell against each reference: how often all labels are the same, and where least.

    ``settled`` is what is known of the differences' cause, and takes the place of how often.
    """
    compared = [c for c in material.compared if c.both.any() and np.isfinite(c.alike).any()]
    for metric in dict.fromkeys(c.side.metric for c in compared):
        for reference in dict.fromkeys(c.reference for c in compared if c.side.metric == metric):
            own = [c for c in compared if c.reference is reference]
            yield f"{settled or _alike(reference.label, own, metric)} {_widest(own, metric)}"


def _alike(reference: str, own: Sequence[CellAgreement], metric: str) -> str:
    where = f"Cell by cell against {reference}, where both trained,"
    if metric == "accuracy":
        identical = [
            f"{c.side.label} in {int((c.alike == 1).sum())} of {int(c.both.sum())} cells"
            for c in own
        ]
        parts = [f"every test sample is labelled alike by {', '.join(identical)}"]
    else:
        parts = [
            f"predictions of {c.side.label} correlate by {np.nanmedian(c.alike):.4f} in the median of "
            f"{int(c.both.sum())} cells"
            for c in own
        ]
    return f"{where} {'; '.join(parts)}."


def _widest(own: Sequence[CellAgreement], metric: str) -> str:
    widest = max(own, key=lambda c: float(np.nanmax(np.abs(c.difference))))
    at = np.unravel_index(np.nanargmax(np.abs(widest.difference)), widest.difference.shape)
    gap = float(np.abs(widest.difference[at]))
    if gap == 0:
        return f"No cell differs in test {numbers.NAMES[metric]}."
    cell = numbers.cell(float(widest.eta[at[0]]), float(widest.lmbd[at[1]]))
    return (
        f"Test {numbers.NAMES[metric]} differs most, by {numbers.span(gap, metric)}, in "
        f"{widest.side.label} at {cell}."
    )


def warned(material: Material) -> Section | None:
    """The automatic warnings; None if there is nothing to warn of."""
    found = warnings(material)
    return Section("Warnings", points=found, kind="warning") if found else None


def chosen(material: Material) -> Section | None:
    """The chosen cell of every backend."""
    if not material.choices:
        return None
    classifies = "accuracy" in material.metrics
    text = [
        "Selection rule: the cell with the highest mean validation "
        + " or ".join(numbers.NAMES[m] for m in material.metrics)
        + "; ties go to the lower validation loss, then to the smaller eta and lmbd.",
        "`test-best` is the highest test score of all cells, the number one would report if the test "
        "set chose; `optimism` is by how much it flatters beside the chosen cell.",
    ]
    if all(result.experiment.validation_size for result in material.results):
        text[0] += " The test set has no part in it."
    else:
        text[0] += (
            " A run without a validation part was judged by its test part instead: there the chosen "
            "cell's test score flatters, and no optimism can be seen."
        )
    if classifies:
        quanta = {c.samples for c in material.choices if c.side.metric == "accuracy"}
        steps = ", ".join(f"1/{n} = {numbers.span(1 / n, 'accuracy')}" for n in sorted(quanta))
        text.append(
            "`standard error` is the test set's binomial one, sqrt(p (1 - p) / n). The test set's "
            f"quantum, the worth of one of its samples, is {steps}."
        )
    return Section(
        "Chosen cells",
        text=text,
        tables=[Table(chosen_table(material.choices), "The chosen cells")],
    )
