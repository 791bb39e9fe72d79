"""What this machine can do: the rate of its matrix product, measured beside the backends."""

from __future__ import annotations

import time

import numpy as np

SIZE = 1024  # of the square matrices: large enough for the peak, 4 MiB each in float32


def gemm_rate(dtype: str, threads: int, repetitions: int = 5) -> float:
    """Floating-point operations a second of NumPy's product of two square matrices; the best of some."""
    from threadpoolctl import threadpool_limits

    a, b = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(dtype)
    out = np.empty_like(a)
    best = np.inf
    with threadpool_limits(threads):
        for _ in range(repetitions + 1):  # the first one warms up
            begun = time.perf_counter()
            np.matmul(a, b, out=out)
            best = min(best, time.perf_counter() - begun)
    return 2 * SIZE**3 / best
