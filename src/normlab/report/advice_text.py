"""The terminal's text of an advice: the choice, the ranking with its reasons, what would change it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..language import N_, choose, translate
from .cells import cell_len, pad, wrap
from .grid import Paint

__all__ = ["cited", "text"]

PLACES = {
    r"sec\. (?P<first>[0-9.]+) and (?P<last>[0-9.]+)": N_("sec. {first} and {last}"),
    r"sec\. (?P<at>[0-9]+(?:\.[0-9]+)*)": N_("sec. {at}"),
    r"Tables? (?P<at>[0-9]+)": N_("Table {at}"),
    r"eq\. (?P<first>[0-9]+) and (?P<last>[0-9]+)": N_("eq. {first} and {last}"),
    r"eq\. (?P<at>[0-9]+)": N_("eq. {at}"),
    r"Theorems (?P<first>[0-9]+) to (?P<last>[0-9]+)": N_("Theorems {first} to {last}"),
    r"Theorem (?P<at>[0-9]+)": N_("Theorem {at}"),
    r"Algorithm (?P<at>[0-9]+)": N_("Algorithm {at}"),
    r"appendix (?P<at>[A-Z])": N_("appendix {at}"),
    r"\babstract\b": N_("abstract"),
}
"""Places in a paper, as `source` has them, and how they are said."""
FULL = 3
"""So many of the ranking are shown with their reasons; the others by name."""
MOST_FOR, MOST_AGAINST = 3, 2
COPIED = "\u00a0"  # holds the words of a command together, so that it can be copied


def text(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.advise/1` document as text: answers, first choice, three places, the others, changes, notes."""
    lang = choose(lang)
    paint = Paint(color)
    first, *depends = document["verdicts"]
    blocks = [
        wrap(_answers(document, lang), width) + _items(document["read"], lang, width),
        [paint.bold(line) for line in wrap(first[lang], width)] + _items(depends, lang, width),
    ]
    if document["measured"] is not None:
        measured = document["measured"]
        blocks.append(_items([measured["text"], *measured["verdicts"]], lang, width))
    places = [one for one in document["ranking"] if one["place"] is not None]
    shown = [one for one in places if one["points"] >= 0 or one["place"] == 1][:FULL]
    blocks += [_ranked(one, lang, paint, width) for one in shown]
    blocks.append(_others([one for one in places if one not in shown], lang, width))
    blocks.append(_ruled_out([one for one in document["ranking"] if one["excluded"]], lang, width))
    blocks.append(_beside(document["ranking"], lang, width))
    blocks.append(_changes(document["changes"], lang, width))
    blocks.append(_items(document["notes"], lang, width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def cited(reason: Mapping[str, Any], lang: str) -> str:
    """Where a reason comes from: a paper and its place, or a command that shows it; and a claim that can be run.

    What the claim came to where it was run for the documentation is said unless it was reproduced in full.
    """
    claim = f"normlab claims {reason['claim']}" if reason["claim"] else ""
    if reason["claim_verdict"] not in (None, "reproduced"):
        claim += f": {translate(reason['claim_verdict'], lang)}"
    source = _place_in_words(reason["source"], lang) if reason["source"] else reason["command"]
    return "; ".join(part for part in (source, claim) if part)


def _place_in_words(source: str, lang: str) -> str:
    """A paper's section or table in the reader's language."""
    for pattern, message in PLACES.items():
        source = re.sub(pattern, lambda found, m=message: translate(m, lang, **found.groupdict()), source)  # type: ignore[misc]
    return source


def _answers(document: Mapping[str, Any], lang: str) -> str:
    settings = document["settings"]
    shown = {q: translate("left out", lang) if a is None else a for q, a in settings.items() if q != "measure"}
    agree = settings["agree"]
    if agree is not None:
        shown["agree"] = translate(agree, lang)
    return translate("data {data}, batch {batch}, agreement {agree}, network {net}", lang, **shown)


def _ranked(one: Mapping[str, Any], lang: str, paint: Paint, width: int) -> list[str]:
    """A method with its strongest reasons for and against, and the command that shows its card."""
    head = f"{one['place']}{'=' if one['tied'] else '.'} {one['short']}  {one['title'][lang]}"
    room = width - cell_len(one["card"])
    lines = [paint.bold(pad(head, room)) + one["card"] if cell_len(head) + 2 <= room else paint.bold(head)]
    for mark, most, speaks in (("+", MOST_FOR, 1), ("-", MOST_AGAINST, -1)):
        for reason in [r for r in one["reasons"] if r["points"] * speaks > 0][:most]:
            lines += _reason(reason, mark, lang, width)
    return lines


def _reason(reason: Mapping[str, Any], mark: str, lang: str, width: int) -> list[str]:
    said = f"{_condition(reason, lang)}{reason['text'][lang]} {_bracketed(reason, lang)}"
    return wrap(said, width, indent=5, first=f"   {mark} ")


def _bracketed(reason: Mapping[str, Any], lang: str) -> str:
    """The source in brackets; a command stays on one line, so that it can be copied."""
    parts = cited(reason, lang).split("; ")
    return f"({'; '.join(p.replace(' ', COPIED) if p.startswith('normlab ') else p for p in parts)})"


def _condition(reason: Mapping[str, Any], lang: str) -> str:
    """What was left out and has to be so that the reason holds."""
    if reason["holds"]:
        return ""
    parts = "; ".join(f"{one['topic'][lang]} {one['answers'][lang]}" for one in reason["if"])
    return translate("[if {answers}]", lang, answers=parts) + " "


def _others(ranked: Sequence[Mapping[str, Any]], lang: str, width: int) -> list[str]:
    if not ranked:
        return []
    names = ", ".join(f"{one['place']}{'=' if one['tied'] else '.'}\u00a0{one['short']}" for one in ranked)
    return wrap(translate("Then: {names}", lang, names=names), width)


def _ruled_out(excluded: Sequence[Mapping[str, Any]], lang: str, width: int) -> list[str]:
    lines = []
    for one in excluded:
        reason = next(r for r in one["reasons"] if r["weight"] == "excludes")
        said = translate("Ruled out: {name}. {reason}", lang, name=one["short"], reason=reason["text"][lang])
        lines += _hanging(f"{said} {_bracketed(reason, lang)}", width)
    return lines


def _beside(ranking: Sequence[Mapping[str, Any]], lang: str, width: int) -> list[str]:
    """What acts elsewhere in the network, where something speaks for it: it takes no other's place."""
    lines = []
    for one in ranking:
        reason = next((r for r in one["reasons"] if r["points"] > 0 and r["holds"]), None)
        if one["beside"] and one["points"] > 0 and reason is not None:
            said = translate("Besides: {name}. {reason}", lang, name=one["short"], reason=reason["text"][lang])
            lines += _hanging(f"{said} {_bracketed(reason, lang)}", width)
    return lines


def _changes(changes: Sequence[Mapping[str, Any]], lang: str, width: int) -> list[str]:
    """What other answers would put first; of those that were left out the sentences at the top speak."""
    cases = [case for one in changes if one["given"] for case in one["cases"]]
    if not cases:
        return []
    title = translate("What would change the answer:", lang)
    return [title, *(line for case in cases for line in wrap(case["text"][lang], width, indent=4, first="  * "))]


def _hanging(text: str, width: int) -> list[str]:
    first, *_ = wrap(text, width)
    rest = wrap(text[len(first) :].replace("\n", " "), width, indent=2)
    return [first, *rest]


def _items(texts: Sequence[Mapping[str, str]], lang: str, width: int) -> list[str]:
    return [line for text in texts for line in wrap(text[lang], width, indent=2, first="* ")]
