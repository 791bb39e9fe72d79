"""Whether looking a plug-in up comes to an end: tried in a process of its own, with a limit.

A module that exits, crashes or sleeps while it is imported would take this process with it, and with it
everybody else's training.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from functools import cache

LIMIT = "HARNESS_LOAD_SECONDS"  # the variable that sets another limit
_SECONDS = 60.0
_START = (
    "import sys; sys.path[:] = sys.argv[1].split(chr(10)); "
    "from backends.plugin_probe import look_up; look_up(*sys.argv[2:])"
)
QUESTIONS = (
    "needs",
    "versions",
    "surroundings",
)  # methods that are asked before anything is trained
_MET = b"met"  # the look-up came to an end, with a class or an error that this process meets again


def load_limit() -> float:
    """Seconds that loading a plug-in may take."""
    try:
        return float(os.environ.get(LIMIT, _SECONDS))
    except ValueError:
        return _SECONDS


@cache  # a module that sleeps is waited for once
def obstacle(place: str) -> str | None:
    """Why a ``module:Class`` cannot be looked up in this process without harm; None if it can."""
    command = [sys.executable, "-c", _START, "\n".join(sys.path), *place.split(":", 1)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what it has started ends with it
    )
    limit = load_limit()
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return f"has not loaded after {limit:g} s; {LIMIT} sets another limit"
    finally:
        if process.poll() is None:
            _kill(process)
    if said == _MET:
        return None
    if said:
        return f"{said.decode()} while it loads"
    code = process.returncode
    end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"ends the process while it loads ({end})"


def look_up(module: str, name: str) -> None:
    """What the process of its own does; says what came of it and ends at once."""
    answer = os.dup(1)  # out of reach of what the module prints or closes
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    said = _MET
    try:
        backend = getattr(importlib.import_module(module), name)()
        for method in QUESTIONS:
            getattr(backend, method)()
    except (Exception, SystemExit):  # noqa: BLE001 (met again, and told, by who asked)
        pass
    except BaseException as error:  # noqa: BLE001 (there it would pass for a person's interrupt)
        said = b"raises " + type(error).__name__.encode("utf-8", "replace")
    try:
        for number in range(3):
            os.fstat(number)
    except OSError:
        said = b"closes a standard stream"
    os.write(answer, said)
    os._exit(0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
