"""What a process has set for everybody in it, kept while a backend's code runs.

A plug-in may call ``np.seterr(all="raise")``, seed a generator, set Keras's floatx or an environment
variable; whoever trains after it in the same process is to find everything as it was.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from operator import attrgetter
from typing import Any, NoReturn, TypeVar

import numpy as np

Gives = TypeVar("Gives")

# of frameworks, where they are loaded: what reads a setting, and what sets it
_SETTINGS = (
    ("keras", "config.floatx", "config.set_floatx"),
    ("keras", "config.epsilon", "config.set_epsilon"),
    ("keras", "config.dtype_policy", "config.set_dtype_policy"),
    ("tensorflow", "config.functions_run_eagerly", "config.run_functions_eagerly"),
    ("torch", "get_default_dtype", "set_default_dtype"),
    ("torch", "get_num_threads", "set_num_threads"),
    # whether float32 may be TF32 on a GPU, or bfloat16 on some processors
    ("torch", "get_float32_matmul_precision", "set_float32_matmul_precision"),
    (
        "tensorflow",
        "config.experimental.tensor_float_32_execution_enabled",
        "config.experimental.enable_tensor_float_32_execution",
    ),
)


@contextmanager
def kept_process_state() -> Iterator[None]:
    """Afterwards the process is set as it was before, whatever has run inside.

    That is NumPy's handling of errors, the global generators of NumPy and Python, the environment, the
    working directory, the import path, streams, warnings, signals and what ``_SETTINGS`` lists.
    """
    environment, path, limit = dict(os.environ), list(sys.path), sys.getrecursionlimit()
    floating, drawn, numbers = np.geterr(), random.getstate(), np.random.get_state()  # noqa: NPY002
    streams, place, handlers, set_before = (
        sys.stdout,
        _working_directory(),
        _handlers(),
        _settings(),
    )
    errors = sys.stderr
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        if "sklearn" in sys.modules:
            stack.enter_context(sys.modules["sklearn"].config_context())
        try:
            yield
        finally:
            sys.stdout, sys.stderr, sys.path[:] = streams, errors, path
            sys.setrecursionlimit(limit)
            np.seterr(**floating)  # type: ignore[arg-type]
            np.random.set_state(numbers)  # noqa: NPY002
            random.setstate(drawn)
            if os.environ != environment:
                os.environ.clear()
                os.environ.update(environment)
            if place is not None and place != _working_directory():
                os.chdir(place)
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
            for module, setter, value in set_before:
                attrgetter(setter)(sys.modules[module])(value)


def _working_directory() -> str | None:
    with suppress(OSError):  # it may have been removed
        return os.getcwd()
    return None


def _handlers() -> dict[signal.Signals, Any]:
    """The handlers of the signals that end a process, which only its main thread can set."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
    numbers = [signal.Signals[name] for name in names if hasattr(signal, name)]
    return {number: signal.getsignal(number) for number in numbers}


def _settings() -> list[tuple[str, str, Any]]:
    """Of loaded frameworks: module, setter and the value as it is."""
    return [
        (module, setter, attrgetter(getter)(sys.modules[module])())
        for module, getter, setter in _SETTINGS
        if module in sys.modules
    ]


class NotInTime(Exception):
    """A task in a thread of its own has not come back within its limit; says which."""


def own_thread(
    task: Callable[[], Gives], seconds: float | None = None
) -> tuple[Gives, None] | tuple[None, BaseException]:
    """What a task gives, or what it raises, an exit or interrupt of its own included.

    It has a thread that nobody waits for once this process is interrupted, or, with :class:`NotInTime`,
    once so many seconds are over.
    """
    ends: list[Any] = []

    def work() -> None:
        try:
            with _no_exit():
                ends.append((task(), None))
        except BaseException as error:  # noqa: BLE001 (the caller's to judge)
            ends.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return ends[0] if ends else (None, NotInTime(f"has not come back after {seconds:g} s"))


_leave = os._exit  # what ends a process, whatever stands in its place at the moment
_entering = threading.Lock()
_inside = 0  # threads in which nobody may end this process; one that is given up stays


@contextmanager
def _no_exit() -> Iterator[None]:
    """Inside, ``os._exit`` raises, so that nobody can end this process without a word; forks may end."""
    global _inside
    with _entering:
        _inside += 1
        os._exit = _refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        with _entering:
            _inside = max(_inside - 1, 0)  # a fork in between has none
            if not _inside:
                os._exit = _leave


def _refuse(code: int) -> NoReturn:
    raise SystemExit(f"os._exit({code})")


def _as_at_first() -> None:
    """A fork has none of these threads, and may end."""
    global _entering, _inside
    _entering, _inside, os._exit = threading.Lock(), 0, _leave


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_as_at_first)
