"""Claims as a page of the documentation, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import N_, choose, translate
from .claims_text import HELD, LEGEND, facts, summary
from .settings import listed

__all__ = ["page"]

HEADS = (N_("claim"), N_("source"), N_("verdict"), N_("conditions that hold"), N_("seeds"), N_("seconds"))
CAME = (N_("condition"), N_("came out"), N_("figures"))


def page(document: Mapping[str, Any], lang: str = "en") -> str:
    """A `normlab.claims/1` document: a table of the claims, then each with its conditions; lines are not broken."""
    lang = choose(lang)
    entries = document["claims"]
    rows = [_row(entry, lang) for entry in entries]
    told = [_told(entry, lang) for entry in entries]
    setting = translate(
        "Measured on {machine}, with {versions}; {seconds} s altogether.", lang, machine=listed(document["machine"]),
        versions=listed(document["versions"]), seconds=f"{document['wall_s']:.0f}",
    )  # fmt: skip
    lead = f"{summary(entries)[lang]} {translate(LEGEND, lang)} {setting}"
    return "\n\n".join([lead, _table(["", *(translate(head, lang) for head in HEADS)], rows), *told]) + "\n"


def _row(entry: Mapping[str, Any], lang: str) -> list[str]:
    held = sum(bool(one["holds"]) for one in entry["conditions"])
    return [
        f"[{entry['letter']}](#{entry['letter']})", entry["title"][lang], entry["source"],
        translate(entry["verdict"], lang), f"{held} / {len(entry['conditions'])}", str(entry["seeds"] or ""),
        f"{entry['seconds']:.0f}",
    ]  # fmt: skip


def _told(entry: Mapping[str, Any], lang: str) -> str:
    """One claim: its title, where it comes from, what was run, and a row for each condition."""
    verdict = translate(entry["verdict"], lang)
    rows = [[one["text"][lang], translate(HELD[one["holds"]], lang), one["said"][lang]] for one in entry["conditions"]]
    source = translate("Source: {source}.", lang, source=entry["source"])
    run = translate("Run here: {setting}; {facts}.", lang, setting=entry["setting"], facts=facts(entry))
    table = _table([translate(head, lang) for head in CAME], rows)
    return "\n\n".join([f"## {entry['letter']}", f"**{entry['title'][lang]}** {verdict}.", f"{source} {run}", table])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
