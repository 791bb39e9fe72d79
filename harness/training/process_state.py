"""What a process has only one of, put back after each unit."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Afterwards NumPy's error handling and the random states are as before, and so is all else that counts.

    That is the environment, the working directory, the import path, and Keras's default dtype.
    """
    errors, drawn, own_drawn = np.geterr(), np.random.get_state(), random.getstate()  # noqa: NPY002
    environment, path, place = dict(os.environ), list(sys.path), _working_directory()
    keras = sys.modules.get("keras")
    floatx = keras.config.floatx() if keras else None
    try:
        yield
    finally:
        np.seterr(**errors)
        np.random.set_state(drawn)  # noqa: NPY002
        random.setstate(own_drawn)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        if place is not None and _working_directory() != place:
            os.chdir(place)
        sys.path[:] = path
        if keras is not None and keras.config.floatx() != floatx:
            keras.config.set_floatx(floatx)


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # somebody has removed it
        return None
