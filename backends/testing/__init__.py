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
from backends.testing.checks import CHECKS, Check, Skipped

__all__ = ["ROUNDED", "Conformance", "Outcome", "conformance", "run_check"]

ROUNDED: Literal["passed but for a known rounding"] = "passed but for a known rounding"


@dataclass(frozen=True)
class Outcome:
    """One check on one backend.

    ``share``: the largest error in units of its tolerance; ``needed``: the tolerance that would have
    been needed there. ``words`` say what failed, or why nothing was checked. ``rounding``: what the
    backend declares that its library computes in float32, where it passed only because of that.
    """

    check: str
    verdict: Literal["passed", "passed but for a known rounding", "failed", "skipped"]
    words: str
    share: float = 0.0
    needed: float = 0.0
    rounding: str = ""


def run_check(backend: Backend, check: Check, rtol: float | None = None) -> Outcome:
    """Run one check; ``rtol`` in place of its tolerances that are above zero, declared ones included."""
    worst, words, reasons, rounding = 0.0, "", [], ""
    needed, compared = 0.0, 0
    try:
        for result in check(backend):
            if isinstance(result, Skipped):
                reasons.append(result.reason)
                continue
            compared += 1
            allowed = rtol if rtol is not None and result.allowed else result.allowed
            share = _share(result.error, allowed)
            if share > 1 and result.rounding and rtol is None:
                allowed, rounding = result.in_float32, result.rounding
                share = _share(result.error, allowed)
            if share >= worst:
                worst, needed = share, result.error
                words = f"{result.what}: error {result.error:.2g}, tolerance {allowed:.2g}"
    except UnsupportedPlan as refused:
        reasons.append(str(refused))
    except AssertionError as error:
        return Outcome(check.__name__, "failed", str(error), np.inf, np.inf)
    if not compared:
        return Outcome(check.__name__, "skipped", "; ".join(dict.fromkeys(reasons)))
    if not worst <= 1:
        return Outcome(check.__name__, "failed", words, worst, needed)
    verdict = ROUNDED if rounding else "passed"
    return Outcome(check.__name__, verdict, words, worst, needed, rounding)


def _share(error: float, allowed: float) -> float:
    if np.isnan(error):
        return np.inf
    if allowed:
        return error / allowed
    return np.inf if error else 0.0


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
        assert outcome.verdict in ("passed", ROUNDED), (
            f"{(check.__doc__ or '').strip()} {outcome.words}"
        )


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
