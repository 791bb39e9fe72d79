"""What a backend must give back: as many weights and outputs as asked for, of the right shape and dtype.

Whatever is wrong is raised as a ValueError that names it, and with that its unit has failed. In the process
of a verb, backends are called through :func:`guarded_backend`.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from backends.base import Backend, UnsupportedPlan
from backends.error_words import error_words, one_line, place_of
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan
from backends.plugin_probe import LIMIT, load_limit
from backends.process_state import Gives, NotInTime, kept_process_state, own_thread


def check_fit(fit: Any, network: Network, dtype: str, cells: int, plan: Plan) -> None:
    """Raise ValueError unless a training gave all weights of every cell after every checkpoint."""
    if not isinstance(fit, Fit):
        raise ValueError(f"train gave a {type(fit).__name__}; it must give a Fit")
    if len(fit.path) != len(plan.checkpoints):
        raise ValueError(
            f"train gave weights after {len(fit.path)} checkpoints; "
            f"the plan asks for {len(plan.checkpoints)}"
        )
    for weights in fit.path:
        for kind, tensors in (("weight matrices", weights.W), ("biases", weights.b)):
            if len(tensors) != network.layers:
                raise ValueError(
                    f"train gave {kind} of {len(tensors)} layers; the network has {network.layers}"
                )
        for layer, (inputs, outputs) in enumerate(network.shapes):
            for name, tensor, shape in (
                (f"W{layer + 1}", weights.W[layer], (cells, inputs, outputs)),
                (f"b{layer + 1}", weights.b[layer], (cells, outputs)),
            ):
                _check_array(f"train gave {name}", tensor, shape, np.dtype(dtype))
    if fit.steps is not None and len(fit.steps) != cells:
        raise ValueError(f"train gave steps of {len(fit.steps)} cells; there are {cells}")


def check_outputs(outputs: Any, network: Network, cells: int, samples: int) -> None:
    """Raise ValueError unless ``predict_proba`` gave every class's probability of every sample."""
    width = 2 if network.output == "logistic" else network.outputs
    _check_array("predict_proba gave an output", outputs, (cells, samples, width), None)


def _check_array(
    what: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any] | None
) -> None:
    """``dtype`` None: any floating one."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{what} of type {type(array).__name__}; it must be a NumPy array")
    if array.shape != shape:
        raise ValueError(f"{what} of shape {array.shape}; it must be {shape}")
    if array.dtype != dtype if dtype is not None else array.dtype.kind != "f":
        raise ValueError(f"{what} in {array.dtype}; it must be in {dtype or 'floating-point'}")


def fingerprint(*arrays: NDArray[Any]) -> int:
    """A checksum of arrays' values: a library may write into memory that NumPy holds to be read-only."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(array.ravel(order="K").data.cast("B"), checksum)
    return checksum


@contextmanager
def undisturbed_process() -> Iterator[None]:
    """Afterwards the process is set as it was before, the threads of its linear algebra among that."""
    # no limit: nothing changes on entering, on leaving every library has the threads it had
    with threadpool_limits(None), kept_process_state():
        yield


class BackendFault(Exception):
    """What a backend raised, or gave back wrongly, and at which line of its file, for a person."""


def guarded_backend(backend: Backend) -> Backend:
    """The same backend, of which whatever goes wrong is a :class:`BackendFault`, and only that.

    What it raises, be it an exit or an interrupt, is told with the line of its own file; what it gives
    back is checked; it leaves the process as it was, and cannot end it.
    """
    return _Guarded(backend)


class _Guarded(Backend):
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        for name in ("name", "library", "modules", "activations", "optimizers"):
            vars(self)[name] = getattr(backend, name)
        for name in ("stacks", "heeds", "conventions"):
            vars(self)[name] = getattr(backend, name)

    @property
    def has_stock_program(self) -> bool:
        return self.backend.has_stock_program

    @property
    def program(self) -> type[Backend]:
        return self.backend.program

    def needs(self) -> tuple[str, ...]:
        return self.backend.needs()

    def versions(self) -> dict[str, str]:
        return self.backend.versions()

    def load(self) -> None:
        self.backend.load()

    def float32_inside(self, network: Network, versions: Mapping[str, str]) -> str:
        words = self._call(lambda: self.backend.float32_inside(network, versions))
        if not isinstance(words, str):
            kind = type(words).__name__
            raise BackendFault(f"float32_inside gave a value of type {kind}; it must be a string")
        return one_line(words)

    def unsupported(self, network: Network, training: Training) -> str | None:
        try:
            reason = self._call(lambda: self.backend.unsupported(network, training), load_limit())
        except NotInTime as late:
            raise BackendFault(f"unsupported {late}; {LIMIT} sets another limit") from None
        if not isinstance(reason, str | None):
            kind = type(reason).__name__
            raise BackendFault(
                f"unsupported gave a value of type {kind}; it must be a string or None"
            )
        return one_line(reason) if reason else None

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        return self._checked(self.backend.train, x, y, network, training, cells, plan)

    def train_stock(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        return self._checked(self.backend.train_stock, x, y, network, training, cells, plan)

    def _checked(
        self,
        train: Callable[..., Fit],
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        cells: Cells,
        plan: Plan,
    ) -> Fit:
        fit = self._call(lambda: train(x, y, network, training, cells, plan))
        with _as_fault():
            check_fit(fit, network, training.dtype, len(cells), plan)
        return fit

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        outputs = self._call(lambda: self.backend.predict_proba(x, network, weights))
        with _as_fault():
            check_outputs(outputs, network, len(weights), len(x))
        return outputs

    def _call(self, task: Callable[[], Gives], seconds: float | None = None) -> Gives:
        """What a task gives; ``NotInTime`` if it does not within some seconds."""
        with undisturbed_process():
            result, error = own_thread(task, seconds)
        if isinstance(error, UnsupportedPlan | NotInTime):
            raise error
        if result is not None or error is None:
            return result  # type: ignore[return-value]
        raise BackendFault(f"{place_of(error, self._files())}: {error_words(error)}") from error

    def _files(self) -> frozenset[str]:
        """The files of the class and of what it inherits, as far as they are not the base's."""
        modules = {cls.__module__ for cls in type(self.backend).__mro__} - {Backend.__module__}
        files = {getattr(sys.modules.get(module), "__file__", None) for module in modules}
        return frozenset(file for file in files if file)


@contextmanager
def _as_fault() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise BackendFault(str(error)) from error
