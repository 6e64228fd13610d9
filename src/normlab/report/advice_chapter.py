"""An advice as a chapter of the page: the choice, the ranking with its reasons, what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..language import both
from .advice_fragment import ranking_table
from .drawing import Text
from .parts import Table
from .settings import listed

__all__ = ["Advised", "advised"]


@dataclass(frozen=True)
class Advised:
    """Everything the template needs of one advice."""

    number: int
    key: str
    name: Text
    headline: Text
    verdicts: Sequence[Text]
    ranking: Table
    title: Text
    changes: Sequence[Text]
    notes: Sequence[Text]
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "advice.html"


def advised(document: Mapping[str, Any], number: int) -> Advised:
    """Build chapter `number` of a report from a `normlab.advise/1` document."""
    from .chapter import embedded

    key = f"c{number}"
    first, *depends = document["verdicts"]
    measured = [] if document["measured"] is None else [document["measured"]["text"]]
    said = {q: "-" if a is None else a for q, a in document["settings"].items()}
    return Advised(
        number=number,
        key=key,
        name=both("advice"),
        headline=first,
        verdicts=[*measured, *depends, *document["read"]],
        ranking=ranking_table(document),
        title=both("What would change the answer:"),
        changes=[case["text"] for one in document["changes"] if one["given"] for case in one["cases"]],
        notes=document["notes"],
        command=str(document["command"]),
        facts=[(both("settings"), listed(said)), (both("versions"), listed(document["versions"]))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )
