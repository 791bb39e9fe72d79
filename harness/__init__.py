"""The plumbing: runs experiments on backends, keeps the results, reports and guards them.

>>> from harness import Experiment, run                                          # doctest: +SKIP
>>> result = run(Experiment(dataset="iris", backends=("numpy", "sklearn")))      # doctest: +SKIP
>>> result.best()                                                                # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.execution import Execution
    from harness.experiment import Experiment
    from harness.result import Result, load_result
    from harness.runner import run

__all__ = ["Execution", "Experiment", "Result", "load_result", "run"]

_HOMES = {
    "Execution": "harness.execution",
    "Experiment": "harness.experiment",
    "Result": "harness.result",
    "load_result": "harness.result",
    "run": "harness.runner",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
