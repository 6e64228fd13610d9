"""`normlab guide` and `report`: what they print, and what they refuse."""

from __future__ import annotations

import io
import json
import re
import textwrap
from pathlib import Path

import pytest

import documents
import normlab
from commanding import SMALL, Caller, too_wide
from normlab import cards
from normlab.report.plain import plain

LANGUAGES = ("en", "ko")
NAMES = tuple(card.name for card in cards.cards("en"))


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_guide_alone_lists_every_technique_within_80_columns(call: Caller, lang: str) -> None:
    said = call("guide", "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == []
    for card in cards.cards(lang):
        assert re.sub(r"\s", "", card.title) in re.sub(r"\s", "", said.out)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_card_holds_80_columns_and_every_section(call: Caller, name: str, lang: str) -> None:
    said = call("guide", name, "--lang", lang)
    assert said.code == 0 and said.err == ""
    assert set(cards.HEADINGS[lang]) <= set(said.out.splitlines())
    assert too_wide(said.out) == [] and "{{" not in said.out


@pytest.mark.parametrize("name", normlab.list_methods())
def test_every_method_has_its_card_by_either_name(call: Caller, name: str) -> None:
    assert call("guide", name).out == call("guide", normlab.method(name).short).out


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", normlab.list_methods())
def test_the_steps_hold_80_columns(call: Caller, name: str, lang: str) -> None:
    said = call("guide", name, "--steps", "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == [] and len(said.out) > 100


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_markdown_is_printed_as_it_is(call: Caller, name: str, lang: str) -> None:
    text = call("guide", name, "--markdown", "--lang", lang).out
    assert text == cards.card(name, lang).markdown() and text.startswith("# ")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## {one}" for one in cards.HEADINGS[lang]]


def test_the_steps_and_the_overview_are_markdown_too(call: Caller) -> None:
    assert "```" in call("guide", "bn", "--steps", "--markdown").out
    assert call("guide", "--markdown").out == cards.overview("en")


def test_the_guide_as_a_document(call: Caller) -> None:
    document = json.loads(call("guide", "bn", "--json").out)
    assert document["schema"] == "normlab.guide/1" and document["markdown"] == cards.card("bn", "en").markdown()
    assert {"command", "versions", "machine", "settings", "wall_s"} <= set(document)


def test_steps_without_a_name_are_refused_with_an_example(call: Caller) -> None:
    said = call("guide", "--steps")
    assert said.code == 2 and "normlab guide bn --steps" in said.err


def test_plain_text_keeps_code_lists_and_commands_in_one_piece() -> None:
    command = "normlab compare none bn ln --preset note-5 --seeds 20"
    text = plain(f"# Title\n\nSome **bold** words and `{command}` and [a link](x.md), {'again ' * 30}\n\n- one\n  more\n"
                 "1. two\n\n```python\nif x:\n    y = 1" + " " * 60 + "# a remark\n```\n> said\n> twice\n| a | b |\n")  # fmt: skip
    assert text.startswith("Title\n=====\n\nSome bold words") and too_wide(text.replace(command, "")) == []
    assert command in text and "a link (x.md)" in text and "- one more\n1. two" in text
    assert "  if x:\n      y = 1  # a remark\n" in text and "  said twice\n" in text and "| a | b |\n" in text


def test_a_run_is_rendered_again(call: Caller, folder: Path) -> None:
    assert call("compare", "none", "bn", *SMALL, "-o", "a.json", "-o", "a.html").code == 0
    said = call("report", "a.json", "-o", "b.html")
    assert said.code == 0 and "b.html" in said.out
    assert (folder / "b.html").read_bytes() == (folder / "a.html").read_bytes()
    assert call("report", "a.json", "a.json", "--lang", "ko").code == 0
    assert (folder / "normlab-report.html").stat().st_size > (folder / "b.html").stat().st_size


def test_a_run_can_come_through_a_pipe(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(call("compare", "none", "bn", *SMALL, "--json").out))
    document = json.loads(call("report", "-", "-o", "a.html", "--json").out)
    assert document["schema"] == "normlab.report/1"
    assert document["written"] == [{"path": "a.html", "bytes": (folder / "a.html").stat().st_size}]


@pytest.mark.parametrize(
    ("content", "code", "phrase"),
    [
        ("not json", 5, "no JSON"), ("", 5, "no JSON"), ("[" * 100_000, 5, "no JSON"), (b"\xff\xfe\x00", 5, "UTF-8"),
        ("[1, 2]", 2, "normlab.compare/1"), ('{"schema": "normlab.error/1", "code": 2}', 2, "normlab.error/1"),
        ('{"schema": "normlab.compare/2"}', 2, "normlab.compare/1"), ('{"schema": "normlab.compare/1"}', 2, "settings"),
        ('{"schema": "normlab.compare/1", "command": "", "settings": {}, "arms": [{}], "verdicts": []}', 2, "complete"),
        ('{"schema": "normlab.compare/1", "command": 1, "settings": 1, "arms": 1, "verdicts": 1}', 2, "complete"),
        ('{"schema": "normlab.compare/1", "command": "", "settings": null, "arms": null, "verdicts": null}', 2, "complete"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_run_is_refused(call: Caller, folder: Path, content: str | bytes, code: int, phrase: str) -> None:
    Path("run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = call("report", "run.json", "-o", "a.html")
    assert said.code == code and phrase in said.err and "run.json" in said.err and "Traceback" not in said.err
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_a_missing_run_gets_the_nearest_name(call: Caller) -> None:
    Path("measured.json").write_text("{}", encoding="utf-8")
    said = call("report", "mesured.json")
    assert said.code == 5 and "measured.json" in said.err
    assert call("report").code == 2
    assert call("report", ".").code == 5


def test_a_run_that_may_not_be_read_is_refused(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", closed)
    said = call("report", "run.json")
    assert said.code == 5 and "Permission denied" in said.err


def test_an_invented_run_is_a_run(call: Caller) -> None:
    Path("run.json").write_text(json.dumps(documents.all_dead()), encoding="utf-8")
    assert call("report", "run.json").code == 0


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_code_can_still_be_pasted_from_the_plain_text(name: str, lang: str) -> None:
    code = cards.card(name, lang).section("code")
    assert code.startswith("```python")
    fence = code[: code.index("\n```", 3) + 4]
    compile(textwrap.dedent(plain(fence)), name, "exec")
