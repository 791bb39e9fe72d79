"""Parity as JSON and as files in a folder."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pandas as pd

from harness.document.attempt import attempt
from harness.document.plain import plain
from harness.document.pull_request import pull_request_comment
from harness.document.section import Explorer, Section, Title, without_pictures
from harness.document.writer import PageAddress, write_sections
from harness.parity.divergence import Divergence
from harness.parity.error_values import errors_explorer
from harness.parity.parity import Parity
from harness.parity.section import parity_headline, parity_points, parity_sections, tensor_table
from harness.results.run_folder import RunFolder

_TABLES = ("experiment.toml", "errors.parquet", "chaos.parquet")


def write_parity(parity: Parity, address: str) -> PageAddress:
    """Write parity.json, .md, .html, errors.parquet, chaos.parquet and figures/; the page's address."""
    folder = RunFolder(address)
    experiment = parity.experiment
    steps = f" · {parity.steps[-1]} steps" if parity.steps else ""
    about = (
        f"{experiment.dataset} · {', '.join(experiment.backends)} · against {parity.reference} · "
        f"{len(experiment.eta)} × {len(experiment.lmbd)} grid{steps}"
    )
    folder.claim([*_TABLES, *(f"parity.{kind}" for kind in ("json", "md", "html"))])
    folder.write_experiment(experiment)
    folder.write_json("parity.json", parity_json(parity))
    folder.write_frame("errors.parquet", parity.errors)
    folder.write_frame("chaos.parquet", parity.chaos)
    sections, explorer = parity_page(parity)
    return write_sections(Title("Parity", about), sections, folder, "parity", explorer)


def parity_page(parity: Parity) -> tuple[list[Section], Explorer | None]:
    """The sections of a page, and the maps of errors, which stand there in the place of the figure."""
    first, *rest = parity_sections(parity)
    explorer, fault = attempt("the maps of errors", partial(errors_explorer, parity))
    if explorer:
        first = without_pictures(first)
    if fault:
        first = replace(first, points=[*first.points, fault], faults=[fault])
    return [first, *rest], explorer


def parity_comment(parity: Parity) -> tuple[str, str]:
    """What is said of it on a pull request: the comment's name, and its text."""
    name = f"parity {parity.experiment.dataset.rsplit('/', 1)[-1]}"
    text = pull_request_comment(name, _outcome(parity), parity_sections(parity))
    return name, text


def _outcome(parity: Parity) -> str:
    return {0: "agree", 1: "disagree", 3: "undecided"}[parity.exit_code]


def parity_json(parity: Parity) -> dict[str, Any]:
    """Everything but the errors of each cell, which are in a table of their own."""
    everything = {
        "outcome": _outcome(parity),
        "exit_code": parity.exit_code,
        "headline": parity_headline(parity),
        "points": parity_points(parity),
        "reference": parity.reference,
        "fault_of_the_reference": parity.fault or None,
        "steps": list(parity.steps),
        "rtol": parity.rtol,
        "experiment": parity.experiment.model_dump(mode="json"),
        "verdicts": [asdict(verdict) for verdict in parity.verdicts],
        "alike": {dtype: [list(pair) for pair in pairs] for dtype, pairs in parity.alike.items()},
        "kinks": [asdict(kink) for kink in parity.kinks],
        "tensors": tensor_table(parity),
        "divergences": [_divergence_json(d) for d in parity.divergences],
        "cells": _cells_json(parity.chaos),
        "checks": parity.checks,
        "seconds": round(parity.seconds, 3),
    }
    record: dict[str, Any] = plain(everything)
    return record


def _divergence_json(divergence: Divergence) -> dict[str, Any]:
    why = divergence.explanation
    names = ("backend", "reference", "dtype", "eta", "lmbd", "step", "epoch", "before", "after")
    return {name: getattr(divergence, name) for name in names} | {
        "first_tensor": divergence.first,
        "how": divergence.how,
        "explanation": why
        and {"words": why.words, "kind": why.kind, "left": why.left, "of": why.of},
        "tensors": divergence.tensors,
    }


def _cells_json(chaos: pd.DataFrame) -> pd.DataFrame:
    return chaos.groupby(["recipe", "dtype", "status"], sort=False).size().reset_index(name="cells")
