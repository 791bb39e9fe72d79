"""Kinds of mistakes planted in recordings, and right trainings drawn at random, for the judge of recordings.

The kinds are those of the tournament, and some that only a recording shows. Run as a program it plants
every kind so many times and prints what was named: ``python tests/recorded_kinds.py [each] [kind ...]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tournament import (
    CLASSES,
    COMMON,
    KINDS,
    OPTIMISERS,
    TASKS,
    Kind,
    Match,
    Written,
    dropout,
    dropout_back,
    kind,
    matches,
    noise,
    times,
)

from backends.base import Backend
from backends.recording import read_recording
from harness.data.dataset import load_dataset
from harness.experiment.experiment import experiment_from
from harness.recordings.backend import record_backend
from harness.recordings.judgement import RecordedParity, judge_recording
from harness.roundoff.trial import trial

STEPS = 14


def through_the_slope_of_sigmoid(s: Any, slope: Any, layer: int) -> Any:
    a = 1 / (1 + np.exp(-s.z[layer]))
    return a * (1 - a)


def every_third(s: Any, g: Any) -> Any:
    """The gradients of three minibatches summed for one update; the penalty's as well."""
    total = summed(s, g, s.step % 3 == 0)
    return total if s.step % 3 == 2 else [0 * t for t in total]


def summed(s: Any, g: Any, anew: bool = False) -> Any:
    if anew:
        s.kept.pop("sum", None)
    s.kept["sum"] = [t + old for t, old in zip(g, s.kept.get("sum", [0] * len(g)), strict=True)]
    return s.kept["sum"]


def penalty_alone(s: Any, g: Any) -> Any:
    """The penalty's part of the gradients; the cost's is kept."""
    matrices = s.network.layers
    penalty = [s.real(s.lmbd) * t if k < matrices else 0 * t for k, t in enumerate(s.theta)]
    s.kept["cost"] = [a - b for a, b in zip(g, penalty, strict=True)]
    return penalty


MORE = [
    kind(
        "first row seen twice",
        "row seen twice",
        "rows",
        rows=lambda s, rows, bs: np.append(rows, rows[0]),
    ),
    kind(
        "targets halved",
        "targets scaled",
        "targets",
        "diabetes",
        targets=lambda s, t: s.real(0.5) * t,
    ),
    kind(
        "no softmax",
        "output function missing",
        "output",
        CLASSES,
        error=lambda s, e: s.z[-1] - s.t,
    ),
    kind(
        "softmax over rows",
        "softmax over rows",
        "output",
        "iris|wine",
        error=lambda s, e: _over_rows(s) - s.t,
    ),
    kind(
        "softmax twice",
        "softmax twice",
        "cross-entropy",
        "iris|wine",
        error=lambda s, e: _through_softmax_again(s),
    ),
    kind(
        "sigmoid's derivative",
        "another derivative",
        "dW1",
        "tanh",
        slope=through_the_slope_of_sigmoid,
    ),
    kind(
        "cosine",
        "decay of eta",
        "W1",
        rate=lambda s, e: e * (1 + np.cos(np.pi * s.step / 50)) / 2,
    ),
    kind(
        "epsilon inside the root",
        "epsilon's place",
        "W1",
        "adam",
        ratio=lambda s, r, rate, m, v, c1, c2: (
            rate / s.real(c1) * m / np.sqrt(v / s.real(c2) + s.real(s.training.epsilon))
        ),
    ),
    kind(
        "bias gradient averaged",
        "bias gradient",
        "db{L}",
        gradients=lambda s, g: [t / s.n if k >= s.network.layers else t for k, t in enumerate(g)],
    ),
    kind(
        "error through W",
        "error through W",
        "dW1",
        **{"passed back": lambda s, W, layer, dW: W.T if layer == 1 else W},
        settings={"hidden": [8, 8]},
    ),
    kind(
        "gradient transposed",
        "gradient transposed",
        "dW2",
        gradients=lambda s, g: [t.T if k == 1 else t for k, t in enumerate(g)],
        settings={"hidden": [8, 8], "lmbd": [0.0]},
    ),
    kind(
        "targets broadcast",
        "targets broadcast",
        "targets",
        "diabetes",
        targets=lambda s, t: 0 * t + t.mean(axis=0),
    ),
    kind(
        "z for log-probabilities",
        "z taken for log-probabilities",
        "output",
        "iris|wine",
        error=lambda s, e: -s.t,
    ),
    kind(
        "zero_grad forgotten",
        "gradients accumulated|momentum added",  # plain descent: a momentum of 1
        "dW{L}",
        gradients=summed,
        settings={"lmbd": [0.0]},
    ),
    kind(
        "zero_grad once an epoch",
        "gradients accumulated",
        "dW{L}",
        gradients=lambda s, g: summed(s, g, s.step % s.epoch_steps == 0),
        settings={"lmbd": [0.0]},
    ),
    kind(
        "zero_grad every third step",
        "gradients accumulated",
        "dW{L}",
        gradients=lambda s, g: summed(s, g, s.step % 3 == 0),
        settings={"lmbd": [0.0]},
    ),
    kind(
        "update every third step",
        "updates every few steps",
        "W1",
        "sgd",
        gradients=every_third,
    ),
    kind(
        "tanh's derivative of z",
        "derivative of z for a",
        "dW1",
        "tanh",
        slope=lambda s, slope, layer: 1 - s.z[layer] ** 2,
    ),
    kind(
        "delta times the slope of each output",
        "slope of each output",
        "cross-entropy",
        "iris|wine",
        error=lambda s, e: e * s.a[-1] * (1 - s.a[-1]),
    ),
    kind(
        "labels shifted at times",
        "labels shifted",
        "targets",
        targets=lambda s, t: np.roll(t, 1, axis=0) if s.step in (3, 4, 8) else t,
    ),
    kind(
        "velocity of the step before",
        "velocity of the step before",
        "W1",
        "momentum",
        change=lambda s, change, k: (
            s.kept.get(k, 0 * change),
            s.kept.update({k: change}),
        )[0],
    ),
    kind(
        "momentum of the penalty alone",
        "momentum of the penalty alone",
        "W1",
        "momentum",
        gradients=lambda s, g: penalty_alone(s, g),
        change=lambda s, change, k: change + s.real(s.eta) * s.kept["cost"][k],
    ),
    kind("eta drops", "change of eta", "W1", rate=lambda s, e: e * (0.1 if s.step >= 5 else 1)),
    kind(
        "eta drops by epoch",
        "decay of eta|change of eta",
        "W1",
        rate=lambda s, e: e * 0.3 ** (s.step // 3),
    ),
    kind("eta ten times", "eta factor", "W1", rate=lambda s, e: 10 * e),
    kind(
        "L2 twice beside L1",
        "penalty factor",
        "penalty of W1",
        penalty=times(2),
        settings={"l1": 0.01},
    ),
    kind(
        "penalty divided by samples",
        "penalty divided by samples",
        "penalty of W1",
        penalty=lambda s, d, *_: d / s.real(len(s.samples)),
    ),
]


def _over_rows(s: Any) -> Any:
    e = np.exp(s.z[-1] - s.z[-1].max(axis=0))
    return e / e.sum(axis=0)


def _through_softmax_again(s: Any) -> Any:
    p = s.a[-1]
    q = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    return p * ((q - s.t) - ((q - s.t) * p).sum(axis=1, keepdims=True))


LINEAR = "sgd|momentum|nesterov"  # optimisers that gradients can be read off
RANDOM = [
    kind("dropout", "dropout", "a1", LINEAR, a=dropout, slope=dropout_back),
    kind("gradient noise", "gradient noise", "dW{L}|dW1", LINEAR, gradients=noise),
    kind("gradient noise behind Adam", "", "dW{L}|dW1", "adam", gradients=noise),
]
ALL: list[Kind] = [
    *(one for one in KINDS if one.name not in {r.name for r in RANDOM}),
    *MORE,
    *RANDOM,
]


def planted(match: Match, folder: Path, steps: int = STEPS) -> RecordedParity:
    """A recording with the mistake of a match in it, judged."""
    backend = type("Planted", (Written,), {"hooks": match.kind.hooks})()
    return judged(backend, match.settings() | {"backends": ["numpy"]}, match.dtype, folder, steps)


def judged(
    backend: Backend, settings: dict[str, Any], dtype: str, folder: Path, steps: int, every: int = 1
) -> RecordedParity:
    """A backend's training of the last cell of an experiment, recorded and judged."""
    experiment = experiment_from(settings)
    own = trial(experiment, load_dataset(experiment), "numpy", dtype, steps)
    own = own.of(np.array([len(own.cells) - 1]))
    return judge_recording(read_recording(record_backend(backend, own, folder / "a.npz", every)))


def names_of(parity: RecordedParity) -> list[str]:
    """What the explanation says was done, its alternatives side by side."""
    if parity.explanation is None:
        return []
    return sorted(
        {"+".join(sorted(m.name for m in made)) for made in parity.explanation.alternatives}
    )


def right_names(one: Kind) -> list[str]:
    return sorted("+".join(sorted(name.split("+"))) for name in one.named)


@dataclass(frozen=True)
class RightTraining:
    """Settings of a right training drawn at random."""

    settings: dict[str, Any]
    dtype: str
    every: int
    steps: int


def right_training(seed: int) -> RightTraining:
    """One of all optimisers, activations, depths, dtypes and tails of minibatches."""
    rng = np.random.default_rng([seed, 18])
    task = list(TASKS.values())[rng.integers(len(TASKS))]
    optimiser = list(OPTIMISERS.values())[rng.integers(len(OPTIMISERS))]
    hidden = [int(n) for n in rng.integers(3, 12, rng.integers(1, 4))]
    names = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "identity"]
    settings = COMMON | task | optimiser
    settings |= {
        "hidden": hidden,
        "activation": names[rng.integers(len(names))],
        "batch_size": int(rng.integers(5, 50)),
        "keep_last_batch": bool(rng.integers(2)),
        "lmbd": [float(rng.choice([0.0, 1e-3, 0.1]))],
        "eta": [float(rng.choice([1e-3, 1e-2] if "optimizer" in optimiser else [0.01, 0.1]))],
        "seed": int(rng.integers(1000)),
        "backends": ["numpy"],
    }
    dtype = ["float32", "float64"][rng.integers(2)]
    return RightTraining(settings, dtype, int(rng.choice([1, 1, 1, 3])), int(rng.integers(10, 40)))


def main() -> None:
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    wanted = sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        for match in matches(each, ALL):
            if wanted and match.kind.name not in wanted:
                continue
            begun = time.process_time()
            parity = planted(match, Path(folder))
            names, right = names_of(parity), right_names(match.kind)
            good = parity.exit_code and (
                names == [] if not right else bool(names) and set(names) <= set(right)
            )
            took = time.process_time() - begun
            print(
                f"{'    ' if good else '*** '}{match}: {names} {parity.outcome} step {parity.step} "
                f"{parity.tensor} {took:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
