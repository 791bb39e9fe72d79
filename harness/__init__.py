"""The plumbing: runs experiments on backends, keeps the results, reports and guards them.

>>> from harness import Experiment, run, write_report                            # doctest: +SKIP
>>> result = run(Experiment(dataset="iris", backends=("numpy", "sklearn")))      # doctest: +SKIP
>>> result.best()                                                                # doctest: +SKIP
>>> write_report(result)                                                         # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import (
        Execution,
        Experiment,
        Result,
        StudyResult,
        hold,
        load_result,
        load_study,
        run,
        run_study,
        write_report,
        write_study,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return list(__all__)  # what a notebook offers, and no more
