"""Where worker processes come from.

On Linux they are forked by a server, which imports what all of them need once, while the parent still
prepares the work; it imports no framework and computes nothing. Elsewhere they are spawned. This module
is light, so that the server can be started before anything else is imported.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType

from backends.frameworks import environment
from harness.errors import InputError

_OF_SCRIPT = "__main__:"
NEEDED_BY_ALL = "harness.executors.worker_imports"


def start() -> None:
    """Begin to import what the workers need, beside whatever this process does next."""
    if sys.platform == "linux":
        worker_context()
        # the server inherits the mask: an interrupt is for this process to act upon
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with _own_import_path():
            multiprocessing.resource_tracker.ensure_running()
            multiprocessing.forkserver.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _own_import_path() -> Iterator[None]:
    """Inside, a new interpreter imports nothing from the working directory, but finds this package."""
    given = {"PYTHONSAFEPATH": "1"}
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    given["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    with environment(given):
        yield


def worker_context() -> BaseContext:
    """How workers are started here."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([NEEDED_BY_ALL])
    return context


def require_main_guard(places: Iterable[str]) -> None:
    """Refuse a backend of the caller's script where that has no main guard: each worker would run it again.

    :class:`~harness.errors.InputError` with the remedy.
    """
    own = next((place for place in places if place.startswith(_OF_SCRIPT)), None)
    file = getattr(sys.modules["__main__"], "__file__", None)
    if own is None or file is None or "__name__" in Path(file).read_text(errors="replace"):
        return
    raise InputError(
        f"backend: found {own!r} with worker processes, each of which would run {Path(file).name} again; "
        "allowed: below `if __name__ == '__main__':` there, with executor serial, or in a module of its own"
    )


@contextmanager
def script_hidden(places: Iterable[str]) -> Iterator[None]:
    """Start processes inside without their running the caller's script, which might have no main guard.

    They need nothing of it, unless a backend is defined there.
    """
    script = sys.modules["__main__"]
    if not any(place.startswith(_OF_SCRIPT) for place in places):
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
