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

import contextlib
import io
import json
import math
import mmap
import os
import platform
import re
import struct
import sys
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT, VERSION = "harness recording", 1
OPTIMIZER_NAMES = ("sgd", "adam", "rmsprop", "adagrad")
_OTHER_OPTIMIZERS = {  # a part of the name that others give it, and how it is said here
    "nesterov": "optimizer='sgd', nesterov=True and its size, momentum=0.9",
    "nag": "optimizer='sgd', nesterov=True and its size, momentum=0.9",
    "momentum": "optimizer='sgd' and its size, momentum=0.9",
    "adamw": "optimizer='adam', decoupled=True",
    "amsgrad": "optimizer='adam', amsgrad=True",
    "adam": "optimizer='adam'",
    "rms": "optimizer='rmsprop'",
    "adagrad": "optimizer='adagrad'",
    "sgd": "optimizer='sgd'",
    "gd": "optimizer='sgd'",
    "descent": "optimizer='sgd'",
}
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
# how initial weights were drawn; torch and sklearn: as nn.Linear and MLPClassifier draw them, biases as well
INITIAL_LAWS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "torch",
    "sklearn",
    "normal:0.1",  # of that standard deviation
    "truncated_normal:0.1",  # cut at two of them
    "uniform:0.1",  # from -0.1 to 0.1
)
OTHER_ACTIVATIONS = (  # that may be said, and are not looked for where nothing is
    "selu",
    "relu6",
    "gelu by tanh",
    "hard sigmoid",
    "leaky_relu with slope 0.1",
    "leaky_relu with slope 0.2",
    "leaky_relu with slope 0.3",
)
RANDOM_LAYERS = ("Dropout", "Dropout1d", "AlphaDropout", "GaussianDropout", "GaussianNoise")
_NUMBER, _SWITCH, _TEXT = (int, float), (bool,), (str,)
# what the author of a training may say of it: the types of a value, or the values that there are
ABOUT: dict[str, tuple[Any, ...]] = {
    "name": _TEXT,
    "note": _TEXT,
    "optimizer": _TEXT,
    "eta": (int, float, list),  # a list has one for each step
    "lmbd": (int, float, list),  # a list has one for each weight matrix
    "l1": _NUMBER,
    "momentum": _NUMBER,
    "nesterov": _SWITCH,
    "dampening": _NUMBER,
    "beta_1": _NUMBER,
    "beta_2": _NUMBER,
    "rho": _NUMBER,  # of rmsprop
    "epsilon": _NUMBER,
    "activation": (str, list),  # a list has one for each hidden layer
    "output": ("softmax", "logistic", "identity"),
    "cost": ("mean", "sum"),
    "cost_factor": _NUMBER,  # 2 where the cost is the squared error, not half of it
    "label_smoothing": _NUMBER,  # the part of each label that is spread over all classes
    "class_weights": (list,),  # of samples by class; a mean cost is divided by their sum
    "penalised": ("all", "hidden"),
    "penalised_biases": _SWITCH,
    "penalty_per_sample": _SWITCH,
    "decoupled": _SWITCH,
    "amsgrad": _SWITCH,
    "clipnorm": _NUMBER,  # each gradient is cut to that norm; as Keras names it, like the next two
    "global_clipnorm": _NUMBER,
    "clipvalue": _NUMBER,
    "frozen": (list,),  # tensors that are not to be updated, ["W1", "b1"]
    "random_layers": (list,),  # layers of the model that draw at random, as ["Dropout"]
    "dtype": ("float32", "float64"),
    "orientation": ("inputs_outputs", "outputs_inputs"),
    "initial": _TEXT,  # one of INITIAL_LAWS
    "initial_bias": (int, float, str),  # a number, or "as_weights"; 0 where nothing is said
    "steps_per_epoch": (int,),
    "of_model": (dict,),  # what a model says of itself where its author says otherwise
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
_GROWING = b"harness recording that grows, read by backends/recording.py\n"
_ROWS = np.dtype(np.int64)
_NO_STEP = -1  # rows drawn by what is no step
_HEAD = struct.Struct(
    "<dqqq"
)  # of a record: loss, rows drawn, bytes of what was seen, bytes in all
_WINDOW = 2**22  # bytes of the growing file that are mapped at once, a multiple of a large page

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
            self._shape = np.shape(x)[1:]  # of a sample, as a model may want it
            self.x, self.y = self._data(x, y)
        self._log: _Log | None = None
        self._rows_ahead: list[Array] = []
        self._viewed: Any = None
        self._first: dict[str, Array] = {}
        self._views: tuple[list[Any], list[int], Layers] = ([], [], [])
        self._to_close: list[Any] = []

    def _data(self, x: Any, y: Any) -> tuple[Array, Array]:
        x, y = _array(x), _array(y)
        x = x.reshape(len(x), -1) if x.ndim > 2 else x
        if x.ndim != 2 or x.dtype.kind not in "fiub":
            raise RecordingError(
                f"x: found {_shown(x)}; allowed: numbers of shape (samples, features)"
            )
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        if len(y) != len(x):
            raise RecordingError(f"y: found {len(y)} samples; allowed: {len(x)}, as x has")
        if self.about.get("output") == "identity" and y.dtype.kind in "biu":
            y = y.astype(np.float64)
        if y.ndim == 1 and (y.dtype.kind not in "fiu" or (y.dtype.kind in "iu" and y.min() < 0)):
            names, y = np.unique(y, return_inverse=True)
            self.about["classes"] = [str(name) for name in names]
        return x, y

    def start(self, model: Any) -> Recorder:
        """Record the weights before the first step."""
        found = weights_of(model, self.about.get("orientation"), self._features())
        self.about["orientation"] = found.orientation
        self.about.setdefault("dtype", str(found.W[0].dtype))
        if found.library:
            self.about.setdefault("library", found.library)
        if found.frozen:
            self.about.setdefault("frozen", found.frozen)
        if found.drawing:
            self.about.setdefault("random_layers", found.drawing)
        if self.x is not None and self.y is not None:
            _check_y(self.y, len(self.x), self._outputs(found), self.about.get("output"))
        about = {"format": FORMAT, "version": VERSION, **self.about, **_surroundings()}
        fixed: dict[str, Array] = {"about": np.array(json.dumps(about))}
        if self.x is not None and self.y is not None:
            fixed |= {"x": self.x, "y": self.y}
        tensors = {f"W{layer}": tensor for layer, tensor in enumerate(found.W, start=1)}
        tensors |= {f"b{layer}": tensor for layer, tensor in enumerate(found.b, start=1)}
        self._log = _Log(self.path, fixed, tensors)
        self._first = tensors
        self._log.write(math.nan, _NO_STEP, b"", self._as_at_the_start([*tensors.values()]))
        # a program that ends without close() has its file finished all the same
        self._finish = weakref.finalize(self, self._log.close)
        return self

    @staticmethod
    def _outputs(found: _Found) -> int:
        return int(found.W[-1].shape[1 if found.orientation == "inputs_outputs" else 0])

    def _features(self) -> int | None:
        return None if self.x is None else int(self.x.shape[1])

    def step(self, rows: Any, model: Any, loss: float | None = None) -> None:
        """Record one step: the rows of x it saw (or the minibatch itself), the weights after it, its loss."""
        log = self._log
        if log is None:
            raise RecordingError("start(model) has to come before the first step")
        if self._own_data:
            draws, seen = self._minibatch(rows)
        else:
            rows = np.asarray(rows)
            if rows.dtype is not _ROWS or rows.ndim != 1:
                rows = self._row_numbers(rows)
            draws, seen = len(rows), rows.tobytes()
        if not draws:
            raise RecordingError(f"rows of step {self.steps}: found none; allowed: one or more")
        self.steps += 1
        tensors: Layers = []
        if model is not None and self.steps % self.every == 0:
            tensors = self._tensors_now(model)
            self.last_kept = self.steps
        log.write(math.nan if loss is None else float(loss), draws, seen, tensors)

    def _row_numbers(self, rows: Array) -> Array:
        if rows.ndim != 1 or rows.dtype.kind not in "iub":
            raise RecordingError(
                f"rows of step {self.steps}: found {_shown(rows)}; allowed: row numbers of x"
            )
        return np.flatnonzero(rows) if rows.dtype.kind == "b" else rows.astype(_ROWS)

    def _minibatch(self, batch: Any) -> tuple[int, bytes]:
        """How many rows a minibatch has that is not part of x, and itself, as two .npy files."""
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise RecordingError("a step without x: found no pair; allowed: (x_batch, y_batch)")
        x, y = self._data(*batch)
        written = io.BytesIO()
        np.save(written, x)
        np.save(written, y)
        return len(x), written.getvalue()

    def _tensors_now(self, model: Any) -> Layers:
        """A model's tensors; those of a torch Module as views that stay good while their memory stays."""
        parameters, places, views = self._views
        if model is self._viewed and [p.data_ptr() for p in parameters] == places:
            return views
        found = self._tensors_of(model)
        own = [p for p in model.parameters() if p.device.type == "cpu"] if _is_torch(model) else []
        by_place = {p.data_ptr(): p for p in own}
        places = [view.__array_interface__["data"][0] for view in found]
        if len(own) == len(found) and all(place in by_place for place in places):
            self._viewed, self._views = model, ([by_place[p] for p in places], places, found)
        return found

    def _tensors_of(self, model: Any) -> Layers:
        found = weights_of(model, self.about["orientation"], self._features())
        return self._as_at_the_start([*found.W, *found.b])

    def _as_at_the_start(self, tensors: Layers) -> Layers:
        """The same in one piece of memory each and of the type that they had at the start."""
        for (name, first), tensor in zip(self._first.items(), tensors):
            if first.shape != tensor.shape:
                raise RecordingError(
                    f"{name} after step {self.steps}: found {_shown(tensor)}; allowed: {_shown(first)}, as "
                    "at the start"
                )
        firsts = self._first.values()
        return [np.ascontiguousarray(t, first.dtype) for t, first in zip(tensors, firsts)]

    def close(self, model: Any = None) -> None:
        """Finish the file, as NumPy writes it; ``model``: keep its weights after the last step as well."""
        if self._log is not None:
            if model is not None and self.last_kept < self.steps:
                self._log.write(math.nan, _NO_STEP, b"", self._tensors_of(model))
            for handle in self._to_close:
                handle.remove()
            self._finish()
            self._log = None

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
                yield self.x[rows].reshape(-1, *self._shape), self.y[rows]

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
                if recorder._log is None:
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
        if getattr(estimator, "loss", "") == "poisson":
            raise RecordingError("loss: found 'poisson'; allowed: 'squared_error'")
        from sklearn.base import is_classifier

        if is_classifier(estimator) and self.y is not None and self.y.ndim == 1:
            names, self.y = np.unique(self.y, return_inverse=True)
            self.about.setdefault("classes", [str(name) for name in names])
        plain = estimator._backprop
        waiting: list[Array] = []
        where: dict[bytes, int] = {}

        def keys(x: Any, y: Any) -> list[bytes]:
            """What tells samples apart: x and y together."""
            if self.y is not None and self.y.ndim == 1 and y.ndim == 2 and y.shape[1] > 1:
                y = y.argmax(axis=1)
            y = np.ascontiguousarray(y.reshape(len(x), -1), np.float64)
            return [a.tobytes() + b.tobytes() for a, b in zip(np.ascontiguousarray(x), y)]

        def backprop(x: Any, y: Any, *rest: Any) -> Any:
            if self._log is None:
                assert self.x is not None
                assert self.y is not None
                own = self.y if is_classifier(estimator) else self.y.astype(y.dtype)
                for row, key in enumerate(keys(self.x.astype(x.dtype), own)):
                    where.setdefault(key, row)
                self.about.setdefault("output", estimator.out_activation_)
                self.start(estimator)
            elif waiting:
                self.step(waiting.pop(), estimator)
            waiting.append(np.array([where[key] for key in keys(x, y)]))
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
    if estimator.learning_rate == "invscaling":
        seen = np.repeat(np.arange(estimator.max_iter) * len(x), about["steps_per_epoch"])
        about["eta"] = (about["eta"] / np.where(seen, seen + 1, 1) ** estimator.power_t).tolist()
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
    frozen: list[str] = field(
        default_factory=list
    )  # biases that there are none of, what is not trained
    drawing: list[str] = field(default_factory=list)  # layers that draw at random


def weights_of(model: Any, orientation: str | None = None, features: int | None = None) -> _Found:
    """Weight matrices and biases of a model, in the order of computation, and how matrices are turned.

    model: a Keras model, a torch Module, a scikit-learn MLP, ``(W list, b list)``, or arrays nested in
    lists, tuples and dictionaries. ``features``: of the data, by which matrices that are (outputs, inputs)
    are recognised. RecordingError for layers that are not dense, and where it cannot be told how
    matrices are turned.
    """
    if hasattr(model, "coefs_"):
        return _Found(list(model.coefs_), list(model.intercepts_), "inputs_outputs", "sklearn")
    frozen: list[str] = []
    if _is_torch(model):
        W, b = _of_torch(model, frozen)
        if not _follow(W, [], features, 1, 0):
            raise _broken_chain(W, features)
        drawing = _drawing(model.modules()) if model.training else []
        return _Found(W, b, "outputs_inputs", "torch", frozen, drawing)
    if hasattr(model, "layers") and hasattr(model, "get_weights"):
        W, b = _of_keras(model, frozen)
        return _Found(W, b, "inputs_outputs", "keras", frozen, _drawing(keras_layers(model)))
    W, b = _of_arrays(model)
    return _Found(W, b, orientation or _turned(W, b, features))


def _is_torch(model: Any) -> bool:
    return hasattr(model, "named_modules") and hasattr(model, "parameters")


def _drawing(layers: Iterable[Any]) -> list[str]:
    return [name for name in (type(layer).__name__ for layer in layers) if name in RANDOM_LAYERS]


def _of_torch(model: Any, frozen: list[str]) -> tuple[Layers, Layers]:
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
        b.append(np.zeros(len(W[-1]), W[-1].dtype) if bias is None else bias.detach().cpu().numpy())
        trained = (weight.requires_grad, bias is not None and bias.requires_grad)
        frozen += [f"{kind}{len(W)}" for kind, good in zip("Wb", trained) if not good]
    return W, b


def _of_keras(model: Any, frozen: list[str]) -> tuple[Layers, Layers]:
    W: Layers = []
    b: Layers = []
    for layer in keras_layers(model):
        kernel = getattr(layer, "kernel", None)
        if type(layer).__name__ != "Dense" or kernel is None or len(kernel.shape) != 2:
            if not layer.trainable_weights:
                continue
            raise RecordingError(
                f"layer {layer.name}: found a {type(layer).__name__}; allowed: Dense, and layers without "
                "weights to be trained"
            )
        W.append(_array(kernel))
        bias = layer.bias if layer.use_bias else None
        b.append(np.zeros(kernel.shape[1], W[-1].dtype) if bias is None else _array(bias))
        trained = (layer.trainable, layer.trainable and layer.use_bias)
        frozen += [f"{kind}{len(W)}" for kind, good in zip("Wb", trained) if not good]
    return W, b


def keras_layers(model: Any) -> Iterator[Any]:
    """The layers of a model, those of models in it as well."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from keras_layers(layer)
        else:
            yield layer


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
    return len(b) < len(W) and tensor.size in W[len(b)].shape


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
    possible = [
        name
        for name, (i, o) in (("inputs_outputs", (0, 1)), ("outputs_inputs", (1, 0)))
        if _follow(W, b, features, i, o)
    ]
    if len(possible) == 1:
        return possible[0]
    shapes = ", ".join(str(matrix.shape) for matrix in W)
    if possible:
        raise RecordingError(
            f"orientation: the shapes {shapes} do not tell whether matrices are (inputs, outputs); say "
            "orientation='inputs_outputs' or 'outputs_inputs'"
        )
    raise _broken_chain(W, features)


def _follow(W: Layers, b: Layers, features: int | None, i: int, o: int) -> bool:
    """Whether matrices, whose inputs are their axis i and outputs their axis o, follow one another."""
    before, good = features, True
    for matrix, outputs in zip(W, [bias.size for bias in b] if b else [None] * len(W)):
        good &= before in (None, matrix.shape[i]) and outputs in (None, matrix.shape[o])
        before = matrix.shape[o]
    return good


def _broken_chain(W: Layers, features: int | None) -> RecordingError:
    shapes = ", ".join(str(matrix.shape) for matrix in W)
    return RecordingError(
        f"weights: found shapes {shapes} after {features} features; allowed: matrices that follow one "
        "another, in the order of computation"
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


class _Log:
    """A recording while it grows: what is known at the start, then a record for each step.

    A record is its head, what the step saw (row numbers, or the minibatch itself) and the tensors that were
    kept after it. It is written through memory that is the file's own, its length last, so that a process
    that is killed loses nothing but a step that was not whole.
    """

    def __init__(self, path: Path, fixed: dict[str, Array], tensors: dict[str, Array]) -> None:
        self.path = path
        kinds = [(name, tensor.dtype.str, tensor.shape) for name, tensor in tensors.items()]
        start = io.BytesIO()
        np.savez(start, tensors=np.array(json.dumps(kinds)), **fixed)  # type: ignore[arg-type]
        with open(path, "wb") as file:
            file.write(_GROWING + struct.pack("<q", start.tell()) + start.getbuffer())
            self._begin, self._at, self._size = 0, file.tell(), 0  # of the window
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (open as long as the recording)
        self._zeros = bytes(_WINDOW)
        self._map: Any = None
        self._ahead: threading.Thread | None = None

    def write(self, loss: float, draws: int, seen: Any, tensors: Any) -> None:
        """One more record; without draws it is no step, only weights that were kept."""
        body = b"".join((seen, *tensors))
        whole = _HEAD.size + len(body)
        at = self._at
        if at + whole > self._size:
            at = self._next_window(whole)
        self._map[at + _HEAD.size : at + whole] = body
        _HEAD.pack_into(self._map, at, loss, draws, len(seen), whole)
        self._at = at + whole

    def _next_window(self, least: int) -> int:
        """Map the next part of the file; the place in it that is written next."""
        place = self._begin + self._at
        at = place % _WINDOW
        self._begin, self._size = place - at, -(-(at + least) // _WINDOW) * _WINDOW
        end = self._begin + self._size
        self._let_go()
        self._lengthen(end)
        self._map = mmap.mmap(self._file.fileno(), self._size, offset=self._begin)
        self._ahead = threading.Thread(target=self._try_to_lengthen, args=(end + _WINDOW,))
        self._ahead.start()
        return at

    def _lengthen(self, length: int) -> None:
        """Fill the file with zeros up to a length, so that a full disk is an error here, no signal later.

        Written in one piece and mapped where it begins, a window has large pages. What pages cost is most
        of what recording costs, so the next window is written by a thread while this one is filled.
        """
        while (more := length - os.fstat(self._file.fileno()).st_size) > 0:
            self._file.write(memoryview(self._zeros)[:more])

    def _let_go(self) -> None:
        if self._ahead is not None:
            self._ahead.join()
            self._map.close()

    def _try_to_lengthen(self, length: int) -> None:
        with contextlib.suppress(OSError):  # which comes again where the window is needed
            self._lengthen(length)

    def close(self) -> None:
        """Write the file anew, as NumPy does."""
        self._let_go()
        self._file.close()
        if not self.path.exists():
            return
        beside = self.path.with_name(f"{self.path.name}.closing")
        with open(beside, "wb") as file:
            np.savez(file, **_members_of_log(self.path))  # type: ignore[arg-type]
        os.replace(beside, self.path)


def _members_of_log(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The members of a recording that grows, or was killed, up to its last whole record."""
    content = np.memmap(path, np.uint8, "r")
    place = len(_GROWING) + 8
    (size,) = struct.unpack("<q", content[place - 8 : place].tobytes())
    with np.load(io.BytesIO(content[place : place + size].tobytes()), allow_pickle=False) as file:
        members = {name: file[name] for name in file.files}
    kinds = [
        (n, np.dtype(kind), tuple(s)) for n, kind, s in json.loads(members.pop("tensors").item())
    ]
    place += size
    losses, seen, kept, bounds = [], [], {}, [0]
    while place + _HEAD.size <= len(content):
        loss, draws, length, whole = _HEAD.unpack(content[place : place + _HEAD.size].tobytes())
        end = place + whole
        place += _HEAD.size
        if not 0 <= length <= end - place <= len(content) - place:
            break
        if draws != _NO_STEP:
            losses.append(loss)
            bounds.append(bounds[-1] + draws)
            seen.append(content[place : place + length])
        if end > place + length:
            kept[len(losses)] = place + length
        place = end
    for name, dtype, shape in kinds:
        many = math.prod(shape)
        members[name] = np.array([np.frombuffer(content, dtype, many, at) for at in kept.values()])
        members[name].shape = (len(kept), *shape)
        kept = {step: at + many * dtype.itemsize for step, at in kept.items()}
    members |= {"kept": np.array(list(kept)), "bounds": np.array(bounds)}
    if not np.isnan(losses).all():
        members["loss"] = np.array(losses)
    if "x" in members:
        rows = np.concatenate([np.zeros(0, np.uint8), *seen])
        return members | {"rows": rows.view(_ROWS)}
    files = [io.BytesIO(part.tobytes()) for part in seen]
    batches = [(np.load(f, allow_pickle=False), np.load(f, allow_pickle=False)) for f in files]
    for name, parts in zip("xy", zip(*batches)):
        members[name] = np.concatenate(parts)
    return members | {"rows": np.arange(bounds[-1])}


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
        members = _members_of(path)
    except FileNotFoundError:
        raise RecordingError(f"{path}: found no such file; allowed: a recording") from None
    except (
        zipfile.BadZipFile,
        ValueError,
        TypeError,
        KeyError,
        EOFError,
        struct.error,
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


def _members_of(path: str | os.PathLike[str]) -> dict[str, Array]:
    with open(path, "rb") as content:
        if content.read(len(_GROWING)) == _GROWING:
            return _members_of_log(path)
    with zipfile.ZipFile(path):
        pass
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


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
    if isinstance(about.get("blas"), list):  # in whatever order they were loaded
        about["blas"] = sorted(map(str, about["blas"]))
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
        if good and (float in allowed or key == "class_weights") and not isinstance(value, str):
            numbers = value if isinstance(value, list) else [value]
            good = bool(numbers) and all(type(n) in _NUMBER and math.isfinite(n) for n in numbers)
            words = "finite numbers" if isinstance(value, list) else "a finite number"
        if good and key == "initial_bias" and isinstance(value, str):
            good, words = value == "as_weights", "a number or 'as_weights'"
        if good and key == "frozen":
            good = all(isinstance(name, str) and re.fullmatch(r"[Wb]\d+", name) for name in value)
            words = "names of tensors, as in ['W1', 'b1']"
        if not good:
            raise RecordingError(f"{key} of about: found {value!r}; allowed: {words}")
    if "of_model" in about:
        checked_about(about["of_model"])
    activation = about.get("activation", [])
    for name in [activation] if isinstance(activation, str) else activation:
        if name not in (known := (*ACTIVATION_NAMES, *OTHER_ACTIVATIONS)):
            raise RecordingError(
                f"activation of about: found {name!r}; allowed: {', '.join(known)}"
            )
    law, _, number = about.get("initial", "torch").partition(":")
    sized = [name for name in INITIAL_LAWS if name.partition(":")[0] == law and ":" in name]
    if law not in INITIAL_LAWS and not (sized and _is_positive(number)):
        raise RecordingError(
            f"initial of about: found {about['initial']!r}; allowed: {', '.join(INITIAL_LAWS)}"
        )
    if about.get("optimizer", "sgd") not in OPTIMIZER_NAMES:
        meant = optimizer_meant(about["optimizer"])
        raise RecordingError(
            f"optimizer of about: found {about['optimizer']!r}; allowed: {', '.join(OPTIMIZER_NAMES)}"
            f"{meant and f'; say {meant}'}"
        )
    return about


def optimizer_meant(name: str) -> str:
    """How an optimiser that goes by another name is said, or nothing."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return next((how for part, how in _OTHER_OPTIMIZERS.items() if part in plain), "")


def _is_positive(number: str) -> bool:
    try:
        return 0 < float(number) < math.inf
    except ValueError:
        return False


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
