"""The terminal's text of a grading: the verdict, each fault with the line that mends it, then what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import number
from ..language import N_, choose, translate
from .cells import cell_len, pad, wrap
from .grid import Paint

__all__ = ["MARKS", "evidence_line", "printed_lines", "text"]

MARKS = {True: N_("correct"), False: N_("wrong"), None: N_("not judged")}
INDENT = 4
MOST_PRINTED_LINES = 6


def text(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.check/1` document as lines of at most `width` cells."""
    lang, paint = choose(lang), Paint(color)
    blocks = [[paint.bold(line) for line in wrap(document["verdicts"][0][lang], width)]]
    blocks += [_fault(one, lang, paint, width) for one in document["faults"]]
    blocks.append(_items(document["conventions"], "~", lang, width))
    blocks.append(_items(document["notes"], "*", lang, width))
    blocks.append(_checks(document["checks"], lang, paint, width))
    blocks.append(printed_lines(document["printed"], lang, width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _fault(one: Mapping[str, Any], lang: str, paint: Paint, width: int) -> list[str]:
    lines = [paint.red(line) for line in wrap(one["sentence"][lang], width, indent=INDENT, first="  ! ")]
    if one["place"] is not None:
        lines += wrap(one["place"][lang], width, indent=INDENT)
        lines += wrap(one["place"]["code"], width, indent=2 * INDENT)
    lines += wrap(evidence_line(one["evidence"], lang), width, indent=INDENT)
    if one["mend"]:
        lines.append(" " * INDENT + translate("This mends it:", lang))
        lines += [" " * 2 * INDENT + line for line in one["mend"].splitlines()]
    return lines


def evidence_line(evidence: Mapping[str, Any], lang: str) -> str:
    """Why the fault is believed, in one line; empty where the sentence says it all."""
    if "agrees_to" in evidence:
        agrees = number(evidence["agrees_to"], 1)
        return translate("Computed with this mistake, the same numbers come out (to {agrees}).", lang, agrees=agrees)
    if "asking" in evidence:
        return str(evidence["asking"][lang])
    return ""


def _items(texts: Sequence[Mapping[str, Any]], mark: str, lang: str, width: int) -> list[str]:
    return [line for one in texts for line in wrap(one[lang], width, indent=INDENT, first=f"  {mark} ")]


def _checks(checks: Sequence[Mapping[str, Any]], lang: str, paint: Paint, width: int) -> list[str]:
    """A line for each check: what came of it, what it was, how far off it was, and how far it may be."""
    marks = {passed: translate(MARKS[passed], lang) for passed in (True, False)}
    wide = max(map(cell_len, marks.values()))
    lines = []
    for one in [c for c in checks if c["passed"] is not None]:  # of the others a note tells
        mark = pad(marks[one["passed"]], wide)
        mark = paint.red(mark) if one["passed"] is False else mark
        off = _off(one, lang)
        room = width - wide - cell_len(off) - INDENT - 2
        first, *rest = wrap(one[lang], room)
        lines.append(f"  {mark}  {pad(first, room)}  {off}".rstrip())
        lines += [" " * (wide + INDENT) + line for line in rest]
    return lines


def _off(one: Mapping[str, Any], lang: str) -> str:
    if one["worst"] is None or not one["tolerance"]:
        return ""
    return translate("{worst} of {most}", lang, worst=number(one["worst"], 1), most=number(one["tolerance"], 1))


def printed_lines(printed: Mapping[str, Any], lang: str, width: int) -> list[str]:
    """What the code printed, its first lines."""
    if not printed["text"].strip():
        return []
    shown = [line[: width - INDENT] for line in printed["text"].splitlines() if line.strip()][:MOST_PRINTED_LINES]
    head = translate("It printed {letters} bytes, beginning with:", lang, letters=printed["letters"])
    return [head, *(" " * INDENT + "".join(c if c.isprintable() else "?" for c in line) for line in shown)]
