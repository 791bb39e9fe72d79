"""What ``from harness import ...`` gives: the only place that knows every room below."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from harness.document.attempt import attempt, attempt_sections
from harness.document.section import Section
from harness.document.writer import PageAddress
from harness.errors import InputError
from harness.executors.by_name import prepare_executor
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.experiment.study import Study
from harness.lecture.sections import lecture_sections
from harness.recordings.held_model import hold
from harness.report.anonymous import anonymous_result
from harness.report.notebook_views import VIEWS
from harness.report.report import report_sections, write_results
from harness.report.run_tally import notebook_line
from harness.results.result import Result, load_result
from harness.results.run_folder import RunFolder
from harness.roundoff.disputed_cells import add_disputes
from harness.runner import Progress, train_and_save
from harness.study.page import write_study
from harness.study.study import StudyResult, load_study, plan_study, train_study
from harness.work import plan_work

__all__ = [
    "Execution",
    "Experiment",
    "Result",
    "StudyResult",
    "hold",
    "load_result",
    "load_study",
    "run",
    "run_study",
    "write_report",
    "write_study",
]

_logger = logging.getLogger(__name__)

# figures and tables as methods, so that results, far below reports, need not know them
for _name, _view in VIEWS.items():
    setattr(Result, _name, _view)

# what a preset adds to the report on one of its runs
SECTIONS: dict[str, Callable[[Result], list[Section]]] = {"lecture": lecture_sections}


def run(
    experiment: Experiment,
    execution: Execution | None = None,
    *,
    backends: Sequence[str] | str | None = None,
    progress: Progress | Literal[False] | None = None,
    finish: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Run an experiment, or finish one that was interrupted; the result, also on disk.

    ``backends`` take the place of the experiment's. Without ``execution`` units run one after the other in
    this process and results land in ``results/``. Cells that are not labelled alike are looked at again
    (:mod:`harness.roundoff`), and where round-off does not account for that, followed to step and tensor.
    ``finish`` is called with the result while the folder is still this run's alone. ``progress`` is told how
    it goes: by default, in a notebook, a line that changes; False says nothing. Raises
    :class:`~harness.errors.InputError` for what cannot be run, before anything is written;
    KeyboardInterrupt leaves all finished units in the folder.
    """
    execution = execution or Execution(executor="serial")
    if backends is not None:
        experiment = experiment.changed(backends=backends)
    prepare_executor(execution.executor)
    work = plan_work(experiment)

    def add(result: Result) -> Result:
        looked, fault = attempt(
            "the second look at cells", lambda: add_disputes(result, work.dataset, _follow)
        )
        if looked is None:
            _logger.warning("%s; the same command tries again", fault)
            return result
        return looked

    teller = _teller(progress, execution)
    return train_and_save(work, execution, progress=teller, add=add, finish=finish)


def _teller(progress: Progress | Literal[False] | None, execution: Execution) -> Progress | None:
    """Who is told how a run goes: somebody given, nobody, or the line of a notebook."""
    if progress is None:
        return notebook_line(execution.jobs if execution.executor != "serial" else 1)
    return progress or None


def run_study(
    settings: Mapping[str, Any],
    over: Mapping[str, Any],
    execution: Execution | None = None,
    *,
    zipped: bool = False,
    progress: Progress | Literal[False] | None = None,
) -> StudyResult:
    """Run a grid at every point of outer axes, or finish that; the tables of all points, also on disk.

    ``settings`` are an experiment's by name, ``over`` the values of each axis: ``{"hidden": [50, (100,
    50)], "activation": ["tanh", "relu"]}``; the points are their product, or, ``zipped``, their values
    together. Every point is a run in a folder of its own. Raises as :func:`run` does.
    """
    execution = execution or Execution(executor="serial")
    prepare_executor(execution.executor)
    plan = plan_study(Study.of(settings, over, zipped=zipped))
    return train_study(plan, execution, progress=_teller(progress, execution))


def _follow(experiment: Experiment, repeat: int, cells: Sequence[int]) -> str:
    """What following some cells step by step comes to, in words; in the run's dtype and in float64."""
    from harness.parity.parity import parity  # costs time, and few runs need it
    from harness.parity.section import followed_words

    dtypes = {experiment.recipe(experiment.backends[0]).dtype, "float64"}
    outcome = parity(experiment, dtypes=sorted(dtypes), repeat=repeat, cells=cells)
    return followed_words(outcome, repeat, len(cells))


def write_report(
    results: Result | Sequence[Result],
    address: str | None = None,
    extra: Sequence[Section] = (),
    *,
    held: bool = False,
    anonymous: bool = False,
) -> PageAddress:
    """Write figures/, report.md and report.html; the page's address.

    Sections and figures that cannot be made are replaced by a line, which ``faults`` of the address has.

    Several results are set side by side in one report. It goes into the folder at ``address``, by
    default into the first result's, where no run may write meanwhile; ``held``: the caller sees to that.
    ``extra`` sections stand after the results; in the report on one run its preset's own follow the answer.
    ``anonymous``: it does not say on which machine, of which commit and in which folders that was.
    """
    several = [results] if isinstance(results, Result) else list(results)
    place = address or (several[0].address if several else None)

    def write() -> PageAddress:
        told = [anonymous_result(result) for result in several] if anonymous else several
        return write_results(told, place, extra, _preset_sections(several))

    if held or not several:
        return write()
    folder = RunFolder(str(place))
    with folder.lock():
        _same_as_read(several, folder)
        return write()


def report_content(results: Sequence[Result], *, anonymous: bool = False) -> list[Section]:
    """The sections of the report on one run or several, as :func:`write_report` writes them."""
    told = [anonymous_result(result) for result in results] if anonymous else results
    return report_sections(told, of_preset=_preset_sections(results))


def _preset_sections(results: Sequence[Result]) -> list[Section]:
    """What a preset adds to the report on one of its runs."""
    own = SECTIONS.get(results[0].experiment.preset) if len(results) == 1 else None
    if own is None:
        return []
    preset = results[0].experiment.preset
    return attempt_sections(f"Preset {preset}", lambda: own(results[0]))


def _same_as_read(results: Sequence[Result], folder: RunFolder) -> None:
    """Nothing; InputError if a run has written to the folder since its result was read."""
    for result in results:
        there = result.address == folder.address and folder.exists("manifest.json")
        if there and folder.read_json("manifest.json")["created"] != result.manifest["created"]:
            raise InputError(
                f"run: {result.address!r} was written by another run meanwhile; make the report again"
            )
