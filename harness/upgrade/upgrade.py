"""An upgrade as a question: does the new version train to the same weights, and if not, where do they part?

The versions run as backends elsewhere (:mod:`backends.elsewhere`) along one plan. Where their bits differ,
parity tells whether round-off accounts for that, and runs with repeats are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from backends.distance import errors
from backends.network import Weights
from backends.registry import BUILT_IN, ON_REQUEST, UnusableBackend, find, usable
from backends.where import Where
from harness.compare.comparison import Comparison, compare
from harness.data.dataset import load_dataset
from harness.errors import ExitCode, InputError, unknown
from harness.experiment.chosen_backends import resolve
from harness.experiment.execution import Execution
from harness.experiment.experiment import Experiment
from harness.parity.parity import Parity, parity
from harness.roundoff.stable_cells import by_backend, chaos_maps
from harness.roundoff.trial import trial
from harness.runner import train_and_save
from harness.training.contract import guarded_backend
from harness.work import plan_work

_DTYPES = ("float32", "float64")
UPGRADE_REPEATS = 5  # of the runs that are compared, if nobody says otherwise


class UpgradeOutcome(StrEnum):
    """What the new version changes, from least to most."""

    SAME_BITS = "the same bits"
    ROUND_OFF = "nothing but round-off"
    SAME_ACCURACY = "another path, the same accuracy"
    INCONCLUSIVE = "another path, its accuracy undecided"
    DIFFERENT = "another accuracy"


@dataclass(frozen=True)
class Parting:
    """Where two versions part: the first of the steps looked at after which a bit differs.

    ``dtype`` and ``step``; ``tensor``: the first in the order of computation; ``cells``: how many of
    ``grid`` differ after the last step; ``relative``: the largest relative distance of a tensor then.
    """

    dtype: str
    step: int
    tensor: str
    cells: int
    grid: int
    relative: float


@dataclass(frozen=True)
class Upgrade:
    """What came out, of the two versions that were judged.

    ``versions``: all that were asked for, as requirements; ``backends``: the two judged, old and new;
    ``installed``: what is installed for each. ``partings``: empty where every bit is the same. ``parity``
    and ``comparison``: where bits differ.
    """

    versions: tuple[str, ...]
    backends: tuple[str, str]
    installed: tuple[dict[str, str], dict[str, str]]
    partings: tuple[Parting, ...]
    parity: Parity | None = None
    comparison: Comparison | None = None

    @property
    def outcome(self) -> UpgradeOutcome:
        if not self.partings:
            return UpgradeOutcome.SAME_BITS
        if self.parity is not None and self.parity.exit_code == ExitCode.DONE:
            return UpgradeOutcome.ROUND_OFF
        verdict = self.comparison.outcome if self.comparison else "inconclusive"
        return {
            "equivalent": UpgradeOutcome.SAME_ACCURACY,
            "different": UpgradeOutcome.DIFFERENT,
            "inconclusive": UpgradeOutcome.INCONCLUSIVE,
        }[verdict]

    @property
    def exit_code(self) -> ExitCode:
        """As of a check: done, a verdict against, or undecided."""
        codes = {
            UpgradeOutcome.DIFFERENT: ExitCode.AGAINST,
            UpgradeOutcome.INCONCLUSIVE: ExitCode.UNFINISHED,
        }
        return codes.get(self.outcome, ExitCode.DONE)


def upgraded_backends(versions: Sequence[str], base: str = "") -> list[str]:
    """The backends that these versions stand for: ``scikit-learn==1.5.2`` is ``sklearn@...``.

    versions: requirements, or anything else that may stand after @. ``base``: the backend, where the
    library does not tell it. InputError for fewer than two, for more backends, or for what none is made with.
    """
    if len(versions) < 2:
        raise InputError(
            f"upgrade: found {len(versions)} version; allowed: two or more, oldest first"
        )
    if base in ("all", "every") or "," in base:
        raise InputError(f"backend: found {base!r}; allowed: one, whose versions these are")
    names = []
    for version in versions:
        try:
            Where.parse(version)
        except ValueError as error:
            raise InputError(f"upgrade: {error}") from None
        names.append(f"{base or _backend_of(version)}@{version}")
    return names


def _backend_of(version: str) -> str:
    libraries = {
        find(name).library.lower(): name for name in (*BUILT_IN, *ON_REQUEST) if _here(name)
    }
    library = version.partition("=")[0].lower().replace("_", "-")
    if library not in libraries:
        raise unknown("upgrade: library", library, [*libraries, "or --backend says whose"])
    return libraries[library]


def _here(name: str) -> bool:
    try:
        return bool(find(name))
    except UnusableBackend:
        return False


def upgrade(
    experiment: Experiment,
    versions: Sequence[str],
    base: str = "",
    *,
    execution: Execution | None = None,
    margin: float = 0.01,
    say: Callable[[str], None] = lambda doing: None,
) -> Upgrade:
    """Say what the last version changes against the first; of more than two, which one it came with.

    ``experiment``: what is trained; its repeats are those of the comparison. ``base``: the backend, where
    the library does not tell it. Of more than two versions the first whose bits differ from the oldest's is
    sought by bisection, and it is judged against the one before it. ``say`` is told what is being done.
    Raises :class:`~harness.errors.InputError` for versions that cannot be had.
    """
    upgraded_backends(versions, base)  # refused before anything is looked for
    if base:
        experiment, _, _ = resolve(experiment.model_copy(update={"backends": (base,)}))
        (base,) = experiment.backends
    names = upgraded_backends(versions, base)
    paths = _Paths(experiment, say)
    low, high = 0, len(names) - 1
    if len(names) > 2 and paths.same(names[0], names[high]):
        high = 1  # all that was asked for is the same: the first two stand for it
    while high - low > 1:
        middle = (low + high) // 2
        if paths.same(names[0], names[middle]):
            low = middle
        else:
            high = middle
    old, new = names[high - 1], names[high]
    if not paths.partings(names[0], names[-1]):
        old, new = names[0], names[-1]
    told = Upgrade(
        tuple(versions),
        (old, new),
        (find(experiment.place(old)).versions(), find(experiment.place(new)).versions()),
        tuple(paths.partings(old, new)),
    )
    if not told.partings:
        return told
    both = experiment.model_copy(update={"backends": (old, new)})
    say("holding both against the reference")
    judged = parity(both, say=say)
    say("training both again, to compare them")
    work = plan_work(both)
    result = train_and_save(work, execution or Execution(executor="serial"))
    wild = by_backend(chaos_maps(both, [old, new]))
    return replace(told, parity=judged, comparison=compare(result, margin=margin, chaos=wild))


class _Paths:
    """The weights of every version after the steps looked at, trained once each."""

    def __init__(self, experiment: Experiment, say: Callable[[str], None]) -> None:
        self.say, self.kept = say, dict[tuple[str, str], tuple[Weights, ...]]()
        self.experiment, self.dataset = experiment, load_dataset(experiment)
        self.trials = {
            dtype: trial(experiment, self.dataset, experiment.backends[0], dtype)
            for dtype in _DTYPES
        }

    def of(self, name: str, dtype: str) -> tuple[Weights, ...]:
        if (name, dtype) not in self.kept:
            self.say(f"training {name}, {dtype}")
            try:
                backend = usable(self.experiment.place(name))
            except UnusableBackend as error:
                raise InputError(f"upgrade: {error}") from None
            whole = self.trials[dtype]
            if reason := backend.unsupported(whole.network, whole.training):
                raise InputError(f"upgrade: {name}: {reason}")
            self.kept[name, dtype] = whole.train(guarded_backend(backend))
        return self.kept[name, dtype]

    def same(self, one: str, other: str) -> bool:
        """Whether every bit of every weight is the same, in both dtypes."""
        return not self.partings(one, other)

    def partings(self, one: str, other: str) -> list[Parting]:
        """Where two versions part, for each dtype in which they do."""
        found = []
        for dtype, whole in self.trials.items():
            for step, a, b in zip(
                whole.checkpoints, self.of(one, dtype), self.of(other, dtype), strict=True
            ):
                differs = [
                    name for name, t in a.named().items() if not _same_bits(t, b.named()[name])
                ]
                if differs:
                    found.append(self._parting(dtype, step, differs[0], one, other))
                    break
        return found

    def _parting(self, dtype: str, step: int, tensor: str, one: str, other: str) -> Parting:
        whole = self.trials[dtype]
        a, b = self.of(one, dtype)[-1], self.of(other, dtype)[-1]
        relative = [e for _, e in errors(b, a, whole.plan.initial).values()]
        with np.errstate(invalid="ignore"):
            worst = np.nan_to_num(np.max(relative, axis=0), nan=0.0)
        cells = [cell for cell in range(len(whole.cells)) if not _same_weights(a[cell], b[cell])]
        return Parting(dtype, step, tensor, len(cells), len(whole.cells), float(worst.max()))


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def _same_weights(one: Weights, other: Weights) -> bool:
    pairs = zip(one.named().values(), other.named().values(), strict=True)
    return all(_same_bits(a, b) for a, b in pairs)
