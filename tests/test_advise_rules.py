"""The adviser's rules as data: they cover every answer, never contradict each other, and name sources that exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

import normlab
from commanding import SMALL, Caller
from normlab import cards
from normlab.advice.questions import QUESTIONS, SMALLEST, USUAL_NETS, bracket
from normlab.advice.ranking import NONE, Standing, first, ranked
from normlab.advice.rule import EXCLUDES, STRONGLY_FOR, WEIGHTS, Rule
from normlab.advice.rules import RULES

GUIDES = Path(cards.__file__).parent / "guides" / "en"
FULL = [dict(zip(QUESTIONS, chosen, strict=True)) for chosen in product(*(q.answers for q in QUESTIONS.values()))]
WITH_UNKNOWNS = [
    dict(zip(QUESTIONS, chosen, strict=True)) for chosen in product(*((*q.answers, None) for q in QUESTIONS.values()))
]
# Of the claims about placement and about normalization-free networks no card tells: the catalogue of methods does.
BESIDE_THE_CARDS = {"2002.04745", "1901.09321", "2102.06171", "2503.10622"}


@cache
def known_papers() -> set[str]:
    """Every paper that a card cites."""
    text = "".join(path.read_text(encoding="utf-8") for path in GUIDES.glob("*.md"))
    return set(re.findall(r"\b\d{4}\.\d{5}\b", text)) | BESIDE_THE_CARDS


def leaders(answers: dict[str, str | None]) -> list[Standing]:
    return [one for one in ranked(answers) if one.place == 1]


def test_there_are_as_many_answers_as_the_four_questions_allow() -> None:
    assert len(FULL) == 6 * 5 * 2 * 7 and len(WITH_UNKNOWNS) == 7 * 6 * 3 * 8


def test_every_combination_of_answers_gets_a_method_with_two_reasons_and_sources() -> None:
    """With and without unknowns; a command that shows it, or a claim that measures it, is a source too."""
    for answers in WITH_UNKNOWNS:
        for one in leaders(answers):
            speaking = [r.rule for r in one.reasons if r.rule.weight > 0]
            assert len(speaking) >= 2, (answers, one.method)
            assert all(rule.source or rule.claim or rule.shows for rule in speaking), answers
        assert leaders(answers), answers


def test_nothing_that_is_ruled_out_has_a_place() -> None:
    for answers in WITH_UNKNOWNS:
        assert not [s for s in ranked(answers) if s.excluded and s.place], answers


def test_excluding_outweighs_all_that_can_speak_for_a_method() -> None:
    """So in a mean over what was left out, a world that rules a method out never speaks for it."""
    for world in FULL:
        for one in ranked(world):
            assert not one.excluded or one.points < 0, (world, one.method)


def contradictions(rules: tuple[Rule, ...]) -> Iterator[tuple[str, str]]:
    """Pairs that hold together, one ruling out what the other is strongly for, without a declared precedence."""
    for out, into in product(rules, rules):
        opposed = out.method == into.method and out.weight == EXCLUDES and into.weight == STRONGLY_FOR
        if opposed and into.id not in out.over and any(out.holds(w) and into.holds(w) for w in FULL):
            yield out.id, into.id


def test_no_two_rules_contradict_each_other() -> None:
    assert not list(contradictions(RULES))


def test_a_contradiction_is_found() -> None:
    planted = Rule("planted", "group_norm", EXCLUDES, "", {"net": ("unet",)}, claim="d")
    assert list(contradictions((*RULES, planted))) == [("planted", "gn-tasks")]


def test_a_precedence_is_declared_only_where_two_rules_meet() -> None:
    by_id = {rule.id: rule for rule in RULES}
    for rule in RULES:
        for other in map(by_id.__getitem__, rule.over):
            assert other.method == rule.method and other.weight * rule.weight < 0
            assert any(rule.holds(world) and other.holds(world) for world in FULL), (rule.id, other.id)


def test_every_rule_can_hold_and_is_heard_somewhere() -> None:
    heard = {reason.rule.id for world in FULL for one in ranked(world) for reason in one.reasons}
    assert {rule.id for rule in RULES} == heard


def test_every_rule_holds_for_some_usual_pair_of_data_and_network() -> None:
    usual = [world for world in FULL if world["net"] in USUAL_NETS[world["data"]]]
    assert [rule.id for rule in RULES if not any(rule.holds(w) for w in usual)] == []


def test_no_two_rules_are_identical() -> None:
    for of in (lambda r: r.id, lambda r: r.text, lambda r: (r.method, r.weight, str(r.when), r.source, r.claim, r.shows)):
        assert Counter(map(of, RULES)).most_common(1)[0][1] == 1


def test_conditions_name_answers_that_exist_and_leave_one_out() -> None:
    for rule in RULES:
        for question, answers in rule.when.items():
            assert set(answers) <= set(QUESTIONS[question].answers) and len(set(answers)) == len(answers), rule.id
            assert len(answers) < len(QUESTIONS[question].answers), f"{rule.id}: {question} does not matter"
        assert rule.weight in WEIGHTS


def test_every_method_of_a_rule_is_registered_and_has_its_card() -> None:
    for name in {rule.method for rule in RULES} - {NONE}:
        assert name in normlab.list_methods() and cards.card(name)


def test_every_registered_method_is_spoken_of() -> None:
    assert {rule.method for rule in RULES} == {*normlab.list_methods(), NONE}


def test_what_a_reason_says_is_not_here_is_not_here() -> None:
    named = " ".join(rule.text for rule in RULES if "None of these is part of normlab" in rule.text)
    assert "DyT" in named and not {"fixup", "dyt", "dynamic_tanh", "nfnet"} & set(normlab.list_methods())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_names_a_source_that_exists(rule: Rule) -> None:
    assert rule.source or rule.claim or rule.shows
    assert set(re.findall(r"\b\d{4}\.\d{5}\b", rule.source)) <= known_papers()
    assert re.fullmatch("[a-o]?", rule.claim)
    text = (GUIDES / "feature_wise.md").read_text(encoding="utf-8") + (GUIDES / "local_response_norm.md").read_text(encoding="utf-8")
    if rule.source and not re.search(r"\d{4}\.\d{5}", rule.source):
        assert rule.source.split(",")[0].split()[0] in text


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", sorted({rule.shows for rule in RULES if rule.shows}))
def test_a_command_that_shows_it_runs(call: Caller, command: str) -> None:
    program, *words = command.split()
    said = call(*words, *(SMALL if words[0] == "compare" and "--preset" not in words else ()))
    assert program == "normlab" and (said.code, said.err) == (0, "") and said.out


def test_numbers_of_a_reason_stand_in_a_card() -> None:
    """A figure is a card's, where its source is told in full; it is not written from memory."""
    text = re.sub(r"\s+", " ", "".join(path.read_text(encoding="utf-8") for path in GUIDES.glob("*.md")))
    derived = {"1.1", "24.0"}  # 110 to 120 % of the time; the lowest of the card's five errors
    for rule in RULES:
        said = re.sub(r"\d{4}\.\d{5}", "", rule.text)
        for figure in set(re.findall(r"\d+\.\d+(?:e-?\d+)?|\de-\d+", said)) - derived:
            assert figure in text, (rule.id, figure)


def test_agreement_rules_out_exactly_what_the_definitions_call_dependent_on_other_samples() -> None:
    """Norms that do not claim to be independent of the other samples, by the definitions themselves."""
    dependent = {
        name for name in normlab.list_methods()
        if normlab.method(name).role == "norm" and "independent" not in normlab.method(name).invariances
    }  # fmt: skip
    ruled_out = {s.method for s in ranked({"data": "images", "batch": "32+", "agree": "yes", "net": "cnn"}) if s.excluded}
    assert ruled_out == dependent == {"batch_norm", "whole_norm"}


def points(answers: dict[str, str | None], method: str) -> float:
    return next(s.points for s in ranked(answers) if s.method == method)


def test_a_larger_batch_never_lowers_batch_normalization() -> None:
    """Neither does it lower its points, nor does it rule it out."""
    sizes = list(SMALLEST)
    for answers in WITH_UNKNOWNS:
        by_size = [{**answers, "batch": size} for size in sizes]
        found = [points(one, "batch_norm") for one in by_size]
        assert found == sorted(found), answers
        excluded = [next(s.excluded for s in ranked(one) if s.method == "batch_norm") for one in by_size]
        assert excluded == sorted(excluded, reverse=True), answers


def test_batch_normalization_never_loses_the_first_place_to_a_larger_batch() -> None:
    for answers in WITH_UNKNOWNS:
        leads = ["batch_norm" in first({**answers, "batch": size}) for size in SMALLEST]
        assert leads == sorted(leads), answers


@pytest.mark.parametrize(
    ("data", "batch", "agree", "net", "expected"),
    [
        ("images", 32, "no", "cnn", {"batch_norm"}),
        ("images", 16, "no", "cnn", {"batch_norm"}),
        ("images", 256, None, "cnn", {"batch_norm"}),
        ("images", 15, "no", "cnn", {"group_norm"}),
        ("images", 4, "no", "cnn", {"group_norm"}),
        ("images", 1, "no", "cnn", {"group_norm"}),
        ("images", 32, "yes", "cnn", {"group_norm"}),
        ("images", 2, "no", "unet", {"group_norm"}),
        ("images", 64, "no", "gan", {"spectral_norm"}),
        ("images", None, None, "gan", {"spectral_norm"}),
        ("images", 32, "no", "transformer", {"layer_norm"}),
        ("tokens", 8, "no", "transformer", {"rms_norm"}),
        ("tokens", None, None, "rnn", {"layer_norm"}),
        ("sequences", 32, "no", "rnn", {"layer_norm"}),
        ("sequences", None, None, "rnn", {"layer_norm"}),
        ("style", None, None, None, {"instance_norm"}),
        ("style", 32, "no", "cnn", {"instance_norm"}),
        ("style", 1, "yes", "unet", {"instance_norm"}),
        ("table", 8, "no", "mlp", {"selu"}),
        ("table", 64, "no", "mlp", {"batch_norm", "selu"}),
        ("table", 64, "no", "sigmoid_mlp", {"batch_norm"}),
        ("images", 64, "no", "sigmoid_mlp", {"batch_norm"}),
        (None, 100, None, "sigmoid_mlp", {"batch_norm"}),
        ("table", 64, "yes", "sigmoid_mlp", {"selu"}),
        ("embeddings", None, "yes", None, {"unit_norm"}),
    ],
)
def test_the_well_known_cases_come_out_as_they_are_known(
    data: str | None, batch: int | None, agree: str | None, net: str | None, expected: set[str]
) -> None:
    size = None if batch is None else bracket(batch)
    assert set(first({"data": data, "batch": size, "agree": agree, "net": net})) == expected


def test_no_normalization_comes_first_somewhere_and_always_has_its_place() -> None:
    assert any(NONE in first(world) for world in FULL)
    assert all(next(s.place for s in ranked(world) if s.method == NONE) for world in FULL)
