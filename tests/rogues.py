"""Backends that misbehave, each in its way, for campaigns. Not tests."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from typing import NoReturn

import numpy as np
from threadpoolctl import threadpool_limits

from backends.base import Backend

try:
    from backends.numpy_backend import NumPyBackend
except ImportError:  # as older checkouts have it
    from backends.numpy import NumPyBackend

WELL = []  # rogues that train all the same


class _Rogue(NumPyBackend):
    name = "rogue"

    def train(self, x, y, network, training, cells, plan):
        self.misbehave(x, y)
        return super().train(x, y, network, training, cells, plan)

    def misbehave(self, x, y) -> None: ...


class NotPickled(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        class Local(Exception):
            def __reduce__(self):
                raise RuntimeError("not to be pickled")

        raise Local("an error of its own")


class NotUnicode(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise ValueError("\ud800 \udcff broken")


class NoText(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        class Mute(Exception):
            def __str__(self):
                raise SystemExit("no text")

        raise Mute


class TimesOut(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise TimeoutError


class Quits(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        sys.exit(0)


class Leaves(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        os._exit(0)


class Interrupts(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise KeyboardInterrupt


class ClosesGenerators(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise GeneratorExit


class Talks(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise ValueError("blah " * 1_000_000)


class Divides(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise ZeroDivisionError(1 // 0)


class Recurses(_Rogue):
    def misbehave(self, x, y) -> None:
        self.misbehave(x, y)


class Hungry(_Rogue):
    def misbehave(self, x, y) -> NoReturn:
        raise MemoryError


class Crashes(_Rogue):
    def misbehave(self, x, y) -> None:
        ctypes.string_at(0)


class Killed(_Rogue):
    def misbehave(self, x, y) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class LeavesFiles(_Rogue):
    """Is killed before it can remove its temporary files, as a framework is by a time limit."""

    def misbehave(self, x, y) -> None:
        tempfile.mkstemp()
        tempfile.mkdtemp()
        subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkstemp()"], check=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Writes(_Rogue):
    def misbehave(self, x, y) -> None:
        y[:] = 0


class Forces(_Rogue):
    """Writes where NumPy was told that nobody may, as a library that shares memory does."""

    def misbehave(self, x, y) -> None:
        ctypes.memset(y.ctypes.data, 0, y.nbytes)


class GivesNothing(_Rogue):
    def train(self, *args):
        return None


class GivesWords(_Rogue):
    def train(self, *args):
        fit = super().train(*args)
        return type(fit)("weights")


class GivesFew(_Rogue):
    def train(self, *args):
        fit = super().train(*args)
        return type(fit)(fit.path[-1:])


class GivesObjects(_Rogue):
    def train(self, *args):
        fit = super().train(*args)
        return type(fit)(tuple(w.astype(object) for w in fit.path))


class PredictsNothing(_Rogue):
    def predict_proba(self, *args):
        return None


class PredictsBadly(_Rogue):
    def predict_proba(self, *args):
        raise LookupError("no probabilities")


class CannotSay(_Rogue):
    def unsupported(self, network, training):
        raise TypeError("cannot say")


class SaysNumbers(_Rogue):
    def unsupported(self, network, training):
        return 42


class NeverDecides(_Rogue):
    def unsupported(self, network, training):
        time.sleep(10_000)


class WithASleepingLibrary(_Rogue):
    modules = ("rogue_sleeps",)


class KnowsNoVersions(_Rogue):
    def versions(self):
        raise LookupError("no versions")


class LooksForVersions(_Rogue):
    def versions(self):
        time.sleep(10_000)


class WithArguments(_Rogue):
    def __init__(self, argument):
        self.argument = argument


class WithModulesInAString(_Rogue):
    modules = "numpy"


class WithABrokenLibrary(_Rogue):
    modules = ("rogue_divides",)


class WithNoName(Backend):
    pass


class NotABackend:
    pass


class TurnsTheTables(_Rogue):
    """Leaves nothing in the process as it was."""

    def misbehave(self, x, y) -> None:
        np.seterr(all="raise")
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        os.environ.clear()
        os.chdir("/")
        sys.path.clear()
        warnings.simplefilter("error")
        sys.setrecursionlimit(200)
        threadpool_limits(3)
        sys.stdout = sys.stderr = None

    def train(self, *args):
        fit = NumPyBackend.train(self, *args)
        self.misbehave(None, None)
        return fit


class LeavesAThread(_Rogue):
    def misbehave(self, x, y) -> None:
        threading.Thread(target=time.sleep, args=(10_000,)).start()


class Forks(_Rogue):
    def misbehave(self, x, y) -> None:
        if not (child := os.fork()):
            os._exit(7)
        os.waitpid(child, 0)


class Prints(_Rogue):
    def misbehave(self, x, y) -> None:
        print("\x1b[31m loud \udcff".encode("utf-8", "replace").decode() * 1000)
        sys.stdout.flush()


WELL = ["TurnsTheTables", "LeavesAThread", "Forks", "Prints"]
TRAINING = [
    name
    for name, value in list(vars().items())
    if isinstance(value, type) and value.__module__ == __name__ and not name.startswith("_")
]

# modules that misbehave while they load, by name; each would offer a class Rogue
LOADING = {
    "quits": "import sys; sys.exit(0)",
    "leaves": "import os; os._exit(0)",
    "sleeps": "import time; time.sleep(10_000)",
    "divides": "1 / 0",
    "interrupts": "raise KeyboardInterrupt",
    "lacks": "import no_such_library",
    "misses": "from backends.base import nothing",
    "spells": "def (",
    "recurses": "f = lambda: f()\nf()",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "empty": "",
    "mute": "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute",
    "garbled": "raise ValueError('\\ud800' * 3)",
    "closes": "import os\nfor k in (0, 1, 2): os.close(k)\nimport sys; sys.exit('bye')",
    "slow_class": "import time\nfrom rogues import NumPyBackend\nclass Rogue(NumPyBackend):\n"
    "    name = 'rogue'\n    def __init__(self): time.sleep(10_000)",
}
