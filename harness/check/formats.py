"""A verdict for machines: JSON, JUnit XML, Markdown, annotations for GitHub."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from harness.check.decisive_tests import Primary
from harness.check.findings import Finding
from harness.check.section import headline, points, run_name, section
from harness.check.verdict import Verdict
from harness.check.words import change, probability
from harness.document.markdown import markdown
from harness.document.title import Title

SHOWN = 50  # cells that JSON lists


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Everything a program may want to know; what is not a number is null."""
    return {
        "baseline": verdict.baseline.name,
        "run": verdict.run.address if verdict.run else None,
        "outcome": verdict.outcome,
        "exit_code": verdict.exit_code,
        "change": verdict.word or None,
        "headline": headline(verdict),
        "points": points(verdict),
        "metric": verdict.metric,
        "margin": verdict.rules.margin,
        "alpha": verdict.rules.alpha,
        "strict": verdict.rules.strict,
        "repeats": verdict.repeats,
        "baseline_repeats": verdict.baseline.experiment.repeats,
        "backends": list(verdict.backends),
        "obstacles": list(verdict.obstacles),
        "failures": [asdict(finding) for finding in verdict.failures],
        "primaries": [_primary(primary) for primary in verdict.primaries],
        "changed_cells": _rows(verdict.changed),
        "fallen_cells": _rows(verdict.fallen),
        "notes": [*verdict.layer.words, *verdict.notes],
    }


def _primary(primary: Primary) -> dict[str, Any]:
    quantity = primary.quantity
    values = {k: v for k, v in asdict(primary).items() if k != "quantity"}
    return {
        "backend": quantity.backend,
        "quantity": quantity.kind,
        "cells": [list(cell) for cell in quantity.cells],
        **{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()},
    }


def _rows(frame: Any) -> list[dict[str, Any]]:
    rows = frame.head(SHOWN).to_dict("records")
    return [{str(k): None if v != v else v for k, v in row.items()} for row in rows]


def as_markdown(verdict: Verdict) -> str:
    """The verdict for a CI summary or a pull request."""
    title = Title(f"{verdict.outcome}: {verdict.baseline.name}", f"run {run_name(verdict)}")
    return markdown(title, [section(verdict)])


def as_junit(verdict: Verdict) -> str:
    """JUnit XML: a test case for the whole, for each primary and for each other failure.

    An inconclusive test is a skipped one, with the reason; not comparable is an error.
    """
    cases: list[ElementTree.Element] = []
    comparable = _case("comparable", verdict)
    for obstacle in verdict.obstacles:
        ElementTree.SubElement(comparable, "error", message=obstacle)
    cases.append(comparable)
    for finding in verdict.failures:
        if finding.kind != "worse":
            case = _case(f"{finding.kind}: {finding.where}", verdict)
            _failed(case, finding)
            cases.append(case)
    worse = {finding.where: finding for finding in verdict.failures if finding.kind == "worse"}
    for primary in verdict.primaries:
        case = _case(primary.quantity.name, verdict)
        said = change(primary.difference, primary.low, primary.high, verdict.metric)
        if primary.quantity.name in worse:
            _failed(case, worse[primary.quantity.name])
        elif primary.outcome == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=f"inconclusive: {said}")
        else:
            output = ElementTree.SubElement(case, "system-out")
            output.text = f"{said}; worse: {probability(primary.p_worse)}"
        cases.append(case)
    counts = {
        kind: str(sum(case.find(tag) is not None for case in cases))
        for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ElementTree.Element(
        "testsuite",
        {"name": f"harness check {verdict.baseline.name}", "tests": str(len(cases)), **counts},
    )
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(name: str, verdict: Verdict) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase", classname=f"harness.check.{verdict.baseline.name}", name=name
    )


def _failed(case: ElementTree.Element, finding: Finding) -> None:
    failure = ElementTree.SubElement(case, "failure", type=finding.kind, message=finding.what)
    failure.text = str(finding)


def github(verdict: Verdict) -> list[str]:
    """Workflow commands that GitHub shows at a pull request, for what fails the check and no more."""
    title = _property(f"harness check {verdict.baseline.name}")
    return [f"::error title={title}::{_data(str(finding))}" for finding in verdict.failures]


def _data(text: str) -> str:
    """Escaped as GitHub's workflow commands want it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
