"""A loss function of JAX with its parameters, trained in recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.recording import Recorder


def train_jax(
    loss: Callable[..., Any],
    params: Any,
    optimizer: Any,
    eta: float | None,
    recorder: Recorder,
    epochs: int,
    batch_size: int,
    tell: Callable[[Mapping[str, Any]], None],
) -> None:
    """Train ``params`` by an optax optimizer or plainly by ``eta``. ``tell``: is given what is known."""
    import jax

    settings: dict[str, Any] = {"library": "jax"}
    if optimizer is None:
        settings |= {"optimizer": "sgd", "momentum": 0.0}
    tell(settings)
    gradient = jax.jit(jax.grad(loss))
    kept = optimizer.init(params) if optimizer is not None else None
    assert recorder.x is not None
    steps = -(-len(recorder.x) // batch_size)
    recorder.about["steps_per_epoch"] = steps
    recorder.start(params)
    source = recorder.batches(batch_size, seed=0)
    for _ in range(epochs * steps):
        x, y = next(source)
        g = gradient(params, x, y)
        if optimizer is None:
            params = jax.tree.map(lambda p, d: p - eta * d, params, g)
        else:
            g, kept = optimizer.update(g, kept, params)
            params = jax.tree.map(lambda p, d: p + d, params, g)
        recorder.step(recorder.last_rows(), params)
    recorder.close()
