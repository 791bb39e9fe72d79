"""What the sections of a report are written from, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from harness.report.agreement import CellAgreement, agreement_with, reference_pairs
from harness.report.chosen_cells import Choice, grid_choices
from harness.results.backend_grid import BackendGrid, backend_grids, run_names
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
    def sides(self) -> list[BackendGrid]:
        return backend_grids(self.results)

    @cached_property
    def choices(self) -> list[Choice]:
        return grid_choices(self.sides)

    @cached_property
    def compared(self) -> list[CellAgreement]:
        """Every side against its reference, cell by cell."""
        pairs = reference_pairs([side for side in self.sides if side.ok.any()])
        return [agreement_with(side, reference) for side, reference in pairs]

    @property
    def several(self) -> bool:
        """Whether there is more than one run."""
        return len(self.results) > 1

    @property
    def metrics(self) -> list[str]:
        """The scores that backends are compared by, each once."""
        return list(dict.fromkeys(result.metric for result in self.results))

    @property
    def shown_scores(self) -> list[str]:
        """The scores that a reader is shown, each once."""
        return list(dict.fromkeys(name for r in self.results for name in r.shown_scores))

    @property
    def choosing(self) -> list[str]:
        """The scores that cells were chosen by, each once."""
        return list(dict.fromkeys(result.choose_by for result in self.results))

    def of(self, result: Result) -> list[BackendGrid]:
        return [side for side in self.sides if side.result is result]

    def chosen(self, side: BackendGrid) -> Choice | None:
        """The choice of one side, if it has one."""
        return next((c for c in self.choices if c.side is side), None)
