"""The guide without a browser: every card under every name, the list by what it acts on, and the advice as `nl.advise` gives it."""

from __future__ import annotations

import html
import re

import pytest

import normlab as nl
from commanding import Caller
from lab_server import Client
from normlab import cards, tabs
from normlab.advice.questions import QUESTIONS
from normlab.lab.application import application
from normlab.lab.views.guide import VIEW
from normlab.report import render
from normlab.report.advice_text import cited

DECK = [one.name for one in cards.cards()]
NAMES = [name for one in cards.cards() for name in dict.fromkeys((one.name, *one.covers, *one.shorts))]


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(application())


def text_of(page: str) -> str:
    """What stands between the tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_to_its_card(client: Client, name: str) -> None:
    page = client.get(f"/guide/{name}")
    assert page.status_code == 200
    for lang in cards.LANGUAGES:
        one = cards.card(name, lang)
        assert one.title in text_of(page.text)
        assert one.line in text_of(page.text)


@pytest.mark.parametrize("name", DECK)
def test_a_card_has_every_section_in_both_languages_and_its_code_for_every_framework(client: Client, name: str) -> None:
    page = client.get(f"/guide/{name}").text
    text = text_of(page)
    for lang in cards.LANGUAGES:
        assert all(cards.heading(key, lang) in text for key in cards.KEYS)
    assert re.findall(r'class="panel" data-name="([^"]+)"', page) == ["NumPy", *(f.title for f in tabs.FRAMEWORKS.values())]
    for definition in cards.card(name).definitions:
        for face in tabs.FRAMEWORKS:
            assert tabs.program(definition, face).strip() in text


def test_a_mistyped_name_shows_the_nearest_card_and_says_so(client: Client) -> None:
    page = client.get("/guide/layr_norm")
    assert page.status_code == 200
    assert cards.card("layer_norm").title in page.text
    assert "layr_norm" in text_of(page.text)


def test_the_list_has_every_card_once_under_what_it_acts_on(client: Client) -> None:
    page = client.get("/guide").text
    deck = page.partition('class="deck"')[2]
    for one in cards.cards():
        assert deck.count(f'href="/guide/{one.shorts[0]}"') == 1
    places = [cards.words("en")[place] for place in cards.PLACES if any(c.acts_on == place for c in cards.cards())]
    at = [text_of(deck).index(place) for place in places]
    assert at == sorted(at)


@pytest.mark.parametrize("name", DECK)
def test_every_link_of_a_card_leads_somewhere(client: Client, name: str) -> None:
    page = client.get(f"/guide/{name}").text
    links = {html.unescape(link) for link in re.findall(r'href="(/(?:guide|share|\?)[^"]*)"', page)}
    assert any(link.startswith("/share?method=") for link in links)
    wanted = [link for link in links if not link.startswith("/guide")]
    for link, answer in zip(wanted, client.many([("GET", link, {}) for link in wanted]), strict=True):
        assert answer.status_code == 200, link
        assert 'class="note"' not in answer.text.partition('id="notes"')[2].partition("</div>")[0], link


ANSWERS = [
    {"data": "images", "batch": "2-4", "net": "cnn"},
    {"data": "tokens", "net": "transformer"},
    {"agree": "yes"},
    {"batch": "1"},
    {"net": "sigmoid_mlp", "data": "table", "batch": "32+", "agree": "no"},
]


@pytest.mark.parametrize("given", ANSWERS, ids=lambda given: "-".join(given.values()))
def test_the_chooser_says_what_advise_says(client: Client, given: dict[str, str]) -> None:
    answer = client.post("/api/guide", json={"state": given}).json()
    advice = nl.advise(**given).to_dict()
    text = text_of(answer["html"])
    for lang in ("en", "ko"):
        assert advice["verdicts"][0][lang] in text
    first = next(one for one in advice["ranking"] if one["place"] == 1)
    assert f'href="/guide/{first["short"]}"' in answer["html"] or first["method"] == "none"
    for reason in first["reasons"]:
        assert reason["text"]["ko"] in text
        assert cited(reason, "en") in text
    assert answer["command"] == advice["command"]


@pytest.mark.parametrize("given", ANSWERS, ids=lambda given: "-".join(given.values()))
def test_the_copied_command_gives_the_same_choice(client: Client, call: Caller, given: dict[str, str]) -> None:
    import shlex

    answer = client.post("/api/guide", json={"state": given}).json()
    said = call(*shlex.split(answer["command"])[1:], "--lang", "en")
    assert said.code == 0
    assert answer["said"]["en"] in " ".join(said.out.split())


def test_every_answer_of_every_question_can_be_chosen() -> None:
    for field in VIEW.fields:
        if field.name in QUESTIONS:
            assert [value for value, _ in field.choices] == ["", *QUESTIONS[field.name].answers]


def test_without_an_answer_there_is_no_advice(client: Client) -> None:
    assert 'class="advice"' not in client.get("/guide").text
    assert 'class="advice"' in client.get("/guide?data=images").text


@pytest.mark.parametrize("name", DECK)
def test_the_saved_card_is_whole(client: Client, name: str) -> None:
    page = client.get(f"/save/guide?name={name}")
    assert page.status_code == 200
    assert "attachment" in page.headers["content-disposition"]
    for lang in cards.LANGUAGES:
        assert cards.card(name, lang).line in text_of(page.text)


def test_a_saved_advice_is_the_advice() -> None:
    document = nl.advise(data="images", batch=2).to_dict()
    assert document["verdicts"][0]["ko"] in render([document])
