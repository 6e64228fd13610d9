"""The board, the guide and the speed view in Chromium: reached by keyboard, read by axe, on a phone, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab_axe import faults
from lab_browser import Watched, browser, watched  # noqa: F401
from lab_server import lab_address  # noqa: F401
from normlab import cards

PATHS = (
    "/share", "/share?method=layer_norm&mode=evaluation", "/share?method=local_response_norm", "/guide",
    "/guide?data=images&batch=2-4&net=cnn", "/guide/bn", "/guide/self_normalizing", "/speed",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(browser: Any, lab_address: str) -> Iterator[Watched]:  # noqa: F811
    with watched(browser, lab_address) as one:
        yield one
        assert one.complaints == []
        assert one.foreign() == []


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(lab: Watched, path: str) -> None:
    page = lab.open(path)
    cell = page.locator("[role=option]")
    if cell.count():
        cell.first.hover()
    for details in page.locator("details").all():
        details.evaluate("(one) => { one.open = true; }")
    assert list(faults(page)) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, lab_address: str, path: str, lang: str) -> None:  # noqa: F811
    with watched(browser, lab_address, width=360, height=740) as one:
        page = one.open(f"{path}{'&' if '?' in path else '?'}lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert one.complaints == []


@pytest.mark.parametrize("path", PATHS)
def test_no_style_attribute_and_no_script_is_in_the_page(lab: Watched, path: str) -> None:
    page = lab.open(path)
    assert page.locator("[style]").count() == 0
    assert page.locator("script:not([src])").count() == 0


@pytest.mark.parametrize("path", PATHS)
def test_every_sentence_stands_in_the_other_language_as_well(lab: Watched, path: str) -> None:
    page = lab.open(path)
    page.click("label[for=lang-ko]")
    korean = set(page.locator("#output").inner_text().splitlines())
    page.click("label[for=lang-en]")
    english = set(page.locator("#output").inner_text().splitlines())
    same = {line.strip() for line in korean & english if len(line.split()) > 4 and line.isascii()}
    assert not {line for line in same if not is_code(line)}


def is_code(line: str) -> bool:
    """Names, numbers, programs and commands are the same in every language."""
    return any(sign in line for sign in "=()[]_→:*#") or line.startswith(("import ", "from ", "normlab ", "return "))


# --- the guide -----------------------------------------------------------------------------------------------------


def test_code_tabs_are_moved_between_with_the_arrow_keys(lab: Watched) -> None:
    page = lab.open("/guide/bn")
    tabs = page.locator("[role=tab]")
    assert tabs.all_inner_texts() == ["NumPy", "PyTorch", "JAX", "MLX"]
    tabs.first.focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
        assert page.locator("[role=tabpanel]:visible").count() == 1
        seen.append(page.locator("[role=tabpanel]:visible").get_attribute("data-name"))
    assert seen == ["PyTorch", "JAX", "MLX", "NumPy", "MLX", "NumPy", "MLX"]
    assert page.locator("[role=tab][tabindex='0']").count() == 1


def test_without_script_the_code_of_every_framework_is_read(browser: Any, lab_address: str) -> None:  # noqa: F811
    with watched(browser, lab_address, java_script_enabled=False) as one:
        one.page.goto(f"{lab_address}/guide/bn")
        assert one.page.locator(".panel:visible").count() == 4
        for word in ("torch.randn", "jax.random", "mx.random"):
            assert one.page.get_by_text(word).first.is_visible()


def test_a_cards_board_can_be_pointed_at(lab: Watched) -> None:
    page = lab.open("/guide/gn")
    page.hover("[role=option] >> nth=0")
    assert "mean of these" in page.locator(".reading").first.inner_text()


def test_four_answers_lead_to_a_card_and_from_there_to_the_ladder(lab: Watched) -> None:
    page = lab.open("/guide")
    for name, value in (("data", "images"), ("batch", "2-4"), ("agree", "no"), ("net", "cnn")):
        with page.expect_response("**/api/guide"):
            page.select_option(f"[name={name}]", value)
    page.wait_for_selector(".advice")
    page.wait_for_selector("#output:not([aria-busy])")
    page.click(".places a >> nth=0")
    assert page.locator("h2").first.inner_text() == cards.card("group_norm").title
    page.get_by_text("Try it in the ladder").first.click()
    page.wait_for_selector("html.scripted")
    assert "right=gn" in page.url


def test_the_form_of_the_chooser_works_without_script(browser: Any, lab_address: str) -> None:  # noqa: F811
    with watched(browser, lab_address, java_script_enabled=False) as one:
        one.page.goto(f"{lab_address}/guide")
        one.page.select_option("[name=data]", "tokens")
        one.page.click("button.submit")
        assert one.page.locator(".advice").count() == 1


# --- speed ---------------------------------------------------------------------------------------------------------


def test_a_measurement_is_followed_on_the_page(lab: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    import normlab as nl
    from normlab.lab.measuring import Measurement
    from normlab.lab.views.speed import VIEW

    def short(**given: Any) -> Any:  # a real one, of two contestants that are always there
        return nl.bench(**{**given, "contestants": ["normlab numpy", "numpy"], "seconds": 0.01})

    monkeypatch.setattr(VIEW, "measurement", Measurement(short))
    page = lab.open("/speed?method=rms_norm&tier=L1")
    assert "Nothing has been measured here yet" in page.locator("#output").inner_text()
    page.click("#measure")
    page.wait_for_selector("#measuring:visible")
    assert page.is_disabled("#measure")
    page.wait_for_selector("#output table", timeout=60_000)
    assert page.is_enabled("#measure")
    assert "rms_norm" in page.locator("#output").inner_text()
