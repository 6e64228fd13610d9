"""The terminal's table of a sweep: a row for each trial, what the grid varies and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.cells import chop_cells

from ..formatting import MISSING, number
from ..language import N_, choose, translate
from ..sweep.export import columns as columns_of
from .cells import wrap
from .grid import Column, Paint, grid

__all__ = ["ranges", "table"]

MOST_CELLS = 24
"""A longer text (a line of notation with options) is cut; CSV and JSON have the whole."""
_STATES = {"done": N_("done"), "failed": N_("failed"), "waiting": N_("waiting")}
OWN = ("trial", "state", "error")


def table(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.sweep/1` document as text; it depends on the results alone, not on when or where they came."""
    lang, paint = choose(lang), Paint(color)
    found = columns_of(document)
    arguments = document["columns"]["grid"]
    shown = [Column("", name, _cells(found[name])) for name in arguments]
    if document["counts"]["done"] < document["counts"]["trials"]:
        states = [translate(_STATES[state], lang) for state in found["state"]]
        shown.append(Column("", translate("state", lang), states))
    metrics = [name for name in found if name not in (*OWN, *arguments)]
    # What a trial returns first matters most: the others leave first where room lacks.
    shown += [Column("", name, _cells(found[name]), k) for k, name in enumerate(metrics)]
    labels = [str(one) for one in found["trial"]]
    rows = grid(translate("trial", lang), labels, shown, width, paint)
    blocks = (_head(document, width, paint), rows, _tail(document, lang, width))
    return "\n\n".join("\n".join(block) for block in blocks)


def _head(document: Mapping[str, Any], width: int, paint: Paint) -> list[str]:
    fixed = ", ".join(f"{name} = {value}" for name, value in document["settings"]["fixed"].items())
    text = document["settings"]["name"] + (f": {fixed}" if fixed else "")
    return [paint.bold(line) for line in wrap(text, width)]


def _tail(document: Mapping[str, Any], lang: str, width: int) -> list[str]:
    """The failed trials, together where they have the same error, and how many trials have a result."""
    failed: dict[str, list[int]] = {}
    for one in document["trials"]:
        if one["state"] == "failed":
            failed.setdefault(one["error"], []).append(one["trial"])
    lines: list[str] = []
    for error, numbers in failed.items():
        text = translate("failed three times: trial {numbers}: {error}", lang, numbers=ranges(numbers), error=error)
        lines += wrap(text, width, indent=2, first="! ")
    text = translate("trials with a result: {done} of {trials}; failed: {failed}", lang, **document["counts"])
    return [*lines, *wrap(text, width)]


def ranges(numbers: list[int]) -> str:
    """Ascending numbers, runs of neighbours together: 1-3, 7."""
    runs: list[list[int]] = []
    for one in numbers:
        if runs and one == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], one]
        else:
            runs.append([one])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _cells(values: list[Any]) -> list[str]:
    return [_cell(value) for value in values]


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = MISSING if value is None else str(value).replace("\n", " ")
        pieces = chop_cells(text, MOST_CELLS)
        return text if len(pieces) < 2 else f"{chop_cells(text, MOST_CELLS - 2)[0]}.."
    return number(value)
