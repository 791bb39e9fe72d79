"""How a command is stopped: by Ctrl-C, SIGTERM, or the end of its terminal (SIGHUP), with exit code 3.

The first signal raises KeyboardInterrupt, wherever the command is; what is finished is kept, workers are
ended. Further ones change nothing, and a command that cannot let go is ended all the same.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, TextIO

SECONDS_TO_LET_GO = 3.0
_told = threading.Event()  # that the command was stopped
_leave = os._exit  # which is kept from a backend's code while that runs


def stop_on_signals() -> None:
    """Have the signals that end a command interrupt it; those that its caller ignores stay ignored."""
    sys.unraisablehook = _raised_where_nothing_can_be
    for number in _signals():
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def tell_stopped(line: str = "stopped", stream: TextIO | None = None) -> None:
    """Say once that the command was stopped, on standard error or another stream."""
    if not _told.is_set():
        _told.set()
        print(line, file=stream or sys.stderr)


def end(code: int) -> NoReturn:
    """End this process as it would end by itself, without waiting for threads or a hook that hangs."""
    _in_any_case(lambda: leave(code))
    atexit._run_exitfuncs()
    leave(code)


def leave(code: int) -> NoReturn:
    """End this process at once: what is printed is printed, workers and forks end, nobody is awaited."""
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing else ():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    _leave(code)


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [signal.Signals[name] for name in names if hasattr(signal, name)]


def _stop(_signal: int, _frame: Any) -> NoReturn:
    for number in _signals():
        signal.signal(number, signal.SIG_IGN)
    _in_any_case(_stop_now)
    raise KeyboardInterrupt


def _raised_where_nothing_can_be(lost: Any) -> None:
    """Interrupt once more, if Python could not let the first interruption through.

    It hits a weak reference's callback or a ``__del__`` as well as any other line, which Python tells of
    and goes on: ``import`` has such callbacks.
    """
    if lost.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, _stop)
        threading.Timer(0.001, _interrupt_main_thread).start()
    else:
        sys.__unraisablehook__(lost)


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    # out of the hook it could not come either
    while _is_in_hook(sys._current_frames().get(main or 0)):
        time.sleep(0.001)
    # which, unlike the other, wakes it from a system call
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _is_in_hook(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _raised_where_nothing_can_be.__code__:
        frame = frame.f_back
    return frame is not None


def _stop_now() -> NoReturn:
    """End a command that is still there some seconds after it was interrupted."""
    tell_stopped()
    leave(3)


def _in_any_case(leave: Callable[[], NoReturn]) -> None:
    """Leave if this process has not ended by itself within some seconds."""
    watch = threading.Timer(SECONDS_TO_LET_GO, leave)
    watch.daemon = True
    watch.start()
