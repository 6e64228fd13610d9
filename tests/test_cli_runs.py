"""`normlab report` on documents that somebody has cut, changed or made up: a page, or a sentence; never a defect."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import documents
from commanding import SMALL, Caller

Document = dict[str, Any]
Place = tuple[str | int, ...]
HOSTILE = "</script><img src=x onerror=alert(1)>"
# What each place of a document is replaced with: other types, numbers as text, beyond any range, markup.
STRANGE: tuple[Any, ...] = (None, "12", HOSTILE, [], {}, -5, 10**400, {"mean": "x"}, [{}])


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


@pytest.fixture
def without_reruns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page runs variations of the experiment, which has its own tests and takes most of the time."""
    monkeypatch.setattr("normlab.experiments.limits.limits", lambda document: [])


class Elements(HTMLParser):
    """The elements of a page and everything that looks like a handler."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def write(document: Any) -> None:
    Path("run.json").write_text(json.dumps(document), encoding="utf-8")


def places(part: Any, here: Place = ()) -> Iterator[Place]:
    """The places of a document; of each list the last entry alone, because its entries are alike."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield (*here, name)
            yield from places(value, (*here, name))
    elif isinstance(part, list) and part:
        yield (*here, len(part) - 1)
        yield from places(part[-1], (*here, len(part) - 1))


def part_at(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


def altered(document: Document) -> Iterator[tuple[Place, Document]]:
    """The document without each of its parts, and with a strange value in its stead: one for each place, in turn."""
    for k, place in enumerate(places(document)):
        for strange in (copy, STRANGE[k % len(STRANGE)], STRANGE[(k + 4) % len(STRANGE)]):
            changed = copy.deepcopy(document)
            holder = part_at(changed, place[:-1])
            if strange is copy:
                del holder[place[-1]]
            else:
                holder[place[-1]] = strange
            yield place, changed


def test_a_document_that_was_changed_anywhere_is_a_page_or_a_sentence(call: Caller, without_reruns: None) -> None:
    assert call("compare", "none", "bn", "in", *SMALL, "--layers", "2", "-o", "whole.json").code == 0
    whole = json.loads(Path("whole.json").read_text(encoding="utf-8"))
    codes = set()
    for place, changed in altered(whole):
        write(changed)
        said = call("report", "run.json", "-o", "a.html")
        assert said.code in (0, 2) and "Traceback" not in said.err, (place, said)
        assert said.code == 0 or (said.err.startswith("normlab: run.json: ") and not Path("a.html").exists()), (place, said)
        Path("a.html").unlink(missing_ok=True)
        codes.add(said.code)
    assert codes == {0, 2}


@pytest.mark.parametrize("place", [("settings", "batch"), ("settings", "layers"), ("settings", "data"), ("settings", "preset")], ids=str)
@pytest.mark.parametrize("strange", ["12", HOSTILE, None, -5, 10**9], ids=str)
def test_settings_that_cannot_be_run_again_stop_no_page(call: Caller, place: Place, strange: Any) -> None:
    document = documents.document(documents.arm("none"), documents.arm("bn"), width=8, batch=12)
    part_at(document, place[:-1])[place[-1]] = strange
    write(document)
    said = call("report", "run.json")
    assert said.code in (0, 2) and "Traceback" not in said.err and "defect" not in said.err


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_hostile_name_stays_text(call: Caller, without_reruns: None, lang: str) -> None:
    """In every place where a text may stand: label, method, command, sentence, setting, version."""
    fine = documents.document(documents.arm("none"), documents.arm("bn"))
    hostile = documents.document(documents.arm("none"), documents.arm(HOSTILE, method=HOSTILE, options={HOSTILE: HOSTILE}))
    hostile |= {"command": HOSTILE, "verdicts": [{"en": HOSTILE, "ko": HOSTILE}], "notes": [{"en": HOSTILE, "ko": HOSTILE}]}
    hostile |= {"versions": {HOSTILE: HOSTILE}, "machine": {HOSTILE: HOSTILE}}
    hostile["settings"] |= {"data": HOSTILE, "init": HOSTILE}
    found = []
    for document in (fine, hostile):
        write(document)
        assert call("report", "run.json", "-o", "a.html", "--lang", lang).code == 0
        found.append(Elements(Path("a.html").read_text(encoding="utf-8")))
    plain, attacked = found
    assert "img" not in attacked.tags and attacked.handlers == plain.handlers
    assert attacked.tags.count("script") == plain.tags.count("script")
    page = Path("a.html").read_text(encoding="utf-8")
    embedded = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.S)
    assert embedded is not None and json.loads(embedded[1])["arms"][1]["label"] == HOSTILE


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    "made", [documents.all_healthy, documents.all_dead, documents.saturated_not_vanished, documents.exploding, documents.one_layer, documents.not_finite],
    ids=lambda made: made.__name__,
)  # fmt: skip
@pytest.mark.parametrize("seeds", [1, 5])
def test_any_kind_of_run_is_a_page(call: Caller, without_reruns: None, made: Any, lang: str, seeds: int) -> None:
    write(made() if seeds == 1 else documents.over_seeds(made(), seeds))
    said = call("report", "run.json", "-o", "a.html", "--lang", lang)
    assert said.code == 0 and Path("a.html").stat().st_size > 10_000
    assert f'<html lang="{lang}"' in Path("a.html").read_text(encoding="utf-8")


def test_one_damaged_run_among_several_stops_the_page(call: Caller) -> None:
    assert call("compare", "bn", *SMALL, "-o", "good.json").code == 0
    Path("bad.json").write_text('{"schema": "normlab.compare/1"', encoding="utf-8")
    said = call("report", "good.json", "bad.json", "-o", "a.html")
    assert said.code == 5 and "bad.json" in said.err and "good.json" not in said.err and not Path("a.html").exists()


def test_a_run_whose_data_are_gone_is_still_a_page(call: Caller) -> None:
    Path("data.csv").write_text("\n".join(f"{k},{k * k % 7}" for k in range(20)), encoding="utf-8")
    assert call("compare", "none", "bn", *SMALL, "--data", "data.csv", "-o", "run.json").code == 0
    Path("data.csv").unlink()
    assert call("report", "run.json").code == 0
    assert "data.csv" in Path("normlab-report.html").read_text(encoding="utf-8")


def test_a_run_with_a_mark_of_windows_at_its_start_is_read(call: Caller) -> None:
    assert call("compare", "bn", *SMALL, "-o", "run.json").code == 0
    Path("marked.json").write_bytes(b"\xef\xbb\xbf" + Path("run.json").read_bytes())
    assert call("report", "marked.json").code == 0


def test_several_pages_of_the_same_runs_are_the_same(call: Caller) -> None:
    assert call("compare", "bn", *SMALL, "-o", "run.json").code == 0
    said = call("report", "run.json", "run.json", "-o", "a.html", "-o", "b.html")
    assert said.code == 0 and said.out == "wrote a.html\nwrote b.html\n" and said.err == ""
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
