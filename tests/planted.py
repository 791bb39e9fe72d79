"""Faults for a check to find, and a change that is none. Not tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from faults import Plain

from backends.numpy_backend import NumPyBackend


class StepTooLong(NumPyBackend):
    """eta is a tenth too large."""

    def train(self, x, y, network, training, cells, plan):
        return super().train(x, y, network, training, replace(cells, eta=1.1 * cells.eta), plan)


class Mislabelled(NumPyBackend):
    """Samples of class 3 that make 3 % of the training data are labelled 8."""

    def train(self, x, y, network, training, cells, plan):
        rows = np.unique(plan.order)
        threes = rows[y[rows] == 3][: round(0.03 * len(rows))]
        wrong = y.copy()
        wrong[threes] = 8
        return super().train(x, wrong, network, training, cells, plan)


class FrozenBias(Plain):
    """The last layer's bias stays where it was."""

    def gradients(self, x, t, W, b):
        dW, db = super().gradients(x, t, W, b)
        return dW, [*db[:-1], np.zeros_like(db[-1])]


class PenaltyTwice(NumPyBackend):
    """The penalty's gradient is 2 lmbd W, as of L2(lmbd) in Keras."""

    def train(self, x, y, network, training, cells, plan):
        twice = replace(training, penalty_factor=2 * training.penalty_factor)
        return super().train(x, y, network, twice, cells, plan)


class LastUnseen(NumPyBackend):
    """Minibatches never hold the last 5 % of the training samples, but earlier ones in their place."""

    def train(self, x, y, network, training, cells, plan):
        rows = np.unique(plan.order)
        first = rows[: round(0.95 * len(rows))]
        seen = np.where(plan.order > first[-1], first[plan.order % len(first)], plan.order)
        return super().train(x, y, network, training, cells, replace(plan, order=seen))


class Garbage(NumPyBackend):
    """Labels mean nothing: nothing can be learned."""

    def train(self, x, y, network, training, cells, plan):
        shuffled = np.random.default_rng(0).permutation(y)
        return super().train(x, shuffled, network, training, cells, plan)


class OtherOrder(NumPyBackend):
    """No fault: the rows of a minibatch are summed in another order."""

    def train(self, x, y, network, training, cells, plan):
        return super().train(x, y, network, training, cells, plan.rows_permuted(7))


class EtaTooSmall(NumPyBackend):
    """eta is 0.7 of what it should be."""

    def train(self, x, y, network, training, cells, plan):
        return super().train(x, y, network, training, replace(cells, eta=0.7 * cells.eta), plan)


class FewerEpochs(NumPyBackend):
    """Training ends after 80 % of its epochs, in whole ones."""

    def train(self, x, y, network, training, cells, plan):
        each = plan.steps_per_epoch or 1
        last = max(1, int(0.8 * plan.steps) // each * each)
        short = plan.at([min(point, last) for point in plan.checkpoints])
        fit = super().train(x, y, network, training, cells, short)
        after = dict(zip(short.checkpoints, fit.path, strict=True))
        return replace(fit, path=tuple(after[min(point, last)] for point in plan.checkpoints))


class WrongLabels(NumPyBackend):
    """5 % of the training data are labelled as the next class."""

    def train(self, x, y, network, training, cells, plan):
        rows = np.unique(plan.order)
        wrong = y.copy()
        picked = np.random.default_rng(0).choice(rows, round(0.05 * len(rows)), replace=False)
        wrong[picked] = (wrong[picked] + 1) % network.classes
        return super().train(x, wrong, network, training, cells, plan)


FAULTS = (StepTooLong, Mislabelled, FrozenBias, PenaltyTwice, LastUnseen)
LOSSES = (EtaTooSmall, FewerEpochs, WrongLabels)
