"""The paths that several backends took through one trial, and how far they are from the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backends.distance import Errors, Tolerance, errors, relative_errors
from backends.network import Weights
from harness.roundoff.chaos_map import RoundOff, stable
from harness.roundoff.trial import Trial

Path = tuple[Weights, ...]
Where = NDArray[np.bool_]  # (checkpoints, tensors, cells)
Both = tuple[Errors, Errors]  # absolute and relative

FOLLOWED = 10.0  # tolerances that float32 may lose, all libraries alike, and still be compared


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

    def errors(self, weights: Weights, k: int) -> dict[str, Both]:
        """Absolute and relative error of every tensor after checkpoint k; (cells,) each.

        Against the truth; where the dtype cannot hold that, against the nearer of the two paths.
        """
        start = self.trial.plan.initial
        found = errors(weights, self.truth[k], start)
        if self.held[k].all():
            return found
        own = errors(weights, self.own.path[k], start)
        return {
            name: nearer(found[name], own[name], held)
            for name, held in zip(found, self.held[k], strict=True)
        }

    def exceeding(self) -> NDArray[np.bool_]:
        """The cells where a backend is beyond the tolerance that is enforced; (cells,)."""
        found = np.zeros(len(self.trial.cells), dtype=bool)
        for name, path in self.judged.items():
            errors = [
                [relative for _, relative in self.errors(weights, k).values()]
                for k, weights in enumerate(path)
            ]
            within = np.array(errors) <= self.allowed
            found |= (self.enforced(name) & ~within).any(axis=(0, 1))
        return found


def nearer(truth: Both, own: Both, held: NDArray[np.bool_]) -> Both:
    """The errors against the truth where it is held, else those against the nearer of the two."""
    use = held | ~(own[1] < truth[1])
    return np.where(use, truth[0], own[0]), np.where(use, truth[1], own[1])
