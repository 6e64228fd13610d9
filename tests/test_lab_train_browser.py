"""Train as a person uses it: the four keys, the counter, both languages, the keyboard, and a page without script."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from lab_axe import faults
from lab_browser import Watched, browser, watched
from lab_browser import until as shows
from lab_server import lab_address
from live_race import threads, until

pytestmark = pytest.mark.usefixtures("browser", "lab_address")
_FIXTURES = (browser, lab_address)  # what pytest finds here by name

# Small networks for many steps: it goes on while the test presses keys.
LONG = "/train?c=&layers=3&width=20&batch=20&steps=2000&seeds=2"
SHORT = "/train?c=&layers=3&width=20&batch=20&steps=60&seeds=2"
KEYS = {"go": "Play", "pause": "Pause", "step": "Step", "stop": "Stop"}


@pytest.fixture
def opened(browser: Any, lab_address: str) -> Iterator[Watched]:
    with watched(browser, lab_address) as found:
        yield found
        assert found.complaints == [] and found.foreign() == []
    until(lambda: not threads(), "the races of a closed page end")


def press(page: Any, order: str) -> None:
    page.get_by_role("button", name=KEYS[order], exact=True).click()


def counter(page: Any) -> int:
    """The step that the page shows; -1 before the first."""
    shown = page.locator(".counter")
    return int(shown.get_attribute("data-step")) if shown.count() else -1


def state(page: Any, wanted: str) -> None:
    page.wait_for_selector(f'#race[data-state="{wanted}"]')


def pressed(page: Any) -> dict[str, str | None]:
    """What a screen reader is told of the keys: pressed, or not to be pressed now."""
    return {
        order: page.locator(f'[data-order="{order}"]').get_attribute("aria-pressed") for order in ("go", "pause")
    } | {order: page.locator(f'[data-order="{order}"]').get_attribute("aria-disabled") for order in ("step", "stop")}


def test_play_pause_step_and_stop(opened: Watched) -> None:
    page = opened.open(LONG)
    assert pressed(page) == {"go": "false", "pause": "false", "step": None, "stop": "true"}
    press(page, "go")
    shows(page, "Number(document.querySelector('.counter')?.dataset.step) > 5")
    assert pressed(page) == {"go": "true", "pause": "false", "step": None, "stop": None}
    press(page, "pause")
    page.wait_for_selector('.status:has-text("Paused at step")')
    frozen = counter(page)
    page.wait_for_timeout(600)  # in which it would take more than a hundred steps
    assert counter(page) == frozen and pressed(page)["pause"] == "true"
    for k in (1, 2):
        press(page, "step")
        page.wait_for_selector(f'.counter[data-step="{frozen + k}"]')
    press(page, "go")
    shows(page, f"Number(document.querySelector('.counter').dataset.step) > {frozen + 4}")
    press(page, "stop")
    state(page, "stopped")
    assert "Stopped by you" in page.locator(".status").inner_text()
    assert pressed(page) == {"go": "false", "pause": "false", "step": None, "stop": "true"}


def test_the_keys_are_reached_and_pressed_by_keyboard_and_keep_the_focus(opened: Watched) -> None:
    page = opened.open(LONG)
    page.locator("#race-go").focus()
    page.keyboard.press("Enter")
    state(page, "running")
    for order in ("pause", "step", "stop"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.order") == order
    page.keyboard.press("Space")
    state(page, "stopped")
    assert page.evaluate("document.activeElement.dataset.order") == "stop"  # not lost, though it cannot be pressed now


def test_a_finished_race_has_verdicts_tables_and_a_report(opened: Watched) -> None:
    page = opened.open(SHORT)
    press(page, "go")
    state(page, "finished")
    assert page.locator('[data-fragment="verdict"] .verdict').inner_text()
    assert page.locator('[data-fragment="numbers"] tbody tr').count() == 2
    for summary in page.locator("#race > figure > details > summary").all():
        summary.click()
    assert page.locator('[data-fragment="curves-table"] table').count() == 3
    assert page.locator('[data-fragment="layers-table"] table').count() == 2
    with page.expect_download() as download:
        page.locator("#race-save a").click()
    assert download.value.suggested_filename == "normlab-train.html"


def test_every_drawing_is_named_and_the_page_forbids_no_part_of_it(opened: Watched) -> None:
    page = opened.open(SHORT)
    press(page, "go")
    state(page, "finished")
    drawings = page.locator("#race > figure svg")
    assert drawings.count() == 6  # four drawings of all arms, a strip for each
    unnamed = drawings.evaluate_all("all => all.filter(one => !one.querySelector('title') || one.getAttribute('role') !== 'img').length")
    assert unnamed == 0 and page.locator("#race [style]").count() == 0


def test_axe_finds_nothing_serious_at_a_pause_and_at_the_end(opened: Watched) -> None:
    page = opened.open(SHORT + "&lr=1000")  # with the note that one rate is no comparison
    page.locator("#race-step").click()
    page.wait_for_selector('[data-fragment="modes-table"] table', state="attached")
    assert list(faults(page)) == []
    page.locator("#race-go").click()
    state(page, "finished")
    for summary in page.locator("#race summary:visible").all():
        summary.click()
    assert list(faults(page)) == []


def test_the_language_turns_without_a_request_while_the_race_stands(opened: Watched) -> None:
    page = opened.open(LONG)
    press(page, "step")
    page.wait_for_selector('.counter[data-step="1"]')
    page.wait_for_selector('[data-fragment="modes-table"] table', state="attached")
    page.wait_for_timeout(300)
    before = len(opened.requests)
    page.locator('label[for="lang-ko"]').click()
    assert "잠시 멈춤" in page.locator(".status").inner_text() and len(opened.requests) == before
    assert page.locator("#race-go").inner_text().strip() == "시작"


def test_changed_settings_keep_the_race_and_the_next_race_keeps_the_one_before(opened: Watched) -> None:
    page = opened.open(SHORT)
    press(page, "go")
    state(page, "finished")
    verdict = page.locator('[data-fragment="verdict"] .verdict').inner_text()
    page.locator("#f-steps").fill("40")
    page.locator("#f-steps").press("Tab")
    page.wait_for_selector("#race-changed:not([hidden])")
    assert page.locator('[data-fragment="verdict"] .verdict').inner_text() == verdict
    shows(page, "document.getElementById('take-command').textContent.includes('--steps 40')")
    press(page, "go")
    page.wait_for_selector('.counter[data-step="40"]')
    state(page, "finished")
    assert page.locator("#race-changed").is_hidden() and page.locator("#race-before").is_visible()
    assert verdict in page.locator("#race-before").text_content()


def test_divergence_is_said_with_step_and_layer(opened: Watched) -> None:
    page = opened.open(SHORT + "&lr=1000&activation=relu")
    assert "One learning rate for all arms is no comparison" in page.locator("#output").inner_text()
    press(page, "go")
    state(page, "finished")
    said = page.locator('[data-fragment="reasons"]').inner_text()
    assert "diverged, the first at step" in said and "in layer" in said


def test_who_wants_no_movement_gets_a_picture_a_second_at_most(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address, reduced_motion="reduce") as found:
        page = found.open(LONG)
        page.evaluate("""() => {
          window.changes = [];
          const status = document.querySelector(".status");
          new MutationObserver(() => window.changes.push(performance.now())).observe(status, { childList: true });
        }""")
        press(page, "go")
        shows(page, "window.changes.length >= 3")
        changes = page.evaluate("window.changes")
        assert all(later - earlier >= 990 for earlier, later in pairwise(changes))
    until(lambda: not threads(), "the races of a closed page end")


def test_more_pages_of_one_browser_than_it_has_connections_are_all_shown_their_race(opened: Watched) -> None:
    many = LONG.replace("seeds=2", "seeds=10")  # so that the first still go on when the last begins
    pages = [opened.open(many)] + [opened.page.context.new_page() for _ in range(7)]
    for page in pages[1:]:
        page.goto(opened.address + many)
    for page in pages:
        page.wait_for_selector("html.scripted")
        press(page, "go")
    for page in pages:
        page.wait_for_selector(".counter")
    shown = {page.locator("#race").get_attribute("data-state") for page in pages}
    assert shown <= {"running", "waiting", "finished"} and "waiting" in shown
    press(pages[-1], "stop")
    state(pages[-1], "stopped")


def test_without_script_the_page_says_so_and_has_the_command(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address, java_script_enabled=False) as found:
        found.page.goto(found.address + SHORT)
        text = found.page.locator("#output").inner_text()
        assert "needs its script" in text and "normlab train none bn --layers 3 --width 20" in text
        assert not found.page.locator("#race-go").is_visible()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, lab_address: str, locale: str) -> None:
    with watched(browser, lab_address, width=360, height=740, locale=locale) as found:
        page = found.open(SHORT)
        page.locator("#race-go").click()
        state(page, "finished")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0 and found.complaints == []
