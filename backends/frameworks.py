"""Import a framework quickly, without its start-up notices, and with a fixed number of threads.

Importing this module imports neither a framework nor NumPy, which read their number of threads when they
are imported.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any

# Read by the libraries when they are first imported, so they must be set before.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
# Likewise, unless the user has set them. TensorFlow takes oneDNN's kernels by itself only on processors made
# for neural networks (AVX512-VNNI and newer). Elsewhere it falls back to slower ones, which round otherwise.
FRAMEWORK_VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "JAX_PLATFORMS": "cpu",
}
KERAS_ENGINE = "KERAS_BACKEND"
# Set in a process that is there for Keras on one of these; KERAS_BACKEND alone decides nothing.
OWN_KERAS_ENGINE = "BACKENDS_KERAS_ENGINE"
KERAS_ENGINES = ("tensorflow", "jax", "torch")
# What a process of this package's own is there for, and what has its libraries see a GPU or none.
DEVICE = "BACKENDS_DEVICE"
_OF_DEVICE = {
    "cpu": {
        "CUDA_VISIBLE_DEVICES": "-1",
        "HIP_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
        "NVIDIA_TF32_OVERRIDE": "0",
    },
    # several libraries of one process share it: each is to take what it needs
    "gpu": {
        "JAX_PLATFORMS": "",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    },
}


class EngineInUse(ImportError):
    """Keras was imported before, on another engine; a process has one."""


@contextmanager
def environment(changed: Mapping[str, str]) -> Iterator[None]:
    """Inside, these variables have these values; afterwards they are as they were, set or not."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def set_threads(threads: int) -> None:
    """Have libraries imported from now on use this many threads each."""
    os.environ.update(thread_variables(threads))


def thread_variables(threads: int) -> dict[str, str]:
    """The environment by which libraries use this many threads each."""
    flags = {"XLA_FLAGS": flags} if (flags := xla_flags(threads)) else {}
    return {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **flags}


def xla_flags(threads: int) -> str:
    """What XLA is given: the user's own, or what has it use one thread; more are as many as cores."""
    one = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return os.environ.get("XLA_FLAGS", one)


def device_variables(device: str) -> dict[str, str]:
    """The environment of a process that is there for a GPU, or from which every GPU is hidden."""
    return {DEVICE: device, **_OF_DEVICE[device]}


def set_device(device: str) -> None:
    """Have libraries imported from now on see no GPU, or whatever there is.

    With ``cpu`` for a process of one's own alone: a GPU is hidden from everybody in it.
    """
    os.environ.update(device_variables(device))


@contextmanager
def gpus_shown(shown: bool = True) -> Iterator[None]:
    """Inside, libraries that are imported look for a GPU, if ``shown``; the environment is put back."""
    with environment(device_variables("gpu") if shown else {}):
        yield


def gpus_of(library: str) -> tuple[str, ...]:
    """The GPUs that TensorFlow, JAX or PyTorch sees from this process, with the state of its TF32."""
    loaded = load(library)
    if library == "tensorflow":
        on = loaded.config.experimental.tensor_float_32_execution_enabled()
    elif library == "jax":
        on = loaded.config.jax_default_matmul_precision in (None, "default", "tensorfloat32")
    else:
        on = loaded.backends.cuda.matmul.allow_tf32
    on = on and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
    return tuple(f"{name} (TF32 {'on' if on else 'off'})" for name in _gpu_names(library))


@cache  # a library looks once, too
def _gpu_names(library: str) -> tuple[str, ...]:
    loaded = load(library)
    if library == "tensorflow":
        config, details = loaded.config, loaded.config.experimental.get_device_details
        return tuple(
            details(gpu).get("device_name", gpu.name) for gpu in config.list_physical_devices("GPU")
        )
    if library == "jax":
        return tuple(gpu.device_kind for gpu in loaded.devices() if gpu.platform == "gpu")
    count = loaded.cuda.device_count() if loaded.cuda.is_available() else 0
    return tuple(loaded.cuda.get_device_name(number) for number in range(count))


def on_device(library: str, device: str) -> AbstractContextManager[Any]:
    """Inside, TensorFlow or JAX computes on its first GPU, or on the processor though it sees one.

    RuntimeError for a GPU where it sees none.
    """
    loaded, seen = load(library), _gpu_names(library)
    if device == "gpu" and not seen:
        raise RuntimeError(f"{library} sees no GPU from this process")
    if not seen:
        return nullcontext()
    if library == "tensorflow":
        return loaded.device(f"/{device}:0")  # type: ignore[no-any-return]
    return loaded.default_device(loaded.devices(device)[0])  # type: ignore[no-any-return]


def keep_temporary_files_in(folder: str) -> None:
    """Have what this process and its children write for a while land in a folder, for its owner to remove.

    TensorFlow, PyTorch and Dask leave files behind when their process is killed.
    """
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # as if nobody had asked before


def keras_engine() -> str:
    """What Keras is to run on: what this process is there for, else the first engine that is installed."""
    installed = [name for name in KERAS_ENGINES if importlib.util.find_spec(name) is not None]
    return os.environ.get(OWN_KERAS_ENGINE) or (installed or ["tensorflow"])[0]


def load(module: str) -> ModuleType:
    """Import TensorFlow, Keras on its engine, or another library.

    What they print while starting is dropped unless they fail. Raises ImportError, for a Keras that
    something else has put on another engine :class:`EngineInUse`.
    """
    if module not in sys.modules:
        for name, value in FRAMEWORK_VARIABLES.items():
            os.environ.setdefault(name, value)
        with environment({KERAS_ENGINE: keras_engine()}), _stderr_to_file(), garbage_waits():
            importlib.import_module(module)
    loaded = sys.modules[module]
    if module == "keras" and (engine := loaded.config.backend()) != (wanted := keras_engine()):
        raise EngineInUse(
            f"Keras runs on {engine} in this process, which imported it before; it has to be on "
            f"{wanted}: set KERAS_BACKEND={wanted}, or leave the first import of Keras to the backend"
        )
    return loaded


@contextmanager
def tensorflow_defaults(device: str = "cpu") -> Iterator[Any]:
    """TensorFlow, and NumPy beside it, as they are by default on a device, whatever the process has set.

    Inside, functions are compiled, round-off and overflow raise nothing, and TensorFlow does not warn of
    the functions that it traces anew, which a new shape of stack is. Afterwards all is as before.
    """
    import numpy as np

    tf = load("tensorflow")
    eager, logger = tf.config.functions_run_eagerly(), logging.getLogger("tensorflow")
    level = logger.level
    tf.config.run_functions_eagerly(False)
    logger.setLevel(logging.ERROR)
    try:
        with np.errstate(all="ignore"), on_device("tensorflow", device):
            yield tf
    finally:
        logger.setLevel(level)
        tf.config.run_functions_eagerly(eager)


def collect_less() -> None:
    """Look for garbage less often: a framework's half million objects stay, and each look passes them."""
    gc.set_threshold(50_000, 20)


@contextmanager
def garbage_waits() -> Iterator[None]:
    """Collect no garbage inside, where much is made that stays: looking costs a quarter of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _stderr_to_file() -> Iterator[None]:
    """Send file descriptor 2, which C++ writes to, into a temporary file; show it on an error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
