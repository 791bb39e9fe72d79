"""What the weights of a training say was used: eta, lmbd of each tensor, momentum, Adam's constants.

Found from the recording alone, with error bars: least squares on the steps (gradient descent in all its
forms is linear in its constants), then Gauss-Newton on what is left in units of round-off, whose
covariance gives the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from backends.network import Array
from backends.recording import ACTIVATION_NAMES
from harness.mistakes.mistake import Change, Mistake
from harness.mistakes.reference_step import StepRules, Tensors, tensors
from harness.mistakes.step_trace import StepTrace

FITTED_STEPS = 12  # that constants are fitted on
_ITERATIONS = 40
_LIKELY = 2e-2  # share of the updates left unexplained, at most, by what is taken for the optimiser
_FITTED = 4  # forms of which all constants are fitted
_ENTRIES = 400  # of a tensor that are looked at
ADAM = {"beta_1": 0.9, "beta_2": 0.999}
_STRENGTHS = (0.0, *(10.0**p for p in np.arange(-5, 1.5, 0.5)))  # penalties that are tried first
_RHOS = (0.99, 0.9)  # RMSprop's usual ones: the notes' and PyTorch's, Keras's
# the usual optimisers, and by how much less the others have to leave to be taken in their place
_RARER = {"sgd": 1.0, "adam": 1.0, "rmsprop": 10.0, "adagrad": 10.0}


@dataclass(frozen=True)
class Setting:
    """One constant as fitted: its name, value, standard error, and what its author said of it."""

    name: str
    value: float
    error: float
    said: float | None = None

    @property
    def differs(self) -> bool:
        """Whether it is not what was said, by far more than its error."""
        if self.said is None:
            return False
        gap = abs(self.value - self.said)
        return gap > 5 * self.error + 1e-3 * abs(self.said)

    @property
    def known(self) -> bool:
        """Whether the steps tell anything of it."""
        size = 1 - self.value if self.name.startswith("beta") else max(abs(self.value), 1e-3)
        return self.error < 0.2 * abs(size)

    @property
    def rounded(self) -> float:
        """The number of fewest digits within a few errors of the value: what was probably meant."""
        if abs(self.value) <= 4 * self.error:
            return 0.0
        if self.error > 0.1 * abs(self.value):
            return self.value
        for digits in range(1, 17):
            short = float(f"{self.value:.{digits - 1}e}")
            if abs(short - self.value) <= 4 * self.error + 1e-13 * abs(self.value):
                return short
        return self.value


@dataclass(frozen=True)
class Identified:
    """The form of a training as its steps show it: ``about`` as far as it was found, and what is left."""

    about: dict[str, Any]
    left: float

    @property
    def likely(self) -> bool:
        return self.left < _LIKELY


def identified(trace: StepTrace, said: Mapping[str, Any]) -> Identified:
    """Optimiser and activation that leave least of the first updates unexplained; what is said stays.

    The likeliest are fitted with all their constants where the first look does not tell them apart.
    """
    hidden = trace.rules.network.layers - 1
    names = [None] if "activation" in said or not hidden else list(ACTIVATION_NAMES)
    optimisers = [said["optimizer"]] if said.get("optimizer") else list(_RARER)
    short = trace.first(min(FITTED_STEPS, len(trace)))
    seen: list[tuple[Identified, StepRules]] = []
    for name in names:
        rules = replace(short.rules, mistakes=())
        if name is not None:
            rules = replace(rules, activations=(name,) * hidden)
        g = _gradients(short, rules)
        for optimiser in optimisers:
            if optimiser == "sgd":
                about, left = _descent(short, g)
            else:
                rhos = [said["rho"]] if said.get("rho") else _RHOS
                tried = rhos if optimiser == "rmsprop" else rhos[:1]
                looks = [_adaptive(short, g, optimiser, rho) for rho in tried]
                about, left = min(looks, key=lambda look: look[1])
            about["optimizer"] = optimiser
            if name is not None:
                about["activation"] = name
            seen.append((Identified(about, left), rules))

    def weighed(form: Identified, left: float) -> float:
        return left * _RARER[form.about["optimizer"]]

    seen.sort(key=lambda one: weighed(one[0], one[0].left))
    best, second = seen[0][0], seen[1][0] if len(seen) > 1 else None
    if second is None or (best.likely and best.left < 0.1 * second.left):
        return best
    return min(seen[:_FITTED], key=lambda one: weighed(one[0], _left_of(short, *one)))[0]


def _left_of(trace: StepTrace, form: Identified, rules: StepRules) -> float:
    """What a form leaves, in units of round-off, when all its constants are fitted."""
    told = form.about
    training = copy(rules.training)
    for name in ("optimizer", "momentum", "nesterov", "rho"):
        object.__setattr__(training, name, told.get(name, getattr(training, name)))
    starts = {"eta": float(told.get("eta") or 0.01), "lmbd": told.get("lmbd", rules.lmbd)}
    fitting = replace(rules, training=training, **starts)
    return fitted_settings(replace(trace, rules=fitting), {})[1]


def _gradients(trace: StepTrace, rules: StepRules) -> list[Tensors]:
    """The cost's gradients of each step, at the suspect's own weights."""
    plain = replace(rules, lmbd=0.0, conventions=(), mistakes=())
    befores = [trace.start.weights, *trace.kept[:-1]]
    found = []
    with np.errstate(all="ignore"):
        for step, (before, batch) in enumerate(zip(befores, trace.batches, strict=True)):
            inside = tensors(before, batch, plain, step)
            found.append({name: inside[f"d{name}"] for name in before})
    return found


def _updates(trace: StepTrace) -> list[Tensors]:
    befores = [trace.start.weights, *trace.kept[:-1]]
    return [
        {name: before[name] - seen[name] for name in before}
        for before, seen in zip(befores, trace.kept, strict=True)
    ]


def _descent(trace: StepTrace, g: Sequence[Tensors]) -> tuple[dict[str, Any], float]:
    """Gradient descent by least squares: an update is c g + p W + m (update before) + n (g before)."""
    updates = _updates(trace)
    befores = [trace.start.weights, *trace.kept[:-1]]
    best: tuple[dict[str, Any], float] = ({}, np.inf)
    for form in ("plain", "momentum", "nesterov"):
        rows, right = [], []
        for k in range(len(updates)):
            for place, name in enumerate(trace.names):
                scale = float(np.abs(updates[k][name]).max()) or 1.0
                own = np.zeros((len(trace.names), updates[k][name].size))
                own[place] = befores[k][name].ravel()
                columns = [g[k][name].ravel(), *own]
                if form != "plain":
                    columns.append(updates[k - 1][name].ravel() if k else 0 * own[0])
                if form == "nesterov":
                    columns.append(g[k - 1][name].ravel() if k else 0 * own[0])
                some = slice(None, None, max(1, own.shape[1] // _ENTRIES))
                rows.append((np.array(columns)[:, some] / scale).T)
                right.append(updates[k][name].ravel()[some] / scale)
        a, b = np.concatenate(rows), np.concatenate(right)
        if not np.isfinite(a).all() or not np.isfinite(b).all():
            continue
        found = np.linalg.lstsq(a, b, rcond=None)[0]
        left = float(np.linalg.norm(b - a @ found) / (np.linalg.norm(b) or 1.0))
        if left < 0.1 * best[1]:  # a constant more has to be worth it
            eta, m = float(found[0]), float(found[1 + len(trace.names)]) if form != "plain" else 0.0
            about = {"eta": eta / (1 + m) if form == "nesterov" else eta, "momentum": m}
            best = (about | {"nesterov": form == "nesterov"}, left)
    return best


def _adaptive(
    trace: StepTrace, g: Sequence[Tensors], optimiser: str, rho: float
) -> tuple[dict[str, Any], float]:
    """Adam with its usual betas, RMSprop or Adagrad: eta by least squares on the ways they would take.

    The gradients have a penalty of one strength for all matrices, that with which least is left.
    """
    befores = [trace.start.weights, *trace.kept[:-1]]
    decays = [{n: w * (n[0] == "W") for n, w in before.items()} for before in befores]
    updates, gradients, decay = (_some_entries(trace, t) for t in (_updates(trace), g, decays))
    size = float(np.square(updates).sum())

    def look(lmbd: float) -> tuple[float, float]:
        """eta, and the share left."""
        ways = _ways(gradients + lmbd * decay, optimiser, rho)
        below = float(np.square(ways).sum())
        eta = float((ways * updates).sum()) / below if below else 0.0
        rest = float(np.square(updates - eta * ways).sum())
        return eta, float(np.sqrt(rest / size)) if size and np.isfinite(rest) else np.inf

    lmbd = min(_STRENGTHS, key=lambda strength: look(strength)[1])
    if lmbd:
        ends = np.log10(lmbd) - 0.5, np.log10(lmbd) + 0.5
        lmbd = float(10 ** minimize_scalar(lambda p: look(10**p)[1], bounds=ends).x)
    eta, left = look(lmbd)
    about = {"eta": eta, "lmbd": lmbd, "momentum": 0.0}
    return about | ({"rho": rho} if optimiser == "rmsprop" else {}), left


def _some_entries(trace: StepTrace, of_steps: Sequence[Tensors]) -> Array:
    """Some entries of all tensors, (steps, entries)."""

    def some(tensor: Array) -> Array:
        return tensor.ravel()[:: max(1, tensor.size // _ENTRIES)]

    return np.array([np.concatenate([some(own[n]) for n in trace.names]) for own in of_steps])


def _ways(gradients: Array, optimiser: str, rho: float) -> Array:
    """What an optimiser with eta = 1 would take off; (steps, entries), as the gradients are."""
    beta_1, keep, share = 0.0, rho, 1 - rho
    if optimiser == "adagrad":
        keep, share = 1.0, 1.0
    elif optimiser == "adam":
        beta_1, keep, share = ADAM["beta_1"], ADAM["beta_2"], 1 - ADAM["beta_2"]
    m, v, ways = np.zeros(gradients.shape[1]), np.zeros(gradients.shape[1]), []
    with np.errstate(all="ignore"):
        for k, own in enumerate(gradients, start=1):
            m = beta_1 * m + (1 - beta_1) * own
            v = keep * v + share * own**2
            corrected = np.sqrt(1 - keep**k) / (1 - beta_1**k) if optimiser == "adam" else 1.0
            ways.append(np.nan_to_num(corrected * m / (np.sqrt(v) + 1e-12)))
    return np.array(ways)


def fitted_settings(
    trace: StepTrace, said: Mapping[str, float | None], structure: Sequence[Mistake] = ()
) -> tuple[list[Setting], float]:
    """Every constant of the training with its error, and the root mean square left, in units of round-off.

    ``structure``: mistakes of its form, which are made in the fit as well.
    """
    short = trace.first(min(FITTED_STEPS, len(trace)))
    rules = replace(short.rules, mistakes=())
    names, starts, changes = [], [], []

    def free(name: str, start: float, stage: str, change: Change) -> None:
        names.append(name)
        starts.append(start)
        changes.append((stage, change))

    training = rules.training
    free("eta", rules.eta or 0.01, "eta", _first_eta(rules.eta))
    matrices = [name for name in short.names if name[0] == "W"]
    for group in [[name] for name in matrices] + [[n for n in short.names if n[0] == "b"]]:
        label = f"lmbd on {group[0] if group[0][0] == 'W' else 'biases'}"
        layer = int(group[0][1:])
        own = training.penalty(rules.lmbd, rules.batch_size, layer - 1, len(matrices))
        start = 0.0 if group[0][0] == "b" else float(own)
        free(label, start, "penalty", _penalty_of(tuple(group), start))
    if training.optimizer == "adam":
        free("beta_1", training.beta_1, "training", _constant("beta_1"))
        free("beta_2", training.beta_2, "training", _constant("beta_2"))
    elif training.optimizer == "rmsprop":
        free("rho", training.rho, "training", _constant("rho"))
    elif training.momentum:
        free("momentum", training.momentum, "training", _constant("momentum"))

    def residuals(p: NDArray[np.float64]) -> Array:
        made = [
            Mistake(name, name, name, "W1", {stage: change}, float(value))
            for name, value, (stage, change) in zip(names, p, changes, strict=True)
        ]
        ratios = short.ratios(replace(rules, mistakes=(*structure, *made)))
        return np.concatenate([ratio.ravel() for step in ratios for ratio in step])

    p, covariance, left = _gauss_newton(residuals, np.array(starts))
    # no constant is known better than its finite difference is
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0)) + 1e-10 * (np.abs(p) + 1e-2)
    found = [
        Setting(name, float(value), float(error), said.get(name))
        for name, value, error in zip(names, p, errors, strict=True)
    ]
    return found, left


def _penalty_of(group: tuple[str, ...], own: float) -> Change:
    """A penalty of strength p of some tensors; where the rules have one of strength ``own``, in its way."""

    def change(decay: Array, here: Any, p: float) -> Array:
        if here.name not in group:
            return decay
        return decay * (p / own) if own else p * np.asarray(here.before[here.name])

    return change


def _first_eta(said: float) -> Change:
    """The eta of the first step, in whatever way it changes later."""
    return lambda eta, here, p: eta * p / said if said else p


def _constant(name: str) -> Change:
    def change(training: Any, here: Any, p: float) -> Any:
        other = copy(training)
        object.__setattr__(other, name, p)
        return other

    return change


def _gauss_newton(
    residuals: Callable[[NDArray[np.float64]], Array], p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The least sum of squares, the covariance there, and the root mean square of what is left."""
    r = residuals(p)
    jacobian = np.zeros((len(r), len(p)))
    for _ in range(_ITERATIONS):
        for place in range(len(p)):
            moved = p.copy()
            moved[place] += (h := 1e-6 * max(abs(p[place]), 1e-3))
            jacobian[:, place] = (residuals(moved) - r) / h
        scales = np.linalg.norm(jacobian, axis=0)
        scales = np.where(scales > 0, scales, 1.0)
        step = np.linalg.lstsq(jacobian / scales, r, rcond=1e-12)[0] / scales
        for damping in (1.0, 0.3, 0.1, 0.01):
            moved = p - damping * step
            after = residuals(moved)
            if np.linalg.norm(after) < np.linalg.norm(r):
                break
        else:
            break
        gained = np.linalg.norm(r) - np.linalg.norm(after)
        p, r = moved, after
        if gained <= 1e-6 * np.linalg.norm(r):
            break
    left = float(np.sqrt(np.mean(np.square(r)))) if len(r) else 0.0
    scales = np.linalg.norm(jacobian, axis=0)
    scales = np.where(scales > 0, scales, 1e-100)
    # directions that nothing is known of have a large error, not none
    values, ways = np.linalg.eigh((jacobian / scales).T @ (jacobian / scales))
    inverse = (ways / np.maximum(values, 1e-14)) @ ways.T
    freedom = max(len(r) - len(p), 1) / max(len(r), 1)
    covariance = inverse / np.outer(scales, scales) * max(left**2 / freedom, 1.0)
    return p, covariance, left
