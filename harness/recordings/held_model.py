"""A model as its library holds it: its settings read, a few epochs recorded, and judged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backends.recording import Recorder, RecordingError, read_recording, settings_of_sklearn
from harness.errors import InputError, unknown
from harness.recordings.beliefs import checked_beliefs, tell_settings
from harness.recordings.jax_loss import train_jax
from harness.recordings.judgement import RecordedParity, judge_recording
from harness.recordings.keras_model import train_keras
from harness.recordings.torch_model import train_torch


def hold(
    model: Any,
    x: Any,
    y: Any,
    *,
    optimizer: Any = None,
    loss: Any = None,
    params: Any = None,
    epochs: int = 3,
    batch_size: int = 32,
    path: str | Path | None = None,
    say: Callable[[str], None] = lambda doing: None,
    **said: Any,
) -> RecordedParity:
    """Train a model for a few epochs on these data, recorded, and hold every step against the reference.

    model: a compiled Keras model; a torch Module with its ``optimizer`` and ``loss``; a scikit-learn MLP;
    or a JAX function ``loss(params, x, y)`` with its ``params`` and an optax ``optimizer``, or ``eta`` for
    plain gradient descent. A copy is trained, or the model's weights are put back. ``path``: where the
    recording is to stay.

    ``said``: what its author believes, any of :data:`backends.recording.ABOUT`: ``eta=0.1, lmbd=1e-4,
    momentum=0.9, activation="relu"``; of Keras and scikit-learn also ``optimizer="adam"``. What is not
    said is read off the model. ``lmbd`` is that of lmbd / 2 ||W||^2 in the cost, on every matrix and on no
    bias. InputError for what cannot be read, and for what may not be said.
    """
    if isinstance(optimizer, str):
        said, optimizer = said | {"optimizer": optimizer}, None
    with tempfile.TemporaryDirectory() as folder:
        place = Path(path) if path is not None else Path(folder) / "model.npz"
        say("training")
        record_model(
            model,
            x,
            y,
            path=place,
            optimizer=optimizer,
            loss=loss,
            params=params,
            said=said,
            epochs=epochs,
            batch_size=batch_size,
        )
        return judge_recording(_refusing(lambda: read_recording(place)), say)


def record_model(
    model: Any,
    x: Any,
    y: Any,
    *,
    path: Path,
    optimizer: Any = None,
    loss: Any = None,
    params: Any = None,
    said: Mapping[str, Any] = MappingProxyType({}),
    epochs: int = 3,
    batch_size: int = 32,
) -> None:
    """Train a model as :func:`hold` does and leave the recording at a path."""
    if epochs < 1 or batch_size < 1:
        raise InputError(f"epochs and batch_size: found {epochs}, {batch_size}; allowed: 1 or more")
    if hasattr(model, "steps") and hasattr(model, "named_steps"):  # a pipeline of scikit-learn
        x, model = model[:-1].fit_transform(x, y), model[-1]
    said = _refusing(lambda: checked_beliefs(said))
    about: dict[str, Any] = {"name": _name(model), **said}
    if type(model).__name__ == "MLPRegressor":
        about["output"] = "identity"
    recorder = _refusing(lambda: Recorder(path, x, y, **about))
    train = _training_of(model, optimizer, loss, params, said.get("eta"))
    tell = partial(tell_settings, recorder, said=said)
    _refusing(lambda: train(recorder, epochs, batch_size, tell))


def _name(model: Any) -> str:
    return str(getattr(model, "name", None) or getattr(model, "__name__", type(model).__name__))


def _refusing(call: Callable[[], Any]) -> Any:
    """What a call gives; a recording's error as an error in the input."""
    try:
        return call()
    except RecordingError as error:
        raise InputError(str(error)) from None


def _training_of(
    model: Any, optimizer: Any, loss: Any, params: Any, eta: Any
) -> Callable[..., None]:
    """What trains a model of this library: of recorder, epochs, size of a minibatch, what to tell it by."""
    if hasattr(model, "get_params") and hasattr(model, "partial_fit"):
        return partial(_train_sklearn, model)
    if hasattr(model, "layers") and hasattr(model, "compile"):
        return partial(train_keras, model)
    if hasattr(model, "named_modules"):
        if optimizer is None or loss is None:
            lacking = "optimizer" if optimizer is None else "loss"
            raise InputError(f"{lacking}: found none; needed beside a torch Module")
        return partial(train_torch, model, optimizer, loss)
    if callable(model) and params is not None:
        if optimizer is None and not isinstance(eta, (int, float)):
            raise InputError(
                f"optimizer and eta: found no optimizer and eta {eta}; needed beside a JAX loss is an optax "
                "optimizer, or one eta for plain gradient descent"
            )
        return partial(train_jax, model, params, optimizer, eta)
    raise InputError(
        f"model: found {type(model).__name__}; allowed: a compiled Keras model, a torch Module, a "
        "scikit-learn MLP, or a JAX loss function with its params"
    )


def _train_sklearn(
    model: Any, recorder: Recorder, epochs: int, batch_size: int, tell: Callable[..., None]
) -> None:
    """A copy of a scikit-learn MLP, whose own size of a minibatch stays."""
    import warnings

    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    own = clone(model).set_params(max_iter=epochs)
    if own.solver in ("sgd", "adam"):  # of another the recorder says that it has no steps
        tell(settings_of_sklearn(own, recorder.x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        recorder.fit(own)


def model_in_script(place: str) -> dict[str, Any]:
    """The names of a script, run as a module, with the model under "model"; of ``script.py:model``."""
    import runpy

    file, _, name = place.rpartition(":")
    if not file:
        raise InputError(f"model: found {place!r}; allowed: script.py:name")
    if not Path(file).is_file():
        raise InputError(f"model: found no file {file!r}; allowed: script.py:name")
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        names = runpy.run_path(file, run_name="held")
    finally:
        sys.path.pop(0)
    if name not in names:
        public = [own for own in names if not own.startswith("_")]
        raise unknown(f"model in {file}", name, public)
    return names | {"model": names[name]}
