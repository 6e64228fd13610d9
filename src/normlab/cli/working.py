"""Run a comparison for somebody who waits: progress on a terminal, and what is finished kept when they stop it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from normlab.language import translate

from .speaking import language

if TYPE_CHECKING:
    from rich.progress import Progress

    from normlab.experiments.compare import Comparison

__all__ = ["Bar", "compared"]

PATIENCE_S = 1.0
"""Work that is shorter gets no bar: it would only flicker."""


class Bar:
    """A progress bar on stderr, from the second second on, and only on a terminal."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE_S, self._start)
        self._timer.daemon = True
        self._text = text  # in the user's language already: the timer's thread has none of its own
        self._shown: Progress | None = None
        self._state: dict[str, Any] = {"completed": 0, "total": None}  # without a total the bar only moves
        self._over = False

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._shown is not None:
                self._shown.stop()

    def __call__(self, done: int, total: int, latest: Any) -> None:
        """`done` of `total` pieces of the work are finished."""
        with self._lock:
            self._state = {"completed": done, "total": total}
            if self._shown is not None:
                self._shown.update(self._shown.task_ids[0], **self._state)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._over:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
            self._shown.add_task(self._text, **self._state)
            self._shown.start()


def compared(methods: Sequence[str] | None, arguments: Mapping[str, Any]) -> tuple[Comparison, bool]:
    """The comparison, and whether Ctrl-C ended it early; then it holds what was finished.

    Raises:
        KeyboardInterrupt: Ctrl-C before anything was finished.
    """
    from normlab.experiments.compare import Interrupted, run

    with Bar(translate("comparing", language())) as bar:
        try:
            return run(methods, on_arm=bar, **arguments), False
        except Interrupted as stopped:
            if stopped.result is None:
                raise KeyboardInterrupt from None
            return stopped.result, True
