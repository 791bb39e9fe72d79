"""A tournament for the judge: kinds of mistakes planted in a right training, in many experiments.

Each kind is a change to one part of :class:`Written`, a training written out here on its own, with the name
that parity should give it and the tensors that it may say it shows in first. Not tests; run as a program it
plays all matches and prints the table: ``python tests/tournament.py [matches per kind] [kind ...]``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.special import erf, expit

from backends.base import Backend
from backends.network import OPTIMIZERS
from harness.experiment.experiment import experiment_from
from harness.parity.parity import parity

Hook = Callable[..., Any]


class Written(Backend):
    """A right training of one network at a time, in its dtype; ``hooks`` change what it computes.

    A hook is called with the training and the value of its place, and gives another value. ``step`` counts
    from 0; ``kept`` is there for whatever a hook wants to remember.
    """

    name = "written"
    activations = ("sigmoid", "tanh", "relu")
    optimizers = OPTIMIZERS
    heeds = ("momentum", "nesterov", "schedule", "l1")
    hooks: ClassVar[dict[str, Hook]] = {}

    def hook(self, place: str, value: Any, *context: Any) -> Any:
        return self.hooks[place](self, value, *context) if place in self.hooks else value

    @np.errstate(all="ignore")
    def train_one(self, x, y, network, training, eta, lmbd, plan):
        self.network, self.training, self.eta, self.lmbd = network, training, eta, lmbd
        self.full, self.epoch_steps = plan.batch_size, plan.steps_per_epoch or plan.steps
        self.samples, self.kept = x, {}
        real = self.real = x.dtype.type
        W, b = plan.start()
        self.theta = theta = self.hook("start", [*W, *b])
        L, batches = network.layers, list(plan.batches())
        memory: list[dict[str, Any]] = [{} for _ in theta]
        for self.step in range(plan.steps):
            rows = self.hook("rows", batches[self.step], batches)
            self.n, self.y = len(rows), y[rows]
            t = np.eye(network.outputs, dtype=x.dtype)[y[rows]] if network.outputs > 1 else y[rows]
            t = self.hook("targets", t.reshape(self.n, -1).astype(x.dtype))
            xs = self.hook("inputs", x[rows])
            at = self.hook("point", theta, memory)
            g = self.hook("gradients", self.gradients(xs, t, at[:L], at[L:]))
            factor = training.eta_factor(self.step // self.epoch_steps)
            rate = real(self.hook("rate", eta * self.hook("schedule", factor)))
            changes = []
            for k, tensor in enumerate(g):
                memory[k] = self.hook("memory", memory[k])
                changes.append(self.hook("change", self.change(tensor, memory[k], rate), k))
            new = [
                (old - change).astype(x.dtype) for old, change in zip(theta, changes, strict=True)
            ]
            self.theta = theta = self.hook("stored", new, theta)
        given = self.hook("given", theta)
        return given[:L], given[L:]

    def product(self, a, b):
        return self.hook("factor", a) @ self.hook("factor", b)

    def gradients(self, x, t, W, b):
        """dC/dW of every layer, then dC/db, the penalty's part included."""
        L, self.z, self.a, self.t = len(W), [], [x], t
        for layer in range(L):
            self.z.append(self.product(self.a[-1], W[layer]) + self.hook("bias", b[layer], layer))
            a = self.activate(self.z[-1], layer) if layer < L - 1 else self.output(self.z[-1])
            self.a.append(self.hook("a", a, layer) if layer < L - 1 else a)
        delta = self.hook("error", self.a[-1] - t) * self.real(self.hook("scale", 1 / self.n))
        dW, db = [None] * L, [None] * L
        for layer in reversed(range(L)):
            dW[layer] = self.product(self.a[layer].T, delta) + self.hook(
                "penalty", self.real(self.lmbd) * W[layer], W[layer], layer
            ).astype(x.dtype)
            if self.training.l1:
                dW[layer] = dW[layer] + self.hook("l1", self.real(self.training.l1)) * np.sign(
                    W[layer]
                )
            db[layer] = delta.sum(axis=0) + self.hook("bias penalty", 0 * b[layer], b[layer])
            back = self.hook("passed back", W[layer], layer, dW[layer])
            if layer:
                slope = self.hook(
                    "slope", self.slope(self.z[layer - 1], self.a[layer], layer - 1), layer - 1
                )
                delta = self.product(delta, back.T) * slope
        return [g.astype(x.dtype) for g in (*dW, *db)]

    def activate(self, z, layer):
        return ACTIVATIONS[self.hook("activation", self.network.activation, layer)][0](z)

    def slope(self, z, a, layer):
        return ACTIVATIONS[self.hook("activation", self.network.activation, layer)][1](z, a)

    def output(self, z):
        if self.network.output == "softmax":
            p = np.exp(z - z.max(axis=1, keepdims=True))
            return p / p.sum(axis=1, keepdims=True)
        return expit(z) if self.network.output == "logistic" else z

    def change(self, g, memory, rate):
        training, real = self.training, self.real
        optimizer = self.hook("optimizer", training.optimizer)
        if optimizer == "adam":
            return self.adam(g, memory, rate)
        if optimizer != "sgd":
            keep, share = self.hook("squares", training.squares)
            start = self.hook("start of v", 0.0) + 0 * g
            v = memory["v"] = real(keep) * memory.get("v", start) + real(share) * g * g
            root = self.hook("root", np.sqrt(v) + real(training.epsilon), v)
            return rate * g / root.astype(g.dtype)
        m = real(self.hook("momentum", training.momentum))
        if not m:
            return rate * g
        damping = real(self.hook("damping", 1.0, memory))
        v = memory["v"] = m * memory.get("v", real(0)) - rate * damping * g
        if self.hook("nesterov", training.nesterov):
            return rate * damping * g - m * v
        return -v

    def adam(self, g, memory, rate):
        real, t = self.real, self.step + 1
        beta_1, beta_2 = self.hook("betas", (self.training.beta_1, self.training.beta_2))
        start = self.hook("moments", (real(0), real(0)), g)
        m = memory["m"] = real(beta_1) * memory.get("m", start[0]) + real(1 - beta_1) * g
        v = memory["v"] = real(beta_2) * memory.get("v", start[1]) + real(1 - beta_2) * g * g
        m, v = self.hook("used", (m, v), memory, g)
        c1, c2 = self.hook("corrections", (1 - beta_1**t, 1 - beta_2**t), beta_1, beta_2)
        epsilon = self.hook("epsilon", self.training.epsilon)
        root = np.sqrt(v) + real(epsilon)
        return self.hook("ratio", rate * real(np.sqrt(c2) / c1) * m / root, rate, m, v, c1, c2)


ACTIVATIONS: dict[str, tuple[Hook, Hook]] = {
    "sigmoid": (expit, lambda z, a: a * (1 - a)),
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: z > 0),
    "gelu": (
        lambda z: 0.5 * z * (1 + erf(z / np.sqrt(2))),
        lambda z, a: 0.5 * (1 + erf(z / np.sqrt(2))) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    ),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z, a: expit(z)),
    "silu": (lambda z: z * expit(z), lambda z, a: expit(z) * (1 + z * (1 - expit(z)))),
}


@dataclass(frozen=True)
class Kind:
    """A kind of mistake: its hooks, the name parity should give it, the tensors it may first show in.

    ``named``: names in the catalogue, any of which is right; empty where no name is. {L}: the number of
    layers. ``only``: the optimisers and tasks that it can be made with.
    """

    name: str
    named: tuple[str, ...]
    first: tuple[str, ...]
    hooks: dict[str, Hook]
    only: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def kind(name: str, named: str, first: str, only: str = "", **hooks: Any) -> Kind:
    settings = hooks.pop("settings", {})
    hooks = {place.replace("_", " "): hook for place, hook in hooks.items()}
    split = [tuple(part for part in text.split("|") if part) for text in (named, first, only)]
    return Kind(name, split[0], split[1], hooks, split[2], settings)


def times(p: float) -> Hook:
    return lambda s, value, *_: p * value


def const(value: Any) -> Hook:
    return lambda *_: value


def of_biases(change: Hook) -> Hook:
    """A change of the biases' gradients."""

    def hook(s, g):
        L = s.network.layers
        return [change(s, tensor) if k >= L else tensor for k, tensor in enumerate(g)]

    return hook


def by_norm(limit: float) -> Hook:
    def hook(s, g):
        norm = np.sqrt(sum(float(np.square(t).sum(dtype=float)) for t in g))
        return [t * s.real(min(1, limit / norm)) for t in g]

    return hook


def cost_by_norm(limit: float) -> Hook:
    """As PyTorch's clip_grad_norm_ beside weight_decay: the penalty comes later."""

    def hook(s, g):
        penalty = [s.real(s.lmbd if t.ndim == 2 else 0) * t for t in s.theta]
        cut = by_norm(limit)(s, [t - d for t, d in zip(g, penalty, strict=True)])
        return [t + d for t, d in zip(cut, penalty, strict=True)]

    return hook


def frozen(which: Callable[[int, int], bool]) -> Hook:
    return lambda s, change, k: 0 * change if which(k, s.network.layers) else change


def rounded(bits: int) -> Hook:
    def hook(s, value, *_):
        mantissa, exponent = np.frexp(value)
        return np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent).astype(value.dtype)

    return hook


def half(s, value, *_):
    return value.astype(np.float16).astype(value.dtype)


def taken_twice(s, rows, batches):
    """The fourth step takes the second one's minibatch."""
    return batches[1] if s.step == 3 else rows


def decoupled(with_eta: bool) -> dict[str, Hook]:
    def change(s, change, k):
        rate = s.real(s.eta) if with_eta else s.real(1)
        return change + (rate * s.real(s.lmbd) * s.theta[k] if k < s.network.layers else 0)

    return {"penalty": lambda s, decay, *_: 0 * decay, "change": change}


def averaged(s, new, old):
    s.kept.setdefault("mean", old)
    s.kept["mean"] = [
        s.real(0.9) * m + s.real(0.1) * t for m, t in zip(s.kept["mean"], new, strict=True)
    ]
    return new


def in_turn(s, W, layer, dW):
    """The last layer's new weights before the error is passed back (plain gradient descent)."""
    return W - s.real(s.eta) * dW


def squared(s, error):
    p = s.a[-1]
    if s.network.output == "logistic":
        return error * p * (1 - p)
    return p * (error - (error * p).sum(axis=1, keepdims=True))


def clipped_labels(s, error):
    of_class = (s.a[-1] * s.t).sum(axis=1, keepdims=True)
    if s.network.output == "logistic":
        of_class = np.where(s.t > 0, s.a[-1], 1 - s.a[-1])
    return error * ((of_class > 1e-3) & (of_class < 1 - 1e-3))


def damping(s, value, memory):
    return 1.0 if "v" not in memory else 1 - s.training.momentum


def reset(s, memory):
    return {} if s.step % s.epoch_steps == 0 else memory


def largest_v(s, used, memory, g):
    memory["top"] = np.maximum(memory.get("top", s.real(0)), used[1])
    return used[0], memory["top"]


def looked_ahead(s, theta, memory):
    m = s.real(s.training.momentum)
    return [old + m * kept.get("v", s.real(0)) for old, kept in zip(theta, memory, strict=True)]


def noise(s, g):
    rng = np.random.default_rng(s.step)
    return [t + s.real(1e-3) * rng.normal(size=t.shape).astype(t.dtype) for t in g]


def mask(s, shape, layer):
    return (np.random.default_rng([s.step, layer]).random(shape) > 0.2) / 0.8


def dropout(s, a, layer):
    return (a * mask(s, a.shape, layer)).astype(a.dtype)


def dropout_back(s, slope, layer):
    z = s.z[layer]
    f, slope = ACTIVATIONS[s.network.activation]
    return (slope(z, f(z)) * mask(s, z.shape, layer)).astype(z.dtype)


def one_row_less(s, rows, batches):
    return rows[:-1] if len(rows) > 1 else rows


def slope_at_a(s, layer):
    f, slope = ACTIVATIONS[s.network.activation]
    a = s.a[layer + 1]
    return slope(a, f(a))


def smoothed(s, t):
    return t * s.real(0.9) + s.real(0.1 / max(s.network.outputs, 2))


CLASSES = "iris|wine|breast_cancer"
MOMENTUM = "momentum|nesterov"
FROM_THE_START = "W1"
RMSPROP = {"optimizer": "rmsprop", "eta": [1e-3, 1e-2]}
ADAGRAD = {"optimizer": "adagrad", "eta": [1e-2, 1e-1]}
SCHEDULE = {"schedule": "inverse", "decay": 0.5}
KINDS = [
    # the penalty
    kind("penalty twice", "penalty factor", "penalty of W1", penalty=times(2)),
    kind("penalty half", "penalty factor", "penalty of W1", penalty=times(0.5)),
    kind("no penalty", "penalty factor", "penalty of W1", penalty=times(0)),
    kind("penalty 3.7 times", "penalty factor", "penalty of W1", penalty=times(3.7)),
    kind(
        "penalty over rows",
        "penalty divided by rows",
        "penalty of W1",
        penalty=lambda s, d, *_: d / s.n,
    ),
    kind(
        "penalty times rows",
        "penalty times rows",
        "penalty of W1",
        penalty=lambda s, d, *_: d * s.n,
    ),
    kind(
        "penalty of a short minibatch",
        "penalty of a short minibatch",
        "penalty of W1",
        penalty=lambda s, d, *_: d * s.full / s.n,
        settings={"keep_last_batch": True},
    ),
    kind(
        "penalised biases",
        "penalised biases",
        "penalty of b1",
        bias_penalty=lambda s, d, b: s.real(s.lmbd) * b,
    ),
    kind(
        "output layer free",
        "output layer free of penalty",
        "penalty of W{L}",
        penalty=lambda s, d, W, layer: d * (layer < s.network.layers - 1),
    ),
    kind(
        "only the output layer",
        "only the output layer penalised",
        "penalty of W1",
        penalty=lambda s, d, W, layer: d * (layer == s.network.layers - 1),
    ),
    kind(
        "L1",
        "L1 penalty",
        "penalty of W1",
        penalty=lambda s, d, W, layer: s.real(s.lmbd) * np.sign(W),
    ),
    kind("decoupled decay", "decoupled decay", "W1|penalty of W1", **decoupled(True)),
    kind(
        "decoupled, no eta", "decoupled decay without eta", "W1|penalty of W1", **decoupled(False)
    ),
    # the cost
    kind("summed", "summed cost", "dW{L}|cross-entropy", scale=lambda s, v: 1.0),
    kind("averaged twice", "cost averaged twice", "dW{L}", scale=lambda s, v: v / s.n),
    kind("cost twice", "cost factor", "cross-entropy", error=times(2)),
    kind("cost half", "cost factor", "cross-entropy", error=times(0.5)),
    kind(
        "over outputs",
        "cost over outputs",
        "cross-entropy",
        "iris|wine",
        error=lambda s, e: e / s.network.outputs,
    ),
    kind("label smoothing", "label smoothing", "targets|cross-entropy", CLASSES, targets=smoothed),
    kind(
        "class of double weight",
        "class weights",
        "cross-entropy",
        CLASSES,
        error=lambda s, e: e * np.where(s.y == 1, 2, 1)[:, None].astype(e.dtype),
    ),
    kind("squared error", "squared error", "cross-entropy", CLASSES, error=squared),
    kind(
        "clipped probabilities",
        "clipped probabilities",
        "cross-entropy",
        CLASSES,
        error=clipped_labels,
        settings={"weight_scale": 20.0},
    ),
    kind(
        "absolute error",
        "absolute error",
        "cross-entropy",
        "diabetes",
        error=lambda s, e: np.sign(e),
    ),
    kind(
        "Huber",
        "Huber's loss",
        "cross-entropy",
        "diabetes",
        error=lambda s, e: np.clip(e, -0.5, 0.5),
    ),
    # data
    kind("a minibatch taken twice", "other minibatch", "rows", rows=taken_twice),
    kind(
        "stale minibatch", "other minibatch", "rows", rows=lambda s, r, bs: bs[max(s.step - 1, 0)]
    ),
    kind("last row left out", "row left out", "rows", rows=one_row_less),
    kind(
        "labels shifted",
        "labels shifted",
        "targets|cross-entropy|dW{L}",
        targets=lambda s, t: np.roll(t, 1, axis=0),
    ),
    kind("inputs halved", "inputs scaled", "rows", inputs=times(0.5)),
    # forward and back
    kind("gelu", "activation", "a1", activation=const("gelu")),
    kind("softplus", "activation", "a1", activation=const("softplus")),
    kind(
        "silu in layer 2",
        "activation",
        "a2",
        activation=lambda s, f, layer: "silu" if layer == 1 else f,
        settings={"hidden": [8, 6]},
    ),
    kind(
        "bias not added",
        "bias not added",
        "z1|a1|W1|dW{L}|cross-entropy",
        bias=lambda s, b, layer: 0 * b if layer == 0 else b,
        settings={"initial_bias": 0.1},
    ),
    kind(
        "derivative missing", "derivative missing", "dW1", slope=lambda s, d, layer: np.ones_like(d)
    ),
    kind(
        "derivative at a",
        "derivative at a",
        "dW1",
        "sigmoid|tanh",
        slope=lambda s, d, layer: slope_at_a(s, layer),
    ),
    kind("dropout", "", "a1", a=dropout, slope=dropout_back),
    kind("gradient noise", "", "dW{L}|dW1", gradients=noise),
    # gradients
    kind(
        "bias gradient dropped",
        "frozen|bias gradient",
        "b1|db{L}",
        gradients=of_biases(lambda s, g: 0 * g),
    ),
    kind(
        "bias gradient doubled",
        "bias gradient",
        "db{L}|b1",
        gradients=of_biases(lambda s, g: 2 * g),
    ),
    kind("clip by norm", "clipping by norm", "dW{L}", gradients=by_norm(0.05)),
    kind("cost clipped by norm", "clipping by norm", "dW{L}", gradients=cost_by_norm(0.05)),
    kind(
        "clip by value",
        "clipping by value",
        "dW{L}",
        gradients=lambda s, g: [np.clip(t, -0.01, 0.01) for t in g],
    ),
    kind(
        "wrong sign",
        "wrong sign|eta factor|cost factor",
        "dW{L}|W1",
        gradients=lambda s, g: [-t for t in g],
    ),
    kind("layers in turn", "layers updated in turn", "dW1", "sgd", passed_back=in_turn),
    # optimiser
    kind("no Nesterov", "no Nesterov", "W1", "nesterov", nesterov=const(False)),
    kind("Nesterov unasked", "Nesterov", "W1", "momentum", nesterov=const(True)),
    kind(
        "Nesterov's other form",
        "Nesterov's other form",
        "z1|W1|a1",
        "nesterov",
        nesterov=const(False),
        point=looked_ahead,
    ),
    kind("no momentum", "no momentum", "W1", MOMENTUM, momentum=const(0.0)),
    kind("momentum 0.8", "momentum's size", "W1", MOMENTUM, momentum=const(0.8)),
    kind("dampening", "dampening", "W1", "momentum", damping=damping),
    kind("momentum reset", "memory reset", "W1", MOMENTUM, memory=reset),
    kind("momentum added", "momentum added", "W1", "sgd", momentum=const(0.5)),
    kind("Adam for SGD", "Adam", "W1", "sgd", optimizer=const("adam")),
    kind("SGD for Adam", "plain gradient descent", "W1", "adam", optimizer=const("sgd")),
    kind("Keras epsilon", "Adam's epsilon", "W1", "adam", epsilon=const(1e-7)),
    kind("epsilon 1e-3", "Adam's epsilon", "W1", "adam", epsilon=const(1e-3)),
    kind(
        "epsilon beside the corrected root",
        "epsilon's place",
        "W1",
        "adam",
        ratio=lambda s, r, rate, m, v, c1, c2: (
            rate / s.real(c1) * m / (np.sqrt(v / s.real(c2)) + s.real(1e-8))
        ),
    ),
    kind("no correction", "no bias correction", "W1", "adam", corrections=const((1.0, 1.0))),
    kind(
        "count from 2",
        "bias correction's count",
        "W1",
        "adam",
        corrections=lambda s, c, b1, b2: (1 - b1 ** (s.step + 2), 1 - b2 ** (s.step + 2)),
    ),
    kind("moments start at g", "moments' start", "W1", "adam", moments=lambda s, z, g: (g, g * g)),
    kind("AMSGrad", "AMSGrad", "W1", "adam", used=largest_v),
    kind("beta_2 0.99", "Adam's beta_2", "W1", "adam", betas=const((0.9, 0.99))),
    kind("beta_1 0.8", "Adam's beta_1", "W1", "adam", betas=const((0.8, 0.999))),
    kind("moments reset", "memory reset", "W1", "adam", memory=reset),
    # RMSprop and Adagrad
    kind("rho 0.9", "RMSprop's rho", "W1", "sgd", squares=const((0.9, 0.1)), settings=RMSPROP),
    kind(
        "root as Keras has it",
        "epsilon's place",
        "W1",
        "sgd+float64",
        root=lambda s, root, v: np.sqrt(v + s.real(1e-7)),
        settings=RMSPROP,
    ),
    kind("v from 0.1", "start of v", "W1", "sgd", start_of_v=const(0.1), settings=ADAGRAD),
    # a schedule, an L1 penalty
    kind("no schedule", "no schedule", "W1", schedule=const(1.0), settings=SCHEDULE),
    kind(
        "schedule early",
        "schedule early",
        "W1",
        schedule=lambda s, f: s.training.eta_factor(s.step // s.epoch_steps + 1),
        settings=SCHEDULE,
    ),
    kind("L1 twice", "L1 penalty's factor", "penalty of W1", l1=times(2), settings={"l1": 0.01}),
    kind("no L1", "L1 penalty's factor", "penalty of W1", l1=times(0), settings={"l1": 0.01}),
    # eta
    kind("eta tenth", "eta factor", "W1", "sgd|nesterov|adam", rate=times(0.1)),
    # the same steps as those of a dampening of 0.9
    kind("eta tenth of momentum", "eta factor|dampening", "W1", "momentum", rate=times(0.1)),
    kind("eta half", "eta factor", "W1", rate=times(0.5)),
    kind("eta 0.7", "eta factor", "W1", rate=times(0.7)),
    kind("decay 1/(1+kt)", "decay of eta", "W1", rate=lambda s, e: e / (1 + 0.01 * s.step)),
    kind(
        "decay by epoch",
        "decay of eta",
        "W1",
        rate=lambda s, e: e * 0.5 ** (s.step // s.epoch_steps),
    ),
    kind("warm-up", "warm-up of eta", "W1", rate=lambda s, e: e * min(1, (s.step + 1) / 10)),
    # what is kept
    kind("last layer frozen", "frozen", "W{L}|dW{L}", change=frozen(lambda k, L: k % L == L - 1)),
    kind("W1 frozen", "frozen", "W1|dW1", change=frozen(lambda k, L: k == 0)),
    kind(
        "moving average",
        "moving average",
        "W1",
        stored=averaged,
        given=lambda s, theta: s.kept.get("mean", theta),
    ),
    # other starts
    kind(
        "Glorot's biases",
        "initial weights",
        "initial b1",
        start=lambda s, theta: [
            t
            if t.ndim == 2
            else np.random.default_rng(k).uniform(-0.5, 0.5, t.shape).astype(t.dtype)
            for k, t in enumerate(theta)
        ],
    ),
    kind(
        "weights of half the size",
        "initial weights",
        "initial W1",
        start=lambda s, theta: [t * s.real(0.5) if t.ndim == 2 else t for t in theta],
    ),
    # fewer digits
    kind("TF32", "factor rounded", "z1|a1", factor=rounded(11)),
    kind(
        "float16 weights",
        "stored rounded",
        "W1",
        stored=lambda s, new, old: [half(s, t) for t in new],
    ),
    kind(
        "float16 gradients",
        "gradients rounded",
        "dW{L}",
        gradients=lambda s, g: [half(s, t) for t in g],
    ),
    kind(
        "single momentum",
        "momentum rounded",
        "W1",
        "momentum+float64|nesterov+float64",
        momentum=lambda s, m: float(np.float32(m)),
    ),
    kind("single eta", "eta rounded", "W1", "float64", rate=lambda s, e: float(np.float32(e))),
    kind(
        "single lmbd",
        "lmbd rounded",
        "penalty of W1",
        "float64",
        penalty=lambda s, d, W, layer: W * float(np.float32(s.lmbd)),
    ),
    # two at once
    kind(
        "Keras: twice, hidden only",
        "penalty factor+output layer free of penalty",
        "penalty of W1",
        penalty=lambda s, d, W, layer: 2 * d * (layer < s.network.layers - 1),
    ),
    kind(
        "summed and no penalty",
        "summed cost+penalty factor",
        "penalty of W1",
        scale=lambda s, v: 1.0,
        penalty=times(0),
    ),
    kind(
        "epsilon and penalty twice",
        "Adam's epsilon+penalty factor",
        "penalty of W1",
        "adam",
        epsilon=const(1e-7),
        penalty=times(2),
    ),
    kind(
        "Nesterov lost, biases penalised",
        "no Nesterov+penalised biases",
        "penalty of b1",
        "nesterov",
        nesterov=const(False),
        bias_penalty=lambda s, d, b: s.real(s.lmbd) * b,
    ),
]


OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam", "eta": [1e-3, 1e-2]},
}
TASKS: dict[str, dict[str, Any]] = {
    "iris": {"dataset": "iris", "batch_size": 20},
    "wine": {"dataset": "wine", "batch_size": 24},
    "breast_cancer": {"dataset": "breast_cancer", "batch_size": 60},
    "diabetes": {"dataset": "diabetes", "task": "regression", "batch_size": 60},
}
FUNCTIONS = ("sigmoid", "tanh", "relu")
DTYPES = ("float64", "float32")
COMMON: dict[str, Any] = {
    "scale": "standard",
    "hidden": [8],
    "epochs": 4,
    "eta": [0.05, 0.2],
    "lmbd": [0.01, 0.1],
}


@dataclass(frozen=True)
class Match:
    """A kind in an experiment."""

    kind: Kind
    optimiser: str
    task: str
    function: str
    dtype: str

    def settings(self) -> dict[str, Any]:
        parts = (COMMON, TASKS[self.task], OPTIMISERS[self.optimiser], self.kind.settings)
        whole = {name: value for part in parts for name, value in part.items()}
        return whole | {"activation": self.function, "backends": [f"tournament:{slug(self.kind)}"]}

    def __str__(self) -> str:
        return f"{self.kind.name} ({self.optimiser}, {self.task}, {self.function}, {self.dtype})"


@dataclass(frozen=True)
class Played:
    """What came of a match: whether it was caught, what was named, where."""

    match: Match
    caught: bool
    step: int
    first: str
    how: str
    words: str
    name: str  # "right", "wrong", "none" or "none, rightly"
    place: bool
    seconds: float


def slug(kind: Kind) -> str:
    return "".join(c for c in kind.name.title() if c.isalnum())


for _kind in KINDS:
    globals()[slug(_kind)] = type(slug(_kind), (Written,), {"hooks": _kind.hooks})


def matches(each: int, kinds: Sequence[Kind] = KINDS) -> Iterator[Match]:
    """So many matches of every kind, spread over optimisers, tasks, activations and dtypes."""
    for number, one in enumerate(kinds):
        rng = np.random.default_rng(number)
        fitting = [
            Match(one, optimiser, task, function, dtype)
            for optimiser in OPTIMISERS
            for task in TASKS
            for function in FUNCTIONS
            for dtype in DTYPES
            if _fits(one, optimiser, task, function, dtype)
        ]
        yield from (fitting[k] for k in rng.permutation(len(fitting))[:each])


def _fits(one: Kind, optimiser: str, task: str, function: str, dtype: str) -> bool:
    have = {optimiser, task, function, dtype}
    axes = [(OPTIMISERS, optimiser), (TASKS, task), (FUNCTIONS, function), (DTYPES, dtype)]
    if any("+" in part for part in one.only):
        return any(set(part.split("+")) <= have for part in one.only)
    return all(value in one.only for axis, value in axes if any(v in one.only for v in axis))


def play(match: Match) -> Played:
    begun = time.perf_counter()
    found = parity(experiment_from(match.settings()), dtypes=[match.dtype])
    seconds = time.perf_counter() - begun
    if not found.divergences:
        return Played(match, False, 0, "", "", "", "none", False, seconds)
    (divergence,) = found.divergences
    why, layers = divergence.explanation, len(match.settings()["hidden"]) + 1
    named = "none" if match.kind.named else "none, rightly"
    if why is not None:
        told = [frozenset(m.name for m in mistakes) for mistakes in why.alternatives]
        right = [frozenset(name.split("+")) for name in match.kind.named]
        named = "right" if any(names in right for names in told) else "wrong"
    places = [place.format(L=layers) for place in match.kind.first]
    return Played(
        match,
        True,
        divergence.step,
        divergence.first,
        divergence.how,
        why.words if why else "",
        named,
        divergence.first in places,
        seconds,
    )


def table(played: list[Played]) -> str:
    """The counts."""
    total = len(played)
    lines = [
        ("caught", sum(p.caught for p in played)),
        ("named right", sum(p.name == "right" for p in played)),
        ("named wrong", sum(p.name == "wrong" for p in played)),
        ("unnamed", sum(p.name == "none" for p in played)),
        ("unnamed, and no name is right", sum(p.name == "none, rightly" for p in played)),
        ("first tensor right", sum(p.place for p in played)),
        ("first tensor wrong", sum(p.caught and not p.place for p in played)),
    ]
    return "\n".join(f"{what:32} {count:4} of {total}" for what, count in lines)


def main() -> None:
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    chosen = [m for m in matches(each) if not sys.argv[2:] or m.kind.name in sys.argv[2:]]
    played = []
    for match in chosen:
        played.append(one := play(match))
        good = one.name.startswith(("right", "none, r")) and one.place
        print(
            f"{'    ' if good else '*** '}{match}: {one.name}; {one.first or '?'} ({one.how}), "
            f"step {one.step}, {one.seconds:.1f} s: {one.words[:150]}",
            flush=True,
        )
    print(table(played))


if __name__ == "__main__":
    main()
