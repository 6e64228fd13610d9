"""The grader names each planted mistake in implementations written differently, passes right ones, and invents nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import graded_backward
import graded_numpy
import graded_others
import graded_states
import normlab as nl
from grading import CASES, Case, graded
from normlab.errors import UsageError
from normlab.grading import sentences
from normlab.grading.frames import Frame, frames
from normlab.grading.mending import mend
from normlab.grading.mistakes import EVALUATION, FORWARD
from normlab.grading.naming import Observation, explain
from normlab.grading.particular import alternatives
from normlab.grading.reading import read
from normlab.grading.recipe import compute, right
from normlab.grading.truth import draw, forward, given_of, is_recipe, option_values, truth
from normlab.language import LANGUAGES

GRADABLE = [d for d in map(nl.method, nl.list_methods()) if d.role not in ("dropout", "input")]
RECIPES = [d for d in GRADABLE if d.forward is None]
# Named by hand, at least; the others are counted below.
ASKED_FOR = {
    "no_parentheses", "wrong_axis", "variance_not_root", "eps_outside_root", "sample_variance", "eps_missing",
    "missing_weight", "missing_bias", "weight_bias_swapped", "batch_statistics_in_evaluation", "momentum_reversed",
    "running_statistics_in_training", "running_statistics_not_updated", "mean_not_subtracted", "one_pass_variance",
    "gradient_ignores_statistics", "gradient_not_summed", "wrong_dtype", "input_changed", "groups_interleaved",
    "alpha_not_divided", "mean_subtracted", "constants_rounded", "bias_before_scale",
}  # fmt: skip


def backward_of(case: Case) -> Any:
    return None if case.backward is None else getattr(sys.modules[case.function.__module__], case.backward, None) or getattr(
        graded_backward, case.backward
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_planted_is_named_and_nothing_else(case: Case) -> None:
    found = graded(case.function, case.as_, backward_of(case))
    assert set(found.faults) == set(case.keys), found.lines
    if not case.keys:
        assert set(found.conventions) == set(case.conventions)


def test_each_mistake_that_must_be_known_is_planted() -> None:
    planted = {key for case in CASES for key in case.keys}
    assert planted >= ASKED_FOR and planted <= set(sentences.FAULTS)
    modules = {case.function.__module__ for case in CASES}
    assert {m.__name__ for m in (graded_numpy, graded_others, graded_backward, graded_states)} <= modules


def test_as_many_mistakes_are_known_as_the_readme_says() -> None:
    """It names five and says "some seventy more"; what says only that there was no answer, or no name, does not count."""
    no_names = ("returns_", "unknown", "raises", "exits", "timeout", "crashed", "wrong_shape", "not_finite", "no_", "constant_no")
    known = [key for key in sentences.FAULTS if not key.startswith(no_names) and not key.endswith("_unknown")]
    assert 70 <= len(known) - 5 < 80


@pytest.mark.parametrize("d", GRADABLE, ids=lambda d: d.name)
def test_our_own_functions_are_right(d: Any) -> None:
    found = graded(getattr(nl.functional, d.name), d.name)
    assert found.faults == [] == found.conventions


@pytest.mark.parametrize("face", ["numpy", "torch"])
@pytest.mark.parametrize("d", [d for d in GRADABLE if d.role in ("norm", "activation")], ids=lambda d: d.name)
def test_our_own_layers_are_right(d: Any, face: str) -> None:
    found = graded(getattr(getattr(nl, face), d.class_name), d.name)
    assert found.faults == [] == found.conventions
    assert "no_backward" not in found.notes


@pytest.mark.parametrize("d", [d for d in GRADABLE if d.role == "weight"], ids=lambda d: d.name)
def test_our_own_layers_of_weights_are_right(d: Any) -> None:
    assert graded(getattr(nl.numpy, d.class_name), d.name).faults == []


def every_frame(d: Any) -> list[Frame]:
    return list(frames(d, d.resolve(d.validate(option_values(d, {})), 12)))


@pytest.mark.parametrize("d", RECIPES, ids=lambda d: d.name)
def test_the_recipe_without_a_mistake_is_the_formula(d: Any) -> None:
    """`truth` runs the face's formula; 2**-45 is what two orders of summing up to 720 numbers may differ by."""
    assert every_frame(d)
    for frame in every_frame(d):
        asked = draw(frame, seed=11, eps=0.05 if d.eps is not None else None)
        given = given_of(asked, asked.eps or 0.0)
        assert np.allclose(compute(right(d, given.plan), given), truth(asked, asked.eps or 0.0), rtol=2.0**-45, atol=2.0**-45)


@pytest.mark.parametrize("d", RECIPES, ids=lambda d: d.name)
def test_every_mistake_is_told_from_what_is_right(d: Any) -> None:
    """What a mistake computes is explained by a mistake, and by nothing that would be right."""
    frame = every_frame(d)[-1]
    given = given_of(draw(frame, seed=12, running=True), 0.5 if d.eps_rule == "floor" else 0.05)
    given = given if d.has_running else given.__class__(**{**vars(given), "running": None})
    start = right(d, given.plan)
    tried = 0
    for mistake in FORWARD:
        for recipe in mistake.change(start, given):
            y = compute(recipe, given)
            if not np.isfinite(y).all() or np.allclose(y, compute(start, given), rtol=1e-9):
                continue  # an axis of that kind may be no mistake here
            tried += 1
            found = explain([Observation(given, y)], start, FORWARD, (given.eps,), pairs=False)
            assert found is not None and len(found.keys) == 1, mistake.key
    assert tried > len(FORWARD) // 3


@pytest.mark.parametrize("d", [d for d in GRADABLE if not is_recipe(d)], ids=lambda d: d.name)
def test_what_a_forward_may_be_mistaken_for_differs_from_it(d: Any) -> None:
    frame = every_frame(d)[-1]
    asked = draw(frame, seed=13, options=option_values(d, {}))
    wanted = forward(asked, {})
    keys = []
    for key, _, computed in alternatives(d):
        with np.errstate(all="ignore"):
            y = computed(asked)
        if key not in ("option_ignored", "window_side"):  # which may be without effect: steps, a window of odd length
            assert not np.allclose(y, wanted, rtol=1e-9), key
        keys.append(key)
    assert set(keys) <= set(sentences.FAULTS) and len(set(keys)) > 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_mistake_has_its_sentence(lang: str) -> None:
    keys = {m.key for m in (*FORWARD, *EVALUATION)} | {k for d in GRADABLE for k, _, _ in alternatives(d) if not is_recipe(d)}
    for table in (sentences.FAULTS, sentences.CONVENTIONS, sentences.NOTES, sentences.REFUSALS, sentences.CHECKS):
        for key in table:
            said = sentences.say(table, key, {})[lang]
            assert said and bool(any("가" <= c <= "힣" for c in said)) == (lang == "ko")
    assert keys <= set(sentences.FAULTS)


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("d", GRADABLE, ids=lambda d: d.name)
def test_the_mending_lines_are_python(d: Any, framework: str) -> None:
    fields: Mapping[str, Any] = {"axes": [0, 2, 3], "split": False}
    for key in sentences.FAULTS:
        line = mend(key, fields, d, framework)
        if line is not None:
            compile("def f():\n" + "\n".join("    " + one for one in line.splitlines()), key, "exec")
            assert all(len(one) <= 72 for one in line.splitlines()), line


def test_the_line_that_mends_does_mend() -> None:
    """The lines for batch normalization of images, run one after the other, are the formula."""
    d = nl.method("bn")
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 5))
    fields = {"axes": [0, 2, 3], "split": False}
    names: dict[str, Any] = {"np": np, "x": x, "eps": 1e-5, "weight": 2.0, "bias": 0.5, "dy": x + 1.0}
    for key in ("wrong_axis", "no_parentheses", "missing_bias"):
        exec(mend(key, fields, d, "numpy") or "", names)
    layer = nl.numpy.BatchNorm(3)
    layer.params["weight"][:], layer.params["bias"][:] = 2.0, 0.5
    assert np.allclose(names["y"], layer(x), rtol=1e-13)
    names["root"] = np.sqrt(names["var"] + 1e-5)
    exec(mend("gradient_ignores_mean", fields, d, "numpy") or "", names)
    assert np.allclose(names["dx"], layer.backward(x + 1.0), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("as_", ["alpha_dropout", "fw", "none", "bnn", "gn:groups=0", "gn:gruops=2", "n c"])
def test_what_cannot_be_graded_is_refused(as_: str) -> None:
    with pytest.raises(UsageError):
        read(as_)


def test_an_eps_that_was_asked_for_is_the_one_that_is_right() -> None:
    def keras(x: np.ndarray) -> Any:
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)

    assert graded(keras, "bn:eps=1e-3").conventions == []
    assert graded(keras, "bn").conventions == ["another_eps"]
