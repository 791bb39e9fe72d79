"""A backend that takes the reference's path and stops early at another epoch than it."""

from __future__ import annotations

import numpy as np

from backends.base import Backend
from backends.distance import relative_errors
from harness.document import number_words
from harness.roundoff.reference import reference_path, reference_stops
from harness.roundoff.round_off import TWINS, allowed_by, round_off
from harness.roundoff.trial import Trial

_CELLS = 3  # that are looked into


def other_stop(backend: Backend, trial: Trial, exact: Trial) -> str:
    """In words, where a backend stops at another epoch although its weights agree until then; or empty.

    ``exact``: the trial in float64, which the reference is trained by. Cells where the reference's own
    twins do not stop together say nothing.
    """
    fit = trial.fit(backend)
    if fit.steps is None:
        return "it does not say where it stopped"
    mine, true = np.array(fit.steps), reference_stops(exact)
    sure = mine != true
    for seed in range(TWINS):
        sure &= reference_stops(trial, seed) == true
    per_epoch = trial.plan.steps_per_epoch or 1
    for cell in np.flatnonzero(sure)[:_CELLS]:
        step, one = int(min(mine[cell], true[cell])), np.array([cell])
        short, path = trial.of(one).at(step), reference_path(exact.of(one).at(step))
        allowed = allowed_by(round_off(short, path).distance, trial.dtype)
        apart = relative_errors(short.train(backend)[-1], path[-1], trial.plan.initial)
        if (apart <= allowed[-1]).all():
            where = number_words.cell(trial.cells.eta[cell], trial.cells.lmbd[cell])
            return (
                f"stopped at epoch {mine[cell] // per_epoch}, the reference at epoch "
                f"{true[cell] // per_epoch}, after the same weights ({where})"
            )
    return ""
