"""A short benchmark beside the server: one at a time, in processes of its own, and what it measured, kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..errors import NormlabError
from ..language import both
from .fields import RefusedError

__all__ = ["BusyMeasuringError", "Measurement", "Progress"]

Text = Mapping[str, str]


class BusyMeasuringError(RefusedError):
    """A measurement is under way: a second one would disturb it."""

    status = 409

    def __init__(self) -> None:
        super().__init__(both("a measurement is running already; a second one would disturb it."))


class _Stopped(Exception):
    """Somebody asked to stop."""


@dataclass(frozen=True)
class Progress:
    """Where a measurement stands; `problem` says why the last one came to nothing."""

    running: bool = False
    done: int = 0
    total: int = 0
    latest: str = ""
    problem: Text | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the page that waits."""
        share = self.done / self.total if self.total else 0.0
        return {"running": self.running, "share": share, "latest": self.latest, "problem": self.problem}


def _bench(**settings: Any) -> Any:
    from ..benchmark import bench

    return bench(**settings)


class Measurement:
    """The one measurement of this process: started, asked about, stopped; `document` is the latest finished one."""

    def __init__(self, bench: Callable[..., Any] | None = None) -> None:
        self._bench, self._lock, self._stop = bench, threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self.progress = Progress()
        self.document: dict[str, Any] | None = None
        self.finished: datetime | None = None

    def start(self, settings: Mapping[str, Any]) -> None:
        """Begin. Raises BusyMeasuringError where one is under way."""
        with self._lock:
            if self.progress.running:
                raise BusyMeasuringError
            self._stop.clear()
            self.progress = Progress(running=True)
            # It waits for processes that it started, and must hold neither the server's threads nor its end.
            self._thread = threading.Thread(target=self._run, args=(dict(settings),), daemon=True)
            self._thread.start()

    def stop(self, wait_s: float = 0.0) -> None:
        """Ask it to end after the case that it is timing."""
        self._stop.set()
        if wait_s and self._thread is not None:
            self._thread.join(wait_s)

    def _run(self, settings: dict[str, Any]) -> None:
        problem: Text | None = None
        try:
            self.document = (self._bench or _bench)(**settings, on_case=self._case).to_dict()
            self.finished = datetime.now().astimezone()
        except _Stopped:
            problem = both("stopped; nothing was kept of it.")
        except NormlabError as refusal:
            problem = {"en": str(refusal), "ko": str(refusal)}
        except Exception as fault:
            problem = both("the measurement failed: {reason}.", reason=f"{type(fault).__name__}: {fault}")
        finally:
            self.progress = replace(self.progress, running=False, problem=problem)

    def _case(self, done: int, total: int, latest: str) -> None:
        self.progress = Progress(True, done, total, latest)
        if self._stop.is_set():
            raise _Stopped
