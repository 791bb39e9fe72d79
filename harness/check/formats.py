"""A verdict for machines: JSON, JUnit XML, Markdown, annotations for GitHub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree

from harness.check.decisive_tests import Primary
from harness.check.findings import Finding
from harness.check.section import (
    baseline_section,
    check_headline,
    check_points,
    check_section,
    run_name,
)
from harness.check.verdict import CheckVerdict
from harness.document.foreign_text import visible
from harness.document.number_words import change, probability
from harness.document.plain import plain
from harness.document.pull_request import pull_request_comment
from harness.document.section import Title
from harness.document.writer import PageAddress, write_sections
from harness.results.run_folder import RunFolder

_SHOWN = 50  # cells that JSON lists


def check_json(verdict: CheckVerdict) -> dict[str, Any]:
    """Everything a program may want to know; what is not a number is null."""
    told = {
        "baseline": verdict.baseline.name,
        "run": verdict.run.address if verdict.run else None,
        "outcome": verdict.outcome,
        "exit_code": verdict.exit_code,
        "change": verdict.word or None,
        "headline": check_headline(verdict),
        "points": check_points(verdict),
        "metric": verdict.metric,
        "margin": verdict.rules.margin,
        "alpha": verdict.rules.alpha,
        "strict": verdict.rules.strict,
        "repeats": verdict.repeats,
        "looks": list(verdict.looks),
        "baseline_repeats": verdict.baseline.experiment.repeats,
        "backends": list(verdict.backends),
        "obstacles": list(verdict.obstacles),
        "failures": [asdict(finding) for finding in verdict.failures],
        "primaries": [_primary(primary) for primary in verdict.primaries],
        "chaotic_choices": [asdict(choice) for choice in verdict.chaotic],
        "changed_cells": verdict.changed.head(_SHOWN),
        "fallen_cells": verdict.fallen.head(_SHOWN),
        "notes": [*verdict.signs.words, *verdict.notes],
    }
    return {name: plain(value) for name, value in told.items()}


def _primary(primary: Primary) -> dict[str, Any]:
    quantity = primary.quantity
    return {
        "backend": quantity.backend,
        "quantity": quantity.kind,
        "cells": [list(cell) for cell in quantity.cells],
        **{k: v for k, v in asdict(primary).items() if k != "quantity"},
    }


def check_markdown(verdict: CheckVerdict) -> str:
    """The verdict for a CI summary or a pull request, between its marks."""
    return pull_request_comment(comment_name(verdict), verdict.outcome, [check_section(verdict)])


def write_check(verdict: CheckVerdict, address: str) -> PageAddress:
    """Write check.md and check.html, the verdict and beside it the baseline's origin; the page's address."""
    held = baseline_section(verdict.baseline)
    name, summary = (
        verdict.baseline.name,
        "what it was made from, when, and how stable its cells are",
    )
    sections = [check_section(verdict), replace(held, kind="plain", summary=summary)]
    title = Title(f"Check against {name}", f"{run_name(verdict)} · {held.text[0]}")
    return write_sections(title, sections, RunFolder(address), "check")


def comment_name(verdict: CheckVerdict) -> str:
    """What the comment is called, and found again by."""
    return f"check {verdict.baseline.name}"


def check_junit(verdict: CheckVerdict) -> str:
    """JUnit XML: a test case for the whole, for each primary and for each other failure.

    An inconclusive test is a skipped one, with the reason; not comparable is an error.
    """
    cases: list[ElementTree.Element] = []
    name = verdict.baseline.name
    comparable = _case("comparable", name)
    for obstacle in verdict.obstacles:
        ElementTree.SubElement(comparable, "error", message=obstacle)
    cases.append(comparable)
    for finding in verdict.failures:
        if finding.kind != "worse":
            case = _case(f"{finding.kind}: {finding.where}", name)
            _failed(case, finding)
            cases.append(case)
    worse = {finding.where: finding for finding in verdict.failures if finding.kind == "worse"}
    for primary in verdict.primaries:
        case = _case(primary.quantity.name, name)
        said = change(primary.difference, primary.low, primary.high, verdict.metric)
        if primary.quantity.name in worse:
            _failed(case, worse[primary.quantity.name])
        elif primary.outcome == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=f"inconclusive: {said}")
        else:
            output = ElementTree.SubElement(case, "system-out")
            output.text = f"{said}; worse: {probability(primary.p_worse)}"
        cases.append(case)
    return _junit(name, cases)


def points_junit(name: str, verdicts: Mapping[str, CheckVerdict]) -> str:
    """JUnit XML of a study's check: a test case for each point.

    An inconclusive point is a skipped one, one that is not comparable an error.
    """
    cases = []
    for point, verdict in verdicts.items():
        case, said = _case(point, name), check_headline(verdict)
        if verdict.outcome == "pass":
            ElementTree.SubElement(case, "system-out").text = said
        else:
            tag = {"fail": "failure", "inconclusive": "skipped"}.get(verdict.outcome, "error")
            why = ElementTree.SubElement(case, tag, message=said)
            why.text = "\n".join([*map(str, verdict.failures), *verdict.obstacles])
        cases.append(case)
    return _junit(name, cases)


def _junit(name: str, cases: Sequence[ElementTree.Element]) -> str:
    """One suite of test cases."""
    counts = {
        kind: str(sum(case.find(tag) is not None for case in cases))
        for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ElementTree.Element(
        "testsuite",
        {"name": f"harness check {name}", "tests": str(len(cases)), **counts},
    )
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    for element in root.iter():  # XML has no place for controls, not even escaped
        element.text = visible(element.text) if element.text else None
        element.attrib.update({name: visible(value) for name, value in element.items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(name: str, baseline: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=f"harness.check.{baseline}", name=name)


def _failed(case: ElementTree.Element, finding: Finding) -> None:
    failure = ElementTree.SubElement(case, "failure", type=finding.kind, message=finding.what)
    failure.text = str(finding)


def github_annotations(verdict: CheckVerdict) -> list[str]:
    """Workflow commands that GitHub shows at a pull request, for what fails the check and no more."""
    title = _property(f"harness check {verdict.baseline.name}")
    return [f"::error title={title}::{_data(str(finding))}" for finding in verdict.failures]


def _data(text: str) -> str:
    """Escaped as GitHub's workflow commands want it."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
