"""PyTorch: ``nn.Linear`` and ``torch.optim`` for one network, batched products and autograd for a stack.

In a stack, weights are (groups, cells, outputs, inputs), as ``nn.Linear`` holds those of one network; the
cells of a group share their minibatches, so that the first layer of all of them is one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import OPTIONS, Backend, Convention
from backends.early_stopping import STOPPING, TrainingPath
from backends.formulas import LEAKY_SLOPE, eta_factors
from backends.frameworks import gpus_of, load
from backends.network import OPTIMIZERS, Array, Cells, Fit, Network, Training, Weights
from backends.plan import Plan

_PLACES = {"cpu": "cpu", "gpu": "cuda"}  # what PyTorch calls them, AMD's among the latter


class TorchBackend(Backend):
    """nn.Linear, torch.optim and a loop; in a stack, torch.matmul and autograd."""

    name = "torch"
    library = "torch"
    modules = ("torch",)
    stacks = True
    optimizers = OPTIMIZERS
    heeds = tuple(option for option in OPTIONS if option != "monitor")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "penalty",
            "(lmbd * W^2).sum() / 2 added to the cost, an lmbd for each cell; the stock program: "
            "weight_decay = lmbd in a parameter group of the weights alone",
            "weight_decay = 0; given for the whole model it penalises biases too",
        ),
        Convention(
            "l1", "l1 * sign(W) in the gradient; the stock program: l1 * W.abs().sum()", "none"
        ),
        Convention(
            "cost of a minibatch",
            "functional.cross_entropy from logits (regression: half of mse_loss)",
            "the mean; mse_loss is not halved",
        ),
        Convention("initial weights", "the plan's", "uniform(-1 / sqrt(inputs), 1 / sqrt(inputs))"),
        Convention("initial biases", "the plan's", "random, as the weights"),
        Convention(
            "minibatches", "the plan's, by indexing", "a DataLoader's, left to the programmer"
        ),
        Convention("short last minibatch", "taken as it is, its mean over its own rows", "kept"),
        Convention(
            "optimiser",
            "written out for the stack; the stock program: torch.optim.SGD or Adam",
            "left to the programmer",
        ),
        Convention(
            "momentum",
            "v = m v - eta g; the stock program: torch's v = m v + g, eta taken afterwards, the same "
            "for a constant eta; where a schedule changes it, v is divided by the change",
            "0",
        ),
        Convention(
            "rmsprop, adagrad",
            "epsilon = 1e-8 beside the root, rho = 0.99, v from 0: torch's own",
            "the same, but for adagrad's epsilon = 1e-10",
        ),
        Convention(
            "schedule", "a factor of eta for each step; the stock program: lr set anew", "none"
        ),
        Convention(
            "Adam",
            "epsilon = 1e-8 beside the uncorrected root; the stock program: eps = epsilon / "
            "sqrt(1 - beta_2^t), because torch adds it to the corrected root",
            "epsilon = 1e-8 beside the corrected root",
        ),
        Convention("leaky_relu slope", f"{LEAKY_SLOPE:.12g}", "0.01"),
        Convention("two classes", "one logistic output", "left to the programmer"),
        Convention("stopping", STOPPING, "left to the programmer"),
    )

    def gpus(self) -> tuple[str, ...]:
        return gpus_of("torch")

    def trace_one(
        self,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        eta: float,
        lmbd: float,
        plan: Plan,
    ) -> list[tuple[Sequence[Array], Sequence[Array]]]:
        """As PyTorch's tutorials write it: a Sequential, an optimiser, a loop."""
        torch = load("torch")
        model = _sequential(torch, network, training.dtype).to(_PLACES[training.device])
        linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, W, b in zip(linear, *plan.start(), strict=True):
                layer.weight.copy_(torch.from_numpy(W.T.copy()))
                layer.bias.copy_(torch.from_numpy(b))
        groups: list[dict[str, Any]] = [{"params": [layer.weight]} for layer in linear]
        groups.append({"params": [layer.bias for layer in linear], "weight_decay": 0.0})
        optimizer = _optimizer(torch, training, groups, eta)
        inputs, labels = _tensors(torch, x, y, network, training.device)
        path: list[tuple[Sequence[Array], Sequence[Array]]] = []
        schedule = eta_factors(replace(training, optimizer="sgd"), plan)
        for first, last in plan.segments():
            for step in range(first, last):
                _set_rate(optimizer, eta * schedule[step])
                rows = torch.from_numpy(plan.rows(step)[0].astype(np.int64))
                for layer, group in enumerate(optimizer.param_groups[:-1]):
                    group["weight_decay"] = training.penalty(lmbd, len(rows), layer, network.layers)
                if training.optimizer == "adam":
                    for group in optimizer.param_groups:
                        group["eps"] = training.epsilon / np.sqrt(1 - training.beta_2 ** (step + 1))
                optimizer.zero_grad()
                z = model(inputs[rows])
                cost = _cost(torch, z.T[None], labels[rows][None], network).sum()
                cost = cost * training.cost_scale(len(rows))
                for layer, one in enumerate(linear if training.l1 else ()):
                    p = training.penalty(training.l1, len(rows), layer, network.layers)
                    cost = cost + float(p) * one.weight.abs().sum()
                cost.backward()
                optimizer.step()
            path.append(
                (
                    [layer.weight.detach().cpu().numpy().T.copy() for layer in linear],
                    [layer.bias.detach().cpu().numpy().copy() for layer in linear],
                )
            )
        return path

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        torch = load("torch")
        streams, per_group = cells.layout()
        stack = _Stack(torch, network, training, cells, (len(streams), per_group))
        stack.start(plan.initial[streams])
        order = torch.from_numpy(plan.order[streams].astype(np.int64)).to(_PLACES[training.device])
        inputs, labels = _tensors(torch, x, y, network, training.device)
        bounds, factors = plan.bounds.tolist(), eta_factors(training, plan)
        path = TrainingPath(x, y, network, training, plan)
        for first, last in path.segments():
            for step in range(first, last):
                rows = order[:, bounds[step] : bounds[step + 1]]
                stack.step(factors[step], inputs[rows], labels[rows])
            path.add(stack.weights())
        return path.fit()

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        torch = load("torch")
        with torch.no_grad():
            W = [torch.from_numpy(np.ascontiguousarray(W.swapaxes(1, 2)))[None] for W in weights.W]
            b = [torch.from_numpy(np.ascontiguousarray(b))[None] for b in weights.b]
            z = _forward(torch, torch.from_numpy(np.array(x))[None], network, W, b)[0]
            z = z.transpose(1, 2)
            if network.output == "softmax":
                return torch.softmax(z, -1).numpy()  # type: ignore[no-any-return]
            if network.output == "logistic":
                p = torch.sigmoid(z)
                return torch.cat([1 - p, p], -1).numpy()  # type: ignore[no-any-return]
            return z.numpy()  # type: ignore[no-any-return]


class _Stack:
    """The tensors of (groups, cells) networks, and one step of all of them."""

    def __init__(
        self,
        torch: Any,
        network: Network,
        training: Training,
        cells: Cells,
        shape: tuple[int, int],
    ) -> None:
        self.torch, self.network, self.training, self.shape = torch, network, training, shape
        self.place = _PLACES[training.device]
        self.eta, self.lmbd = (
            torch.from_numpy(values.reshape(*shape, 1, 1).astype(training.dtype)).to(self.place)
            for values in (cells.eta, cells.lmbd)
        )

    def start(self, initial: Weights) -> None:
        """Every cell of a group from the group's weights (groups, ...); no velocities, no moments."""
        torch, (groups, per_group) = self.torch, self.shape

        def spread(tensor: Array) -> Any:
            shape = (groups, per_group, *tensor.shape[1:])
            one = torch.from_numpy(np.broadcast_to(tensor[:, None], shape).copy())
            return one.to(self.place).requires_grad_()

        self.W = [spread(W.swapaxes(1, 2)) for W in initial.W]
        self.b = [spread(b) for b in initial.b]
        self.slots = [
            [torch.zeros_like(t) for t in (*self.W, *self.b)] for _ in range(self.training.slots)
        ]

    def step(self, rate: float, x: Any, y: Any) -> None:
        """One optimiser step, of ``rate`` times eta.

        x: inputs (groups, rows, features); y: labels (groups, rows).
        """
        torch, training, rows = self.torch, self.training, x.shape[1]
        z = _forward(torch, x, self.network, self.W, self.b)
        groups, cells = self.shape
        labels = y[:, None].expand(groups, cells, rows).flatten(0, 1)
        # the sum of all cells' costs: no cell's depends on another's weights
        cost = _cost(torch, z.flatten(0, 1), labels, self.network).sum()
        cost = cost * training.cost_scale(rows)
        gradients = torch.autograd.grad(cost, [*self.W, *self.b])
        with torch.no_grad():
            for layer, W in enumerate(self.W):
                factor = training.penalty(1.0, rows, layer, self.network.layers)
                if factor:
                    gradients[layer].addcmul_(self.lmbd, W, value=float(factor))
                    if training.l1:
                        gradients[layer].add_(torch.sign(W), alpha=float(factor) * training.l1)
            self._update(rate, gradients)

    def _update(self, factor: float, gradients: Sequence[Any]) -> None:
        torch, training = self.torch, self.training
        eta = self.eta
        for index, (theta, g) in enumerate(zip((*self.W, *self.b), gradients, strict=True)):
            rate = eta if theta.dim() == 4 else eta[..., 0]
            slots = [slot[index] for slot in self.slots]
            if training.optimizer == "adam":
                m, v = slots
                m.mul_(training.beta_1).add_(g, alpha=1 - training.beta_1)
                v.mul_(training.beta_2).addcmul_(g, g, value=1 - training.beta_2)
                change = torch.sqrt(v).add_(training.epsilon)
                torch.div(m, change, out=change)
                theta.addcmul_(rate, change, value=-factor)
            elif training.optimizer != "sgd":
                (v,) = slots
                keep, share = training.squares
                v.mul_(keep).addcmul_(g, g, value=share)
                change = torch.sqrt(v).add_(training.epsilon)
                torch.div(g, change, out=change)
                theta.addcmul_(rate, change, value=-factor)
            elif training.momentum:
                (v,) = slots
                g.mul_(rate * factor)
                v.mul_(training.momentum).sub_(g)
                if training.nesterov:
                    theta.add_(v, alpha=training.momentum).sub_(g)
                else:
                    theta.add_(v)
            else:
                theta.addcmul_(rate, g, value=-factor)

    def weights(self) -> Weights:
        return Weights(
            tuple(self._cells(W.detach().cpu().numpy().swapaxes(2, 3)) for W in self.W),
            tuple(self._cells(b.detach().cpu().numpy()) for b in self.b),
        )

    def _cells(self, tensor: Array) -> Array:
        """A copy of (groups, cells, ...) as (groups * cells, ...)."""
        return tensor.reshape(-1, *tensor.shape[2:]).copy()


def _sequential(torch: Any, network: Network, dtype: str) -> Any:
    """``nn.Linear`` layers, the activation between them; the last gives logits."""
    layers: list[Any] = []
    for layer, (inputs, outputs) in enumerate(network.shapes):
        layers.append(torch.nn.Linear(inputs, outputs, dtype=getattr(torch, dtype)))
        if layer < len(network.hidden):
            layers.append(_module(torch, network.activations[layer]))
    return torch.nn.Sequential(*layers)


def _module(torch: Any, activation: str) -> Any:
    nn = torch.nn
    return {
        "identity": nn.Identity,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
        "elu": nn.ELU,
    }[activation]()


def _optimizer(torch: Any, training: Training, groups: list[dict[str, Any]], eta: float) -> Any:
    if training.optimizer == "adam":
        return torch.optim.Adam(
            groups, lr=eta, betas=(training.beta_1, training.beta_2), eps=training.epsilon
        )
    if training.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=eta, alpha=training.rho, eps=training.epsilon)
    if training.optimizer == "adagrad":
        return torch.optim.Adagrad(groups, lr=eta, eps=training.epsilon)
    return torch.optim.SGD(groups, lr=eta, momentum=training.momentum, nesterov=training.nesterov)


def _set_rate(optimizer: Any, eta: float) -> None:
    """Another learning rate; what momentum remembers is then in steps of the new size."""
    for group in optimizer.param_groups:
        for parameter in group["params"] if eta != group["lr"] else ():
            kept = optimizer.state[parameter].get("momentum_buffer")
            if kept is not None and eta:
                kept.mul_(group["lr"] / eta)
        group["lr"] = eta


def _tensors(torch: Any, x: Array, y: NDArray, network: Network, device: str) -> tuple[Any, Any]:
    """Inputs and labels as tensors on a device; labels as the cost wants them."""
    target = np.int64 if network.output == "softmax" else x.dtype
    inputs, labels = torch.from_numpy(np.array(x)), torch.from_numpy(y.astype(target))
    return inputs.to(_PLACES[device]), labels.to(_PLACES[device])


def _forward(torch: Any, x: Any, network: Network, W: Sequence[Any], b: Sequence[Any]) -> Any:
    """Logits (groups, cells, outputs, rows) of inputs (groups, rows, features).

    W[l] (groups, cells, outputs, inputs), b[l] (groups, cells, outputs).
    """
    groups, cells, units, features = W[0].shape
    side_by_side = W[0].reshape(groups, cells * units, features)
    bias = b[0].reshape(groups, cells * units, 1)
    z = torch.baddbmm(bias, side_by_side, x.transpose(1, 2))
    z = z.reshape(groups, cells, units, x.shape[1])
    for activation, W_l, b_l in zip(network.activations, W[1:], b[1:], strict=True):
        z = torch.matmul(W_l, _module(torch, activation)(z)) + b_l[..., None]
    return z


def _cost(torch: Any, z: Any, y: Any, network: Network) -> Any:
    """Cost of every sample from logits (stack, outputs, rows) and labels (stack, rows)."""
    functional = torch.nn.functional
    if network.output == "softmax":
        return functional.cross_entropy(z, y, reduction="none")
    if network.output == "logistic":
        return functional.binary_cross_entropy_with_logits(z[:, 0], y, reduction="none")
    return functional.mse_loss(z[:, 0], y, reduction="none") / 2
