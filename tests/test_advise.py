"""`nl.advise`: what the document says in both languages, what it depends on, and whether measuring bore it out."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

import pytest

import normlab as nl
from commanding import COLUMNS
from normlab.advice.measuring import candidates, measured, training_settings
from normlab.advice.questions import QUESTIONS, bracket, read
from normlab.errors import UnknownNameError, UsageError
from normlab.experiments.claims.recorded import recorded
from normlab.report import text
from normlab.report.advice_text import cited
from normlab.report.cells import cell_len
from normlab.result import Result

LANGUAGES = ("en", "ko")
SOME = [
    {}, {"data": "images", "batch": 2, "net": "cnn"}, {"data": "images", "batch": 32, "agree": "no", "net": "cnn"},
    {"net": "sigmoid_mlp", "batch": 64}, {"data": "table", "net": "mlp", "agree": True}, {"data": "style"},
    {"data": "tokens", "net": "transformer"}, {"data": "embeddings", "agree": "yes"}, {"batch": 4}, {"agree": False},
    {"data": "images", "net": "gan"}, {"data": "images", "batch": "16-31", "net": "mlp"},
]  # fmt: skip
some = pytest.mark.parametrize("answers", SOME, ids=lambda answers: " ".join(map(str, answers.values())) or "nothing")
COMMAND = re.compile(r"^\s*\(?normlab ")


@some
def test_the_document_holds_the_ranking_with_reasons_sources_and_cards(answers: dict[str, Any]) -> None:
    advice = nl.advise(**answers)
    document = advice.to_dict()
    assert isinstance(advice, Result) and document["schema"] == "normlab.advise/1"
    assert {"command", "versions", "machine", "settings", "wall_s", "verdicts"} <= set(document)
    assert json.loads(advice.to_json()) == document and advice.exit_code == 0
    leading = [one for one in document["ranking"] if one["place"] == 1]
    assert tuple(one["method"] for one in leading) == advice.first and leading
    for one in document["ranking"]:
        assert one["card"] == ("normlab guide" if one["method"] == "none" else f"normlab guide {one['short']}")
        assert all(r["text"]["en"] and r["text"]["ko"] and cited(r, "en") for r in one["reasons"])


def test_same_answers_same_bytes_but_for_the_time() -> None:
    first, second = (nl.advise(data="images", batch=8).to_dict() | {"wall_s": 0, "machine": 0} for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("lang", LANGUAGES)
@some
def test_the_text_holds_80_columns_in_both_languages(answers: dict[str, Any], lang: str) -> None:
    said = text(nl.advise(**answers).to_dict(), lang)
    assert [line for line in said.splitlines() if cell_len(line) > COLUMNS and not COMMAND.match(line)] == []
    assert bool(re.search("[가-힣]", said)) == (lang == "ko") and "{" not in said


@some
def test_every_sentence_is_written_in_both_languages(answers: dict[str, Any]) -> None:
    def texts(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == set(LANGUAGES):
            yield value
        elif isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from texts(one)

    document = nl.advise(**answers).to_dict()
    for one in texts(document):
        same = one["en"] == one["ko"]
        assert not same or not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", one["en"]), one


def test_the_first_sentence_is_the_choice_and_the_reasons_follow() -> None:
    said = str(nl.advise(data="images", batch=2, agree="no", net="cnn"))
    assert said.splitlines()[2] == "First choice: group normalization (gn)."
    assert "1. gn  Group normalization" in said and "(1803.08494, Table 2; normlab claims d" in re.sub(r"\s+", " ", said)


def test_a_claim_that_was_not_reproduced_here_is_cited_with_what_it_came_to() -> None:
    reasons = [reason for one in nl.advise(data="images", batch=2, net="cnn").to_dict()["ranking"] for reason in one["reasons"]]
    words = {"partly": "일부 재현", "not reproduced": "재현되지 않음"}
    for reason in reasons:
        verdict = recorded().get(reason["claim"], {}).get("verdict")
        assert reason["claim_verdict"] == verdict
        for lang, word in (("en", verdict), ("ko", words.get(str(verdict), ""))):
            assert (f"normlab claims {reason['claim']}: {word}" in cited(reason, lang)) == (verdict in words)


def test_it_says_what_would_change_the_answer() -> None:
    said = [case["text"]["en"] for one in nl.advise(data="images", batch=2, net="cnn").to_dict()["changes"] for case in one["cases"]]
    assert "batch 16 or more: batch normalization (bn) would come first." in said
    said = [case["text"]["en"] for one in nl.advise(data="images", batch=32, agree="no", net="cnn").to_dict()["changes"] for case in one["cases"]]
    assert "batch 1 to 15: group normalization (gn) would come first." in said
    assert "agreement yes: group normalization (gn) would come first." in said


@pytest.mark.parametrize("answers", [dict(zip(QUESTIONS, full, strict=True)) for full in itertools.product(*([*q.answers][::2] for q in QUESTIONS.values()))][::7], ids=str)
def test_a_change_that_is_named_is_what_comes_out(answers: dict[str, str]) -> None:
    document = nl.advise(**answers).to_dict()
    for one in document["changes"]:
        for case in one["cases"]:
            for answer in case["answers"]:
                other = nl.advise(**{**answers, one["question"]: answer})
                assert list(other.first) == case["first"]
                assert set(other.first) != {r["method"] for r in document["ranking"] if r["place"] == 1}


def test_an_answer_left_out_is_said_where_it_decides() -> None:
    left_out = nl.advise(data="images", agree="no", net="cnn").to_dict()["verdicts"]
    assert any("depends on the batch" in v["en"] and "16 or more: batch normalization (bn)" in v["en"] for v in left_out)
    assert nl.advise(data="images", net="gan").to_dict()["verdicts"][1:] == []  # there nothing depends on it


def test_a_requirement_that_nobody_states_is_none_and_that_is_said() -> None:
    silent = nl.advise(data="images", batch=32, net="cnn")
    assert silent.first == nl.advise(data="images", batch=32, net="cnn", agree="no").first == ("batch_norm",)
    assert "The agreement was left out and is taken for: no." in silent.to_dict()["verdicts"][1]["en"]


def test_a_tie_is_said() -> None:
    advice = nl.advise(data="table", batch=64, agree="no", net="mlp")
    assert set(advice.first) == {"batch_norm", "selu"}
    assert "Level in the first place: batch normalization (bn) / SELU (self-normalizing)" in str(advice)
    assert re.search(r"^1= bn ", str(advice), re.M) and re.search(r"^1= selu ", str(advice), re.M)


def test_with_nothing_known_it_says_that_it_is_an_average() -> None:
    assert nl.advise().to_dict()["verdicts"][0]["en"].startswith("Neither the data nor the network is known.")


def test_what_a_reason_needs_is_said_with_it() -> None:
    document = nl.advise(data="images", batch=4).to_dict()
    gn = next(one for one in document["ranking"] if one["method"] == "group_norm")
    flat = next(r for r in gn["reasons"] if r["rule"] == "gn-flat")
    assert not flat["holds"] and flat["needs"] == {"net": ["cnn"]}
    assert "[if network cnn] Its error" in re.sub(r"\s+", " ", str(nl.advise(data="images", batch=4)))


@pytest.mark.parametrize(("answers", "cure"), [({"net": "sigmoid_mlp"}, True), ({"net": "mlp"}, False), ({}, False)])
def test_the_notes_question_is_answered_with_the_laws_numbers(answers: dict[str, str], cure: bool) -> None:
    """The gains are worked out here anew, by a sum over a fine grid of z."""
    said = " ".join(note["en"] for note in nl.advise(**answers).to_dict()["notes"])
    assert ("cure vanishing gradients with sigmoid" in said) == cure
    if cure:
        z = [k / 200 for k in range(-2400, 2401)]
        weight = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) / 200 for x in z]
        phi = [1 / (1 + math.exp(-x)) for x in z]
        mean, square = (sum(w * p**k for w, p in zip(weight, phi, strict=True)) for k in (1, 2))
        slope = sum(w * (p * (1 - p)) ** 2 for w, p in zip(weight, phi, strict=True))
        assert f"by {math.sqrt(slope / (square - mean * mean)):.2f} with it" in said
        assert f"by {math.sqrt(slope / square):.3f} with layer normalization" in said and "by 0.236 without" in said


def test_no_normalization_is_mentioned_wherever_it_is_not_the_choice() -> None:
    for answers in SOME:
        advice = nl.advise(**answers)
        mentioned = "Where it trains as well, it is the right choice" in re.sub(r"\s+", " ", str(advice))
        assert mentioned != ("none" in advice.first)


def test_a_page_and_a_notebook_show_it() -> None:
    advice = nl.advise(data="images", batch=4, net="cnn")
    page, fragment = advice.to_html(), advice._repr_html_()
    assert page.startswith("<!DOCTYPE html>") and "첫째 선택: 그룹 정규화(gn)." in page and "First choice" in page
    assert "<script" not in fragment and "First choice: group normalization (gn)." in fragment
    assert json.loads(re.search(r'id="c1-json">(.*?)</script>', page, re.S)[1]) == advice.to_dict()  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "word"),
    [({"data": "image"}, "images"), ({"net": "ResNet"}, "cnn"), ({"net": "ViT"}, "transformer"), ({"agree": True}, "yes"),
     ({"agree": False}, "no"), ({"net": "U-Net"}, "unet"), ({"data": "time series"}, "sequences"), ({"data": "?"}, None),
     ({"batch": "unknown"}, None), ({"batch": " 8 "}, 8), ({"batch": "5-15"}, "5-15"), ({"batch": "32+"}, "32+")],
)  # fmt: skip
def test_other_words_for_an_answer_are_understood(given: dict[str, Any], word: Any) -> None:
    (question, value), = given.items()
    assert read(question, value) == word
    assert nl.advise(**given).to_dict()["settings"][question] == word


@pytest.mark.parametrize(("batch", "size"), [(1, "1"), (2, "2-4"), (4, "2-4"), (5, "5-15"), (15, "5-15"), (16, "16-31"), (31, "16-31"), (32, "32+"), (10**9, "32+")])
def test_a_batch_belongs_to_its_size(batch: int, size: str) -> None:
    assert bracket(batch) == size


@pytest.mark.parametrize(("given", "nearest"), [({"data": "imagse"}, "images"), ({"net": "transfomer"}, "transformer"), ({"agree": "yess"}, "yes"), ({"net": "resnt"}, "resnet"), ({"net": "xyz"}, "sigmoid_mlp")])
def test_an_unknown_word_gets_the_nearest(given: dict[str, str], nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown answer for \w+ .*(Did you mean|Known:)") as caught:
        nl.advise(**given)  # type: ignore[arg-type]
    assert nearest in str(caught.value)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "many", True, "", "1e3", float("nan")])
def test_a_batch_that_is_no_number_of_samples_is_refused(batch: Any) -> None:
    with pytest.raises(UsageError, match="at least 1, is required"):
        nl.advise(batch=batch)


class Race:
    """What a training run gives back, as far as the adviser reads it."""

    def __init__(self, accuracy: dict[str, float | None], best: list[str] | None) -> None:
        self.accuracy, self.best = accuracy, best

    def __call__(self, methods: list[str], **options: Any) -> Race:
        self.options = {"methods": methods, **options}
        return self

    def to_dict(self) -> dict[str, Any]:
        arms: list[dict[str, Any]] = []
        for name, mean in self.accuracy.items():
            arms.append({"label": name, "method": name, "refused": None})
            if mean is not None:
                arms[-1]["final"] = {"test_accuracy": {"low": mean - 0.01, "mean": mean, "high": mean + 0.01}}
        ranking = None if self.best is None else {"best": self.best}
        return {"command": "normlab train", "arms": arms, "ranking": ranking, "verdicts": [{"en": "v", "ko": "v"}]}


@pytest.mark.parametrize(
    ("accuracy", "best", "outcome", "said"),
    [
        ({"group_norm": 0.92, "none": 0.82}, ["group_norm"], "held", "the advice held: group normalization"),
        ({"group_norm": 0.82, "none": 0.92}, ["none"], "failed", "did not hold: no normalization"),
        ({"group_norm": 0.85, "none": 0.87}, ["none", "group_norm"], "open", "on average best is no normalization"),
        ({"group_norm": 0.87, "none": 0.85}, ["none", "group_norm"], "open", "the advice, group normalization (gn), is best"),
        ({"group_norm": None, "none": 0.87}, None, "failed", "did not hold: no normalization"),
        ({"group_norm": 0.1, "none": None}, None, "held", "the advice held"),
        ({"group_norm": None, "none": None}, None, "open", "No candidate finished"),
    ],
)
def test_measuring_says_whether_the_advice_held(accuracy: dict[str, Any], best: Any, outcome: str, said: str) -> None:
    train = Race(accuracy, best)
    found = measured(["group_norm", "none"], "digits", train=train, first=("group_norm",), net="conv", seeds=3)
    assert found["outcome"] == outcome and said in found["text"]["en"] and found["text"]["ko"] != found["text"]["en"]
    assert train.options == {"methods": ["group_norm", "none"], "data": "digits", "net": "conv", "seeds": 3}
    assert [arm["method"] for arm in found["arms"]] == ["group_norm", "none"] and found["verdicts"]


def test_of_several_that_were_level_one_is_enough() -> None:
    train = Race({"batch_norm": 0.2, "selu": 0.9, "none": 0.5}, ["selu"])
    assert measured(["batch_norm", "selu", "none"], "d", train=train, first=("batch_norm", "selu"))["outcome"] == "held"


@some
def test_candidates_are_the_first_of_the_ranking_and_none(answers: dict[str, Any]) -> None:
    advice = nl.advise(**answers)
    chosen = candidates(advice.to_dict())
    assert chosen[-1] == "none" and chosen.count("none") == 1 and 2 <= len(chosen) <= 6
    assert {name for name in advice.first if name != "none"} <= set(chosen)


def test_the_network_that_is_trained_is_the_nearest_there_is() -> None:
    nets = {net: training_settings({"net": net, "batch": None})["net"] for net in QUESTIONS["net"].answers}
    assert {net for net, trained in nets.items() if trained == "conv"} == {"cnn", "unet", "gan"}
    assert training_settings({"net": "sigmoid_mlp", "batch": 8}) == {"net": "dense", "activation": "sigmoid", "batch": 8}
    assert "batch" not in training_settings({"net": "mlp", "batch": "2-4"})


@pytest.mark.parametrize(("measure", "data"), [(True, "digits"), ("mine.csv", "mine.csv")])
def test_asked_to_measure_it_trains_the_candidates_on_the_data(measure: Any, data: str) -> None:
    train = Race({"group_norm": 0.92, "none": 0.82}, ["group_norm"])
    advice = nl.advise(data="images", batch=8, net="cnn", measure=measure, train=train)
    expected = {"methods": candidates(advice.to_dict()), "data": data, "net": "conv", "activation": "relu", "init": "he", "batch": 8}
    assert train.options == expected and advice.to_dict()["measured"]["outcome"] == "held"
    for shown in (str(advice), advice._repr_html_(), advice.to_html()):
        assert f"Trained on {data}, the advice held" in re.sub(r"\s+", " ", shown)
    assert nl.advise(data="images").to_dict()["measured"] is None
