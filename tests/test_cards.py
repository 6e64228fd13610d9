"""The guide: every card is whole, in both languages, and what it says can be run.

The cards are text, so the tests read them as a user does: code blocks are executed and compared with the layers,
commands are parsed by the command line itself, and what is computed into a card is compared with the library.
"""

from __future__ import annotations

import re
import shlex
import string

import pytest

import normlab as nl
from carding import BULLETS, COMMAND, HANGUL, METHODS, bullets, every_card, everything, outside_fences, unproven
from normlab import cards, registry
from normlab import numpy as face
from normlab.errors import UnknownNameError, UsageError

# --- which cards there are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_every_method_is_covered_by_exactly_one_card(lang):
    covered = [name for card in cards.cards(lang) for name in card.covers]
    assert sorted(covered) == sorted(METHODS)


def test_both_languages_hold_the_same_cards():
    english, korean = ([(c.name, c.covers, c.acts_on) for c in cards.cards(lang)] for lang in cards.LANGUAGES)
    assert english == korean


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_a_card_is_found_by_every_name_of_its_methods(lang):
    for card in cards.cards(lang):
        assert cards.card(card.name, lang) is card
        for definition in card.definitions:
            for name in (definition.name, definition.short, definition.class_name, definition.name.replace("_", "-")):
                assert cards.card(name, lang).name == card.name


def test_an_unknown_card_lists_near_names():
    with pytest.raises(UnknownNameError, match="layer_norm"):
        cards.card("layr_norm")


def test_an_unknown_language_names_the_known_ones():
    with pytest.raises(UsageError, match="en, ko"):
        cards.card("bn", "de")


# --- how a file is read --------------------------------------------------------------------------------------------


def a_file(headings=cards.HEADINGS["en"], front="name: a\ncovers: a\ntitle: A\nacts_on: data\nline: one"):
    return f"---\n{front}\n---\n\n" + "\n\n".join(f"## {h}\n\ntext" for h in headings)


def test_a_file_is_read_in_the_fixed_order():
    card = cards.parse_card(a_file(), "en", "a.md")
    assert tuple(card.sections) == cards.KEYS
    assert set(card.sections.values()) == {"text"}


def test_a_heading_inside_a_fence_is_text():
    text = a_file().replace("## Source\n\ntext", "## Source\n\n```text\n## Cons\n```")
    assert "## Cons" in cards.parse_card(text, "en", "a.md").sections["source"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (a_file(cards.HEADINGS["en"][:-1]), ["a.md", "heading 11", "Source", "missing"]),
        (a_file(("Concept", "Pros", *cards.HEADINGS["en"][2:])), ["a.md", "heading 2", "When it applies", "Pros"]),
        (a_file((*cards.HEADINGS["en"], "More")), ["a.md", "heading 12", "end of the card", "More"]),
        (a_file(cards.HEADINGS["ko"]), ["a.md", "heading 1", "Concept", "개념"]),
        (a_file().replace("## Cons\n\ntext", "## Cons\n"), ["a.md", "Cons", "no text"]),
        (a_file().replace("## Concept", "lost words\n\n## Concept"), ["a.md", "before the first heading", "lost"]),
        (a_file(front="name: a\ncovers: a\ntitle: A\nacts_on: data"), ["a.md", "line"]),
        (a_file(front="name: a\ncovers: a\ntitle: A\nacts_on: moon\nline: one"), ["a.md", "acts_on", "moon"]),
        (a_file(front="name a"), ["a.md", "key: value", "name a"]),
        ("## Concept\n\ntext", ["a.md", "---"]),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_named_with_the_place(text, said):
    with pytest.raises(UsageError) as error:
        cards.parse_card(text, "en", "a.md")
    assert all(word in str(error.value) for word in said), str(error.value)


# --- what a card says ----------------------------------------------------------------------------------------------


@every_card
@pytest.mark.parametrize("key", BULLETS)
def test_every_pro_con_and_pitfall_ends_in_evidence(lang, card, key):
    assert len(bullets(card.sections[key])) >= 3
    assert not unproven(card.sections[key])


@pytest.mark.parametrize(
    "item",
    ["- Fast.", "- Fast (measured: very).", "- Fast. `normlab`", "- `normlab train`", "- (source: x) Fast."],
)
def test_a_bullet_without_evidence_would_be_noticed(item):
    assert unproven(item)


@every_card
def test_a_card_renders_whole(lang, card):
    text = card.markdown()
    assert "{{" not in text
    assert text.count("```") % 2 == 0
    headings = re.findall(r"^## (.*)$", outside_fences(text), flags=re.MULTILINE)
    assert tuple(headings) == cards.HEADINGS[lang]
    assert text.startswith(f"# {card.title}\n")
    assert "{{board}}" in card.sections["shares"]
    assert "{{worked}}" in card.sections["worked"] or card.acts_on == "data"


@every_card
def test_a_source_is_named(lang, card):
    assert re.search(r"\d{4}\.\d{5}|\b(19|20)\d{2}\b", card.sections["source"])


@pytest.mark.parametrize("name", [c.name for c in cards.cards("en")])
def test_both_languages_say_the_same_amount(name):
    english, korean = (cards.card(name, lang) for lang in cards.LANGUAGES)
    for key in BULLETS:
        assert len(bullets(english.sections[key])) == len(bullets(korean.sections[key])), key
    for key in ("concept", "when", "used", "source"):
        assert len(korean.sections[key]) > 0.3 * len(english.sections[key]), key
    asked = [set(COMMAND.findall(c.sections["pros"] + c.sections["cons"])) for c in (english, korean)]
    assert asked[0] == asked[1]


# --- Korean --------------------------------------------------------------------------------------------------------

# How a letter or a digit ends when it is read aloud decides the particle after it: 엘, 엠, 엔 end in a consonant.
CLOSED = set("LMNlmn013678")
RIEUL = set("Ll178")  # 로, not 으로, follows ㄹ
AFTER = {"은": True, "는": False, "이": True, "가": False, "을": True, "를": False, "과": True, "와": False}
PARTICLE = re.compile(
    r"(?<![A-Za-z0-9.])([A-Za-z]|[A-Z]{2,5}|[0-9][0-9.]*)(은|는|이|가|을|를|과|와|으로|로)(?=[\s,.;)])"
)


def misread(text: str) -> list[str]:
    """Particles that do not fit the letter, the abbreviation or the number before them, and doubled ones (은/는)."""
    wrong = re.findall(r"\S*(?:은/는|는/은|이/가|을/를|를/을|와/과|과/와|\(으\)로|\(이\)라)\S*", text)
    for word, particle in PARTICLE.findall(text):
        last = word.rstrip("0.") if word[-1] == "0" and "." in word else word
        last = (last or word)[-1]
        if last in "Rr":
            continue
        closed = last in CLOSED
        long = closed and last not in RIEUL
        fits = AFTER[particle] == closed if particle in AFTER else (particle == "으로") == long
        if not fits:
            wrong.append(word + particle)
    return wrong


def test_particles_follow_how_a_name_is_read():
    assert misread("BN는 좋다") == ["BN는"]
    assert misread("x은 y를") == ["x은"]
    assert misread("BN은/는 좋다")
    assert not misread("BN은 x를 g와 0으로, 1로 n이")


@pytest.mark.parametrize(("name", "text"), sorted(everything("ko").items()))
def test_particles_in_korean_read_well(name, text):
    assert not misread(outside_fences(text))


@pytest.mark.parametrize(("name", "text"), sorted(everything("ko").items()))
def test_korean_text_is_korean(name, text):
    plain = re.sub(r"`[^`]*`", "", outside_fences(text))
    for heading in re.findall(r"^#+ (.*)$", plain, flags=re.MULTILINE):
        assert HANGUL.search(heading) or len(heading) < 12, heading
    for paragraph in re.split(r"\n\s*\n|^- ", plain, flags=re.MULTILINE):
        letters = len(re.findall(r"[A-Za-z]", paragraph))
        if letters > 60 and "arXiv" not in paragraph and '"' not in paragraph:  # a title of a paper stays as it is
            assert len(HANGUL.findall(paragraph)) > letters / 4, paragraph
    assert "정규화" in plain


def test_the_small_words_exist_in_both_languages_with_the_same_fields():
    english, korean = (cards.words(lang) for lang in cards.LANGUAGES)
    assert list(english) == list(korean)
    for key in english:
        fields = [{f for _, f, _, _ in string.Formatter().parse(say[key]) if f} for say in (english, korean)]
        assert fields[0] == fields[1], key
        assert HANGUL.search(korean[key]) or korean[key] == english[key], key
        assert not re.search(r"\}(은|는|이|가|을|를|과|와|으로|로)(?=[\s,.;)])", korean[key]), key


# --- commands ------------------------------------------------------------------------------------------------------


def commands() -> list[str]:
    texts = [text for lang in cards.LANGUAGES for text in everything(lang).values()]
    return sorted({" ".join(command.split()) for text in texts for command in COMMAND.findall(text)})


def test_commands_are_found():
    assert len(commands()) > 20


@pytest.mark.parametrize("command", commands())
def test_every_command_parses(command):
    from normlab.cli.app import normlab as group

    words = shlex.split(command)[1:]
    if words and "NAME" not in words:
        verb = group.get_command(None, words[0])
        assert verb is not None, f"{command}: there is no verb {words[0]!r} in this release"
        verb.make_context(words[0], words[1:])


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs(command, capsys):
    from normlab.cli import main

    assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


# --- overview ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_the_overview_lists_every_technique_the_notes_ten_first(lang):
    text = cards.overview(lang)
    at = [text.index(f"**{c.title}**") for c in cards.cards(lang)]
    assert at == sorted(at)
    assert re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE) == [str(k) for k in range(1, 11)]
    drawn = re.search(r"^```text\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE).group(1).split()
    for definition in map(registry.method, METHODS):
        assert drawn.count(definition.short) == 1
        assert f"`{definition.short}`" in text


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_the_map_fits_a_terminal_in_both_languages(lang):
    drawn = re.search(r"^```text\n(.*?)^```", cards.overview(lang), flags=re.DOTALL | re.MULTILINE).group(1)
    for line in drawn.splitlines():
        assert sum(2 if HANGUL.match(ch) else 1 for ch in line) <= 80


def test_a_layer_can_be_built_for_what_the_cards_call_layers():
    assert face.build(registry.method("bn"), 3).training


# --- what the cards claim ------------------------------------------------------------------------------------------

CLAIMS = [  # settings, then for each arm the gain a layer that the cards give, and its tolerance
    ({"layers": 20}, {"none": (0.24, 0.02), "bn": (1.02, 0.02), "ln": (0.39, 0.03), "rms": (0.39, 0.03)}),
    ({"layers": 20, "seed": 1}, {"bn": (1.02, 0.02), "whole": (0.39, 0.03)}),
    ({"layers": 20, "activation": "relu", "init": "he"}, {"bn": (1.20, 0.04), "ln": (1.0, 0.1), "whole": (1.0, 0.1)}),
    ({"layers": 20, "activation": "tanh"}, dict.fromkeys(("bn", "ln", "rms", "whole"), (1.09, 0.02))),
    ({"net": "conv"}, {"none": (0.19, 0.03), "bn": (0.6, 0.07), "in": (0.6, 0.07), "ln": (0.28, 0.03)}),
    ({}, {"gn:groups=4": (0.41, 0.03), "gn:groups=50": (4.0, 0.8)}),
]
RATIOS = [  # the same for the first layer's gradient over the last one's, as a factor that it may be off by
    ({"layers": 20}, {"none": 2e-12, "bn": 1.5, "ln": 2e-8, "rms": 2e-8, "whole": 2e-8, "gn:groups=4": 3e-8}),
    ({"preset": "note-5"}, {"none": 0.3, "bn": 1.2, "ln": 0.02, "rms": 0.02, "whole": 0.02, "gn:groups=4": 0.025}),
    ({}, {"none": 0.0053, "bn": 1.1, "gn:groups=4": 0.03}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "claimed"), CLAIMS)
def test_the_gains_in_the_cards_are_what_compare_measures(settings, claimed):
    for arm in nl.compare(list(claimed), **settings).to_dict()["arms"]:
        value, tolerance = claimed[arm["label"]]
        assert abs(arm["gain"]["measured"] - value) < tolerance, arm["label"]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "claimed"), RATIOS)
def test_the_ratios_in_the_cards_are_what_compare_measures(settings, claimed):
    for arm in nl.compare(list(claimed), **settings).to_dict()["arms"]:
        assert 0.6 < arm["first_over_last"] / claimed[arm["label"]] < 1.6, arm["label"]
