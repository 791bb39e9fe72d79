"""Where the numbers come from: runs done and failed, time and memory, how to make them again."""

from __future__ import annotations

import shlex
from typing import Any

import pandas as pd

from harness.document import numbers
from harness.document.section import Section, Table
from harness.report.backend_grid import Side
from harness.report.runs import Material
from harness.report.setup_section import regime, side_by_side
from harness.results.result import Result

STATUSES = ("ok", "diverged", "unsupported", "unavailable", "failed", "timeout")
NAMED = 12  # cells that a line of failures names


def runs(material: Material) -> Section:
    """Networks planned and what became of them, with the reason of every failure."""
    rows = []
    present = [s for s in STATUSES if any((side.statuses == s).any() for side in material.sides)]
    for side in material.sides:
        counts = {s: int((side.statuses == s).sum()) for s in present}
        rows.append({"backend": side.label, "planned": side.statuses.size, **counts})
    tables = [Table(pd.DataFrame(rows), "Networks planned, and what became of them")]
    failures = [row for side in material.sides for row in _failures(side)]
    if failures:
        tables.append(Table(pd.DataFrame(failures), "What gave no result, and why"))
        text = [f"Every single one is in `records.csv`; a line here names at most {NAMED} cells."]
    else:
        text = ["Nothing failed."]
    return Section("Runs and failures", text=text, tables=tables)


def _failures(side: Side) -> list[dict[str, Any]]:
    bad = side.records[side.records["status"] != "ok"]
    rows = []
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        cells = [
            numbers.cell(eta, lmbd)
            for eta, lmbd in group[["eta", "lmbd"]].drop_duplicates().to_numpy()
        ]
        where = "all" if len(cells) == side.cells else numbers.listed(cells, NAMED)
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


def time(material: Material) -> Section:
    """Time and memory of each backend, and the regime they were taken under."""
    text = []
    for name, result in zip(material.names, material.results, strict=True):
        wall = numbers.seconds(result.manifest.get("wall_seconds"))
        prefix = f"{name}: w" if material.several else "W"
        text.append(f"{prefix}all time {wall}; {regime(result)}.{_shared(result)}")
    text.append(
        "`import` counts each worker that loaded the library. `a network` is training time over "
        "networks: a share of its stack's time where cells are trained together. `peak memory` is "
        "the largest of the worker processes that trained the backend."
    )
    return Section("Time and memory", text=text, tables=[Table(_times(material.sides))])


def _shared(result: Result) -> str:
    jobs = result.manifest.get("execution", {}).get("jobs") or 1
    if jobs == 1 or result.manifest.get("execution", {}).get("executor") == "serial":
        return ""
    return " Workers shared the machine, so times include what they cost each other."


def _times(sides: list[Side]) -> pd.DataFrame:
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
                "import": numbers.seconds(_total(units, "import_seconds")),
                "prepare": numbers.seconds(_total(units, "prepare_seconds")),
                "training": numbers.seconds(train),
                "evaluation": numbers.seconds(_total(units, "evaluate_seconds")),
                "a network": numbers.seconds(train / networks if train and networks else None),
                "peak memory": numbers.size(max(peaks, default=None)),
            }
        )
    return pd.DataFrame(rows, dtype=object)


def _total(units: list[dict[str, Any]], key: str) -> float | None:
    values = [u[key] for u in units if u.get(key) is not None]
    return sum(values) if values else None


def reproduction(material: Material) -> Section:
    """The commands, versions and machine."""
    code = []
    for result in material.results:
        if material.several:
            code.append(f"# {result.name}")
        if result.manifest.get("command"):
            code.append(shlex.join(result.manifest["command"]))
    text = [
        "The command that was given. `experiment.toml` in the run folder holds the same experiment in "
        "full: `python -m harness run --config experiment.toml`."
    ]
    manifests = [result.manifest for result in material.results]
    versions = side_by_side([m.get("versions", {}) for m in manifests], material.names, "library")
    machines = side_by_side([_machine(m) for m in manifests], material.names, "machine")
    return Section(
        "Reproduction",
        text=text,
        code="\n".join(code),
        tables=[Table(machines, "Machine and source"), Table(versions, "Versions")],
    )


def _machine(manifest: dict[str, Any]) -> dict[str, Any]:
    machine = manifest.get("machine", {})
    return {
        "git commit": manifest.get("git_commit"),
        "CPU": machine.get("cpu"),
        "cores": machine.get("cores"),
        "threads a worker": manifest.get("execution", {}).get("threads"),
        "memory": numbers.size(machine.get("memory_bytes")),
        "platform": machine.get("platform"),
        "begun": manifest.get("created"),
        "finished": manifest.get("finished"),
    }
