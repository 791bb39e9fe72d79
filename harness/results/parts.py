"""The finished units of a run, a part each: a Parquet file named by all that the unit's result depends on.

A second hash in its name is of its content, so that what was damaged or changed on disk is known before it
is opened; what it holds is then held against the unit. A part that is not whole is removed, said and
trained again.

Going on with a run is skipping the units whose parts exist. A part whose name no unit has any more is
*stale*: made by other code, versions, threads or variables. It stays until the run is complete, because
going back to those would make it count again, and is then removed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment
from harness.results.kept_weights import WEIGHTS, weights_bytes
from harness.results.manifest import now
from harness.results.run_folder import (
    DAMAGE,
    RunFolder,
    content_hash,
    parquet_bytes,
    parquet_frame,
    parquet_metadata,
)
from harness.training.unit_rows import check_rows
from harness.training.units import Unit, UnitOutcome, unit_keys

_log = logging.getLogger(__name__)
_NAME = re.compile(r"(?P<unit>[0-9a-f]{20})(\.(?P<content>[0-9a-f]{16}))?\.parquet")
_BEFORE_HASHES = "their parts are from before contents were hashed"


@dataclass(frozen=True)
class Parts:
    """The parts in a folder, of an experiment on a data set.

    digests: of every unit of the run (:func:`~harness.training.unit_digest.unit_digest`).
    surroundings: of every backend (:func:`~harness.training.unit_digest.backend_surroundings`).
    """

    folder: RunFolder
    experiment: Experiment
    dataset: Dataset
    digests: Mapping[Unit, str]
    surroundings: Mapping[str, dict[str, str]]
    keep_weights: bool = False

    @property
    def complete(self) -> bool:
        """Whether there is a part of every unit, whole or not, and the weights that are to be kept."""
        present = {name.partition(".")[0] for name in self._names() if name.count(".") == 2}
        if self.keep_weights:
            present &= self._weights().keys()
        return present.issuperset(self.digests.values())

    def finished(self) -> dict[Unit, UnitOutcome]:
        """The outcomes of the units whose parts are whole; those that are not are removed."""
        present: dict[str, list[str]] = {}
        for name in self._names():
            if name.count(".") == 2:
                present.setdefault(name.partition(".")[0], []).append(name)
        outcomes = {}
        kept = self._weights() if self.keep_weights else {}
        for unit, digest in self.digests.items():
            if self.keep_weights and not self._has_weights(digest, kept):
                continue
            for name in present.get(digest, []):
                if outcome := self._read(unit, name):
                    outcomes[unit] = outcome
        return outcomes

    def write(self, outcome: UnitOutcome) -> UnitOutcome:
        """Put a unit's rows on disk; its outcome with the time."""
        assert outcome.rows is not None
        unit, finished = outcome.unit, now()
        if outcome.weights is not None:
            kept = weights_bytes(outcome.weights, unit_keys(unit, self.experiment))
            self.folder.write(f"{WEIGHTS}/{self.digests[unit]}.{_short(kept)}.npz", kept)
        about = {
            "backend": unit.backend,
            "finished": finished,
            "surroundings": self.surroundings[unit.backend],
            "timings": outcome.timings,
        }
        content = parquet_bytes(outcome.rows, about)
        name = f"{self.digests[unit]}.{_short(content)}.parquet"
        self.folder.write(f"parts/{name}", content)
        if outcome.weights is not None:  # it may have been trained before, without them
            for other in self._names():
                if other.partition(".")[0] == self.digests[unit] and other != name:
                    self.folder.remove(f"parts/{other}")
        return replace(outcome, finished=finished, weights=None)

    def weights(self) -> list[dict[str, str]]:
        """The files of kept weights of this run's units, for its manifest."""
        kept = self._weights()
        return [
            {
                "backend": unit.backend,
                "file": f"{WEIGHTS}/{kept[digest]}",
                "sha256": content_hash(self.folder.read(f"{WEIGHTS}/{kept[digest]}")),
            }
            for unit, digest in self.digests.items()
            if digest in kept
        ]

    def _weights(self) -> dict[str, str]:
        """The names of the files of weights by their units' digests."""
        return {n.partition(".")[0]: n for n in self.folder.names(WEIGHTS) if n.endswith(".npz")}

    def _has_weights(self, digest: str, kept: Mapping[str, str]) -> bool:
        """Whether a unit's weights are there and whole; if they are not whole they are removed, and said."""
        name = kept.get(digest, "")
        if not name:
            return False
        whole = _short(self.folder.read(f"{WEIGHTS}/{name}")) == name.split(".")[1]
        if not whole:
            _log.warning("%s/%s is damaged: its networks are trained again", WEIGHTS, name)
            self.folder.remove(f"{WEIGHTS}/{name}")
        return whole

    def changes(self) -> dict[str, list[str]]:
        """What is not as it was when a backend's stale parts were made, by backend, for a person."""
        newest: dict[str, dict[str, Any]] = {}
        for part in self._stale():
            about = self._about(part)
            name = about.get("backend", "")
            if (
                name in self.surroundings
                and about["finished"] >= newest.get(name, about)["finished"]
            ):
                newest[name] = about
        told = {
            name: _differences(about["surroundings"], self.surroundings[name])
            or about.get("hashes", [])
            for name, about in newest.items()
        }
        return {name: differences for name, differences in told.items() if differences}

    def remove_stale(self) -> int:
        """Remove the parts that no unit has the name of; how many there were."""
        stale = self._stale()
        for name in stale:
            self.folder.remove(f"parts/{name}")
        wanted = set(self.digests.values())
        for digest, name in self._weights().items():
            if digest not in wanted:
                self.folder.remove(f"{WEIGHTS}/{name}")
        return len(stale)

    def _names(self) -> list[str]:
        return [name for name in self.folder.names("parts") if _NAME.fullmatch(name)]

    def _stale(self) -> list[str]:
        wanted = set(self.digests.values())
        return [n for n in self._names() if n.count(".") == 1 or n.partition(".")[0] not in wanted]

    def _read(self, unit: Unit, name: str) -> UnitOutcome | None:
        """The outcome in a unit's part; None, which is said, if the part is not whole."""
        try:
            content = self.folder.read(f"parts/{name}")
            if _short(content) != name.split(".")[1]:
                raise ValueError("its content is not what was written")
            rows, about = parquet_frame(content)
            check_rows(rows, unit, self.experiment, self.dataset)
            return UnitOutcome(unit, "done", "", rows, about["timings"], about["finished"])
        except (OSError, *DAMAGE) as error:
            _log.warning("%s is trained again: parts/%s is damaged (%s)", unit, name, error)
            self.folder.remove(f"parts/{name}")
            return None

    def _about(self, name: str) -> dict[str, Any]:
        """What was stored with a part; nothing if it is not whole, which does not matter of a stale one."""
        try:
            content = self.folder.read(f"parts/{name}")
            hashed = _NAME.fullmatch(name)
            assert hashed is not None
            if hashed["content"] is None:
                return parquet_metadata(content) | {"hashes": [_BEFORE_HASHES]}
            return parquet_metadata(content) if _short(content) == hashed["content"] else {}
        except (OSError, *DAMAGE):
            return {}


def _short(content: bytes) -> str:
    return content_hash(content)[:16]


def _differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs in two backends' surroundings: code by its name alone, the rest with both values."""
    differences = []
    for name in dict.fromkeys([*before, *after]):
        one, two = before.get(name, "not set"), after.get(name, "not set")
        if one != two:
            code = name.startswith("code ")
            differences.append(name if code else f"{name} (was {one}, is {two})")
    return differences
