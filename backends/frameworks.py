"""Import a framework quickly, without its start-up notices, and with a fixed number of threads.

Importing this module imports no framework.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

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
    "KERAS_BACKEND": "tensorflow",
}


def set_threads(threads: int) -> None:
    """Have libraries imported from now on use this many threads each."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def load(module: str) -> ModuleType:
    """Import TensorFlow or Keras; what they print while starting is dropped unless they fail."""
    if module in sys.modules:
        return sys.modules[module]
    for name, value in FRAMEWORK_VARIABLES.items():
        os.environ.setdefault(name, value)
    with _stderr_to_file(), garbage_waits():
        loaded = importlib.import_module(module)
    # TensorFlow warns of every function it traces anew, which a new shape of stack is
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return loaded


def collect_less() -> None:
    """Look for garbage less often: a framework's half million objects stay, and each look passes them."""
    gc.set_threshold(50_000, 20)


@contextmanager
def fewer_threads(threads: int) -> Iterator[None]:
    """Inside, libraries loaded and yet to be loaded use this many threads each."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    set_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
