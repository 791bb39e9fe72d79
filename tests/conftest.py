"""What several test modules share: small data, and the library's threads fixed before any import."""

from __future__ import annotations

from backends.frameworks import set_threads

set_threads(1)

import numpy as np  # noqa: E402  (thread counts are read at import)
import pytest  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from backends.base import Network  # noqa: E402
from backends.plan import Plan  # noqa: E402

threadpool_limits(1)  # pytest's plugins may have imported NumPy before the line above


@pytest.fixture
def blobs():
    """60 samples of 5 features in 3 classes, as float64 values that float32 can represent."""
    rng = np.random.default_rng(3)
    y = np.repeat(np.arange(3), 20)
    x = rng.normal(size=(60, 5)) + 2.0 * np.eye(5)[y]
    return x.astype(np.float32).astype(np.float64), y


@pytest.fixture
def draw():
    """Draws a plan on the first ``rows`` samples."""

    def draw(network: Network, rows: int = 60, seeds=(0,), **settings) -> Plan:
        settings = {"epochs": 3, "batch_size": 20, "dtype": "float64"} | settings
        return Plan.draw(network, np.arange(rows), seeds, **settings)

    return draw
