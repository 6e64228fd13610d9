"""The page, the fragment, the figures and the terminal's table of a race: functions of its document alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

import racing
from commanding import too_wide
from normlab.experiments.train import Race
from normlab.report import figures, fragment, render, text
from normlab.report.numerals import share
from test_report import HOSTILE, Reader

Document = dict[str, Any]
COLOUR = re.compile("\x1b\\[[0-9;]*m")
every = pytest.mark.parametrize("made", racing.INVENTED, ids=lambda made: made.__name__)
in_both = pytest.mark.parametrize("lang", ["en", "ko"])


def shape_of(part: Any) -> Any:
    """The keys of a document, at every depth; of a list its first entry."""
    if isinstance(part, dict):
        return {key: shape_of(value) for key, value in part.items()}
    return [shape_of(part[0])] if isinstance(part, list) and part else None


def test_the_invented_documents_have_the_keys_of_a_real_one() -> None:
    real, invented = json.loads(racing.real("none", "bn")), racing.told_apart()
    for document in (real, invented):  # what differs from run to run
        del document["versions"], document["machine"], document["data"]["notes"], document["notes"], document["verdicts"]
        document["contrasts"], document["ranking"]["groups"] = [sorted(document["contrasts"][0])], [["none"]]
        for one in document["arms"]:
            del one["options"]
            one["grid"][0].update(stopped={}, first_diverged=None)
            one["runs"][0].update(layer=None)
    assert shape_of(invented) == shape_of(real)


@every
@in_both
def test_every_kind_of_race_can_be_shown(made: Callable[[], Document], lang: str) -> None:
    run = made()
    page = render([run], lang=lang, limit=run["settings"]["layers"] < 20)
    own = re.sub(r'<section id="c1-s-cards">.*', "", page, flags=re.S)  # before the cards, whose code says None
    assert f'<html lang="{lang}"' in page and "None" not in own
    assert ("<svg" in fragment(run, lang)) == any(one["refused"] is None for one in run["arms"])
    for drawing in figures(run, lang).values():
        ElementTree.fromstring(drawing)
        assert "nan" not in drawing and "inf" not in re.sub("info?rm|reinf", "", drawing)


@every
@in_both
def test_the_table_holds_80_columns_and_every_sentence(made: Callable[[], Document], lang: str) -> None:
    run = made()
    before = copy.deepcopy(run)
    shown = text(run, lang)
    assert run == before and too_wide(shown) == [] and "\x1b" not in shown and "None" not in shown
    flat = re.sub(r"\s+", " ", shown)
    assert all(verdict[lang] in flat for verdict in run["verdicts"])
    for one in run["arms"]:
        assert one["label"] in shown and (one["refused"] is None or one["refused"][lang] in flat)
    coloured = text(run, lang, color=True)
    assert "\x1b" in coloured and COLOUR.sub("", coloured) == shown


def test_the_parts_stand_in_the_order_in_which_they_are_read() -> None:
    page = render([racing.told_apart()])
    parts = ("curves", "modes", "grid", "time", "pairs", "stopped", "table", "cards", "reproduce")
    places = [page.index(f'id="c1-s-{part}"') for part in parts]
    assert places == sorted(places)
    assert page.index(Reader(page).tags and '<h1 class="verdict"') < places[0]


def test_a_network_without_layers_below_the_classifier_has_no_strip() -> None:
    run = racing.told_apart()
    for one in run["arms"]:
        one["layers"] = [[] for _ in one["layers"]]
    assert 'id="c1-s-time"' not in render([run]) and "layers-1" not in figures(run, "en")


def test_the_headline_is_the_first_sentence_and_with_one_arm_its_accuracy() -> None:
    run = racing.told_apart()
    found = re.search(r'<h1 class="verdict"><span lang="en">(.*?)</span>', render([run]))
    assert found is not None and found[1].replace("&gt;", ">") == run["verdicts"][0]["en"]
    assert share(0.9) in render([racing.alone()]).split("</h1>")[0].split("<h1")[1]
    assert "Nothing was trained" in render([racing.cannot_act()])


def test_the_grid_shows_every_rate_and_frames_the_one_taken() -> None:
    shown = text(racing.told_apart(), "en")
    grid = shown[shown.index("Validation accuracy at each") :]
    assert re.search(r"^ bn +90\.0 %\* +45\.0 %", grid, re.M)
    drawing = figures(racing.told_apart(), "en")["learning-rates"]
    assert drawing.count('stroke-width="2"') == 2  # one frame an arm


def test_a_run_that_diverged_is_said_drawn_and_listed() -> None:
    run = racing.diverging()
    sentence = "none at 0.1: 2 of 3 diverged, the first at step 25, in layer 2"
    assert sentence in text(run, "en") and sentence in render([run])
    assert "gn at 0.1: 3 of 3 diverged" in text(run, "en")
    crosses = [f.count('stroke-width="1.5"') for f in (figures(r, "en")["train-loss"] for r in (run, racing.told_apart()))]
    assert crosses[0] >= 1 and crosses[1] == 0
    assert "Every run took all" not in render([run]) and "Every run took all" in render([racing.told_apart()])


def test_the_two_modes_have_a_mark_each_and_their_numbers_in_a_table() -> None:
    run = racing.told_apart()
    run["arms"][1]["final"]["own_statistics_accuracy"] = racing.band(0.4321)
    page = render([run])
    modes = page[page.index('id="c1-s-modes"') : page.index('id="c1-s-grid"')]
    assert "each batch's own statistics" in modes.replace("&#39;", "'").replace("&#x27;", "'") and share(0.4321) in modes


def test_a_gradient_of_the_same_size_has_the_same_colour_in_every_arm() -> None:
    loud, quiet = racing.arm("none"), racing.arm("bn", method="batch_norm")
    for layers in loud["layers"]:
        for one in layers:
            one["grad_norm"] *= 1e6
    run = racing.document(loud, quiet)
    alone, beside = (figures(d, "en")["layers-1"] for d in (racing.document(quiet), racing.document(quiet, loud)))
    assert alone != beside  # the louder arm moves the common scale
    assert len(set(re.findall(r">(10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*)<", "".join(figures(run, "en")[f"layers-{k}"] for k in (1, 2))))) == 2


@pytest.mark.parametrize("label", [HOSTILE, "\u2028\u2029 & < > \" '", "a" * 300])
def test_a_label_stays_text_everywhere(label: str) -> None:
    run = racing.told_apart()
    run["arms"].append(racing.arm(label, method=label, lost=1))
    run |= {"verdicts": [{"en": label, "ko": label}] * 2, "notes": [{"en": label, "ko": label}], "command": label}
    run["settings"] |= {"activation": label, "init": label, "optimizer": label}
    run["data"] |= {"name": label, "fingerprint": label}
    plain = Reader(render([racing.document(*racing.told_apart()["arms"], racing.arm("gn", method="group_norm", lost=1))]))
    page = Reader(render([run]))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in page.tags) == sum(tag == "script" for tag, _ in plain.tags)
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert "<img" not in fragment(run, "en") and too_wide(text(run, "en")) == []
    for drawing in figures(run, "en").values():
        ElementTree.fromstring(drawing)


def test_the_document_can_be_read_back_and_what_is_not_finite_is_null() -> None:
    run = racing.told_apart()
    data = next(one for one in Reader(render([run])).scripts if one.startswith("{"))
    assert json.loads(data) == run
    run["arms"][0]["final"]["test_loss"]["mean"] = float("inf")
    data = next(one for one in Reader(render([run])).scripts if one.startswith("{"))
    assert json.loads(data)["arms"][0]["final"]["test_loss"]["mean"] is None and "Infinity" not in data


def test_every_drawing_has_a_name_and_a_description_in_both_languages() -> None:
    drawings = re.findall(r"<svg.*?</svg>", render([racing.told_apart()]), re.DOTALL)
    assert len(drawings) == 6  # two curves, the modes, the grid, a strip an arm
    for drawing in drawings:
        assert all(f'<{part} lang="{lang}">' in drawing for part in ("title", "desc") for lang in ("en", "ko"))


def test_an_ordinary_race_is_a_page_of_less_than_300_kb() -> None:
    names = {"none": None, "bn": "batch_norm", "ln": "layer_norm", "gn": "group_norm"}
    arms = [racing.arm(label, method=method, points=20, depth=5, seeds=5) for label, method in names.items()]
    assert len(render([racing.document(*arms, seeds=5, layers=5)]).encode()) < 300_000


def test_a_race_and_its_page_share_a_file_with_other_chapters() -> None:
    page = render([racing.told_apart(), racing.diverging()])
    ids = [a["id"] for _, a in Reader(page).tags if a.get("id")]
    assert len(ids) == len(set(ids))


@in_both
def test_the_curves_can_be_drawn_with_matplotlib(lang: str) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    for made in (racing.told_apart, racing.alone, racing.diverging):
        run = made()
        run["arms"][0]["label"] = "$x_1$"
        figure = Race(run).plot(lang)
        figure.canvas.draw()
        left, right = figure.axes
        shown = sum(bool(one["curve"]) for one in run["arms"])
        assert len(right.lines) == shown and len(left.lines) == shown + 1  # and the line of guessing
