"""The first page: the verdict in words, the chosen cells, the warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.document import number_words
from harness.document.section import Section, Table
from harness.document.words import paragraphs, render
from harness.report.agreement import CellAgreement, agreement_words
from harness.report.chosen_cells import Choice, chosen_table
from harness.report.run_warnings import run_warnings, severe_warnings
from harness.report.runs import Material
from harness.results.result import Result
from harness.training.status import Status

_SENTENCES = "report/sentences.jinja"


def run_verdict(material: Material) -> Section:
    """What came out, in words."""
    text = list(_completeness(material, finished=False))
    for name, result in zip(material.names, material.results, strict=True):
        own = [c for c in material.choices if c.side.result is result]
        scores = _scores(own, result)
        text.append(f"{name}: {scores}" if material.several else scores)
    disputes = "" if material.several else " ".join(agreement_words(material.results[0]))
    text += _agreement(material, disputes)
    text += _completeness(material, finished=True)
    number = len(run_warnings(material))
    if number:
        text[-1] += f" {number_words.count(number, 'warning').capitalize()}, listed below."
    return Section("Verdict", text=text, kind="verdict")


def _completeness(material: Material, finished: bool) -> Iterator[str]:
    """What became of the planned networks, for the runs that are finished or those that are not."""
    for name, result in zip(material.names, material.results, strict=True):
        if result.complete != finished:
            continue
        counts = result.records["status"].value_counts().to_dict()
        planned, ok = len(result.records), int(counts.pop(Status.OK, 0))
        rest = [f"{n} {'timed out' if s == Status.TIMEOUT else s}" for s, n in counts.items()]
        words = render(
            _SENTENCES, "completeness", planned=planned, ok=ok, rest=rest, finished=finished
        )
        yield f"{name}: {words}" if material.several else words


def _scores(own: Sequence[Choice], result: Result) -> str:
    """What the backends of a run reach in their chosen cells."""
    tests = {c.side.backend: c.test for c in own}
    low, high = min(tests.values(), default=0.0), max(tests.values(), default=0.0)
    sizes = {len(result.target(repeat)) for repeat in range(result.experiment.repeats)}
    smallest, biggest = min(sizes), max(sizes)
    accuracy = result.metric == "accuracy"
    return render(
        _SENTENCES,
        "scores",
        metric=result.metric,
        choose_by=result.choose_by,
        largest=result.largest_class,
        others=_others(own, result),
        validated=result.experiment.validation_size > 0,
        number=len(own),
        repeats=result.experiment.repeats,
        low=low,
        high=high,
        worst=", ".join(name for name, test in tests.items() if test == low),
        best=", ".join(name for name, test in tests.items() if test == high),
        samples=biggest if smallest == biggest else f"{smallest} to {biggest}",
        smallest=smallest,
        biggest=biggest,
        interval=min(own, key=lambda c: c.test).one_accuracy if own and accuracy else (),
        chosen=list(dict.fromkeys(number_words.cell(c.eta, c.lmbd) for c in own)),
    )


def _others(own: Sequence[Choice], result: Result) -> list[dict[str, object]]:
    """The other scores that are shown: lowest and highest test value of the chosen cells."""
    rows: list[dict[str, object]] = []
    for name in result.shown_scores[1:] if own else ():
        tests = [choice.mean(f"test_{name}") for choice in own]
        rows.append({"name": name, "low": min(tests), "high": max(tests)})
    return rows


def _agreement(material: Material, disputes: str) -> Iterator[str]:
    """Cell by cell against each reference: how often all labels are the same, and where least.

    ``disputes`` is what is known of the differences' cause, and takes the place of how often.
    """
    compared = [c for c in material.compared if c.both.any() and np.isfinite(c.alike).any()]
    for metric in dict.fromkeys(c.side.metric for c in compared):
        labels = dict.fromkeys(c.reference.label for c in compared if c.side.metric == metric)
        for label in labels:
            own = [c for c in compared if c.reference.label == label]
            yield f"{disputes or _alike(label, own, metric)} {_widest(own, metric)}"


def _alike(reference: str, own: Sequence[CellAgreement], metric: str) -> str:
    backends = [
        {
            "label": c.side.label,
            "cells": int(c.both.sum()),
            "identical": int(c.same.sum()),
            "median": float(np.nanmedian(c.alike)),
        }
        for c in own
    ]
    return render(_SENTENCES, "alike", reference=reference, metric=metric, backends=backends)


def _widest(own: Sequence[CellAgreement], metric: str) -> str:
    own = [c for c in own if np.isfinite(c.difference).any()]
    if not own:  # a score that is not defined; a warning says so
        return ""
    widest = max(own, key=lambda c: float(np.nanmax(np.abs(c.difference))))
    side, gaps = widest.side, np.abs(widest.difference)
    i, j = np.unravel_index(np.nanargmax(gaps), gaps.shape)
    where = number_words.cell(float(side.eta[i]), float(side.lmbd[j]))
    gap = float(gaps[i, j])
    return render(_SENTENCES, "widest", metric=metric, gap=gap, label=side.label, where=where)


def warning_section(material: Material) -> Section | None:
    """The automatic warnings, folded if none is severe; None if there is nothing to warn of."""
    points = run_warnings(material)
    if not points:
        return None
    mild = f"{number_words.count(len(points), 'caution')}, nothing severe"
    summary = "" if severe_warnings(material) else mild
    return Section("Warnings", points=points, kind="warning", summary=summary)


def chosen_section(material: Material) -> Section | None:
    """The chosen cell of every backend."""
    if not material.choices:
        return None
    sizes = {c.samples for c in material.choices if c.side.metric == "accuracy"}
    text = paragraphs(
        _SENTENCES,
        "choice",
        metrics=material.choosing,
        validated=all(result.experiment.validation_size for result in material.results),
        repeated=any(result.experiment.repeats > 1 for result in material.results),
        quanta=[f"1/{n} = {number_words.span(1 / n, 'accuracy')}" for n in sorted(sizes)],
    )
    table = Table(chosen_table(material.choices), "The chosen cells", name="chosen")
    return Section("Chosen cells", text=text, tables=[table])
