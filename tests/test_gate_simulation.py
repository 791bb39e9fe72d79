"""How often the gate alarms without cause, and how surely with one, over the repeats that a baseline holds.

Every simulated baseline and run is drawn, with replacement, from the stored repeats of the default
experiment: both come from one population, so every failure is a false alarm. A repeat is drawn for all
quantities at once, as backends share what a repeat is given.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.check import baseline as baselines
from harness.check.decisive_tests import quantities
from harness.check.power_table import expectations
from harness.check.verdict import CheckRules, judge_run
from harness.results.result import KEY
from harness.stats.gate import gate_decisions, non_inferiority

ALPHA = 0.01
MARGIN = 0.01
BASE, NEW = 20, 10
TRIALS = 4000
BACKENDS = ("numpy", "keras")  # in the whole gate, to be quick


@pytest.fixture(scope="module")
def pool():
    """The stored values of the primary quantities, (quantities, repeats)."""
    held = baselines.load_baseline("digits")
    backends = held.result.backends
    return np.stack([quantity.values for quantity in quantities(held, backends, backends)])


def drawn(pool, rng, trials, repeats):
    """Samples of the stored repeats: (trials, quantities, repeats)."""
    return pool[:, rng.integers(0, pool.shape[1], (trials, repeats))].swapaxes(0, 1)


def fails(base, new, margin, paired, looks=()):
    """Whether the gate fails, for each trial: Holm rejects anything only if it rejects the smallest p."""
    trials, quantities, _ = new.shape
    base = np.broadcast_to(base, (trials, *base.shape[1:]))
    flat = (side.reshape(trials * quantities, -1) for side in (base, new))
    worse, _ = non_inferiority(*flat, margin, paired, looks)
    return quantities * worse.reshape(trials, quantities).min(axis=1) < ALPHA


def test_holm_rejects_anything_only_if_it_rejects_the_smallest(pool):
    rng = np.random.default_rng(0)
    base, new = drawn(pool, rng, 16, BASE), drawn(pool, rng, 16, NEW) - 0.004
    fast = fails(base, new, 0.0, False)
    slow = []
    for one, other in zip(base, new, strict=True):
        worse, good = non_inferiority(one, other, 0.0, False)
        slow.append(gate_decisions(worse, good, ALPHA)[0] == "fail")
    assert list(fast) == slow
    assert 0 < fast.mean() < 1


@pytest.mark.parametrize("paired", [False, True])
def test_false_alarms_at_the_margins_edge_are_at_most_twice_their_nominal_rate(pool, paired):
    """Margin 0 puts unchanged runs on the edge, where the error is to be alpha and no more."""
    rng = np.random.default_rng(1)
    rate = fails(drawn(pool, rng, TRIALS, BASE), drawn(pool, rng, TRIALS, NEW), 0.0, paired).mean()
    assert rate <= 2 * ALPHA


@pytest.mark.parametrize("paired", [False, True])
def test_going_on_until_decided_does_not_alarm_more_often(pool, paired):
    """Looks at 10, 20, 40 and 80 repeats, on the margin's edge."""
    rng = np.random.default_rng(6)
    base, new = drawn(pool, rng, TRIALS, BASE), drawn(pool, rng, TRIALS, 80)
    assert fails(base, new, 0.0, paired, (10, 20, 40, 80)).mean() <= 2 * ALPHA


@pytest.mark.parametrize("paired", [False, True])
def test_no_fixed_baseline_alarms_again_and_again(pool, paired):
    """Twenty baselines, the luckiest among them, against which all runs look worse than they are."""
    rng = np.random.default_rng(2)
    fixed = drawn(pool, rng, 20, BASE)
    for margin, summed in ((MARGIN, max), (0.0, np.mean)):
        rates = [
            fails(base[None], drawn(pool, rng, TRIALS // 2, NEW), margin, paired).mean()
            for base in fixed
        ]
        assert summed(rates) <= 2 * ALPHA
    luckiest = fixed[[fixed.mean(axis=(1, 2)).argmax()]]
    assert fails(luckiest, drawn(pool, rng, TRIALS, NEW), 0.0, paired).mean() <= 2 * ALPHA


@pytest.mark.parametrize("paired", [False, True])
def test_drops_are_caught_the_more_surely_the_larger_they_are(pool, paired):
    """Drops of 1, 2 and 3 repeat sds beyond the margin, in every quantity of one backend."""
    rng = np.random.default_rng(3)
    sd = pool.std(axis=1, ddof=1)
    hit = np.arange(len(pool)) < 2
    caught = []
    for drop in (0, 1, 2, 3):
        new = drawn(pool, rng, TRIALS, NEW) - ((MARGIN + drop * sd) * hit)[:, None]
        caught.append(fails(drawn(pool, rng, TRIALS, BASE), new, MARGIN, paired).mean())
    assert caught[0] <= 2 * ALPHA
    assert caught == sorted(caught)
    assert caught[2] > 0.8
    assert caught[3] > 0.99


# the whole gate, on resampled runs


@pytest.fixture(scope="module")
def small():
    """The small baseline, which CI checks against, made comparable with what is drawn from it."""
    held = baselines.load_baseline("small")
    facts = held.facts | {
        "held_out": baselines.test_part_hashes(held.result)
    }  # row numbers are not kept
    return dataclasses.replace(held, facts=facts)


def resampled(result, rng, repeats):
    """A run whose repeats are drawn from those of another."""
    picked = rng.integers(0, result.experiment.repeats, repeats)
    frames = {}
    for name in ("records", "predictions"):
        whole = getattr(result, name)
        parts = [whole[whole["repeat"] == old].assign(repeat=new) for new, old in enumerate(picked)]
        frames[name] = pd.concat(parts).sort_values(KEY, kind="stable", ignore_index=True)
    experiment = result.experiment.model_copy(update={"repeats": repeats})
    return dataclasses.replace(result, experiment=experiment, **frames)


def whole_gate(held, rng, drop=0.0):
    """The verdict on a resampled run against a resampled baseline, as of new draws."""
    base = dataclasses.replace(held, result=resampled(held.result, rng, held.experiment.repeats))
    run = resampled(held.result, rng, held.repeats)
    lower = run.records.assign(test_accuracy=run.records["test_accuracy"] - drop)
    run = dataclasses.replace(run, records=lower)
    rules = CheckRules(margin=MARGIN, alpha=ALPHA)
    return judge_run(base, run, backends=BACKENDS, redrawn=BACKENDS, rules=rules)


@pytest.mark.slow
def test_the_whole_gate_lets_unchanged_runs_pass(small):
    """At twice its nominal rate more than 3 failures of 20 have a chance of 0.0006."""
    rng = np.random.default_rng(4)
    outcomes = [whole_gate(small, rng).outcome for _ in range(20)]
    assert outcomes.count("fail") <= 3
    assert outcomes.count("pass") > 3  # others need more repeats


def test_the_whole_gate_catches_the_drops_that_explain_promises(small):
    """Of 8 runs that lost what is caught with 95 % power fewer than 5 fail with a chance of 0.0004."""
    promised = expectations(small, small.repeats, MARGIN, ALPHA, BACKENDS)
    rng = np.random.default_rng(5)
    drop = max(e.drop95 for e in promised)
    assert sum(whole_gate(small, rng, drop).outcome == "fail" for _ in range(8)) >= 5
