"""What a setting of a training may be, and the words in which anything else is refused.

Imports no NumPy, so that settings are read, and refused, quickly.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

# leaky_relu's slope and elu's alpha are backends.formulas.LEAKY_SLOPE and ELU_ALPHA
Activation = Literal["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu"]
Optimizer = Literal["sgd", "adam", "rmsprop", "adagrad"]
Schedule = Literal["constant", "inverse", "step"]
Monitor = Literal["validation", "training"]
Minibatches = Literal["permutation", "reshuffle", "independent"]
InitialWeights = Literal["glorot_uniform", "he_normal", "normal", "truncated_normal"]
Device = Literal["cpu", "gpu"]
InitialBias = float | Literal["as_weights"]

_SHORT_LIST = 12  # names that are listed although the one that was meant is known


@dataclass(frozen=True)
class Range:
    """Finite numbers: from ``least`` on, or only those above it; and below another number."""

    least: float = 0.0
    above: bool = False
    below: float = math.inf
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        number = float(value)
        low = number > self.least if self.above else number >= self.least
        return low and number < self.below and math.isfinite(number)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a finite number"
        if self.above:
            return f"{kind} above {self.least:g}"
        if self.below < math.inf:
            return f"{kind} from {self.least:g} to below {self.below:g}"
        return f"{kind}, {self.least:g} or above"


COUNT = Range(least=1, whole=True)
NOT_NEGATIVE = Range()
FRACTION = Range(below=1)

DECAY, DECAY_EPOCHS = 0.1, 10  # of a schedule that changes eta

RANGES = {
    "eta": Range(above=True),
    "lmbd": NOT_NEGATIVE,
    "hidden": COUNT,
    "momentum": FRACTION,
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "rho": FRACTION,
    "epsilon": NOT_NEGATIVE,
    "epochs": COUNT,
    "batch_size": COUNT,
    "l1": NOT_NEGATIVE,
    "decay": Range(above=True),
    "decay_epochs": COUNT,
    "penalty_factor": NOT_NEGATIVE,
    "patience": COUNT,
    "tol": NOT_NEGATIVE,
}
CHOICES = {
    "activation": get_args(Activation),
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "dtype": ("float32", "float64"),
    "cost": ("mean", "sum"),
    "penalised": ("all", "hidden"),
    "monitor": get_args(Monitor),
    "device": get_args(Device),
}


# What other programs call our settings: scikit-learn, Keras, PyTorch, and papers.
NAMES_ELSEWHERE = {
    name: ours
    for ours, names in {
        "eta": "lr learning_rate learning_rate_init step_size",
        "lmbd": "l2 alpha lambda lambd lam reg reg_lambda regularization regularisation weight_decay penalty",
        "epochs": "max_iter n_epochs num_epochs nb_epoch nb_epochs epoch iterations n_iter",
        "batch_size": "batch minibatch minibatch_size mini_batch_size bs",
        "hidden": "hidden_layer_sizes hidden_layers hidden_units hidden_size hidden_dim n_hidden layers "
        "n_layers num_layers units neurons",
        "activation": "act nonlinearity activation_function",
        "optimizer": "solver optimiser optim method",
        "minibatches": "shuffle",
        "schedule": "learning_rate_schedule lr_schedule lr_scheduler",
        "decay": "gamma decay_rate lr_decay",
        "l1": "l1_ratio lasso",
        "nesterov": "nesterovs_momentum use_nesterov",
        "patience": "n_iter_no_change early_stopping",
        "dtype": "precision floatx",
        "device": "accelerator",
        "seed": "random_state random_seed rng",
        "repeats": "runs n_runs n_repeats num_repeats repetitions trials",
        "folds": "cv n_splits n_folds kfold k_folds",
        "validation_size": "validation_split validation_fraction val_size val_split",
        "test_size": "test_split test_fraction",
        "scale": "scaler scaling normalize normalise standardize standardise",
        "dataset": "data dataset_name csv train_file",
        "test_file": "test_data test_csv test_set test",
        "drop": "drop_columns exclude ignore ignore_columns",
        "features": "columns feature_columns use_columns usecols",
        "missing": "na impute imputer",
        "target": "label labels target_column y",
        "backends": "library libraries framework frameworks engine",
        "initial_weights": "kernel_initializer weight_init initializer init initial",
        "initial_bias": "bias_initializer bias_init",
        "cost": "loss criterion loss_reduction reduction",
        "jobs": "n_jobs workers n_workers num_workers processes",
        "threads": "n_threads num_threads",
        "unit_timeout": "timeout time_limit",
        "output": "out out_dir output_dir outdir",
    }.items()
    for name in names.split()
}


def check_setting(name: str, value: Any) -> None:
    """Refuse a value that the setting of this name may not have.

    Raises ValueError with the setting, what was found and what is allowed.
    """
    if name == "batch_size" and isinstance(value, str) and value == "all":
        return
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ValueError(not_known(name, str(value), CHOICES[name]))
    elif value not in RANGES[name]:
        whole = ", or all" if name == "batch_size" else ""
        raise ValueError(f"{name}: found {value!r}; allowed: {RANGES[name]}{whole}")


def check_hidden(hidden: Any) -> None:
    """Refuse what is no list of units of hidden layers, which may be empty; ValueError."""
    if not isinstance(hidden, Collection) or isinstance(hidden, str):
        raise ValueError(f"hidden: found {hidden!r}; allowed: a whole number for each layer")
    for units in hidden:
        check_setting("hidden", units)


def check_activations(activation: Any, layers: int) -> None:
    """Refuse what is neither one activation nor one for each of so many hidden layers; ValueError."""
    one = isinstance(activation, str)
    if not one and not isinstance(activation, Sequence):
        raise ValueError(f"activation: found {activation!r}; allowed: a name, or one a layer")
    for name in [activation] if one else activation:
        check_setting("activation", name)
    if not one and len(activation) != layers:
        raise ValueError(
            f"activation: found {len(activation)} ({', '.join(activation)}) for {layers} hidden "
            f"layer{'' if layers == 1 else 's'}; allowed: one for all, or one for each"
        )


def check_nesterov(nesterov: bool, momentum: float) -> None:
    """Refuse Nesterov's form of a momentum that is zero; ValueError."""
    if nesterov and not momentum:
        raise ValueError(f"nesterov: needs a momentum above 0, found momentum {momentum:g}")


def check_momentum(momentum: float, optimizer: str) -> None:
    """Refuse a momentum of an optimiser that has none of ours; ValueError."""
    if momentum and optimizer != "sgd":
        raise ValueError(
            f"momentum: found {momentum:g} with optimizer {optimizer}; allowed: only with sgd"
        )


def check_schedule(schedule: str, decay: float, decay_epochs: int) -> None:
    """Refuse sizes of a decay of eta that the schedule does not use; ValueError."""
    if schedule == "step" and decay > 1:
        raise ValueError(
            f"decay: found {decay:g} with schedule step; allowed: at most 1, the factor of eta"
        )
    if schedule == "constant" and decay != DECAY:
        raise ValueError(f"decay: found {decay:g} with schedule constant; allowed: inverse, step")
    if schedule != "step" and decay_epochs != DECAY_EPOCHS:
        raise ValueError(
            f"decay_epochs: found {decay_epochs} with schedule {schedule}; allowed: only with step"
        )


def rows_of_batch(batch_size: int | Literal["all"], samples: int) -> int:
    """Samples in a full minibatch: as many as asked for, and never more than there are."""
    return samples if batch_size == "all" else min(batch_size, samples)


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither true nor false; ValueError."""
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy's is called bool or bool_
        raise ValueError(f"{name}: found {value!r}; allowed: true or false")


def not_known(what: str, found: str, allowed: Iterable[str], meant: str | None = None) -> str:
    """The sentence on a name that is not among the allowed ones, with the nearest right spelling.

    ``meant`` is the right name where it is known and spelt otherwise.
    """
    names = list(allowed)
    near = [meant] if meant else difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if near and len(names) > _SHORT_LIST:
        return f"{what}: {found!r} is not known; {hint.rstrip()}"
    return f"{what}: {found!r} is not known; {hint}allowed: {', '.join(names)}"


def name_here(name: str) -> str:
    """What a setting is called here, from what another program calls it; else the name itself."""
    plain = name.strip("-").replace("-", "_").lower()
    return NAMES_ELSEWHERE.get(plain, plain)
