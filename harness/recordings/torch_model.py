"""A torch Module with its optimiser and loss: their settings read, and trained in recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends.recording import Recorder
from harness.errors import InputError
from harness.mistakes.hidden_functions import HIDDEN_FUNCTIONS, leaky_relu_name

_NAMES = {"Sigmoid": "sigmoid", "Tanh": "tanh", "ReLU": "relu", "LeakyReLU": "leaky_relu"}
_NAMES |= {"ELU": "elu", "GELU": "gelu", "SiLU": "silu", "Softplus": "softplus"}
_NAMES |= {"Softsign": "softsign", "Identity": "identity", "SELU": "selu", "ReLU6": "relu6"}
_OF_CLASSES = ("crossentropy", "nll")  # losses that take class numbers
_RANDOM = ("Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout")


def train_torch(
    model: Any,
    optimizer: Any,
    loss: Any,
    recorder: Recorder,
    epochs: int,
    batch_size: int,
    tell: Callable[[Mapping[str, Any]], None],
) -> None:
    """Train it; its weights and optimiser are put back. ``tell``: is given what it says of itself."""
    from copy import deepcopy

    import torch

    tell(settings_of_torch(model, optimizer, loss))
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
    hidden, outputs = _functions(model)
    if hidden and set(hidden) <= set(HIDDEN_FUNCTIONS):
        about["activation"] = hidden if len(set(hidden)) > 1 else hidden[0]
    about |= _loss(loss, outputs)
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


def _functions(model: Any) -> tuple[list[str], int]:
    """The functions between linear layers, where every gap has one that is seen; the number of outputs."""
    gaps: list[list[str]] = []
    outputs = 1
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind == "Linear":
            outputs = module.out_features
            gaps.append([])
        elif kind in _NAMES and gaps:
            gaps[-1].append(_function(module))
        elif kind in _RANDOM or (
            type(module).__module__.startswith("torch.nn.modules.activation")
            and kind not in (*_NAMES, "Softmax", "LogSoftmax")
        ):
            why = ", which draws at random" if kind in _RANDOM else ""
            raise InputError(
                f"layer {name}: found {kind}{why}; allowed: Linear, Flatten, {', '.join(_NAMES)}"
            )
    hidden = gaps[:-1]
    return [gap[0] for gap in hidden] if all(len(gap) == 1 for gap in hidden) else [], outputs


def _loss(loss: Any, outputs: int) -> dict[str, Any]:
    """What a loss of torch says: the output function, how the cost is averaged, weights of classes."""
    kind = getattr(loss, "__name__", type(loss).__name__).lower().replace("_", "")
    kind = kind.removesuffix("loss").replace("binarycrossentropy", "bce")
    about: dict[str, Any] = {}
    if kind in _OF_CLASSES:
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


def _function(module: Any) -> str:
    kind = type(module).__name__
    if kind == "LeakyReLU":
        return leaky_relu_name(float(module.negative_slope))
    if kind == "GELU" and module.approximate == "tanh":
        return "gelu by tanh"
    return _NAMES[kind]
