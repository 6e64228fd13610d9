"""What the cards compute: code from scratch against the layers, boards against the numbering, worked cases."""

from __future__ import annotations

import ast
import inspect
import re

import numpy as np
import pytest

import normlab as nl
from carding import EVERY_CARD, METHODS, code_of, every_card
from normlab import boards, cards, functional, registry

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
