"""Whose turn it is: two compute at a time, four hold arrays in memory, the others wait in the order in which they came.

Who pauses gives the turn away and keeps the arrays. So memory is bounded, and somebody who looks at a picture for an
hour keeps nobody waiting as long as there is room.
"""

from __future__ import annotations

import threading
from typing import Any

from ..errors import NormlabError

__all__ = ["COMPUTING", "HELD", "IN_LINE", "FullError", "Turns"]

COMPUTING = 2  # at a time; more would only slow each other down
HELD = 4  # with arrays in memory
IN_LINE = 16


class FullError(NormlabError):
    """More are waiting, `count`, than will get a turn soon."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} races are waiting for their turn: try again in a moment.")
        self.count = count


class Turns:
    """The line and those before it. `moved`, a condition, is told whenever somebody may go on."""

    def __init__(self) -> None:
        self.moved = threading.Condition(threading.RLock())
        self._line: list[Any] = []
        self._computing: list[Any] = []
        self._held: list[Any] = []

    def queue(self, who: Any, *, again: bool = False) -> None:
        """Stand in line, a second time where arrays are held. Raises FullError where it is too long."""
        with self.moved:
            if len(self._line) >= IN_LINE and not again:
                raise FullError(len(self._line))
            self._line.append(who)

    def begins(self, who: Any) -> bool:
        """Take a turn if it is this one's; who holds arrays passes those for whom there is no room."""
        with self.moved:
            able = (one for one in self._line if one in self._held or len(self._held) < HELD)
            if len(self._computing) >= COMPUTING or next(able, None) is not who:
                return False
            self._line.remove(who)
            self._computing.append(who)
            if who not in self._held:
                self._held.append(who)
            self.moved.notify_all()
            return True

    def place(self, who: Any) -> int:
        """Its place in the line, from 1 on."""
        with self.moved:
            return self._line.index(who) + 1

    def needs_room(self) -> bool:
        """Whether somebody waits because others hold their arrays and pause."""
        with self.moved:
            return len(self._held) >= HELD and any(one not in self._held for one in self._line)

    def give_turn(self, who: Any) -> None:
        """Let the next one compute."""
        with self.moved:
            self._computing.remove(who)
            self.moved.notify_all()

    def leave(self, who: Any) -> None:
        """Gone for good: from the line, from computing, from memory."""
        with self.moved:
            for group in (self._line, self._computing, self._held):
                if who in group:
                    group.remove(who)
            self.moved.notify_all()
