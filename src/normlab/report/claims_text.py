"""The terminal's text of claims: each with its verdict, and under it every condition with what came."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import MISSING
from ..language import N_, both, choose, translate
from .cells import cell_len, pad, wrap
from .grid import Paint

__all__ = ["HELD", "LEGEND", "facts", "listing", "summary", "text"]

Text = dict[str, str]
HELD = {True: N_("holds"), False: N_("does not hold"), None: N_("not run")}
MARKS = {True: "+", False: "-", None: "?"}
LEGEND = N_("In square brackets stand, over the seeds, intervals of 95 %.")
INDENT = 3


def text(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.claims/1` document as lines of at most `width` cells."""
    lang, paint = choose(lang), Paint(color)
    blocks = [_claim(entry, lang, paint, width) for entry in document["claims"]]
    tail = [*wrap(translate(LEGEND, lang), width), *wrap(summary(document["claims"])[lang], width)]
    return "\n\n".join("\n".join(block) for block in (*blocks, tail))


def _claim(entry: Mapping[str, Any], lang: str, paint: Paint, width: int) -> list[str]:
    lines = [paint.bold(line) for line in _headed(entry, lang, width)]
    lines += wrap(f"{entry['source']}; {facts(entry)[lang]}", width, indent=INDENT)
    lines += wrap(entry["setting"][lang], width, indent=INDENT)
    for one in entry["conditions"]:
        mark = f" {MARKS[one['holds']]} "
        lines += wrap(one["text"][lang], width, indent=INDENT, first=mark)
        lines += wrap(_unbroken(one["said"][lang]), width, indent=INDENT + 2)
    return lines


def _unbroken(text: str) -> str:
    """An interval stays on one line with the figure that it belongs to."""
    return re.sub(r"( )?\[[^\[\]]*\]", lambda found: found[0].replace(" ", "\u00a0"), text)


def _lead(entry: Mapping[str, Any]) -> str:
    return f"{entry['letter']}  "


def _headed(entry: Mapping[str, Any], lang: str, width: int) -> list[str]:
    """The title with the verdict at the right edge of its first line."""
    verdict = translate(entry["verdict"], lang)
    first, *rest = wrap(entry["title"][lang], width - cell_len(verdict) - 2, indent=INDENT, first=_lead(entry))
    return [pad(first, width - cell_len(verdict)) + verdict, *rest]


def facts(entry: Mapping[str, Any]) -> Text:
    """Seeds and seconds of one claim."""
    if not entry["seeds"]:
        return both("{seconds} s", seconds=_seconds(entry))
    return both("{seeds} seeds, {seconds} s", seeds=entry["seeds"], seconds=_seconds(entry))


def _seconds(entry: Mapping[str, Any]) -> str:
    return MISSING if entry["seconds"] is None else f"{entry['seconds']:.0f}"


def summary(entries: Sequence[Mapping[str, Any]]) -> Text:
    """How many claims came to which verdict."""
    counts = Counter(entry["verdict"] for entry in entries)
    parts = [both("{verdict} {count}", verdict=both(verdict), count=count) for verdict, count in counts.items()]
    return both("Claims: {count}; {parts}.", count=len(entries), parts=_joined(parts))


def _joined(parts: Sequence[Text]) -> Text:
    return {lang: ", ".join(part[lang] for part in parts) for lang in ("en", "ko")}


def listing(entries: Sequence[Mapping[str, Any]], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """Which claims there are: letter, title, what the committed run came to, source, and about how long each takes."""
    lang, paint = choose(lang), Paint(color)
    lines: list[str] = []
    for entry in entries:
        known = entry["recorded"] or HELD[None]
        verdict = translate(known, lang)
        about = translate("about {seconds} s", lang, seconds=entry["seconds"])
        room = width - max(cell_len(verdict), cell_len(about)) - 2
        first, *rest = wrap(entry["title"][lang], room, indent=INDENT, first=_lead(entry))
        lines.append(pad(first, width - cell_len(verdict)) + paint.bold(verdict))
        rest += wrap(entry["source"], room, indent=INDENT)
        lines += [*rest[:-1], pad(rest[-1], width - cell_len(about)) + about]
    return "\n".join(lines)
