"""Where worker processes come from.

On Linux they are forked by a server, which imports what all of them need once, while the parent still
prepares the work; it imports no framework and computes nothing. Elsewhere they are spawned. This module
is light, so that the server can be started before anything else is imported.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import signal
import sys
from multiprocessing.context import BaseContext

NEEDED_BY_ALL = "harness.executors.worker_imports"


def start() -> None:
    """Begin to import what the workers need, beside whatever this process does next."""
    if sys.platform == "linux":
        worker_context()
        # the server inherits the mask: an interrupt is for this process to act upon
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        multiprocessing.forkserver.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def worker_context() -> BaseContext:
    """How workers are started here."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([NEEDED_BY_ALL])
    return context
