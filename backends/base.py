"""What a backend is: the one file that the author of a backend reads.

A backend trains a *stack of cells*: the same network, once for every pair (eta, lmbd) of a grid.
Whatever is random was drawn before and arrives as a :class:`~backends.plan.Plan`, so a backend is a
pure function: same data, network, training, cells and plan, same weights.

Writing :meth:`Backend.train_one` is enough to be a backend; a library that can train the whole stack
at once overrides :meth:`Backend.train`. ``backends/README.md`` has a complete one.

A plan of one stream, which is what ``train_one`` is given, has

    W, b = plan.start()             copies of the initial weight matrices (inputs, outputs) and biases
                                    (outputs,), first layer first, in the training's dtype
    for rows in plan.batches():     the row numbers of every minibatch, one optimiser step each
    plan.steps, plan.batch_size     how many there are; rows of a full one (the last of an epoch may be short)
    plan.first(k)                   the plan of its first k steps

and a plan of several streams, which ``train`` is given together with ``cells.stream``,

    plan.initial                    the initial Weights, leading axis streams
    plan.rows(step)                 the row numbers of one minibatch, (streams, rows)
    plan.select([s])                the plan of one stream
    plan.checkpoints                after how many steps weights are wanted; ascending, the last is the end
    plan.segments()                 the stretches (first step, step after the last) between them
    TrainingPath(x, y, network, training, plan)    of :mod:`backends.early_stopping`: the same stretches and
                                    those of the epochs, as long as the validation part has not stopped all
                                    cells; what it is given after each makes the Fit

The canonical objective, into which every library's own parameters are translated, is for a minibatch
of n samples

    C = (1/n) sum_i c_i  +  (lmbd / 2) sum_l ||W_l||^2  +  l1 sum_l ||W_l||_1

with c_i the cross-entropy (classification) or half the squared error (regression) of sample i; l1 is 0
unless asked for, and biases are not penalised. ``training.eta_factor(plan.epoch(step))`` is what a schedule
makes of eta.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.early_stopping import TrainingPath
from backends.formulas import predict
from backends.frameworks import load
from backends.network import (
    ACTIVATIONS,
    Array,
    Cells,
    Fit,
    Network,
    Training,
    Weights,
)
from backends.plan import Plan

# what a backend may leave out: settings with which a training is more than plain gradient descent or
# Adam on the canonical objective
_OF_TRAINING = (
    "momentum",
    "nesterov",
    "schedule",
    "l1",
    "cost",
    "penalty_factor",
    "penalty_per_sample",
    "penalised",
    "patience",
    "monitor",
    "device",
)
OPTIONS = (*_OF_TRAINING, "activations")  # "activations": one for each layer
PLAIN = Training()


class UnsupportedPlan(ValueError):
    """What :meth:`Backend.train` raises for a plan that its library cannot follow; says why."""


@dataclass(frozen=True)
class Convention:
    """One line of a backend's table of conventions: a quantity, and how the library is told it.

    ``here`` is what runs: what this backend passes to its library, and, introduced by "ours:", what it
    puts in the place of the library's own. ``default`` is what the library would have done if left alone.
    """

    quantity: str
    here: str
    default: str


@cache
def installed_version(distribution: str) -> str | None:
    """Its version, None if it is not installed; read once, which takes milliseconds."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


class Backend(ABC):
    """One implementation of the network. Subclass, set ``name``, write ``train_one``.

    Class attributes (data, all optional but ``name``):

    ``name``        what the command line calls it.
    ``library``     the distribution whose version is recorded and which an install line names.
    ``modules``     what is imported before training; a backend that fails to import is unavailable.
    ``activations`` and ``optimizers`` that it can do.
    ``stacks``      whether ``train`` trains all cells at once.
    ``heeds``       the settings, of ``OPTIONS``, that it heeds; asked for another one, it refuses, so that
                    what a backend does not know it cannot do wrong.
    ``conventions`` how the canonical quantities are told to the library.
    """

    name: ClassVar[str]
    library: ClassVar[str] = ""
    modules: ClassVar[tuple[str, ...]] = ()
    activations: ClassVar[tuple[str, ...]] = ACTIVATIONS
    optimizers: ClassVar[tuple[str, ...]] = ("sgd", "adam")
    stacks: ClassVar[bool] = False
    heeds: ClassVar[tuple[str, ...]] = ()
    conventions: ClassVar[tuple[Convention, ...]] = ()

    @property
    def program(self) -> type[Backend]:
        """The class whose code trains."""
        return type(self)

    def needs(self) -> tuple[str, ...]:
        """The distributions that it computes with beside ``library`` and NumPy."""
        return ()

    def versions(self) -> dict[str, str]:
        """The versions of the distributions that it computes with, as far as they are installed."""
        names = sorted({"numpy", self.library, *self.needs()} - {""})
        known = {name: installed_version(name) for name in names}
        return {name: version for name, version in known.items() if version is not None}

    def surroundings(self) -> dict[str, str]:
        """What its results depend on beside versions, where it does not run in this process."""
        return {}

    def float32_inside(self, network: Network, versions: Mapping[str, str]) -> str:
        """What its library computes in float32 when ``train`` is asked for float64; empty for nothing.

        In words for a person, of the versions that compute, as :meth:`versions` gives them. The
        conformance kit allows what it declares float32's round-off, and says so in its verdict.
        """
        return ""

    def gpus(self) -> tuple[str, ...]:
        """The GPUs that its library sees from this process, in words, the first being that it takes.

        Asked, in a process of its own, of a backend that heeds ``device``; imports the library.
        """
        return ()

    def load(self) -> None:
        """Import the library; raises ImportError."""
        for module in self.modules:
            load(module)

    def unsupported(self, network: Network, training: Training) -> str | None:
        """Why this backend cannot train this network, for a person to read; None if it can.

        What depends on the plan alone, ``train`` refuses with :class:`UnsupportedPlan`.
        """
        for activation in network.activations:
            if activation not in self.activations:
                known = ", ".join(self.activations)
                return f"{self.name} has no activation {activation!r} (it has {known})"
        if training.optimizer not in self.optimizers:
            known = ", ".join(self.optimizers)
            return f"{self.name} has no optimizer {training.optimizer!r} (it has {known})"
        if len(set(network.activations)) > 1 and "activations" not in self.heeds:
            return f"{self.name} has one activation for all hidden layers"
        for option in _OF_TRAINING:
            value = getattr(training, option)
            if value != getattr(PLAIN, option) and option not in self.heeds:
                why = {
                    "patience": "does not stop early",
                    "monitor": "does not stop early by it",
                    "device": "has none",
                }
                return (
                    f"{option} is {value!r}, and {self.name} {why.get(option, 'does not heed it')}"
                )
        return None

    def train_one(
        self,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        eta: float,
        lmbd: float,
        plan: Plan,
    ) -> tuple[Sequence[Array], Sequence[Array]]:
        """Train one network along a plan of one stream; its weight matrices and biases.

        This is the *stock program*: the library as its documentation teaches it, nothing made up for.
        Start from ``W, b = plan.start()`` and take one optimiser step for each ``rows`` of
        ``plan.batches()``, on the samples ``x[rows], y[rows]``.

        x: (samples, features) in ``training.dtype``; y: (samples,), class numbers 0, 1, ... or, for
        ``network.output == "identity"``, real targets. Weight matrices (inputs, outputs), biases
        (outputs,), first layer first. Weights that overflowed are returned as they are (inf or NaN).

        A backend may write :meth:`trace_one` in its place: then this is the last point of that.
        """
        if type(self).trace_one is Backend.trace_one:
            raise NotImplementedError(f"{type(self).__name__} defines neither train_one nor train")
        return self.trace_one(x, y, network, training, eta, lmbd, plan.at([plan.steps]))[0]

    @property
    def has_stock_program(self) -> bool:
        """Whether there is a :meth:`train_one` beside the stack of :meth:`train`."""
        own = type(self)
        return own.train_one is not Backend.train_one or own.trace_one is not Backend.trace_one

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
        """As :meth:`train_one`, after every checkpoint of the plan.

        Here each checkpoint is a training of its own on the plan's first steps: a pure function
        needs nothing else. Override it where the library can stop and go on.
        """
        return [
            self.train_one(x, y, network, training, eta, lmbd, plan.first(step))
            for step in plan.checkpoints
        ]

    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        """Train every cell; the weights after each of ``plan.checkpoints``.

        Arguments as in :meth:`train_one`; the result's arrays have the leading axis ``cells``.
        This base class trains one cell after the other.
        """
        return self.train_stock(x, y, network, training, cells, plan)

    def train_stock(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        """As :meth:`train`, by the stock program: :meth:`train_one`, one cell after the other."""
        with np.errstate(all="ignore"):  # cells that overflow are no news
            fits = [
                self._stock_fit(
                    x, y, network, training, float(eta), float(lmbd), plan.select([stream])
                )
                for eta, lmbd, stream in zip(cells.eta, cells.lmbd, cells.stream, strict=True)
            ]
        return Fit.concatenate(fits)

    def _stock_fit(
        self,
        x: Array,
        y: NDArray,
        network: Network,
        training: Training,
        eta: float,
        lmbd: float,
        plan: Plan,
    ) -> Fit:
        """One cell by :meth:`trace_one`; where it may stop early, traced to the end and cut off there."""
        path = TrainingPath(x, y, network, training, plan)
        if training.watches_validation:
            training = replace(training, patience=None)
        points = self.trace_one(x, y, network, training, eta, lmbd, plan.at(path.ends))
        for _, point in zip(path.segments(), points, strict=False):
            path.add(Weights.stack([point]))
        return path.fit()

    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        """The output of the library's own forward pass, for every cell.

        Class probabilities of shape (cells, samples, classes), two columns for two classes; for
        regression the predicted targets, (cells, samples, 1). This base class uses the written-out
        forward pass of :mod:`backends.formulas`.
        """
        return predict(x, network, weights)
