"""Work beside other work: a task that a copy of this process takes on, on another core.

For what is pure Python and would wait for the interpreter in a thread, as drawing figures does. Units of
work are not carried out like that: they have an executor (:mod:`harness.executors`).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from harness.experiment.execution import cores

T = TypeVar("T")
# Once loaded, these have threads that no fork should cut off.
THREADED = {"tensorflow", "torch", "jax"}
_HEEDED = [
    signal.Signals[name] for name in ("SIGINT", "SIGHUP") if name in signal.Signals.__members__
]


def forks() -> bool:
    """Whether a task begun now would have a process of its own.

    Not where a fork is unsafe (other threads may hold locks, macOS), of no use (one core), or where this
    process is such a fork itself.
    """
    alone = threading.active_count() == 1 and not THREADED & sys.modules.keys()
    itself = multiprocessing.current_process().daemon
    able = sys.platform == "linux" and hasattr(os, "fork")
    return able and alone and not itself and cores() > 1


def beside(task: Callable[[], T]) -> Callable[[], T]:
    """Begin the task in a fork of this process; what comes back waits for its result.

    The task needs no pickling, its result does. Where :func:`forks` says no, and where the process fails
    or is killed, the call does the task itself, and raises what it raises.
    """
    if not forks():
        return task
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    # the fork is born with these blocked, until it has left them to this process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
    process = context.Process(target=_send, args=(task, sender, before), daemon=True)
    process.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sender.close()

    def result() -> T:
        try:
            return receiver.recv()  # type: ignore[no-any-return]
        except EOFError:
            return task()
        finally:
            process.kill()  # it has nothing left to do
            process.join()

    return result


def leave_signals_to_parent() -> None:
    """Have the parent alone act upon an interrupt or the end of the terminal; it ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def die_with_parent(temporary: str | None = None) -> None:
    """End this process when the parent is gone, however that came about, and remove its temporary folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    leave = os._exit  # as it is before a backend is called, which is kept from it
    wait([parent.sentinel])
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
    leave(1)


def _send(task: Callable[[], object], sender: Connection, heeded: set[signal.Signals]) -> None:
    leave_signals_to_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, heeded)
    threading.Thread(target=die_with_parent, daemon=True).start()
    # what fails here is done again by the parent, which tells of it
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    with suppress(BrokenPipeError):  # nobody waits any more
        sender.send(task())
