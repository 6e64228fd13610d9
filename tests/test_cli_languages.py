"""Both languages on the terminal: chosen the same way everywhere, 80 columns wide, Hangul only at a table's edges."""

from __future__ import annotations

import re

import pytest

from commanding import SMALL, Caller, too_wide
from normlab.cli import app
from normlab.experiments.presets import PRESETS
from normlab.report.cells import cell_len

HANGUL = re.compile("[가-힣]")
BOX = re.compile("[\u2500-\u259f]")
LANGUAGES = ("en", "ko")
EVERY = ["all", *SMALL, "--width", "16", "--batch", "24"]
RUNS = {
    **{preset: ["--preset", preset, "--batch", "24", "--cotangents", "2"] for preset in PRESETS},
    "every arm": EVERY,
    "every arm, one layer": [*EVERY, "--layers", "1"],
    "every arm, three seeds": [*EVERY, "--seeds", "3", "--layers", "3"],
    "every arm, convolutions": ["all", "--net", "conv", "--batch", "6", "--width", "8", "--layers", "2", "--cotangents", "2"],
    "64 layers": ["none", "bn", "ln", *SMALL, "--layers", "64"],
    "long arms": ["none", "n (number_of_groups [c]) [...]:number_of_groups=4", "gn:groups=4,eps=1e-3", *SMALL, "--seeds", "2"],
    "classifier": ["none", "bn", *SMALL, "--data", "digits", "--top", "loss", "--activation", "gelu"],
    "loud weights": ["none", "bn", *SMALL, "--init", "1e6", "--activation", "relu", "--layers", "12"],
}


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def table_of(text: str) -> list[str]:
    """The lines of the numbers and their two lines of headings."""
    block = next(block for block in text.split("\n\n") if re.search(r"^ (norm|방법) ", block, re.M))
    return [line for line in block.splitlines() if line.startswith(" ")]


def is_at_an_edge(line: str, start: int, end: int) -> bool:
    return not line[:start].strip() or not line[end:].strip()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("arguments", RUNS.values(), ids=RUNS)
def test_a_table_holds_80_columns_and_hangul_keeps_to_its_edges(call: Caller, arguments: list[str], lang: str) -> None:
    said = call("compare", *arguments, "--lang", lang)
    assert said.code == 0 and said.err == "" and too_wide(said.out) == []
    assert "\x1b" not in said.out and not BOX.search(said.out)
    assert bool(HANGUL.search(said.out)) == (lang == "ko")
    for line in table_of(said.out):
        for word in re.finditer(r"\S*[가-힣]\S*", line):
            assert is_at_an_edge(line, *word.span()), line


def test_a_hangul_heading_in_the_middle_is_found() -> None:
    assert not is_at_an_edge(" a  평균  3", 4, 6) and is_at_an_edge(" 방법  var", 1, 3) and is_at_an_edge(" a  층당", 4, 6)


@pytest.mark.parametrize("arguments", [[*SMALL], ["--preset", "note-1"]], ids=" ".join)
def test_numbers_stand_in_the_same_cells_in_both_languages(call: Caller, arguments: list[str]) -> None:
    """Rows hold no Hangul; headings end where their numbers end."""
    english, korean = (table_of(call("compare", *arguments, "--lang", lang).out) for lang in LANGUAGES)
    assert [line.split() for line in english[2:]] == [line.split() for line in korean[2:]]
    for lines in (english, korean):
        assert len({cell_len(line) for line in lines[2:]}) == 1 == len({cell_len(lines[1]), cell_len(lines[2])})


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("verb", app.VERBS)
def test_help_has_hangul_in_its_last_column_only(call: Caller, verb: str, lang: str) -> None:
    said = call(verb, "--help", "--lang", lang).out
    options = re.findall(r"^  (-\S.*?)(?:  +|$)", said, re.M)
    assert "--json" in options and not any(HANGUL.search(name) for name in options)


@pytest.mark.parametrize("arguments", [["info"], ["guide"], ["guide", "bn"], ["compare", *SMALL], ["--help"]], ids=" ".join)
def test_lang_is_the_same_before_the_verb_behind_it_and_in_the_locale(
    call: Caller, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    english = call(*arguments).out
    korean = call("--lang", "ko", *arguments).out
    assert HANGUL.search(korean) and korean != english
    for words in ([*arguments, "--lang", "ko"], [*arguments, "--lang=ko"], ["--lang", "en", *arguments, "--lang", "ko"]):
        assert call(*words).out == korean, words
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert call(*arguments).out == korean and call(*arguments, "--lang", "auto").out == korean
    assert call(*arguments, "--lang", "en").out == english == call("--lang", "en", *arguments).out


@pytest.mark.parametrize("variable", ["LC_ALL", "LC_MESSAGES", "LANG"])
@pytest.mark.parametrize(("locale", "speaks"), [("ko", "ko"), ("ko_KR.eucKR", "ko"), ("kok_IN", "en"), ("C", "en"), ("de_DE", "en")])
def test_the_locale_decides_in_the_order_of_posix(
    call: Caller, monkeypatch: pytest.MonkeyPatch, variable: str, locale: str, speaks: str
) -> None:
    monkeypatch.delenv("LC_ALL")
    monkeypatch.setenv(variable, locale)
    assert bool(HANGUL.search(call().out)) == (speaks == "ko")
    if variable != "LANG":
        monkeypatch.setenv("LANG", "de_DE.UTF-8" if speaks == "ko" else "ko_KR.UTF-8")
        assert bool(HANGUL.search(call().out)) == (speaks == "ko")


REFUSED_BY_THE_COMMAND_LINE = (
    ["compare", "--layers"], ["compare", "--layers", "x"], ["compare", "--json=1"], ["compare", "--nope"], ["guide", "bn", "ln"],
    ["--json", "info"], ["info", "more"], ["compare", "--data", ""], ["compare", "-o", "run.pdf"], ["report"], ["report", "no.json"],
    ["guide", "--steps"], ["compare", "-o", "no/run.json"], ["compare", "-o", "a.json", "-o", "a.json"], ["--lang", "fr", "info"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED_BY_THE_COMMAND_LINE, ids=lambda arguments: " ".join(arguments))
def test_what_the_command_line_itself_refuses_it_refuses_in_both_languages(call: Caller, arguments: list[str]) -> None:
    said = call(*arguments)
    assert said.code in (2, 5) and not HANGUL.search(said.err) and said.err.startswith("normlab: ")
    korean = call("--lang", "ko", *arguments) if "--lang" not in arguments else call(*arguments, "--lang", "ko")
    assert korean.code == said.code and HANGUL.search(korean.err.splitlines()[0])
    assert "Traceback" not in said.err + korean.err


@pytest.mark.parametrize("lang", LANGUAGES)
def test_alone_it_is_three_lines_and_a_command_that_runs(call: Caller, lang: str) -> None:
    *lines, command = call("--lang", lang).out.splitlines()
    assert len(lines) == 3 and all(bool(HANGUL.search(line)) == (lang == "ko") for line in lines)
    assert not too_wide("\n".join(lines)) and command.split()[-1] == "compare"
