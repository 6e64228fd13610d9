"""An advice as the page shows it: places with their reasons, those behind, what is ruled out, what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..language import LANGUAGES, translate
from ..report.advice_text import cited

__all__ = ["advised", "ladder"]

Text = Mapping[str, str]
FULL = 3
"""So many places are shown with their reasons, as in the terminal; the others by name."""
NONE = "none"


def advised(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs of a `normlab.advise/1` document."""
    first, *depends = document["verdicts"]
    placed = [one for one in document["ranking"] if one["place"] is not None]
    full = [one for one in placed if one["points"] >= 0 or one["place"] == 1][:FULL]
    return {
        "headline": first, "depends": [*depends, *document["read"]], "places": [_place(one) for one in full],
        "then": [_named(one) for one in placed if one not in full],
        "out": [
            {**_named(one), "reason": _reason(next(r for r in one["reasons"] if r["weight"] == "excludes"))}
            for one in document["ranking"] if one["excluded"]
        ],
        "besides": list(_besides(document["ranking"])),
        "changes": [case["text"] for one in document["changes"] if one["given"] for case in one["cases"]],
        "notes": document["notes"],
    }  # fmt: skip


def ladder(short: str) -> str:
    """The ladder with this method beside the network without."""
    return "/?" + urlencode({"right": short})


def _named(one: Mapping[str, Any]) -> dict[str, Any]:
    """A method with its place and the links to its card and to the ladder; no normalization has no card."""
    none = one["method"] == NONE
    return {
        "title": one["title"], "short": one["short"], "place": f"{one['place']}{'=' if one['tied'] else '.'}",
        "card": "" if none else f"/guide/{one['short']}", "ladder": "" if none else ladder(one["short"]),
    }  # fmt: skip


def _place(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_named(one),
        "pro": [_reason(r) for r in one["reasons"] if r["points"] > 0],
        "con": [_reason(r) for r in one["reasons"] if r["points"] < 0],
    }


def _besides(ranking: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What acts elsewhere in the network, where something speaks for it."""
    for one in ranking:
        reason = next((r for r in one["reasons"] if r["points"] > 0 and r["holds"]), None)
        if one["beside"] and one["points"] > 0 and reason is not None:
            yield {**_named(one), "reason": _reason(reason)}


def _reason(reason: Mapping[str, Any]) -> dict[str, Text]:
    """What a rule says, on which condition, and who says so."""
    return {"text": {lang: _condition(reason, lang) + reason["text"][lang] for lang in LANGUAGES},
            "source": {lang: cited(reason, lang) for lang in LANGUAGES}}  # fmt: skip


def _condition(reason: Mapping[str, Any], lang: str) -> str:
    if reason["holds"]:
        return ""
    parts = "; ".join(f"{one['topic'][lang]} {one['answers'][lang]}" for one in reason["if"])
    return translate("[if {answers}]", lang, answers=parts) + " "
