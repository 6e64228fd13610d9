"""Intervals and contrasts over seeds: against SciPy, under shifts and swaps, with diverged runs, ties and hostile input."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from normlab.errors import UnknownNameError, UsageError
from normlab.statistics import contrasts, interval, least_p, least_seeds, seeds_needed, student_p, student_t
from normlab.statistics.ranks import rank_p

FREEDOMS = [1, 2, 3, 4, 9, 29, 99, 999]
ONES, OTHERS = [0.91, 0.93, 0.90, 0.95, 0.92], [0.88, 0.91, 0.89, 0.90, 0.90]


def pair(ones: list[Any], others: list[Any], **settings: Any) -> Any:
    """The only contrast of two arms: `ones` against `others`."""
    return contrasts({"others": others, "ones": ones}, **settings)[0]


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 1 - 0.05 / 28])
def test_the_quantile_of_student_s_t_is_scipy_s(freedom: int, level: float) -> None:
    # 64 points and 60 halvings leave some 1e-13; t's own condition at level 0.998 multiplies that by ten.
    assert student_t(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-11)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("t", [0.0, 0.1, -1.0, 3.0, 10.0])
def test_the_p_value_of_student_s_t_is_scipy_s(freedom: int, t: float) -> None:
    assert student_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-8)


def test_a_paired_contrast_is_the_paired_t_test() -> None:
    found, truth = pair(ONES, OTHERS), stats.ttest_rel(ONES, OTHERS)
    ends = truth.confidence_interval(0.95)
    assert (found.difference, found.p) == pytest.approx((np.mean(ONES) - np.mean(OTHERS), truth.pvalue), rel=1e-9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert (found.verdict, found.superiority, found.n, found.method) == ("better", 1.0, 5, "student")


def test_the_correction_is_bonferroni_s_for_p_value_and_interval() -> None:
    three = contrasts({"others": OTHERS, "ones": ONES, "third": OTHERS[::-1]})
    alone, among = pair(ONES, OTHERS), three[0]
    assert [(c.label, c.against) for c in three] == [("ones", "others"), ("third", "others"), ("third", "ones")]
    assert among.p == pytest.approx(3 * alone.p)
    ends = stats.ttest_rel(ONES, OTHERS).confidence_interval(1 - 0.05 / 3)
    assert (among.low, among.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert [c.comparisons for c in contrasts({"others": OTHERS, "ones": ONES, "third": ONES[::-1]}, against="ones")] == [2, 2]


def test_the_effect_is_free_of_the_bias_of_small_samples() -> None:
    draws = np.random.default_rng(1).normal(1.0, 1.0, (4000, 5))
    effects = [pair(row, [0.0] * 5, resolution=0).effect for row in draws.tolist()]
    error = np.std(effects) / math.sqrt(4000)
    assert np.mean(effects) == pytest.approx(1.0, abs=4 * error)
    plain = np.mean(draws.mean(1) / draws.std(1, ddof=1))
    assert plain > 1.0 + 8 * error, "or the correction would not show"


@pytest.mark.parametrize("seeds", [5, 6, 12])
def test_the_rank_test_is_the_permutation_test_with_ties_and_missing_numbers(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    ones, others = rng.integers(0, 4, seeds).astype(float), rng.integers(1, 6, seeds).astype(float)
    ones[0] = others[1] = -np.inf
    ranks = stats.rankdata([*ones, *others])
    if seeds == 12:  # 2.7 million ways: SciPy's normal approximation is off by a hundredth at most here
        truth = stats.mannwhitneyu(ones, others, method="asymptotic", use_continuity=False).pvalue
        assert rank_p(ones, others) == pytest.approx(truth, abs=0.02)
        return
    truth = stats.permutation_test(
        (ranks[:seeds], ranks[seeds:]), lambda a, b: abs(a.sum() - b.sum()), permutation_type="independent",
        n_resamples=np.inf, alternative="greater",
    ).pvalue  # fmt: skip
    assert rank_p(ones, others) == pytest.approx(truth, rel=1e-12)


def test_an_interval_holds_student_s_and_leans_to_the_side_of_the_skew() -> None:
    found = interval([1.0, 1.1, 1.2, 1.3, 9.0])
    low, high = stats.t.interval(0.95, 4, 2.72, stats.sem([1.0, 1.1, 1.2, 1.3, 9.0]))
    assert found.low == pytest.approx(low) and found.high > high + 1
    even = interval([1.0, 2.0, 3.0, 4.0])
    assert (even.low, even.high) == pytest.approx(stats.t.interval(0.95, 3, 2.5, stats.sem([1, 2, 3, 4])))


def test_the_interval_s_other_end_is_hall_s() -> None:
    """Hall's transformation, solved the other way round: the cubic at the end gives Student's quantile."""
    values = [1.0, 1.1, 1.2, 1.3, 9.0]
    found, n = interval(values), 5
    error = stats.sem(values)
    a, t = stats.skew(values, bias=False) / math.sqrt(n), (found.mean - found.high) / error
    assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(-student_t(4), rel=1e-9)


def test_the_order_of_the_seeds_changes_no_bit() -> None:
    first = pair(ONES, OTHERS)
    for order in list(permutations(range(5)))[::7]:
        assert pair([ONES[k] for k in order], [OTHERS[k] for k in order]) == first
        assert interval([ONES[k] for k in order]) == interval(ONES)
    assert pair([ONES[k] for k in (1, 0, 2, 3, 4)], OTHERS).p != first.p, "pairs matter"


def test_shift_scale_and_swap() -> None:
    found = pair(ONES, OTHERS)
    moved = pair([v * 8 + 3 for v in ONES], [v * 8 + 3 for v in OTHERS])
    # Shifts lose digits of the differences: 1e-16 * 10 in 0.03 * 8.
    for key, factor in {"difference": 8, "low": 8, "high": 8, "p": 1, "effect": 1}.items():
        assert asdict(moved)[key] == pytest.approx(factor * asdict(found)[key], rel=1e-11), key
    swapped = pair(OTHERS, ONES)
    assert (swapped.difference, swapped.low, swapped.high) == (-found.difference, -found.high, -found.low)
    assert (swapped.p, swapped.effect, swapped.superiority) == (found.p, -found.effect, 1 - found.superiority)
    assert (found.verdict, swapped.verdict) == ("better", "worse")
    losses = pair(ONES, OTHERS, higher_is_better=False)
    assert (losses.verdict, losses.superiority) == ("worse", 0.0)
    assert replace(losses, verdict="better", superiority=1.0, higher_is_better=True) == found


def test_another_arm_changes_nothing_but_the_correction() -> None:
    among = contrasts({"others": OTHERS, "ones": ONES, "wild": [9.0, -3.0, 0.1, 7.0, 1.0]})[0]
    alone = pair(ONES, OTHERS)
    assert (among.difference, among.effect) == (alone.difference, alone.effect)


def test_differences_that_do_not_spread_prove_nothing_by_themselves() -> None:
    """Student's t would give p = 0 for three times the same step."""
    same = pair([0.9] * 3, [0.8] * 3)
    # One step of mean difference, a spread of a step over the root of two, three seeds: t is the root of six.
    assert same.p == pytest.approx(2 * stats.t.sf(math.sqrt(6), 2), rel=1e-9)
    assert same.low < 0 < same.high and same.verdict == "no difference shown"
    sure = pair([0.9] * 30, [0.8] * 30)
    assert sure.verdict == "better" and 0 < sure.p < 1e-6
    fine = pair([0.9] * 5, [0.8] * 5, resolution=1e-6)
    assert fine.p == least_p(5) and fine.verdict == "better"
    assert pair([0.1 + 0.2] * 4, [0.3] * 4).p == 1.0, "rounding is no difference"


def test_equal_values_everywhere_give_no_difference_and_no_interval() -> None:
    found = pair([0.5] * 4, [0.5] * 4)
    assert (found.difference, found.low, found.p, found.method) == (0.0, None, 1.0, "no spread")
    assert interval([0.5] * 4) == replace(interval([0.5] * 4), low=None, high=None, method="no spread")
    wide = interval([1.0] * 4, resolution=0.1)
    assert wide.high == pytest.approx(1 + student_t(3) * 0.05 / 2)


def test_few_seeds_claim_nothing_however_large_the_difference() -> None:
    for n, comparisons in ((2, 1), (3, 3), (3, 6), (4, 7)):
        assert least_seeds(comparisons) == n + 1
    assert pair([9.0, 9.1], [1.0, 1.1], resolution=0).verdict == "no difference shown"
    three = {k: [v, v + 0.01, v + 0.02] for k, v in {"a": 1.0, "b": 50.0, "c": 99.0}.items()}
    assert {c.verdict for c in contrasts(three)} == {"no difference shown"}
    assert {c.verdict for c in contrasts(three, margin=1000.0)} == {"no difference shown"}
    one = pair([0.9], [0.1])
    assert (one.difference, one.p, one.low, one.method) == (pytest.approx(0.8), None, None, "one seed")
    assert interval([0.9]).low is None


@pytest.mark.parametrize("lost", [None, math.nan, math.inf, -math.inf], ids=str)
def test_a_run_without_a_number_is_the_worst_and_is_never_left_out(lost: float | None) -> None:
    broken = [lost, *OTHERS[1:]]
    found = pair(ONES, broken)
    assert (found.difference, found.low, found.method, found.failed) == (None, None, "ranks", (0, 1))
    assert found.superiority == 1.0 and found.seeds is None
    assert pair([lost] * 5, OTHERS).verdict == "worse" and pair(OTHERS, [lost] * 5).verdict == "better"
    assert pair([lost] * 5, OTHERS, higher_is_better=False).verdict == "worse"
    assert pair([lost] * 5, [lost] * 5).p == 1.0
    counted = pair(ONES, broken, diverged=0.1)
    assert counted.difference == pytest.approx(np.mean(ONES) - np.mean([0.1, *OTHERS[1:]]))
    assert (counted.failed, counted.method) == ((0, 0), "student")
    assert (interval(broken).method, interval(broken).failed, interval(broken).mean) == ("no number", 1, None)


def test_a_margin_makes_small_differences_equivalent() -> None:
    close = [v + d for v, d in zip(ONES, [1e-4, -1e-4, 2e-4, 0.0, -1e-4], strict=True)]
    assert pair(close, ONES).verdict == "no difference shown"
    assert pair(close, ONES, margin=0.01, resolution=0).verdict == "equivalent"
    assert pair(ONES, OTHERS, margin=0.01).verdict == "better"


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.0, 1.5])
@pytest.mark.parametrize("comparisons", [1, 6])
def test_the_seeds_needed_are_those_of_the_noncentral_t(effect: float, comparisons: int) -> None:
    alpha = 0.05 / comparisons
    power = {n: stats.nct.sf(stats.t.ppf(1 - alpha / 2, n - 1), n - 1, effect * math.sqrt(n)) for n in range(3, 400)}
    exact = next(n for n, p in power.items() if p >= 0.8)
    assert abs(seeds_needed(effect, 3, comparisons=comparisons).needed - exact) <= 1


def test_the_seeds_needed_fall_with_the_effect_and_end_somewhere() -> None:
    counts = [seeds_needed(effect, 5).needed or 1001 for effect in np.linspace(0, 4, 200).tolist()]
    assert counts == sorted(counts, reverse=True) and counts[0] == 1001 and counts[-1] == 6
    for n in (3, 5, 10, 30):
        found = seeds_needed(0.4, n)
        assert found.low <= found.needed and (found.high is None or found.needed <= found.high)
        factors = [(n - 1) / stats.chi2.ppf(q, n - 1) for q in (0.9, 0.1)]
        assert found.low == pytest.approx(max(n + 1, 49.1 * factors[0] + 1.92), rel=0.1, abs=1)  # (1.96 + 0.84)^2 / 0.16
        assert found.high is None or found.high == pytest.approx(49.1 * factors[1] + 1.92, rel=0.1, abs=1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: contrasts({"bn": [1.0, 2.0], "ln": [1.0]}), ["bn: 2", "ln: 1", "same seeds", "None"]),
        (lambda: contrasts({"bn": [1.0]}), ["two arms", "got 1"]),
        (lambda: contrasts({"bn": [], "ln": []}), ["one seed", "got 0"]),
        (lambda: contrasts({"bn": ["x"], "ln": [1.0]}), ["bn", "value 0", "'x'"]),
        (lambda: pair(ONES, OTHERS, level=95), ["level", "95"]),
        (lambda: pair(ONES, OTHERS, margin=0.0), ["margin", "0.0"]),
        (lambda: pair(ONES, OTHERS, resolution=-1.0), ["resolution", "-1.0"]),
        (lambda: pair(ONES, OTHERS, diverged=math.nan), ["diverged", "nan"]),
        (lambda: interval([]), ["interval", "got 0"]),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_its_numbers(call: Any, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


def test_an_unknown_baseline_gets_the_nearest_arm() -> None:
    with pytest.raises(UnknownNameError, match="ones"):
        contrasts({"ones": ONES, "others": OTHERS}, against="one")


def test_huge_and_tiny_numbers_give_no_warning_and_no_nonsense() -> None:
    assert pair([1e308, -1e308, 1e308], [-1e308, 1e308, 1e308]).verdict == "no difference shown"
    tiny = pair([v * 1e-300 for v in ONES], [v * 1e-300 for v in OTHERS])
    assert tiny.verdict == "better" and tiny.p == pytest.approx(pair(ONES, OTHERS).p, rel=1e-9)
