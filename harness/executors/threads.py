"""How many threads the libraries of this process use, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backends.frameworks import environment, thread_variables


@contextmanager
def fewer_threads(threads: int) -> Iterator[None]:
    """Inside, libraries loaded and yet to be loaded use this many threads each."""
    from threadpoolctl import threadpool_limits

    with environment(thread_variables(threads)), threadpool_limits(threads):
        yield
