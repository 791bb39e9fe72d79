"""Python environments for other versions: made once for what was asked for, kept in the user's cache.

With uv where it is installed, else with venv and pip. What is made at the same time by two processes is
made by one of them, while the other waits.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY = "ready.json"  # in a folder that is complete
LOG = "install.log"


class InstallationFailed(Exception):
    """An environment could not be made; says of what, why, and where the log lies."""


@dataclass(frozen=True)
class Environment:
    """One that is there: its folder, and what was asked for."""

    folder: Path
    packages: tuple[str, ...]

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        inside = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
        return str(self.folder.joinpath("venv", *inside))


def cache() -> Path:
    """The folder that environments are kept in."""
    chosen = os.environ.get("HARNESS_ENVIRONMENTS")
    if chosen:
        return Path(chosen)
    return program_cache() / "environments"


def program_cache() -> Path:
    """The folder of the user's cache that is this program's."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mlp-parity-harness"


def environment(
    packages: Sequence[str], say: Callable[[str], None] = lambda doing: None
) -> Environment:
    """The environment with these packages, made if it is not there; ``say`` is told so.

    packages: requirements as pip takes them. Raises :class:`InstallationFailed`.
    """
    wanted = tuple(sorted(packages))
    asked = json.dumps([wanted, sys.version_info[:2], sys.platform])
    folder = cache() / hashlib.sha256(asked.encode()).hexdigest()[:16]
    made = Environment(folder, wanted)
    if (folder / READY).exists():
        return made
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not (folder / READY).exists():
            say(f"making an environment with {', '.join(wanted)}")
            _make(made)
    return made


def environments() -> list[Environment]:
    """Those that are there, by what was asked for."""
    found = []
    for mark in cache().glob(f"*/{READY}"):
        found.append(Environment(mark.parent, tuple(json.loads(mark.read_text()))))
    return sorted(found, key=lambda one: one.packages)


def clear_environments() -> list[Environment]:
    """Remove all of them; those that were there."""
    removed = environments()
    if cache().is_dir():
        shutil.rmtree(cache())
    return removed


def _make(one: Environment) -> None:
    shutil.rmtree(one.folder, ignore_errors=True)
    one.folder.mkdir()
    log = one.folder.parent / f"{one.folder.name}.{LOG}"
    venv = one.folder / "venv"
    if uv := shutil.which("uv"):
        commands = [
            [uv, "venv", "--python", sys.executable, str(venv)],
            [uv, "pip", "install", "--python", one.python, *one.packages],
        ]
    else:
        install = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        commands = [
            [sys.executable, "-m", "venv", str(venv)],
            [one.python, *install, "--only-binary", ":all:", *one.packages],
        ]
    surroundings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    with log.open("w") as output:
        for command in commands:
            output.write(f"+ {' '.join(command)}\n")
            output.flush()
            try:
                subprocess.run(
                    command, stdout=output, stderr=subprocess.STDOUT, env=surroundings, check=True
                )
            except (subprocess.CalledProcessError, OSError) as error:
                shutil.rmtree(one.folder, ignore_errors=True)
                raise InstallationFailed(
                    f"an environment with {', '.join(one.packages)} could not be made "
                    f"({_last_line(log) or error}); log: {log}"
                ) from error
    os.replace(log, one.folder / LOG)
    (one.folder / READY).write_text(json.dumps(one.packages))


def _last_line(log: Path) -> str:
    """The last line that tells of an error."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    told = [line for line in lines if line.lower().startswith("error")] or lines[-1:]
    return told[-1][:300] if told else ""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside, no other process makes this environment; a lock left by a dead one is taken over."""
    lock = folder.with_suffix(".lock")
    while True:
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if not _alive(lock):
                lock.unlink(missing_ok=True)
            time.sleep(0.2)
            continue
        break
    try:
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _alive(lock: Path) -> bool:
    """Whether the process that holds the lock is there; one that has just been made may be empty."""
    try:
        text = lock.read_text()
        age = time.time() - lock.stat().st_mtime
    except FileNotFoundError:
        return True
    if not text:
        return age < 10
    if sys.platform == "win32":
        return age < 3600
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
