"""The two languages: every message of the source has its Korean, written by the rules of `normlab.language`."""

from __future__ import annotations

import ast
import gettext
import re
import string
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import normlab.language
from normlab.errors import UsageError
from normlab.language import both, choose, translate

SOURCE = Path(normlab.language.__file__).parent
CATALOGUE = SOURCE / "locale" / "ko" / "LC_MESSAGES" / "normlab.po"
SPEAKERS = {"translate", "both", "N_"}
# A Hangul syllable that may touch a field: counters, which are read the same after any number.
COUNTERS = "층개배번회초쌍장가년째열행칸쪽종줄"
PARTICLES = "은|는|을|를|과|와|으로|로|의|이라|라"


@cache
def messages() -> dict[str, str]:
    """Every message of the source with the place where it stands."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (message := message_of(node)) is not None and message != "":
                found.setdefault(message, f"{path.relative_to(SOURCE)}:{node.lineno}")
    return found


def message_of(node: ast.AST) -> str | None:
    """The literal message of a call that speaks, if `node` is one."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0]
    if name not in SPEAKERS:
        return None
    assert not isinstance(first, ast.JoinedStr), f"line {node.lineno}: an f-string cannot be collected"
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


@cache
def translations() -> dict[str, str]:
    """The catalogue as it is written: message -> Korean, without its header."""
    entries: dict[str, str] = {}
    for block in re.split(r"\n\s*\n", CATALOGUE.read_text(encoding="utf-8")):
        assert "#~" not in block, f"an obsolete entry: {block}"
        assert "fuzzy" not in block, f"a fuzzy entry: {block}"
        parts: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            match = re.match(r'(msgid|msgstr)?\s*(".*")$', line)
            if match:
                key = match.group(1) or key
                parts[key] = parts.get(key, "") + ast.literal_eval(match.group(2))
        if parts.get("msgid"):
            entries[parts["msgid"]] = parts["msgstr"]
    return entries


def fields(text: str) -> list[tuple[str, str | None, str | None]]:
    return sorted((name, spec, how) for _, name, spec, how in string.Formatter().parse(text) if name is not None)


def breaks_the_particle_rule(korean: str) -> bool:
    """Whether a Hangul particle follows a field, directly, behind quotation marks, or behind a field's brackets."""
    touching = re.search(rf"\}}[\"'`’”»]*(?![{COUNTERS}])[가-힣]", korean)
    quoted = re.search(r"\}[\"'`’”»]+[가-힣]", korean)
    bracketed = re.search(r"\}\([^()]*\)[가-힣]", korean)
    alone = re.search(rf"\}}[\"'`’”»)]* ({PARTICLES})(?=[\s.,:;]|$)", korean)
    return any((touching, quoted, bracketed, alone))


def is_polite(korean: str) -> bool:
    """Whether a sentence ends politely (-ㅂ니다, -요) instead of plainly (-다)."""
    formal = (match.group(1) for match in re.finditer(r"([가-힣])니다(?=[.\s]|$)", korean))
    ends_in_b = any((ord(syllable) - 0xAC00) % 28 == 17 for syllable in formal)
    return ends_in_b or re.search(r"(세요|어요|아요|해요|예요|시오)(?=[.\s]|$)", korean) is not None


def test_no_message_hides_inside_an_f_string() -> None:
    """Babel reads an f-string as one token on Python 3.11: a message inside it would never be collected."""
    hidden = [
        f"{path.relative_to(SOURCE)}:{node.lineno}: {message_of(node)}"
        for path in sorted(SOURCE.rglob("*.py"))
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr)
        for node in ast.walk(text)
        if isinstance(node, ast.Call) and message_of(node)
    ]
    assert not hidden


def test_no_message_looks_like_a_percent_format() -> None:
    """Babel takes "95 % intervals" for the format "% i" and refuses the translation; write "intervals of 95 %"."""
    looks = re.compile(r"%[-#0 +]?\d*(\.\d+)?[hlL]?[diouxXeEfFgGcrs%]")
    assert not [f"{where}: {message!r}" for message, where in messages().items() if looks.search(message)]


def test_every_message_of_the_source_has_its_korean() -> None:
    missing = {m: where for m, where in messages().items() if not translations().get(m)}
    assert not missing, "run `make messages` and translate:\n" + "\n".join(f"{w}: {m!r}" for m, w in missing.items())


def test_the_catalogue_holds_nothing_that_the_source_does_not_say() -> None:
    assert not set(translations()) - set(messages())


def test_fields_are_the_same_in_both_languages() -> None:
    for message, korean in translations().items():
        assert not korean or fields(message) == fields(korean), message


def test_no_particle_follows_a_field() -> None:
    offending = [korean for korean in translations().values() if breaks_the_particle_rule(korean)]
    assert not offending


@pytest.mark.parametrize(
    "korean", ["{x}는 크다", "{x}은(는) 크다", "'{x}'가 없다", "{x} 은 크다", "{x}({y})가 크다", "{x}이다", "{n}의 값"]
)
def test_the_particle_rule_can_fail(korean: str) -> None:
    assert breaks_the_particle_rule(korean)


@pytest.mark.parametrize("korean", ["{n}층이 {m}개의", "분산({x})이 크다", "{x} 쪽이 낫다", "{x}, {y} 둘은 같다"])
def test_the_particle_rule_can_be_kept(korean: str) -> None:
    assert not breaks_the_particle_rule(korean)


def test_korean_is_written_in_one_register() -> None:
    assert not [korean for korean in translations().values() if is_polite(korean)]


def test_the_register_is_told_apart() -> None:
    assert is_polite("설치합니다.") and is_polite("설치하세요") and not is_polite("소실이 아니다.")


def test_the_word_for_normalization_is_told_from_regularization() -> None:
    """정규화 alone may mean either: it stands in a name (배치 정규화) or with the English word behind it."""
    named = r"(배치|층|레이어|스펙트럴|인스턴스|그룹|가중치|스펙트럼|국소 응답|특징별|전체|표본별|자기|입력|단위|RMS|활성화)\s?정규화"
    for korean in translations().values():
        left = re.sub(rf"{named}|정규화\(normalization\)", "", korean)
        assert "정규화" not in left, korean


def test_the_compiled_catalogue_says_what_the_written_one_says() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message, korean in translations().items():
        assert compiled.gettext(message) == (korean or message), "run `make messages`"


def test_importing_it_is_cheap() -> None:
    code = "import sys, normlab.language; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"gettext", "babel", "numpy", "click", "locale"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "KO"}, "ko"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR", "LC_MESSAGES": "ko_KR", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "LC_ALL": "ko_KR.eucKR"}, "ko"),
        ({"LANG": "ko_KR", "LC_ALL": ""}, "ko"),
        ({"LANG": "Korean_Korea.949"}, "ko"),
        ({"LANG": "kok_IN"}, "en"),  # Konkani
    ],
)
def test_auto_is_the_language_of_the_locale(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert choose("auto") == language


def test_another_language_is_refused_with_the_three_that_exist() -> None:
    with pytest.raises(UsageError, match="one of en, ko, auto, got 'fr'"):
        choose("fr")


def test_a_field_filled_in_both_languages_speaks_the_language_around_it() -> None:
    items = both("{items} and {count} more", items="bn, ln", count=2)
    assert items == {"en": "bn, ln and 2 more", "ko": "bn, ln 외 2개"}
    assert translate("{low} to {high}", "ko", low=items, high="{x}") == "bn, ln 외 2개~{x}"


def test_a_message_that_the_catalogue_lacks_stays_english() -> None:
    message = "no such message: {n}"
    assert translate(message, "ko", n=1) == "no such message: 1"


def test_an_empty_message_is_empty_and_not_the_catalogue_s_header() -> None:
    assert translate("", "ko") == ""
