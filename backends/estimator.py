"""scikit-learn estimators over any backend: one network with one eta and one lmbd.

>>> from backends import MLPBackendClassifier
>>> from sklearn.datasets import load_iris
>>> x, y = load_iris(return_X_y=True)
>>> model = MLPBackendClassifier(backend="numpy", random_state=0).fit(x, y)
>>> model.predict_proba(x[:2]).shape
(2, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from inspect import signature
from numbers import Integral
from typing import Any, Literal, ParamSpec

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from backends.base import Backend
from backends.formulas import logits, penalty, sample_cost
from backends.network import Array, Cells, Network, Training, Weights
from backends.plan import Plan
from backends.registry import UnusableBackend, usable
from backends.settings import (
    DECAY,
    DECAY_EPOCHS,
    check_activations,
    check_hidden,
    check_momentum,
    check_nesterov,
    check_schedule,
    check_setting,
    check_switch,
    name_here,
    not_known,
)

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6 it was a method

    def validate_data(_estimator: Any, /, *arrays: Any, **settings: Any) -> Any:
        """The arrays as scikit-learn wants them, checked; notes the number and names of features."""
        return _estimator._validate_data(*arrays, **settings)


LOSS_POINTS = 8  # of a loss curve; each one interrupts the library's training


_P = ParamSpec("_P")


def _told_what_names_are_here(init: Callable[_P, None]) -> Callable[_P, None]:
    """The constructor, which says what a parameter that it does not have is called here."""
    names = list(signature(init).parameters)[1:]

    @wraps(init)
    def checked(*given: _P.args, **named: _P.kwargs) -> None:
        for name in named:
            if name not in names:
                raise TypeError(_not_a_parameter(name, names))
        init(*given, **named)

    return checked


class _MLPBackend(BaseEstimator):
    """What classifier and regressor share: parameters, training and the loss curve."""

    @_told_what_names_are_here
    def __init__(
        self,
        backend: str = "numpy",
        hidden: int | tuple[int, ...] = (50,),
        *,
        activation: str | Sequence[str] = "relu",
        eta: float = 0.01,
        lmbd: float = 1e-4,
        optimizer: str = "adam",
        schedule: str = "constant",
        decay: float = DECAY,
        decay_epochs: int = DECAY_EPOCHS,
        l1: float = 0.0,
        momentum: float = 0.0,
        nesterov: bool = False,
        epochs: int = 100,
        batch_size: int | Literal["all"] = 32,
        keep_last_batch: bool = True,
        patience: int | None = None,
        tol: float = 0.0,
        validation_fraction: float = 0.1,
        dtype: Literal["float32", "float64"] = "float64",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.backend = backend
        self.hidden = hidden
        self.activation = activation
        self.eta = eta
        self.lmbd = lmbd
        self.optimizer = optimizer
        self.schedule = schedule
        self.decay = decay
        self.decay_epochs = decay_epochs
        self.l1 = l1
        self.momentum = momentum
        self.nesterov = nesterov
        self.epochs = epochs
        self.batch_size = batch_size
        self.keep_last_batch = keep_last_batch
        self.patience = patience
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.dtype = dtype
        self.random_state = random_state

    def _check(self) -> None:
        """Refuse parameters as an experiment's settings are refused, before the data are looked at."""
        check_hidden(self._hidden)
        check_activations(self.activation, len(self._hidden))
        for name in ("eta", "lmbd", "optimizer", "momentum", "epochs", "batch_size"):
            check_setting(name, getattr(self, name))
        for name in ("schedule", "decay", "decay_epochs", "l1", "dtype", "tol"):
            check_setting(name, getattr(self, name))
        if self.patience is not None:
            check_setting("patience", self.patience)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction: found {self.validation_fraction!r}; allowed: a number between 0 and 1"
            )
        check_schedule(self.schedule, self.decay, self.decay_epochs)
        for name in ("nesterov", "keep_last_batch"):
            check_switch(name, getattr(self, name))
        check_momentum(self.momentum, self.optimizer)
        check_nesterov(self.nesterov, self.momentum)

    @property
    def _hidden(self) -> Any:
        """Units of each hidden layer; a single number is one layer."""
        return (self.hidden,) if isinstance(self.hidden, Integral) else self.hidden

    def _train(self, x: Array, y: NDArray[Any], network: Network) -> None:
        backend = self._backend()
        training = Training(
            optimizer=self.optimizer,  # type: ignore[arg-type]  # checked by ``unsupported``
            momentum=self.momentum,
            nesterov=self.nesterov,
            schedule=self.schedule,  # type: ignore[arg-type]  # checked
            decay=self.decay,
            decay_epochs=self.decay_epochs,
            l1=self.l1,
            dtype=self.dtype,
            patience=self.patience,
            tol=self.tol,
        )
        if reason := backend.unsupported(network, training):
            raise ValueError(reason)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rows, held = np.arange(len(x)), None
        if self.patience is not None:
            count = max(1, round(self.validation_fraction * len(x)))
            if count == len(x):
                raise ValueError(
                    f"patience: found {len(x)} sample; allowed: 2 or more, one to stop by"
                )
            mixed = np.random.default_rng(int(seed)).permutation(rows)
            rows, held = np.sort(mixed[count:]), np.sort(mixed[:count])
        plan = Plan.draw(
            network,
            rows,
            [int(seed)],
            epochs=self.epochs,
            batch_size=self.batch_size,
            keep_last_batch=self.keep_last_batch,
            dtype=self.dtype,
        )
        plan = replace(plan, validation=held)
        per_epoch = plan.steps // self.epochs
        points = np.geomspace(1, self.epochs, min(LOSS_POINTS, self.epochs)).round().astype(int)
        points = np.unique(points)
        cells = Cells.of(self.eta, self.lmbd)
        fit = backend.train(x, y, network, training, cells, plan.at((points * per_epoch).tolist()))
        self.n_iter_ = fit.steps[0] // per_epoch if fit.steps else self.epochs
        self.loss_epochs_, seen = np.unique(np.minimum(points, self.n_iter_), return_index=True)
        if not fit.weights.finite().all():
            raise ValueError(
                f"training diverged: weights are not finite with eta={self.eta} and "
                f"lmbd={self.lmbd}; try a smaller eta, or scale the features"
            )
        self.network_ = network
        self.coefs_ = [W[0] for W in fit.weights.W]
        self.intercepts_ = [b[0] for b in fit.weights.b]
        self.loss_curve_ = [
            float(
                sample_cost(logits(x, network, weights), y, network).mean()
                + penalty(weights, cells.lmbd, training, plan.batch_size)[0]
            )
            for weights in (fit.path[point] for point in seen)
        ]
        self.loss_ = self.loss_curve_[-1]

    def set_params(self, **parameters: Any) -> Any:
        """As everywhere in scikit-learn; a name of another program is told what it is called here."""
        for name in parameters:
            if name not in self._get_param_names():
                raise ValueError(_not_a_parameter(name, self._get_param_names()))
        return super().set_params(**parameters)

    def _backend(self) -> Backend:
        if not isinstance(self.backend, str):
            raise ValueError(f"backend: found {self.backend!r}; allowed: a name")
        try:
            return usable(self.backend)
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        except UnusableBackend as missing:
            raise ValueError(f"backend {self.backend!r}: {missing.reason}") from None

    def _outputs(self, x: Any) -> Array:
        check_is_fitted(self)
        x = validate_data(self, x, reset=False, dtype=np.dtype(self.dtype))
        weights = Weights.stack([(self.coefs_, self.intercepts_)])
        return self._backend().predict_proba(x, self.network_, weights)[0]


def _not_a_parameter(name: str, names: list[str]) -> str:
    """The sentence on a parameter that there is not, with what it is called here."""
    ours = name_here(name)
    return not_known("parameter", name, names, ours if ours in names else None)


_PARAMETERS = """
    Parameters
    ----------
    backend : str
        ``numpy``, ``sklearn``, ``tensorflow``, ``keras``, an installed one, or ``module:Class``.
    hidden : int or tuple of int
        Units of the hidden layers; a number is a single one, () none: logistic (linear) regression.
    activation : {"identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu"}, or a tuple of them
        Of all hidden layers, or one for each.
    eta, lmbd : float
        Learning rate; L2 strength of the canonical objective (:mod:`backends.base`).
    optimizer : {"sgd", "adam", "rmsprop", "adagrad"}
    schedule : {"constant", "inverse", "step"}
        Of eta: in epoch e, from 0, inverse is eta / (1 + decay e), step is eta decay^(e // decay_epochs).
    l1 : float
        Strength of an L1 penalty beside lmbd.
    momentum, nesterov
        Of sgd.
    epochs, batch_size, keep_last_batch
        Passes through the data, samples in a minibatch (or "all"), whether a short last one is used.
    patience : int or None
        Stop after so many epochs in a row whose loss on a part held back was not below the lowest so far
        minus ``tol`` (:mod:`backends.early_stopping`); None: never, and nothing is held back.
    tol, validation_fraction : float
        The part is this fraction of the samples, drawn by ``random_state`` and never trained on.
    dtype : {"float64", "float32"}
    random_state : int, RandomState or None
        Of initial weights and minibatch order; an int gives the same network every time, and from the
        same start on every backend.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays
        Weight matrices (inputs, outputs) and biases (outputs,) of each layer.
    loss_curve_ : list of float
        The objective on the training data, penalty included, with the weights after each epoch of
        ``loss_epochs_``.
    loss_ : float
        Its last value.
    network_ : Network
    n_features_in_, feature_names_in_, n_iter_
        As everywhere in scikit-learn.
"""


class MLPBackendClassifier(ClassifierMixin, _MLPBackend):
    __doc__ = f"""A multi-layer perceptron for classification, trained by any backend.

    Sample weights are not offered: not every library has them in the same sense.
    {_PARAMETERS.strip()}
    classes_ : array
        The labels, sorted; probabilities have their order.

    Raises
    ------
    ValueError
        From ``fit``: a parameter out of its range (:mod:`backends.settings`); a backend that is not
        known, not installed or cannot train the network; training that diverged.
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any) -> MLPBackendClassifier:
        """Train on X (samples, features) and labels y (samples,)."""
        self._check()
        x, y = validate_data(self, X, y, dtype=np.dtype(self.dtype))
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class only; a classifier needs two or more classes")
        network = Network.classifier(
            x.shape[1],
            self._hidden,
            len(self.classes_),
            self.activation,  # type: ignore[arg-type]  # checked by ``unsupported``
        )
        self._train(x, codes.astype(np.int64), network)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Class probabilities (samples, classes), by the library's own forward pass."""
        return self._outputs(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable labels (samples,)."""
        most = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most]


class MLPBackendRegressor(RegressorMixin, _MLPBackend):
    __doc__ = f"""A multi-layer perceptron for regression on one target, trained by any backend.

    The objective is half the squared error, averaged over the minibatch, and the penalty.
    {_PARAMETERS.strip()}

    Raises
    ------
    ValueError
        As :class:`MLPBackendClassifier`.
    """

    def fit(self, X: Any, y: Any) -> MLPBackendRegressor:
        """Train on X (samples, features) and targets y (samples,)."""
        self._check()
        x, y = validate_data(self, X, y, dtype=np.dtype(self.dtype), y_numeric=True)
        y = column_or_1d(y, warn=True).astype(self.dtype)
        network = Network.regressor(
            x.shape[1],
            self._hidden,
            self.activation,  # type: ignore[arg-type]  # checked by ``unsupported``
        )
        self._train(x, y, network)
        return self

    def predict(self, X: Any) -> Array:
        """The predicted targets (samples,)."""
        return self._outputs(X)[:, 0]
