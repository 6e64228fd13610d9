"""The report in Chromium: from disk, without script and network, in both languages, light and dark, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Page
from documents import arm, document
from normlab.report import render

VERDICTS = [{"en": "bn keeps <the> signal & all.", "ko": "bn 방법만 신호를 지킨다."}]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = document(arm("none", ratio=0.0062, signal=3e-5, var=0.0138), arm("bn", ratio=1.06, method="batch_norm"))
    run["verdicts"] = VERDICTS
    path = tmp_path_factory.mktemp("report") / "보고서 <1>.html"
    path.write_text(render([run]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(report: Path) -> Iterator[Page]:
    with Page() as page:
        page.open(report)
        yield page


def test_the_verdict_is_read_without_script(page: Page) -> None:
    assert VERDICTS[0]["en"] in page.visible_text()
    assert VERDICTS[0]["ko"] not in page.visible_text()


def test_nothing_is_fetched_but_the_file(page: Page) -> None:
    assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []


def test_the_language_is_switched_without_script(page: Page) -> None:
    page.click("label[for=lang-ko]")
    assert VERDICTS[0]["ko"] in page.visible_text()
    assert VERDICTS[0]["en"] not in page.visible_text()
    page.click("label[for=lang-en]")
    assert VERDICTS[0]["en"] in page.visible_text()


def test_the_theme_is_switched_without_script(page: Page) -> None:
    page.click("label[for=theme-dark]")
    dark = page.style("body", "background-color")
    page.click("label[for=theme-light]")
    light = page.style("body", "background-color")
    assert (dark, light) == ("rgb(21, 24, 28)", "rgb(255, 255, 255)")


def test_the_page_is_dark_where_the_reader_wants_dark(report: Path) -> None:
    with Page(dark=True) as page:
        page.open(report)
        assert page.style("body", "background-color") == "rgb(21, 24, 28)"


def test_a_phone_needs_no_sideways_scrolling(report: Path) -> None:
    with Page() as page:
        page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        page.open(report)
        content, window = page.wide()
        assert content <= window


def test_the_script_follows_the_language_for_screen_readers(report: Path) -> None:
    with Page(script=True) as page:
        page.open(report)
        page.click("label[for=lang-ko]")
        found = page.call("Runtime.evaluate", expression="document.documentElement.lang")
        assert found["result"]["value"] == "ko"


def test_a_set_of_the_board_shows_its_mean_when_it_has_the_focus(page: Page) -> None:
    assert page.style(".set .readout", "visibility") == "hidden"
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    first = page.call("DOM.querySelector", nodeId=root, selector=".set")["nodeId"]
    page.call("DOM.focus", nodeId=first)
    assert page.style(".set .readout", "visibility") == "visible"
