"""The comparison of backends that share a recipe with the reference, in every dtype.

All start from the same weights and see the same minibatches. After each checkpoint every tensor of a
backend is held against the reference's, which is computed in float64. How far it may be off is how far the
reference itself is off there when it is computed in the trial's dtype, perturbed and in other orders, times
a factor that was measured (:mod:`harness.roundoff.round_off`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backends.base import Backend, UnsupportedPlan
from backends.distance import Errors, error, errors
from backends.formulas import logits, predict, sample_cost
from backends.network import Array, Fit, Weights
from harness.data.dataset import Dataset
from harness.executors.fork import beside
from harness.experiment.experiment import Experiment
from harness.parity.early_stops import judge_stops, stops_words
from harness.parity.stock import STOCK_COLUMNS, stock_errors
from harness.parity.verdict import BackendVerdict, ParityOutcome, judge_errors
from harness.roundoff.chaos_map import CHAOS_COLUMNS, chaos_frame
from harness.roundoff.reference import Noise, passed_forward, reference_path, reference_stops
from harness.roundoff.reference_check import reference_fault
from harness.roundoff.round_off import PARTED, Path, RoundOff, allowed_by, round_off
from harness.roundoff.trial import Trial, trial
from harness.training.contract import BackendFault

# seeds of further twins, for cells that look like a disagreement, until they do no more
_MORE_TWINS = (range(100, 104), range(104, 108), range(108, 116))
_FEW = 8  # cells that are looked at again in any case; of large grids a quarter of the cells
_SAMPLES = 256  # training samples on which losses and outputs are compared
_ALIKE = (
    2.0  # times what is allowed that two backends which agree with each other are apart at most
)
ERROR_COLUMNS = [
    "backend",
    "dtype",
    "step",
    "tensor",
    "cell",
    "eta",
    "lmbd",
    "absolute",
    "relative",
    "tolerance",
    "enforced",
    "values",
]


@dataclass(frozen=True)
class ParityTask:
    """What is compared, and who is told how it goes.

    ``backends`` are guarded (:func:`~harness.training.contract.guarded_backend`). ``reference``: the name
    of one that takes the place of the written-out reference, or "". ``repeat``: whose split and plan;
    ``cells``: the numbers of some cells of the grid, none for all. ``known``: what is known already of the
    reference in float64 (no twins where they are not), by the first backend of the group and the first cell.
    """

    experiment: Experiment
    dataset: Dataset
    backends: Mapping[str, Backend]
    reference: str
    steps: int | None
    rtol: float | None
    say: Callable[[str], None]
    repeat: int = 0
    cells: Sequence[int] = ()
    known: Mapping[tuple[str, int], RoundOff] = field(default_factory=dict)

    def trial(self, recipe: str, dtype: str) -> Trial:
        whole = trial(self.experiment, self.dataset, recipe, dtype, self.steps, repeat=self.repeat)
        return whole.of(np.array(self.cells)) if self.cells else whole

    def reference_path(self, trial: Trial) -> Path:
        """The reference's weights after every checkpoint of a trial in float64."""
        return (
            trial.train(self.backends[self.reference]) if self.reference else reference_path(trial)
        )


@dataclass(frozen=True)
class ParityComparison:
    """What comparing one group of backends, or several, came to.

    ``errors``: a row for each backend, step, tensor and cell, with ``ERROR_COLUMNS``. ``chaos``: the chaos
    map of every recipe and dtype. ``alike``: pairs of backends that both disagree with the reference and
    agree with each other, by dtype. ``fault``: what is wrong with the reference itself, if anything.
    ``stock``: how far stacks are from stock programs, with ``STOCK_COLUMNS``. ``notes``: what else is to be
    said, a sentence each.
    """

    steps: tuple[int, ...] = ()
    verdicts: tuple[BackendVerdict, ...] = ()
    alike: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    errors: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ERROR_COLUMNS))
    chaos: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CHAOS_COLUMNS))
    fault: str = ""
    stock: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=STOCK_COLUMNS))
    notes: tuple[str, ...] = ()

    def disagreeing(self) -> list[str]:
        """The backends that disagree in any dtype."""
        return list(dict.fromkeys(v.backend for v in self.verdicts if v.disagrees))

    @classmethod
    def joined(cls, parts: Sequence[ParityComparison]) -> ParityComparison:
        """One comparison out of those of several groups or dtypes."""
        alike: dict[str, list[tuple[str, str]]] = {}
        for part in parts:
            for dtype, pairs in part.alike.items():
                alike.setdefault(dtype, []).extend(pairs)
        tables = {
            name: [getattr(part, name) for part in parts if len(getattr(part, name))]
            for name in ("errors", "chaos", "stock")
        }
        return cls(
            max((part.steps for part in parts), key=len, default=()),
            tuple(verdict for part in parts for verdict in part.verdicts),
            alike,
            fault=next((part.fault for part in parts if part.fault), ""),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            **{name: pd.concat(kept, ignore_index=True) for name, kept in tables.items() if kept},
        )


def reference_beforehand(task: ParityTask, group: Sequence[str]) -> dict[tuple[str, int], RoundOff]:
    """The written-out reference of a group, if the grid is trained at once, as ``ParityTask.known`` has it.

    With twins where trainings are long: on as many cores as there are, which a dtype's own process has not.
    Larger grids are not kept: their paths are as large as those of all backends.
    """
    exact = task.trial(group[0], "float64")
    if task.reference or len(exact.chunks()) > 1 or reference_fault(exact):
        return {}
    task.say("the reference")
    half = len(exact.cells) // 2
    if not half or not exact.is_long:
        return {(group[0], 0): RoundOff(exact, reference_path(exact), ())}
    second = beside(lambda: reference_path(exact.of(slice(half, None))))
    halves = reference_path(exact.of(slice(half))), second()
    path = tuple(Weights.concatenate(both) for both in zip(*halves, strict=True))
    task.say("the reference in float64, perturbed")
    return {(group[0], 0): round_off(exact, path)}


def compare_group(
    task: ParityTask, names: Sequence[str], dtypes: Sequence[str]
) -> ParityComparison:
    """Compare these backends, which share a recipe, with the reference trained by that recipe."""
    exact = task.trial(names[0], "float64")
    if fault := reference_fault(exact):
        return ParityComparison(exact.checkpoints, fault=fault)
    verdicts, able = [], []
    for name in names:
        outcome = ParityOutcome.UNSUPPORTED
        try:
            reason = task.backends[name].unsupported(exact.network, exact.training)
        except BackendFault as fault:
            reason, outcome = str(fault), ParityOutcome.FAILED
        if reason:
            verdicts += [BackendVerdict(name, dtype, outcome, reason) for dtype in dtypes]
        else:
            able.append(name)
    trials = {dtype: task.trial(names[0], dtype) for dtype in dtypes}
    failures: dict[tuple[str, str], str] = {}
    tables, chaos, alike = [], [], {dtype: set(combinations(able, 2)) for dtype in dtypes}
    stops: dict[tuple[str, str], list[int]] = {}
    for cells in exact.chunks():
        part = f", cells {cells.start + 1} to {cells.stop}" if len(exact.chunks()) > 1 else ""
        known = task.known.get((names[0], cells.start))
        if known is None:
            task.say(f"the reference{part}")
            known = RoundOff(exact.of(cells), task.reference_path(exact.of(cells)), ())
        for dtype in dtypes:
            going = [name for name in able if (name, dtype) not in failures]
            sides = _trained(task, going, trials[dtype].of(cells), known, part)
            failures |= {(name, dtype): reason for name, reason in sides.failures.items()}
            for name in sides.judged:
                stops.setdefault((name, dtype), []).extend(sides.stops[name] or ())
                try:
                    tables.append(sides.table(task, name, cells.start))
                except BackendFault as fault:  # of its own forward pass
                    failures[name, dtype] = str(fault)
            chaos.append(chaos_frame(sides.measured))
            chaos[-1].insert(0, "recipe", ", ".join(names))
            alike[dtype] &= sides.alike()
    filled = [table for table in tables if len(table)]
    errors = pd.concat(filled, ignore_index=True) if filled else ParityComparison().errors
    stopping = bool(able) and exact.training.watches_validation and not task.reference
    true = reference_stops(exact).tolist() if stopping else []
    for dtype in dtypes:
        for name in able:
            if (name, dtype) in failures:
                reason = failures[name, dtype]
                verdicts.append(BackendVerdict(name, dtype, ParityOutcome.FAILED, reason))
            else:
                verdict = judge_errors(errors, name, dtype)
                if stopping and (verdict.disagrees or stops[name, dtype] != true):
                    verdict = judge_stops(verdict, task.backends[name], trials[dtype], exact)
                verdicts.append(verdict)
    wrong = {(v.backend, v.dtype) for v in verdicts if v.disagrees}
    return ParityComparison(
        exact.checkpoints,
        tuple(verdicts),
        {
            dtype: [pair for pair in sorted(pairs) if all((n, dtype) in wrong for n in pair)]
            for dtype, pairs in alike.items()
        },
        errors,
        pd.concat(chaos, ignore_index=True),
        stock=pd.concat(
            [
                stock_errors(
                    trials[dtype],
                    {n: task.backends[n] for n in able if (n, dtype) not in failures},
                )
                for dtype in dtypes
            ],
            ignore_index=True,
        ),
        notes=(stops_words(exact, true),) if stopping else (),
    )


@dataclass(frozen=True)
class _Sides:
    """What the backends made of one trial.

    ``measured``: round-off around the reference's path; ``allowed`` and ``enforced``: how far each tensor
    may be off and whether it is held to that, (checkpoints, tensors and the loss, cells). ``judged``: the
    paths of the backends by name, ``stops``: after how many steps they say that each cell stopped;
    ``failures``: why others gave none.
    """

    measured: RoundOff
    allowed: Errors
    enforced: NDArray[np.bool_]
    judged: Mapping[str, Path]
    stops: Mapping[str, tuple[int, ...] | None]
    failures: Mapping[str, str]

    def error(self, name: str) -> tuple[Errors, Errors]:
        """Absolute and relative errors of a backend, in the shape of ``allowed``."""
        return _errors(self.measured.trial, self.judged[name], self.measured.path)

    def exceeding(self) -> NDArray[np.intp]:
        """The cells where any backend is beyond what is allowed."""
        beyond = np.zeros(self.allowed.shape[2], dtype=bool)
        for name in self.judged:
            relative = self.error(name)[1]
            beyond |= (self.enforced & ~(relative <= self.allowed)).any(axis=(0, 1))
        return np.flatnonzero(beyond)

    def alike(self) -> set[tuple[str, str]]:
        """The pairs of backends that are near each other wherever anything is enforced."""
        trial, near = self.measured.trial, set()
        for one, other in combinations(self.judged, 2):
            relative = _errors(trial, self.judged[one], self.judged[other])[1]
            if (relative <= _ALIKE * self.allowed)[self.enforced].all():
                near.add((one, other))
        return near

    def table(self, task: ParityTask, name: str, first_cell: int) -> pd.DataFrame:
        """Every error of a backend, with ``ERROR_COLUMNS``; the trial's first cell has that number."""
        trial, path = self.measured.trial, self.judged[name]
        absolute, relative = self.error(name)
        sizes = {tensor: t[0].size for tensor, t in path[0].named().items()} | {"loss": 1}
        checkpoints, tensors, cells = absolute.shape
        columns: dict[str, NDArray[Any]] = {
            "step": np.repeat(trial.checkpoints, tensors * cells),
            "tensor": np.tile(np.repeat(list(sizes), cells), checkpoints),
            "cell": np.tile(np.arange(cells) + first_cell, checkpoints * tensors),
            "eta": np.tile(trial.cells.eta, checkpoints * tensors),
            "lmbd": np.tile(trial.cells.lmbd, checkpoints * tensors),
            "absolute": absolute.ravel(),
            "relative": relative.ravel(),
            "tolerance": self.allowed.ravel(),
            "enforced": self.enforced.ravel(),
            "values": np.tile(np.repeat(list(sizes.values()), cells), checkpoints),
        }
        table = pd.DataFrame({"backend": name, "dtype": trial.dtype, **columns})
        own = _output(task.backends[name], trial, path[-1])
        output = table.iloc[-cells:].assign(tensor="output", **own)
        if task.rtol is not None:
            output["tolerance"] = task.rtol
        output["enforced"] = self.enforced[-1].all(axis=0)
        return pd.concat([table, output], ignore_index=True)[ERROR_COLUMNS]


def _trained(
    task: ParityTask, names: Sequence[str], trial: Trial, known: RoundOff, part: str
) -> _Sides:
    """Everybody's path through a trial; round-off measured more closely where somebody differs."""
    path = known.path
    if known.twins and trial.dtype == known.trial.dtype:
        measured = known
    else:
        task.say(f"the reference in {trial.dtype}{part}, perturbed")
        measured = round_off(trial, path)
    judged: dict[str, Path] = {}
    stops: dict[str, tuple[int, ...] | None] = {}
    failures: dict[str, str] = {}
    for name in names:
        task.say(f"{name} {trial.dtype}{part}")
        outcome = fit_or_failure(task.backends[name], trial)
        if isinstance(outcome, str):
            failures[name] = outcome
        else:
            judged[name], stops[name] = outcome.path, outcome.steps
    distance = _distance(measured)
    sides = _Sides(measured, *_bounds(task, trial, distance), judged, stops, failures)
    for seeds in _MORE_TWINS:
        suspect = sides.exceeding()
        if not 0 < len(suspect) <= max(_FEW, len(trial.cells) // 4):
            break
        task.say(f"the reference in {trial.dtype}{part}, closer in {len(suspect)} cells")
        some = tuple(weights[suspect] for weights in path)
        closer = round_off(trial.of(suspect), some, seeds)
        distance[:, :, suspect] = np.maximum(distance[:, :, suspect], _distance(closer))
        sides = _Sides(measured, *_bounds(task, trial, distance), judged, stops, failures)
    return sides


def fit_or_failure(backend: Backend, trial: Trial) -> Fit | str:
    """What a guarded backend gives, or why it gave nothing."""
    try:
        return trial.fit(backend)
    except (BackendFault, UnsupportedPlan) as fault:
        return str(fault)


def _bounds(task: ParityTask, trial: Trial, distance: Errors) -> tuple[Errors, NDArray[np.bool_]]:
    """How far a backend may be off, and where it is held to that.

    A tolerance that was given is enforced where round-off allows no more; else a tensor is judged until
    round-off alone parts two trainings. A loss is judged where all weights are: on a plateau those of twins
    are alike by chance, wherever their weights went. Where any tensor of a twin overflows none is judged:
    a library may give up all weights at once.
    """
    allowed = allowed_by(distance, trial.dtype)
    with np.errstate(invalid="ignore"):
        enforced = distance < PARTED if task.rtol is None else allowed <= task.rtol
    enforced &= np.isfinite(distance).all(axis=1, keepdims=True)
    enforced[:, -1] &= enforced[:, :-1].all(axis=1)
    return allowed if task.rtol is None else np.full_like(distance, task.rtol), enforced


def _distance(measured: RoundOff) -> Errors:
    """The distance of the furthest twin, the loss included, (checkpoints, tensors + 1, cells)."""
    twins = [_errors(measured.trial, twin, measured.path)[1] for twin in measured.twins]
    worst: Errors = np.max(twins, axis=0)
    return worst


def _errors(trial: Trial, path: Path, truth: Path) -> tuple[Errors, Errors]:
    """Absolute and relative errors of every tensor and the loss, (checkpoints, tensors + 1, cells).

    Losses are measured by what they were at the start, and by what predicting nothing would cost.
    """
    rows = trial.split.train[:_SAMPLES]
    start = trial.plan.initial
    scale = _loss(trial, rows, start)
    if not trial.network.classes:
        scale = np.maximum(scale, np.square(trial.y[rows].astype(np.float64)).mean() / 2)
    found = []
    for mine, true in zip(path, truth, strict=True):
        loss = error(_loss(trial, rows, mine), _loss(trial, rows, true), scale)
        found.append([*errors(mine, true, start).values(), loss])
    both = np.array(found).swapaxes(0, 2).swapaxes(1, 2)  # (2, checkpoints, tensors, cells)
    return both[0], both[1]


def _loss(trial: Trial, rows: NDArray[np.intp], weights: Weights) -> Errors:
    """Mean cost on the rows, without the penalty, in float64 from whatever weights; (cells,)."""
    with np.errstate(all="ignore"):
        z = logits(trial.x[rows].astype(np.float64), trial.network, weights.astype("float64"))
        mean: Errors = sample_cost(z, trial.y[rows], trial.network).mean(axis=1)
    return mean


def _output(backend: Backend, trial: Trial, weights: Weights) -> dict[str, Array]:
    """A backend's own forward pass on its own weights: absolute, relative, tolerance and values.

    A probability is measured by 1; a real output by the targets, or by what it should be if that is more.
    """
    rows, network = trial.split.train[:_SAMPLES], trial.network
    given = backend.predict_proba(trial.x[rows], network, weights)
    expected = predict(trial.x[rows].astype(np.float64), network, weights.astype("float64"))
    scale = 1.0 if network.classes else float(np.abs(trial.y[rows]).max())
    twins = [_noisy_output(trial, trial.x[rows], weights, seed) for seed in range(2)]
    absolute, relative = error(given, expected, scale)
    distance = np.max([error(twin, expected, scale)[1] for twin in twins], axis=0)
    return {
        "absolute": absolute,
        "relative": relative,
        "tolerance": allowed_by(distance, trial.dtype),
        "values": np.full(len(weights), given[0].size),
    }


def _noisy_output(trial: Trial, x: Array, weights: Weights, seed: int) -> Array:
    """The reference's forward pass with every number, and every result, perturbed."""
    noise = Noise(seed, trial.dtype)
    with np.errstate(all="ignore"):
        W, b = ([noise(t.copy()) for t in kind] for kind in (weights.W, weights.b))
        a = passed_forward(noise(x.copy())[None], trial.network, W, [v[:, None] for v in b], noise)
    output = a[1][-1]
    if trial.network.output == "logistic":
        return np.concatenate([1 - output, output], axis=-1)
    return output
