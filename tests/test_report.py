"""The report as text: what stands in it, in which order, in two languages, sealed, escaped and small enough."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

import documents
from documents import arm, document, over_seeds
from normlab.errors import UsageError
from normlab.report import figures, fragment, render

HOSTILE = "</script><img src=x onerror=alert(1)>"
EVERY = ("all_healthy", "all_dead", "saturated_not_vanished", "exploding", "one_layer", "not_finite")
INVENTED: list[Callable[[], dict[str, Any]]] = [getattr(documents, name) for name in EVERY]
NAMED = {"bn": "batch_norm", "ln": "layer_norm", "gn": "group_norm", "lrn": "local_response_norm", "wn": "weight_norm"}


def named(*labels: str, depth: int = 5) -> dict[str, Any]:
    """A document of arms whose methods are registered; bn and ln end alike and fare differently."""
    roles = {"wn": "weight"}
    fates: dict[str, dict[str, float]] = {
        "ln": {"ratio": 0.025, "signal": 6e-4},
        "none": {"ratio": 0.0053, "signal": 3e-5, "var": 0.0138},
    }
    arms = [arm(x, method=NAMED.get(x, x), role=roles.get(x), depth=depth, **fates.get(x, {})) for x in labels]  # type: ignore[arg-type]
    run = document(*arms)
    run["verdicts"] = [{"en": "the first sentence", "ko": "첫 문장"}, {"en": "the second", "ko": "둘째"}]
    return run


@pytest.fixture(autouse=True)
def no_variations(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The runs behind "when this verdict fails" take longer than all else here: only tests with `varied` make them."""
    if "varied" not in request.fixturenames:
        monkeypatch.setattr("normlab.experiments.limits.limits", lambda document: [])


@pytest.fixture
def varied() -> None:
    """Asks for the real variations."""


class Reader(HTMLParser):
    """Collects what a test asks about: tags with their attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def test_the_parts_stand_in_the_order_in_which_they_are_read(varied: None) -> None:
    page = render([named("none", "bn", "ln")])
    places = [page.index(f'id="c1-s-{part}"') for part in
              ("ladder", "fate", "heat", "law", "note", "table", "boards", "cards", "limits", "reproduce")]  # fmt: skip
    assert places == sorted(places)
    assert page.index("the first sentence") < page.index("the second") < places[0]


@pytest.mark.parametrize("make", INVENTED, ids=EVERY)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_kind_of_run_can_be_shown(make: Callable[[], dict[str, Any]], lang: str) -> None:
    run = make()
    for made in (run, over_seeds(run)):
        assert "<svg" in render([made], lang=lang)
        assert "<svg" in fragment(made, lang)
        assert figures(made, lang)


def test_both_languages_are_inside_and_one_is_hidden() -> None:
    for lang, other in (("en", "ko"), ("ko", "en")):
        page = render([named("none", "bn")], lang=lang)
        shown, hidden = (
            {"en": "the first sentence", "ko": "첫 문장"}[lang],
            {"en": "the first sentence", "ko": "첫 문장"}[other],
        )
        assert f'<span lang="{lang}">{shown}</span>' in page
        assert f'<span lang="{other}" hidden>{hidden}</span>' in page
        assert f'<html lang="{lang}">' in page


def test_every_drawing_has_a_name_and_a_description_in_both_languages() -> None:
    page = render([named("none", "bn", "ln", "lrn", "wn")])
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) > 15
    for drawing in drawings:
        for lang in ("en", "ko"):
            assert f'<title lang="{lang}">' in drawing
            assert f'<desc lang="{lang}">' in drawing


@pytest.mark.parametrize("label", [HOSTILE, "\u2028\u2029 & < > \" '", "a" * 300])
def test_a_label_stays_text_everywhere(label: str) -> None:
    run = named("none", "bn")
    run["arms"].append(arm(label, method=label, ratio=0.01))
    run["verdicts"] = [{"en": label, "ko": label}]
    run["notes"] = [{"en": label, "ko": label}]
    run["command"] = label
    plain = Reader(render([named("none", "bn", "ln")]))
    page = Reader(render([run]))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in page.tags) == sum(tag == "script" for tag, _ in plain.tags)
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert "<img" not in fragment(run, "en")
    for text in figures(run, "en").values():
        ElementTree.fromstring(text)


def test_the_document_can_be_read_back_to_the_byte() -> None:
    run = named("none", "bn")
    run["arms"][0]["label"] = HOSTILE + "\u2028\u2029&"
    data = next(text for text in Reader(render([run])).scripts if text.startswith("{"))
    assert json.loads(data) == run


def test_what_is_not_finite_becomes_null() -> None:
    run = named("none", "bn")
    run["arms"][1]["layers"][2]["var"] = float("nan")
    run["arms"][1]["first_over_last"] = float("inf")
    data = next(text for text in Reader(render([run])).scripts if text.startswith("{"))
    assert json.loads(data)["arms"][1]["layers"][2]["var"] is None
    assert "NaN" not in data and "Infinity" not in data


def test_nan_and_inf_are_counted_in_the_drawing() -> None:
    page = render([documents.not_finite()])
    assert "100,000 NaN or Inf" in page


def test_nothing_outside_is_asked_for() -> None:
    page = render([named("none", "bn", "ln", "gn", "lrn", "wn")])
    reader = Reader(page)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "form", "base", "use", "image")
        assert "src" not in attributes and "style" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in page and "url(" not in page
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_links_inside_the_page_lead_somewhere() -> None:
    page = Reader(render([named("none", "bn"), named("none", "bn", "ln")]))
    places = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(places) == len(set(places))
    links = [(a["href"] or "")[1:] for t, a in page.tags if t == "a"]
    assert links and set(links) <= set(places)


def test_several_runs_are_chapters_and_share_boards_and_cards() -> None:
    page = render([named("none", "bn"), named("none", "bn", "ln")])
    assert page.count("<article") == 2
    assert 'class="contents"' in page and 'class="contents"' not in render([named("none", "bn")])
    assert page.count('id="c1-card-batch_norm"') == 1
    assert 'id="c2-card-batch_norm"' not in page
    assert len(re.findall(r'id="c\d-board-\d+"', page)) == 2


def test_an_ordinary_page_is_small() -> None:
    labels = ("none", "bn", "ln", "gn")
    assert len(render([named(*labels)]).encode()) <= 300_000


def test_every_arm_fits_into_the_larger_page() -> None:
    from normlab.registry import methods

    arms = [arm("none", ratio=0.3), *(arm(d.short, method=d.name, role=d.role, ratio=0.9) for d in methods())]
    assert len(render([document(*arms), named("none", "bn")]).encode()) <= 1_200_000


def test_too_large_a_page_is_refused_with_its_size() -> None:
    huge = [named(*[f"arm{k}" for k in range(40)], depth=64)]
    with pytest.raises(UsageError, match=r"at most 1,200 kB .* would have [\d,]+ kB"):
        render(huge)
    assert len(render(huge, limit=False)) > 1_200_000


def test_no_document_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least one document"):
        render([])


def test_a_deep_run_with_many_arms_thins_its_rows_and_says_so() -> None:
    page = render([named(*[f"arm{k}" for k in range(14)], depth=64)], limit=False)
    assert "8 of 64 layers are drawn, the first and the last among them" in page
    first = re.search(r"<svg[^>]*>(?:(?!</svg>).)*arm0: histogram.*?</svg>", page, re.DOTALL)
    assert first is not None
    rows = [int(n) for n in re.findall(r'font-size="11" font-weight="600">(\d+)</text>', first[0])]
    assert rows[0] == 1 and rows[-1] == 64 and len(rows) == 8


def test_a_refused_arm_says_why_and_what_to_do() -> None:
    reason = {"en": "it cannot act", "ko": "쓸 수 없다", "command": "normlab compare none in --net conv"}
    run = document(arm("none"), arm("in", method="instance_norm", refused=reason))
    page = render([run])
    assert "it cannot act" in page and "쓸 수 없다" in page and reason["command"] in page


def test_a_run_without_any_acting_arm_is_shown_too() -> None:
    reason = {"en": "no", "ko": "아니", "command": "normlab guide in"}
    run = document(arm("in", method="instance_norm", refused=reason))
    assert "no arm could act" in render([run])
    assert "<svg" not in fragment(run, "en")


def test_the_same_moments_and_another_fate_are_shown_where_they_are() -> None:
    assert 'id="c1-s-fate"' in render([named("none", "bn", "ln")])
    assert 'id="c1-s-fate"' not in render([named("none", "bn")])


def test_when_the_verdict_fails_is_measured(varied: None) -> None:
    run = named("none", "bn")
    run["settings"].update(batch=32, width=8, layers=3)
    page = render([run])
    table = page[page.index('id="c1-s-limits"') :]
    assert "as run" in table and "normlab compare none bn" in table


def test_variations_that_cannot_be_run_say_why(varied: None) -> None:
    run = named("none", "bn")
    run["settings"]["data"] = "gone.csv"
    assert "Not measured here: " in render([run])


def test_the_same_document_gives_the_same_page() -> None:
    assert render([named("none", "bn")]) == render([named("none", "bn")])


def test_a_fragment_brings_neither_script_nor_style_sheet() -> None:
    text = fragment(named("none", "bn", "ln"), "ko")
    assert "<script" not in text and "<style" not in text and "class=" not in text and "id=" not in text
    assert "첫 문장" in text and "the first sentence" not in text
    ElementTree.fromstring(text.replace("<br>", "<br/>"))


def test_figures_are_files_of_their_own() -> None:
    run = named("none", "bn", "ln")
    found = figures(run, "en")
    assert {"ladder", "fate", "law", "heat", "board-batch_norm-images", "board-layer_norm-tokens-features"} <= set(
        found
    )
    assert found == figures(run, "en")
    for name, text in found.items():
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert "[가-힣]" not in text and re.fullmatch(r"[\w-]+", name)
    assert re.search("[가-힣]", figures(run, "ko")["ladder"])


def test_figures_speak_one_language() -> None:
    for name, text in figures(named("none", "bn", "ln"), "en").items():
        assert not re.search("[가-힣]", text), name
