"""The statistics agree with the libraries' own, cell by cell, and have an answer for every edge."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from harness.errors import InputError
from harness.stats import agreement, alpha_spending, differences, gate, power, repeats


@pytest.fixture
def pair():
    """Scores of 40 cells with 6 paired repeats, some differences small and some large."""
    rng = np.random.default_rng(1)
    left = rng.normal(0.95, 0.004, (40, 6))
    return left, left - np.linspace(0, 0.03, 40)[:, None] + rng.normal(0, 0.002, (40, 6))


@pytest.fixture
def labels():
    """Labels of 5 cells, 4 repeats, 60 samples in 3 classes, and the right ones."""
    rng = np.random.default_rng(2)
    target = rng.integers(0, 3, 60)
    wrong = rng.random((2, 5, 4, 60)) < 0.2
    left, right = np.where(wrong, rng.integers(0, 3, wrong.shape), target)
    return left, right, target


def records(values, status="ok"):
    """Records of one backend: rows of ``values`` are cells (by eta), columns repeats."""
    cells, n = np.shape(values)
    return pd.DataFrame(
        {
            "backend": "numpy",
            "eta": np.repeat(np.arange(1.0, cells + 1), n),
            "lmbd": 0.1,
            "repeat": np.tile(np.arange(n), cells),
            "status": status,
            "test_accuracy": np.ravel(values),
        }
    )


# repeats


def test_summary_has_students_interval():
    values = [[0.9, 0.92, 0.95, 0.91]]
    row = repeats.repeat_summary(records(values), "test_accuracy").iloc[0]
    interval = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx(interval)
    assert row["sd"] == pytest.approx(np.std(values[0], ddof=1))


def test_summary_of_one_repeat_has_no_spread():
    row = repeats.repeat_summary(records([[0.9]]), "test_accuracy").iloc[0]
    assert row["mean"] == 0.9
    assert np.isnan([row["sd"], row["low"], row["high"]]).all()


def test_summary_counts_only_repeats_that_are_ok():
    status = ["ok", "diverged", "ok"]
    row = repeats.repeat_summary(records([[0.9, np.nan, 0.8]], status), "test_accuracy").iloc[0]
    assert (row["n"], row["planned"]) == (2, 3)
    assert row["mean"] == pytest.approx(0.85)


def test_summary_of_repeats_without_spread_has_an_interval_without_width():
    row = repeats.repeat_summary(records([[0.9, 0.9, 0.9]]), "test_accuracy").iloc[0]
    assert row["low"] == row["high"] == pytest.approx(0.9)


def test_summary_keeps_the_order_of_backends():
    two = pd.concat([records([[0.9]]).assign(backend=b) for b in ("sklearn", "keras")])
    assert list(repeats.repeat_summary(two, "test_accuracy")["backend"]) == ["sklearn", "keras"]


def test_summary_names_the_nearest_column():
    with pytest.raises(InputError, match="test_accuracy"):
        repeats.repeat_summary(records([[0.9]]), "test_acuracy")


def test_collapsed_repeats_are_those_at_chance_where_another_learned():
    values = np.array([[0.95, 0.1, np.nan], [0.1, 0.1, 0.1], [0.95, 0.5, 0.95]])
    found = repeats.collapsed(values, chance=0.1, learned=0.15)
    assert found.tolist() == [[False, True, True], [False] * 3, [False] * 3]


def test_guessing_is_rarely_taken_for_learning():
    chance, learned = repeats.guessing(np.repeat([0, 1, 2], [50, 30, 20]))
    assert chance == 0.5
    guessed = np.random.default_rng(0).binomial(100, 0.5, 100_000) / 100  # the largest class
    assert (guessed > learned).mean() < 0.0015  # 0.001 and five standard errors
    assert learned < 0.7


# differences


def test_t_test_and_interval_are_scipys(pair):
    left, right = pair
    ours = differences.paired(left, right, margin=0.01)
    theirs = stats.ttest_rel(left, right, axis=1)
    np.testing.assert_allclose(ours["p_difference"], theirs.pvalue, rtol=1e-9)
    np.testing.assert_allclose(ours[["low", "high"]].T, theirs.confidence_interval(), rtol=1e-9)


def test_equivalence_is_statsmodels_tost(pair):
    left, right = pair
    ours = differences.paired(left, right, margin=0.01)["p_equivalent"]
    theirs = [ttost_paired(a, b, -0.01, 0.01)[0] for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_permutation_goes_through_all_sign_changes(pair):
    d = pair[0] - pair[1]
    p = differences.permutation(d)
    np.testing.assert_allclose(p * 2**6, np.round(p * 2**6), atol=1e-9)
    # the largest difference has one sign throughout: only 2 of 64 sign changes are as extreme
    assert p[-1] == pytest.approx(2 / 64)


def test_permutation_agrees_with_the_t_test_on_normal_differences():
    d = np.random.default_rng(3).normal(0.3, 1, (200, 12))
    t = stats.ttest_1samp(d, 0, axis=1).pvalue
    assert np.corrcoef(t, differences.permutation(d))[0, 1] > 0.99


def test_differences_of_zero_are_identical_and_not_tested():
    row = differences.paired(np.full((1, 4), 0.9), np.full((1, 4), 0.9), 0.01).iloc[0]
    assert row["identical"]
    assert row["difference"] == 0
    assert np.isnan(row["p_difference"])
    assert np.isnan(row["p_permutation"])


@pytest.mark.parametrize(("shift", "equivalent"), [(0.005, 0.0), (0.02, 1.0)])
def test_a_constant_difference_is_decided_by_its_size(shift, equivalent):
    row = differences.paired(np.full((1, 3), 0.9), np.full((1, 3), 0.9 - shift), 0.01).iloc[0]
    assert not row["identical"]
    assert row["p_equivalent"] == equivalent
    assert row["p_beyond"] == 1 - equivalent


def test_a_constant_difference_of_two_repeats_decides_nothing():
    row = differences.paired(np.full((1, 2), 0.9), np.full((1, 2), 0.8), 0.01).iloc[0]
    assert np.isnan(row["p_equivalent"])
    assert np.isnan(row["p_beyond"])


def test_cells_with_missing_repeats_use_those_they_have(pair):
    left, right = (side.copy() for side in pair)
    left[3, 1] = right[3, 4] = np.nan
    row = differences.paired(left, right, 0.01).loc[3]
    kept = [0, 2, 3, 5]
    assert row["n"] == 4
    assert row["p_difference"] == pytest.approx(
        stats.ttest_rel(left[3, kept], right[3, kept]).pvalue
    )


def test_one_repeat_has_a_difference_and_no_test():
    row = differences.paired(np.array([[0.9]]), np.array([[0.8]]), 0.01).iloc[0]
    assert row["difference"] == pytest.approx(0.1)
    assert np.isnan(row["p_equivalent"])


def test_tests_make_no_warning_of_their_own():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        differences.paired(np.full((2, 5), 0.9), np.full((2, 5), 0.8), 0.01)


def test_false_claims_stay_rare_over_many_cells():
    """Maps of 300 cells whose true difference is the margin: in about 5 % of them one is claimed."""
    maps, cells = 400, 300
    d = np.random.default_rng(4).normal(0.01, 0.003, (maps * cells, 5))
    p = differences.paired(d, np.zeros_like(d), 0.01)["p_equivalent"].to_numpy()
    p = p.reshape(maps, cells)
    assert differences.holm(p[0]).min() == pytest.approx(min(1, cells * p[0].min()))
    claimed = (cells * p.min(axis=1) < 0.05).sum()  # Holm claims anything only where this holds
    assert claimed <= stats.binom.isf(0.001, maps, 0.05)


def test_corrections_pass_over_what_was_not_tested():
    p = np.array([0.01, np.nan, 0.02])
    np.testing.assert_allclose(differences.holm(p), [0.02, np.nan, 0.02])
    np.testing.assert_allclose(differences.false_discovery(p), [0.02, np.nan, 0.02])


# agreement


def test_kappa_is_sklearns(labels):
    left, right, _ = labels
    theirs = [cohen_kappa_score(a.ravel(), b.ravel()) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(agreement.kappa(left, right, 3), theirs)


def test_kappa_of_one_class_throughout_is_undefined():
    one = np.zeros((1, 2, 10), dtype=int)
    assert np.isnan(agreement.kappa(one, one, 3)[0])


def test_own_flips_go_over_all_pairs_of_repeats(labels):
    left, *_ = labels
    share, kappa = agreement.own_flips(left, 3)
    pairs = [(r, s) for r in range(4) for s in range(r)]
    for cell in range(5):
        a = np.concatenate([left[cell, r] for r, s in pairs] + [left[cell, s] for r, s in pairs])
        b = np.concatenate([left[cell, s] for r, s in pairs] + [left[cell, r] for r, s in pairs])
        assert share[cell] == pytest.approx((a != b).mean())
        assert kappa[cell] == pytest.approx(cohen_kappa_score(a, b))


def test_own_flips_leave_out_a_repeat_that_was_not_measured(labels):
    left = labels[0].copy()
    left[0, 2] = agreement.NO_LABEL
    share, kappa = agreement.own_flips(left, 3)
    others, other_kappa = agreement.own_flips(left[:, [0, 1, 3]], 3)
    assert share[0] == pytest.approx(others[0])
    assert kappa[0] == pytest.approx(other_kappa[0])


def test_flips_leave_out_what_was_not_measured(labels):
    left, right = labels[0].copy(), labels[1]
    left[1, 0] = agreement.NO_LABEL
    flips, compared = agreement.flips(left, right)
    assert (flips[0], compared[0]) == ((left[0] != right[0]).sum(), left[0].size)
    assert (flips[1], compared[1]) == ((left[1, 1:] != right[1, 1:]).sum(), left[1, 1:].size)


def test_repeats_of_unequal_size_count_whole(labels):
    left, right = labels[0].copy(), labels[1].copy()
    for side in (left, right):
        side[:, 1, -3:] = agreement.NO_LABEL  # a fold of three samples less
    whole = agreement.label_agreement(left, right)
    kept = left[0] != agreement.NO_LABEL
    assert whole["labels"].tolist() == [int(kept.sum())] * len(left)
    assert whole["alike"][0] == pytest.approx((left[0] == right[0])[kept].mean())
    assert whole["kappa"][0] == pytest.approx(cohen_kappa_score(left[0][kept], right[0][kept]))


def test_real_predictions_agree_by_their_correlation():
    rng = np.random.default_rng(0)
    left, right = np.empty((2, 2, 2), dtype=object)
    for place in np.ndindex(2, 2):
        left[place], right[place] = rng.normal(size=(2, 7 + place[1]))
    left[1, 0] = np.empty(0)
    found = agreement.value_agreement(left, right)
    a, b = np.concatenate(list(left[0])), np.concatenate(list(right[0]))
    assert found["alike"][0] == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found["apart"][1] == pytest.approx(np.abs(left[1, 1] - right[1, 1]).max())


def test_permutations_of_accuracies_count_ties_on_whole_numbers():
    counts = np.array([[1, 2, -3, 5, 7, -4], [3, 3, -6, 1, 1, 10]])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    sums = np.abs(counts @ signs)
    exact = (sums >= np.abs(counts.sum(axis=1, keepdims=True))).mean(axis=1)
    p = differences.permutation(counts / 360, quantum=1 / 360)
    np.testing.assert_allclose(p, exact)


def test_mcnemar_is_statsmodels(labels):
    left, right, target = (*(side[:, 0] for side in labels[:2]), labels[2])
    ours = agreement.mcnemar(left, right, target)
    for cell in range(5):
        a, b = left[cell] == target, right[cell] == target
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        assert ours["p"][cell] == pytest.approx(exact_mcnemar(table, exact=True).pvalue)


def test_cochrans_q_is_statsmodels_and_undefined_without_disagreement(labels):
    left, _, target = labels
    four = left[:, :4].copy()
    four[2, 1:] = four[2, 0]
    p = agreement.cochran(four, target)
    assert p[0] == pytest.approx(cochrans_q((four[0] == target).T.astype(int)).pvalue)
    assert np.isnan(p[2])


# power


def test_repeats_needed_reach_the_power_they_promise():
    needed = power.repeats_needed([0.002, 0.004], [0.004, 0.004], 0.01, alpha=0.05)
    for n, gap in zip(needed, (0.008, 0.006), strict=True):
        reached = [
            TTestPower().power(gap / 0.004, k, 0.05, alternative="larger") for k in (n - 1, n)
        ]
        assert reached[0] < 0.9 <= reached[1]


def test_a_difference_on_the_margin_can_not_be_decided():
    assert power.repeats_needed(0.01, 0.004, 0.01, alpha=0.05)[0] == -1


def test_smallest_drop_is_caught_as_often_as_promised():
    sd, base, new = 0.004, 20, 10
    drop = power.smallest_drop(sd, base, new, 0.01, 0.01, 0.8)
    rng = np.random.default_rng(5)
    worse, _ = gate.non_inferiority(
        rng.normal(0.95, sd, (4000, base)), rng.normal(0.95 - drop, sd, (4000, new)), 0.01, False
    )
    assert (worse < 0.01).mean() == pytest.approx(0.8, abs=0.025)  # 4 standard errors


# gate


def test_a_single_repeat_decides_nothing():
    worse, good = gate.non_inferiority(np.ones((1, 4)), np.zeros((1, 1)), 0.01, True)
    assert gate.gate_decisions(worse, good, 0.01)[:2] == ("inconclusive", ["inconclusive"])


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("drop", "outcome"), [(0.0, "pass"), (0.005, "pass"), (0.05, "fail")])
def test_values_without_any_spread_are_decided_by_their_size(paired, drop, outcome):
    base = np.full((1, 8), 0.9)
    worse, good = gate.non_inferiority(base, base[:, :4] - drop, 0.01, paired)
    assert gate.gate_decisions(worse, good, 0.01)[0] == outcome


def test_one_failing_quantity_fails_the_gate_and_only_it():
    outcome, each, _ = gate.gate_decisions(np.array([1e-6, 0.9]), np.array([1.0, 1e-6]), 0.01)
    assert (outcome, each) == ("fail", ["fail", "pass"])


# looks


def test_levels_of_looks_are_the_published_ones():
    """Four equal looks at one-sided 0.025, O'Brien and Fleming's kind of spending (Lan and DeMets)."""
    levels = alpha_spending.nominal_levels(0.025, [1, 2, 3, 4])
    published = [4.3326, 2.9631, 2.3590, 2.0141]
    np.testing.assert_allclose(stats.norm.isf(levels), published, atol=5e-4)


def test_all_of_alpha_is_spent_at_the_end_and_hardly_any_at_first():
    early, late = (alpha_spending.spent_alpha(0.01, t) for t in (0.25, 1.0))
    assert early < 1e-6
    assert late == pytest.approx(0.01)


def test_a_single_look_leaves_p_values_as_they_are():
    p = np.array([[0.2], [1e-9], [np.nan]])
    np.testing.assert_array_equal(alpha_spending.sequential_p(p, [5]), p[:, 0])


def test_a_sequential_p_is_the_alpha_whose_level_it_reaches():
    information = (1, 2, 4)
    for alpha in (0.001, 0.02, 0.2):
        levels = alpha_spending.nominal_levels(alpha, information)
        for look, level in enumerate(levels):
            p = np.ones((1, look + 1))
            p[0, look] = level
            assert alpha_spending.sequential_p(p, information)[0] == pytest.approx(alpha, rel=0.03)


def test_a_look_that_tested_nothing_rejects_nothing():
    p = np.array([[np.nan, 1e-4]])
    assert 1e-4 < alpha_spending.sequential_p(p, (1, 2))[0] < 2e-4


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("side", [0, 1])
def test_looking_again_and_again_errs_as_often_as_it_says(paired, side):
    rng = np.random.default_rng(6)
    base, new = rng.normal(0.9, 0.01, (8000, 10)), rng.normal(0.89, 0.01, (8000, 40))
    p = gate.non_inferiority(base, new, 0.01, paired, (5, 10, 20, 40))[side]
    assert (p < 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 8000)
    naive = [gate.two_samples(base, new[:, :n], 0.01)[side] for n in (5, 10, 20, 40)]
    assert (np.min(naive, axis=0) < 0.05).mean() > 0.08  # what repeated tests at a fixed level do


def test_more_repeats_than_the_baseline_has_pair_with_nothing():
    rng = np.random.default_rng(7)
    base, new = rng.normal(0.9, 0.01, (3, 6)), rng.normal(0.9, 0.01, (3, 12))
    beyond = gate.in_pairs(base, new, 0.01)
    np.testing.assert_array_equal(beyond, gate.in_pairs(base, new[:, :6], 0.01))
