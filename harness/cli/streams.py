"""Where the terminal's words go: output that nobody reads any more is no reason to stop.

A closed pipe (``| head -1``), a full disk behind ``>``, a closed stream, a terminal that has gone or that
knows ASCII alone change neither the work nor its exit code.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

_READER_GONE = (errno.EPIPE, errno.EIO)  # a pipe's, a terminal's


class _Outlet(io.FileIO):
    """A file descriptor that takes what is written to it also when that goes nowhere."""

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            while (written := super().write(data)) is None:  # type: ignore[arg-type]
                select.select([], [self], [])  # a pipe that does not block, and is full
            return written
        except OSError as error:
            target = os.open(os.devnull, os.O_WRONLY)
            os.dup2(target, self.fileno())
            os.close(target)
            if error.errno not in _READER_GONE and self.fileno() == 1:
                reason = f"{error.strerror}; what follows is not printed"
                print(f"warning: standard output cannot be written: {reason}", file=sys.stderr)
            return size


def open_streams() -> None:
    """Make standard input, output and error usable, whatever they are."""
    for number in range(3):
        try:
            os.fstat(number)
        except (
            OSError
        ):  # closed: the next file that is opened would take its number, and its output
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.stderr = _opened(2, sys.stderr)
    sys.stdout = _opened(1, sys.stdout)


def _opened(number: int, before: TextIO | None) -> TextIO:
    """A stream on a file descriptor, with the encoding that it had."""
    with suppress(OSError, ValueError):
        if before is not None:
            before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    lossless = encoding.lower().startswith("utf")
    return io.TextIOWrapper(
        io.BufferedWriter(_Outlet(number, "w", closefd=False)),
        encoding=encoding,
        errors="backslashreplace" if lossless else "replace",
        line_buffering=number == 2 or os.isatty(number),
        write_through=number == 2,
    )
