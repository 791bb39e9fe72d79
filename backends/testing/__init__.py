"""The conformance kit: what every backend must do, run unchanged on anybody's.

As pytest classes:

    from backends.testing import Conformance
    from my_package import MyBackend

    class TestMyBackend(Conformance):
        backend = MyBackend
        expected_failures = {"regression_follows_the_reference": "the library classifies only"}

or as a function, :func:`conformance`. Errors are relative, as :mod:`backends.distance` defines them,
against the NumPy backend in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from backends.base import Backend, UnsupportedPlan
from backends.registry import import_library, usable
from backends.testing.checks import CHECKS, Check, Compared, Skipped

__all__ = ["Conformance", "Outcome", "conformance", "run_check"]


@dataclass(frozen=True)
class Outcome:
    """One check on one backend.

    ``share``: the largest error in units of its tolerance; ``needed``: the tolerance that would have
    been needed there. ``words`` say what failed, or why nothing was checked.
    """

    check: str
    verdict: Literal["passed", "failed", "skipped"]
    words: str
    share: float = 0.0
    needed: float = 0.0


def run_check(backend: Backend, check: Check, rtol: float | None = None) -> Outcome:
    """Run one check; ``rtol`` in place of its tolerances that are above zero."""
    worst, words, reasons = 0.0, "", []
    needed, compared = 0.0, 0
    try:
        for result in check(backend):
            if isinstance(result, Skipped):
                reasons.append(result.reason)
                continue
            compared += 1
            allowed = rtol if rtol is not None and result.allowed else result.allowed
            share = _share(result, allowed)
            if share >= worst:
                worst, needed = share, result.error
                words = f"{result.what}: error {result.error:.2g}, tolerance {allowed:.2g}"
    except UnsupportedPlan as refused:
        reasons.append(str(refused))
    except AssertionError as error:
        return Outcome(check.__name__, "failed", str(error), np.inf, np.inf)
    if not compared:
        return Outcome(check.__name__, "skipped", "; ".join(dict.fromkeys(reasons)))
    return Outcome(check.__name__, "passed" if worst <= 1 else "failed", words, worst, needed)


def _share(result: Compared, allowed: float) -> float:
    if np.isnan(result.error):
        return np.inf
    if allowed:
        return result.error / allowed
    return np.inf if result.error else 0.0


def conformance(backend: Backend, rtol: Mapping[str, float] | None = None) -> list[Outcome]:
    """Run every check on a backend; ``rtol`` by the name of the check."""
    given = rtol or {}
    return [run_check(backend, check, given.get(check.__name__)) for check in CHECKS]


class Conformance:
    """A test for every check; subclass it and set ``backend`` to a class, an object or a name.

    ``expected_failures``: by the name of the check, the reason why it must fail; one that passes all the
    same fails the test. ``rtol``: other tolerances by the name of the check.
    """

    backend: ClassVar[type[Backend] | Backend | str]
    expected_failures: ClassVar[Mapping[str, str]] = {}
    rtol: ClassVar[Mapping[str, float]] = {}

    def conforms(self, check: Check) -> None:
        """Run a check and speak pytest's language."""
        import pytest

        backend = _ready(self.backend)
        outcome = run_check(backend, check, self.rtol.get(check.__name__))
        reason = self.expected_failures.get(check.__name__)
        if reason is not None:
            if outcome.verdict == "failed":
                pytest.xfail(f"{reason} ({outcome.words})")
            pytest.fail(f"was expected to fail ({reason}), but {outcome.verdict}: {outcome.words}")
        if outcome.verdict == "skipped":
            pytest.skip(outcome.words)
        assert outcome.verdict == "passed", f"{(check.__doc__ or '').strip()} {outcome.words}"


def _ready(backend: type[Backend] | Backend | str) -> Backend:
    """A backend from its name, its class or itself, its library imported."""
    if isinstance(backend, str):
        return usable(backend)
    one = backend() if isinstance(backend, type) else backend
    import_library(one)
    return one


def _test_of(check: Check) -> Callable[[Any], None]:
    def test(self: Conformance) -> None:
        self.conforms(check)

    test.__doc__ = check.__doc__
    return test


for _check in CHECKS:
    setattr(Conformance, f"test_{_check.__name__}", _test_of(_check))
