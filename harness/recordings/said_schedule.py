"""An eta that is said for each step: the schedule it is, and the ways to miss it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.network import Training
from backends.recording import Recording
from harness.mistakes.mistake import Mistake
from harness.mistakes.step_trace import StepTrace

_SAME = 4 * float(np.finfo(np.float64).eps)  # relative distance of etas that are one schedule's
_FEWEST = 3  # epochs that tell one form of a schedule from another


def said_eta(eta: float | Sequence[float] | None) -> float | None:
    """The eta of ``about``; of one for each step the first that is not 0, as after a warm-up from 0."""
    if isinstance(eta, Sequence):
        return float(next((value for value in eta if value), 0.0))
    return None if eta is None else float(eta)


def named_schedule(etas: Sequence[float], epoch_steps: int | None) -> dict[str, Any]:
    """The settings of :class:`backends.network.Training` that give the etas of these steps; else none.

    Its epochs are then known, and what can be done wrong by epochs can be told.
    """
    if not epoch_steps or not etas or not all(etas):
        return {}
    said, epochs = np.array(etas, float), np.arange(len(etas)) // epoch_steps
    factors = said[::epoch_steps] / said[0]
    changed = np.flatnonzero(np.diff(factors))
    if len(factors) < _FEWEST or not len(changed):
        return {}
    first = int(changed[0]) + 1
    for form in (
        {"schedule": "inverse", "decay": 1 / factors[1] - 1},
        {"schedule": "step", "decay": factors[first], "decay_epochs": first},
    ):
        for decay in (float(f"{form['decay']:.10g}"), float(form["decay"])):
            if not 0 < decay <= (1 if form["schedule"] == "step" else np.inf):
                continue
            own = form | {"decay": decay}
            training = Training(**own)
            made = said[0] * np.array([training.eta_factor(int(epoch)) for epoch in epochs])
            if np.allclose(made, said, _SAME, 0.0):
                return own
    return {}


def etas_as_said(etas: Sequence[float], first: float) -> Mistake:
    """Another eta in each step, in place of the ``first``; after the last that is said it stays."""

    def change(eta: float, here: Any, p: float) -> float:
        return float(eta * etas[min(here.step, len(etas) - 1)] / first)

    return Mistake("schedule", "eta changes as said", "convention", "W1", {"eta": change})


def other_etas(recording: Recording, trace: StepTrace) -> list[Mistake]:
    """What may be done with etas that are said for each step and are no schedule by epochs.

    That the first one stays, or that they come a step early or late. What comes after the last that is
    said is seen in the last step.
    """
    etas = recording.about.get("eta")
    if not isinstance(etas, list) or trace.rules.training.schedule != "constant":
        return []
    rules, found = trace.rules, []
    first = said_eta(etas) or 1.0

    def otherwise(name: str, words: str, instead: Sequence[float]) -> Mistake:
        def change(eta: float, here: Any, p: float) -> float:
            said = etas[min(here.step, len(etas) - 1)]
            new = instead[min(here.step, len(instead) - 1)]
            return float(eta * new / said if said else here.rules.eta * new / first)

        return Mistake(name, words, "eta", "W1", {"eta": change})

    words = "eta stays what it was at first, where it is said to change"
    found.append(otherwise("no schedule", words, [first]))
    words = "the eta of each step is that said for the step before"
    found.append(otherwise("schedule late", words, [etas[0], *etas]))
    name, words = "schedule early", "the eta of each step is that said for the step after"
    early = [*etas[1:], etas[-1]]
    end = trace.start.steps + len(trace)
    if end == len(etas) and trace.weights[-1] is not None and len(trace) > _FEWEST:
        ends = []
        for last in (0.0, 1.0):
            made = trace.predicted(rules.but(otherwise(name, words, [*early[:-1], last])))
            ends.append(made[-1])
        seen, (none, whole) = trace.kept[-1], ends
        slope = np.concatenate([(whole[n] - none[n]).ravel() for n in trace.names])
        moved = np.concatenate([(seen[n] - none[n]).ravel() for n in trace.names])
        if slope.any() and np.isfinite(slope).all():
            early[-1] = float(slope @ moved / (slope @ slope))
    return [*found, otherwise(name, words, early)]
