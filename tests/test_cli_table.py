"""The terminal's table: a function of the document, in every language, width and colour; and text measured in cells."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

import documents
from commanding import too_wide
from normlab.experiments.verdicts import verdicts
from normlab.report.cells import cell_len, columns, pad, wrap
from normlab.report.grid import Column, Paint, grid
from normlab.report.table import table

Document = dict[str, Any]
INVENTED = (
    documents.all_healthy, documents.all_dead, documents.saturated_not_vanished, documents.exploding,
    documents.one_layer, documents.not_finite,
)  # fmt: skip
COLOUR = re.compile("\x1b\\[[0-9;]*m")


def said(made: Callable[[], Document]) -> Document:
    document = made()
    return {**document, "verdicts": verdicts(document)}


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("made", INVENTED, ids=lambda made: made.__name__)
@pytest.mark.parametrize("seeds", [1, 5])
def test_every_arm_and_every_sentence_is_there_within_80_columns(made: Callable[[], Document], lang: str, seeds: int) -> None:
    document = said(made) if seeds == 1 else documents.over_seeds(said(made), seeds)
    text = table(document, lang)
    assert too_wide(text) == [] and "\x1b" not in text and "None" not in text
    for arm in document["arms"]:
        assert re.search(rf"^ {re.escape(arm['label'])}( |$)", text, re.M)
    flat = re.sub(r"\s+", " ", text)
    assert all(verdict[lang] in flat for verdict in document["verdicts"])


@pytest.mark.parametrize("made", INVENTED, ids=lambda made: made.__name__)
def test_the_document_is_left_as_it_was(made: Callable[[], Document]) -> None:
    document = said(made)
    before = copy.deepcopy(document)
    assert table(document, "en") == table(document, "en") and document == before


@pytest.mark.parametrize("made", INVENTED, ids=lambda made: made.__name__)
def test_colour_changes_nothing_but_colour(made: Callable[[], Document]) -> None:
    document = said(made)
    coloured = table(document, "en", color=True)
    assert "\x1b" in coloured and COLOUR.sub("", coloured) == table(document, "en")


@pytest.mark.parametrize("width", [50, 60, 80, 100, 200])
def test_numbers_stay_in_their_columns_at_any_width(width: int) -> None:
    lines = table(said(documents.exploding), "en", width=width).splitlines()
    head = next(k for k, line in enumerate(lines) if line.lstrip().startswith("norm"))
    found = re.search(r"1 vs \d+", lines[head])
    assert found is not None
    end = found.end()
    for line in lines[head + 1 : head + 3]:
        assert line[end - 1] != " " and line[end : end + 1] in ("", " ")


def test_a_lost_signal_is_marked_and_a_kept_one_is_not() -> None:
    lines = table(said(documents.all_dead), "en").splitlines()
    assert all("!!" in line for line in lines if re.match(r" (none|ln|sn) ", line))
    assert not [line for line in table(said(documents.all_healthy), "en").splitlines() if re.match(r" \w+ .*!!", line)]


def test_a_long_label_keeps_its_row() -> None:
    label = "n (g [c]) [...]:g=4,eps=1e-12,centre=False"
    document = documents.document(documents.arm("none"), documents.arm(label))
    text = table({**document, "verdicts": []}, "en")
    assert too_wide(text) == [] and label in text
    assert re.search(r"^ {8,}[0-9.]+ ", text, re.M)  # the row's numbers, under it


def test_one_layer_shows_what_enters_beside_what_leaves() -> None:
    text = table(said(documents.one_layer), "en")
    assert all(word in text for word in ("enters the activation", "leaves it", "signal", "offset", "saturated"))
    assert "1 vs" not in text


def test_an_arm_that_cannot_act_is_listed_with_reason_and_command() -> None:
    refused = {"en": "film needs a condition", "ko": "film에는 조건이 필요하다", "command": "normlab guide film"}
    document = documents.document(documents.arm("none"), documents.arm("film", refused=refused))
    text = table({**document, "verdicts": []}, "ko")
    assert refused["ko"] in text and "    normlab guide film" in text.splitlines()


def test_rounding_is_not_printed_as_a_mean() -> None:
    document = said(documents.one_layer)
    document["arms"][1]["layers"][0]["pre"] = {"mean": 3e-18, "var": 1.0}
    assert "e-18" not in table(document, "en")


def test_hangul_takes_two_cells() -> None:
    assert cell_len("정규화") == 6 and pad("층", 4) == "층  " and pad("층", 4, right=True) == "  층"
    assert wrap("가나다 라마바 사아자", 14, indent=2, first="- ") == ["- 가나다", "  라마바", "  사아자"]
    assert wrap("a" * 25, 12) == ["a" * 12, "a" * 12, "a"]
    assert wrap("", 10) == [] and wrap("12 %", 10) == ["12 %"] and wrap("123456 12 %", 9) == ["123456", "12 %"]


def test_columns_keep_a_long_name_apart() -> None:
    assert columns([("a", "first"), ("b" * 30, "second")], 80) == [
        f"  {'a':<26}  first", f"  {'b' * 30}", f"{'':<30}second",
    ]  # fmt: skip


def test_the_column_that_leaves_first_is_the_one_that_may() -> None:
    made = [Column("", "one", ["1"]), Column("", "two", ["2"], 1), Column("", "three", ["3"], 2)]
    assert "three" in grid("", ["x"], made, 40, Paint(False))[0]
    narrow = grid("", ["x"], made, 17, Paint(False))[0]
    assert "two" in narrow and "three" not in narrow
    assert "two" not in grid("", ["x"], made, 9, Paint(False))[0]
