"""The sharing board in Chromium: what the page holds is nl.shares', and pointing and focusing lift the same set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import normlab as nl
from lab_boards import CASES, as_array, cell_of, same_sets, sizes_of, wanted
from lab_browser import Watched, browser, watched  # noqa: F401
from lab_server import lab_address  # noqa: F401
from normlab import registry

SIZES = {"n": 3, "c": 4, "h": 2, "w": 2}
QUERY = "&".join(f"{name}={size}" for name, size in SIZES.items())
# Everything of each board that can be read off the page, in one question.
READ = """() => [...document.querySelectorAll('.live-board')].map((board) => ({
  line: board.querySelector('h2 code')?.textContent ?? '',
  cells: [...board.querySelectorAll('[role=option]')].map(
    (cell) => [cell.getAttribute('aria-label'), cell.parentNode.dataset.set, cell.dataset.y ?? null]),
}))"""
# What each cell lifts, by pointing and by focus: the labels of the cells in the sets that are lit afterwards.
LIFTED = """() => [...document.querySelectorAll('.live-board')].map((board) => {
  const lit = () => [...board.querySelectorAll('.set.lit [role=option]')].map((one) => one.getAttribute('aria-label')).sort();
  const cells = [...board.querySelectorAll('[role=option]')];
  return cells.map((cell) => {
    cell.firstElementChild.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
    const pointed = lit();
    cells[0].blur();
    for (const set of board.querySelectorAll('.set')) set.classList.remove('lit');
    cell.focus();
    return {label: cell.getAttribute('aria-label'), set: cell.parentNode.dataset.set, pointed, focused: lit()};
  });
})"""


@pytest.fixture(scope="module")
def lab(browser: Any, lab_address: str) -> Iterator[Watched]:  # noqa: F811
    with watched(browser, lab_address) as one:
        yield one
        assert one.complaints == []
        assert one.foreign() == []


def opened(lab: Watched, query: str) -> Any:
    return lab.open(f"/share?{query}&{QUERY}")


def chosen(page: Any, name: str, value: str) -> None:
    """Choose in the form and wait for the board that answers."""
    with page.expect_response("**/api/share"):
        page.select_option(f"[name={name}]", value)
    page.wait_for_selector("#output:not([aria-busy])")


def test_on_the_page_every_methods_sets_are_those_of_shares(lab: Watched) -> None:
    seen = 0
    for method, kind in CASES:
        page = opened(lab, f"method={method}&kind={kind}")
        shape = sizes_of(kind, **SIZES, weight=registry.method(method).role == "weight")
        expected, drawn = wanted(method, kind, shape), page.evaluate(READ)
        assert len(drawn) == len(expected) or not expected, (method, kind)
        for one, counted in zip(drawn, expected, strict=False):
            numbers = as_array([cell_of(*cell) for cell in one["cells"]])
            assert same_sets(numbers, counted), (method, kind)
            sizes = {"g": 2} if "(g" in one["line"] else {}
            np.testing.assert_array_equal(numbers, nl.shares(one["line"], shape, **sizes))
            seen += 1
    assert seen > len(registry.list_methods())


@pytest.mark.parametrize("query", [
    "method=batch_norm", "method=layer_norm&kind=tokens", "method=group_norm", "method=weight_norm", "method=spectral_norm",
    "method=line&line=%5Bn%5D+(g+%5Bc%5D)+...",
])  # fmt: skip
def test_pointing_and_focusing_lift_the_same_set(lab: Watched, query: str) -> None:
    for board in opened(lab, query).evaluate(LIFTED):
        members: dict[str, list[str]] = {}
        for cell in board:
            members.setdefault(cell["set"], []).append(cell["label"])
        for cell in board:
            assert cell["pointed"] == cell["focused"] == sorted(members[cell["set"]])


def test_pointing_at_a_window_lifts_the_window(lab: Watched) -> None:
    (board,) = opened(lab, "method=local_response_norm&c=7&n=1").evaluate(LIFTED)
    for cell in board:
        at = cell_of(cell["label"], "0", None)["at"]
        near = {(at[0], c, *at[2:]) for c in range(max(0, at[1] - 2), min(3, at[1] + 2) + 1)}  # SIZES has 4 channels
        assert cell["pointed"] == cell["focused"]
        assert {cell_of(label, "0", None)["at"] for label in cell["pointed"]} == near


def test_the_real_pointer_lifts_and_the_arithmetic_stands_beside(lab: Watched) -> None:
    page = opened(lab, "method=batch_norm")
    page.hover("[role=option][aria-label^='x[1, 2, 0, 1]']")
    lit = page.locator(".set.lit [role=option]").all()
    values = [cell_of(one.get_attribute("aria-label"), "2", None)["value"] for one in lit]
    assert len(values) == 12
    reading = page.locator(".reading").inner_text()
    assert f"mean of these 12 = {np.mean(values):.3g}" in reading
    x, y = (cell_of(page.locator("[role=option].here").get_attribute("aria-label"), "2",
                    page.locator("[role=option].here").get_attribute("data-y"))[what] for what in ("value", "y"))  # fmt: skip
    assert y == pytest.approx((x - np.mean(values)) / np.sqrt(np.var(values) + 1e-5), abs=0.01)
    assert f"{x:.1f}" in reading


def test_arrow_keys_move_between_neighbours_and_one_cell_is_a_tab_stop(lab: Watched) -> None:
    page = opened(lab, "method=batch_norm")
    page.focus("[role=option][tabindex='0']")
    places = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp", "End", "Home"):
        page.keyboard.press(key)
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        places.append(cell_of(label, "0", None)["at"])
    assert places == [
        (0, 0, 0, 1), (1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0), (0, 1, 0, 1), (0, 0, 1, 1), (2, 0, 1, 1), (0, 0, 1, 0),
    ]  # fmt: skip
    assert page.locator("[role=option][tabindex='0']").count() == 1


def test_a_bad_line_says_where_and_the_last_good_board_stays(lab: Watched) -> None:
    page = opened(lab, "method=line&line=n+c+%5B...%5D")
    good = page.evaluate(READ)
    line = page.locator("[name=line]")
    line.press("End")
    line.press_sequentially(" [q")
    page.locator("#problem", has_text="never closed").wait_for()
    assert "at character 11" in page.locator("#problem").inner_text()
    assert line.get_attribute("aria-invalid") == "true"
    assert page.evaluate(READ) == good
    line.fill("[n] c [...]")
    page.locator(".live-board h2 code", has_text="[n] c [...]").wait_for()
    assert page.locator("#problem").inner_text() == ""
    assert line.get_attribute("aria-invalid") is None


def test_writing_a_line_shows_that_line(lab: Watched) -> None:
    page = opened(lab, "method=batch_norm")
    page.fill("[name=line]", "n [c] ...")
    page.locator(".live-board h2 code", has_text="n [c] ...").wait_for()
    assert page.input_value("[name=method]") == "line"


def test_the_lifted_place_stays_lifted_when_the_data_change(lab: Watched) -> None:
    page = opened(lab, "method=layer_norm")
    page.hover("[role=option][aria-label^='x[1, 0, 0, 0]']")
    before = page.locator(".live-board >> nth=0 >> .set.lit [role=option]").count()
    chosen(page, "method", "batch_norm")
    lit = page.locator(".set.lit [role=option]")
    assert page.locator("[role=option].here").get_attribute("aria-label").startswith("x[1, 0, 0, 0]")
    assert (before, lit.count()) == (4, 12)


def test_evaluation_greys_the_board(lab: Watched) -> None:
    page = opened(lab, "method=batch_norm")
    chosen(page, "mode", "evaluation")
    fills = page.evaluate("[...new Set([...document.querySelectorAll('[role=option] > path')].map((p) => p.getAttribute('fill')))]")
    assert fills == ["#d9d9d9"]
    assert "come from the past" in page.locator("#output").inner_text()


def test_the_state_is_the_address(lab: Watched) -> None:
    page = opened(lab, "method=group_norm&kind=tokens&mode=evaluation&groups=4&seed=7")
    first = page.evaluate(READ)
    chosen(page, "kind", "dense")
    chosen(page, "kind", "tokens")
    assert page.evaluate(READ) == first
    page.goto(page.url)
    assert page.evaluate(READ) == first
    assert page.input_value("[name=groups]") == "4"


def test_the_language_is_switched_without_a_request(lab: Watched) -> None:
    page = opened(lab, "method=batch_norm")
    page.hover("[role=option] >> nth=0")
    count = len(lab.requests)
    page.click("label[for=lang-ko]")
    assert "평균" in page.locator(".reading").inner_text()
    assert "mean" not in page.locator(".reading").inner_text()
    page.hover("[role=option] >> nth=9")
    assert "평균" in page.locator(".reading").inner_text()
    page.click("label[for=lang-en]")
    assert "mean" in page.locator(".reading").inner_text()
    assert len(lab.requests) == count


def test_without_script_the_board_and_its_table_are_read(browser: Any, lab_address: str) -> None:  # noqa: F811
    with watched(browser, lab_address, java_script_enabled=False) as one:
        one.page.goto(f"{lab_address}/share?method=layer_norm")
        assert one.page.locator("[role=option]").count() == 2 * 64
        one.page.click("details summary >> nth=0")
        assert one.page.locator("details[open] td").first.is_visible()
        one.page.select_option("[name=kind]", "dense")
        one.page.click("button.submit")
        one.page.wait_for_url("**kind=dense**")
        one.page.wait_for_load_state()
        assert one.page.locator("[role=option]").count() == 16
        assert one.complaints == []
