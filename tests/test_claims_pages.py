"""`normlab claims` and the pages of claims: what they list, print, keep and refuse, and that the committed ones are true."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from commanding import Caller, finish, start, too_wide
from normlab.experiments.claims import claims, recorded, running
from normlab.experiments.claims.claim import NOT_RUN, VERDICTS
from normlab.experiments.claims.running import Claims, Interrupted
from normlab.report.claims_markdown import page

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("en", "ko")
EVERY = [claim.letter for claim in claims()]

pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def maker() -> Any:
    """docs/claims.py, which is no package."""
    spec = importlib.util.spec_from_file_location("docs_claims", ROOT / "docs" / "claims.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "claims.json").read_text(encoding="utf-8"))
    return found


def test_the_committed_pages_are_made_of_the_committed_run() -> None:
    for path, text in maker().pages(committed()).items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_the_committed_run_is_of_the_claims_as_they_stand() -> None:
    """A condition that was changed after the run would be one that was written to fit."""
    entries = {entry["letter"]: entry for entry in committed()["claims"]}
    assert list(entries) == EVERY
    for claim in claims():
        entry = entries[claim.letter]
        assert (entry["source"], entry["seeds"]) == (claim.source, claim.seeds)
        assert [one["text"]["en"] for one in entry["conditions"]] == [text["en"] for text in claim.conditions]
        assert entry["setting"]["en"] == claim.setting["en"] and entry["verdict"] in VERDICTS


def test_the_committed_run_took_less_than_twenty_minutes_on_two_cores() -> None:
    assert sum(entry["seconds"] for entry in committed()["claims"]) < 2 * 20 * 60


def test_both_pages_show_the_same_intervals() -> None:
    found = [re.findall(r"[-+\d.e]+ \[[-+\d.e]+, [-+\d.e]+\]", page(committed(), lang)) for lang in LANGUAGES]
    assert len(found[0]) > 60 and sorted(found[0]) == sorted(found[1])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_letters_the_claims_are_listed_with_their_recorded_verdicts(call: Caller, lang: str) -> None:
    said = call("claims", "--lang", lang)
    assert said.code == 0 and said.err == "" and too_wide(said.out) == []
    assert [line[0] for line in said.out.splitlines() if line[0] != " "] == EVERY
    assert recorded.recorded().keys() == set(EVERY)
    document = json.loads(call("claims", "--json", "--lang", lang).out)
    assert [one["recorded"] for one in document["claims"]] == [one["verdict"] for one in recorded.recorded().values()]
    assert {one["verdict"] for one in document["claims"]} == {NOT_RUN}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_run_prints_every_condition_within_80_columns(call: Caller, lang: str) -> None:
    said = call("claims", "i", "--lang", lang)
    assert said.code == 0 and said.err == "" and too_wide(said.out) == []
    (claim,) = (one for one in claims() if one.letter == "i")
    spoken = re.sub(r"\s+", "", said.out)
    assert all(re.sub(r"\s+", "", text[lang]) in spoken for text in (claim.setting, *claim.conditions))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_committed_run_holds_80_columns(lang: str) -> None:
    from normlab.report import text

    assert too_wide(text(committed(), lang)) == []


def test_a_run_is_kept_as_document_page_and_markdown(call: Caller, folder: Path) -> None:
    said = call("claims", "i", "--json", *(word for end in ("json", "html", "md") for word in ("-o", f"run.{end}")))
    document = json.loads(said.out)
    assert said.code == 0 and document["schema"] == "normlab.claims/1"
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == document
    assert (folder / "run.md").read_text(encoding="utf-8") == page(document, "en")
    again = call("report", "run.json", "-o", "again.html")
    assert again.code == 0
    shown = (folder / "run.html").read_text(encoding="utf-8")
    assert shown == (folder / "again.html").read_text(encoding="utf-8")
    for one in document["claims"][0]["conditions"]:
        assert all(one["said"][lang].replace("'", "&#39;") in shown for lang in LANGUAGES)
    fragment = Claims(document)._repr_html_()
    assert "<script" not in fragment and fragment.count("<tr>") == 2 + len(document["claims"][0]["conditions"])


def test_a_letter_that_no_claim_has_is_refused(call: Caller) -> None:
    said = call("claims", "z")
    assert said.code == 2 and "claim" in said.err


def test_a_list_cannot_be_kept(call: Caller, folder: Path) -> None:
    said = call("claims", "-o", "run.json")
    assert said.code == 2 and "claims all" in said.err and list(folder.iterdir()) == []


def finished(verdict: str) -> Claims:
    document = committed()
    return Claims({**document, "claims": [{**document["claims"][0], "verdict": verdict}]})


def test_ctrl_c_keeps_what_is_finished(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> Claims:
        raise Interrupted(finished("partly"))

    monkeypatch.setattr(running, "run_claims", stopped)
    said = call("claims", "all", "-o", "run.json")
    assert said.code == 130 and said.out.startswith("a ")
    assert len(json.loads((folder / "run.json").read_text(encoding="utf-8"))["claims"]) == 1


def test_nothing_but_missing_extras_is_exit_code_3(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    monkeypatch.setattr(running, "usable", lambda: 1)  # in this process, where torch is hidden
    alone = call("claims", "l")
    assert alone.code == 3 and "pip install" in alone.err and "?" in alone.out
    beside = call("claims", "l", "i")
    assert beside.code == 0 and beside.err == "" and "pip install" in beside.out


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_the_processes_that_run_claims() -> None:
    """`a` and `b` take a quarter of a minute and more each: an exit that waited for them would outlast the time given."""
    process = start("claims", "a", "b", "c", "d", "e", "f")
    with pytest.raises(Exception, match="timed out"):
        process.wait(3)
    process.send_signal(signal.SIGINT)
    said = finish(process, timeout=10)
    assert said.code == 130 and "Traceback" not in said.err
