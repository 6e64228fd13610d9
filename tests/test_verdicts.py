"""Sentences are functions of numbers: invented documents, and which sentences they must and must not bring."""

from __future__ import annotations

import copy
import re
import string
from typing import Any

import pytest

import documents as d
from normlab.experiments.verdicts import gradient, leading, limits, marked, pairs, signal, single, verdicts
from normlab.language import LANGUAGES, translate

Document = dict[str, Any]
PARTS = (leading, gradient, signal, pairs, single)
# Halves of a sentence and items of a list: they never stand alone.
ITEMS = {signal.NOT_FINITE_ITEM, signal.CONSTANT_ITEM, leading.NUMBERS, leading.NUMBERS_BESIDE}
SENTENCES = {
    f"{part.__name__.rpartition('.')[2]}.{name}": value
    for part in PARTS
    for name, value in vars(part).items()
    if name.isupper() and isinstance(value, str) and len(value) > 3 and value not in ITEMS
}


def kinds(document: Document) -> list[str]:
    """The names of the sentences that a document brings, in order; both languages must bring the same."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES:
        patterns = {name: _pattern(translate_raw(text, language)) for name, text in SENTENCES.items()}
        found[language] = [_longest(patterns, verdict[language]) for verdict in verdicts(document)]
    assert found["en"] == found["ko"]
    return found["en"]


def translate_raw(message: str, language: str) -> str:
    """The message in a language, fields left as they are."""
    names = [name for _, name, _, _ in string.Formatter().parse(message) if name]
    return translate(message, language, **{name: f"{{{name}}}" for name in names})


def _pattern(template: str) -> re.Pattern[str]:
    parts = [(text, name) for text, name, _, _ in string.Formatter().parse(template)]
    return re.compile("".join(re.escape(text) + ("" if name is None else "(.+)") for text, name in parts))


def _longest(patterns: dict[str, re.Pattern[str]], sentence: str) -> str:
    """The template with the most fixed text of those that the sentence begins with."""
    fits = [name for name, pattern in patterns.items() if pattern.match(sentence)]
    assert fits, f"no template fits {sentence!r}"
    return max(fits, key=lambda name: len(re.sub(r"\(\.\+\)", "", patterns[name].pattern)))


def english(document: Document) -> str:
    return "\n".join(verdict["en"] for verdict in verdicts(document))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (d.all_healthy(), ["leading.ALL_HEALTHY"]),
        (d.all_dead(), ["leading.ALL_VANISH", "gradient.VANISHES", "signal.HEALTHY_LOOKING", "gradient.WORSE"]),
        (
            d.saturated_not_vanished(),
            [
                "leading.BEST", "gradient.CREATED", "signal.HEALTHY_LOOKING", "pairs.DECEPTIVE", "signal.SATURATED",
                "signal.KEPT",
            ],
        ),
        (
            d.exploding(),
            ["leading.BEST", "gradient.EXPLODES_BESIDE", "pairs.DECEPTIVE", "gradient.LAW", "signal.KEPT"],
        ),
        (
            d.one_layer(),
            [
                "single.BEST", "single.FALLS_RISES", "single.SATURATION", "single.ENTERS",
                "single.LEAVES", "single.MORE_LAYERS",
            ],
        ),
        (d.not_finite(), ["leading.BEST", "signal.NOT_FINITE", "gradient.VANISHES", "signal.HEALTHY_LOOKING"]),
    ],
    ids=["all_healthy", "all_dead", "saturated_not_vanished", "exploding", "one_layer", "not_finite"],
)  # fmt: skip
def test_six_invented_runs_bring_their_sentences(document: Document, expected: list[str]) -> None:
    assert kinds(document) == expected


def test_the_leading_sentence_has_its_three_numbers_in_both_languages() -> None:
    first = verdicts(d.document(d.arm("none", ratio=1 / 161, signal=2.9e-5), d.arm("bn", ratio=1.06)))[0]
    for text in first.values():
        assert all(part in text for part in ("bn", "1.06", "none 1/161", "100.0 %"))


def test_the_leading_arm_is_the_one_nearest_to_one_in_either_direction() -> None:
    arms = [d.arm("none", ratio=0.01), d.arm("a", ratio=4.0), d.arm("b", ratio=0.5)]
    assert verdicts(d.document(*arms))[0]["en"].startswith("b carries the gradient best")
    arms[1] = d.arm("a", ratio=1.5)
    assert verdicts(d.document(*arms))[0]["en"].startswith("a carries the gradient best")


def test_nothing_is_said_for_an_expected_story_but_for_the_numbers() -> None:
    """The same labels with the numbers swapped bring the opposite sentence."""
    document = d.document(d.arm("none", ratio=1.06), d.arm("bn", ratio=1 / 161, signal=2.9e-5))
    assert verdicts(document)[0]["en"].startswith("none carries the gradient best")
    assert marked(document)[0].mark == "!"
    assert "gradient.CREATED" in kinds(document)


def test_a_number_changed_changes_the_sentence() -> None:
    document = d.saturated_not_vanished()
    changed = copy.deepcopy(document)
    changed["arms"][1]["first_over_last"] = 0.05
    assert "1.20" in english(document) and "1.20" not in english(changed)
    assert kinds(changed)[0] == "leading.BEST" and verdicts(changed)[0]["en"].startswith("none")
    none = copy.deepcopy(document)
    none["arms"][0]["first_over_last"] = 0.005
    assert "gradient.CREATED" not in kinds(none) and "signal.SATURATED" not in kinds(none)
    assert "gradient.VANISHES" in kinds(none)


def test_a_vanishing_that_only_the_normalization_brings_is_called_created() -> None:
    document = d.document(d.arm("none", ratio=0.32), d.arm("gn:groups=4", ratio=0.024), d.arm("ln", ratio=0.0215))
    assert "none 0.32, but gn:groups=4 1/42, ln 1/47" in english(document)
    near = d.document(d.arm("none", ratio=0.11), d.arm("ln", ratio=0.09))
    assert "gradient.CREATED" not in kinds(near)


def test_equal_moments_with_another_fate_are_told_for_the_widest_pair() -> None:
    document = d.document(
        d.arm("bn", ratio=1.1), d.arm("ln", ratio=0.025, var=0.043), d.arm("rms", ratio=0.2, var=0.045)
    )
    assert "bn and ln end with the same mean (0.50) and variance (0.044)" in english(document)
    document["arms"][1]["layers"][-1]["var"] = 0.06
    assert "bn and ln end" not in english(document)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ({}, "signal.HEALTHY_LOOKING"),
        ({"saturated": 0.7}, "signal.STUCK"),
        ({"var": 0.0006}, "signal.SPIKE"),
    ],
)
def test_a_lost_signal_is_told_by_what_the_histogram_looks_like(numbers: dict[str, float], kind: str) -> None:
    found = kinds(d.document(d.arm("none", ratio=0.5), d.arm("x", ratio=0.5, signal=1e-4, **numbers)))
    assert [k for k in found if k in ("signal.HEALTHY_LOOKING", "signal.STUCK", "signal.SPIKE")] == [kind]


def test_half_the_units_at_rest_is_saturation_for_a_sigmoid_but_not_for_relu() -> None:
    arms = [d.arm("none", ratio=0.9, saturated=0.55), d.arm("bn", ratio=0.2)]
    assert "signal.SATURATED" in kinds(d.document(*arms, activation="sigmoid"))
    assert "signal.SATURATED" not in kinds(d.document(*arms, activation="relu"))


def test_arms_with_equal_numbers_are_called_equal() -> None:
    one = d.arm("none", ratio=0.0052, signal=3e-5)
    twin = {**copy.deepcopy(one), "label": "wn", "role": "weight", "method": "weight_norm"}
    twin["first_over_last"] *= 1 + 1e-12
    document = d.document(one, twin, d.arm("bn", ratio=1.1))
    assert "equal to none to rounding, so without any effect: wn" in english(document)
    twin["layers"][2]["grad_norm"] *= 1 + 1e-6
    assert not any(k.startswith("pairs.EQUAL") for k in kinds(document))
    single = {**document, "settings": {**document["settings"], "dtype": "float32"}}
    assert "pairs.EQUAL_TO_NONE" in kinds(single)


def test_two_normalizations_with_equal_numbers_are_equal_beside_each_other() -> None:
    one = d.arm("gn:groups=1", ratio=0.03)
    document = d.document(d.arm("none", ratio=0.5), one, {**one, "label": "ln"})
    assert "Equal to rounding, forward and backward: gn:groups=1, ln." in english(document)


def test_an_equal_forward_pass_with_another_gradient_is_told() -> None:
    document = d.document(
        d.arm("none", ratio=0.004, var=0.01), d.arm("bn", ratio=1.1), d.arm("wn:start=data", ratio=0.3)
    )
    assert "bn hands on the same values as wn:start=data" in english(document)


def test_the_law_stands_beside_what_was_measured() -> None:
    document = d.document(
        d.arm("none", ratio=0.2435**4, predicted=0.2361), d.arm("bn", ratio=1.0235**4, predicted=1.0167)
    )
    assert "bn 1.02 (1.02), none 0.24 (0.24)" in english(document)
    mark = {v.text["en"].split(" ")[0]: v.mark for v in marked(document)}
    assert mark["Gain"] == "+"
    document["arms"][0]["gain"]["predicted"] = 0.5
    assert {v.text["en"].split(" ")[0]: v.mark for v in marked(document)}["Gain"] == "="


def test_a_constant_layer_and_a_zero_gradient_are_told() -> None:
    dead = d.arm("dead", ratio=None, var=[0.1, 0.0, 0.0, 0.0, 0.0], grad=[0.0, 0.0, 0.0, 0.0, 0.0])
    found = english(d.document(d.arm("none", ratio=0.5), dead))
    assert "dead from layer 2 on" in found
    assert "No gradient to compare, because a layer's is zero or not finite: dead." in found


def test_all_arms_exploding_lead_with_that() -> None:
    assert kinds(d.document(d.arm("none", ratio=1e5), d.arm("x", ratio=300.0)))[0] == "leading.ALL_EXPLODE"
    mixed = d.document(d.arm("none", ratio=1e-9), d.arm("x", ratio=300.0))
    assert kinds(mixed)[0] == "leading.NONE_CARRIES"


def test_every_arm_not_finite_says_nothing_but_that() -> None:
    assert kinds(d.document(d.arm("none", ratio=None, nonfinite=5), d.arm("bn", ratio=None, nonfinite=5))) == [
        "signal.NOT_FINITE"
    ]


def test_refused_arms_are_left_to_their_own_text() -> None:
    refused = d.arm(
        "film", refused={"en": "needs a condition", "ko": "조건이 필요하다", "command": "normlab guide film"}
    )
    assert "film" not in english(d.document(d.arm("none", ratio=0.5), refused))
    assert verdicts(d.document(refused)) == []


def test_over_seeds_a_lead_is_claimed_only_where_the_intervals_part() -> None:
    plain = d.document(d.arm("none", ratio=0.005, signal=3e-5), d.arm("selu", ratio=1.3), d.arm("bn", ratio=1.1))
    apart = d.over_seeds(plain, factor=1.01)
    assert kinds(apart)[0] == "leading.BEST" and "(over 5 seeds)" in verdicts(apart)[0]["en"]
    overlapping = d.over_seeds(plain, factor=1.3)
    assert kinds(overlapping)[0] == "leading.ALIKE_OVER_SEEDS"
    assert verdicts(overlapping)[0]["en"].startswith("bn, selu carry the gradient, the best is not decided")


def test_over_seeds_a_threshold_must_be_passed_by_the_whole_interval() -> None:
    plain = d.document(d.arm("bn", ratio=1.1), d.arm("ln", ratio=0.08, signal=0.008))
    assert {"gradient.VANISHES", "signal.HEALTHY_LOOKING"} <= set(kinds(d.over_seeds(plain, factor=1.05)))
    assert not {"gradient.VANISHES", "signal.HEALTHY_LOOKING"} & set(kinds(d.over_seeds(plain, factor=2)))


def test_one_layer_without_an_arm_to_compare_with() -> None:
    assert kinds(d.document(d.arm("bn", ratio=None, depth=1))) == [
        "single.ALIKE", "single.ENTERS", "single.LEAVES", "single.MORE_LAYERS",
    ]  # fmt: skip


def test_one_layer_where_the_normalization_does_harm() -> None:
    arms = [d.arm("none", ratio=None, depth=1, signal=0.6, var=0.04), d.arm("x", ratio=None, depth=1, signal=0.001)]
    found = kinds(d.document(*arms))
    assert found[:2] == ["single.BEST", "single.PARTS"] and "signal.HEALTHY_LOOKING" in found


def test_sentences_are_few_and_fit_two_lines_with_every_arm() -> None:
    labels = ("none", "bn", "ln", "gn:groups=4", "whole", "rms", "unit", "wn:start=one", "sn", "selu", "lrn",
              "n (g [c]) [...]:g=4", "a_method_with_a_name_that_goes_on_and_on:option=1")  # fmt: skip
    arms = [
        d.arm(name, ratio=0.3 if k == 0 else 1.1 if k == 1 else 10 ** (-1.5 - k), predicted=0.3 + k / 10,
              signal=1.0 if k == 1 else 10**-k, saturated=0.6 if k == 0 else 0.0, depth=20)
        for k, name in enumerate(labels)
    ]  # fmt: skip
    document = d.document(*arms, activation="sigmoid")
    found = verdicts(document)
    assert 6 <= len(found) <= limits.MOST_SENTENCES
    longest = max((text for v in found for text in v.values()), key=len)
    assert len(longest) <= limits.MOST_LETTERS, longest
    assert "more" in found[1]["en"] and "외" in found[1]["ko"]


def test_a_label_is_never_read_as_a_template() -> None:
    hostile = "</script>{0}{items}"
    assert hostile in english(d.document(d.arm("none", ratio=0.01), d.arm(hostile, ratio=1.0, method="x")))


def test_only_what_the_contract_promises_is_needed() -> None:
    """Documents without the further keys (slope, role, pre, edges) are read too."""
    document = d.saturated_not_vanished()
    for arm in document["arms"]:
        for key in ("role", "sample", "refused", "options"):
            del arm[key]
        for layer in arm["layers"]:
            for key in ("slope", "pre", "histogram"):
                del layer[key]
    assert kinds(document) == kinds(d.saturated_not_vanished())


def test_the_document_is_left_as_it_is() -> None:
    document = d.not_finite()
    before = copy.deepcopy(document)
    assert verdicts(document) == verdicts(document)
    assert document == before


def test_the_main_job_on_real_numbers() -> None:
    import normlab as nl

    usual = nl.compare(["none", "bn", "ln", "wn", "wn:start=data"], batch=256).to_dict()
    assert usual["verdicts"] == verdicts(usual)
    assert english(usual).startswith("bn carries the gradient best")
    expected = {"gradient.VANISHES", "signal.HEALTHY_LOOKING", "pairs.DECEPTIVE", "gradient.LAW", "pairs.EQUAL_TO_NONE"}
    assert expected | {"pairs.TWINS"} <= set(kinds(usual))
    note = nl.compare(["none", "bn", "ln", "gn:groups=4", "whole"], preset="note-5").to_dict()
    assert {"leading.BEST", "gradient.CREATED", "signal.SATURATED"} <= set(kinds(note))
