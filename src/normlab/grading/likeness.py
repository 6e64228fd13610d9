"""Which registered method pools exactly what an implementation pooled by mistake: perhaps it was meant."""

from __future__ import annotations

from collections.abc import Mapping

from ..definition import Choice, Definition
from ..errors import NormlabError
from ..registry import methods
from .frames import frames

__all__ = ["same_sharing"]


def same_sharing(definition: Definition, got: str, layout: str) -> tuple[Definition, str] | None:
    """The method with the statistics of `definition` whose line, on axes as in `layout`, is `got`; and its name."""
    for other in methods():
        if (other.centre, other.spread, other.role) != (definition.centre, definition.spread, definition.role):
            continue
        option = other.pools.option if isinstance(other.pools, Choice) else None
        for value in other.pools.lines if isinstance(other.pools, Choice) else (None,):
            given = {} if option is None else {option: value}
            if _line(other, given, layout) == got:
                default = option is None or other.validate({})[option] == value
                return other, other.short if default else f"{other.short}:{option}={value}"
    return None


def _line(other: Definition, given: Mapping[str, object], layout: str) -> str | None:
    """The method's line with a name for every axis; None where it does not act on such axes."""
    try:
        found = [f for f in frames(other, other.validate(given)) if f.line == layout]
    except NormlabError:
        return None
    if not found:
        return None
    frame = found[0]
    plan = frame.plan(frame.shape())
    if len(plan.split) != len(plan.shape):
        return None
    words = [f"[{n}]" if k in plan.pooled else n for k, n in enumerate(frame.axes)]
    return " ".join(words).replace("] [", " ")
