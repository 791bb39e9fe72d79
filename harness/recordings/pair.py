"""Two recordings: what differs around them, where they part, whom the reference sides with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backends.network import Array
from backends.recording import Recording
from harness.document.section import Section, Table
from harness.errors import InputError
from harness.mistakes.step_trace import LARGEST_LIMIT, RMS_LIMIT
from harness.parity.section import tensor_words
from harness.recordings.judgement import RecordedParity
from harness.recordings.rules import minibatches_of, rules_with, traced

SAME, DIFFERENT, UNKNOWN = "same", "different", "unknown"
_COSTLY = 600  # steps that twins are walked over, at most
_CHECKED = (1, 2, 3, 5, 8, 13, 20, 35, 60, 100, 160, 250, 400, _COSTLY)
_SETTINGS = (
    "optimizer",
    "eta",
    "lmbd",
    "momentum",
    "nesterov",
    "dampening",
    "beta_1",
    "beta_2",
    "epsilon",
    "activation",
    "cost",
    "penalised",
)
# in the order in which they explain a difference
_ORDER = ("data", "targets", "minibatches", "initial weights", *_SETTINGS, "dtype")


@dataclass(frozen=True)
class RecordedPair:
    """Two judged recordings, what is around them, and where they part.

    ``around``: a row for each circumstance: what, verdict, the one, the other. ``step``: after how many
    steps a tensor is first further apart than round-off explains, 0 if never; ``alike``: up to where they
    were compared; ``gap`` and ``allowed``: the largest relative distance there and what round-off does.
    """

    one: RecordedParity
    other: RecordedParity
    around: pd.DataFrame
    step: int
    tensor: str
    gap: float
    allowed: float
    alike: int

    @property
    def exit_code(self) -> int:
        """0 they take the same steps; 1 they part; 3 it could not be told."""
        if self.step or not (self.one.exit_code == self.other.exit_code == 0):
            return 1 if self.step or 1 in (self.one.exit_code, self.other.exit_code) else 3
        return 0 if self.alike else 3

    @property
    def first_cause(self) -> str:
        """The first circumstance that differs and changes a training, or ""."""
        differing = self.around.loc[self.around["verdict"] == DIFFERENT, "what"]
        return str(differing.iloc[0]) if len(differing) else ""


def compare_recordings(one: RecordedParity, other: RecordedParity) -> RecordedPair:
    """What differs around two recordings, and the first step and tensor at which their weights part."""
    a, b = one.recording, other.recording
    if a.sizes != b.sizes:
        raise InputError(
            f"{b.path}: found a {_network(b)} network; allowed: one of {_network(a)}, as {a.path} has"
        )
    around = circumstances(a, b)
    step, tensor, gap, allowed, alike = _parting(one, b)
    return RecordedPair(one, other, around, step, tensor, gap, allowed, alike)


def _network(recording: Recording) -> str:
    return "-".join(map(str, recording.sizes))


def circumstances(a: Recording, b: Recording) -> pd.DataFrame:
    """Everything around two recordings: same, different or unknown; what differs first, causes first."""
    rows: list[tuple[str, str, str, str]] = [
        ("data", *_of_arrays(a.x, b.x)),
        ("targets", *_of_arrays(a.y, b.y)),
        ("minibatches", *_minibatches(a, b)),
        ("initial weights", *_start(a, b)),
    ]
    for key in _SETTINGS:
        if key in a.about or key in b.about:
            rows.append((key, *_of_values(a.about.get(key), b.about.get(key))))
    rows.append(("dtype", *_of_values(a.dtype, b.dtype)))
    rows.append(("library", *_of_values(a.about.get("library"), b.about.get("library"))))
    for group, word in (("versions", "version of "), ("variables", "variable ")):
        mine, theirs = (_mapping(r.about.get(group)) for r in (a, b))
        for key in sorted({*mine, *theirs}):
            unset = None if group == "versions" else "not set"
            values = [
                one.get(key, unset if group in recording.about else None)
                for one, recording in ((mine, a), (theirs, b))
            ]
            rows.append((f"{word}{key}", *_of_values(*values)))
    for key in ("blas", "threads", "machine"):
        rows.append((key, *_of_values(a.about.get(key), b.about.get(key))))
    order = {SAME: 2, UNKNOWN: 1, DIFFERENT: 0}
    rows.sort(key=lambda row: order[row[1]])  # stable: causes stay in their order
    return pd.DataFrame(rows, columns=["what", "verdict", a.name, f"{b.name} "]).astype(object)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_values(a: Any, b: Any) -> tuple[str, str, str]:
    told = [
        "not said" if v is None else ", ".join(map(str, v)) if isinstance(v, list) else str(v)
        for v in (a, b)
    ]
    verdict = UNKNOWN if a is None or b is None else SAME if a == b else DIFFERENT
    return verdict, told[0], told[1]


def _of_arrays(a: Array, b: Array) -> tuple[str, str, str]:
    shapes = [f"{m.dtype} {'×'.join(map(str, m.shape))}" for m in (a, b)]
    if a.shape != b.shape:
        return DIFFERENT, shapes[0], shapes[1]
    if np.array_equal(a, b):
        return SAME, shapes[0], shapes[1]
    wide = a.astype(np.float64), b.astype(np.float64)
    if np.array_equal(wide[0].astype(np.float32), wide[1].astype(np.float32)):
        return SAME, shapes[0], f"{shapes[1]}, the same but for digits"
    apart = int((np.abs(wide[0] - wide[1]).reshape(len(a), -1).max(axis=1) > 0).sum())
    return DIFFERENT, shapes[0], f"{shapes[1]}, other in {apart} of {len(a)} samples"


def _minibatches(a: Recording, b: Recording) -> tuple[str, str, str]:
    steps = min(a.steps, b.steps)
    words = [f"{r.steps} steps" for r in (a, b)]
    for step in range(steps):
        mine, theirs = a.rows_of(step), b.rows_of(step)
        if not np.array_equal(mine, theirs):
            order = np.array_equal(np.sort(mine), np.sort(theirs))
            if order:
                continue
            return DIFFERENT, words[0], f"{words[1]}, other rows from step {step + 1} on"
    return SAME, words[0], words[1]


def _start(a: Recording, b: Recording) -> tuple[str, str, str]:
    gap, name = max(
        (float(np.abs(mine.astype(float) - b.weights(0)[name].astype(float)).max()), name)
        for name, mine in a.weights(0).items()
    )
    scale = max(float(np.abs(a.weights(0)[name]).max()), 1e-300)
    if not gap:
        return SAME, "", ""
    if gap / scale < 1e-6:
        return SAME, "", f"the same but for digits ({gap / scale:.1e})"
    return DIFFERENT, "", f"{name} differs by up to {gap:.3g}"


def _parting(one: RecordedParity, b: Recording) -> tuple[int, str, float, float, int]:
    """The first kept step after which weights are further apart than twins are, the tensor, both sizes."""
    a = one.recording
    common = [int(k) for k in a.kept if k in set(b.kept.tolist()) and k <= _COSTLY]
    places = {int(k): place for place, k in enumerate(a.kept)}
    theirs = {int(k): place for place, k in enumerate(b.kept)}
    batches = minibatches_of(a)
    rules = one.rules
    if one.explanation:  # twins of the training as it is
        rules = rules_with(rules, *one.explanation.mistakes)
    alike, last = 0, 0
    wanted = [k for k in common if k and (k in _CHECKED or k == common[-1])]
    while wanted:
        k = wanted.pop(0)
        whole = traced(a, rules, batches, last=k)
        trace = type(whole)(
            whole.rules, whole.start, whole.batches, (*[None] * (k - 1), whole.weights[-1])
        )
        scales = trace.own_round_off[0]
        mine, other = a.weights(places[k]), b.weights(theirs[k])
        worst = ("", 0.0, 0.0)
        for name, tensor in mine.items():
            gap = np.abs(tensor.astype(np.float64) - other[name].astype(np.float64))
            ratio = gap / scales[name]
            if not (np.sqrt(np.mean(ratio**2)) <= 2 * RMS_LIMIT and ratio.max() <= LARGEST_LIMIT):
                size = max(float(np.abs(tensor).max()), 1e-300)
                worst = (name, float(gap.max()) / size, float(scales[name].max()) / size)
                break
        if worst[0]:
            between = [c for c in common if last < c < k]
            if not between:
                return k, worst[0], worst[1], worst[2], alike
            middle = between[len(between) // 2]
            wanted = [*([middle] if middle != k else []), k]
            if len(between) == 1 and middle in wanted:
                wanted = [middle, k]
            continue
        alike = last = k
    return 0, "", 0.0, 0.0, alike


def pair_headline(pair: RecordedPair) -> str:
    """Where the two part, and with whom the reference sides."""
    a, b = pair.one.name, pair.other.name
    cause = f" The first circumstance that differs: {pair.first_cause}." if pair.first_cause else ""
    if not pair.step:
        if not pair.alike:
            return (
                f"{a} and {b}: nothing comparable: no weights were kept after the same step.{cause}"
            )
        return (
            f"{a} and {b} stay together: over {pair.alike} steps no tensor is further apart than round-off "
            f"explains. {_sides(pair)}"
        )
    return (
        f"{a} and {b} part in step {pair.step}, first in {tensor_words(pair.tensor)}: {pair.gap:.1e} apart, "
        f"where round-off does {pair.allowed:.1e}. {_sides(pair)}{cause}"
    )


def _sides(pair: RecordedPair) -> str:
    a, b = pair.one, pair.other
    if a.agrees and b.agrees:
        return "Both take the reference's steps, each from its own weights."
    if a.agrees or b.agrees:
        right, wrong = (a, b) if a.agrees else (b, a)
        return (
            f"The reference sides with {right.name}; {wrong.name} leaves it in step {wrong.step}."
        )
    return "The reference sides with neither."


def pair_section(pair: RecordedPair) -> Section:
    """The answer, and what is around the two."""
    return Section(
        f"{pair.one.name} and {pair.other.name}",
        text=[pair_headline(pair)],
        tables=[
            Table(pair.around, "What is around them, differences first, those that explain first")
        ],
        kind="verdict" if pair.exit_code == 0 else "warning",
    )
