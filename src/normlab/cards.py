"""The guide's cards: one Markdown file per technique and language, read, checked, and completed with what is computed.

A card is text written by hand. What can be computed (the sharing board, the worked case, the list of techniques) is
not in the files: placeholders are filled from the definitions, so text and library cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from . import registry
from .definition import Definition
from .errors import UsageError, unknown

__all__ = ["HEADINGS", "KEYS", "LANGUAGES", "Card", "card", "cards", "heading", "overview", "parse_card", "words"]

LANGUAGES = ("en", "ko")
KEYS = ("concept", "when", "pros", "cons", "formula", "shares", "worked", "code", "pitfalls", "used", "source")
HEADINGS = {
    "en": (
        "Concept", "When it applies", "Pros", "Cons", "Formula", "What shares a statistic", "Worked case",
        "Code from scratch", "Pitfalls", "Where it is used", "Source",
    ),
    "ko": (
        "개념", "적용 상황", "장점", "단점", "수식", "통계량을 공유하는 원소", "손으로 푸는 예", "밑바닥부터 짜는 코드",
        "흔한 실수", "쓰이는 곳", "출처",
    ),
}  # fmt: skip
FIELDS = ("name", "covers", "title", "acts_on", "line")
# In the order in which data passes them: the map of the overview is drawn from it.
PLACES = {
    "data": "x",
    "weights": "W",
    "activations": "z",
    "activation function": "φ",
    "response": "a",
    "condition": "γβ",
}
_FENCE = re.compile(r"^(```|~~~)")


@dataclass(frozen=True)
class Card:
    """One technique in one language. `sections` maps each of KEYS to Markdown as written, placeholders included."""

    name: str
    lang: str
    covers: tuple[str, ...]
    title: str
    acts_on: str
    line: str
    sections: Mapping[str, str]

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """The definitions of the methods that the card covers."""
        return tuple(registry.method(name) for name in self.covers)

    @property
    def shorts(self) -> tuple[str, ...]:
        """The terminal's short names of the methods that the card covers."""
        return tuple(d.short for d in self.definitions)

    def section(self, key: str) -> str:
        """The Markdown of one section with `{{board}}` and `{{worked}}` replaced. Raises UnknownNameError."""
        if key not in self.sections:
            raise unknown("section", key, KEYS)
        from . import boards

        text = self.sections[key]
        for placeholder, render in (("{{board}}", boards.board), ("{{worked}}", boards.worked)):
            if placeholder in text:
                text = text.replace(placeholder, self._rendered(render))
        return text.strip()

    def code(self, tab: str) -> str:
        """The Markdown of the section `code` in a tab: "numpy", from scratch, or the program for a framework.

        Raises: UnknownNameError for a tab that there is none of.
        """
        from . import tabs

        if tab == tabs.SCRATCH:
            return self.section("code")
        return self._rendered(lambda definition, lang: tabs.text(definition, tab, lang))

    def _rendered(self, render: Callable[[Definition, str], str]) -> str:
        """What is computed for each method covered, under its title where there are several and they differ."""
        parts = {d.title if self.lang == "en" else d.title_ko: render(d, self.lang) for d in self.definitions}
        if len(set(parts.values())) == 1:
            return next(iter(parts.values()))
        return "\n\n".join(f"**{title}**\n\n{text}" for title, text in parts.items() if text)

    def markdown(self, tab: str = "numpy") -> str:
        """The whole card, for a blog: title, one line, and every section under its heading; its code in a tab."""
        from . import tabs

        code, say = self.code(tab), words(self.lang)
        shorts = " ".join(f"`{s}`" for s in self.shorts)
        lines = [
            f"# {self.title}",
            "",
            f"> {self.line}",
            "",
            f"{say['names']}: {shorts}. {say['acts']}: {say[self.acts_on]}.",
        ]
        for key in KEYS:
            title = heading(key, self.lang)
            if key == "code" and tab != tabs.SCRATCH:
                title = say["code_in"].format(face=tabs.FRAMEWORKS[tab].title)
            lines += ["", f"## {title}", "", code if key == "code" else self.section(key)]
        return "\n".join(lines) + "\n"


def heading(key: str, lang: str) -> str:
    """The heading of the section `key` in a language."""
    return HEADINGS[lang][KEYS.index(key)]


def card(name: str, lang: str = "en") -> Card:
    """The card of a technique, by a method's long or short name or by the card's own name.

    Raises: UnknownNameError with the nearest names; UsageError for a language that there is none in.
    Example:
        >>> card("bn").name
        'batch_norm'
    """
    deck = {c.name: c for c in cards(lang)}
    wanted = name.strip().lower().replace("-", "_")
    if wanted in deck:
        return deck[wanted]
    names = list(deck)
    for one in deck.values():
        for definition in one.definitions:
            if wanted in (definition.name, definition.short, definition.class_name.lower()):
                return one
            names += [definition.name, definition.short]
    raise unknown("card", name, list(dict.fromkeys(names)))


def cards(lang: str = "en") -> tuple[Card, ...]:
    """All cards of a language, in the order of the methods that they cover: the study note's first."""
    _check_language(lang)
    rank = {name: k for k, name in enumerate(registry.list_methods())}
    return tuple(sorted(_deck(lang), key=lambda c: (min(rank.get(m, len(rank)) for m in c.covers), c.name)))


def words(lang: str) -> Mapping[str, str]:
    """The small words and sentence templates of the guide in a language (`guides/<lang>/_words.md`)."""
    _check_language(lang)
    return _words(lang)


def overview(lang: str = "en") -> str:
    """What `normlab guide` prints: what normalization is for, where each technique acts, the list, what to do next."""
    _check_language(lang)
    front, body = _front_matter(_text(lang, "_overview"), f"guides/{lang}/_overview.md")
    deck = {c.name: c for c in cards(lang)}
    first = [[n for n in item.split() if n in deck] for item in front.get("first", "").split(",")]
    mentioned = {n for item in first for n in item}
    numbered = [f"{k}. " + "\n   ".join(_entry(deck[n]) for n in item) for k, item in enumerate(first, 1) if item]
    others = [f"- {_entry(c)}" for c in deck.values() if c.name not in mentioned]
    body = body.replace("{{map}}", _map(lang)).replace("{{first}}", "\n".join(numbered))
    return body.replace("{{others}}", "\n".join(others)).strip() + "\n"


def parse_card(text: str, lang: str, where: str) -> Card:
    """Read one card. Raises UsageError naming the file and the heading or field that is not as it must be."""
    front, body = _front_matter(text, where)
    for field in FIELDS:
        if not front.get(field):
            raise UsageError(
                f"{where}: the front matter must have `{field}: ...`, got {', '.join(front) or 'nothing'}."
            )
    if front["acts_on"] not in PLACES:
        raise UsageError(f"{where}: acts_on must be one of {', '.join(PLACES)}, got {front['acts_on']!r}.")
    sections = _sections(body, HEADINGS[lang], where)
    return Card(
        name=front["name"], lang=lang, covers=tuple(front["covers"].split()), title=front["title"],
        acts_on=front["acts_on"], line=front["line"], sections=MappingProxyType(dict(zip(KEYS, sections, strict=True))),
    )  # fmt: skip


def _sections(body: str, headings: tuple[str, ...], where: str) -> list[str]:
    """The text under each heading; a line that looks like a heading inside a fence is text."""
    found: list[str] = []
    texts: list[list[str]] = []
    fenced = False
    for line in body.splitlines():
        fenced ^= bool(_FENCE.match(line))
        if line.startswith("## ") and not fenced:
            at = len(found)
            title = line[3:].strip()
            if at >= len(headings) or title != headings[at]:
                required = f"'## {headings[at]}'" if at < len(headings) else "the end of the card"
                raise UsageError(f"{where}: heading {at + 1} must be {required}, got '## {title}'.")
            found.append(title)
            texts.append([])
        elif texts:
            texts[-1].append(line)
        elif line.strip():
            raise UsageError(f"{where}: text before the first heading '## {headings[0]}': {line.strip()!r}.")
    if len(found) < len(headings):
        raise UsageError(f"{where}: heading {len(found) + 1}, '## {headings[len(found)]}', is missing.")
    empty = next((t for t, lines in zip(found, texts, strict=True) if not "".join(lines).strip()), None)
    if empty is not None:
        raise UsageError(f"{where}: there is no text under '## {empty}'.")
    return ["\n".join(lines).strip() for lines in texts]


def _front_matter(text: str, where: str) -> tuple[dict[str, str], str]:
    """The `key: value` lines between two lines of `---`, and what follows them."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        raise UsageError(f"{where}: must begin with `key: value` lines between two lines of ---.")
    end = [line.strip() for line in lines[1:]].index("---") + 1
    front: dict[str, str] = {}
    for line in lines[1:end]:
        key, colon, value = line.partition(":")
        if line.strip() and (not colon or key.strip() in front):
            raise UsageError(
                f"{where}: the front matter's lines are `key: value`, each key once, got {line.strip()!r}."
            )
        if line.strip():
            front[key.strip()] = value.strip()
    return front, "\n".join(lines[end + 1 :])


def _entry(one: Card) -> str:
    shorts = ", ".join(f"`{s}`" for s in one.shorts)
    return f"**{one.title}** ({shorts}): {one.line}"


def _map(lang: str) -> str:
    """Where each technique acts, along the way of the data; words of two-cell letters stand in the last column."""
    rows: dict[str, list[str]] = {place: [] for place in PLACES}
    for one in cards(lang):
        rows[one.acts_on] += one.shorts
    wide = max(len(" ".join(shorts)) for shorts in rows.values())
    say = words(lang)
    drawn = [f"{PLACES[p]:<3} {' '.join(s):<{wide}}  {say[p]}" for p, s in rows.items() if s]
    return "```text\n" + "\n".join(drawn) + "\n```"


def _check_language(lang: str) -> None:
    if lang not in LANGUAGES:
        raise UsageError(f"lang must be one of {', '.join(LANGUAGES)}, got {lang!r}.")


def _folder(lang: str) -> Traversable:
    return files(__package__).joinpath("guides", lang)


def _text(lang: str, name: str) -> str:
    return _folder(lang).joinpath(f"{name}.md").read_text(encoding="utf-8")


@lru_cache(maxsize=len(LANGUAGES))
def _words(lang: str) -> Mapping[str, str]:
    return MappingProxyType(_front_matter(_text(lang, "_words"), f"guides/{lang}/_words.md")[0])


@lru_cache(maxsize=len(LANGUAGES))
def _deck(lang: str) -> tuple[Card, ...]:
    names = sorted(p.name for p in _folder(lang).iterdir() if p.name.endswith(".md") and not p.name.startswith("_"))
    deck = []
    for name in names:
        one = parse_card(_text(lang, name[:-3]), lang, f"guides/{lang}/{name}")
        if one.name != name[:-3]:
            raise UsageError(f"guides/{lang}/{name}: name must be the file's, {name[:-3]!r}, got {one.name!r}.")
        deck.append(one)
    return tuple(deck)
