"""Rankings that may be refused, and the sentences in both languages."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from normlab.statistics import Metric, contrasts, interval, ranking, say_contrast, say_interval, say_ranking

ACCURACY = Metric({"en": "Test accuracy", "ko": "시험 정확도"}, 100, {"en": " points", "ko": "점"})
LOSS = Metric({"en": "Loss", "ko": "손실"})


def spread_about(*means: float, seeds: int = 8, spread: float = 0.01) -> dict[str, list[float]]:
    rng = np.random.default_rng(5)
    return {name: rng.normal(mean, spread, seeds).tolist() for name, mean in zip("abcdef", means, strict=False)}


def test_arms_far_apart_are_ranked_one_by_one() -> None:
    found = ranking(spread_about(0.1, 0.9, 0.5))
    assert found.ranked and found.order == ("b", "c", "a") and found.best == ("b",)
    assert found.tiers == found.groups == (("b",), ("c",), ("a",))
    assert ranking(spread_about(0.1, 0.9, 0.5), higher_is_better=False).order == ("a", "c", "b")


def test_arms_close_together_share_a_tier() -> None:
    found = ranking(spread_about(0.5, 0.9, 0.9005))
    assert found.tiers[1] == ("a",) and set(found.tiers[0]) == {"b", "c"} == set(found.best)
    assert found.groups == found.tiers


def test_groups_overlap_where_the_arm_between_is_like_both() -> None:
    found = ranking(spread_about(0.900, 0.912, 0.924, seeds=10))
    verdicts = {(c.label, c.against): c.verdict for c in found.contrasts}
    assert verdicts == {("b", "a"): "no difference shown", ("c", "a"): "better", ("c", "b"): "no difference shown"}
    assert found.groups == (("c", "b"), ("b", "a")) and found.tiers == (("c", "b", "a"),) and found.best == ("c", "b")


def test_every_group_is_as_large_as_can_be_and_holds_no_told_pair() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        values = {name: (rng.uniform(0, 2) + rng.uniform(0.05, 1) * rng.standard_normal(6)).tolist() for name in "abcdef"}
        found = ranking(values)
        told = {frozenset((c.label, c.against)) for c in found.contrasts if c.verdict != "no difference shown"}
        for group in found.groups:
            assert not any(pair <= set(group) for pair in told)
            assert all(any(frozenset((arm, member)) in told for member in group) for arm in set(values) - set(group))
        assert sorted(set().union(*found.groups)) == sorted(values) == sorted(found.order)
        together = {frozenset(p) for g in found.groups for p in permutations(g, 2)}
        assert together | told == {frozenset(p) for p in permutations(values, 2)}


def test_too_few_seeds_are_a_refusal_that_says_how_many_would_do() -> None:
    found = ranking(spread_about(0.90, 0.903, 0.902, seeds=5))
    assert not found.ranked and found.best == found.order and len(found.tiers) == 1 and found.groups == (found.order,)
    assert found.nearest is not None and found.nearest.seeds is not None
    assert found.nearest.seeds.needed == min(c.seeds.needed for c in found.contrasts if c.seeds and c.seeds.needed)
    said = say_ranking(found, ACCURACY)
    assert f"5 seeds do not suffice to rank {', '.join(found.order)}; about {found.nearest.seeds.needed} would" in said["en"]
    assert "시드 5개" in said["ko"] and f"{found.nearest.seeds.needed}개쯤" in said["ko"]
    assert ranking({"a": [1.0, 1.0], "b": [1.0, 1.0]}).nearest is None


def test_arms_whose_runs_have_no_number_come_last() -> None:
    values: dict[str, list[Any]] = {"none": [None] * 6, **spread_about(0.9, 0.9, seeds=6)}
    found = ranking(values)
    assert found.order[-1] == "none" and found.tiers[-1] == ("none",)
    assert ranking(values, higher_is_better=False).order[-1] == "none"
    assert ranking(values, diverged=0.1).order[-1] == "none"


def test_the_order_of_the_arms_changes_no_verdict() -> None:
    values = spread_about(0.900, 0.912, 0.924, 0.5, seeds=10)
    first = ranking(values)
    for order in permutations(values):
        found = ranking({name: values[name] for name in order})
        assert (found.order, found.groups, found.tiers, found.best) == (first.order, first.groups, first.tiers, first.best)


def say(values: dict[str, list[Any]], metric: Metric = ACCURACY, **settings: Any) -> dict[str, str]:
    return say_contrast(contrasts(values, **settings)[0], metric)


def test_a_difference_is_said_in_the_direction_of_the_verdict() -> None:
    ones, others = [0.91, 0.93, 0.90, 0.95, 0.92], [0.88, 0.91, 0.89, 0.90, 0.90]
    assert say({"none": others, "bn": ones}) == {
        "en": "Test accuracy: bn is 2.6 points better than none (95 % interval 0.72 to 4.5, 5 seeds).",
        "ko": "시험 정확도: bn 쪽이 none 쪽보다 2.6점 낫다(95 % 구간 0.72~4.5, 시드 5개).",
    }
    assert "bn is 2.6 points worse than none (95 % interval 0.72 to 4.5" in say({"none": ones, "bn": others})["en"]
    assert "bn is 0.026 worse than none" in say({"none": others, "bn": ones}, LOSS, higher_is_better=False)["en"]
    assert "bn is 0.026 better than none" in say({"none": ones, "bn": others}, LOSS, higher_is_better=False)["en"]
    three = say({"none": others, "bn": [v + 0.1 for v in ones], "ln": others[::-1]})
    assert "5 seeds, corrected for 3 comparisons" in three["en"] and "비교 3개" in three["ko"]


@pytest.mark.parametrize(
    ("values", "settings", "words"),
    [
        ({"gn": [0.90, 0.92, 0.91, 0.93, 0.9], "ln": [0.91, 0.92, 0.93, 0.92, 0.91]}, {}, ["5 seeds cannot tell ln from gn", "would ("]),
        ({"gn": [0.5, 0.7, 0.6], "ln": [0.7, 0.5, 0.6]}, {}, ["more than 1000"]),
        ({"gn": [0.5], "ln": [0.7]}, {}, ["one seed", "at least 3"]),
        ({"gn": [0.5, 0.5], "ln": [0.7, 0.8]}, {}, ["2 seeds", "12.5 %", "at least 3"]),
        ({"gn": [0.5, 0.5], "ln": [0.5, 0.5]}, {}, ["same value", "all 2 seeds"]),
        ({"gn": [None] * 5, "ln": [0.5] * 5}, {}, ["ln is better than gn, by ranks", "ln 0, gn 5", "p 0.0079"]),
        ({"gn": [None, 0.5, 0.6], "ln": [0.5] * 3}, {}, ["3 seeds cannot tell", "by ranks", "ln 0, gn 1"]),
        ({"gn": [0.5, 0.51, 0.52], "ln": [0.5, 0.51, 0.52]}, {"margin": 0.1}, ["less than what matters"]),
    ],
)  # fmt: skip
def test_every_case_has_its_sentence(values: dict[str, list[Any]], settings: dict[str, Any], words: list[str]) -> None:
    said = say(values, **settings)
    assert all(word in said["en"] for word in words), said["en"]
    assert "시드" in said["ko"]


@pytest.mark.parametrize(
    ("values", "words"),
    [([0.9, 0.91, 0.95], "92.0 (95 % interval"), ([0.9], "only seed"), ([0.9] * 3, "each of 3"), ([None, 0.9], "1 of 2 runs")],
)  # fmt: skip
def test_every_interval_has_its_sentence(values: list[Any], words: str) -> None:
    said = say_interval(interval(values), ACCURACY)
    assert words in said["en"] and said["ko"] != said["en"]


@pytest.mark.parametrize(
    ("means", "seeds", "words"),
    [
        ((0.1, 0.9, 0.5), 8, "best first: b > c > a (8 seeds, corrected for 3 comparisons)."),
        ((0.5, 0.9, 0.9005), 8, "> a (8 seeds, corrected for 3 comparisons). Not told apart: "),
        ((0.9, 0.9), 1, "one seed ranks nothing"),
    ],
)  # fmt: skip
def test_every_ranking_has_its_sentence(means: tuple[float, ...], seeds: int, words: str) -> None:
    said = say_ranking(ranking(spread_about(*means, seeds=seeds)), ACCURACY)
    assert words in said["en"] and said["ko"] != said["en"]


def test_a_ranking_in_which_groups_overlap_names_the_best_and_the_groups() -> None:
    said = say_ranking(ranking(spread_about(0.900, 0.912, 0.924, seeds=10)), ACCURACY)["en"]
    assert "none was shown better than c, b (10 seeds" in said and said.endswith("Not told apart: c, b; b, a.")
    undecided = say_ranking(ranking({"a": [1.0, 2.0, 3.0], "b": [3.0, 2.0, 1.0]}), ACCURACY)["en"]
    assert "nothing says that up to 1000 would" in undecided
