"""The pages of the lab as a whole: weight, origin, keyboard, screen reader, phone, dark, and without script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab_browser import Watched, browser, settle, until, watched
from lab_server import lab_address
from normlab.lab.views import views

__all__ = ["browser", "lab_address"]

MOST_BYTES = 150_000
PHONE = 360
EVERY_VIEW = pytest.mark.parametrize("path", [view.path for view in views()])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
LANGUAGES = pytest.mark.parametrize("lang", ["en", "ko"])

# What can be reached, by document order: the first of a group of radio buttons stands for the group.
NAME = """const name = (one) => one.type === "radio" ? one.name : [one.tagName, one.id, one.name, one.getAttribute("aria-label"),
  one.getAttribute("href"), one.dataset.for, one.dataset.copy, one.textContent.trim().slice(0, 40)].join(" ");"""
REACHABLE = """() => {
""" + NAME + """
  const found = [...document.querySelectorAll("a[href], button, input, select, summary, textarea, [tabindex='0']")];
  const groups = new Set();
  return found.filter((one) => {
    if (one.disabled || one.type === "hidden" || !one.checkVisibility({visibilityProperty: true})) return false;
    if (one.closest("details:not([open])") && !(one.matches("summary") && one.parentElement.matches("details") && !one.parentElement.parentElement.closest("details:not([open])"))) return false;
    if (one.type !== "radio") return true;
    const first = !groups.has(one.name);
    groups.add(one.name);
    return first;
  }).map(name);
}"""
FOCUSED = "() => {" + NAME + "return name(document.activeElement); }"


@pytest.fixture
def lab(browser: Any, lab_address: str) -> Iterator[Watched]:
    with watched(browser, lab_address) as found:
        yield found
        assert found.foreign() == [] and found.complaints == []


@EVERY_VIEW
def test_a_page_is_light_and_everything_on_it_comes_from_here(lab: Watched, path: str) -> None:
    bodies: list[int] = []
    lab.page.on("response", lambda response: bodies.append(len(response.body())))
    lab.open(path)
    lab.page.wait_for_load_state("networkidle")
    assert len(bodies) >= 4 and sum(bodies) < MOST_BYTES


@pytest.mark.parametrize("query", ["?layers=20", "?layers=64", "?left=bn&right=ln&layers=20&row=7"])
def test_the_largest_ladders_are_light_too(lab: Watched, query: str) -> None:
    bodies: list[int] = []
    lab.page.on("response", lambda response: bodies.append(len(response.body())))
    lab.open("/" + query)
    lab.page.wait_for_load_state("networkidle")
    assert sum(bodies) < MOST_BYTES


@EVERY_VIEW
@LANGUAGES
@SCHEMES
def test_axe_finds_nothing_serious(browser: Any, lab_address: str, path: str, lang: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with watched(browser, lab_address, color_scheme=scheme, locale={"en": "en-US", "ko": "ko-KR"}[lang]) as found:
        page = found.open(path)
        assert page.evaluate("document.documentElement.lang") == lang
        serious = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


@SCHEMES
def test_axe_finds_nothing_serious_where_everything_is_open(browser: Any, lab_address: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with watched(browser, lab_address, color_scheme=scheme) as found:
        page = found.open("/?left=bn&right=ln&row=3&layers=6")
        page.locator("#tour-start").click()
        settle(page)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        serious = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


@EVERY_VIEW
def test_every_control_is_reached_by_the_tab_key(lab: Watched, path: str) -> None:
    page = lab.open(path)
    wanted, met = set(page.evaluate(REACHABLE)), []
    page.keyboard.press("Tab")
    for _ in range(3 * len(wanted) + 10):
        met.append(page.evaluate(FOCUSED))
        if met[-1].startswith("BODY") and len(met) > 1:
            break
        page.keyboard.press("Tab")
    assert wanted - set(met) == set()


def test_languages_and_themes_are_chosen_by_arrows(lab: Watched) -> None:
    page = lab.open()
    page.locator("#lang-en").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.locator("#theme-auto").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    page.reload()
    assert page.locator("#theme-dark").is_checked() and page.locator("#lang-ko").is_checked()


def test_the_focus_is_seen_wherever_it_is(lab: Watched) -> None:
    page = lab.open()
    for _ in range(30):
        page.keyboard.press("Tab")
        shown = page.evaluate("""() => {
          const one = document.activeElement, style = getComputedStyle(one);
          const inside = one.querySelector("rect"), label = document.querySelector(`label[for="${one.id}"]`);
          const ring = (of) => of && getComputedStyle(of).outlineStyle !== "none";
          return ring(one) || (one.type === "radio" && ring(label)) || (inside && getComputedStyle(inside).stroke !== "none") || style.boxShadow !== "none";
        }""")
        assert shown, page.evaluate(FOCUSED)


@EVERY_VIEW
@LANGUAGES
def test_a_phone_needs_no_sideways_scrolling(browser: Any, lab_address: str, path: str, lang: str) -> None:
    with watched(browser, lab_address, width=PHONE, height=740, locale={"en": "en-US", "ko": "ko-KR"}[lang]) as found:
        page = found.open(path)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE
        outside = page.evaluate("""() => [...document.querySelectorAll("main *")].filter((one) => {
          const box = one.getBoundingClientRect();
          return box.width > 1 && box.right > innerWidth + 1 && one.checkVisibility()
            && !one.closest(".away, .presets, .scroll, .drawings, pre, .live-picture, [tabindex='0']");
        }).map((one) => one.outerHTML.slice(0, 120))""")
        assert outside == []


@EVERY_VIEW
def test_no_word_of_korean_is_broken_on_a_phone(browser: Any, lab_address: str, path: str) -> None:
    """A word is broken where its first and last letter stand on different lines; code may be."""
    with watched(browser, lab_address, width=PHONE, height=740, locale="ko-KR") as found:
        page = found.open(path)
        broken = page.evaluate(r"""() => {
          const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
          for (let node; (node = walker.nextNode());) {
            const element = node.parentElement;
            if (!element.checkVisibility() || element.closest("code, pre, svg, option, .away, script")) continue;
            for (const word of node.data.matchAll(/[가-힣]{2,}/g)) {
              range.setStart(node, word.index);
              range.setEnd(node, word.index + word[0].length);
              const tops = new Set([...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top)));
              if (tops.size > 1) found.push(word[0]);
            }
          }
          return found;
        }""")
        assert broken == []


@EVERY_VIEW
def test_behind_every_drawing_stands_a_table(lab: Watched, path: str) -> None:
    page = lab.open(path + ("?left=bn&right=ln&row=2" if path == "/" else ""))
    bare = page.evaluate("""() => [...document.querySelectorAll("#output svg[role=img]")].filter((one) => {
      const owner = one.closest("figure, section, article");
      return !(owner && owner.querySelector("details table, table"));
    }).map((one) => one.querySelector("title")?.textContent)""")
    unnamed = page.evaluate("""() => [...document.querySelectorAll("#output svg[role=img]")].filter(
      (one) => !one.querySelector(":scope > title")?.textContent || !one.querySelector(":scope > desc")?.textContent).length""")
    assert bare == [] and unnamed == 0


@EVERY_VIEW
@LANGUAGES
def test_hangul_is_drawn_by_a_font_that_has_it(browser: Any, lab_address: str, path: str, lang: str) -> None:
    """Where no font has a letter, the last resort draws a box; the language switch shows Hangul in English too."""
    with watched(browser, lab_address, locale={"en": "en-US", "ko": "ko-KR"}[lang]) as found:
        page = found.open(path)
        session = page.context.new_cdp_session(page)
        session.send("DOM.enable")
        session.send("CSS.enable")
        root = session.send("DOM.getDocument")["root"]["nodeId"]
        node = session.send("DOM.querySelector", {"nodeId": root, "selector": "label[for=lang-ko]"})["nodeId"]
        used = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        body = session.send("DOM.querySelector", {"nodeId": root, "selector": "main"})["nodeId"]
        everywhere = session.send("CSS.getPlatformFontsForNode", {"nodeId": body})["fonts"]
    assert len(used) == 1 and used[0]["glyphCount"] == 3, "on Debian: apt-get install fonts-nanum"
    assert not [one for one in everywhere if "resort" in one["familyName"].lower() or not one["familyName"]]


def test_without_script_the_form_rows_and_presets_are_links(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address, java_script_enabled=False) as found:
        page = found.page
        page.goto(lab_address + "/")
        page.locator("[name=layers]").fill("3")
        page.get_by_role("button", name="Show", exact=True).click()
        assert page.locator("[id^=row-0-]").count() == 3 and "layers=3" in page.url
        assert not page.locator("input.slider").first.is_visible() and not page.locator("#tour-start").is_visible()
        page.locator("#row-1-2").click()
        assert page.locator("#opened svg[role=img]").count() == 2 and "row=2" in page.url
        page.get_by_role("link", name="20 layers").click()
        assert page.locator("[id^=row-0-]").count() == 20
        assert "normlab compare none bn --layers 20" in page.locator("#take-command").text_content()
        page.locator("label[for=lang-ko]").click()
        assert page.locator("#output .verdict [lang=ko]").is_visible()
        assert found.complaints == []


def test_a_sentence_is_told_to_who_hears_the_page_on_release_only(lab: Watched) -> None:
    page = lab.open()
    slider = page.locator("input.slider[data-for=layers]")
    slider.evaluate("one => { one.value = 9; one.dispatchEvent(new Event('input', {bubbles: true})); }")
    settle(page)
    assert page.locator("#said").text_content() == ""
    slider.dispatch_event("change")
    settle(page)
    said, shown = page.locator("#said [lang=en]").text_content(), page.locator("#output .verdict [lang=en]").text_content()
    assert said == shown and page.locator("#said").get_attribute("role") == "status"


def test_what_was_opened_stays_open_while_sliding(lab: Watched) -> None:
    page = lab.open()
    page.locator("#table summary").click()
    page.locator("#view-ladder details summary").click()
    page.locator("input.slider[data-for=layers]").press("ArrowRight")
    settle(page)
    assert page.locator("#table").get_attribute("open") is not None
    assert page.locator("#view-ladder details").get_attribute("open") is not None


def test_what_is_unfolded_while_sliding_has_its_inside(lab: Watched) -> None:
    page = lab.open()
    slider = page.locator("input.slider[data-for=layers]")
    slider.evaluate("one => { one.value = 9; one.dispatchEvent(new Event('input', {bubbles: true})); }")
    settle(page)
    assert page.locator("#table td").count() == 0
    page.locator("#table summary").click()
    until(page, "document.querySelectorAll('#table tbody tr').length === 2 * 10")


def test_nothing_moves_for_who_wants_it_so(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address, reduced_motion="reduce") as found:
        page = found.open()
        moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter((one) => {
          const style = getComputedStyle(one);
          return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none" || style.scrollBehavior === "smooth";
        }).length""")
        assert moving == 0
