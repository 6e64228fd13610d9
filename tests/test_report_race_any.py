"""Whatever a race's document holds: a page, a table and figures come of it, or a sentence; never a defect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import racing
from browser import Page
from commanding import Caller, too_wide
from normlab.experiments.training.verdicts import judge
from normlab.language import LANGUAGES
from normlab.report import figures, fragment, render, text
from test_cli_runs import altered, write

Document = dict[str, Any]
HANGUL = re.compile("[가-힣]")

numbers = st.one_of(
    st.none(), st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 1.0, -1.0, 5e-324, 1e308, 1e-30]),
)  # fmt: skip
bands = st.builds(racing.band, numbers, st.one_of(st.none(), st.floats(0, 2)))
accuracies = st.builds(racing.band, st.floats(0, 1), st.one_of(st.none(), st.floats(0, 2)))
layers = st.fixed_dictionaries(dict.fromkeys(("mean", "var", "signal", "grad_norm"), numbers))
why = st.sampled_from(["finished", "stopped", "diverged"])


@st.composite
def arms(draw: st.DrawFn, depth: int, rates: list[float], seeds: int) -> Document:
    """An arm with any numbers, complete to the last key."""
    points = draw(st.integers(0, 4))
    finals = {n: accuracies if n.endswith("accuracy") else bands for n in (*racing.METRICS, *racing.FINAL)}
    run = st.fixed_dictionaries(
        {"stopped": why, "step": st.integers(0, 99), "layer": st.one_of(st.none(), st.integers(1, 9)), "lr": st.just(rates[0])}
        | {n: st.one_of(st.none(), st.floats(0, 1)) if n.endswith("accuracy") else numbers for n in racing.FINAL}
    )
    line = st.fixed_dictionaries({
        "validation_accuracy": accuracies, "validation_loss": numbers, "stopped": st.dictionaries(why, st.integers(1, seeds)),
        "first_diverged": st.sampled_from([None, {"seed": 0, "step": 3, "layer": 2}]),
    })  # fmt: skip
    point = st.fixed_dictionaries({n: finals[n] for n in racing.METRICS} | {"runs": st.integers(1, seeds)})
    grid = [draw(line) | {"lr": rate} for rate in rates]
    for one in grid:  # these two always come together
        if (one["first_diverged"] is None) == ("diverged" in one["stopped"]):
            one["first_diverged"] = {"seed": 0, "step": 3, "layer": 2} if "diverged" in one["stopped"] else None
    return {
        "method": draw(st.sampled_from(["none", "batch_norm", "x"])), "options": {}, "label": draw(st.text(max_size=30)),
        "role": "norm", "refused": None, "lr": draw(st.sampled_from(rates)), "grid": grid,
        "final": {n: draw(finals[n]) for n in racing.FINAL},
        "runs": [draw(run) | {"seed": k} for k in range(seeds)],
        "curve": [draw(point) | {"step": 10 * k + 10} for k in range(points)],
        "layers": [[draw(layers) for _ in range(depth)] for _ in range(points)],
    }  # fmt: skip


@st.composite
def races(draw: st.DrawFn) -> Document:
    """A race of any arms under distinct labels."""
    depth, seeds = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rates = sorted(draw(st.sets(st.floats(1e-6, 1e6), min_size=1, max_size=3)))
    found = draw(st.lists(arms(depth, rates, seeds), max_size=4, unique_by=lambda arm: arm["label"]))
    made = racing.document(seeds=seeds, lr=rates, layers=depth)
    return {**made, "arms": [*found, *([racing.refused("film")] if draw(st.booleans()) else [])]}


@settings(deadline=None, max_examples=60)
@given(races())
def test_any_race_is_a_table_a_fragment_and_figures(document: Document) -> None:
    judge(document)
    for lang in LANGUAGES:
        assert too_wide(text(document, lang)) == []
        assert fragment(document, lang).startswith(f'<div lang="{lang}">')
    for drawing in figures(document, "en").values():
        if all(c >= " " for arm in document["arms"] for c in arm["label"]):  # XML has no control characters
            ElementTree.fromstring(re.sub("[\ufffe\uffff]", "", drawing))


@settings(deadline=None, max_examples=15)
@given(races())
def test_any_race_is_a_page_in_both_languages(document: Document) -> None:
    judge(document)
    assert all("<svg" in render([document], lang=lang) or not _trained(document) for lang in LANGUAGES)


def _trained(document: Document) -> bool:
    return any(arm["refused"] is None for arm in document["arms"])


@pytest.mark.usefixtures("folder")
def test_a_document_that_was_changed_anywhere_is_a_page_or_a_sentence(call: Caller) -> None:
    whole = racing.document(racing.arm("none", points=2, depth=2), racing.arm("bn", method="batch_norm", points=2, depth=2))
    codes = set()
    for place, changed in altered(whole):
        write(changed)
        said = call("report", "run.json", "-o", "a.html")
        assert said.code in (0, 2) and "Traceback" not in said.err and "defect" not in said.err, (place, said)
        assert said.code == 0 or (said.err.startswith("normlab: run.json: ") and not Path("a.html").exists()), (place, said)
        Path("a.html").unlink(missing_ok=True)
        codes.add(said.code)
    assert codes == {0, 2}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_browser_shows_it_without_script_and_a_phone_without_sideways_scrolling(tmp_path: Path, lang: str) -> None:
    run, path = racing.diverging(), tmp_path / "race.html"
    path.write_text(render([run], lang=lang), encoding="utf-8")
    with Page() as page:
        page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        page.open(path)
        content, window = page.wide()
        shown = page.visible_text()
        assert content <= window and run["verdicts"][0][lang] in shown
        assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []
        page.click(f"label[for=lang-{'ko' if lang == 'en' else 'en'}]")
        other = page.visible_text()
        assert run["verdicts"][0][lang] not in other
        assert bool(HANGUL.search(shown.replace("한국어", ""))) == (lang == "ko") != bool(HANGUL.search(other.replace("한국어", "")))


def test_the_example_that_others_read_is_a_document() -> None:
    assert json.loads(json.dumps(racing.told_apart())) == racing.told_apart()
