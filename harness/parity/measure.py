"""Errors of several backends' paths through one trial, against a reference in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Array, Backend, Weights
from backends.distance import Errors, Tolerance, error, errors, relative_errors
from backends.formulas import logits, predict, sample_cost
from harness.parity.chaos import RoundOff, stable
from harness.parity.trial import Trial

Path = tuple[Weights, ...]
Where = NDArray[np.bool_]  # (checkpoints, tensors, cells)

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
FOLLOWED = 10.0  # tolerances that float32 may lose, all libraries alike, and still be compared
FULL = 1000  # the number of steps whose tolerance probabilities have, which no step adds to


@dataclass(frozen=True)
class Paths:
    """What the backends made of one trial: their weights after every checkpoint.

    ``reference``: the name of a backend, ``truth`` its path in float64, ``own`` its path in the trial's
    dtype and what round-off alone makes of it. ``judged``: the paths of the backends to be judged by
    name, in float32 perhaps the reference's among them.
    """

    trial: Trial
    reference: str
    truth: Path
    own: RoundOff
    judged: Mapping[str, Path]
    tolerance: Tolerance

    @cached_property
    def lost(self) -> Errors:
        """What the dtype itself loses: the reference's path in it, against its float64 path.

        In float32 an update below half a unit in the last place is lost, and so is what a probability
        lacks to one; alike in every library.
        """
        start = self.trial.plan.initial
        paths = zip(self.own.path, self.truth, strict=True)
        return np.array([relative_errors(own, truth, start) for own, truth in paths])

    @cached_property
    def held(self) -> Where:
        """Where the dtype can hold the tolerance; elsewhere the path in the dtype is compared with."""
        if self.trial.dtype == "float64":
            return np.ones_like(self.own.distance, dtype=bool)
        return stable(self.lost, self.trial, self.tolerance)

    def enforced(self, name: str = "") -> Where:
        """Where the tolerance is enforced on a backend: round-off stays below it, and the dtype follows.

        The reference is not compared with itself.
        """
        with np.errstate(invalid="ignore"):
            follows = (self.lost <= FOLLOWED * self.allowed).all(axis=1, keepdims=True)
        calm = stable(self.own.distance, self.trial, self.tolerance) & follows
        return calm & self.held if name == self.reference else calm

    @cached_property
    def allowed(self) -> Errors:
        """The tolerance after every checkpoint, (checkpoints, 1, 1)."""
        return np.array([self.tolerance.at(k) for k in self.trial.checkpoints])[:, None, None]

    @cached_property
    def against(self) -> Path:
        """The path that is compared with: the truth where the dtype can hold it, else the own one."""
        return tuple(
            _chosen(held, truth, own.astype("float64"))
            for held, truth, own in zip(self.held, self.truth, self.own.path, strict=True)
        )

    def exceeding(self) -> NDArray[np.bool_]:
        """The cells where a backend is beyond the tolerance that is enforced; (cells,)."""
        found = np.zeros(len(self.trial.cells), dtype=bool)
        start = self.trial.plan.initial
        for name, path in self.judged.items():
            pairs = zip(path, self.against, strict=True)
            apart = np.array([relative_errors(mine, true, start) for mine, true in pairs])
            found |= (self.enforced(name) & ~(apart <= self.allowed)).any(axis=(0, 1))
        return found


def measured(paths: Paths, backends: Mapping[str, Backend]) -> pd.DataFrame:
    """Every error of every backend: a row for each backend, step, tensor and cell.

    Columns: backend, dtype, step, tensor, eta, lmbd, absolute, relative, tolerance, enforced, values
    (numbers in the tensor) and ``held`` (compared with the float64 path, not with the own one).
    """
    trial, against = paths.trial, paths.against
    rows = trial.split.train[:SAMPLES]
    start_loss = _loss(trial, rows, trial.plan.initial)
    frames = []
    for name, path in paths.judged.items():
        enforced = paths.enforced(name)
        for k, steps in enumerate(trial.checkpoints):
            found = errors(path[k], against[k], trial.plan.initial)
            where = dict(zip(found, zip(enforced[k], paths.held[k], strict=True), strict=True))
            sizes = {tensor: t[0].size for tensor, t in path[k].named().items()}
            allowed = dict.fromkeys([*found, "loss"], paths.tolerance.at(steps))
            everywhere = (enforced[k].all(axis=0), paths.held[k].all(axis=0))
            mine, true = (_loss(trial, rows, weights) for weights in (path[k], against[k]))
            found["loss"], sizes["loss"] = error(mine, true, start_loss), 1
            if steps == trial.checkpoints[-1]:
                given = backends[name].predict_proba(trial.x[rows], trial.network, path[k])
                expected = predict(_exact(trial.x[rows]), trial.network, path[k].astype("float64"))
                found["output"], sizes["output"] = error(given, expected), given[0].size
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


def _chosen(held: NDArray[np.bool_], truth: Weights, own: Weights) -> Weights:
    """One path's tensor or the other's, for every tensor and cell; held: (tensors, cells)."""
    picked = [
        np.where(calm.reshape(-1, *(1,) * (one.ndim - 1)), one, other)
        for calm, one, other in zip(held, truth.named().values(), own.named().values(), strict=True)
    ]
    return Weights(tuple(picked[0::2]), tuple(picked[1::2]))


def _loss(trial: Trial, rows: NDArray[np.intp], weights: Weights) -> Errors:
    """Mean cost on the rows, without the penalty, in float64 from whatever weights; (cells,)."""
    with np.errstate(all="ignore"):
        z = logits(_exact(trial.x[rows]), trial.network, weights.astype("float64"))
        mean: Errors = sample_cost(z, trial.y[rows], trial.network).mean(axis=1)
    return mean


def _exact(x: Array) -> Array:
    return x.astype(np.float64)
