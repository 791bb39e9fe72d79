"""What no Windows has is taken away; then every module is imported and a small experiment is run.

    python tests/elsewhere_than_posix.py FOLDER

The libraries, which know where they run, are imported before that. The experiment is trained in this process,
and by workers that are spawned: by a ``sitecustomize`` in FOLDER they lose the same.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import types
from importlib.abc import MetaPathFinder
from pathlib import Path

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
OF_WORKERS = (
    *("numpy", "scipy.special", "scipy.stats", "pandas", "sklearn.neural_network", "psutil"),
    *("sklearn.model_selection", "pyarrow.parquet", "pydantic", "threadpoolctl", "subprocess"),
    *("multiprocessing.popen_spawn_posix", "multiprocessing.resource_tracker", "tempfile"),
)
FRAMEWORKS = {"backends.keras_stack"}  # which import a framework, half a minute of it


def take_away() -> None:
    from multiprocessing import popen_fork, popen_spawn_posix, resource_tracker

    # what starts and ends processes here is of this system
    for module in (popen_fork, popen_spawn_posix, resource_tracker):
        for name in {"os", "signal"} & vars(module).keys():
            kept = types.SimpleNamespace(**vars(getattr(module, name)))
            setattr(module, name, kept)
    sys.platform = "win32"
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


class TakeAwayBefore(MetaPathFinder):
    """Takes it all away when a package is first imported, and its libraries have been.

    A file in ``folder`` tells of every process in which that happened.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self.package, self.folder = package, folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.package:
            sys.meta_path.remove(self)
            for library in OF_WORKERS:
                importlib.import_module(library)
            take_away()
            Path(self.folder, f"without-{os.getpid()}").touch()


def main(folder: str) -> None:
    for name in (*LIBRARIES, *OF_WORKERS):
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
    from harness import Execution, Experiment, run

    place = Path(folder, "a folder")
    place.mkdir()
    data = place / "its\\data, such as these.csv"  # one name here, a file in a folder on Windows
    data.write_text("width,kind\n" + "".join(f"{k % 7},{'ab'[k % 2]}\n" for k in range(60)))
    small = {"epochs": 2, "eta": (0.1,), "lmbd": (0.0,), "hidden": (4,)}
    experiment = Experiment(dataset=str(data), backends=("numpy",), **small)
    result = run(experiment, Execution(executor="serial", output=str(place)))
    print("in this process:", *result.records["status"], result.name, flush=True)

    (place / "sitecustomize.py").write_text(
        "import sys, elsewhere_than_posix as lost\n"
        "if 'multiprocessing.spawn' in ' '.join(sys.orig_argv):\n"
        "    from pathlib import Path\n"
        "    sys.meta_path.insert(0, lost.TakeAwayBefore('harness', Path(__file__).parent))\n"
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(place), str(Path(__file__).parent)])
    grid = ["--epochs", "2", "--eta", "0.1", "--lmbd", "0", "--hidden", "4"]
    which = ["--dataset", str(data), "--backend", "numpy,sklearn", "--jobs", "2"]
    try:
        run_command_line(["run", *which, *grid, "--output", folder, "--name", "a run"])
    finally:
        print("workers without all that:", len(list(place.glob("without-*"))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
