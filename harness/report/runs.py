"""What the sections of a report are written from, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.report import agreement
from harness.report.backend_grid import Side, run_names, sides
from harness.report.chosen_cells import Choice, choices
from harness.results.result import Result


@dataclass(frozen=True)
class Material:
    """Runs, and what is derived from them: their sides, chosen cells, and agreement with a reference."""

    results: tuple[Result, ...]

    @cached_property
    def names(self) -> list[str]:
        """A name for each run."""
        return run_names(self.results)

    @cached_property
    def sides(self) -> list[Side]:
        return sides(self.results)

    @cached_property
    def choices(self) -> list[Choice]:
        return choices(self.sides)

    @cached_property
    def compared(self) -> list[agreement.CellAgreement]:
        """Every side against its reference, cell by cell."""
        pairs = agreement.pairs([side for side in self.sides if side.ok.any()])
        return [agreement.cells(side, reference) for side, reference in pairs]

    @property
    def several(self) -> bool:
        """Whether there is more than one run."""
        return len(self.results) > 1

    @property
    def metrics(self) -> list[str]:
        """The scores that cells were chosen by, each once."""
        return list(dict.fromkeys(result.metric for result in self.results))

    def of(self, result: Result) -> list[Side]:
        return [side for side in self.sides if side.result is result]

    def chosen(self, side: Side) -> Choice | None:
        """The choice of one side, if it has one."""
        return next((c for c in self.choices if c.side is side), None)


def material(results: Sequence[Result]) -> Material:
    return Material(tuple(results))
