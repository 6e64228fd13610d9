"""The guide: the cards by what they act on, a card with its code and its board, and the four questions of `advise`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from ... import cards, registry
from ...board import Setting, board
from ...constraints import OneOf
from ...experiments.arms import EXPLAINED
from ...language import LANGUAGES, both
from ...report.live_board import live_boards
from ...report.shelf import Seen, cards_of
from ...result import machine, versions
from ..advice_shown import advised, ladder
from ..fields import Field, Text
from ..view import Asked, Shown, View, render

__all__ = ["VIEW"]

FIRST = ""
"""The name where no card is chosen: the list, and the chooser."""


def _names() -> tuple[str, ...]:
    """Every name under which a card is found."""
    found = [name for one in cards.cards() for name in (one.name, *one.covers, *one.shorts)]
    return tuple(dict.fromkeys(found))


def _question(name: str) -> Field:
    from ...advice.questions import QUESTIONS

    question = QUESTIONS[name]
    answers: list[tuple[str, str | Text]] = [(FIRST, both("I do not know"))]
    answers += [(word, both(meaning)) for word, meaning in question.answers.items()]
    return Field(name, both(question.asks), FIRST, OneOf(FIRST, *question.answers), "choice", answers)


class Guide(View):
    """The list and the chooser at /guide, a card at /guide/NAME."""

    name, place, path, title = "guide", 4, "/guide", both("Guide")
    paths = ("/guide/{name}",)
    template, script = "guide.html", "guide.js"
    fields = (
        Field("name", both("card"), FIRST, OneOf(FIRST, *_names()), "hidden"),
        *(_question(name) for name in ("data", "batch", "agree", "net")),
    )

    def show(self, asked: Asked) -> Shown:
        return self._card(asked) if asked.state["name"] else self._list(asked)

    def context(self, asked: Asked) -> dict[str, Any]:
        name = asked.state["name"]
        return {
            "on_card": bool(name), "asks": both("Which one should I take? Four questions"), "index": both("Cards"),
            "all": both("All cards, and four questions"), "places": list(_places(name)) if name else (),
        }  # fmt: skip

    def _list(self, asked: Asked) -> Shown:
        from ...advice import advise

        given = {name: asked.state[name] or None for name in ("data", "batch", "agree", "net")}
        document = advise(**given).to_dict() if any(given.values()) else None
        html = render(
            "guide_list.html", asked.lang, places=list(_places()), say=_words(), intro=_intro(),
            advice=None if document is None else advised(document),
        )  # fmt: skip
        if document is None:
            return Shown(html, "normlab guide", "import normlab as nl\n\nprint(nl.list_methods())\n")
        words = ", ".join(f"{name}={value!r}" for name, value in given.items() if value)
        python = f"import normlab as nl\n\nprint(nl.advise({words}))\n"
        return Shown(html, document["command"], python, document, document["verdicts"][0])

    def _card(self, asked: Asked) -> Shown:
        name = asked.state["name"]
        one = cards.card(name)
        text = cards_of({"arms": [{"method": method} for method in one.covers]}, "card", Seen())[0]
        boards = {
            method: live_boards(board(Setting(method)), asked.lang, key=f"board-{method}") for method in one.covers
        }
        html = render(
            "guide_card.html", asked.lang, card=text, boards=[b for drawn in boards.values() for b in drawn],
            ways=list(_ways(one.covers)), shorts=one.shorts, acts={lang: _acts(one, lang) for lang in LANGUAGES},
            say=_words(),
        )  # fmt: skip
        short = one.shorts[0]
        python = f'import normlab as nl\n\nhelp(nl.{_place(one.covers[0])})\n'
        return Shown(html, f"normlab guide {short}", python, _document(one), text.title)


def _place(method: str) -> str:
    """Where Python has the method."""
    definition = registry.method(method)
    return f"data.{definition.class_name}" if definition.role == "input" else f"functional.{definition.name}"


def _acts(one: cards.Card, lang: str) -> str:
    say = cards.words(lang)
    return f"{say['acts']}: {say[one.acts_on]}"


def _intro() -> dict[str, Text]:
    """Title and first paragraph of what `normlab guide` prints."""
    parts = {lang: cards.overview(lang).split("\n\n", 2) for lang in LANGUAGES}
    return {
        "title": {lang: found[0].removeprefix("# ") for lang, found in parts.items()},
        "text": {lang: " ".join(found[1].split()) for lang, found in parts.items()},
    }


def _places(here: str = "") -> Iterator[tuple[Text, list[dict[str, Any]]]]:
    """The cards by what they act on, in the order in which data pass it; `here` is one of them."""
    current = cards.card(here).name if here else ""
    decks = {lang: {one.name: one for one in cards.cards(lang)} for lang in LANGUAGES}
    for place in cards.PLACES:
        found = [
            {
                "title": {lang: deck[name].title for lang, deck in decks.items()}, "shorts": one.shorts,
                "line": {lang: deck[name].line for lang, deck in decks.items()}, "here": name == current,
            }
            for name, one in decks["en"].items() if one.acts_on == place
        ]  # fmt: skip
        if found:
            yield {lang: cards.words(lang)[place] for lang in LANGUAGES}, found


def _ways(covers: tuple[str, ...]) -> Iterator[tuple[Text, str, str]]:
    """Where else the methods of a card can be tried: what a link says, of which method, and where it leads."""
    for definition in map(registry.method, covers):
        if definition.role not in EXPLAINED:
            yield both("Try it in the ladder"), definition.short, ladder(definition.short)
        yield both("Its sharing board"), definition.short, "/share?" + urlencode({"method": definition.name})


def _document(one: cards.Card) -> dict[str, Any]:
    """What *Save HTML* makes a report of: the card's name; the report has the same texts."""
    return {
        "schema": "normlab.guide/1", "command": f"normlab guide {one.shorts[0]}", "versions": versions(),
        "machine": machine(), "settings": {"name": one.name}, "wall_s": 0.0,
    }  # fmt: skip


def _words() -> dict[str, Text]:
    return {
        "code": both("Code"),
        "how": both("Point at a cell, or move with the arrow keys: everything that shares its statistic is lifted."),
        "for": both("Speaks for it"),
        "against": both("Speaks against it"),
        "then": both("Then"),
        "out": both("Ruled out"),
        "besides": both("Besides"),
        "changes": both("What would change the answer:"),
        "cards": both("The cards"),
        "ladder": both("Try it in the ladder"),
        "axes": both("In NumPy:"),
    }


VIEW = Guide()
