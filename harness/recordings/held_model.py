"""A model as its library holds it: its settings read, a few epochs recorded, and judged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backends.recording import (
    ABOUT,
    Recorder,
    RecordingError,
    checked_about,
    keras_layers,
    read_recording,
    settings_of_sklearn,
)
from backends.settings import RANGES, check_setting
from harness.errors import InputError, unknown
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS
from harness.recordings.judgement import RecordedParity, judge_recording
from harness.recordings.rules import USUAL

_KERAS = {"linear": "identity", "swish": "silu", "hard_sigmoid": "hard sigmoid"}
_KERAS |= {"leaky_relu": "leaky_relu with slope 0.2"}
_KERAS_FUNCTIONS = ("Activation", "ReLU", "Softmax", "ELU", "LeakyReLU")
_TORCH = {"Sigmoid": "sigmoid", "Tanh": "tanh", "ReLU": "relu", "LeakyReLU": "leaky_relu"}
_TORCH |= {"ELU": "elu", "GELU": "gelu", "SiLU": "silu", "Softplus": "softplus"}
_TORCH_CLASSES = ("crossentropy", "nll")  # losses that take class numbers
_TORCH |= {"Softsign": "softsign", "Identity": "identity", "SELU": "selu", "ReLU6": "relu6"}
_RANDOM = ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout")
_CANONICAL_PENALTY = {"penalised_biases": False, "penalty_per_sample": False, "decoupled": False}
_CONSTANTS = {  # of one optimiser, which say nothing of another
    "sgd": ("momentum", "nesterov", "dampening"),
    "adam": ("beta_1", "beta_2", "epsilon", "amsgrad"),
}


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
    said = _refusing(lambda: _checked_beliefs(said))
    about: dict[str, Any] = {"name": _name(model), **said}
    if type(model).__name__ == "MLPRegressor":
        about["output"] = "identity"
    recorder = _refusing(lambda: Recorder(path, x, y, **about))
    train = _training_of(model, optimizer, loss, params, said)
    _refusing(lambda: train(recorder, epochs, batch_size))


def _checked_beliefs(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an author says, if it may be said."""
    told = {key: value for key, value in said.items() if value is not None}
    for key in told:
        if key not in ABOUT or key == "of_model":
            raise unknown("what is said", key, [name for name in ABOUT if name != "of_model"])
    told = checked_about(told)
    for key, value in told.items():
        if key in RANGES:
            for number in value if isinstance(value, list) else [value]:
                try:
                    check_setting(key, number)
                except ValueError as error:
                    raise InputError(str(error)) from None
    return told


def _tell(recorder: Recorder, settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Put what a model says of itself into its recording, and what its author says over it.

    Who says lmbd says the whole penalty: lmbd / 2 ||W||^2 of every matrix, in the cost.
    """
    read = {key: value for key, value in settings.items() if value is not None}
    if "lmbd" in said:
        said = _CANONICAL_PENALTY | dict(said)
    kind = str(read.get("optimizer", ""))
    believed = str(said.get("optimizer", kind))
    for other, constants in _CONSTANTS.items():
        for key in constants:
            if believed and key in said and believed != other:
                raise InputError(f"{key}: found beside optimizer {believed}; allowed: with {other}")
    others = ("optimizer", *_CONSTANTS.get(kind, ())) if believed != kind else ()
    of_model = {key: read.pop(key) for key in others if key in read}
    if kind:  # of a loss of JAX with optax next to nothing is read
        usual = {**USUAL, **_CANONICAL_PENALTY, "label_smoothing": 0.0} | read
        of_model |= {k: usual[k] for k in said if k in usual and not _same(said[k], usual[k])}
    recorder.about |= read | dict(said) | ({"of_model": of_model} if of_model else {})


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are the same; one number is the same as a list of it."""
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    a, b = np.atleast_1d(one), np.atleast_1d(other)
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return {*a.tolist()} == {*b.tolist()}
    return (len(a) == len(b) or 1 in (len(a), len(b))) and bool(np.allclose(a, b, 1e-9, 0.0))


def _name(model: Any) -> str:
    return str(getattr(model, "name", None) or getattr(model, "__name__", type(model).__name__))


def _refusing(call: Callable[[], Any]) -> Any:
    """What a call gives; a recording's error as an error in the input."""
    try:
        return call()
    except RecordingError as error:
        raise InputError(str(error)) from None


def _training_of(
    model: Any, optimizer: Any, loss: Any, params: Any, said: Mapping[str, Any]
) -> Any:
    """The function that trains a model of this library in recording."""
    if hasattr(model, "get_params") and hasattr(model, "partial_fit"):
        return lambda recorder, epochs, size: _train_sklearn(model, recorder, epochs, said)
    if hasattr(model, "layers") and hasattr(model, "compile"):
        return lambda recorder, epochs, size: _train_keras(model, recorder, epochs, size, said)
    if hasattr(model, "named_modules"):
        if optimizer is None or loss is None:
            lacking = "optimizer" if optimizer is None else "loss"
            raise InputError(f"{lacking}: found none; needed beside a torch Module")
        return lambda recorder, epochs, size: _train_torch(
            model, optimizer, loss, recorder, epochs, size, said
        )
    if callable(model) and params is not None:
        eta = said.get("eta")
        if optimizer is None and not isinstance(eta, (int, float)):
            raise InputError(
                f"optimizer and eta: found no optimizer and eta {eta}; needed beside a JAX loss is an optax "
                "optimizer, or one eta for plain gradient descent"
            )
        return lambda recorder, epochs, size: _train_jax(
            model, params, optimizer, recorder, epochs, size, said
        )
    raise InputError(
        f"model: found {type(model).__name__}; allowed: a compiled Keras model, a torch Module, a "
        "scikit-learn MLP, or a JAX loss function with its params"
    )


def _train_sklearn(model: Any, recorder: Recorder, epochs: int, said: Mapping[str, Any]) -> None:
    import warnings

    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    own = clone(model).set_params(max_iter=epochs)
    if own.solver in ("sgd", "adam"):  # of another the recorder says that it has no steps
        _tell(recorder, settings_of_sklearn(own, recorder.x), said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        recorder.fit(own)


def _train_keras(
    model: Any, recorder: Recorder, epochs: int, batch_size: int, said: Mapping[str, Any]
) -> None:
    """A compiled Keras model, whose weights and optimiser are put back afterwards."""
    if getattr(model, "optimizer", None) is None:
        raise InputError("model: found a Keras model that is not compiled; allowed: a compiled one")
    assert recorder.x is not None
    if not model.built:
        model.build((None, recorder.x.shape[1]))
    steps = epochs * -(-len(recorder.x) // batch_size)
    _tell(recorder, settings_of_keras(model, steps), said)
    before = [np.array(v) for v in model.get_weights()]
    model.optimizer.build(model.trainable_variables)
    state = [np.asarray(v.value).copy() for v in model.optimizer.variables]
    model.fit(epochs=epochs, verbose=0, **recorder.keras(batch_size=batch_size, seed=0))
    model.set_weights(before)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)


def settings_of_keras(model: Any, steps: int) -> dict[str, Any]:
    """What a compiled Keras model says of itself, as ``about`` has it, for a training of so many steps."""
    dense, penalties = [], []
    for layer in keras_layers(model):
        kind = type(layer).__name__
        if kind == "Dense":
            dense.append(_function_of_keras(layer))
            penalties.append(_keras_penalty(layer))
        elif kind in _KERAS_FUNCTIONS and dense:
            dense[-1] = _function_of_keras(layer)
        elif kind not in ("InputLayer", "Flatten"):
            why = ", which draws at random" if kind in _RANDOM else ""
            raise InputError(
                f"layer {layer.name}: found {kind}{why}; allowed: Dense, Flatten and activations; what is "
                "done to the data before is to be done to x"
            )
    about: dict[str, Any] = {"library": "keras"}
    hidden = dense[:-1]
    if hidden and all(
        name in HIDDEN_FUNCTIONS for name in hidden
    ):  # others are found from the steps
        about["activation"] = hidden if len(set(hidden)) > 1 else hidden[0]
    lmbds, l1s = ([own[k] for own in penalties] for k in (0, 1))
    about["lmbd"] = lmbds[0] if len(set(lmbds)) == 1 else lmbds
    if any(l1s) and len(set(penalties)) > 1:
        raise InputError("regularisers: found L1 and not the same in all layers; allowed: the same")
    about["l1"] = l1s[0]
    about |= _loss_of_keras(model, dense[-1])
    given = model.optimizer.get_config()
    kind = type(model.optimizer).__name__
    if kind not in ("SGD", "Adam", "AdamW"):
        raise InputError(f"optimizer: found {kind}; allowed: SGD, Adam, AdamW")
    schedule = getattr(model.optimizer, "_learning_rate", None)
    if callable(schedule):
        about["eta"] = [float(schedule(step)) for step in range(steps)]
    else:
        about["eta"] = _exact(given["learning_rate"])
    about |= {
        k: float(given[k]) for k in ("clipnorm", "clipvalue", "global_clipnorm") if given.get(k)
    }
    if given.get("weight_decay"):
        if any(lmbds) or any(l1s):
            raise InputError("weight_decay: found beside regularisers; allowed: one of the two")
        about |= {"lmbd": float(given["weight_decay"]), "decoupled": True, "penalised_biases": True}
    if kind == "SGD":
        momentum = float(given["momentum"])
        nesterov = bool(given["nesterov"] and momentum)
        return about | {"optimizer": "sgd", "momentum": momentum, "nesterov": nesterov}
    names = ("beta_1", "beta_2", "epsilon")
    about |= {"optimizer": "adam", **{name: float(given[name]) for name in names}}
    return about | ({"amsgrad": True} if given.get("amsgrad") else {})


def _function_of_keras(layer: Any) -> str:
    """The name of a layer's activation, with the slope that it has in this library."""
    kind = type(layer).__name__
    if kind == "LeakyReLU":
        return _leaky(float(layer.negative_slope))
    if kind == "ReLU":
        return "relu6" if layer.max_value == 6 else "relu"
    name = layer.activation.__name__ if hasattr(layer, "activation") else kind.lower()
    return _KERAS.get(name, name)


def _leaky(slope: float) -> str:
    return "leaky_relu" if slope == 0.01 else f"leaky_relu with slope {slope:g}"


def _loss_of_keras(model: Any, function: str) -> dict[str, Any]:
    """What the loss of a compiled model says: the output function, how the cost is averaged, smoothing."""
    loss, outputs = model.loss, model.layers[-1].output.shape[-1]
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None) or str(loss)
    given = loss.get_config() if hasattr(loss, "get_config") else {}
    about: dict[str, Any] = {"label_smoothing": float(given.get("label_smoothing") or 0) or None}
    if given.get("reduction") == "sum":
        about["cost"] = "sum"
    if "crossentropy" in name and "focal" not in name:
        about["output"] = "logistic" if "binary" in name else "softmax"
        if "binary" in name and outputs > 1:
            about["cost_factor"] = 1 / outputs
    elif name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError"):
        output = {"softmax": "softmax", "sigmoid": "logistic"}.get(function, "identity")
        about |= {"output": output, "cost_factor": 2 / outputs}
    else:
        raise InputError(f"loss: found {name}; allowed: a cross-entropy or the mean squared error")
    return about


def _keras_penalty(layer: Any) -> tuple[float, float]:
    """lmbd and l1 of a layer: L2(l) is l ||W||^2, so lmbd is 2 l; L1(l) is l times the sum of |W|."""
    regularizer = layer.kernel_regularizer
    if layer.bias_regularizer is not None:
        raise InputError(
            f"layer {layer.name}: found a bias_regularizer; allowed: a kernel_regularizer"
        )
    if regularizer is None:
        return 0.0, 0.0
    given = regularizer.get_config()
    kind = type(regularizer).__name__
    if kind not in ("L1", "L2", "L1L2"):
        raise InputError(f"layer {layer.name}: found the regulariser {kind}; allowed: L1, L2, L1L2")
    return 2 * _exact(given.get("l2") or 0.0), _exact(given.get("l1") or 0.0)


def _exact(value: Any) -> float:
    """A number that a library kept in float32, as it was written."""
    single = np.float32(value)
    return float(str(single)) if np.float32(float(str(single))) == single else float(value)


def _train_torch(
    model: Any,
    optimizer: Any,
    loss: Any,
    recorder: Recorder,
    epochs: int,
    batch_size: int,
    said: Mapping[str, Any],
) -> None:
    """A torch Module, whose weights and optimiser are put back afterwards."""
    from copy import deepcopy

    import torch

    _tell(recorder, settings_of_torch(model, optimizer, loss), said)
    assert recorder.x is not None
    assert recorder.y is not None
    dtype = next(model.parameters()).dtype
    x = torch.as_tensor(np.array(recorder.x), dtype=dtype)
    y = torch.as_tensor(np.array(recorder.y))
    if recorder.about["output"] != "softmax" or y.ndim > 1:
        y = y.to(dtype)
    before, state = deepcopy(model.state_dict()), deepcopy(optimizer.state_dict())
    model.train()
    recorder.about["steps_per_epoch"] = -(-len(x) // batch_size)
    rng = np.random.default_rng(0)
    recorder.watch(optimizer, model)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for first in range(0, len(x), batch_size):
            rows = recorder.rows(order[first : first + batch_size])
            optimizer.zero_grad()
            output = model(x[rows])
            target = y[rows]
            if target.ndim < output.ndim and output.shape[-1] == 1:
                target = target[:, None]
            loss(output, target).backward()
            optimizer.step()
    recorder.close()
    model.load_state_dict(before)
    optimizer.load_state_dict(state)


def settings_of_torch(model: Any, optimizer: Any, loss: Any) -> dict[str, Any]:
    """What a torch Module, its optimiser and loss say, as ``about`` has it.

    Functions that are called in ``forward`` cannot be seen; they are found from the steps.
    """
    about: dict[str, Any] = {"library": "torch"}
    hidden, outputs = _functions_of_torch(model)
    if hidden and set(hidden) <= set(HIDDEN_FUNCTIONS):
        about["activation"] = hidden if len(set(hidden)) > 1 else hidden[0]
    about |= _loss_of_torch(loss, outputs)
    name = type(optimizer).__name__
    if name not in ("SGD", "Adam", "AdamW"):
        raise InputError(f"optimizer: found {name}; allowed: SGD, Adam, AdamW")
    groups = optimizer.param_groups
    own = {id(p) for p in model.parameters()}
    if not own & {id(p) for group in groups for p in group["params"]}:
        raise InputError(
            "optimizer: found none of the model's parameters in it; allowed: one of them"
        )
    if len({float(group["lr"]) for group in groups}) > 1 or groups[0].get("maximize"):
        told = ", ".join(f"{float(group['lr']):g}" for group in groups)
        what = "maximize=True" if groups[0].get("maximize") else f"lr {told}"
        raise InputError(f"optimizer: found {what}; allowed: one lr, and to minimise")
    about["eta"] = float(groups[0]["lr"])
    matrices = [p for _, p in model.named_parameters() if p.dim() == 2]
    decay = {id(p): float(g["weight_decay"]) for g in groups for p in g["params"]}
    lmbds = [decay.get(id(p), 0.0) for p in matrices]
    about["lmbd"] = lmbds[0] if len(set(lmbds)) == 1 else lmbds
    biases = [decay.get(id(p), 0.0) for _, p in model.named_parameters() if p.dim() == 1]
    about["penalised_biases"] = bool(biases and any(biases))
    about["decoupled"] = bool(name == "AdamW" and any(lmbds))
    first = groups[0]
    if name == "SGD":
        about |= {"optimizer": "sgd", "momentum": float(first["momentum"])}
        return about | {
            "nesterov": bool(first["nesterov"]),
            "dampening": float(first["dampening"]),
        }
    (beta_1, beta_2), epsilon = first["betas"], first["eps"]
    about |= {"optimizer": "adam", "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return about | ({"amsgrad": True} if first.get("amsgrad") else {})


def _functions_of_torch(model: Any) -> tuple[list[str], int]:
    """The functions between linear layers, where every gap has one that is seen; the number of outputs."""
    gaps: list[list[str]] = []
    outputs = 1
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind == "Linear":
            outputs = module.out_features
            gaps.append([])
        elif kind in _TORCH and gaps:
            gaps[-1].append(_function_of_torch(module))
        elif kind in _RANDOM or (
            type(module).__module__.startswith("torch.nn.modules.activation")
            and kind not in (*_TORCH, "Softmax", "LogSoftmax")
        ):
            why = ", which draws at random" if kind in _RANDOM else ""
            raise InputError(
                f"layer {name}: found {kind}{why}; allowed: Linear, Flatten, {', '.join(_TORCH)}"
            )
    hidden = gaps[:-1]
    return [gap[0] for gap in hidden] if all(len(gap) == 1 for gap in hidden) else [], outputs


def _loss_of_torch(loss: Any, outputs: int) -> dict[str, Any]:
    """What a loss of torch says: the output function, how the cost is averaged, weights of classes."""
    kind = getattr(loss, "__name__", type(loss).__name__).lower().replace("_", "")
    kind = kind.removesuffix("loss").replace("binarycrossentropy", "bce")
    about: dict[str, Any] = {}
    if kind in _TORCH_CLASSES:
        about["output"] = "softmax"
    elif kind in ("bcewithlogits", "bce"):
        about |= {"output": "logistic", "cost_factor": 1 / outputs if outputs > 1 else None}
    elif kind == "mse":
        about |= {"output": "identity", "cost_factor": 2 / outputs}
    else:
        name = getattr(loss, "__name__", type(loss).__name__)
        raise InputError(
            f"loss: found {name}; allowed: CrossEntropyLoss, NLLLoss, BCEWithLogitsLoss, BCELoss, MSELoss, "
            "or these of torch.nn.functional; a loss of your own can be judged in a recording"
        )
    if getattr(loss, "pos_weight", None) is not None:
        raise InputError("loss: found pos_weight; allowed: none")
    if smoothing := getattr(loss, "label_smoothing", 0.0):
        about["label_smoothing"] = float(smoothing)
    if (weight := getattr(loss, "weight", None)) is not None:
        about["class_weights"] = [float(w) for w in weight]
    if getattr(loss, "reduction", "mean") == "sum":
        about["cost"] = "sum"
        about["cost_factor"] = 2.0 if kind == "mse" else None
    return {key: value for key, value in about.items() if value is not None}


def _function_of_torch(module: Any) -> str:
    kind = type(module).__name__
    if kind == "LeakyReLU":
        return _leaky(float(module.negative_slope))
    if kind == "GELU" and module.approximate == "tanh":
        return "gelu by tanh"
    return _TORCH[kind]


def _train_jax(
    loss: Any,
    params: Any,
    optimizer: Any,
    recorder: Recorder,
    epochs: int,
    batch_size: int,
    said: Mapping[str, Any],
) -> None:
    import jax

    eta = said.get("eta")
    settings: dict[str, Any] = {"library": "jax"}
    if optimizer is None:
        settings |= {"optimizer": "sgd", "momentum": 0.0}
    _tell(recorder, settings, said)
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
        from harness.errors import unknown

        public = [own for own in names if not own.startswith("_")]
        raise unknown(f"model in {file}", name, public)
    return names | {"model": names[name]}
