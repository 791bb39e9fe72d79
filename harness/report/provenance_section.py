"""Where the numbers come from: runs done and failed, time and memory, how to make them again."""

from __future__ import annotations

import shlex
from typing import Any

import pandas as pd

from harness.document import number_words
from harness.document.section import Section, Table
from harness.document.words import paragraphs
from harness.report.runs import Material
from harness.report.setup_section import facts_tables
from harness.results.backend_grid import BackendGrid
from harness.training.status import Status

_SENTENCES = "report/sentences.jinja"
_NAMED = 12  # cells that a line of failures names


def failures_section(material: Material) -> Section:
    """Networks planned and what became of them, with the reason of every failure."""
    rows = []
    present = [s for s in Status if any((side.statuses == s).any() for side in material.sides)]
    for side in material.sides:
        counts = {str(s): int((side.statuses == s).sum()) for s in present}
        rows.append({"backend": side.label, "planned": side.statuses.size, **counts})
    tables = [
        Table(pd.DataFrame(rows), "Networks planned, and what became of them", name="statuses")
    ]
    failures = [row for side in material.sides for row in _failures(side)]
    if failures:
        tables.append(
            Table(pd.DataFrame(failures), "What gave no result, and why", name="failures")
        )
    text = paragraphs(_SENTENCES, "failures", failures=failures, named=_NAMED)
    return Section("Runs and failures", text=text, tables=tables)


def _failures(side: BackendGrid) -> list[dict[str, Any]]:
    bad = side.records[side.records["status"] != Status.OK]
    rows = []
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        cells = [
            number_words.cell(eta, lmbd)
            for eta, lmbd in group[["eta", "lmbd"]].drop_duplicates().to_numpy()
        ]
        where = "all" if len(cells) == side.ok.size else number_words.listed(cells, _NAMED)
        rows.append(
            {
                "backend": side.label,
                "status": status,
                "networks": len(group),
                "reason": reason or "none given",
                "cells": where,
            }
        )
    return rows


def time_section(material: Material) -> Section:
    """Time and memory of each backend, and the regime they were taken under."""
    runs = []
    for name, result in zip(material.names, material.results, strict=True):
        how = result.manifest.get("execution", {})
        wall = result.manifest.get("wall_seconds")
        executor = how.get("executor", "unknown")
        jobs, threads = how.get("jobs"), how.get("threads")
        runs.append(
            {"name": name, "wall": wall, "executor": executor, "jobs": jobs, "threads": threads}
        )
    serial = all(run["executor"] == "serial" for run in runs)
    text = paragraphs(_SENTENCES, "time", runs=runs, several=material.several, serial=serial)
    return Section(
        "Time and memory", text=text, tables=[Table(_times(material.sides), name="time")]
    )


def _times(sides: list[BackendGrid]) -> pd.DataFrame:
    rows = []
    for side in sides:
        units = [u for u in side.result.manifest.get("units", []) if u["backend"] == side.backend]
        networks = sum(u["networks"] for u in units if u.get("train_seconds") is not None)
        train = _total(units, "train_seconds")
        peaks = [u["peak_memory_bytes"] for u in units if u.get("peak_memory_bytes")]
        rows.append(
            {
                "backend": side.label,
                "networks": networks,
                "units": len(units),
                "import": number_words.seconds(_total(units, "import_seconds")),
                "prepare": number_words.seconds(_total(units, "prepare_seconds")),
                "training": number_words.seconds(train),
                "evaluation": number_words.seconds(_total(units, "evaluate_seconds")),
                "a network": number_words.seconds(train / networks if train and networks else None),
                "peak memory": number_words.size(max(peaks, default=None)),
            }
        )
    return pd.DataFrame(rows, dtype=object)


def _total(units: list[dict[str, Any]], key: str) -> float | None:
    values = [u[key] for u in units if u.get(key) is not None]
    return sum(values) if values else None


def reproduction_section(material: Material) -> Section:
    """The commands, versions and machine."""
    code = []
    for result in material.results:
        if material.several:
            code.append(f"# {result.name}")
        if result.manifest.get("command"):
            code.append(shlex.join(result.manifest["command"]))
    text = paragraphs(_SENTENCES, "reproduction")
    manifests = [result.manifest for result in material.results]
    versions = [m.get("versions", {}) for m in manifests]
    tables = facts_tables(versions, material.names, "library", "Versions", "versions")
    if all("machine" in manifest for manifest in manifests):
        machines = [_machine(m) for m in manifests]
        tables = [
            *facts_tables(machines, material.names, "machine", "Machine and source", "machine"),
            *tables,
        ]
    return Section(
        "Reproduction",
        text=text,
        code="\n".join(code),
        tables=tables,
    )


def _commit(commit: str | None) -> str | None:
    """A commit, and in words that files had been changed since."""
    changed = commit and commit.endswith("-dirty")
    return f"{str(commit)[:-6]}, with changes not committed" if changed else commit


def _machine(manifest: dict[str, Any]) -> dict[str, Any]:
    machine = manifest.get("machine", {})
    return {
        "git commit": _commit(manifest.get("git_commit")),
        "CPU": machine.get("cpu"),
        "cores": machine.get("cores"),
        "threads a worker": manifest.get("execution", {}).get("threads"),
        "BLAS": machine.get("blas"),
        "SIMD": machine.get("simd"),
        "XLA": manifest.get("xla_flags") or None,
        "variables that change bits": " ".join(
            f"{name}={value}" for name, value in sorted(manifest.get("environment", {}).items())
        )
        or None,
        "memory": number_words.size(machine.get("memory_bytes")),
        "platform": machine.get("platform"),
        "begun": manifest.get("created"),
        "finished": manifest.get("finished"),
    }
