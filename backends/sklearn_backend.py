"""scikit-learn's MLPClassifier and MLPRegressor, led along the plan by public means only.

The library draws its initial weights from ``random_state.uniform``: a ``RandomState`` that hands out
the plan's weights puts them in. The plan's minibatches are laid out as the rows of one long data set,
which ``partial_fit`` with ``shuffle=False`` walks through in order: hundreds of steps in one call, for one
cell after the other.

A short minibatch is filled up with rows of weight zero, because the library cuts batches of one size.
``partial_fit`` knows weights from scikit-learn 1.7 on; an older one cannot follow a plan with short
minibatches.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, Convention, UnsupportedPlan
from backends.early_stopping import STOPPING, TrainingPath
from backends.network import Array, Cells, Fit, Network, Training, Weights
from backends.padding import rectangle
from backends.plan import Plan

# Bytes of rows laid out for one call.
ROWS_BUDGET = 16 * 2**20

_ACTIVATION = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


class SklearnBackend(Backend):
    """The real MLPClassifier (MLPRegressor for regression), one cell after the other."""

    name = "sklearn"
    library = "scikit-learn"
    modules = ("sklearn.neural_network",)
    activations = tuple(_ACTIVATION)
    heeds = ("momentum", "nesterov", "penalty_factor", "penalty_per_sample", "patience", "monitor")
    conventions: ClassVar[tuple[Convention, ...]] = (
        Convention(
            "penalty",
            "alpha = lmbd * B, because the library takes alpha * W / n over a minibatch of n",
            "alpha = 1e-4; with alpha = lmbd * B a short last minibatch of r would be penalised B / r "
            "times too strongly",
        ),
        Convention("cost of a minibatch", "mean over the samples", "mean"),
        Convention(
            "initial weights",
            "the plan's; ours: a RandomState whose uniform hands them out",
            "Glorot uniform, narrower for logistic units",
        ),
        Convention("initial biases", "the plan's, in the same way", "random, as the weights"),
        Convention(
            "minibatches",
            "the plan's, laid out in order for partial_fit, shuffle=False",
            "B = min(200, n), a permutation an epoch, the short last one kept",
        ),
        Convention(
            "short last minibatch",
            "filled up with rows of sample_weight 0, the others at B / r (needs scikit-learn 1.7)",
            "taken as it is",
        ),
        Convention(
            "optimiser", "solver = 'sgd' or 'adam', learning_rate_init = eta", "'adam', 1e-3"
        ),
        Convention("momentum", "as asked", "0.9 with Nesterov, for solver='sgd'"),
        Convention("Adam", "the library's, epsilon = 1e-8", "epsilon = 1e-8"),
        Convention(
            "stopping",
            f"{STOPPING}; with monitor training the library's rule, applied to its loss_curve_ epoch by "
            "epoch",
            "when 10 epochs gain less than 1e-4",
        ),
        Convention("two classes", "one logistic output", "one logistic output"),
    )

    def needs(self) -> tuple[str, ...]:
        return ("scipy",)

    def unsupported(self, network: Network, training: Training) -> str | None:
        if training.cost != "mean":
            return "MLPClassifier averages the cost over the minibatch and cannot sum it"
        if training.penalised != "all":
            return "MLPClassifier penalises every layer's weights and cannot leave one out"
        if training.l1:
            return "MLPClassifier has an L2 penalty alone, no L1"
        if training.schedule != "constant":
            return (
                "MLPClassifier's own schedules change eta by samples seen or by the loss, and partial_fit "
                "reads its learning rate once"
            )
        return super().unsupported(network, training)

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
        """As its users write it: alpha = lmbd * B once, ``partial_fit`` on one minibatch after the other.

        A short last minibatch of r is penalised B / r times too strongly, as the library does by itself.
        """
        estimator = _estimator(network, training, eta, lmbd, plan, 0)
        first_call = _classes(network)
        for rows in plan.batches():
            if not _continue(estimator, x[rows], y[rows], None, first_call):
                break
            first_call = {}
        if plan.steps == 0:
            return plan.start()
        return estimator.coefs_, estimator.intercepts_

    @np.errstate(all="ignore")  # cells that overflow are no news
    def train(
        self, x: Array, y: NDArray, network: Network, training: Training, cells: Cells, plan: Plan
    ) -> Fit:
        rows = _Rows(x, y, training, plan)
        if rows.need_weights and not _weights_known():
            raise UnsupportedPlan(
                "sklearn cannot take a kept short last minibatch: MLPClassifier.partial_fit knows "
                "sample_weight from scikit-learn 1.7 on"
            )
        streams = cells.stream.tolist()
        estimators = [
            _estimator(network, training, float(eta), float(lmbd), plan, stream)
            for eta, lmbd, stream in zip(cells.eta, cells.lmbd, streams, strict=True)
        ]
        if training.patience is None or training.watches_validation:
            whole = TrainingPath(x, y, network, training, plan)
            return _along(whole, estimators, rows, network, plan, streams)
        paths, steps = [], []
        for estimator, stream in zip(estimators, streams, strict=True):
            path, taken = _stopping_path(estimator, rows, network, plan, stream)
            paths.append(path)
            steps.append(taken)
        return Fit(
            tuple(Weights.concatenate(point) for point in zip(*paths, strict=True)), tuple(steps)
        )

    @np.errstate(all="ignore")
    def predict_proba(self, x: Array, network: Network, weights: Weights) -> Array:
        """By the library's own forward pass; one estimator is given the weights of one cell after another."""
        outputs = np.full((len(weights), len(x), network.classes or 1), np.nan, x.dtype)
        estimator = _untrained(x, network, weights[0])
        for cell in np.flatnonzero(weights.finite()):
            estimator.coefs_ = [W[cell] for W in weights.W]
            estimator.intercepts_ = [b[cell] for b in weights.b]
            if network.output == "identity":
                outputs[cell, :, 0] = estimator.predict(x)
            else:
                outputs[cell] = estimator.predict_proba(x)
        return outputs


class _Handout(np.random.RandomState):
    """A source of random numbers whose ``uniform`` gives out the planned arrays, one a call."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        super().__init__(0)
        self._arrays = iter(arrays)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        planned = next(self._arrays)
        if planned.shape != tuple(np.atleast_1d(size)):
            raise RuntimeError(
                f"scikit-learn asked for initial values of shape {size}, the plan has "
                f"{planned.shape}: this version initialises in another order"
            )
        return planned.copy()


def _estimator(
    network: Network, training: Training, eta: float, lmbd: float, plan: Plan, stream: int
) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if network.output == "identity" else MLPClassifier
    initial = plan.initial[stream]
    per_sample = lmbd * training.penalty_factor
    return kind(
        hidden_layer_sizes=network.hidden,
        activation=_activation(network),
        solver=training.optimizer,
        alpha=per_sample if training.penalty_per_sample else per_sample * plan.batch_size,
        batch_size=plan.batch_size,
        learning_rate_init=eta,
        max_iter=1,
        shuffle=False,
        random_state=_Handout([tensor[0] for tensor in initial.named().values()]),
        tol=0.0,
        n_iter_no_change=np.inf,
        momentum=training.momentum,
        nesterovs_momentum=training.nesterov,
        beta_1=training.beta_1,
        beta_2=training.beta_2,
        epsilon=training.epsilon,
    )


class _Rows:
    """The plan's minibatches laid out as consecutive rows."""

    def __init__(self, x: Array, y: NDArray, training: Training, plan: Plan) -> None:
        self.x, self.y, self.training, self.plan = x, y, training, plan
        self.order, self.real = rectangle(plan)

    @property
    def need_weights(self) -> bool:
        """Whether some rows of the plan carry another weight than the others."""
        # by the library's rule an epoch is taken as it is: its short minibatch needs another penalty at most
        library = self.training.patience is not None and not self.training.watches_validation
        return not (library and self.training.penalty_per_sample) and not self.real.all()

    def between(
        self, first: int, last: int, stream: int
    ) -> Iterator[tuple[Array, NDArray, Array | None]]:
        """Inputs, targets and sample weights of steps first .. last - 1, in calls of bounded size."""
        steps = max(1, ROWS_BUDGET // (self.plan.batch_size * self.x.shape[1] * self.x.itemsize))
        for start in range(first, last, steps):
            yield self._lay(start, min(start + steps, last), stream)

    def epoch(self, steps: slice, stream: int) -> tuple[Array, NDArray, Array | None]:
        """Inputs, targets and sample weights of an epoch as it is, its short last minibatch short."""
        bounds, size = self.plan.bounds[steps.start : steps.stop + 1], self.plan.batch_size
        order = self.plan.order[stream, bounds[0] : bounds[-1]]
        tail = bounds[-1] - bounds[-2]
        weight = None
        if tail < size and not self.training.penalty_per_sample:
            weight = np.ones(len(order), self.x.dtype)
            weight[-tail:] = size / tail
        return self.x[order], self.y[order], weight

    def _lay(self, first: int, last: int, stream: int) -> tuple[Array, NDArray, Array | None]:
        rows, real = self.order[stream, first:last].ravel(), self.real[first:last]
        if real.all():
            return self.x[rows], self.y[rows], None
        # the library divides by the sum of the weights: B / r keeps that sum at B, and so the
        # penalty at alpha / B; weights of one let it become r, as its own short minibatch would
        counts = real.sum(axis=1, keepdims=True)
        weight = real if self.training.penalty_per_sample else real * (real.shape[1] / counts)
        return self.x[rows], self.y[rows], weight.ravel().astype(self.x.dtype)


def _along(
    path: TrainingPath,
    estimators: Sequence[Any],
    rows: _Rows,
    network: Network,
    plan: Plan,
    streams: Sequence[int],
) -> Fit:
    """The cells trained along their path, their weights kept from where the library met one not finite.

    Rows are laid out once for all cells of a stream.
    """
    current = [plan.initial[stream] for stream in streams]
    # the cells still in training, each with what its next call wants to know beside the rows
    going = dict.fromkeys(range(len(streams)), _classes(network))
    for first, last in path.segments():
        for cell in path.stopped:
            going.pop(cell, None)
        for stream in dict.fromkeys(streams):
            for x, y, weight in rows.between(first, last, stream):
                for cell in [c for c in going if streams[c] == stream]:
                    finite = _continue(estimators[cell], x, y, weight, going[cell])
                    going[cell] = {}
                    current[cell] = _weights(estimators[cell])
                    if not finite:
                        del going[cell]
        path.add(Weights.concatenate(current))
    return path.fit()


def _stopping_path(
    estimator: Any, rows: _Rows, network: Network, plan: Plan, stream: int
) -> tuple[list[Weights], int]:
    """The weights after every checkpoint and the steps taken, stopping by the library's own rule.

    An epoch a call, as the rule looks at epochs: their mean objective is in ``loss_curve_``.
    """
    if plan.steps_per_epoch is None:
        raise ValueError("stopping early needs a plan that counts epochs")
    from sklearn import config_context

    training = rows.training
    assert training.patience is not None
    first_call, after = _classes(network), {0: plan.initial[stream]}
    best, worse, step = np.inf, 0, 0
    # one check of rows and parameters is enough for thousands of calls
    with config_context(assume_finite=True, skip_parameter_validation=True):
        while step < plan.steps and worse <= training.patience:
            epoch = slice(step, step + plan.steps_per_epoch)
            if not _continue(estimator, *rows.epoch(epoch, stream), first_call):
                worse = training.patience + 1
            else:
                loss = estimator.loss_curve_[-1]
                worse = worse + 1 if loss > best - training.tol else 0
                best = min(best, loss)
            first_call = {}
            step = epoch.stop
            after[step] = _weights(estimator)
    return [after[max(s for s in after if s <= point)] for point in plan.checkpoints], step


def _continue(
    estimator: Any, x: Array, y: NDArray, weight: Array | None, first_call: dict[str, Any]
) -> bool:
    """Train on these rows in their order; False if a weight is no longer finite."""
    weighted = {} if weight is None else {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("ignore", "Got `batch_size`")  # of a short minibatch by itself
        try:
            estimator.partial_fit(x, y, **weighted, **first_call)
        except ValueError:
            if _weights(estimator).finite().all():
                raise
            return False
    return True


def _activation(network: Network) -> str:
    """Its name here; without hidden layers one that changes nothing."""
    return _ACTIVATION[network.activations[0]] if network.hidden else "identity"


def _weights_known() -> bool:
    """Whether the installed library's ``partial_fit`` takes sample weights."""
    from sklearn.neural_network import MLPClassifier

    return "sample_weight" in inspect.signature(MLPClassifier().partial_fit).parameters


def _classes(network: Network) -> dict[str, Any]:
    """What the first ``partial_fit`` of a classifier wants to know beside the rows."""
    return {} if network.output == "identity" else {"classes": np.arange(network.classes)}


def _weights(estimator: Any) -> Weights:
    return Weights.stack([(estimator.coefs_, estimator.intercepts_)])


def _untrained(x: Array, network: Network, weights: Weights) -> Any:
    """An estimator that has seen one sample, and so knows what it is; its weights mean nothing."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if network.output == "identity" else MLPClassifier
    estimator = kind(
        hidden_layer_sizes=network.hidden,
        activation=_activation(network),
        solver="sgd",
        shuffle=False,
        random_state=_Handout([np.zeros_like(tensor[0]) for tensor in weights.named().values()]),
    )
    no_target = np.zeros(1, x.dtype if network.output == "identity" else np.int64)
    return estimator.partial_fit(x[:1], no_target, **_classes(network))
