"""The ladder in Chromium: sliders, rows, presets, what is taken along; the numbers are those of the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commanding import Caller
from lab_browser import Watched, browser, settle, until, watched
from lab_server import lab_address
from normlab.report import text
from normlab.report.drawing import pick
from normlab.report.tables import full_table

__all__ = ["browser", "lab_address"]

# Counts the questions that are under way, as the page sees them: from the call to the last byte of the answer.
COUNTING = """
const plain = window.fetch;
window.asked = [];
window.atOnce = 0;
let underWay = 0;
window.fetch = async (path, options) => {
  underWay += 1;
  window.atOnce = Math.max(window.atOnce, underWay);
  window.asked.push(JSON.parse(options.body));
  try {
    const answer = await plain(path, options);
    const body = await answer.clone().text();
    return answer;
  } finally { underWay -= 1; }
};
"""


@pytest.fixture
def lab(browser: Any, lab_address: str) -> Iterator[Watched]:
    with watched(browser, lab_address) as found:
        found.page.add_init_script(COUNTING)
        yield found
        assert found.foreign() == [] and found.complaints == []


def set_to(page: Any, **settings: Any) -> None:
    """Choose from the lists and write into the numbers, one after the other, as a person would."""
    for name, value in settings.items():
        control = page.locator(f"#settings [name={name}]")
        if control.evaluate("one => one.tagName") == "SELECT":
            control.select_option(str(value))
        else:
            control.fill(str(value))
            control.press("Enter")
        settle(page)


def slide(page: Any, name: str, key: str, times: int) -> None:
    slider = page.locator(f"input.slider[data-for={name}]")
    slider.focus()
    for _ in range(times):
        slider.press(key)
    settle(page)


def cells(page: Any) -> list[list[str]]:
    """The full table as the page has it, in English."""
    rows = "rows => rows.map(row => [...row.cells].map(cell => (cell.querySelector('[lang=en]') ?? cell).textContent.trim()))"
    return page.locator("#table tbody tr").evaluate_all(rows)  # type: ignore[no-any-return]


def printed(document: dict[str, Any]) -> list[list[str]]:
    """The same table of a document, as the report prints it."""
    found = []
    for name, rows in full_table(document).groups:
        found += [[] if name is None else [pick(name, "en")], *([pick(cell, "en") for cell in row] for row in rows)]
    return found


def verdict(page: Any) -> str:
    return page.locator("#output .verdict [lang=en]").text_content()  # type: ignore[no-any-return]


def sentences(page: Any) -> str:
    return verdict(page) + " ".join(page.locator("#output .verdicts [lang=en]").all_text_contents())


def test_twenty_layers_by_the_slider_are_twenty_rows_and_no_gradient_is_left(lab: Watched) -> None:
    page = lab.open()
    slide(page, "layers", "ArrowRight", 15)
    assert page.locator("[id^=row-0-]").count() == page.locator("[id^=row-1-]").count() == 20
    left = next(row for row in cells(page) if row[0] == "1")
    assert float(left[8]) < 1e-9
    assert "layers=20" in page.url


def test_while_sliding_a_part_is_computed_and_on_release_the_whole(lab: Watched) -> None:
    page = lab.open()
    slide(page, "layers", "ArrowRight", 1)
    asked = page.evaluate("window.asked")
    assert [one["quick"] for one in asked] == [True, False] and asked[0]["state"]["layers"] == "6"
    slider = page.locator("input.slider[data-for=layers]")
    slider.evaluate("one => { one.value = 9; one.dispatchEvent(new Event('input', {bubbles: true})); }")
    settle(page)
    assert page.evaluate("window.asked.at(-1).quick") and "layers=6" in page.url  # the address waits for the release


def test_forty_moves_in_a_second_end_in_the_last_and_never_ask_two_at_once(lab: Watched) -> None:
    page = lab.open()
    page.evaluate("""async () => {
      const slider = document.querySelector("input.slider[data-for=layers]");
      for (let k = 0; k < 40; k++) {
        slider.value = 1 + (k * 7) % 20;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        await new Promise((go) => setTimeout(go, 25));
      }
      slider.value = 13;
      slider.dispatchEvent(new Event("input", {bubbles: true}));
      slider.dispatchEvent(new Event("change", {bubbles: true}));
    }""")
    settle(page)
    assert page.evaluate("window.atOnce") == 1
    assert 1 <= len(page.evaluate("window.asked")) <= 42
    assert page.locator("[id^=row-0-]").count() == 13 and "layers=13" in page.url


def test_the_address_leads_back_to_the_same_page(lab: Watched, browser: Any) -> None:
    page = lab.open()
    set_to(page, left="ln", right="gn", layers=7, init="he", activation="tanh", batch=64, seed=5)
    page.locator("#row-1-3").click()
    settle(page)
    assert all(f"{pair}" in page.url for pair in ("left=ln", "right=gn", "layers=7", "init=he", "batch=64", "seed=5", "row=3"))
    with watched(browser, lab.address) as other:
        other.open(page.url.removeprefix(lab.address))
        assert cells(other.page) == cells(page) and verdict(other.page) == verdict(page)
        assert other.page.locator("#opened h2").text_content() == page.locator("#opened h2").text_content()


def test_back_and_forward_go_through_what_was_seen(lab: Watched) -> None:
    page = lab.open()
    first = verdict(page)
    set_to(page, layers=9)
    page.go_back()
    until(page, "document.querySelector('[name=layers]').value === '5'")
    settle(page)
    assert verdict(page) == first
    page.go_forward()
    until(page, "document.querySelector('[name=layers]').value === '9'")
    settle(page)
    assert page.locator("[id^=row-0-]").count() == 9


STATES = ["", "?layers=8&right=ln&seed=2&activation=tanh&init=0.3", "?data=note&init=1&batch=100",
          "?left=gn%3Agroups%3D4&net=conv&batch=20&layers=3", "?data=digits&place=after&batch=50"]  # fmt: skip


@pytest.mark.parametrize("query", STATES, ids=lambda query: query or "as it opens")
def test_the_copied_command_prints_the_numbers_of_the_page(lab: Watched, call: Caller, query: str) -> None:
    page = lab.open("/" + query)
    slide(page, "batch", "ArrowLeft", 1)  # so that they come by the script as well
    command = page.locator("#take-command").text_content()
    program, *arguments = shlex.split(command)
    document = json.loads(call(*arguments, "--json").out)
    assert program == "normlab" and cells(page) == printed(document)
    terminal = call(*arguments).out
    for value in page.locator("#output .tiles b").all_text_contents()[:1]:
        assert value in terminal
    assert document["verdicts"][0]["en"] == verdict(page)


@pytest.mark.parametrize("query", STATES[:3], ids=lambda query: query or "as it opens")
def test_the_copied_lines_of_python_print_what_the_command_prints(lab: Watched, call: Caller, query: str) -> None:
    page = lab.open("/" + query)
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        exec(page.locator("#take-python").text_content(), {})
    command = shlex.split(page.locator("#take-command").text_content())[1:]
    assert heard.getvalue().strip() == text(json.loads(call(*command, "--json").out)).strip()


def test_link_command_and_python_are_copied(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address, permissions=["clipboard-read", "clipboard-write"]) as found:
        page = found.open("/?layers=3")
        for name in ("link", "command", "python"):
            page.locator(f"[data-copy=take-{name}]").click()
            until(page, "document.getElementById('copied').textContent !== ''")
            assert page.evaluate("navigator.clipboard.readText()") == page.locator(f"#take-{name}").text_content()
        assert page.locator("#take-link").text_content() == page.url


def test_the_saved_report_opens_anywhere(lab: Watched, browser: Any, tmp_path: Path) -> None:
    page = lab.open()
    set_to(page, layers=4)
    with page.expect_download() as coming:
        page.locator("#save").click()
    path = tmp_path / coming.value.suggested_filename
    coming.value.save_as(path)
    expected = verdict(page)
    own = browser.new_context(java_script_enabled=False, offline=True)
    plain = own.new_page()
    plain.goto(path.as_uri())
    assert plain.get_by_text(expected).first.is_visible()
    own.close()
    strict = browser.new_context()
    bare = strict.new_page()
    policy = {"content-security-policy": "default-src 'none'", "content-type": "text/html; charset=utf-8"}
    bare.route("**/*", lambda route: route.fulfill(body=path.read_text(encoding="utf-8"), headers=policy))
    bare.goto("http://styleless.example/")
    assert bare.get_by_text(expected).first.is_visible() and bare.locator("svg[role=img]").first.is_visible()
    strict.close()


def test_batch_to_layer_normalization_shows_that_moments_do_not_tell(lab: Watched) -> None:
    page = lab.open()
    assert page.locator("#fate").count() == 0
    set_to(page, left="bn", right="ln")
    assert page.locator("#fate h2 [lang=en]").text_content() == "Same mean, same variance, different fate"
    assert page.locator("#fate svg[role=img]").count() == 2


def test_weights_of_one_take_the_vanishing_out_of_the_verdict(lab: Watched) -> None:
    page = lab.open()
    assert "The gradient vanishes" in sentences(page)
    set_to(page, init="1")
    assert "vanishes" not in sentences(page) and "Saturated is not vanished" in sentences(page)


def test_the_slider_of_the_weights_takes_over_from_the_name(lab: Watched) -> None:
    page = lab.open()
    slide(page, "init", "End", 1)
    assert page.locator("[name=init]").input_value() == "10" and "init=10" in page.url
    assert page.locator("input.slider[data-for=init]").get_attribute("aria-valuetext") == "10"


def test_the_run_before_stays_as_a_ghost_and_its_setting_is_named(lab: Watched) -> None:
    page = lab.open()
    assert not page.locator(".ghost-key").is_visible()
    set_to(page, layers=7)
    ghosts = "svg[role=img] g[stroke-dasharray='2 1.5']"
    assert page.locator(ghosts).count() == 2 * 5 and "layers 5" in page.locator(".ghost-key").inner_text()
    page.locator("#row-0-2").click()
    settle(page)
    assert page.locator(ghosts).count() == 2 * 5  # opening a row is no other run
    set_to(page, seed=1)
    assert page.locator(ghosts).count() == 2 * 7 and "seed 0" in page.locator(".ghost-key").inner_text()


def test_a_row_opens_its_layer_by_click_and_by_enter(lab: Watched) -> None:
    page = lab.open()
    page.locator("#row-0-5").click()
    settle(page)
    assert page.locator("#opened svg[role=img]").count() == 2
    assert "layer 5" in " ".join(page.locator("#opened h2").inner_text().split())
    page.locator("#row-1-2").focus()
    page.keyboard.press("Enter")
    settle(page)
    assert "row=2" in page.url and page.evaluate("document.activeElement.id") == "row-1-2"
    page.locator("#opened a.button").click()
    settle(page)
    assert page.locator("#opened").count() == 0


def test_the_open_layer_shows_its_own_values(lab: Watched) -> None:
    """Layer 5 of five is the sample that the document keeps; a shallower net's last layer is that layer of a deeper one."""
    page = lab.open("/?row=5")
    last = page.locator("#opened svg[role=img]").first.inner_html()
    page.goto(lab.address + "/?layers=9&row=5")
    assert page.locator("#opened svg[role=img]").first.inner_html() == last


def test_the_presets_are_the_six_and_set_everything_that_they_mean(lab: Watched) -> None:
    page = lab.open("/?seed=3&activation=tanh")
    shown = page.locator("#presets a [lang=en]").all_text_contents()
    assert len(shown) == 6
    for name, query in (("weights too small", "init=0.01"), ("20 layers", "layers=20"), ("a batch of 4", "batch=4"),
                        ("weights too large", "init=1"), ("same mean, same variance", "left=bn&right=ln"),
                        ("the note", "init=1&batch=100&data=note")):  # fmt: skip
        page.get_by_role("link", name=name, exact=True).click()
        settle(page)
        assert page.url == f"{lab.address}/?{query}"
        assert page.locator("#presets a[aria-current=true] [lang=en]").text_content() == name
    assert "--preset note-5" in page.locator("#take-command").text_content()


def test_an_arm_of_ones_own_is_taken_and_a_wrong_one_is_explained(lab: Watched) -> None:
    page = lab.open()
    page.locator("details.more summary").first.click()
    page.locator("#own-right").fill("n (g [c]):g=4")
    page.locator("#own-right").press("Enter")
    settle(page)
    assert page.locator("[name=right]").input_value() == "n (g [c]):g=4" and "n (g [c]):g=4" in page.locator("#ladder").text_content()
    before = verdict(page)
    page.locator("#own-right").fill("batchnorn")
    page.locator("#own-right").press("Enter")
    settle(page)
    assert "got batchnorn. Did you mean batch_norm" in page.locator("#problem [lang=en]").text_content() and verdict(page) == before
    assert page.locator("[name=right]").input_value() == "n (g [c]):g=4" and page.locator("#own-right").input_value() == "batchnorn"
    assert re.search("422", " ".join(lab.complaints))  # the browser's own line about the refused request
    lab.complaints.clear()


def test_an_arm_that_cannot_act_says_so_and_names_the_command_that_shows_it(lab: Watched) -> None:
    page = lab.open()
    set_to(page, right="in")
    note = page.locator("#output .note").first.text_content()
    assert "in cannot act here" in note and "normlab compare none in --net conv" in note


def test_a_setting_that_had_to_give_way_is_said(lab: Watched) -> None:
    page = lab.open()
    set_to(page, left="bn")
    assert "Both arms were bn" in page.locator("#notes [lang=en]").text_content()


def test_when_the_server_is_gone_the_page_says_it(lab: Watched) -> None:
    page = lab.open()
    page.route("**/api/ladder", lambda route: route.abort())
    slide(page, "layers", "ArrowRight", 1)
    assert page.locator("#problem [lang=en]").text_content().startswith("The server does not answer")
    lab.complaints.clear()  # the browser's own line about it
