"""What an operation on a model says of itself: what it changed, what it left alone and why, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Change", "Operated", "Refusal"]


class Change(NamedTuple):
    """One module that has another in its place."""

    path: str
    before: str
    after: str


class Refusal(NamedTuple):
    """One module that was left as it is."""

    path: str
    reason: str


@dataclass(frozen=True)
class Operated:
    """The report of an operation; `moved` and `noise` are None where no batch was given.

    Both are shares of the largest output: how far any output is from where it was, and how far it comes from where it
    was when each parameter alone is moved by one unit in its last place.
    """

    model: Any
    changed: tuple[Change, ...]
    refused: tuple[Refusal, ...]
    moved: float | None = None
    noise: float | None = None
    back: Callable[[], Any] = field(default=lambda: None, repr=False)

    def undo(self) -> Any:
        """Put back what was there, with the parameters and statistics as they are now; returns the model."""
        return self.back()

    def __str__(self) -> str:
        rows = [(c.path or "(the model)", c.before, "->", c.after) for c in self.changed]
        widths = [max(len(row[k]) for row in rows) for k in range(2)] if rows else [0, 0]
        lines = [f"{len(self.changed)} changed, {len(self.refused)} refused"]
        lines += [f"  {row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]} {row[3]}" for row in rows]
        width = max((len(r.path or "(the model)") for r in self.refused), default=0)
        lines += [f"  {r.path or '(the model)':{width}}  refused: {r.reason}" for r in self.refused]
        if self.moved is not None:
            lines.append(f"output moved by {self.moved:.1e} of its largest value; float noise alone: {self.noise:.1e}")
        return "\n".join(lines)
