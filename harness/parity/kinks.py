"""Cells whose trainings part at a kink of relu, which is nobody's fault.

Where z of a unit lies within round-off of zero, one program finds it above and another below, and their
weights jump apart. That is granted only where the activation has a kink, where z of the unit is within
round-off of it in both, on either side, and where every step that the backend took from its own weights is
the right one. Such a cell is held to the reference only until there, and where fewer than half of the
cells are left to judge to the end, nothing has been shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from backends.network import Array, Weights
from harness.document.words import render
from harness.parity.comparison import ParityComparison, ParityTask, fit_or_failure
from harness.parity.verdict import BackendVerdict, ParityOutcome, judge_errors
from harness.roundoff.reference import (
    EXACT,
    OPTIMISERS,
    Noise,
    Objective,
    eta_of_step,
    gradients_of,
    passed_forward,
    targets_of,
)
from harness.roundoff.round_off import TIMES_ROUND_OFF, Path, twin_path
from harness.roundoff.trial import Trial

KINKED = ("relu", "leaky_relu")  # elu's derivative has no jump at alpha 1, the others have no kink
MOST_KINKS = 8  # cells of one backend that are looked into
SHADOWS = range(
    8
)  # perturbed predictions of a step; each goes either way where z is zero to round-off
NEIGHBOURS = range(4)  # twins that show how far round-off carries z


@dataclass(frozen=True)
class Kink:
    """Where a backend and the reference part: z of a unit, on either side of zero.

    ``step`` counts from 1, ``layer`` and ``unit`` as well; ``allowed``: how far round-off carries this z.
    """

    backend: str
    dtype: str
    cell: int
    eta: float
    lmbd: float
    step: int
    layer: int
    unit: int
    z: float
    reference_z: float
    allowed: float


def grant_kinks(
    task: ParityTask, comparison: ParityComparison
) -> tuple[ParityComparison, list[Kink]]:
    """The comparison judged again without what kinks account for, and the kinks."""
    errors, granted = comparison.errors.copy(), []
    verdicts = list(comparison.verdicts)
    for place, verdict in enumerate(verdicts):
        if not verdict.disagrees:
            continue
        kinks = list(_kinks(task, errors, verdict))
        for kink in kinks:
            errors.loc[_from_there(errors, kink), "enforced"] = False
        if kinks:
            verdicts[place] = _judged_again(errors, comparison.errors, verdict, len(kinks))
            granted += kinks
    return replace(comparison, errors=errors, verdicts=tuple(verdicts)), granted


def _judged_again(
    errors: pd.DataFrame, before: pd.DataFrame, verdict: BackendVerdict, kinks: int
) -> BackendVerdict:
    again = judge_errors(errors, verdict.backend, verdict.dtype)
    left, all_of_them = (_cells_to_the_end(table, verdict) for table in (errors, before))
    if again.disagrees and kinks < MOST_KINKS:
        return again
    if again.disagrees or 2 * left < all_of_them:
        reason = render("parity/sentences.jinja", "kinks", kinks=kinks)
        return replace(again, outcome=ParityOutcome.NOT_COMPARABLE, reason=reason)
    return again


def _cells_to_the_end(errors: pd.DataFrame, verdict: BackendVerdict) -> int:
    last = errors["step"] == errors["step"].max()
    return int(
        errors[_of(errors, verdict) & last & errors["enforced"].astype(bool)]["cell"].nunique()
    )


def _of(errors: pd.DataFrame, of: BackendVerdict | Kink) -> pd.Series:
    return (errors["backend"] == of.backend) & (errors["dtype"] == of.dtype)


def _from_there(errors: pd.DataFrame, kink: Kink) -> pd.Series:
    return _of(errors, kink) & (errors["cell"] == kink.cell) & (errors["step"] >= kink.step)


def _kinks(task: ParityTask, errors: pd.DataFrame, verdict: BackendVerdict) -> Iterator[Kink]:
    """The kinks that account for cells beyond what is allowed, until one cell has none."""
    own = errors[_of(errors, verdict) & errors["enforced"].astype(bool)]
    beyond = own[~(own["relative"] <= own["tolerance"])]
    weights = beyond[beyond["tensor"] != "output"]
    first_steps = weights.groupby("cell")["step"].min()
    whole = task.trial(verdict.backend, verdict.dtype)
    if set(KINKED).isdisjoint(whole.network.activations) or len(weights) < len(beyond):
        return
    cells = zip(first_steps.index.tolist(), first_steps.tolist(), strict=True)
    for number, last in list(cells)[:MOST_KINKS]:
        task.say(f"{verdict.backend} {verdict.dtype} step by step, cell {number + 1}")
        kink = _kink_of(task, verdict, number, last)
        if kink is None:
            return
        yield kink


def _kink_of(task: ParityTask, verdict: BackendVerdict, cell: int, last: int) -> Kink | None:
    """The first kink within round-off, if all of the backend's steps up to ``last`` are right."""
    index, steps = np.array([cell]), range(1, last + 1)
    trial = task.trial(verdict.backend, verdict.dtype).of(index).at(*steps)
    fit = fit_or_failure(task.backends[verdict.backend], trial)
    if isinstance(fit, str) or not _steps_are_right(trial, path := fit.path):
        return None
    exact = task.trial(verdict.backend, "float64").of(index).at(*steps)
    reference = task.reference_path(exact)
    twins = [twin_path(trial, seed) for seed in NEIGHBOURS]
    start, eps = trial.plan.initial, np.finfo(trial.dtype).eps
    for step in range(last):
        rows = trial.plan.rows(step)[0]
        own, true, *near = (
            _z(trial, rows, before[step - 1] if step else start)
            for before in (path, reference, *twins)
        )
        for layer, (mine, its) in enumerate(zip(own, true, strict=True)):
            spread = np.max([np.abs(twin[layer] - its).max(axis=0) for twin in near], axis=0)
            allowed = TIMES_ROUND_OFF * np.maximum(spread, eps * np.abs(its).max(axis=0))
            apart = (mine > 0) != (its > 0)
            apart &= (np.abs(mine) <= allowed) & (np.abs(its) <= allowed)
            if apart.any():
                row, unit = (int(k) for k in np.argwhere(apart)[0])
                return Kink(
                    verdict.backend,
                    verdict.dtype,
                    cell,
                    float(trial.cells.eta[0]),
                    float(trial.cells.lmbd[0]),
                    step + 1,
                    layer + 1,
                    unit + 1,
                    float(mine[row, unit]),
                    float(its[row, unit]),
                    float(allowed[unit]),
                )
    return None


def _z(trial: Trial, rows: Array, weights: Weights) -> list[Array]:
    """z of the hidden layers on some rows, in float64; each (rows, units)."""
    W, b = [[t.astype(np.float64) for t in kind] for kind in (weights.W, weights.b)]
    x = trial.x[rows][None].astype(np.float64)
    z, _ = passed_forward(x, trial.network, W, [v[:, None] for v in b])
    return [layer[0] for layer in z[:-1]]


def _steps_are_right(trial: Trial, path: Path) -> bool:
    """Whether each step is, to round-off, what the reference makes of the weights before it."""
    expected = _predicted(trial, path, None)
    perturbed = [_predicted(trial, path, seed) for seed in SHADOWS]
    eps = np.finfo(trial.dtype).eps
    for k, made in enumerate(path):
        for place, tensor in enumerate([*made.W, *made.b]):
            wanted = expected[k][place]
            spread = max(np.abs(one[k][place] - wanted).max() for one in perturbed)
            allowed = TIMES_ROUND_OFF * max(spread, eps * np.abs(wanted).max())
            if not np.abs(tensor.reshape(wanted.shape) - wanted).max() <= allowed:
                return False
    return True


def _predicted(trial: Trial, path: Path, noise: int | None) -> list[list[Array]]:
    """After each step what the reference makes of the backend's own weights before it: W's, then b's.

    What an optimiser remembers beside the weights is followed from the first step on. With ``noise`` in
    the trial's dtype, everything perturbed, the weights and inputs included; without, in float64.
    """
    dtype = "float64" if noise is None else trial.dtype
    rounded = EXACT if noise is None else Noise(noise, dtype)
    objective = Objective(trial.network, trial.training)
    eta, lmbd = (v.reshape(1, 1, 1).astype(dtype) for v in (trial.cells.eta, trial.cells.lmbd))
    t = targets_of(trial.y, trial.network, dtype)
    befores = [trial.plan.initial[trial.cells.stream], *path[:-1]]
    optimiser, predicted = None, []
    with np.errstate(all="ignore"):
        for step, before in enumerate(befores):
            W = [layer.astype(dtype) for layer in before.W]
            b = [layer[:, None].astype(dtype) for layer in before.b]
            if optimiser is None:
                kind, eta = OPTIMISERS[trial.training.optimizer], rounded(eta)
                optimiser = kind(trial.training, eta, [*W, *b], rounded)
            optimiser.eta = eta_of_step(eta, trial.training, trial.plan, step)
            rows = trial.plan.rows(step)[0]
            x = rounded(trial.x[rows][None].astype(dtype))
            moved = [rounded(theta.copy()) for theta in (*W, *b)]
            layers = trial.network.layers
            g = gradients_of(
                x, t[rows][None], objective, lmbd, moved[:layers], moved[layers:], rounded
            )
            predicted.append(
                [
                    theta + optimiser.change(place, g[place], step + 1)
                    for place, theta in enumerate([*W, *b])
                ]
            )
    return predicted
