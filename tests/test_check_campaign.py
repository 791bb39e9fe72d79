"""A check on trial: equivalent code passes, code that is worse is decided.

Every trial has a baseline of its own: another split, other draws, one of four networks, on a part of
digits. The backend is then changed, and checked on the baseline's draws until it is decided; and, in some
trials, judged by its repeats alone, as a run that is given. Trained is NumPy's backend in the place of
scikit-learn's, so that it can be changed and the reference stays.

One trial is in the suite. A campaign, with its table: ``HARNESS_CHECK_TRIALS=100 pytest -s`` on this file;
``100:200`` makes other ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import planted
import pytest
from campaigns import trials
from sklearn.datasets import load_digits

from backends import registry
from harness.api import run
from harness.check.baseline import save_baseline
from harness.check.check import check, run_again
from harness.experiment.execution import Execution
from harness.experiment.experiment import experiment_from
from harness.roundoff.stable_cells import stability

TRIALS = trials("HARNESS_CHECK_TRIALS", range(1))
WITH_LOSSES = max(1, 2 * len(TRIALS) // 5)  # the first of them
ALONE = len(TRIALS) // 8  # of these, judged by their repeats alone as well
MOST = 40  # repeats
NETWORKS = (
    # on raw pixels large steps make chaos, and there the best cell is
    {"activation": "sigmoid", "eta": [0.05, 0.15, 0.5]},
    {"activation": "tanh", "eta": [0.02, 0.05, 0.3]},
    {"activation": "relu", "eta": [0.1, 0.3, 0.8], "scale": "minmax"},
    {"activation": "sigmoid", "eta": [0.05, 0.15, 0.4], "epochs": 20},
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a part of digits."""
    folder = tmp_path_factory.mktemp("campaign")
    x, y = load_digits(return_X_y=True)
    picked = np.random.default_rng(0).permutation(len(y))[:500]
    np.savez(folder / "part.npz", x=x[picked], y=y[picked])
    return folder


def baseline_of(number, home, how):
    """The baseline of a trial."""
    settings = {
        "backends": ["sklearn"],
        "dataset": str(home / "part.npz"),
        "target": "y",
        "test_size": 0.4,
        "hidden": [16],
        "lmbd": [1e-3],
        "epochs": 10,
        "batch_size": 20,
        "repeats": 10,
        "seed": number,
    }
    experiment = experiment_from(settings | NETWORKS[number % len(NETWORKS)])
    result = run(experiment, how)
    chaos = stability(experiment, ["sklearn"], repeats=5)
    return save_baseline(result, f"trial-{number}", str(home / "baselines"), chaos=chaos)


@pytest.mark.slow
def test_equivalent_code_passes_and_losses_are_decided(home, monkeypatch):
    how = Execution(executor="serial", output=str(home), name="run", fresh=True)
    outcomes, alone, early = defaultdict(Counter), defaultdict(Counter), Counter()
    chaotic = 0
    for place, number in enumerate(TRIALS):
        monkeypatch.setitem(registry.BUILT_IN, "sklearn", registry.BUILT_IN["numpy"])
        held = baseline_of(number, home, how)
        best = held.result.best().iloc[0]
        chaotic += (best["backend"], best["eta"], best["lmbd"]) in held.chaotic
        for change in (planted.OtherOrder, *planted.LOSSES)[: None if place < WITH_LOSSES else 1]:
            name = change.__name__
            monkeypatch.setitem(registry.BUILT_IN, "sklearn", f"planted:{name}")
            verdict = check(held, execution=how)
            outcomes[name][verdict.outcome] += 1
            early[name] += bool(verdict.signs.failures)
            moved = any("another learning curve" in line for line in verdict.signs.words)
            assert moved == (change is not planted.OtherOrder)
            if place < ALONE:
                address = run_again(held, repeats=MOST, execution=how).address
                judged = check(held, address, until_decided=True)
                alone[name][judged.outcome] += 1
                print(
                    number,
                    name,
                    judged.repeats,
                    judged.outcome,
                    [
                        f"{100 * p.difference:.2f} [{100 * p.low:.2f},{100 * p.high:.2f}] {p.outcome}"
                        for p in judged.primaries
                    ],
                    flush=True,
                )
        print(number, {n: dict(o) for n, o in outcomes.items()}, flush=True)
    print(f"\n{len(TRIALS)} baselines, the chosen cell chaotic in {chaotic}")
    for name, counts in outcomes.items():
        print(
            f"{name:12} {dict(counts)}, {early[name]} by the first steps; alone {dict(alone[name])}"
        )
    assert outcomes["OtherOrder"] == {"pass": len(TRIALS)}
    for change in planted.LOSSES:
        counts = outcomes[change.__name__]
        assert counts["pass"] + counts["fail"] >= 0.9 * WITH_LOSSES
