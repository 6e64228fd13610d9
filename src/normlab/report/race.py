"""A race as a chapter: what the seeds could tell apart, curves, modes, grid, layers over time, every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..language import both
from .drawing import Text
from .headline import Tile
from .numerals import amount, rounded, share
from .race_arms import leader, not_trained, setting_line, trained
from .race_gallery import Section, sections
from .race_tables import full_table, pairs_table, runs_table, stopped_table, why_stopped
from .settings import reproduction
from .shelf import CardText, Seen, cards_of

__all__ = ["Raced", "headline", "raced"]

Document = Mapping[str, Any]
_OTHERS = 4


@dataclass(frozen=True)
class Raced:
    """Everything the template needs of one race."""

    number: int
    key: str
    name: Text
    headline: Text
    verdicts: list[tuple[str, Text]]
    notes: list[Text]
    setting: Text
    tiles: list[Tile]
    refused: list[tuple[str, Mapping[str, Any]]]
    sections: list[Section]
    cards: list[CardText]
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "race.html"


def raced(document: Document, number: int, lang: str, seen: Seen) -> Raced:
    """Build chapter `number` of a report from a `normlab.train/1` document."""
    from .chapter import embedded

    key, arms = f"c{number}", trained(document)
    return Raced(
        number=number,
        key=key,
        name=both("{data} data, {net} net", data=document["data"]["name"], net=document["settings"]["net"]),
        headline=headline(document),
        verdicts=[("", dict(text)) for text in document["verdicts"][1:]],
        notes=_notes(document),
        setting=setting_line(document),
        tiles=tiles(arms),
        refused=[(str(arm["label"]), arm["refused"]) for arm in not_trained(document)],
        sections=[*sections(document, lang), *_tables(document)] if arms else [],
        cards=cards_of(document, key, seen),
        command=str(document["command"]),
        facts=[*reproduction(document), (both("data"), _data(document))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )


def headline(document: Document) -> Text:
    """The first sentence: the ranking or its refusal; with one arm, how it fared."""
    if document["verdicts"] and len(trained(document)) > 1:
        return dict(document["verdicts"][0])
    arms = trained(document)
    if not arms:
        return both("Nothing was trained: no arm could act in this network.")
    return both(
        "{label} gets {share} of the test rows right, at the learning rate {lr}.", label=arms[0]["label"],
        share=share(arms[0]["final"]["test_accuracy"]), lr=rounded(arms[0]["lr"]),
    )  # fmt: skip


def tiles(arms: Sequence[Mapping[str, Any]]) -> list[Tile]:
    """Three numbers: test accuracy, training loss, learning rate; those of the arm with the highest accuracy large."""
    if not arms:
        return []
    best = leader(arms)
    others = [arm for arm in arms if arm is not best][:_OTHERS]
    wanted = (
        (both("test accuracy"), lambda a: share(a["final"]["test_accuracy"])),
        (both("training loss at the end"), lambda a: amount(a["final"]["train_loss"])),
        (both("learning rate taken"), lambda a: rounded(a["lr"])),
    )
    return [Tile(k, str(best["label"]), read(best), [(str(a["label"]), read(a)) for a in others]) for k, read in wanted]


def _tables(document: Document) -> list[Section]:
    found: list[Section] = []
    pairs = pairs_table(document)
    if pairs is not None:
        found.append(Section("pairs", both("Who can be told from whom"), tables=[pairs]))
    ends = stopped_table(document)
    steps = f"{document['settings']['steps']:,}"
    said = why_stopped(document) or [both("Every run took all {steps} steps.", steps=steps)]
    found.append(Section("stopped", both("Why the runs ended"), said, tables=[ends] if ends else []))
    found.append(Section("table", both("The full table"), tables=[full_table(document), runs_table(document)]))
    return found


def _notes(document: Document) -> list[Text]:
    found = list(document.get("notes") or ())
    if document.get("interrupted"):
        found.insert(0, both("This race was interrupted: the arms that were not finished are missing."))
    return found


def _data(document: Document) -> str:
    held = document["data"]
    shape = " x ".join(str(n) for n in held["shape"])
    return f"{held['name']}, {shape}, {held['rows']} + {held['test_rows']}, {held.get('fingerprint', '')}"
