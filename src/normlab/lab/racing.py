"""Races that a page looks on at: each in a thread of its own, played, paused, taken step by step, stopped.

What nobody watches is let go, for a closed page says no farewell. Results are those of `normlab.train`, byte for byte.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from ..errors import NormlabError
from ..experiments.train import run
from ..experiments.training.course import Course
from .turns import Turns

__all__ = [
    "ENDED", "FAILED", "FINISHED", "LEFT", "MADE_ROOM", "PAUSED", "RUNNING", "STOPPED", "WAITING", "LiveRace", "Races",
    "Standing",
]  # fmt: skip

KEPT = 24  # races that have ended, with their documents
FIRST_STEPS = 10  # each of which is looked at: what diverges does it soon
BETWEEN_S = 0.2  # two pictures: as fast as somebody can look
UNWATCHED_S = 2.0  # a stream that broke is taken up again within that
UNCLAIMED_S = 5.0  # from the start to the first watcher; and between two glances
PATIENCE_S = 60.0  # of those in line with somebody who pauses
ASLEEP_S = 0.5  # between two looks at who watches

WAITING, RUNNING, PAUSED = "waiting", "running", "paused"
FINISHED, STOPPED, LEFT, MADE_ROOM, FAILED = "finished", "stopped", "left", "made room", "failed"
ENDED = (FINISHED, STOPPED, LEFT, MADE_ROOM, FAILED)


@dataclass(frozen=True)
class Standing:
    """How a race stands: its place in line while it waits, the arms as a course has them, at the end the document."""

    state: str = WAITING
    step: int = 0
    steps: int = 0
    place: int = 0
    arms: tuple[Mapping[str, Any], ...] = ()
    document: Mapping[str, Any] | None = None
    problem: str = ""
    number: int = 0  # of this picture, counted from 1

    @property
    def rests(self) -> bool:
        """Whether nothing changes before somebody asks for it."""
        return self.state == PAUSED or self.state in ENDED


Draw = Callable[[Standing], Mapping[str, str]]


class _EndedError(Exception):
    """Ends a training at once; the reason is what the race's state becomes."""


class _MovedOnError(Exception):
    """Ends a measurement that nobody waits for any more."""


class LiveRace:
    """One race; its commands may come from any thread.

    Args:
        arguments: those of `normlab.train`.
        draw: makes the fragments of a page from a standing; called in the race's own thread.
        paused: begin with a pause before the first step.
    """

    def __init__(self, turns: Turns, arguments: Mapping[str, Any], draw: Draw, *, paused: bool) -> None:
        self.id, self._turns, self._moved = secrets.token_urlsafe(9), turns, turns.moved
        self._arguments, self._draw = dict(arguments), draw
        self._paused, self._wanted, self._ending = paused, 0, ""
        self._watchers: set[Callable[[], None]] = set()
        self._alone_since, self._patience = time.monotonic(), UNCLAIMED_S
        self._looked, self._drawn_at, self._paused_at = False, 0.0, 0.0
        self._begun = 0  # the step that the arms are taking
        self.standing, self.fragments = Standing(), dict[str, str]()
        self.thread = threading.Thread(target=self._race, name=f"normlab-race-{self.id}", daemon=True)

    # What a page asks for.

    def go(self) -> None:
        """Go on, or begin."""
        with self._moved:
            self._paused, self._wanted = False, 0
            self._moved.notify_all()

    def pause(self) -> None:
        """Stand still before the next step."""
        with self._moved:
            self._paused = True
            self._moved.notify_all()

    def step(self) -> None:
        """One step of every arm, and stand still."""
        with self._moved:
            self._paused = True
            self._wanted += 1
            self._moved.notify_all()

    def stop(self, why: str = STOPPED) -> None:
        """End, wherever it is; what was not finished is not measured."""
        with self._moved:
            self._ending = self._ending or why
            self._moved.notify_all()

    @contextmanager
    def watched(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within this block somebody looks on; `wake` is called, from the race's thread, when there is news."""
        with self._moved:
            self._watchers.add(wake)
        try:
            yield
        finally:
            with self._moved:
                self._watchers.discard(wake)
                self._alone_since, self._patience = time.monotonic(), UNWATCHED_S

    def glanced(self) -> None:
        """Somebody looked once, and will look again before long."""
        with self._moved:
            self._alone_since, self._patience = time.monotonic(), UNCLAIMED_S

    @property
    def latest(self) -> tuple[Standing, Mapping[str, str]]:
        """How it stands, and the fragments that show it."""
        with self._moved:
            return self.standing, self.fragments

    # The race's own thread.

    def _race(self) -> None:
        try:
            self._take_turn()
            result = run(on_turn=self._on_turn, **self._arguments)
            document = result.to_dict()
            self._show(state=FINISHED, document=document, step=self._begun, arms=tuple(document["arms"]))
        except _EndedError as end:
            self._show(state=str(end), step=max(self._begun - 1, 0))
        except NormlabError as problem:
            self._show(state=FAILED, problem=str(problem))
        except Exception as problem:  # a defect, perhaps of the drawing: no page may wait for ever
            said = f"{type(problem).__name__}: {problem}"
            self._tell(replace(self.standing, state=FAILED, problem=said), {"status": f"<p>{escape(said)}</p>"})
            raise
        finally:
            self._turns.leave(self)

    def _on_turn(self, course: Course, level: bool) -> None:
        self._check()
        if not level:
            return
        if not self._may_step():
            self._pause(course)
        elif self._looked or course.step == 0:
            self._show(state=RUNNING, arms=tuple(course.arms()), step=course.step, steps=course.steps)
        self._looked = course.step == 0 or self._paused or time.monotonic() - self._drawn_at >= BETWEEN_S
        if self._looked or course.step < FIRST_STEPS:
            course.look()
        self._begun = course.step + 1

    def _check(self) -> None:
        """End where somebody asked for it, or nobody looks on any more."""
        if not self._watchers and time.monotonic() - self._alone_since > self._patience:
            self.stop(LEFT)
        if self._ending:
            raise _EndedError(self._ending)

    def _may_step(self) -> bool:
        """Whether the next step may be taken; one that was asked for is used up by that."""
        with self._moved:
            if self._paused and not self._wanted:
                return False
            self._wanted = max(self._wanted - 1, 0)
            return True

    def _pause(self, course: Course) -> None:
        """Say so, measure while nobody waits for anything, then give the turn away until somebody asks."""
        self._paused_at = time.monotonic()
        self._show(state=PAUSED, arms=tuple(course.arms()), step=course.step, steps=course.steps)
        try:
            course.measure(self._still_paused)
            self._show(arms=tuple(course.arms()))
        except _MovedOnError:
            pass
        self._turns.give_turn(self)
        with self._moved:
            while not self._may_step():
                self._check()
                if time.monotonic() - self._paused_at > PATIENCE_S and self._turns.needs_room():
                    self.stop(MADE_ROOM)
                self._moved.wait(ASLEEP_S)
        self._turns.queue(self, again=True)
        self._take_turn()
        if not self._paused:
            self._show(state=RUNNING)

    def _still_paused(self) -> None:
        self._check()
        if self._wanted or not self._paused:
            raise _MovedOnError

    def _take_turn(self) -> None:
        """Wait in line until it is this race's turn, and say which place it has."""
        while not self._turns.begins(self):
            self._check()
            place = self._turns.place(self)
            if (self.standing.state, self.standing.place) != (WAITING, place):
                self._show(state=WAITING, place=place)
            with self._moved:
                self._moved.wait(ASLEEP_S)

    def _show(self, **changed: Any) -> None:
        """A new standing, drawn, and whoever looks on is told."""
        standing = replace(self.standing, **{"number": self.standing.number + 1, **changed})
        self._drawn_at = time.monotonic()
        self._tell(standing, self._draw(standing))

    def _tell(self, standing: Standing, fragments: Mapping[str, str]) -> None:
        with self._moved:
            self.standing, self.fragments = standing, {**self.fragments, **fragments}
            watchers = list(self._watchers)
        for wake in watchers:
            wake()


class Races:
    """All races of a server."""

    def __init__(self) -> None:
        self.turns = Turns()
        self._all: dict[str, LiveRace] = {}

    def start(self, arguments: Mapping[str, Any], draw: Draw, *, paused: bool = False) -> LiveRace:
        """Begin a race. Raises FullError where too many are in line."""
        race = LiveRace(self.turns, arguments, draw, paused=paused)
        with self.turns.moved:
            self._forget()
            self.turns.queue(race)
            self._all[race.id] = race
        race.thread.start()
        return race

    def find(self, name: str) -> LiveRace | None:
        """The race of that id, going or ended not long ago."""
        return self._all.get(name)

    def close(self, patience_s: float = 1.0) -> None:
        """End them all and wait for their threads."""
        going = [race for race in list(self._all.values()) if race.thread.is_alive()]
        for race in going:
            race.stop(LEFT)
        for race in going:
            race.thread.join(patience_s)

    def _forget(self) -> None:
        """Drop the oldest of the races that have ended."""
        ended = [name for name, race in self._all.items() if race.standing.state in ENDED]
        for name in ended[: max(0, len(ended) - KEPT + 1)]:
            del self._all[name]
