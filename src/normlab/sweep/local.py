"""The engine of one machine: a few worker processes, each told one trial at a time; a dead one is replaced."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from queue import Empty, SimpleQueue
from typing import Any

from ..processors import usable
from . import worker
from .attempts import DIED, Outcome, Task

__all__ = ["Local"]

POLL_S = 0.5
"""Windows delivers Ctrl-C only between waits; and so often the dead are counted that were not heard ending."""


class Process:
    """One worker; `task` is what it works at."""

    def __init__(self, trial: str, heard: SimpleQueue[tuple[Process, str | None]]) -> None:
        self._process = subprocess.Popen(
            worker.command(trial), env=worker.environment(), text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.task: Task | None = None
        self.name = f"process {self._process.pid}"
        self._heard = heard
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def give(self, task: Task) -> bool:
        """Whether the worker, which may have died while it was idle, took the task."""
        message = {"parameters": dict(task.parameters), "checkpoint": task.checkpoint}
        assert self._process.stdin is not None  # a pipe was asked for
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            return False
        self.task = task
        return True

    @property
    def is_dead(self) -> bool:
        """Whether it has ended; what a trial forked may hold its output open longer than that."""
        return self._process.poll() is not None

    def end(self) -> str:
        """Kill it, if it is alive; how it ended."""
        self._process.kill()
        code = self._process.wait()
        self._ear.join(POLL_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not self._ear.is_alive():
                with contextlib.suppress(OSError):  # it never read all that it was told
                    stream.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _listen(self) -> None:
        assert self._process.stdout is not None  # a pipe was asked for
        for line in self._process.stdout:
            if line.endswith("\n"):  # a worker may die in the middle of a line
                self._heard.put((self, line))
        self._heard.put((self, None))


class Local:
    """Worker processes on this machine. `submit` as many as `slots`, then `next` for each."""

    def __init__(self, trial: str, workers: int | None = None) -> None:
        self.slots = workers or usable()
        self._trial = trial
        self._heard: SimpleQueue[tuple[Process, str | None]] = SimpleQueue()
        self._idle: list[Process] = []
        self._all: list[Process] = []

    def submit(self, task: Task) -> None:
        """Give the task to an idle worker, or to a new one."""
        while self._idle:
            if self._idle.pop().give(task):
                return
        fresh = Process(self._trial, self._heard)
        self._all.append(fresh)
        fresh.give(task)
        fresh.task = task  # should it have died already, the end of its output says so

    def next(self) -> tuple[int, Outcome]:
        """The number of the next trial that ended, and what became of it."""
        while True:
            process, line = self._wait()
            if process not in self._all:
                continue
            task, process.task = process.task, None
            if line is None:
                cause = self._buried(process)
                if task is not None:
                    return task.trial, Outcome(None, DIED, cause, died=True, worker=process.name)
            elif task is not None:
                self._idle.append(process)
                answer: dict[str, Any] = json.loads(line)
                return task.trial, Outcome(**answer, worker=process.name)

    def close(self) -> None:
        """End every worker, whatever it does."""
        for process in self._all:
            process.end()
        self._all, self._idle = [], []

    def _wait(self) -> tuple[Process, str | None]:
        while True:
            try:
                return self._heard.get(timeout=POLL_S)
            except Empty:
                for process in self._all:
                    if process.is_dead and self._heard.empty():
                        return process, None

    def _buried(self, process: Process) -> str:
        self._all.remove(process)
        if process in self._idle:
            self._idle.remove(process)
        return process.end()
