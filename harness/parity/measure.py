"""Every error of several backends in one trial, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend
from backends.distance import Errors, error, relative_errors
from backends.formulas import forward, logits, predict, sample_cost
from backends.network import Array, Weights
from harness.parity.paths import Paths, nearer
from harness.roundoff.trial import Trial

COLUMNS = [
    "backend",
    "dtype",
    "step",
    "tensor",
    "eta",
    "lmbd",
    "absolute",
    "relative",
    "tolerance",
    "enforced",
    "held",
    "values",
]
SAMPLES = 256  # training samples on which losses and probabilities are compared
FULL = 1000  # the number of steps whose tolerance probabilities have, which no step adds to


def measured(paths: Paths, backends: Mapping[str, Backend]) -> pd.DataFrame:
    """Every error of every backend: a row for each backend, step, tensor and cell.

    Columns: backend, dtype, step, tensor, eta, lmbd, absolute, relative, tolerance, enforced, values
    (numbers in the tensor) and ``held`` (compared with the float64 path, not with the own one).
    """
    trial = paths.trial
    rows = trial.split.train[:SAMPLES]
    start_loss = _loss(trial, rows, trial.plan.initial)
    frames = []
    for name, path in paths.judged.items():
        enforced = paths.enforced(name)
        for k, steps in enumerate(trial.checkpoints):
            found = paths.errors(path[k], k)
            where = dict(zip(found, zip(enforced[k], paths.held[k], strict=True), strict=True))
            sizes = {tensor: t[0].size for tensor, t in path[k].named().items()}
            allowed = dict.fromkeys([*found, "loss"], paths.tolerance.at(steps))
            everywhere = (enforced[k].all(axis=0), paths.held[k].all(axis=0))
            mine = _loss(trial, rows, path[k])
            true, own = (_loss(trial, rows, w[k]) for w in (paths.truth, paths.own.path))
            both = error(mine, true, start_loss), error(mine, own, start_loss)
            found["loss"], sizes["loss"] = nearer(*both, everywhere[1]), 1
            if steps == trial.checkpoints[-1]:
                given = backends[name].predict_proba(trial.x[rows], trial.network, path[k])
                expected, scale = _output(trial, rows, path[k])
                found["output"], sizes["output"] = error(given, expected, scale), given[0].size
                allowed["output"] = paths.tolerance.at(max(steps, FULL))
            for tensor, (absolute, relative) in found.items():
                calm, held = where.get(tensor, everywhere)
                frames.append(
                    pd.DataFrame(
                        {
                            "backend": name,
                            "dtype": trial.dtype,
                            "step": steps,
                            "tensor": tensor,
                            "eta": trial.cells.eta,
                            "lmbd": trial.cells.lmbd,
                            "absolute": absolute,
                            "relative": relative,
                            "tolerance": allowed[tensor],
                            "enforced": calm,
                            "held": held,
                            "values": sizes[tensor],
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def ratios(paths: Paths) -> tuple[list[str], Errors]:
    """How far any two paths are apart, at most, in units of the tolerance where it is enforced.

    Gives the names, the reference's first, and a symmetric matrix.
    """
    everybody = {paths.reference: paths.own.path, **paths.judged}
    start, matrix = paths.trial.plan.initial, np.zeros((len(everybody), len(everybody)))
    for i, one in enumerate(everybody.values()):
        for j, other in enumerate(list(everybody.values())[:i]):
            for k, steps in enumerate(paths.trial.checkpoints):
                apart = relative_errors(one[k], other[k], start)[paths.enforced()[k]]
                worst = np.nan_to_num(apart, nan=np.inf).max(initial=0.0)
                matrix[i, j] = max(matrix[i, j], worst / paths.tolerance.at(steps))
    return list(everybody), np.maximum(matrix, matrix.T)


def _output(trial: Trial, rows: NDArray[np.intp], weights: Weights) -> tuple[Array, Errors]:
    """What a backend's own forward pass should give for its weights, and the scale of it, (cells,).

    A probability is measured by 1; a real output by the terms of the sum that it is.
    """
    exact, x = weights.astype("float64"), trial.x[rows].astype(np.float64)
    output = predict(x, trial.network, exact)
    if trial.network.classes:
        return output, np.ones(len(exact))
    with np.errstate(all="ignore"):
        a = forward(x, trial.network, exact.W, [b[:, None] for b in exact.b])[-2]
        terms = np.abs(a) @ np.abs(exact.W[-1])
    return output, terms.max(axis=(1, 2))


def _loss(trial: Trial, rows: NDArray[np.intp], weights: Weights) -> Errors:
    """Mean cost on the rows, without the penalty, in float64 from whatever weights; (cells,)."""
    with np.errstate(all="ignore"):
        z = logits(trial.x[rows].astype(np.float64), trial.network, weights.astype("float64"))
        mean: Errors = sample_cost(z, trial.y[rows], trial.network).mean(axis=1)
    return mean
