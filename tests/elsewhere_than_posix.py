"""What no Windows has is taken away; then every module is imported and a small experiment is run.

    python tests/elsewhere_than_posix.py FOLDER

The libraries, which know where they run, are imported before that.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys

MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")
OF_OS = (
    *("fork", "forkpty", "register_at_fork", "getsid", "setsid", "getpgid", "setpgid", "killpg"),
    *("getuid", "geteuid", "getgid", "uname", "nice", "wait3", "wait4", "mkfifo"),
    *("sched_getaffinity", "sched_setaffinity", "O_DIRECTORY"),
    *("getloadavg", "fchmod", "fchown", "chown", "sysconf", "posix_fallocate", "sync"),
)
OF_SIGNAL = (
    *("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGQUIT", "SIGTSTP"),
    *("pthread_kill", "pthread_sigmask", "setitimer", "alarm", "sigwait", "siginterrupt"),
)
LIBRARIES = (
    *(
        "numpy",
        "scipy.special",
        "scipy.stats",
        "pandas",
        "sklearn.neural_network",
        "pyarrow.parquet",
    ),
    *("matplotlib.pyplot", "seaborn", "statsmodels.api", "pebble", "psutil", "filelock", "fsspec"),
    *("fsspec.implementations.local", "multiprocessing.connection", "multiprocessing.pool"),
    *("concurrent.futures.process", "concurrent.futures.thread", "subprocess", "tempfile"),
    *("rich.console", "rich.progress", "typer", "typer.testing", "pydantic", "jinja2"),
    *("threadpoolctl", "joblib", "importlib.metadata", "asyncio", "distributed", "getpass"),
)
FRAMEWORKS = {"backends.keras_stack"}  # which import a framework, half a minute of it


def take_away() -> None:
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


def main(folder: str) -> None:
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            print("not installed:", name)
    take_away()
    imported = 0
    for package in ("backends", "harness"):
        whole = importlib.import_module(package)
        for module in pkgutil.walk_packages(whole.__path__, f"{package}."):
            if module.name not in FRAMEWORKS and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
                imported += 1
    from harness.cli.main import run_command_line

    print("imported:", imported, flush=True)
    grid = ["--epochs", "2", "--eta", "0.1", "--lmbd", "0", "--hidden", "4"]
    which = ["--dataset", "iris", "--backend", "numpy", "--executor", "serial"]
    run_command_line(["run", *which, *grid, "--output", folder, "--name", "a run"])


if __name__ == "__main__":
    main(sys.argv[1])
