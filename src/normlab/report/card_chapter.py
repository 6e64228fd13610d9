"""A card of the guide as a chapter of the page, with the boards of its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..language import both
from .drawing import Text
from .settings import listed
from .shelf import CardText, MethodBoards, Seen, boards_of, cards_of

__all__ = ["GUIDE", "Carded", "carded"]

GUIDE = "normlab.guide/1"


@dataclass(frozen=True)
class Carded:
    """Everything the template needs of one document."""

    number: int
    key: str
    name: Text
    headline: Text
    boards: Sequence[MethodBoards]
    cards: Sequence[CardText]
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "carded.html"


def carded(document: Mapping[str, Any], number: int, lang: str, seen: Seen) -> Carded:
    """Build chapter `number` of a report from a `normlab.guide/1` document that names a card."""
    from ..cards import card
    from .chapter import embedded

    key = f"c{number}"
    covered = {"arms": [{"method": method} for method in card(document["settings"]["name"]).covers]}
    boards = boards_of(covered, key, lang, seen)
    found = cards_of(covered, key, seen)
    return Carded(
        number=number,
        key=key,
        name=both("guide"),
        headline=found[0].title,
        boards=boards,
        cards=found,
        command=str(document["command"]),
        facts=[(both("versions"), listed(document["versions"]))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )
