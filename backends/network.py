"""What is trained and what comes back: network, training, weights, cells of a stack, fit.

The canonical objective, into which every library's own parameters are translated, is for a minibatch
of n samples

    C = (1/n) sum_i c_i  +  (lmbd / 2) sum_l ||W_l||^2  +  l1 sum_l ||W_l||_1

with c_i the cross-entropy (classification) or half the squared error (regression) of sample i, and
||W||_1 the sum of the entries' sizes; l1 is 0 unless asked for. Biases are not penalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backends.settings import (
    DECAY,
    DECAY_EPOCHS,
    check_hidden,
    check_nesterov,
    check_schedule,
    check_setting,
)
from backends.settings import Activation as Activation
from backends.settings import Device as Device
from backends.settings import Monitor as Monitor
from backends.settings import Optimizer as Optimizer
from backends.settings import Schedule as Schedule

Array = NDArray[np.floating]
Output = Literal["softmax", "logistic", "identity"]
Activations = Activation | tuple[Activation, ...]

ACTIVATIONS: tuple[Activation, ...] = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu")
OPTIMIZERS: tuple[Optimizer, ...] = ("sgd", "adam", "rmsprop", "adagrad")


@dataclass(frozen=True)
class Network:
    """A fully connected network.

    ``output`` fixes the cost: ``softmax`` (three or more classes) and ``logistic`` (two classes, one
    unit) go with the cross-entropy, ``identity`` (regression) with half the squared error. Without hidden
    layers it is logistic (softmax, linear) regression. ``activation``: of all hidden layers, or a tuple
    with one for each. ValueError for a hidden layer without units, or as many activations as there are
    not layers; what activations there are is for a backend to say.
    """

    features: int
    hidden: tuple[int, ...]
    outputs: int
    activation: Activations = "sigmoid"
    output: Output = "softmax"

    def __post_init__(self) -> None:
        check_hidden(self.hidden)
        if isinstance(self.activation, str):
            return
        names = tuple(self.activation)
        if len(names) != len(self.hidden):
            raise ValueError(
                f"activation: found {len(names)}; allowed: one for all, or one for each of "
                f"{len(self.hidden)} hidden layers"
            )
        # the same for all is one network, however it is written
        object.__setattr__(self, "activation", names[0] if len(set(names)) == 1 else names)

    @classmethod
    def classifier(
        cls, features: int, hidden: Sequence[int], classes: int, activation: Activations = "sigmoid"
    ) -> Network:
        """The network for ``classes`` classes: two classes need one logistic unit, more a softmax."""
        if classes == 2:
            return cls(features, tuple(hidden), 1, activation, "logistic")
        return cls(features, tuple(hidden), classes, activation, "softmax")

    @classmethod
    def regressor(
        cls, features: int, hidden: Sequence[int], activation: Activations = "sigmoid"
    ) -> Network:
        """The network for one real-valued target: one identity output."""
        return cls(features, tuple(hidden), 1, activation, "identity")

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        if isinstance(self.activation, str):
            return (self.activation,) * len(self.hidden)
        return self.activation

    @property
    def functions(self) -> tuple[str, ...]:
        """The function of each layer: the hidden layers' activations, then the output's."""
        return (*self.activations, self.output)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units per layer, inputs first: (features, *hidden, outputs)."""
        return (self.features, *self.hidden, self.outputs)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape (inputs, outputs) of each layer's weight matrix."""
        return tuple(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def layers(self) -> int:
        """Number of weight matrices."""
        return len(self.hidden) + 1

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(rows * columns + columns for rows, columns in self.shapes)

    @property
    def classes(self) -> int:
        """Number of classes; 0 for regression."""
        return {"softmax": self.outputs, "logistic": 2, "identity": 0}[self.output]

    def step_flop(self, rows: int) -> int:
        """Floating-point operations of the matrix products of one step on ``rows`` samples.

        Two for each multiplication and addition: a W forward, a^T delta for the gradient, and
        delta W^T back through every layer but the first.
        """
        products = [inputs * outputs for inputs, outputs in self.shapes]
        return 2 * rows * (3 * sum(products) - products[0])

    def __str__(self) -> str:
        one = isinstance(self.activation, str) and bool(self.hidden)
        names = [str(self.activation)] if one else [",".join(self.activations)]
        functions = "/".join(name for name in (*names, self.output) if name)
        return f"{'-'.join(map(str, self.sizes))} {functions}"


@dataclass(frozen=True)
class Training:
    """How the network is trained, apart from eta and lmbd, which belong to the cell.

    The first group is the optimiser: gradient descent, with momentum theta += v, v = m v - eta g, or
    theta += m v - eta g in Nesterov's form; or Adam,
    theta -= eta sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon), with epsilon beside the
    uncorrected root; or theta -= eta g / (sqrt(v) + epsilon), where v starts at 0 and becomes
    rho v + (1 - rho) g^2 (rmsprop) or v + g^2 (adagrad). That is PyTorch's form, and the notes'; Keras and
    optax have epsilon under the root, and Keras's adagrad starts at 0.1.

    ``schedule``: ``constant``, or eta of epoch e, counted from 0, is eta / (1 + decay e) (``inverse``) or
    eta decay^(e // decay_epochs) (``step``).

    The second is the objective; its defaults are the canonical
    objective of this module, the other values exist because other programs use them:

    ``cost``               ``mean`` or ``sum`` of the samples' cost over the minibatch.
    ``l1``                 strength of the sum of |W| over the weights that are penalised.
    ``penalty_factor``     the penalty's gradient is ``penalty_factor * (lmbd * W + l1 * sign(W))``.
    ``penalty_per_sample`` divides the penalty by the number of samples in the minibatch.
    ``penalised``          ``all`` weight matrices, or only the ``hidden`` layers'.

    ``patience`` makes training stop early, each cell by itself, and keep the weights it then has. None:
    never. ``monitor`` says by what: ``validation``, the mean cost of the plan's validation rows, which for
    that many epochs in a row was not below the lowest so far minus ``tol``, by one rule for all backends
    (:mod:`backends.early_stopping`); ``training``, scikit-learn's own rule, the mean objective of an epoch's
    minibatches, which for more than that many was not.

    ``device``: the processor, or the first GPU that the library sees.

    ValueError for a value outside :data:`backends.settings.RANGES` and :data:`backends.settings.CHOICES`;
    what optimisers there are is for a backend to say.
    """

    optimizer: Optimizer = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    rho: float = 0.99
    schedule: Schedule = "constant"
    decay: float = DECAY
    decay_epochs: int = DECAY_EPOCHS
    dtype: Literal["float32", "float64"] = "float32"

    l1: float = 0.0
    cost: Literal["mean", "sum"] = "mean"
    penalty_factor: float = 1.0
    penalty_per_sample: bool = False
    penalised: Literal["all", "hidden"] = "all"

    patience: int | None = None
    monitor: Monitor = "validation"
    tol: float = 0.0

    device: Device = "cpu"

    def __post_init__(self) -> None:
        for name in ("momentum", "beta_1", "beta_2", "epsilon", "rho", "penalty_factor", "tol"):
            check_setting(name, getattr(self, name))
        for name in (
            "l1",
            "schedule",
            "decay",
            "decay_epochs",
            "dtype",
            "cost",
            "penalised",
            "monitor",
        ):
            check_setting(name, getattr(self, name))
        check_setting("device", self.device)
        if self.patience is not None:
            check_setting("patience", self.patience)
        check_nesterov(self.nesterov, self.momentum)
        check_schedule(self.schedule, self.decay, self.decay_epochs)

    @property
    def watches_validation(self) -> bool:
        """Whether it may stop early by the validation part."""
        return self.patience is not None and self.monitor == "validation"

    @property
    def slots(self) -> int:
        """How many arrays of its size the optimiser remembers of each tensor."""
        return {"sgd": int(self.momentum > 0), "adam": 2}.get(self.optimizer, 1)

    @property
    def squares(self) -> tuple[float, float]:
        """k and s of v = k v + s g^2, of rmsprop and adagrad."""
        return (self.rho, 1 - self.rho) if self.optimizer == "rmsprop" else (1.0, 1.0)

    def eta_factor(self, epoch: int) -> float:
        """What the schedule makes of eta in an epoch, counted from 0."""
        if self.schedule == "inverse":
            return 1 / (1 + self.decay * epoch)
        return self.decay ** (epoch // self.decay_epochs) if self.schedule == "step" else 1.0

    def penalty(self, lmbd: float | Array, rows: int, layer: int, layers: int) -> float | Array:
        """Coefficient p of the penalty (p / 2) ||W||^2 of one weight matrix, for one minibatch.

        With ``l1`` in the place of ``lmbd`` that of p ||W||_1. ``rows`` is the number of samples in the
        minibatch, ``layer`` counts from 0.
        """
        if self.penalised == "hidden" and layer == layers - 1:
            return lmbd * 0.0
        scale = self.penalty_factor / rows if self.penalty_per_sample else self.penalty_factor
        return lmbd * scale

    def cost_scale(self, rows: int) -> float:
        """What a minibatch's summed cost is multiplied by: 1/n for the mean, 1 for the sum."""
        return 1.0 / rows if self.cost == "mean" else 1.0


@dataclass(frozen=True)
class Weights:
    """Weights and biases of a stack of networks.

    ``W[l]`` has shape (cells, inputs, outputs), ``b[l]`` shape (cells, outputs); l = 0 is the first
    hidden layer.
    """

    W: tuple[Array, ...]
    b: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.W[0])

    def __getitem__(self, cells: int | slice | NDArray[np.integer]) -> Weights:
        """The weights of some cells; the leading axis stays, also for a single cell."""
        index = slice(cells, cells + 1 or None) if isinstance(cells, int) else cells
        return Weights(tuple(W[index] for W in self.W), tuple(b[index] for b in self.b))

    @classmethod
    def stack(cls, networks: Sequence[tuple[Sequence[Array], Sequence[Array]]]) -> Weights:
        """Stack single networks, each a pair (weight matrices, biases) without a leading axis."""
        return cls(
            tuple(np.stack(layer) for layer in zip(*(W for W, _ in networks), strict=True)),
            tuple(np.stack(layer) for layer in zip(*(b for _, b in networks), strict=True)),
        )

    @classmethod
    def concatenate(cls, stacks: Sequence[Weights]) -> Weights:
        """One stack out of several, in the order given."""
        return cls(
            tuple(np.concatenate(layer) for layer in zip(*(s.W for s in stacks), strict=True)),
            tuple(np.concatenate(layer) for layer in zip(*(s.b for s in stacks), strict=True)),
        )

    def astype(self, dtype: str) -> Weights:
        return Weights(
            tuple(W.astype(dtype, copy=False) for W in self.W),
            tuple(b.astype(dtype, copy=False) for b in self.b),
        )

    def named(self) -> dict[str, Array]:
        """Every tensor by name, in the order of computation: W1, b1, W2, b2, ..."""
        pairs = zip(self.W, self.b, strict=True)
        return {
            f"{kind}{layer}": tensor
            for layer, (W, b) in enumerate(pairs, start=1)
            for kind, tensor in (("W", W), ("b", b))
        }

    def finite(self) -> NDArray[np.bool_]:
        """For each cell, whether every weight and bias is finite; shape (cells,)."""
        ok = [np.isfinite(t).all(axis=tuple(range(1, t.ndim))) for t in (*self.W, *self.b)]
        return np.logical_and.reduce(ok)


@dataclass(frozen=True)
class Cells:
    """The cells of a stack, as three arrays of shape (cells,).

    ``stream[c]`` says which of the plan's streams (initial weights and minibatch order) cell c uses.
    """

    eta: NDArray[np.float64]
    lmbd: NDArray[np.float64]
    stream: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        eta: Sequence[float] | float,
        lmbd: Sequence[float] | float,
        stream: Sequence[int] | int = 0,
    ) -> Cells:
        """Cells from lists of the same length; a single number stands for all cells."""
        etas, lmbds, streams = np.broadcast_arrays(
            np.atleast_1d(np.asarray(eta, dtype=np.float64)),
            np.asarray(lmbd, dtype=np.float64),
            np.asarray(stream, dtype=np.intp),
        )
        return cls(etas.copy(), lmbds.copy(), streams.copy())

    @classmethod
    def grid(cls, eta: Sequence[float], lmbd: Sequence[float], streams: int = 1) -> Cells:
        """All pairs, lmbd running fastest, once for every stream (streams running slowest)."""
        s, e, m = np.meshgrid(np.arange(streams), eta, lmbd, indexing="ij")
        return cls.of(e.ravel().tolist(), m.ravel().tolist(), s.ravel().tolist())

    def __len__(self) -> int:
        return len(self.eta)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> Cells:
        return Cells(self.eta[index], self.lmbd[index], self.stream[index])

    def layout(self) -> tuple[NDArray[np.intp], int]:
        """Group the cells as (groups, cells per group), the cells of a group sharing one stream.

        Gives the stream of each group and the number of cells per group. Cells that are not sorted
        into equal groups get a group each, which is always right and only slower.
        """
        streams, counts = np.unique(self.stream, return_counts=True)
        per_group = int(counts[0])
        if np.array_equal(self.stream, np.repeat(streams, per_group)):
            return streams, per_group
        return self.stream, 1


@dataclass(frozen=True)
class Fit:
    """What training gives back: the weights after each of the plan's checkpoints, in their order.

    ``steps``: where training may stop early, how many steps each cell took, (cells,); checkpoints
    after them hold the last weights.
    """

    path: tuple[Weights, ...]
    steps: tuple[int, ...] | None = None

    @property
    def weights(self) -> Weights:
        """The weights after the last checkpoint."""
        return self.path[-1]

    @classmethod
    def concatenate(cls, fits: Sequence[Fit]) -> Fit:
        """One fit of the cells of several, in the order given."""
        points = zip(*(fit.path for fit in fits), strict=True)
        steps = [step for fit in fits for step in fit.steps or ()]
        return cls(tuple(Weights.concatenate(point) for point in points), tuple(steps) or None)
