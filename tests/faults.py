"""Backends with a fault planted in each, for parity to find. Not tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import erf, expit

from backends.base import Backend
from backends.keras_backend import KerasBackend
from backends.numpy_backend import NumPyBackend
from backends.sklearn_backend import SklearnBackend


class Plain(Backend):
    """A right backend, one network at a time, whose every part a fault can be planted in."""

    name = "plain"
    activations = ("sigmoid", "tanh", "relu")
    heeds = ("momentum", "nesterov")

    @np.errstate(all="ignore")
    def train_one(self, x, y, network, training, eta, lmbd, plan):
        self.network, self.training, self.batch_size = network, training, plan.batch_size
        W, b = plan.start()
        real = x.dtype.type
        t = np.eye(network.outputs, dtype=x.dtype)[y] if network.outputs > 1 else y[:, None]
        memory: list[list[Any]] = [[real(0)] * 2 * network.layers for _ in range(2)]
        batches = list(plan.batches())
        for step in range(plan.steps):
            rows = self.rows(batches, step)
            dW, db = self.gradients(x[rows], t[rows], W, b)
            for layer in range(network.layers):
                dW[layer] += real(self.lmbd(lmbd, len(rows))) * W[layer]
                db[layer] += real(self.lmbd_of_biases(lmbd)) * b[layer]
            for index, theta in enumerate([*W, *b]):
                g = [*dW, *db][index]
                change = self.change(g, memory, index, real(self.eta(eta)), step)
                if self.updates(index % network.layers, network.layers):
                    theta -= change
        return W, b

    def rows(self, batches, step):
        return batches[step]

    def eta(self, eta):
        return eta

    def lmbd(self, lmbd, rows):
        return lmbd

    def lmbd_of_biases(self, lmbd):
        return 0.0

    def activate(self, z, layer):
        return {"sigmoid": expit, "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[
            self.network.activation
        ](z)

    def slope(self, z, a, layer):
        slopes = {"sigmoid": lambda: a * (1 - a), "tanh": lambda: 1 - a * a, "relu": lambda: z > 0}
        return slopes[self.network.activation]()

    def error(self, z, t):
        if self.network.output == "softmax":
            p = np.exp(z - z.max(axis=1, keepdims=True))
            return p / p.sum(axis=1, keepdims=True) - t
        return (expit(z) if self.network.output == "logistic" else z) - t

    def gradients(self, x, t, W, b):
        layers, zs, activations = len(W), [], [x]
        for layer in range(layers):
            zs.append(activations[-1] @ W[layer] + b[layer])
            activations.append(self.activate(zs[-1], layer) if layer < layers - 1 else zs[-1])
        delta = self.error(zs[-1], t) / x.dtype.type(len(x))
        dW, db = [None] * layers, [None] * layers
        for layer in reversed(range(layers)):
            dW[layer], db[layer] = activations[layer].T @ delta, delta.sum(axis=0)
            if layer:
                back = delta @ W[layer].T
                delta = back * self.slope(zs[layer - 1], activations[layer], layer - 1)
        return dW, db

    def change(self, g, memory, index, eta, step):
        first, second = memory
        training, real = self.training, g.dtype.type
        if training.optimizer == "adam":
            beta_1, beta_2 = training.beta_1, training.beta_2
            first[index] = real(beta_1) * first[index] + real(1 - beta_1) * g
            second[index] = real(beta_2) * second[index] + real(1 - beta_2) * g * g
            rate = eta * real(self.correction(beta_1, beta_2, step + 1))
            return rate * first[index] / (np.sqrt(second[index]) + real(training.epsilon))
        if not training.momentum:
            return eta * g
        momentum = real(self.momentum(training.momentum))
        first[index] = momentum * first[index] - eta * g
        return -(momentum * first[index] - eta * g if training.nesterov else first[index])

    def momentum(self, momentum):
        return momentum

    def correction(self, beta_1, beta_2, t):
        return np.sqrt(1 - beta_2**t) / (1 - beta_1**t)

    def updates(self, layer, layers):
        return True


class Told:
    """Mixed into a backend: it trains as ``told`` in place of what it was asked."""

    told: ClassVar[dict[str, Any]] = {}

    def train(self, x, y, network, training, cells, plan):
        return super().train(x, y, network, replace(training, **self.told), cells, plan)


class AnEpochMore(Told, NumPyBackend):
    """It waits an epoch longer than it was told before it stops early."""

    told: ClassVar[dict[str, Any]] = {"patience": 3}


class SaysAnEpochMore(NumPyBackend):
    """It stops early where it should and says that it did so an epoch later."""

    def train(self, x, y, network, training, cells, plan):
        fit = super().train(x, y, network, training, cells, plan)
        late = [min(step + plan.steps_per_epoch, plan.steps) for step in fit.steps]
        return replace(fit, steps=tuple(late))


class TwiceThePenalty(Told, KerasBackend):
    """regularizers.L2(lmbd) in place of L2(lmbd / 2)."""

    told: ClassVar[dict[str, Any]] = {"penalty_factor": 2.0}


class HalfThePenalty(Told, NumPyBackend):
    told: ClassVar[dict[str, Any]] = {"penalty_factor": 0.5}


class PenaltyPerSample(Told, SklearnBackend):
    """alpha = lmbd in place of lmbd * B."""

    told: ClassVar[dict[str, Any]] = {"penalty_per_sample": True}


class Summed(Told, NumPyBackend):
    told: ClassVar[dict[str, Any]] = {"cost": "sum"}


class SummedToo(Summed):
    """The same mistake again."""


class WithoutNesterov(Told, NumPyBackend):
    told: ClassVar[dict[str, Any]] = {"nesterov": False}


class KerasEpsilon(Told, NumPyBackend):
    told: ClassVar[dict[str, Any]] = {"epsilon": 1e-7}


class PenalisedBiases(Plain):
    def lmbd_of_biases(self, lmbd):
        return lmbd


class ShortBatch(Plain):
    """alpha = lmbd * B on a short minibatch as well, over which the library divides by its rows."""

    def lmbd(self, lmbd, rows):
        return lmbd * self.batch_size / rows


class SwappedBatches(NumPyBackend):
    """Steps 3 and 4 change places."""

    def train(self, x, y, network, training, cells, plan):
        if plan.steps >= 4:
            order, (first, middle, last) = plan.order.copy(), plan.bounds[[2, 3, 4]]
            order[:, first:last] = np.roll(order[:, first:last], last - middle, axis=1)
            plan = replace(plan, order=order)
        return super().train(x, y, network, training, cells, plan)


class StaleBatch(Plain):
    """Step 8 sees the minibatch of step 7 again."""

    def rows(self, batches, step):
        return batches[6 if step == 7 else step]


class WithoutBiasCorrection(Plain):
    def correction(self, beta_1, beta_2, t):
        return 1.0


class Clipped(Plain):
    """Probabilities are clipped at 1e-7 before the logarithm, which then has no slope."""

    def error(self, z, t):
        error = super().error(z, t)
        of_class = 1 - np.abs((error * t).sum(axis=1, keepdims=True))
        return error * ((of_class > 1e-7) & (of_class < 1 - 1e-7))


class SinglePrecisionMomentum(Plain):
    """0.9 as float32 has it, in a float64 run."""

    def momentum(self, momentum):
        return np.float32(momentum)


class SinglePrecisionForward(Plain):
    """The forward pass is computed in float32 whatever the dtype."""

    def activate(self, z, layer):
        return super().activate(z.astype(np.float32), layer).astype(z.dtype)


class Leaky(Plain):
    """leaky_relu as its formula says."""

    activations = ("leaky_relu",)
    alpha = 0.01

    def activate(self, z, layer):
        return np.where(z > 0, z, z.dtype.type(self.alpha) * z)

    def slope(self, z, a, layer):
        return np.where(z > 0, z.dtype.type(1), z.dtype.type(self.alpha))


class LeakyInSinglePrecision(Leaky):
    """As TensorFlow's and Keras's own."""

    alpha = float(np.float32(0.01))


class GeluAtTheThird(Plain):
    def activate(self, z, layer):
        return 0.5 * z * (1 + erf(z / np.sqrt(2))) if layer == 2 else super().activate(z, layer)

    def slope(self, z, a, layer):
        if layer != 2:
            return super().slope(z, a, layer)
        return 0.5 * (1 + erf(z / np.sqrt(2))) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


class LastLayerKept(Plain):
    def updates(self, layer, layers):
        return layer < layers - 1


class SomeoneElsesOutput(NumPyBackend):
    """Trains as it should, but its own forward pass forgets the last bias."""

    def predict_proba(self, x, network, weights):
        b = (*weights.b[:-1], np.zeros_like(weights.b[-1]))
        return super().predict_proba(x, network, replace(weights, b=b))


class WrongTogether(NumPyBackend):
    """Right for a cell alone; in a stack every cell has the first one's lmbd."""

    def train(self, x, y, network, training, cells, plan):
        same = replace(cells, lmbd=np.full_like(cells.lmbd, cells.lmbd[0]))
        return super().train(x, y, network, training, same, plan)


class Unpredictable(Plain):
    """Its minibatches are drawn anew in every call."""

    def rows(self, batches, step):
        rng = np.random.default_rng()
        return rng.permutation(batches[step])[: max(1, len(batches[step]) // 2)]


class Nudged(Plain):
    """Right in every step, but after the first one weight is off by some units in the last place."""

    def change(self, g, memory, index, eta, step):
        change = super().change(g, memory, index, eta, step)
        if step == 0 and index == 0:
            change = change * np.ones_like(g)
            change[0, 0] -= 2.0**-50
        return change


class NudgedAndHalved(Nudged):
    """As well, and the third step is half as long as it should be."""

    def change(self, g, memory, index, eta, step):
        change = super().change(g, memory, index, eta, step)
        return change / 2 if step == 2 else change


class Raises(Plain):
    def gradients(self, x, t, W, b):
        raise TypeError("no gradients today")
