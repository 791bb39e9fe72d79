"""What ``from harness import ...`` gives: the only place that knows every room below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.document.section import Section
from harness.executors.by_name import prepare_executor
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.lecture.sections import lecture_sections
from harness.parity.held_model import hold
from harness.report.report import write_results
from harness.results.result import Result, load_result
from harness.roundoff.disputed_cells import add_disputes
from harness.runner import Progress, plan_work, train_and_save

__all__ = ["Execution", "Experiment", "Result", "hold", "load_result", "run", "write_report"]

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
    return add_disputes(result, work.dataset)


def write_report(
    results: Result | Sequence[Result], address: str | None = None, extra: Sequence[Section] = ()
) -> str:
    """Write figures/, report.md and report.html; the page's address.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's. ``extra`` sections stand after the results; the report on one run
    has its preset's own before them.
    """
    several = [results] if isinstance(results, Result) else list(results)
    own = SECTIONS.get(several[0].experiment.preset) if len(several) == 1 else None
    return write_results(several, address, [*(own(several[0]) if own else ()), *extra])
