"""Arrays in memory that other processes map: written once, piece by piece, and read-only from then on.

On Linux that is a file without a name, held by this process alone, which is gone with it however it ends;
elsewhere a temporary file, removed at the end.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def has_memory_files() -> bool:
    """Whether there are files without a name here."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


def shared_array(
    pieces: Iterable[Any], dtype: DTypeLike, shape: tuple[int, ...]
) -> np.memmap[Any, Any]:
    """The array whose bytes, in C order, are the pieces'; other processes map it by its ``filename``.

    pieces: bytes, or contiguous arrays. ``ValueError`` where they are not as many bytes as the array.
    """
    if has_memory_files():
        descriptor = os.memfd_create("harness")
        address = f"/proc/{os.getpid()}/fd/{descriptor}"
        forget: Callable[[], None] = partial(os.close, descriptor)
    else:
        descriptor, address = tempfile.mkstemp(prefix="harness-")
        os.close(descriptor)
        forget = partial(os.remove, address)
    try:
        with open(address, "wb") as file:
            written = sum(file.write(memoryview(piece).cast("B")) for piece in pieces if len(piece))
        wanted = prod(shape) * np.dtype(dtype).itemsize
        if written != wanted:
            raise ValueError(f"{written:,} bytes for an array of {wanted:,}")
        array: Any = np.memmap(address, dtype, mode="r", shape=shape)
    except BaseException:
        forget()
        raise
    weakref.finalize(array, forget)
    return array


def memory_of(x: NDArray[Any]) -> np.memmap[Any, Any] | None:
    """The shared array that an array is a view of, all of it and in its shape; None if there is none."""
    base: Any = x
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if base is None or not base.filename or not x.flags.c_contiguous:
        return None
    same = base.ctypes.data == x.ctypes.data and base.nbytes == x.nbytes and base.dtype == x.dtype
    shared: Any = base.reshape(x.shape) if same else None
    return shared
