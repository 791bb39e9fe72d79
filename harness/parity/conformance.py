"""The conformance kit's findings on several backends, as a table and as a section of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

import pandas as pd

from backends.base import Backend
from backends.testing import conformance
from harness.document.section import Section, Table

COLUMNS = ["backend", "check", "verdict", "words", "share", "needed"]


def checked(backends: Mapping[str, Backend], say: Callable[[str], None]) -> pd.DataFrame:
    """Put backends through the kit; one row for each backend and check."""
    rows = []
    for name, backend in backends.items():
        say(f"{name}, through the checks of backends.testing")
        rows += [{"backend": name, **asdict(outcome)} for outcome in conformance(backend)]
    return pd.DataFrame(rows, columns=COLUMNS)


def check_points(checks: pd.DataFrame) -> list[str]:
    """A sentence for every backend that was checked, and one for every check it failed."""
    found = []
    for name, own in checks.groupby("backend", sort=False):
        failed = own[own["verdict"] == "failed"]
        counts = own["verdict"].value_counts()
        numbers = [f"{counts[v]} {v}" for v in ("passed", "failed", "skipped") if v in counts]
        found.append(f"{name}: of {len(own)} conformance checks {', '.join(numbers)}")
        for row in failed.to_dict("records"):
            what = str(row["check"]).replace("_", " ")
            found.append(f"{name} fails the check that {what}: {row['words']}")
    return found


def check_section(checks: pd.DataFrame) -> Section:
    """Every check of every backend."""
    shown = checks[["backend", "check", "verdict", "words"]].copy()
    shown["check"] = shown["check"].str.replace("_", " ")
    return Section("Conformance", tables=[Table(shown, "Checks of backends.testing", folded=True)])
