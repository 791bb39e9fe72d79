"""A check on trial: equivalent code passes, code that is worse is decided.

Every trial has a baseline of its own: another split, other draws, one of three networks, on a part of
digits. Its code is then changed, and checked with the baseline's draws until it is decided. NumPy stands
alone, and repeats and curves are all that can be judged by.

A few trials are in the suite. A campaign, with its table: ``CHECK_TRIALS=100 pytest -s`` on this file.
"""

from __future__ import annotations

import os
import time
from collections import Counter

import numpy as np
import planted
import pytest
from sklearn.datasets import load_digits

from backends import registry
from harness.api import run
from harness.check.baseline import save_baseline
from harness.check.check import check
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.roundoff.stable_cells import stability

TRIALS = int(os.environ.get("CHECK_TRIALS", "2"))
CHANGES = (planted.OtherOrder, *planted.LOSSES)
NETWORKS = (
    {"activation": "sigmoid", "eta": [0.05, 0.15, 0.6]},  # in the last one raw pixels make chaos
    {"activation": "tanh", "eta": [0.02, 0.05, 0.3]},
    {"activation": "sigmoid", "eta": [0.05, 0.1, 1.0], "momentum": 0.5},
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Runs trials by their number: the outcomes of every change, and what they were decided by."""
    home = tmp_path_factory.mktemp("campaign")
    x, y = load_digits(return_X_y=True)
    picked = np.random.default_rng(0).permutation(len(y))[:900]
    np.savez(home / "part.npz", x=x[picked], y=y[picked])

    def trial(number):
        how = Execution(executor="serial", output=str(home), name="run", fresh=True)
        settings = {
            "backends": ["numpy"],
            "dataset": str(home / "part.npz"),
            "target": "y",
            "test_size": 0.4,
            "hidden": [16],
            "lmbd": [1e-4, 1e-2],
            "epochs": 10,
            "batch_size": 25,
            "repeats": 10,
            "seed": number,
        }
        experiment = experiment_from(settings | NETWORKS[number % len(NETWORKS)])
        result = run(experiment, how)
        chaos = stability(experiment, ["numpy"], repeats=5)
        held = save_baseline(result, f"trial-{number}", str(home / "baselines"), chaos=chaos)
        best = result.best().iloc[0]
        verdicts = {"chaotic": ("numpy", best["eta"], best["lmbd"]) in held.chaotic}
        for change in CHANGES:
            begun = time.perf_counter()
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(registry.BUILT_IN, "numpy", f"planted:{change.__name__}")
                verdicts[change] = check(held, execution=how)
            print(
                number,
                change.__name__,
                verdicts[change].outcome,
                verdicts[change].word,
                verdicts[change].repeats,
                [
                    (
                        round(100 * p.difference, 2),
                        round(100 * p.low, 2),
                        round(100 * p.high, 2),
                        p.outcome,
                        p.test,
                    )
                    for p in verdicts[change].primaries
                ],
                verdicts[change].signs.words,
                round(time.perf_counter() - begun, 1),
                verdicts["chaotic"],
                flush=True,
            )
        return verdicts

    return trial


def test_equivalent_code_passes_and_losses_are_decided(trial):
    verdicts = [trial(number) for number in range(TRIALS)]
    table = {
        change.__name__: Counter(found[change].outcome for found in verdicts) for change in CHANGES
    }
    chaotic = sum(found["chaotic"] for found in verdicts)
    print(f"\n{TRIALS} baselines, the chosen cell chaotic in {chaotic}")
    for name, outcomes in table.items():
        print(f"{name:12}", dict(outcomes))
    assert table["OtherOrder"] == {"pass": TRIALS}
    for change in planted.LOSSES:
        decided = table[change.__name__]["pass"] + table[change.__name__]["fail"]
        assert decided >= min(0.9 * TRIALS, TRIALS - 1)
