"""English and Korean on the lab's pages: switched in place, without a request, every visible text of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab_browser import browser, until, watched
from lab_server import lab_address
from normlab import registry
from normlab.experiments.activations import ACTIVATIONS
from normlab.experiments.settings import INITS
from normlab.experiments.training.optimizers import OPTIMIZERS
from normlab.lab.views import views

__all__ = ["browser", "lab_address"]

EVERY_VIEW = pytest.mark.parametrize("path", [view.path for view in views()])

# Names and formulas are the same in both languages: what remains of a text without them must hold no word.
NAMES = {
    "normlab", "english", "python", "numpy", "torch", "pytorch", "jax", "mlx", "flax", "none", *ACTIVATIONS, *INITS, *OPTIMIZERS,
    *(word for d in registry.methods() for word in (d.name, d.short, d.class_name.lower())),
}  # fmt: skip

VISIBLE = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("code, pre, script, style")) continue;
    if (element.tagName === "OPTION" ? element.closest("select").checkVisibility() : element.checkVisibility()) found.push(node.data.trim());
  }
  return found;
}"""


def words(text: str) -> list[str]:
    """The words of a language in a text: what is neither a name, a number nor a single letter of a formula."""
    found = re.findall(r"[^\W\d_]{2,}", re.sub(r"[a-z_]+:[\w=,.]+|[a-z]+\.[a-z.]+|b?float\d+", " ", text.lower()))
    return [word for word in found if word not in NAMES and word != "한국어"]


def test_the_look_for_words_can_fail() -> None:
    assert words("gn:groups=4 10⁻³ sigmoid × 5") == [] and words("sigmoid × 5 layers") == ["layers"]


@EVERY_VIEW
def test_the_language_changes_in_place_and_completely(browser: Any, lab_address: str, path: str) -> None:
    with watched(browser, lab_address) as found:
        page = found.open(path)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.wait_for_load_state("networkidle")
        english, asked, title = page.evaluate(VISIBLE), len(found.requests), page.title()
        page.locator("label[for=lang-ko]").click()
        korean = page.evaluate(VISIBLE)
        assert page.evaluate("document.documentElement.lang") == "ko" and page.title() != title
        assert len(found.requests) == asked and found.complaints == []
        kept = [text for text in set(english) & set(korean) if words(text)]
        assert kept == []
        assert [text for text in english if re.search("[가-힣]", text) and text != "한국어"] == []
        page.locator("label[for=lang-en]").click()
        assert page.evaluate(VISIBLE) == english and len(found.requests) == asked


def test_the_language_stays_over_views_and_over_a_slider(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address) as found:
        page = found.open("/?lang=en&layers=3")
        page.locator("label[for=lang-ko]").click()
        assert "lang=" not in page.url and "layers=3" in page.url
        page.locator("input.slider[data-for=layers]").press("ArrowRight")
        until(page, "document.querySelectorAll('[id^=row-0-]').length === 4")
        assert page.locator("#output .verdict [lang=ko]").is_visible()
        assert page.locator("#output svg[role=img] > title").first.get_attribute("lang") == "ko"
        page.reload()
        assert page.locator("html[lang=ko]").count() == 1


def test_a_drawing_is_named_in_the_language_that_is_shown(browser: Any, lab_address: str) -> None:
    with watched(browser, lab_address) as found:
        page = found.open()
        page.locator("label[for=lang-ko]").click()
        first = "svg => svg.querySelector(':scope > title').getAttribute('lang')"
        assert set(page.locator("#output svg[role=img]").evaluate_all(f"all => all.map({first})")) == {"ko"}
