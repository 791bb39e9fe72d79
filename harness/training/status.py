"""What became of one training: the ``status`` of a record."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Every record has one of these."""

    OK = "ok"
    DIVERGED = "diverged"  # weights or outputs are not finite
    UNSUPPORTED = "unsupported"  # the backend cannot train this network
    UNAVAILABLE = "unavailable"  # its library is not here
    FAILED = "failed"  # its code raised, or its process died
    TIMEOUT = "timeout"


TRAINED = (Status.OK, Status.DIVERGED)
SETTLED = (*TRAINED, Status.UNSUPPORTED)  # running again would change nothing
NOT_TRAINED = tuple(status for status in Status if status not in TRAINED)
BROKEN = (Status.FAILED, Status.TIMEOUT, Status.UNAVAILABLE)  # what ends a run with exit code 3
