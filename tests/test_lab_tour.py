"""The guided tour: its five steps are done by doing them, and the last one answers the note's question."""

from __future__ import annotations

from typing import Any

import pytest

import normlab as nl
from lab_browser import browser, until, watched
from lab_server import lab_address
from normlab.formatting import ratio
from normlab.lab.fields import defaults
from normlab.lab.ladder_run import document_of
from normlab.lab.tour import STEPS, seen
from normlab.lab.views.ladder import VIEW

__all__ = ["browser", "lab_address"]

DEFAULT = defaults(VIEW.fields)
SMALL = {"batch": 200}


def done(**changed: Any) -> dict[int, str]:
    """The steps whose thing is done in a state, with what is said then."""
    state = {**DEFAULT, **SMALL, **changed}
    return {step: text["en"] for step, text in seen(state, document_of(state, quick=False))}


def test_there_are_five_steps_in_both_languages() -> None:
    assert len(STEPS) == 5
    assert all(step.title[lang] and step.task[lang] for step in STEPS for lang in ("en", "ko"))


@pytest.mark.parametrize(("step", "before", "after"), [
    (1, {"layers": 9}, {"layers": 10}),
    (2, {"layers": 4, "row": 3}, {"layers": 4, "row": 4}),
    (3, {"left": "bn", "right": "bn:eps=1e-3"}, {"left": "bn", "right": "ln"}),
    (4, {"init": 0.5}, {"init": 1.0}),
    (4, {"init": 1.0, "left": "ln"}, {"init": 2.0}),
    (5, {"activation": "tanh"}, {}),
    (5, {"left": "ln"}, {"left": "bn", "right": "none"}),
    (5, {"layers": 1}, {"layers": 2}),
], ids=str)  # fmt: skip
def test_a_step_is_done_by_its_thing_and_not_before(step: int, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert step not in done(**before)
    assert step in done(**after)


@pytest.mark.parametrize(("changed", "answer"), [
    ({}, "Yes, in your network"), ({"layers": 20}, "Yes, in your network"), ({"init": 1.0}, "Nothing to cure"),
    ({"layers": 2}, "Nothing to cure"), ({"batch": 2}, "Not in your network"),
], ids=str)  # fmt: skip
def test_the_notes_question_is_answered_by_the_numbers(changed: dict[str, Any], answer: str) -> None:
    text = done(**changed)[5]
    none, cure = nl.compare(["none", "bn"], **{**SMALL, **changed}).to_dict()["arms"]
    assert text.startswith(answer) and f" {ratio(none['first_over_last'])} " in text and ratio(cure["first_over_last"]) in text


def test_a_newcomer_does_the_five_things_and_has_the_answer(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address) as found:
        page = found.open("/?activation=relu&layers=30")
        page.locator("#tour-start").click()
        until(page, "location.search === ''")  # it begins at the beginning

        def shown() -> int:
            return int(page.locator(".steps li:not([hidden])").get_attribute("data-step"))

        def finished(step: int) -> str:
            until(page, f"document.querySelector('.steps li[data-step=\"{step}\"]').classList.contains('done')")
            return str(page.locator("#tour-result [lang=en]").text_content())

        def go_on() -> None:
            page.locator("#tour-next").click()
            assert page.locator("#tour-result").text_content() == ""

        assert shown() == 1 and not page.locator("#tour-next").is_visible()
        for _ in range(5):
            page.locator("input.slider[data-for=layers]").press("ArrowRight")
        assert "none 1/" in finished(1)
        go_on()
        page.locator("#row-0-10").click()
        assert "layer 10" in finished(2)
        go_on()
        page.locator("[name=left]").select_option("bn")
        page.locator("[name=right]").select_option("ln")
        assert "nearly the same mean and variance" in finished(3)
        go_on()
        page.locator("[name=left]").select_option("none")
        page.locator("input.slider[data-for=init]").press("End")
        assert "does not vanish" in finished(4)
        go_on()
        assert shown() == 5
        page.locator("[name=right]").select_option("bn")
        assert finished(5).startswith("Nothing to cure")
        page.locator("[name=init]").select_option("xavier")
        until(page, "document.getElementById('tour-result').textContent.includes('Yes, in your network')")
        assert not page.locator("#tour-next").is_visible()
        page.locator("label[for=lang-ko]").click()
        assert page.locator("#tour-result [lang=ko]").is_visible()
        page.locator("#tour-end").click()
        assert not page.locator("#tour").is_visible() and page.evaluate("document.activeElement.id") == "tour-start"
        assert found.complaints == [] and found.foreign() == []
