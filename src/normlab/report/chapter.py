"""One document as a chapter: what the template writes out, in the order in which it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..errors import NormlabError
from ..language import both
from .arms import acting, refused
from .drawing import Text
from .gallery import gallery
from .headline import Tile, tiles
from .parts import Figure, Table
from .settings import name_of, reproduction, setting_line
from .shelf import CardText, MethodBoards, Seen, boards_of, cards_of
from .tables import full_table, limits_table

__all__ = ["Chapter", "chapter", "embedded"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Chapter:
    """Everything the template needs of one document."""

    number: int
    key: str
    name: Text
    headline: Text
    verdicts: list[tuple[str, Text]]
    notes: list[Text]
    setting: Text
    tiles: list[Tile]
    refused: list[tuple[str, Mapping[str, Any]]]
    figures: dict[str, Figure]
    note_rows: list[Mapping[str, Any]]
    table: Table | None
    boards: list[MethodBoards]
    cards: list[CardText]
    limits: Table | Text | None
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "chapter.html"


def chapter(document: Document, number: int, lang: str, seen: Seen) -> Chapter:
    """Build chapter `number` of a report."""
    from ..experiments.note_sentences import note_sentences

    key = f"c{number}"
    ran = bool(acting(document))
    sentences = _marked(document)
    return Chapter(
        number=number,
        key=key,
        name=name_of(document),
        headline=sentences[0][1] if sentences else _nothing(ran),
        verdicts=sentences[1:],
        notes=list(document.get("notes") or ()),
        setting=setting_line(document),
        tiles=tiles(document),
        refused=[(str(arm["label"]), arm["refused"]) for arm in refused(document) if arm.get("refused")],
        figures=gallery(document, lang) if ran else {},
        note_rows=[{**row, "word": both(row["verdict"])} for row in note_sentences(document)],
        table=full_table(document) if ran else None,
        boards=boards_of(document, key, lang, seen),
        cards=cards_of(document, key, seen),
        limits=_limits(document),
        command=str(document["command"]),
        facts=reproduction(document),
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )


def _nothing(ran: bool) -> Text:
    if ran:
        return both("These numbers bear no sentence.")
    return both("Nothing to compare: no arm could act in this network.")


def embedded(document: Document) -> Markup:
    """The document as JSON that cannot end the script element it stands in."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # only inside strings can these signs stand, and there the escapes mean the same


def _marked(document: Document) -> list[tuple[str, Text]]:
    """The document's own sentences, with their marks where they are still the ones that the numbers give."""
    from ..experiments.verdicts import marked

    now = marked(document)
    marks = {verdict.text["en"]: verdict.mark for verdict in now}
    kept = [dict(verdict) for verdict in document["verdicts"]] or [verdict.text for verdict in now]
    return [(marks.get(text["en"], ""), text) for text in kept]


def _limits(document: Document) -> Table | Text | None:
    """The variations as a table; why they could not be run; None where there is nothing to vary."""
    from ..experiments.limits import limits

    try:
        changes = limits(document)
    except NormlabError as problem:  # its data are not here any more, or its arms are unknown to this copy
        return both("Not measured here: {reason}", reason=str(problem))
    return limits_table(document, changes) if changes else None
