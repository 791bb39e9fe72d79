"""The comparison of backends that share a recipe, in every dtype, a stretch of the grid at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend
from backends.distance import Tolerance
from harness.data.dataset import Dataset
from harness.experiment.experiment import Experiment
from harness.parity.measure import measured, ratios
from harness.parity.paths import Path, Paths
from harness.parity.verdict import Verdict, judge, standing_apart
from harness.roundoff.chaos_map import COLUMNS, RoundOff, as_frame, round_off
from harness.roundoff.trial import Trial, trial

MORE_TWINS = range(100, 108)  # seeds of further twins, for cells that look like a disagreement
FEW = 8  # cells that are looked at again in any case; of large grids a quarter of the cells


@dataclass(frozen=True)
class Task:
    """What is compared with what, and who is told how it goes."""

    experiment: Experiment
    dataset: Dataset
    backends: Mapping[str, Backend]
    reference: str
    steps: int | None
    rtol: float | None
    say: Callable[[str], None]

    def trial(self, recipe: str, dtype: str) -> Trial:
        return trial(self.experiment, self.dataset, recipe, dtype, self.steps)

    def tolerance(self, dtype: str) -> Tolerance:
        return Tolerance(dtype, self.rtol)


@dataclass
class Found:
    """What comparing one group of backends, or several, came to."""

    names: list[str] = field(default_factory=list)
    steps: tuple[int, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    apart: dict[str, list[str]] = field(default_factory=dict)
    errors: pd.DataFrame = field(default_factory=pd.DataFrame)
    chaos: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))

    @property
    def disagreeing(self) -> list[str]:
        """The backends that disagree in any dtype."""
        return list(dict.fromkeys(v.backend for v in self.verdicts if v.outcome == "disagrees"))

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        whole = cls()
        for part in parts:
            whole.names += [name for name in part.names if name not in whole.names]
            whole.steps = max(whole.steps, part.steps, key=len)
            whole.verdicts += part.verdicts
            for dtype, names in part.apart.items():
                whole.apart[dtype] = whole.apart.get(dtype, []) + names
        for table in ("errors", "chaos"):
            frames = [getattr(p, table) for p in parts if len(getattr(p, table))]
            if frames:
                setattr(whole, table, pd.concat(frames, ignore_index=True))
        return whole


def compared(task: Task, names: Sequence[str], dtypes: Sequence[str]) -> Found:
    """Compare these backends, which share a recipe, with the reference trained by that recipe."""
    found = Found(names=list(names))
    truth = task.trial(names[0], "float64")
    found.steps = truth.checkpoints
    reason = task.backends[task.reference].unsupported(truth.network, truth.training)
    if reason:
        why = f"the reference cannot train this: {reason}"
        found.verdicts = [Verdict(n, d, "unsupported", why) for n in names for d in dtypes]
        return found
    able = _able(task, names, truth, dtypes, found)
    trials = {dtype: task.trial(names[0], dtype) for dtype in dtypes}
    errors, chaos = [], []
    everybody = list(dict.fromkeys([task.reference, *able]))
    furthest = {dtype: np.zeros((len(everybody), len(everybody))) for dtype in dtypes}
    for number, cells in enumerate(truth.chunks()):
        place = f", cells {cells.start + 1} to {min(cells.stop, len(truth.cells))}"
        part = place if number or cells.stop < len(truth.cells) else ""
        task.say(f"{task.reference} float64{part}")
        path = truth.of(cells).train(task.backends[task.reference])
        for dtype in dtypes:
            paths = _trained(task, able, trials[dtype].of(cells), path, part)
            errors.append(measured(paths, task.backends))
            chaos.append(as_frame(paths.trial, paths.own, paths.tolerance))
            chaos[-1].insert(0, "recipe", ", ".join(names))
            if paths.exceeding().any():
                _names, matrix = ratios(paths)
                where = [everybody.index(name) for name in _names]
                furthest[dtype][np.ix_(where, where)] = np.maximum(
                    furthest[dtype][np.ix_(where, where)], matrix
                )
    filled = [frame for frame in errors if len(frame)]  # empty ones have no dtypes to go by
    found.errors = pd.concat(filled, ignore_index=True) if filled else errors[0]
    found.chaos = pd.concat(chaos, ignore_index=True)
    for dtype in dtypes:
        found.verdicts += [_verdict(task, found.errors, name, dtype) for name in able]
        found.apart[dtype] = standing_apart(everybody, furthest[dtype])
    return found


def _able(
    task: Task, names: Sequence[str], trial: Trial, dtypes: Sequence[str], found: Found
) -> list[str]:
    """Who can train this; of the others the verdict says why not."""
    able = []
    for name in names:
        reason = task.backends[name].unsupported(trial.network, trial.training)
        if reason:
            found.verdicts += [Verdict(name, dtype, "unsupported", reason) for dtype in dtypes]
        else:
            able.append(name)
    return able


def _verdict(task: Task, errors: pd.DataFrame, name: str, dtype: str) -> Verdict:
    if name == task.reference and dtype == "float64":
        return Verdict(name, dtype, "reference")
    return judge(errors, name, dtype)


def _trained(task: Task, names: Sequence[str], trial: Trial, truth: Path, part: str) -> Paths:
    """Everybody's path through a trial; round-off measured more closely where somebody differs."""
    reference = task.backends[task.reference]
    task.say(f"{task.reference} {trial.dtype}{part}, against itself with its sums in other orders")
    own = truth if trial.dtype == "float64" else trial.train(reference)
    noise = round_off(reference, trial, own)
    judged: dict[str, Path] = {}
    for name in names:
        if name != task.reference:
            task.say(f"{name} {trial.dtype}{part}")
            judged[name] = trial.train(task.backends[name])
        elif trial.dtype != "float64":
            judged[name] = own
    paths = Paths(trial, task.reference, truth, noise, judged, task.tolerance(trial.dtype))
    suspect = np.flatnonzero(paths.exceeding())
    if 0 < len(suspect) <= max(FEW, len(trial.cells) // 4):
        # a unit whose z comes within round-off of a kink of relu goes either way: more twins show it
        task.say(f"{task.reference} {trial.dtype}{part}, closer in {len(suspect)} cells")
        some = tuple(weights[suspect] for weights in own)
        closer = round_off(reference, trial.of(suspect), some, MORE_TWINS)
        paths = replace(paths, own=_updated(noise, closer, suspect))
    return paths


def _updated(noise: RoundOff, closer: RoundOff, cells: NDArray[np.intp]) -> RoundOff:
    distance, swing = noise.distance.copy(), noise.swing.copy()
    distance[..., cells] = np.maximum(distance[..., cells], closer.distance)
    swing[cells] = np.fmax(swing[cells], closer.swing)
    return RoundOff(noise.path, distance, swing)
