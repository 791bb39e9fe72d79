"""A training seen from outside, as one file: the recorder, the reader and the check of its format.

This file needs NumPy alone, runs on Python 3.9 and newer, and may be copied beside any program:

    recorder = Recorder("mine.npz", x, y, eta=0.1, lmbd=1e-4, activation="relu", optimizer="sgd")
    recorder.start(model)
    for rows in minibatches:
        ...                            # train on x[rows], y[rows]
        recorder.step(rows, model)
    recorder.close()

``python -m harness parity mine.npz`` then says whether every step is the one that a float64 reference
takes. The format is described in backends/README.md; what the keyword arguments may be, in ``ABOUT``.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import platform
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT, VERSION = "harness recording", 1
OPTIMIZER_NAMES = ("sgd", "adam")
ACTIVATION_NAMES: tuple[str, ...] = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
)
_NUMBER, _SWITCH, _TEXT = (int, float), (bool,), (str,)
# what the author of a training may say of it: the types of a value, or the values that there are
ABOUT: dict[str, tuple[Any, ...]] = {
    "name": _TEXT,
    "note": _TEXT,
    "optimizer": _TEXT,
    "eta": _NUMBER,
    "lmbd": (int, float, list),  # a list has one for each weight matrix
    "momentum": _NUMBER,
    "nesterov": _SWITCH,
    "dampening": _NUMBER,
    "beta_1": _NUMBER,
    "beta_2": _NUMBER,
    "epsilon": _NUMBER,
    "activation": (str, list),  # a list has one for each hidden layer
    "output": ("softmax", "logistic", "identity"),
    "cost": ("mean", "sum"),
    "cost_factor": _NUMBER,  # 2 where the cost is the squared error, not half of it
    "penalised": ("all", "hidden"),
    "penalised_biases": _SWITCH,
    "penalty_per_sample": _SWITCH,
    "decoupled": _SWITCH,
    "amsgrad": _SWITCH,
    "dtype": ("float32", "float64"),
    "orientation": ("inputs_outputs", "outputs_inputs"),
    "steps_per_epoch": (int,),
    "library": _TEXT,
    "versions": (dict,),
    "machine": _TEXT,
    "variables": (dict,),
}
_LIBRARIES = ("numpy", "scipy", "sklearn", "torch", "tensorflow", "keras", "jax", "threadpoolctl")
_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "KERAS_BACKEND",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
)
_ROOM = (
    2**27
)  # bytes of weights that there is room for at first; a sparse file, so they cost nothing
_AHEAD = 2**20  # bytes that are taken from the disk at once
_LARGEST = 2**32 - 2**20  # of a zip file without extensions
_SPILLED = "nothing more is recorded: {} is full; keep weights more rarely, as with every=10"

Array = NDArray[Any]
Layers = list[Array]


class RecordingError(ValueError):
    """What is wrong with a recording or with what is to be recorded: the member, found, allowed."""


# ---------------------------------------------------------------- writing


class Recorder:
    """Writes a training to a file while it runs; a training that is killed leaves what it has done.

    Parameters
    ----------
    path : str or path
        The file, usually .npz; one that is there is replaced.
    x, y : arrays
        The data as the training sees them, after scaling. y: class numbers from 0 or other names of
        classes, one-hot rows, or real targets. Without x and y (None) every step is given its own
        minibatch, ``step((x_batch, y_batch), model)``.
    every : int
        Keep the weights after every so many steps.
    **about
        What the author believes: any of ``ABOUT``, and whatever else JSON can hold.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        x: Any = None,
        y: Any = None,
        every: int = 1,
        **about: Any,
    ) -> None:
        if every < 1:
            raise RecordingError(f"every: found {every}; allowed: a whole number from 1")
        if (x is None) != (y is None):
            raise RecordingError("x and y: found one of them; allowed: both, or none")
        self.path, self.every = Path(path), int(every)
        self.about = checked_about(
            {key: value for key, value in about.items() if value is not None}
        )
        self.steps, self.last_kept = 0, 0
        self._own_data = x is None
        self.x: Array | None = None
        self.y: Array | None = None
        if x is not None:
            self.x, self.y = self._data(x, y)
        self._file: _GrowingFile | None = None
        self._rows_ahead: list[Array] = []
        self._viewed: Any = None
        self._views: tuple[list[Any], list[int], Layers] = ([], [], [])
        self._to_close: list[Any] = []

    def _data(self, x: Any, y: Any) -> tuple[Array, Array]:
        x, y = _array(x), _array(y)
        if x.ndim != 2 or x.dtype.kind not in "fiub":
            x = x.reshape(len(x), -1) if x.ndim > 2 else x
            if x.ndim != 2 or x.dtype.kind not in "fiub":
                raise RecordingError(
                    f"x: found {_shown(x)}; allowed: numbers of shape (samples, features)"
                )
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        if len(y) != len(x):
            raise RecordingError(f"y: found {len(y)} samples; allowed: {len(x)}, as x has")
        if y.ndim == 1 and (y.dtype.kind not in "fiu" or (y.dtype.kind in "iu" and y.min() < 0)):
            names, y = np.unique(y, return_inverse=True)
            self.about["classes"] = [str(name) for name in names]
        return x, y

    def start(self, model: Any) -> Recorder:
        """Record the weights before the first step."""
        found = weights_of(model, self.about.get("orientation"), self._features())
        self.about["orientation"] = found.orientation
        W, b = found.W, found.b
        self.about.setdefault("dtype", str(W[0].dtype))
        if found.library:
            self.about.setdefault("library", found.library)
        about = {"format": FORMAT, "version": VERSION, **self.about, **_surroundings()}
        one = sum(tensor.nbytes for tensor in (*W, *b))
        room = int(max(16, min(_ROOM // max(one, 1), 2**16)))
        growing: dict[str, tuple[Any, tuple[int, ...], int]] = {}
        for kind, tensors in (("W", W), ("b", b)):
            for layer, tensor in enumerate(tensors, start=1):
                growing[f"{kind}{layer}"] = (tensor.dtype, tensor.shape, room)
        self._tensors = list(growing)
        self._kept_together = (*self._tensors, "kept")
        growing |= {"kept": (np.dtype(np.int64), (), room), "rows": (np.dtype(np.int64), (), 2**20)}
        growing |= {"loss": (np.dtype(np.float64), (), 2**17)}
        growing |= {"bounds": (np.dtype(np.int64), (), 2**17)}
        fixed: dict[str, Array] = {"about": np.array(json.dumps(about))}
        if not self._own_data and self.x is not None and self.y is not None:
            fixed |= {"x": self.x, "y": self.y}
        else:
            self._growing, self._fixed = growing, fixed
            self._pending = [tensor.copy() for tensor in (*W, *b)]
            return self
        self._open(fixed, growing, [*W, *b])
        return self

    def _features(self) -> int | None:
        return None if self.x is None else int(self.x.shape[1])

    def _open(self, fixed: dict[str, Array], growing: dict[str, Any], start: Layers) -> None:
        self._file = _GrowingFile(self.path, fixed, growing)
        self._file.append("bounds", 0)
        self._keep(start)

    def _keep(self, tensors: Layers) -> None:
        file = self._file
        assert file is not None
        put = file.put
        for name, tensor in zip(self._tensors, tensors):
            put(name, tensor)
        put("kept", self.steps)
        file.count(self._kept_together)
        self.last_kept = self.steps

    def step(self, rows: Any, model: Any, loss: float | None = None) -> None:
        """Record one step: the rows of x it saw (or the minibatch itself), the weights after it, its loss."""
        if self._own_data:
            rows = self._minibatch(rows)
        file = self._file
        if file is None:
            raise RecordingError("start(model) has to come before the first step")
        if file.full:
            return
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iub":
            raise RecordingError(
                f"rows of step {self.steps}: found {_shown(rows)}; allowed: row numbers of x"
            )
        if rows.dtype.kind == "b":
            rows = np.flatnonzero(rows)
        self.steps += 1
        file.extend("rows", rows)
        file.append("loss", math.nan if loss is None else float(loss))
        if model is not None and self.steps % self.every == 0:
            self._keep(self._tensors_now(model))
        file.append("bounds", file.length("rows"))  # last, so that a step is whole or not there

    def _tensors_now(self, model: Any) -> Layers:
        """A model's tensors; those of a torch Module as views that stay good while their memory stays."""
        parameters, places, views = self._views
        if model is self._viewed and [p.data_ptr() for p in parameters] == places:
            return views
        found = _tensors_of(model, self.about["orientation"], self._features())
        own = [p for p in model.parameters() if p.device.type == "cpu"] if _is_torch(model) else []
        if own and len(own) == len(found) and all(v.base is not None for v in found):
            by_place = {p.data_ptr(): p for p in own}
            places = [view.__array_interface__["data"][0] for view in found]
            if all(place in by_place for place in places):
                self._viewed, self._views = model, ([by_place[p] for p in places], places, found)
        return found

    def _minibatch(self, batch: Any) -> Array:
        """A minibatch that is not part of x, added to it; its rows."""
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise RecordingError("a step without x: found no pair; allowed: (x_batch, y_batch)")
        x, y = self._data(*batch)
        if self._file is None:
            self._growing["x"] = (x.dtype, x.shape[1:], 2**16)
            self._growing["y"] = (y.dtype, y.shape[1:], 2**16)
            self._open(self._fixed, self._growing, self._pending)
        file = self._file
        assert file is not None
        first = file.length("x")
        file.extend("x", x)
        file.extend("y", y)
        return np.arange(first, first + len(x))

    def close(self, model: Any = None) -> None:
        """Finish the file, as NumPy writes it; ``model``: keep its weights after the last step as well."""
        if self._file is not None:
            if model is not None and self.last_kept < self.steps:
                self._keep(_tensors_of(model, self.about["orientation"], self._features()))
            for handle in self._to_close:
                handle.remove()
            self._file.close()
            self._file = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    # ------------------------------------------------ for loops that one does not write oneself

    def batches(self, batch_size: int, shuffle: bool = True, seed: Any = None) -> Iterator[Any]:
        """Minibatches (x, y) for ever, epoch after epoch; which rows they are is remembered for a hook."""
        if self.x is None or self.y is None:
            raise RecordingError(
                "batches: found a recorder without x and y; allowed: one with both"
            )
        rng, n = np.random.default_rng(seed), len(self.x)
        while True:
            order = rng.permutation(n) if shuffle else np.arange(n)
            for first in range(0, n, batch_size):
                rows = order[first : first + batch_size]
                self._rows_ahead.append(rows)
                yield self.x[rows], self.y[rows]

    def keras(
        self, batch_size: int = 32, shuffle: bool = True, seed: Any = None, callbacks: Any = ()
    ) -> dict[str, Any]:
        """What ``model.fit(epochs=5, **recorder.keras(batch_size=32))`` needs to be recorded as it runs."""
        import keras

        recorder = self
        assert self.x is not None
        steps = -(-len(self.x) // batch_size)
        self.about.setdefault("steps_per_epoch", steps)

        class Recording(keras.callbacks.Callback):
            seen = -1

            def on_train_begin(self, logs: Any = None) -> None:
                if recorder._file is None:
                    recorder.start(self.model)

            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.seen = -1

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                for number in range(self.seen + 1, batch + 1):  # several, with steps_per_execution
                    model = self.model if number == batch else None
                    recorder.step(recorder._rows_ahead.pop(0), model)
                self.seen = batch

            def on_train_end(self, logs: Any = None) -> None:
                recorder.close(self.model)

        source = self.batches(batch_size, shuffle, seed)
        given = [*callbacks, Recording()]
        return {"x": source, "steps_per_epoch": steps, "callbacks": given, "shuffle": False}

    def loader(self, loader: Any) -> Iterator[Any]:
        """The minibatches of a torch DataLoader over x and y, the rows of each remembered for ``watch``."""
        for rows in loader.batch_sampler:
            batch = loader.collate_fn([loader.dataset[row] for row in rows])
            self._rows_ahead[:] = [np.asarray(rows)]
            yield batch

    def last_rows(self) -> Array:
        """The rows of the minibatch that ``batches`` gave last."""
        return self._rows_ahead.pop()

    def rows(self, rows: Any) -> Any:
        """The same rows, remembered as those of the next step that ``watch`` sees."""
        self._rows_ahead[:] = [np.asarray(rows)]
        return rows

    def watch(self, optimizer: Any, model: Any) -> None:
        """Record a step after each ``optimizer.step()`` of torch, of the rows that were seen last."""
        self.start(model)

        def after(*_: Any) -> None:
            if not self._rows_ahead:
                raise RecordingError(
                    "watch: no rows; take minibatches from recorder.loader(loader)"
                )
            self.step(self._rows_ahead[-1], model)

        self._to_close.append(optimizer.register_step_post_hook(after))

    def fit(self, estimator: Any) -> Any:
        """``estimator.fit(x, y)`` of a scikit-learn MLP, recorded as it runs; the estimator."""
        if getattr(estimator, "solver", "") not in ("sgd", "adam"):
            raise RecordingError(
                f"solver: found {getattr(estimator, 'solver', None)!r}; allowed: 'sgd' or 'adam', which "
                "take minibatch steps"
            )
        for name, value in settings_of_sklearn(estimator, self.x).items():
            self.about.setdefault(name, value)
        plain = estimator._backprop
        waiting: list[Array] = []
        where: dict[bytes, list[int]] = {}

        def rows_of(x: Any, y: Any) -> Array:
            return np.array([where[row.tobytes()][0] for row in np.ascontiguousarray(x)])

        def backprop(x: Any, y: Any, *rest: Any) -> Any:
            if self._file is None:
                assert self.x is not None
                for row, values in enumerate(self.x.astype(x.dtype)):
                    where.setdefault(values.tobytes(), []).append(row)
                self.start(estimator)
            elif waiting:
                self.step(waiting.pop(), estimator)
            waiting.append(rows_of(x, y))
            return plain(x, y, *rest)

        estimator._backprop = backprop
        try:
            estimator.fit(self.x, self.y)
            self.step(waiting.pop(), estimator)
        finally:
            del estimator._backprop
            self.close()
        return estimator


def settings_of_sklearn(estimator: Any, x: Any) -> dict[str, Any]:
    """What the settings of a scikit-learn MLP say, as ``about`` has it."""
    size = estimator.batch_size
    batch = min(200, len(x)) if size == "auto" else int(size)
    adam = estimator.solver == "adam"
    about: dict[str, Any] = {
        "optimizer": estimator.solver,
        "eta": float(estimator.learning_rate_init),
        "lmbd": float(estimator.alpha),
        "penalty_per_sample": True,  # alpha / (2 n) ||W||^2 for n rows
        "activation": {"logistic": "sigmoid"}.get(estimator.activation, estimator.activation),
        "steps_per_epoch": -(-len(x) // batch),
        "library": "sklearn",
    }
    if adam:
        return about | {
            name: float(getattr(estimator, name)) for name in ("beta_1", "beta_2", "epsilon")
        }
    momentum = float(estimator.momentum)
    return about | {
        "momentum": momentum,
        "nesterov": bool(momentum and estimator.nesterovs_momentum),
    }


# ---------------------------------------------------------------- a model's weights


@dataclass
class _Found:
    W: Layers
    b: Layers
    orientation: str
    library: str = ""


def weights_of(model: Any, orientation: str | None = None, features: int | None = None) -> _Found:
    """Weight matrices and biases of a model, in the order of computation, and how matrices are turned.

    model: a Keras model, a torch Module, a scikit-learn MLP, ``(W list, b list)``, or arrays nested in
    lists, tuples and dictionaries. ``features``: of the data, by which matrices that are (outputs, inputs)
    are recognised. RecordingError for layers that are not dense, and where it cannot be told how
    matrices are turned.
    """
    if hasattr(model, "coefs_"):
        return _Found(list(model.coefs_), list(model.intercepts_), "inputs_outputs", "sklearn")
    if _is_torch(model):
        W, b = _of_torch(model)
        return _Found(W, b, "outputs_inputs", "torch")
    if hasattr(model, "layers") and hasattr(model, "get_weights"):
        W, b = _of_keras(model)
        return _Found(W, b, "inputs_outputs", "keras")
    W, b = _of_arrays(model)
    return _Found(W, b, orientation or _turned(W, b, features))


def _tensors_of(model: Any, orientation: str, features: int | None) -> Layers:
    found = weights_of(model, orientation, features)
    return [*found.W, *found.b]


def _is_torch(model: Any) -> bool:
    return hasattr(model, "named_modules") and hasattr(model, "parameters")


def _of_torch(model: Any) -> tuple[Layers, Layers]:
    W: Layers = []
    b: Layers = []
    for name, module in model.named_modules():
        own = module._parameters
        if not own:
            continue
        weight, bias = own.get("weight"), own.get("bias")
        if weight is None or weight.dim() != 2 or "Embedding" in type(module).__name__:
            raise RecordingError(
                f"layer {name or type(module).__name__}: found a {type(module).__name__}; allowed: Linear, "
                "and layers without weights"
            )
        W.append(weight.detach().cpu().numpy())
        if bias is not None:
            b.append(bias.detach().cpu().numpy())
    return W, b if len(b) == len(W) else _filled(W, b, 0)


def _of_keras(model: Any) -> tuple[Layers, Layers]:
    W: Layers = []
    b: Layers = []
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel = getattr(layer, "kernel", None)
        if kernel is None or len(kernel.shape) != 2 or type(layer).__name__ != "Dense":
            if hasattr(layer, "layers"):
                inner_W, inner_b = _of_keras(layer)
                W, b = [*W, *inner_W], [*b, *inner_b]
                continue
            if not layer.trainable_weights:
                continue
            raise RecordingError(
                f"layer {layer.name}: found a {type(layer).__name__}; allowed: Dense, and layers without "
                "weights to be trained"
            )
        W.append(_array(kernel))
        bias = layer.bias if layer.use_bias else None
        b.append(np.zeros(kernel.shape[1], W[-1].dtype) if bias is None else _array(bias))
    return W, b


def _filled(W: Layers, b: Layers, axis: int) -> Layers:
    if b:
        raise RecordingError(
            f"biases: found {len(b)} for {len(W)} layers; allowed: one each, or none"
        )
    return [np.zeros(matrix.shape[axis], matrix.dtype) for matrix in W]


def _of_arrays(model: Any) -> tuple[Layers, Layers]:
    arrays = [_array(leaf) for leaf in _leaves(model)]
    W: Layers = []
    b: Layers = []
    for tensor in arrays:
        if tensor.dtype.kind != "f":
            raise RecordingError(f"weights: found {_shown(tensor)}; allowed: arrays of floats")
        flat = tensor.ndim < 2 or (
            tensor.ndim == 2 and 1 in tensor.shape and _is_bias(tensor, W, b)
        )
        if flat:
            b.append(tensor.reshape(-1))
        elif tensor.ndim == 2:
            W.append(tensor)
        else:
            raise RecordingError(
                f"weights: found {_shown(tensor)}; allowed: matrices and biases of dense layers"
            )
    if not W:
        raise RecordingError("weights: found no matrix; allowed: those of dense layers")
    if b and len(b) != len(W):
        raise RecordingError(
            f"biases: found {len(b)} for {len(W)} layers; allowed: one each, or none"
        )
    return W, b


def _is_bias(tensor: Array, W: Layers, b: Layers) -> bool:
    """Whether a matrix of one row or column is a bias: it follows a matrix that gives as many outputs."""
    return len(b) < len(W) and tensor.size in W[len(b)].shape and tensor.size != W[-1].shape[0] * 0


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from _leaves(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _leaves(value)
    elif tree is not None and (hasattr(tree, "__array__") or np.isscalar(tree)):
        yield tree
    elif tree is not None:
        raise RecordingError(
            f"model: found {type(tree).__name__}; allowed: a Keras model, a torch Module, a scikit-learn "
            "MLP, (W list, b list), or arrays in lists, tuples and dictionaries"
        )


def _turned(W: Layers, b: Layers, features: int | None) -> str:
    """How matrices are turned, by the chain of their shapes."""
    sizes = [bias.size for bias in b] if b else [None] * len(W)
    possible = []
    for name, (i, o) in (("inputs_outputs", (0, 1)), ("outputs_inputs", (1, 0))):
        before, good = features, True
        for matrix, outputs in zip(W, sizes):
            good &= before in (None, matrix.shape[i]) and outputs in (None, matrix.shape[o])
            before = matrix.shape[o]
        if good:
            possible.append(name)
    if len(possible) == 1:
        return possible[0]
    shapes = ", ".join(str(matrix.shape) for matrix in W)
    if possible:
        raise RecordingError(
            f"orientation: the shapes {shapes} do not tell whether matrices are (inputs, outputs); say "
            "orientation='inputs_outputs' or 'outputs_inputs'"
        )
    raise RecordingError(
        f"weights: found shapes {shapes} after {features} features; allowed: matrices that follow one another"
    )


def _array(value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _shown(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _surroundings() -> dict[str, Any]:
    """Versions, machine and the variables that change bits."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        if name in sys.modules and hasattr(sys.modules[name], "__version__"):
            versions[name] = str(sys.modules[name].__version__)
    found: dict[str, Any] = {
        "versions": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    try:
        import threadpoolctl
    except ImportError:
        return found
    pools = threadpoolctl.threadpool_info()
    told = ("internal_api", "version", "architecture", "num_threads")
    found["blas"] = [
        " ".join(str(pool[key]) for key in told if pool.get(key) is not None)
        for pool in pools
        if pool.get("user_api") == "blas"
    ]
    found["threads"] = max((int(pool["num_threads"]) for pool in pools), default=1)
    return found


# ---------------------------------------------------------------- the file while it grows


class _GrowingFile:
    """A zip of .npy arrays that can be read at any time while some of them grow.

    A growing array has room behind it. Its header, of fixed length, says how long it is; that is changed
    in place, through memory that is the file's own, so that nothing is lost when the process is killed.
    A check sum is right only when the file is closed and written anew; nobody asks for it before, because
    no reader comes to the end of the room.
    """

    def __init__(self, path: Path, fixed: dict[str, Array], growing: dict[str, Any]) -> None:
        self.path, self.fixed, self.growing = path, fixed, dict(growing)
        self.full = False
        self._lengths = dict.fromkeys(growing, 0)
        self._lay_out(path)

    def _lay_out(self, path: Path) -> None:
        """Write the fixed arrays and the empty growing ones, and map the file into memory."""
        entries: list[bytes] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._taken: dict[str, int] = {}
        with open(path, "wb") as file:
            for name, array in self.fixed.items():
                head = _npy_header(array.dtype, array.shape)
                data = head + np.ascontiguousarray(array).tobytes()
                place = self._entry(file, entries, name, len(data), len(head), zlib.crc32(data))
                file.write(data)
                file.seek(place + len(data))
            for name, (dtype, shape, room) in self.growing.items():
                head = _npy_header(dtype, (0, *shape), growing=True)
                size = len(head) + room * dtype.itemsize * math.prod(shape)
                place = self._entry(file, entries, name, size, len(head), 0)
                file.write(head)
                file.seek(place + size)
                self._places[name] = (place + head.index(b"(") + 1, place + len(head))
                self._taken[name] = 0
            start = file.tell()
            for entry in entries:
                file.write(entry)
            size = file.tell() - start
            count = len(entries)
            file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, start, 0))
        self._handle = open(path, "r+b")  # noqa: SIM115 (open as long as the recording)
        self._map = mmap.mmap(self._handle.fileno(), 0)
        self._views: dict[str, Array] = {}
        for name, (dtype, shape, room) in self.growing.items():
            count, offset = room * math.prod(shape), self._places[name][1]
            flat: Array = np.frombuffer(self._map, dtype, count, offset)
            self._views[name] = flat.reshape(room, *shape)

    @staticmethod
    def _entry(file: Any, entries: list[bytes], name: str, size: int, head: int, crc: int) -> int:
        """Write a member's local header, so that its data begin at a multiple of 64; where it begins."""
        member = f"{name}.npy".encode()
        offset = file.tell()
        offset += -(offset + 30 + len(member)) % 64 if offset else 0  # a zip begins with a member
        file.seek(offset)
        same = (20, 0, 0, 0, 33, crc, size, size, len(member), 0)
        file.write(struct.pack("<4s5H3L2H", b"PK\3\4", *same) + member)
        last = (0, 0, 0, 0, offset)
        entries.append(struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *same, *last) + member)
        return int(file.tell())

    def length(self, name: str) -> int:
        return self._lengths[name]

    def put(self, name: str, value: Any) -> None:
        """One more entry, which is counted only by ``count``."""
        place = self._lengths[name]
        if place >= self._taken[name]:  # room is taken from the disk in parts, so this comes first
            if place >= self.growing[name][2]:
                self._grow(name, place + 1)
            if place >= self._taken[name]:
                self._take(name, place + 1)
        self._views[name][place] = value
        self._lengths[name] = place + 1

    def append(self, name: str, value: Any) -> None:
        self.put(name, value)
        self.count((name,))

    def extend(self, name: str, values: Array) -> None:
        place, end = self._lengths[name], self._lengths[name] + len(values)
        if end > self.growing[name][2]:
            self._grow(name, end)
        if end > self._taken[name]:
            self._take(name, end)
        self._views[name][place:end] = values
        self._lengths[name] = end
        self.count((name,))

    def count(self, names: Sequence[str]) -> None:
        """Write into the headers how long arrays are."""
        length, told = -1, b""
        for name in names:
            if self._lengths[name] != length:
                length = self._lengths[name]
                told = b"%12d" % length
            place = self._places[name][0]
            self._map[place : place + 12] = told

    def _take(self, name: str, length: int) -> None:
        """Take room from the disk before memory is written to: a full disk is an error then, no signal."""
        dtype, shape, room = self.growing[name]
        one = dtype.itemsize * math.prod(shape)
        end = min(room, max(length, self._taken[name] + max(_AHEAD // max(one, 1), 1)))
        if hasattr(os, "posix_fallocate"):
            first = self._places[name][1] + self._taken[name] * one
            os.posix_fallocate(self._handle.fileno(), first, (end - self._taken[name]) * one)
        self._taken[name] = end

    def _grow(self, name: str, length: int) -> None:
        """Twice the room for an array, and for those that grow with it."""
        larger = {
            key: (dtype, shape, max(2 * room, length) if key == name else room)
            for key, (dtype, shape, room) in self.growing.items()
        }
        total = sum(d.itemsize * math.prod(s) * room for d, s, room in larger.values())
        if total + sum(array.nbytes for array in self.fixed.values()) > _LARGEST:
            self.full = True
            warnings.warn(_SPILLED.format(self.path), stacklevel=4)
        if name in self._weights():
            larger = {
                key: (d, s, max(2 * room, length) if key in self._weights() else room)
                for key, (d, s, room) in larger.items()
            }
        kept = {key: self._views[key][: self._lengths[key]].copy() for key in self.growing}
        self._release()
        self.growing = larger
        beside = self.path.with_name(f"{self.path.name}.growing")
        self._lay_out(beside)
        for key, values in kept.items():
            self._take(key, len(values))
            self._views[key][: len(values)] = values
        self.count(list(kept))
        os.replace(beside, self.path)

    def _weights(self) -> list[str]:
        return [
            key for key in self.growing if key == "kept" or (key[0] in "Wb" and key[1:].isdigit())
        ]

    def _release(self) -> None:
        self._views = {}
        self._map.close()
        self._handle.close()

    def close(self) -> None:
        """Write the file anew, without room and with check sums."""
        arrays = {key: self._views[key][: self._lengths[key]].copy() for key in self.growing}
        if np.isnan(arrays["loss"]).all():
            del arrays["loss"]
        self._release()
        beside = self.path.with_name(f"{self.path.name}.closing")
        with open(beside, "wb") as file:
            np.savez(file, **self.fixed, **arrays)  # type: ignore[arg-type]
        os.replace(beside, self.path)


def _npy_header(dtype: Any, shape: tuple[int, ...], growing: bool = False) -> bytes:
    """The header of a .npy array, version 1.0; of a growing one with twelve places for its length."""
    sizes = [
        f"{size:12d}" if growing and not place else str(size) for place, size in enumerate(shape)
    ]
    told = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    text = f"{{'descr': {np.lib.format.dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': {told}, }}"
    padding = -(10 + len(text) + 1) % 64
    body = (text + " " * padding + "\n").encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


# ---------------------------------------------------------------- reading


@dataclass
class Recording:
    """A recording as it was read, its matrices turned to (inputs, outputs).

    ``W[l]`` (kept, inputs, outputs), ``b[l]`` (kept, outputs); ``biases`` is False where the network has
    none, whose b are zero. ``extra``: members that the format does not list.
    """

    path: str
    about: dict[str, Any]
    x: Array
    y: Array
    rows: NDArray[np.int64]
    bounds: NDArray[np.int64]
    kept: NDArray[np.int64]
    W: tuple[Array, ...]
    b: tuple[Array, ...]
    biases: bool = True
    loss: Array | None = None
    extra: dict[str, Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.about.get("name") or Path(self.path).stem)

    @property
    def steps(self) -> int:
        """How many steps were recorded."""
        return len(self.bounds) - 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, inputs first."""
        return (self.W[0].shape[1], *(matrix.shape[2] for matrix in self.W))

    @property
    def dtype(self) -> str:
        """The float type of the training: what is said, or that of the weights."""
        said = self.about.get("dtype")
        return str(said or ("float32" if self.W[0].dtype.itemsize <= 4 else "float64"))

    def rows_of(self, step: int) -> NDArray[np.int64]:
        """The rows of x that a step (from 0) saw."""
        return self.rows[self.bounds[step] : self.bounds[step + 1]]

    def weights(self, place: int) -> dict[str, Array]:
        """The weights that were kept at a place in ``kept``, by name."""
        found: dict[str, Array] = {}
        for layer, (W, b) in enumerate(zip(self.W, self.b), start=1):
            found |= {f"W{layer}": W[place], f"b{layer}": b[place]}
        return found


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording and check it; RecordingError names the member, what was found, what is allowed.

    Of a training that was killed the steps up to the last whole one are read.
    """
    try:
        with zipfile.ZipFile(path):
            pass
        with np.load(path, allow_pickle=False) as file:
            members = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise RecordingError(f"{path}: found no such file; allowed: a recording") from None
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        zlib.error,
        OSError,
        NotImplementedError,
    ) as error:
        raise RecordingError(
            f"{path}: found no readable zip of .npy arrays ({error}); allowed: a "
            "recording, see backends/README.md"
        ) from None
    try:
        return _recording(str(path), members)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None


def _recording(path: str, members: dict[str, Array]) -> Recording:
    about = _about_of(members.pop("about", None))
    W, b, biases, kept = _weights_in(members, about)
    x, y, rows, bounds = _data_in(members, W[0].shape[1])
    steps = len(bounds) - 1
    whole = int((kept <= steps).sum())  # a step whose end is missing was not whole
    kept, W, b = kept[:whole], [m[:whole] for m in W], [v[:whole] for v in b]
    loss = members.pop("loss", None)
    if loss is not None:
        if loss.ndim != 1 or len(loss) < steps or loss.dtype.kind not in "fiu":
            raise RecordingError(
                f"loss: found {_shown(loss)}; allowed: numbers of shape ({steps},)"
            )
        loss = loss[:steps]
    _check_y(y, len(x), W[-1].shape[2], about.get("output"))
    if rows.size and not (rows.min() >= 0 and rows.max() < len(x)):
        wrong = int(rows[(rows < 0) | (rows >= len(x))][0])
        raise RecordingError(f"rows: found {wrong}; allowed: row numbers of x, 0 to {len(x) - 1}")
    return Recording(
        path, about, x, y, rows, bounds, kept, tuple(W), tuple(b), biases, loss, members
    )


def _about_of(member: Array | None) -> dict[str, Any]:
    if member is None:
        return {}
    if member.shape != () or member.dtype.kind not in "US":
        raise RecordingError(f"about: found {_shown(member)}; allowed: one JSON text, of shape ()")
    text = member.item()
    try:
        about = json.loads(text.decode() if isinstance(text, bytes) else text)
    except ValueError as error:
        raise RecordingError(f"about: found no JSON ({error}); allowed: a JSON object") from None
    if not isinstance(about, dict):
        raise RecordingError(f"about: found {type(about).__name__}; allowed: a JSON object")
    if about.get("format", FORMAT) != FORMAT:
        raise RecordingError(f"about: found format {about['format']!r}; allowed: {FORMAT!r}")
    version = about.get("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise RecordingError(f"about: found version {version!r}; allowed: up to {VERSION}")
    return checked_about({key: value for key, value in about.items() if value is not None})


def checked_about(about: dict[str, Any]) -> dict[str, Any]:
    """The same, if every key that is known has a value that it may have; RecordingError if not."""
    for key, allowed in ABOUT.items():
        if key not in about:
            continue
        value = about[key]
        if isinstance(value, np.generic):
            value = about[key] = value.item()
        if isinstance(value, (tuple, np.ndarray)):
            value = about[key] = list(value)
        if isinstance(allowed[0], str):
            good, words = value in allowed, ", ".join(map(repr, allowed))
        else:
            number = isinstance(value, bool) and bool not in allowed
            good = isinstance(value, allowed) and not number
            words = " or ".join(kind.__name__ for kind in allowed)
        if good and isinstance(value, float):
            good, words = math.isfinite(value), "a finite number"
        if not good:
            raise RecordingError(f"{key} of about: found {value!r}; allowed: {words}")
    activation = about.get("activation", [])
    for name in [activation] if isinstance(activation, str) else activation:
        if name not in ACTIVATION_NAMES:
            raise RecordingError(
                f"activation of about: found {name!r}; allowed: {', '.join(ACTIVATION_NAMES)}"
            )
    if about.get("optimizer", "sgd") not in OPTIMIZER_NAMES:
        raise RecordingError(
            f"optimizer of about: found {about['optimizer']!r}; allowed: {', '.join(OPTIMIZER_NAMES)}"
        )
    return about


def _weights_in(
    members: dict[str, Array], about: dict[str, Any]
) -> tuple[Layers, Layers, bool, NDArray[np.int64]]:
    """Matrices turned to (inputs, outputs), biases, whether there are any, and the steps they are after."""
    layers = 0
    while f"W{layers + 1}" in members:
        layers += 1
    if not layers:
        raise RecordingError(
            f"W1: found no such member, only {', '.join(members) or 'none'}; allowed: one for each layer"
        )
    W = [members.pop(f"W{layer}") for layer in range(1, layers + 1)]
    given = [members.pop(f"b{layer}", None) for layer in range(1, layers + 1)]
    kept = members.pop("kept", None)
    if kept is None:
        raise RecordingError("kept: found no such member; allowed: step numbers, 0 first")
    if kept.ndim != 1 or not len(kept) or kept.dtype.kind not in "iu":
        raise RecordingError(f"kept: found {_shown(kept)}; allowed: whole numbers of shape (k,)")
    if kept[0] != 0 or (np.diff(kept.astype(np.int64)) <= 0).any():
        raise RecordingError(
            f"kept: found {kept[:6].tolist()}...; allowed: 0 first, then ascending"
        )
    turned = about.get("orientation") == "outputs_inputs"
    before: int | None = None
    b: Layers = []
    for layer, (matrix, bias) in enumerate(zip(W, given), start=1):
        if matrix.ndim != 3 or matrix.dtype.kind != "f" or 0 in matrix.shape[1:]:
            raise RecordingError(
                f"W{layer}: found {_shown(matrix)}; allowed: floats of shape (k, inputs, outputs)"
            )
        matrix = W[layer - 1] = matrix.swapaxes(1, 2) if turned else matrix
        if before not in (None, matrix.shape[1]):
            hint = (
                ""
                if turned
                else "; if matrices are (outputs, inputs), say so by orientation in about"
            )
            raise RecordingError(
                f"W{layer}: found {matrix.shape[1]} inputs; allowed: {before}, the outputs of "
                f"W{layer - 1}{hint}"
            )
        before = matrix.shape[2]
        if (bias is None) != (given[0] is None):
            raise RecordingError(
                f"b{layer}: found {'none' if bias is None else 'one'}; allowed: all or none"
            )
        if bias is None:
            bias = np.zeros((len(matrix), before), matrix.dtype)
        if bias.ndim != 2 or bias.shape[1] != before or bias.dtype.kind != "f":
            raise RecordingError(
                f"b{layer}: found {_shown(bias)}; allowed: floats of shape (k, {before})"
            )
        b.append(bias)
    length = min(len(kept), *(len(tensor) for tensor in (*W, *b)))
    most = max(len(kept), *(len(tensor) for tensor in (*W, *b)))
    if most - length > 1:
        told = ", ".join(f"W{i} {len(m)}" for i, m in enumerate(W, start=1))
        raise RecordingError(
            f"kept: found {len(kept)} beside {told}; allowed: the same number in all"
        )
    kept = kept[:length].astype(np.int64)
    return [m[:length] for m in W], [v[:length] for v in b], given[0] is not None, kept


def _data_in(
    members: dict[str, Array], features: int
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
    if "x" not in members and "batch_x_0" in members:
        xs: Layers = []
        ys: Layers = []
        while f"batch_x_{len(xs)}" in members and f"batch_y_{len(ys)}" in members:
            step = len(xs)
            xs.append(members.pop(f"batch_x_{step}"))
            ys.append(members.pop(f"batch_y_{step}"))
            if xs[-1].ndim != 2 or len(xs[-1]) != len(ys[-1]):
                raise RecordingError(
                    f"batch_x_{step}: found {_shown(xs[-1])} beside {len(ys[-1])} of batch_y_{step}; "
                    "allowed: (samples, features), the same number of samples in both"
                )
        members |= {"x": np.concatenate(xs), "y": np.concatenate(ys)}
        members["bounds"] = np.cumsum([0, *(len(x) for x in xs)])
        members["rows"] = np.arange(len(members["x"]))
    for name in ("x", "y", "rows", "bounds"):
        if name not in members:
            raise RecordingError(
                f"{name}: found no such member; allowed: x, y, rows and bounds, or batch_x_0, batch_y_0, ..."
            )
    x, y, rows, bounds = (members.pop(name) for name in ("x", "y", "rows", "bounds"))
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise RecordingError(f"x: found {_shown(x)}; allowed: numbers of shape (samples, features)")
    if x.shape[1] != features:
        raise RecordingError(
            f"x: found {x.shape[1]} features; allowed: {features}, the inputs of W1; if matrices are "
            "(outputs, inputs), say so by orientation in about"
        )
    for name, member in (("rows", rows), ("bounds", bounds)):
        if member.ndim != 1 or member.dtype.kind not in "iu":
            raise RecordingError(
                f"{name}: found {_shown(member)}; allowed: whole numbers in one row"
            )
    bounds = bounds.astype(np.int64)
    if not len(bounds) or bounds[0] != 0 or (np.diff(bounds) <= 0).any():
        raise RecordingError(
            f"bounds: found {bounds[:6].tolist()}; allowed: 0 first, then ascending"
        )
    whole = int((bounds <= len(rows)).sum())
    if whole < len(bounds) - 1:
        raise RecordingError(
            f"bounds: found {bounds[-1]}; allowed: up to {len(rows)}, the length of rows"
        )
    bounds = bounds[:whole]
    return x, y, rows[: bounds[-1]].astype(np.int64), bounds


def _check_y(y: Array, samples: int, outputs: int, output: Any) -> None:
    if y.ndim not in (1, 2) or len(y) < samples or y.dtype.kind not in "fiub":
        raise RecordingError(
            f"y: found {_shown(y)}; allowed: class numbers or targets, one for each of {samples} samples"
        )
    if y.ndim == 2 and y.shape[1] not in (1, outputs, 2 if outputs == 1 else outputs):
        raise RecordingError(f"y: found {y.shape[1]} columns; allowed: {outputs}, the outputs")
    classes = y.ndim == 1 and y.dtype.kind in "iu" and output != "identity"
    most = max(outputs, 2) - 1
    if classes and (outputs > 1 or output == "logistic") and not 0 <= y.min() <= y.max() <= most:
        wrong = y[(y < 0) | (y > most)][0]
        raise RecordingError(f"y: found class {wrong}; allowed: class numbers 0 to {most}")


def write_recording(
    path: str | os.PathLike[str],
    x: Any,
    y: Any,
    batches: Sequence[Any],
    path_of_weights: Sequence[tuple[Sequence[Any], Sequence[Any]]],
    kept: Sequence[int] | None = None,
    **about: Any,
) -> None:
    """Write a whole training at once: the rows of every step, and every kept (W list, b list)."""
    W = [np.stack(layer) for layer in zip(*(W for W, _ in path_of_weights))]
    b = [np.stack(layer) for layer in zip(*(b for _, b in path_of_weights))]
    members: dict[str, Any] = {f"W{layer}": tensor for layer, tensor in enumerate(W, start=1)}
    members |= {f"b{layer}": tensor for layer, tensor in enumerate(b, start=1)}
    said = checked_about({key: value for key, value in about.items() if value is not None})
    said = {"format": FORMAT, "version": VERSION, **said, **_surroundings()}
    with open(path, "wb") as file:
        np.savez(
            file,
            about=np.array(json.dumps(said)),
            x=_array(x),
            y=_array(y),
            rows=np.concatenate([np.asarray(rows) for rows in batches] or [np.zeros(0, int)]),
            bounds=np.cumsum([0, *(len(rows) for rows in batches)]),
            kept=np.asarray(kept if kept is not None else range(len(path_of_weights))),
            **members,
        )
