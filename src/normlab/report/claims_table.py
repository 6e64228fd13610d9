"""Claims as a table, in a notebook, on a page and as Markdown: a body for each claim, a row for each condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markupsafe import Markup

from ..language import LANGUAGES, both, choose
from .claims_text import HELD, LEGEND, facts, summary
from .drawing import Text
from .notebook import plain_table
from .parts import Cell, Table
from .settings import listed

__all__ = ["Claimed", "claimed", "fragment", "table"]


@dataclass(frozen=True)
class Claimed:
    """Everything the template needs of one run of claims."""

    number: int
    key: str
    name: Text
    headline: Text
    claims: Table
    legend: Text
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "claims.html"


def claimed(document: Mapping[str, Any], number: int) -> Claimed:
    """Build chapter `number` of a report from a `normlab.claims/1` document."""
    from .chapter import embedded

    key = f"c{number}"
    return Claimed(
        number=number, key=key, name=both("claims"), headline=summary(document["claims"]), claims=table(document),
        legend=both(LEGEND), command=str(document["command"]),
        facts=[(both("versions"), listed(document["versions"])), (both("machine"), listed(document["machine"]))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )  # fmt: skip


def table(document: Mapping[str, Any]) -> Table:
    """Every claim with its verdict, and every condition with what came."""
    head: list[Cell] = [both("condition"), both("came out"), both("figures")]
    groups = [(_heading(entry), _rows(entry)) for entry in document["claims"]]
    return Table(both("The claims, their conditions and what came"), head, groups)


def _heading(entry: Mapping[str, Any]) -> Text:
    said = {lang: entry["title"][lang] for lang in LANGUAGES}
    return both(
        "{letter}: {title} {verdict}. {source}; {setting}; {facts}", letter=entry["letter"], title=said,
        verdict=both(entry["verdict"]), source=entry["source"], setting=entry["setting"], facts=facts(entry),
    )  # fmt: skip


def _rows(entry: Mapping[str, Any]) -> Sequence[Sequence[Cell]]:
    return [[dict(one["text"]), both(HELD[one["holds"]]), dict(one["said"])] for one in entry["conditions"]]


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang = choose(lang)
    pieces = [
        f'<div lang="{lang}">', f"<p><b>{escape(summary(document['claims'])[lang])}</b></p>",
        plain_table(table(document), lang), f"<p>{escape(both(LEGEND)[lang])}</p>",
        f"<p><code>{escape(document['command'])}</code></p></div>",
    ]  # fmt: skip
    return "\n".join(pieces)
