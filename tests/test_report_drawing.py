"""The drawing kit: scales, ticks, outlines, colours, and what a panel of the ladder shows."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from documents import arm, document, layer, over_seeds
from normlab.report import figures, render
from normlab.report.arms import chosen_rows
from normlab.report.drawing import (
    DIVERGED,
    GRADIENT,
    OFFSET,
    SIGNAL,
    Drawing,
    Linear,
    Log,
    number,
    ramp,
    side_by_side,
    step_path,
)

LIGHT, DARK = "#ffffff", "#15181c"
TEXT = {"en": "words", "ko": "말"}


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [SIGNAL, OFFSET, GRADIENT, DIVERGED])
def test_data_colours_are_seen_on_both_grounds(colour: str) -> None:
    assert contrast(colour, LIGHT) >= 3 and contrast(colour, DARK) >= 3


def test_the_ramp_grows_lighter_all_the_way() -> None:
    steps = [luminance(ramp(k / 20)) for k in range(21)]
    assert steps == sorted(steps) and steps[0] < 0.02 and steps[-1] > 0.8


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-1.0, 1.0), (-2.5, 3.5), (1e-6, 3e-6), (-1e9, 4e9), (2.0, 2.0), (0.0, 5e-324), (0.0, 1e-299), (0.0, 1e308)],
)
def test_linear_ticks_are_round_and_inside(low: float, high: float) -> None:
    scale = Linear(low, high, 0, 100)
    ticks = scale.ticks(4)
    assert 2 <= len(ticks) <= 8
    assert all(scale.low - 1e-9 * abs(low) <= t <= scale.high * (1 + 1e-9) + 1e-12 for t in ticks)


@pytest.mark.parametrize("values", [[1.0], [1e-25, 1.0], [0.3, 0.5], [], [0.0, 2.0], [5e-324, 1e308]])
def test_a_logarithmic_axis_holds_whatever_came(values: list[float]) -> None:
    scale = Log(values, 10, 90)
    assert all(10 <= scale(v) <= 90 for v in values)
    ticks = scale.ticks(2)
    assert ticks[0] == scale.low and ticks[-1] == scale.high and len(ticks) <= 4


def test_coordinates_are_short() -> None:
    assert [number(v) for v in (0.0, -0.001, 0.5, -0.25, 12.0, 3.14159)] == ["0", "0", ".5", "-.25", "12", "3.14"]


def test_an_outline_starts_and_ends_on_its_base() -> None:
    path = step_path([0.0, 1.0, 1.0, 0.5], Linear(0, 4, 0, 40), 0, 4, 20, Linear(0, 1, 20, 0))
    assert path == "M0 20h10v-20h20v10h10V20z"


def test_rows_are_thinned_with_both_ends_kept() -> None:
    assert chosen_rows(range(5), 12) == [0, 1, 2, 3, 4]
    for layers in (13, 20, 64):
        rows = chosen_rows(range(layers), 8)
        assert rows[0] == 0 and rows[-1] == layers - 1 and len(rows) == 8


def test_two_languages_are_one_element_of_which_one_half_is_hidden() -> None:
    drawing = Drawing(10, 10, "ko")
    drawing.text(0, 0, TEXT)
    both = drawing.svg(TEXT, TEXT)
    assert '<tspan lang="ko">말</tspan><tspan lang="en" display="none">words</tspan>' in both
    assert "words" not in drawing.svg(TEXT, TEXT, alone=True)


def test_drawings_are_put_side_by_side() -> None:
    one = Drawing(100, 50)
    one.rect(0, 0, 1, 1, fill="red")
    whole = side_by_side([one] * 5, 3, "en")
    assert (whole.width, whole.height) == (364, 128)
    assert whole.svg(TEXT, TEXT).count("<rect") == 5


def test_a_drawing_needs_no_style_sheet() -> None:
    for text in figures(document(arm("none", ratio=0.1), arm("bn", method="batch_norm")), "en").values():
        assert "style" not in text and "url(" not in text
        for element in ElementTree.fromstring(text).iter():
            assert not element.tag.endswith(("style", "script", "image", "foreignObject"))


def narrow(**more: object) -> dict:
    run = document(arm("none", mean=0.5, var=1e-6, ratio=0.1), arm("bn", method="batch_norm"))
    run["arms"][0]["layers"][4]["histogram"].update(more)
    return run


def test_a_narrow_histogram_is_enlarged_from_its_moments() -> None:
    assert "0.500 ± 0.0010" in figures(narrow(), "en")["ladder"]
    assert "enlarged in a box" in render([narrow()])


def test_a_narrow_histogram_is_enlarged_from_its_own_bins() -> None:
    zoom = {"edges": [0.49, 0.5, 0.51], "counts": [10, 30]}
    plain, drawn = figures(narrow(), "en")["ladder"], figures(narrow(zoom=zoom), "en")["ladder"]
    assert drawn.count('fill-opacity=".5"') == plain.count('fill-opacity=".5"') + 1


def test_a_cut_bin_prints_what_it_holds() -> None:
    run = document(arm("none", ratio=0.1), arm("bn", method="batch_norm"))
    run["arms"][0]["layers"][2]["histogram"]["counts"] = [0] * 14 + [97_000, 3_000] + [0] * 14
    text = figures(run, "en")["ladder"]
    assert ">97.0 %</text>" in text
    assert "is cut, its share printed" in render([run])


def test_values_outside_the_range_are_counted() -> None:
    run = document(arm("none", ratio=0.1))
    run["arms"][0]["layers"][0]["histogram"].update(below=1234, above=56)
    text = figures(run, "en")["ladder"]
    assert "◂ 1,234" in text and "56 ▸" in text and "outside 1,290" in text


def test_all_panels_have_the_same_axes() -> None:
    run = document(arm("none", ratio=1e-9), arm("bn", ratio=1.0, method="batch_norm"))
    drawings = re.findall(r'<svg[^>]*viewBox="0 0 344.*?</svg>', render([run]), re.DOTALL)[:2]
    ticks = [re.findall(r'font-size="9"[^>]*>([^<]+)</text>', one) for one in drawings]
    assert ticks[0] == ticks[1] and "10⁻⁹" in ticks[0]


def test_intervals_over_seeds_are_drawn_and_printed() -> None:
    run = over_seeds(document(arm("none", ratio=0.1), arm("bn", method="batch_norm")))
    page = render([run])
    assert "0.0440 [0.0400, 0.0484]" in page and "95 % interval" in page


def test_a_document_of_the_bare_contract_is_drawn() -> None:
    run = document(arm("none", ratio=0.1), arm("bn", method="batch_norm"))
    del run["notes"]
    for one in run["arms"]:
        for key in ("role", "refused", "sample"):
            del one[key]
        for numbers in one["layers"]:
            del numbers["slope"]
            for key in ("below", "above"):
                del numbers["histogram"][key]
    assert "<svg" in render([run])


def test_zero_variance_and_zero_gradient_are_shown_as_such() -> None:
    run = document(arm("none", ratio=0, var=0.0, signal=0.0))
    text = figures(run, "en")["ladder"]
    assert "no variance" in text and ">0</text>" in text
    assert layer(1, var=0.0)["signal_var"] == 0
