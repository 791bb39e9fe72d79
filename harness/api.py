"""What ``from harness import ...`` gives: the only place that knows every room below."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from harness.document.attempt import attempt, attempt_sections
from harness.document.section import Section
from harness.document.writer import PageAddress
from harness.executors.by_name import prepare_executor
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.lecture.sections import lecture_sections
from harness.report.report import write_results
from harness.results.result import Result, load_result
from harness.roundoff.disputed_cells import add_disputes
from harness.runner import Progress, plan_work, train_and_save

__all__ = ["Execution", "Experiment", "Result", "load_result", "run", "write_report"]

_logger = logging.getLogger(__name__)

# what a preset adds to the report on one of its runs
SECTIONS: dict[str, Callable[[Result], list[Section]]] = {"lecture": lecture_sections}


def run(
    experiment: Experiment,
    execution: Execution | None = None,
    *,
    progress: Progress | None = None,
) -> Result:
    """Run an experiment, or finish one that was interrupted; the result, also on disk.

    Without ``execution`` units run one after the other in this process and results land in
    ``results/``. Cells that are not labelled alike are looked at again (:mod:`harness.roundoff`). Raises
    :class:`~harness.errors.InputError` for what cannot be run, before anything is written;
    KeyboardInterrupt leaves all finished units in the folder.
    """
    execution = execution or Execution(executor="serial")
    prepare_executor(execution.executor)
    work = plan_work(experiment)
    result = train_and_save(work, execution, progress=progress)
    looked, fault = attempt("the second look at cells", lambda: add_disputes(result, work.dataset))
    if looked is None:
        _logger.warning("%s; the same command tries again", fault)
        return result
    return looked


def write_report(
    results: Result | Sequence[Result], address: str | None = None, extra: Sequence[Section] = ()
) -> PageAddress:
    """Write figures/, report.md and report.html; the page's address.

    Sections and figures that cannot be made are replaced by a line, which ``faults`` of the address has.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's. ``extra`` sections stand after the results; the report on one run
    has its preset's own before them.
    """
    several = [results] if isinstance(results, Result) else list(results)
    own = SECTIONS.get(several[0].experiment.preset) if len(several) == 1 else None
    if own:
        preset = several[0].experiment.preset
        extra = [*attempt_sections(f"Preset {preset}", lambda: own(several[0])), *extra]
    return write_results(several, address, extra)
