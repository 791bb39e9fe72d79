"""A recording as steps to be judged: the rules its author believes in, and the weights kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from backends.network import Activation, Array, Network, Output, Training
from backends.recording import Recording
from harness.document.words import series
from harness.errors import InputError
from harness.mistakes.catalogue import catalogue
from harness.mistakes.cost_mistakes import weighted
from harness.mistakes.gradient_mistakes import kept_still
from harness.mistakes.mistake import Mistake, always, times_p
from harness.mistakes.optimisers import adam_as, velocity_without_eta
from harness.mistakes.reference_step import Batch, State, StepRules
from harness.mistakes.step_trace import StepTrace
from harness.recordings.said_schedule import etas_as_said, named_schedule, said_eta

USUAL: dict[str, Any] = {  # of what is not said and cannot be seen
    "momentum": 0.0,
    "nesterov": False,
    "dampening": 0.0,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "rho": 0.99,
    "l1": 0.0,
    "cost": "mean",
    "penalised": "all",
}
_AMSGRAD = {"torch": "amsgrad of torch", "keras": "amsgrad of Keras"}
_CLIPPING = {
    "clipnorm": "clipping by a tensor's norm",
    "global_clipnorm": "clipping by norm",
    "clipvalue": "clipping by value",
}
_CORRECTED_ROOT = (
    "torch",
    "jax",
    "optax",
    "flax",
)  # whose Adam has epsilon beside the corrected root


def output_of(recording: Recording) -> Output:
    """The output function: as said, or as the targets and the number of outputs have it."""
    if said := recording.about.get("output"):
        return cast(Output, said)
    y, outputs = recording.y, recording.sizes[-1]
    if y.ndim == 1 and y.dtype.kind in "iu":
        return (
            "softmax" if outputs > 1 else "logistic" if set(np.unique(y)) <= {0, 1} else "identity"
        )
    rows = y.reshape(len(y), -1)
    one_hot = bool(np.isin(rows, (0, 1)).all())
    if one_hot and rows.shape[1] > 1 and bool((rows.sum(axis=1) == 1).all()):
        return "softmax"
    return "logistic" if one_hot and rows.shape[1] == 1 and outputs == 1 else "identity"


def targets_in(recording: Recording) -> tuple[Array, NDArray[Any]]:
    """What the output should give, (samples, outputs), and class numbers or the targets themselves."""
    y, outputs, output = recording.y, recording.sizes[-1], output_of(recording)
    rows = y.reshape(len(y), -1).astype(np.float64)
    if output == "softmax" and rows.shape[1] == 1:
        numbers = rows[:, 0].astype(int)
        return np.eye(outputs)[numbers], numbers
    if output == "softmax":
        return rows, rows.argmax(axis=1)
    if output == "logistic" and rows.shape[1] == 2:
        rows = rows[:, 1:]
    if rows.shape[1] != outputs:
        raise InputError(
            f"{recording.path}: y: found {rows.shape[1]} columns; allowed: {outputs}, the outputs"
        )
    return rows, rows[:, 0].astype(int) if output == "logistic" else rows[:, 0]


def minibatches_of(recording: Recording) -> list[Batch]:
    """The minibatch of every step."""
    x, (t, y) = recording.x, targets_in(recording)
    picked = [recording.rows_of(step) for step in range(recording.steps)]
    return [Batch(x[rows].astype(np.float64), t[rows], y[rows]) for rows in picked]


def rules_of(recording: Recording, about: Mapping[str, Any]) -> StepRules:
    """The rules that ``about`` states; what it leaves open is as usual.

    Where it says what differs from the canonical objective and is meant so, that becomes a convention.
    """
    sizes, output = recording.sizes, output_of(recording)
    said = {**USUAL, **about}
    activation = said.get("activation") or "sigmoid"
    names = [activation] * (len(sizes) - 2) if isinstance(activation, str) else list(activation)
    if len(names) != len(sizes) - 2:
        raise InputError(
            f"{recording.path}: activation of about: found {len(names)}; allowed: one name, or a list of "
            f"{len(sizes) - 2}, the hidden layers"
        )
    lmbds = said.get("lmbd") or 0.0
    lmbds = list(lmbds) if isinstance(lmbds, list) else [lmbds] * (len(sizes) - 1)
    if len(lmbds) != len(sizes) - 1:
        raise InputError(
            f"{recording.path}: lmbd of about: found {len(lmbds)}; allowed: one number, or a list of "
            f"{len(sizes) - 1}, the weight matrices"
        )
    lmbd = float(max(lmbds, key=abs))
    epoch_steps = said.get("steps_per_epoch") or _steps_per_epoch(recording)
    etas = said["eta"] if isinstance(said.get("eta"), list) else []
    schedule = named_schedule(etas, epoch_steps)
    try:
        training = Training(
            optimizer=said.get("optimizer") or "sgd",
            momentum=float(said["momentum"]),
            nesterov=bool(said["nesterov"] and said["momentum"]),
            beta_1=float(said["beta_1"]),
            beta_2=float(said["beta_2"]),
            epsilon=float(said["epsilon"]),
            rho=float(said["rho"]),
            l1=float(said["l1"]),
            dtype="float32" if recording.dtype == "float32" else "float64",
            cost=said["cost"],
            penalised=said["penalised"],
            penalty_per_sample=bool(said.get("penalty_per_sample")),
            **schedule,
        )
    except ValueError as error:
        raise InputError(f"{recording.path}: about: {error}") from None
    first = cast(Activation, names[0] if names else "sigmoid")
    network = Network(sizes[0], sizes[1:-1], sizes[-1], first, output)
    numbers = targets_in(recording)[1]
    counts = np.bincount(numbers, minlength=network.classes).tolist() if network.classes else []
    weights = said.get("class_weights")
    if weights is not None and len(weights) != network.classes:
        raise InputError(
            f"{recording.path}: class_weights of about: found {len(weights)}; allowed: "
            f"{network.classes}, one a class"
        )
    lengths = np.diff(recording.bounds)
    eta = said_eta(said.get("eta"))
    rules = StepRules(
        network,
        training,
        eta or 0.0,
        lmbd,
        len(recording.x),
        tuple(counts),
        int(lengths.max(initial=0)),
        epoch_steps,
        tuple(names),
    )
    if etas and eta and not schedule:
        rules = rules_with(rules, etas_as_said(etas, eta))
    biases = [] if recording.biases else [f"b{layer}" for layer in range(1, len(sizes))]
    said["frozen"] = [*(said.get("frozen") or []), *biases]
    return rules_with(rules, *conventions_of(rules, said, lmbds))


def rules_with(rules: StepRules, *conventions: Mistake) -> StepRules:
    """The same with more conventions."""
    return replace(rules, conventions=(*rules.conventions, *conventions))


def conventions_of(
    rules: StepRules, said: Mapping[str, Any], lmbds: Sequence[float]
) -> list[Mistake]:
    """What is said to be done otherwise than in the canonical objective."""
    chosen = []
    if len(set(lmbds)) > 1:
        chosen.append(penalties({f"W{k}": value for k, value in enumerate(lmbds, start=1)}))
    for key, name in (("penalised_biases", "penalised biases"), ("decoupled", "decoupled decay")):
        if said.get(key) and rules.lmbd:
            chosen.append(next(m for m in catalogue(rules) if m.name == name))
    if smoothing := said.get("label_smoothing"):
        smoothed = next(m for m in catalogue(rules) if m.name == "label smoothing")
        chosen.append(replace(smoothed.of_size(smoothing), group="convention", starts=()))
    if weights := said.get("class_weights"):
        words = f"samples are weighted by class, {series([f'{w:g}' for w in weights])}, as said"
        own = weighted(np.array(weights, float), divided=rules.training.cost == "mean")
        chosen.append(Mistake(words, words, "convention", "cross-entropy", {"cross-entropy": own}))
    if factor := said.get("cost_factor"):
        chosen.append(_factor(f"the cost has the factor {factor:g}", float(factor)))
    library = str(said.get("library") or "")
    if rules.training.optimizer == "adam":
        if said.get("amsgrad"):
            form = adam_as(_AMSGRAD.get(library, "amsgrad"))
            chosen.append(_optimiser("AMSGrad, as said", form))
        elif library in _CORRECTED_ROOT:
            chosen.append(corrected_root())
        elif library == "keras":
            chosen.append(single_correction())
    if library == "keras" and rules.training.dtype == "float64":
        single = ("lmbd rounded", "momentum rounded")
        chosen += [replace(m, group="convention") for m in catalogue(rules) if m.name in single]
    elif (
        rules.training.optimizer == "sgd"
        and rules.training.momentum
        and (library == "torch" or said["dampening"])
    ):
        form = velocity_without_eta(float(said["dampening"]))
        chosen.append(_optimiser("momentum as PyTorch has it", form))
    for key, name in _CLIPPING.items():
        if size := said.get(key):
            cut = next(m for m in catalogue(rules) if m.name == name)
            chosen.append(replace(cut.of_size(size), group="convention", starts=()))
    if names := said.get("frozen"):
        words = f"{series(names)} not updated, as said"
        chosen.append(
            Mistake(words, words, "convention", "W1", {"change": kept_still(tuple(names))})
        )
    return chosen


def _factor(words: str, factor: float, group: str = "convention") -> Mistake:
    return Mistake("cost's factor", words, group, "dW1", {"cost": times_p}, factor)


def squared_error(rules: StepRules) -> Mistake:
    """The mean squared error of libraries, over rows and outputs, in place of half its sum over outputs."""
    words = "the cost is the mean squared error, without the half"
    return _factor(words, 2 / rules.network.outputs, "found convention")


def corrected_root() -> Mistake:
    """Adam with epsilon beside the corrected root: algorithm 1 of Kingma and Ba, PyTorch, JAX."""
    words = "Adam's epsilon stands beside the corrected root, as in Kingma and Ba's algorithm 1"
    return _optimiser(words, adam_as("corrected root"))


def single_correction() -> Mistake:
    """Keras's Adam: the bias correction from betas that went through float32."""
    words = "Keras takes the betas of Adam's bias correction in float32"
    return _optimiser(words, adam_as("corrected in float32"))


def _optimiser(words: str, optimiser: Any) -> Mistake:
    return Mistake(words, words, "convention", "W1", {"optimiser": always(optimiser)})


def penalties(strengths: Mapping[str, float]) -> Mistake:
    """A penalty lmbd theta of each tensor's own strength, in place of the canonical one."""

    def penalty(decay: Array, here: Any, p: float) -> Array:
        return strengths.get(here.name, 0.0) * np.asarray(here.before[here.name])

    told = ", ".join(f"{value:.4g} on {name}" for name, value in strengths.items())
    return Mistake("penalties", f"lmbd is {told}", "convention", "W1", {"penalty": penalty})


def _steps_per_epoch(recording: Recording) -> int | None:
    """After how many steps the rows begin anew, if they do in whole epochs."""
    n = len(recording.x)
    ends = np.flatnonzero(recording.bounds == n)
    if not len(ends) or not ends[0]:
        return None
    first = np.sort(recording.rows[:n])
    return int(ends[0]) if np.array_equal(first, np.arange(n)) else None


def traced(
    recording: Recording,
    rules: StepRules,
    batches: Sequence[Batch],
    first: int = 0,
    last: int | None = None,
) -> StepTrace:
    """The steps after the first so many, up to the last; by default all to the last kept weights.

    What the optimiser remembers of the steps before is followed by the rules.
    """
    end = int(recording.kept[-1]) if last is None else last
    places = {int(step): place for place, step in enumerate(recording.kept)}
    weights = [
        _float64(recording.weights(places[step])) if step in places else None
        for step in range(1, end + 1)
    ]
    whole = StepTrace(
        rules,
        State(_float64(recording.weights(0))),
        tuple(batches[:end]),
        tuple(weights),
    )
    return whole if not first else after(whole, first)


def after(trace: StepTrace, first: int) -> StepTrace:
    """The steps of a trace that come after its first so many."""
    state = trace.first(first).states(trace.rules)[-1]
    return StepTrace(trace.rules, state, trace.batches[first:], trace.weights[first:])


def _float64(weights: Mapping[str, Array]) -> dict[str, Array]:
    return {name: tensor.astype(np.float64) for name, tensor in weights.items()}


def other_data(recording: Recording, rules: StepRules) -> list[Mistake]:
    """Mistakes of scaling that need the whole data: inputs and targets standardised, or brought to 0..1."""
    x = recording.x.astype(np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0)
    low, high = x.min(axis=0), x.max(axis=0)
    found = []
    for words, shift, scale in (
        ("standardised", mean, std),
        ("centred, their mean taken off,", mean, np.ones_like(std)),
        ("brought to 0 to 1", low, high - low),
    ):
        scale = np.where(scale == 0, 1.0, scale)
        if np.allclose(shift, 0, atol=1e-6) and np.allclose(scale, 1, atol=1e-6):
            continue

        def change(
            rows: Array, here: Any, p: float, shift: Any = shift, scale: Any = scale
        ) -> Array:
            return (rows - shift) / scale

        told = f"the inputs are {words} once more than in the recorded x"
        found.append(Mistake("inputs otherwise scaled", told, "inputs", "rows", {"rows": change}))
    if rules.network.output == "identity":
        t = targets_in(recording)[0]
        centre, spread = t.mean(axis=0), np.where(t.std(axis=0) == 0, 1.0, t.std(axis=0))

        def scaled(rows: Array, here: Any, p: float) -> Array:
            return (rows - centre) / spread

        words = "the targets are standardised, those of the recording are not"
        found.append(Mistake("targets scaled", words, "targets", "targets", {"targets": scaled}))
    return found
