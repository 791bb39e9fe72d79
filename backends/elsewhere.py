"""A backend that runs in another process: of another version, interpreter, engine, with other variables.

It is a pure function, so that nothing but arrays has to go there and back. The process is started once,
when the backend is first used, and ends with the one that asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, UnsupportedPlan
from backends.environments import InstallationFailed, environment
from backends.frameworks import DEVICE, OWN_KERAS_ENGINE, THREAD_VARIABLES, device_variables
from backends.messages import pack_training, receive, send, unpack_weights
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan
from backends.where import Where

_PACKAGE = Path(__file__).parent
# The other interpreter is given this package and nothing else of the folder that it lies in.
_START = """
import importlib.util, sys
place, name = sys.argv[1:3]
sys.path = [entry for entry in sys.path if entry] + sys.argv[3:]
spec = importlib.util.spec_from_file_location(
    "backends", place + "/__init__.py", submodule_search_locations=[place]
)
module = importlib.util.module_from_spec(spec)
sys.modules["backends"] = module
spec.loader.exec_module(module)
from backends.elsewhere_program import main
main(name)
"""


class CannotStart(Exception):
    """The other process cannot be had, or cannot import its library; says why."""


class RaisedElsewhere(RuntimeError):
    """What a backend raised in the other process, with the traceback from there as a note."""


class Elsewhere(Backend):
    """A backend as another process has it; all that it can do is what the one here says."""

    def __init__(self, full_name: str, here: Backend, where: Where, name_there: str) -> None:
        self.name = full_name  # type: ignore[misc]
        self.here, self.where, self.name_there = here, where, name_there
        for attribute in ("library", "activations", "optimizers", "stacks", "heeds", "conventions"):
            setattr(self, attribute, getattr(here, attribute))
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._data: tuple[Any, Any] = (None, None)
        self._python = ""
        self._versions: dict[str, str] = {}

    @property
    def has_stock_program(self) -> bool:
        return self.here.has_stock_program

    def needs(self) -> tuple[str, ...]:
        return (self.where.engine,) if self.where.engine else self.here.needs()

    @property
    def program(self) -> type[Backend]:
        return type(self.here)

    def unsupported(self, network: Network, training: Training) -> str | None:
        return self.here.unsupported(network, training)

    def gpus(self) -> tuple[str, ...]:
        self.load()
        return tuple(self._ask({"do": "gpus"}, ())[0]["gpus"])

    def float32_inside(self, network: Network, versions: Mapping[str, str]) -> str:
        return self.here.float32_inside(network, versions)

    def make(self, say: Callable[[str], None] = lambda doing: None) -> None:
        """Find the interpreter, and make the environment that was asked for; raises CannotStart."""
        if self._python:
            return
        try:
            if self.where.packages:
                self._python = environment(self._requirements(), say).python
            elif self.where.python:
                self._python = self.where.interpreter()
            else:
                self._python = sys.executable
        except (InstallationFailed, ValueError) as error:
            raise CannotStart(str(error)) from error

    def _requirements(self) -> list[str]:
        """What was asked for, and of what else the backend needs the version that is here."""
        asked = {_distribution(package) for package in self.where.packages}
        needed = {self.here.library, *self.needs()}
        others = []
        for name in sorted(needed - {"numpy", "scipy", ""}):
            if _distribution(name) not in asked:
                try:
                    others.append(f"{name}=={metadata.version(name)}")
                except metadata.PackageNotFoundError:
                    others.append(name)
        return [*self.where.packages, *others]

    def versions(self) -> dict[str, str]:
        """Versions there; empty until the environment is made."""
        if not self._python:
            return {}
        if not self._versions:
            names = sorted({"numpy", "scipy", self.here.library, *self.needs()} - {""})
            code = (
                "import importlib.metadata as m, json, platform, sys\n"
                "found = {'python': platform.python_version()}\n"
                "for name in sys.argv[1:]:\n"
                "    try: found[name] = m.version(name)\n"
                "    except m.PackageNotFoundError: pass\n"
                "print(json.dumps(found))"
            )
            try:
                told = subprocess.run(
                    [self._python, "-c", code, *names],
                    capture_output=True,
                    check=True,
                    env=self._surroundings(),
                )
                self._versions = json.loads(told.stdout)
            except (OSError, subprocess.CalledProcessError, ValueError) as error:
                raise CannotStart(f"{self._python} does not run Python code ({error})") from error
        return self._versions

    def surroundings(self) -> dict[str, str]:
        return {"where": str(self.where), "interpreter": _short_hash(self._python)}

    def load(self) -> None:
        """Start the process and have it import the library; raises :class:`CannotStart`."""
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return
            self._process = None
        self.make()
        folder = "" if self.name_there.startswith("backends.") else os.getcwd()
        command = [self._python, "-c", _START, str(_PACKAGE), self.name_there]
        self._process = subprocess.Popen(
            [*command, *([folder] if folder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._surroundings(),
        )
        self._owner, self._data = os.getpid(), (None, None)
        hello, _ = self._receive("it could not import backends/")
        if "unusable" in hello:
            self._process = None
            raise CannotStart(hello["unusable"])
        self._versions = {"python": hello["python"], **hello["versions"]}

    def end(self) -> None:
        """End the other process, if it runs; it is started again when it is asked again."""
        if self._process is None or self._owner != os.getpid():
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        self._process = None

    def _surroundings(self) -> dict[str, str]:
        """The other process's environment."""
        variables = dict(os.environ)
        if self._python != sys.executable:
            for name in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"):
                variables.pop(name, None)
        variables.update(device_variables(variables.get(DEVICE, "cpu")))
        if self.where.threads:
            variables.update(dict.fromkeys(THREAD_VARIABLES, str(self.where.threads)))
        if self.where.engine:
            variables[OWN_KERAS_ENGINE] = self.where.engine
            if self.where.engine == "jax":
                variables["JAX_ENABLE_X64"] = "1"
        return variables | self.where.variables

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        return self._train("train", x, y, network, training, cells, plan)

    def train_stock(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        return self._train("train_stock", x, y, network, training, cells, plan)

    def _train(
        self,
        what: str,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        cells: Cells,
        plan: Plan,
    ) -> Fit:
        self.load()
        new = self._data[0] is not x or self._data[1] is not y
        header, arrays = pack_training(network, training, cells, plan)
        given = [x, y, *arrays] if new else arrays
        answer, tensors = self._ask({"do": what, "new_data": new, **header}, given)
        # arrays that are written into between two calls would be taken for the same
        self._data = (x, y) if not (x.flags.writeable or y.flags.writeable) else (None, None)
        per_point = 2 * network.layers
        path = tuple(
            unpack_weights(tensors[k : k + per_point]) for k in range(0, len(tensors), per_point)
        )
        return Fit(path, None if answer["steps"] is None else tuple(answer["steps"]))

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        self.load()
        header = {"do": "predict", "network": vars(network)}
        _, (output,) = self._ask(header, [x, *weights.W, *weights.b])
        return output

    def _ask(
        self, header: dict[str, Any], arrays: Sequence[NDArray[Any]]
    ) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            send(process.stdin, header, arrays)  # type: ignore[arg-type]
        except BrokenPipeError:
            self._receive("it ended")
        answer, tensors = self._receive("it ended while it was at work")
        if "unsupported" in answer:
            raise UnsupportedPlan(answer["unsupported"])
        if "raised" in answer:
            error = RaisedElsewhere(f"in {self.name}: {answer['raised']}")
            if hasattr(error, "add_note"):
                error.add_note(answer["traceback"])
            raise error
        return answer, [np.asarray(t) for t in tensors]

    def _receive(self, otherwise: str) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            return receive(process.stdout)  # type: ignore[arg-type]
        except EOFError:
            code = process.wait()
            self._process = None
            raise CannotStart(f"{self._python}: {otherwise} (exit code {code})") from None


def _distribution(requirement: str) -> str:
    """The normalised name of a requirement's distribution."""
    name = requirement
    for mark in "[=<>~! ":
        name = name.partition(mark)[0]
    return name.lower().replace("_", "-").replace(".", "-")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
