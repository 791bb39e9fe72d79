"""A compiled Keras model: its settings read, and trained in recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends.recording import RANDOM_LAYERS, Recorder, keras_layers
from harness.errors import InputError
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS, leaky_relu_name

_NAMES = {"linear": "identity", "swish": "silu", "hard_sigmoid": "hard sigmoid"}
_NAMES |= {"leaky_relu": "leaky_relu with slope 0.2"}
_FUNCTIONS = ("Activation", "ReLU", "Softmax", "ELU", "LeakyReLU")


def train_keras(
    model: Any,
    recorder: Recorder,
    epochs: int,
    batch_size: int,
    tell: Callable[[Mapping[str, Any]], None],
) -> None:
    """Train it; its weights and optimiser are put back. ``tell``: is given what it says of itself."""
    if getattr(model, "optimizer", None) is None:
        raise InputError("model: found a Keras model that is not compiled; allowed: a compiled one")
    assert recorder.x is not None
    if not model.built:
        model.build((None, recorder.x.shape[1]))
    steps = epochs * -(-len(recorder.x) // batch_size)
    tell(settings_of_keras(model, steps))
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
            dense.append(_function(layer))
            penalties.append(_penalty(layer))
        elif kind in _FUNCTIONS and dense:
            dense[-1] = _function(layer)
        elif kind not in ("InputLayer", "Flatten"):
            why = ", which draws at random" if kind in RANDOM_LAYERS else ""
            raise InputError(
                f"layer {layer.name}: found {kind}{why}; allowed: Dense, Flatten and activations; what is "
                "done to the data before is to be done to x"
            )
    about: dict[str, Any] = {"library": "keras"}
    hidden = dense[:-1]
    # others are found from the steps
    if hidden and all(name in HIDDEN_FUNCTIONS for name in hidden):
        about["activation"] = hidden if len(set(hidden)) > 1 else hidden[0]
    lmbds, l1s = ([own[k] for own in penalties] for k in (0, 1))
    about["lmbd"] = lmbds[0] if len(set(lmbds)) == 1 else lmbds
    if len(set(l1s)) > 1:
        told = ", ".join(f"{l1:g}" for l1 in l1s)
        raise InputError(f"regularisers: found L1 of {told}; allowed: the same in all layers")
    about["l1"] = l1s[0]
    about |= _loss(model, dense[-1])
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


def _function(layer: Any) -> str:
    """The name of a layer's activation, with the slope that it has in this library."""
    kind = type(layer).__name__
    if kind == "LeakyReLU":
        return leaky_relu_name(float(layer.negative_slope))
    if kind == "ReLU":
        return "relu6" if layer.max_value == 6 else "relu"
    name = layer.activation.__name__ if hasattr(layer, "activation") else kind.lower()
    return _NAMES.get(name, name)


def _loss(model: Any, function: str) -> dict[str, Any]:
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


def _penalty(layer: Any) -> tuple[float, float]:
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
