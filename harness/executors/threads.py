"""How many threads the libraries of this process use, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from backends.frameworks import SET_FOR_THREADS, set_threads


@contextmanager
def fewer_threads(threads: int) -> Iterator[None]:
    """Inside, libraries loaded and yet to be loaded use this many threads each."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in SET_FOR_THREADS}
    set_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
