"""The figure `columns`, a README's picture: for which documents, what it says, and what it never leaves out."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from documents import arm, document, layer, over_seeds
from normlab.report import figures
from normlab.report.columns import finding

SVG = "{http://www.w3.org/2000/svg}"


def words(run: dict[str, Any], lang: str = "en") -> list[str]:
    root = ElementTree.fromstring(figures(run, lang)["columns"])
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def pair(**numbers: Any) -> dict[str, Any]:
    """Two arms with equal moments, of which only the first keeps signal and gradient."""
    kept, lost = (
        arm("bn", method="batch_norm", ratio=1.1),
        arm("ln", method="layer_norm", ratio=0.02, signal=6e-4, **numbers),
    )
    return document(arm("none", ratio=0.005, signal=3e-5, var=0.014), kept, lost)


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_two_to_four_arms_stand_side_by_side(count: int) -> None:
    run = document(*(arm(f"n [c]:eps=1e-{k}") for k in range(count)))
    assert ("columns" in figures(run, "en")) == (2 <= count <= 4)


def test_the_title_is_the_finding_of_this_document() -> None:
    first, second = words(pair())[:2]
    assert first == "After layer 5, bn and ln have the same mean and variance."
    assert second == "Share of that variance that still depends on the input: bn 100.0 %, ln 0.06 %."
    other = words(pair(var=0.02))[0]
    assert other == "Histogram and signal share of each layer"


def test_the_title_keeps_to_its_room() -> None:
    long = "n (groups [channels]) [...]:groups=4"
    run = document(arm("bn", method="batch_norm"), arm(long, ratio=0.01, signal=1e-4))
    title = finding(run)
    assert len(title) == 2 and all(len(line["en"]) < 110 for line in title)
    assert long not in title[0]["en"] and "…" in title[0]["en"]


def test_every_layer_shows_its_share_and_every_arm_its_ratio() -> None:
    found = words(pair())
    assert sum(bool(re.fullmatch(r"[\d.e-]+ %", word)) for word in found) >= 15
    assert [word for word in found if word.startswith("gradient, layer 1 over 5: ")] == [
        "gradient, layer 1 over 5: 1/200", "gradient, layer 1 over 5: 1.10", "gradient, layer 1 over 5: 1/50",
    ]  # fmt: skip


def test_deep_networks_show_the_first_and_the_last_layer_and_few_between() -> None:
    found = words(document(arm("none", depth=64), arm("bn", method="batch_norm", depth=64)))
    rows = [word for word in found if re.fullmatch(r"\d{1,2}", word) and word != "0"]
    assert rows[0] == "1" and "64" in rows and len(set(rows)) <= 9


def test_what_a_histogram_cannot_hold_is_said() -> None:
    run = document(arm("none", var=1e-6), arm("bn", method="batch_norm", nonfinite=[0, 0, 0, 0, 1234]))
    run["arms"][1]["layers"][0]["histogram"].update(below=40, above=2)
    found = words(run)
    assert "0.500 ± 0.0010" in found and "1,234 NaN or Inf" in found and "outside 42" in found


def test_missing_numbers_leave_a_gap_and_no_nan() -> None:
    run = document(arm("none"), arm("bn", method="batch_norm", ratio=None))
    run["arms"][1]["layers"][-1] = layer(5, mean=None, var=None, grad=None, nonfinite=100_000)
    text = figures(run, "en")["columns"]
    assert not re.search(r"\b[nN]a[nN]\b|None", text.replace("NaN or Inf", ""))
    assert "–" in words(run)


def test_several_seeds_and_korean() -> None:
    found = words(over_seeds(pair()), "ko")
    assert found[0] == "5층을 지난 뒤 bn, ln 둘은 평균과 분산이 같다."
    assert not any(re.search(r"\b(layer|gradient|signal)\b", word) for word in found)
