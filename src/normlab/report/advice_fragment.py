"""What a notebook shows of an advice: the choice, a table of the ranking with reasons, what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..language import LANGUAGES, both, choose
from .advice_text import cited
from .notebook import plain_table
from .parts import Cell, Table

__all__ = ["fragment", "ranking_table", "reasons_text"]


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang = choose(lang)
    pieces = [f'<div lang="{lang}">', f"<p><b>{escape(document['verdicts'][0][lang])}</b></p>"]
    pieces += [f"<p>{escape(one[lang])}</p>" for one in [*document["verdicts"][1:], *document["read"]]]
    if document["measured"] is not None:
        pieces.append(f"<p>{escape(document['measured']['text'][lang])}</p>")
    pieces.append(plain_table(ranking_table(document), lang))
    cases = [case["text"][lang] for one in document["changes"] if one["given"] for case in one["cases"]]
    if cases:
        title = both("What would change the answer:")[lang]
        pieces += [f"<p>{escape(title)}</p>", "<ul>", *(f"<li>{escape(case)}</li>" for case in cases), "</ul>"]
    pieces += [f"<p>{escape(one[lang])}</p>" for one in document["notes"]]
    return "\n".join([*pieces, f"<p><code>{escape(document['command'])}</code></p></div>"])


def ranking_table(document: Mapping[str, Any]) -> Table:
    """One row for each method that has a place: for, against, and its card."""
    rows: list[Sequence[Cell]] = [
        [
            f"{one['place']}{'=' if one['tied'] else ''}", one["short"], reasons_text(one, 1), reasons_text(one, -1),
            one["card"],
        ]
        for one in document["ranking"] if one["place"] is not None
    ]  # fmt: skip
    head: list[Cell] = ["", both("norm"), both("for"), both("against"), both("card")]
    return Table(both("The ranking, with its reasons"), head, [(None, rows)], "advice")


def reasons_text(one: Mapping[str, Any], speaks: int) -> dict[str, str]:
    """The reasons for (1) or against (-1) a method that hold whatever was left out, in both languages."""
    reasons = [r for r in one["reasons"] if r["points"] * speaks > 0 and r["holds"]]
    return {lang: " ".join(f"{r['text'][lang]} ({cited(r, lang)})" for r in reasons) for lang in LANGUAGES}
