"""The guide: every card is whole, in both languages, and what it says can be run.

The cards are text, so the tests read them as a user does: code blocks are executed and compared with the layers,
commands are parsed by the command line itself, and what is computed into a card is compared with the library.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import string

import numpy as np
import pytest

import normlab as nl
from normlab import boards, cards, functional, registry
from normlab import numpy as face
from normlab.errors import UnknownNameError, UsageError

METHODS = registry.list_methods()
BULLETS = ("pros", "cons", "pitfalls")
MEASURED, SOURCE = ("measured:", "측정:"), ("source:", "출처:")
ENDS_IN_COMMAND = re.compile(r"`normlab (compare|guide|report|info)\b[^`]*`\.?$")
COMMAND = re.compile(r"`(normlab(?: [^`]+)?)`", re.DOTALL)
HANGUL = re.compile(r"[가-힣]")
EVERY_CARD = [(lang, card) for lang in cards.LANGUAGES for card in cards.cards(lang)]
IDS = [f"{lang}-{card.name}" for lang, card in EVERY_CARD]
every_card = pytest.mark.parametrize(("lang", "card"), EVERY_CARD, ids=IDS)


def outside_fences(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def bullets(markdown: str) -> list[str]:
    """The items of a list, each on one line."""
    items = re.split(r"^- ", outside_fences(markdown), flags=re.MULTILINE)
    return [" ".join(item.split()) for item in items[1:]]


def last_parenthesis(item: str) -> str:
    """What stands in the parentheses that an item ends with; empty where it ends otherwise."""
    item = item.rstrip(".")
    if not item.endswith(")"):
        return ""
    depth = 0
    for at in range(len(item) - 1, -1, -1):
        depth += (item[at] == ")") - (item[at] == "(")
        if depth == 0:
            return item[at + 1 : -1]
    return ""


def is_proven(item: str) -> bool:
    """Whether an item ends in evidence: a command, something measured (with a number in the item), or a source."""
    evidence = last_parenthesis(item)
    measured = evidence.startswith(MEASURED) and re.search(r"\d", item) is not None
    return bool(ENDS_IN_COMMAND.search(item)) or measured or evidence.startswith(SOURCE)


def unproven(markdown: str) -> list[str]:
    return [item for item in bullets(markdown) if not is_proven(item)]


def code_of(card: cards.Card) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", card.sections["code"], flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"{card.lang} {card.name}: one python block, got {len(blocks)}"
    return blocks[0]


def everything(lang: str) -> dict[str, str]:
    """All text of a language by name: the cards and the overview."""
    return {c.name: c.markdown() for c in cards.cards(lang)} | {"overview": cards.overview(lang)}


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


# --- code ----------------------------------------------------------------------------------------------------------


def defined(card: cards.Card) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(code_of(card), f"{card.lang}/{card.name}.md", "exec"), names)
    return names


def given(definition, rng) -> dict[str, object]:
    """Arguments by the names that the functions of this field take; each function picks its own."""
    channels, trailing = 4, definition.layout.endswith(" c")
    x = rng.standard_normal((3, 5, channels) if trailing else (3, channels, 2, 3)) * 2 + 1
    weight, bias = rng.standard_normal(channels) + 2, rng.standard_normal(channels)
    if definition.role == "condition":
        weight, bias = rng.standard_normal((3, channels)), rng.standard_normal((3, channels))
    matrix, unit = rng.standard_normal((channels, 3)), rng.standard_normal(channels)
    return {
        "x": x, "weight": weight, "bias": bias, "v": matrix, "w": matrix, "g": np.abs(unit) + 1, "groups": 2,
        "u": unit / np.linalg.norm(unit), "p": 0.25, "key": 3,
    }  # fmt: skip


def call(function, values: dict[str, object]):
    accepted = inspect.signature(function).parameters
    return function(**{name: value for name, value in values.items() if name in accepted})


def first(result):
    return result[0] if isinstance(result, tuple) else result


TWINS = [
    pytest.param(card, definition, id=f"{lang}-{definition.name}")
    for lang, card in EVERY_CARD
    for definition in card.definitions
    if definition.role != "input"
]


@pytest.mark.parametrize(("card", "definition"), TWINS)
def test_the_code_from_scratch_equals_the_layer(card, definition):
    function = defined(card)[definition.name]
    values = given(definition, np.random.default_rng(5))
    if definition.role == "dropout":  # its random stream is its own: what is compared is what does not depend on it
        for training in (False, True):
            ours, theirs = (
                np.unique(np.round(call(f, values | {"x": np.ones((64, 4)), "training": training}), 9))
                for f in (function, functional.alpha_dropout)
            )
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        return
    ours = first(call(function, values))
    theirs = first(call(getattr(functional, definition.name), values))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("card", "definition"), TWINS)
def test_the_backward_from_scratch_agrees_with_central_differences(card, definition):
    names = defined(card)
    backward = names.get(f"{definition.name}_backward")
    if backward is None:
        assert definition.role in ("dropout", "weight", "input")  # too long for a card, or nothing to derive
        return
    rng = np.random.default_rng(7)
    forward, values = names[definition.name], given(definition, rng)
    y = first(call(forward, values))
    upper = rng.standard_normal(y.shape)
    result = call(backward, values | {"dy": upper, "dw": upper})
    arrays = [n for n in inspect.signature(forward).parameters if isinstance(values.get(n), np.ndarray)]
    for name, gradient in zip(arrays, result if isinstance(result, tuple) else (result,), strict=False):
        step = rng.standard_normal(values[name].shape)
        ends = [first(call(forward, values | {name: values[name] + sign * 1e-6 * step})) for sign in (1, -1)]
        difference = np.sum(upper * (ends[0] - ends[1])) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * step), difference, rtol=2e-6, atol=1e-7, err_msg=name)


@every_card
def test_every_code_block_runs_and_defines_what_it_is_about(lang, card):
    names = defined(card)
    assert all(callable(names.get(name)) for name in card.covers)


def test_feature_wise_from_scratch_never_does_worse_than_the_z_score_on_the_folds_that_choose():
    # It searches from the z-score and keeps only gains, so this holds whatever the data; the layer's own search is
    # richer, so its choice is not compared.
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = np.stack([y + 0.5 * rng.standard_normal(60), np.exp(3 * rng.standard_normal(60))], axis=1)
    names = defined(cards.card("feature_wise"))
    chosen, score = names["feature_wise"](x, y)
    fold = np.arange(60) % 3
    plain = [names["accuracy"](["z_score"] * 2, x, y, fold != f, fold == f) for f in range(3)]
    assert len(chosen) == 2
    assert np.mean(plain) <= score <= 1


@pytest.mark.parametrize("name", [c.name for c in cards.cards("en")])
def test_both_languages_run_the_same_code(name):
    english, korean = (ast.dump(ast.parse(code_of(cards.card(name, lang)))) for lang in cards.LANGUAGES)
    assert english == korean


@pytest.mark.parametrize("name", ["batch_norm", "whole_norm"])
def test_running_statistics_from_scratch_equal_the_function(name):
    definition = registry.method(name)
    values = given(definition, np.random.default_rng(9))
    size = 4 if name == "batch_norm" else ()
    values |= {"running_mean": np.zeros(size), "running_var": np.ones(size)}
    function = defined(cards.card(name))[name]
    for training in (True, False):
        ours = call(function, values | {"training": training})
        theirs = call(getattr(functional, name), values | {"training": training})
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (ours, theirs)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


# --- boards --------------------------------------------------------------------------------------------------------

POOLED = [registry.method(n) for n in METHODS if boards.lines(registry.method(n))]


@pytest.mark.parametrize("lang", cards.LANGUAGES)
@pytest.mark.parametrize("definition", POOLED, ids=lambda d: d.name)
def test_the_axes_on_a_board_pool_what_the_board_shows(definition, lang):
    text = boards.board(definition, lang)
    found = re.findall(r"(?:x\.reshape(\([^)]*\)), )?axis=(\([^)]*\)|\d+)", text)
    assert found
    lines = list(boards.lines(definition).values())
    shapes = [boards.WEIGHTS] if "o" in lines[0].names else list(boards.SHAPES.values())
    sizes = definition.factor_sizes(boards.demonstration(definition), 4)  # every shape has four channels
    plans = []
    for pattern in lines:
        for axes, shape in shapes:
            plan = boards._fit(pattern, axes, shape, sizes)
            if plan is not None and not (definition.centre and plan.count < 2):
                plans.append(plan)
    assert len(found) == len(plans)
    for (reshape, axis), plan in zip(found, plans, strict=True):
        numbers = nl.shares(str(plan.pattern), plan.shape, **boards._given(plan))
        split = numbers.reshape(ast.literal_eval(reshape)) if reshape else numbers
        spread = split.max(axis=ast.literal_eval(axis)) - split.min(axis=ast.literal_eval(axis))
        assert not spread.any()  # what the axes pool has one number
        assert spread.size == plan.sets == numbers.max() + 1


def test_a_board_shows_the_numbers_of_shares():
    text = boards.board(registry.method("group_norm"), "en")
    assert "c = 2  1 1     3 3" in text
    assert "4 x (mean, standard deviation), each over 8 elements" in text


def test_layer_normalization_is_drawn_both_ways():
    text = boards.board(registry.method("layer_norm"), "en")
    assert "`... [c]`" in text and "`n [c ...]`" in text
    assert "8 x" in text and "2 x" in text


def test_what_pools_nothing_says_so_in_a_sentence():
    for name in METHODS:
        if registry.method(name).pools is None:
            assert boards.board(registry.method(name), "en") == cards.words("en")["not_pooled"]


WORKED = [registry.method(n) for n in METHODS if registry.method(n).worked is not None]


@pytest.mark.parametrize("definition", WORKED, ids=lambda d: d.name)
def test_the_worked_case_shows_input_and_output(definition):
    text = boards.worked(definition, "ko")
    for value in (*np.ravel(definition.worked.x), *np.ravel(definition.worked.y)):
        assert f"{value:.6g}" in text
    assert all(line in text for line in definition.worked.derivation)


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
