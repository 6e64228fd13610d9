"""The boards and cards of the methods that a document uses: each once in a file, later chapters point back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..errors import NormlabError
from ..language import LANGUAGES
from .arms import definition_of, title_of
from .board import Board, boards
from .drawing import Text
from .markdown import to_html

if TYPE_CHECKING:
    from ..definition import Definition

__all__ = ["CardText", "MethodBoards", "Seen", "Tab", "boards_of", "cards_of"]

Document = Mapping[str, Any]


@dataclass
class Seen:
    """Where the file has a method's boards, and a card, already."""

    boards: dict[str, str] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodBoards:
    """The boards of one method; `earlier` where they stand at `place` in an earlier chapter."""

    place: str
    title: Text
    earlier: bool = False
    line: str = ""
    boards: tuple[tuple[Board, str], ...] = ()
    facts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Tab:
    """A card's code for one framework: of each method covered its title, the program, and sentences on it."""

    name: str
    parts: tuple[tuple[Text | None, Markup, Text], ...]


@dataclass(frozen=True)
class CardText:
    """One card in both languages; `earlier` as with boards; a section is its key, heading, and HTML by language.

    `tabs` stand beside what is written in the section `code`.
    """

    place: str
    title: Text
    line: Text
    board: str | None = None
    earlier: bool = False
    sections: tuple[tuple[str, Text, Mapping[str, Markup]], ...] = ()
    tabs: tuple[Tab, ...] = ()


def boards_of(document: Document, key: str, lang: str, seen: Seen) -> list[MethodBoards]:
    """The boards of the document's methods, in its order."""
    found = []
    for definition, title in _methods(document):
        if definition.name in seen.boards:
            found.append(MethodBoards(seen.boards[definition.name], title, earlier=True))
            continue
        place = seen.boards[definition.name] = f"{key}-board-{len(seen.boards)}"
        drawn, facts = boards(definition, lang)
        pictures = tuple((one, one.drawing.svg(one.title, one.inventory)) for one in drawn)
        lines = definition.lines(definition.validate({}))
        line = "   ".join(str(pattern) for pattern in lines.values())
        found.append(MethodBoards(place, title, line=line, boards=pictures, facts=tuple(facts)))
    return found


def cards_of(document: Document, key: str, seen: Seen) -> list[CardText]:
    """The cards of the document's methods, in its order; a user's own line has none."""
    from ..cards import KEYS, card, heading

    found: dict[str, CardText] = {}
    for definition, _ in _methods(document):
        try:
            texts = {lang: card(definition.name, lang) for lang in LANGUAGES}
        except NormlabError:
            continue
        name = texts["en"].name
        title, line = ({lang: getattr(text, what) for lang, text in texts.items()} for what in ("title", "line"))
        if name in found:
            continue
        if name in seen.cards:
            found[name] = CardText(seen.cards[name], title, line, earlier=True)
            continue
        place = seen.cards[name] = f"{key}-card-{name}"
        sections = []
        for part in KEYS:
            # The text's own board is letters in a fence; the drawn one stands on this page.
            written = {
                lang: text.sections[part].replace("{{board}}", "") if part == "shares" else text.section(part)
                for lang, text in texts.items()
            }
            heads = {lang: heading(part, lang) for lang in LANGUAGES}
            sections.append((part, heads, {lang: to_html(source) for lang, source in written.items()}))
        board, tabs = seen.boards.get(definition.name), _tabs(texts["en"].definitions)
        found[name] = CardText(place, title, line, board, sections=tuple(sections), tabs=tabs)
    return list(found.values())


def _tabs(covered: Sequence[Definition]) -> tuple[Tab, ...]:
    """The programs of a card's methods, framework by framework; code is the same in both languages."""
    from ..tabs import FRAMEWORKS, program, remarks

    def part(d: Definition, face: str) -> tuple[Text | None, Markup, Text]:
        title = {"en": d.title, "ko": d.title_ko} if len(covered) > 1 else None
        notes = {lang: remarks(d, face, lang) for lang in LANGUAGES}
        return title, to_html(f"```python\n{program(d, face)}```"), {n: to_html(text) for n, text in notes.items()}

    return tuple(Tab(f.title, tuple(part(d, face) for d in covered)) for face, f in FRAMEWORKS.items())


def _methods(document: Document) -> Iterator[tuple[Definition, Text]]:
    """The definitions behind the arms, each once."""
    names = set()
    for arm in document["arms"]:
        definition = definition_of(arm)
        if definition is not None and definition.name not in names:
            names.add(definition.name)
            yield definition, title_of(arm)
