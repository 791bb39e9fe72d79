"""The finished units of a run, a part each: a Parquet file named by all that the unit's result depends on.

Going on with a run is skipping the units whose parts exist. A part whose name no unit has any more is
*stale*: made by other code, versions, threads or variables. It stays until the run is complete, because
going back to those would make it count again, and is then removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.results.manifest import now
from harness.results.run_folder import RunFolder
from harness.training.units import Unit, UnitOutcome


@dataclass(frozen=True)
class Parts:
    """The parts in a folder.

    digests: of every unit of the run (:func:`~harness.training.unit_digest.unit_digest`).
    surroundings: of every backend (:func:`~harness.training.unit_digest.backend_surroundings`).
    """

    folder: RunFolder
    digests: Mapping[Unit, str]
    surroundings: Mapping[str, dict[str, str]]

    def finished(self) -> dict[Unit, UnitOutcome]:
        """The outcomes of the units whose parts exist and can be read."""
        present = self._present()
        outcomes = {u: self._read(u) for u, digest in self.digests.items() if digest in present}
        return {unit: outcome for unit, outcome in outcomes.items() if outcome is not None}

    def write(self, outcome: UnitOutcome) -> UnitOutcome:
        """Put a unit's rows on disk; its outcome with the time."""
        assert outcome.rows is not None
        unit, finished = outcome.unit, now()
        about = {
            "backend": unit.backend,
            "finished": finished,
            "surroundings": self.surroundings[unit.backend],
            "timings": outcome.timings,
        }
        self.folder.write_frame(_file(self.digests[unit]), outcome.rows, about)
        return replace(outcome, finished=finished)

    def changes(self) -> dict[str, list[str]]:
        """What is not as it was when a backend's stale parts were made, by backend, for a person."""
        newest: dict[str, dict[str, Any]] = {}
        for digest in self._stale():
            about = self._about(digest)
            name = about.get("backend", "")
            if (
                name in self.surroundings
                and about["finished"] >= newest.get(name, about)["finished"]
            ):
                newest[name] = about
        told = {
            name: _differences(about["surroundings"], self.surroundings[name])
            for name, about in newest.items()
        }
        return {name: differences for name, differences in told.items() if differences}

    def remove_stale(self) -> int:
        """Remove the parts that no unit has the name of; how many there were."""
        stale = self._stale()
        for digest in stale:
            self.folder.remove(_file(digest))
        return len(stale)

    def _present(self) -> set[str]:
        names = self.folder.names("parts")
        return {name.removesuffix(".parquet") for name in names if name.endswith(".parquet")}

    def _stale(self) -> list[str]:
        return sorted(self._present() - set(self.digests.values()))

    def _read(self, unit: Unit) -> UnitOutcome | None:
        try:
            rows, about = self.folder.read_frame(_file(self.digests[unit]))
            timings, finished = about["timings"], about["finished"]
        except (OSError, ValueError, KeyError):  # cut short or overwritten: it is trained again
            return None
        whole = len(rows) == unit.size
        return UnitOutcome(unit, "done", "", rows, timings, finished) if whole else None

    def _about(self, digest: str) -> dict[str, Any]:
        try:
            return self.folder.read_metadata(_file(digest))
        except (OSError, ValueError):
            return {}


def _file(digest: str) -> str:
    return f"parts/{digest}.parquet"


def _differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs in two backends' surroundings: code by its name alone, the rest with both values."""
    differences = []
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name, "not set"), after.get(name, "not set")
        if one != two:
            code = name.startswith("code ")
            differences.append(name if code else f"{name} (was {one}, is {two})")
    return differences
