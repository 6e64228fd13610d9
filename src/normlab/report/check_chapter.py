"""A grading as a chapter of the page, and as what a notebook shows: verdict, faults, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markupsafe import Markup

from ..formatting import number
from ..language import LANGUAGES, both, choose
from .check_text import MARKS, evidence_line
from .drawing import Text
from .notebook import plain_table
from .parts import Cell, Table
from .settings import listed

__all__ = ["Graded", "checks_table", "fragment", "graded"]


@dataclass(frozen=True)
class Fault:
    """One fault as the template writes it."""

    sentence: Text
    place: Text | None
    code: str
    evidence: Text | None
    mend: str | None


@dataclass(frozen=True)
class Graded:
    """Everything the template needs of one grading."""

    number: int
    key: str
    name: Text
    headline: Text
    faults: Sequence[Fault]
    mends: Text
    remarks: Sequence[Text]
    checks: Table
    printed: str
    prints: Text
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "check.html"


def graded(document: Mapping[str, Any], number: int) -> Graded:
    """Build chapter `number` of a report from a `normlab.check/1` document."""
    from .chapter import embedded

    key = f"c{number}"
    return Graded(
        number=number, key=key, name=both("grading"), headline=document["verdicts"][0],
        faults=[_fault(one) for one in document["faults"]], mends=both("This mends it:"),
        remarks=[*document["conventions"], *document["notes"]], checks=checks_table(document),
        printed=document["printed"]["text"],
        prints=both("It printed {letters} bytes, beginning with:", letters=document["printed"]["letters"]),
        command=str(document["command"]),
        facts=[(both("settings"), listed(document["settings"])), (both("versions"), listed(document["versions"]))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )  # fmt: skip


def _fault(one: Mapping[str, Any]) -> Fault:
    place = one["place"]
    said = {lang: evidence_line(one["evidence"], lang) for lang in LANGUAGES}
    return Fault(
        one["sentence"], None if place is None else {lang: place[lang] for lang in LANGUAGES},
        "" if place is None else place["code"], said if said["en"] else None, one["mend"],
    )  # fmt: skip


def checks_table(document: Mapping[str, Any]) -> Table:
    """One row for each check."""
    marks = {passed: both(word) for passed, word in MARKS.items()}
    rows: list[Sequence[Cell]] = [
        [{lang: one[lang] for lang in LANGUAGES}, marks[one["passed"]], number(one["worst"], 2),
         number(one["tolerance"], 2)]
        for one in document["checks"]
    ]  # fmt: skip
    head: list[Cell] = [both("check"), both("came out"), both("off by"), both("allowed")]
    return Table(both("What was checked"), head, [(None, rows)])


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang = choose(lang)
    mends = escape(both("This mends it:")[lang])
    pieces = [f'<div lang="{lang}">', f"<p><b>{escape(document['verdicts'][0][lang])}</b></p>"]
    for one in map(_fault, document["faults"]):
        pieces.append(f"<p>{escape(one.sentence[lang])}</p>")
        if one.place is not None:
            pieces.append(f"<p>{escape(one.place[lang])}: <code>{escape(one.code)}</code></p>")
        if one.mend:
            pieces.append(f"<p>{mends}</p><pre><code>{escape(one.mend)}</code></pre>")
    pieces += [f"<p>{escape(one[lang])}</p>" for one in [*document["conventions"], *document["notes"]]]
    pieces.append(plain_table(checks_table(document), lang))
    return "\n".join([*pieces, f"<p><code>{escape(document['command'])}</code></p></div>"])
