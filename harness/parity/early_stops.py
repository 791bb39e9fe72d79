"""Where cells stop early: what is said of it, and a backend that stops, or says so, at another epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backends.base import Backend
from backends.distance import relative_errors
from harness.document import number_words
from harness.document.words import render
from harness.parity.verdict import BackendVerdict, ParityOutcome
from harness.roundoff.reference import reference_path, reference_stops
from harness.roundoff.round_off import TWINS, allowed_by, round_off
from harness.roundoff.trial import Trial

_CELLS = 3  # that are looked into


def stops_words(exact: Trial, stops: Sequence[int]) -> str:
    """How many cells the reference stops early, and when; ``stops``: after how many steps each."""
    per_epoch = exact.plan.steps_per_epoch or 1
    early = sorted(step // per_epoch for step in stops if step < exact.plan.steps)
    epochs = exact.plan.steps // per_epoch
    return render("parity/sentences.jinja", "stops", cells=len(stops), early=early, epochs=epochs)


def judge_stops(
    verdict: BackendVerdict, backend: Backend, trial: Trial, exact: Trial
) -> BackendVerdict:
    """The verdict on a backend whose weights, or steps, are not the reference's: it may be the stop alone."""
    reason = _other_stop(
        backend, trial, exact, "stopped" if verdict.disagrees else "says it stopped"
    )
    if not reason:
        return verdict
    outcome = verdict.outcome if verdict.disagrees else ParityOutcome.UNEXPLAINED
    return replace(verdict, outcome=outcome, reason=reason, other_stop=True)


def _other_stop(backend: Backend, trial: Trial, exact: Trial, stopped: str) -> str:
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
                f"{stopped} at epoch {mine[cell] // per_epoch}, the reference at epoch "
                f"{true[cell] // per_epoch}, after the same weights ({where})"
            )
    return ""
