"""A worker process: reads a trial a line from its input, answers with a line, and ends when its driver does.

Its own process, because BLAS is on one thread from the start, and because whatever kills it kills nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import IO, Any

__all__ = ["command", "environment", "main"]


def command(trial: str) -> list[str]:
    """What starts a worker that finds the same modules as this process."""
    path = [one or os.getcwd() for one in sys.path]
    start = f"import sys; sys.path[:] = {path!r}; from normlab.sweep.worker import main; main({trial!r})"
    return [sys.executable, "-c", start]


def environment() -> dict[str, str]:
    """What a worker must find before it imports anything: as many threads as it is one of many workers."""
    libraries = ("OPENBLAS_NUM", "MKL_NUM", "OMP_NUM", "VECLIB_MAXIMUM", "NORMLAB")
    return {**os.environ, **{f"{library}_THREADS": "1" for library in libraries}}


def main(trial: str) -> None:
    """Answer until the driver hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    asked, answers = _pipes()
    tasks: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked, tasks), daemon=True).start()
    from .attempts import attempt

    while True:
        task = tasks.get()
        print(json.dumps(attempt(trial, **task)), file=answers, flush=True)


def _pipes() -> tuple[IO[str], IO[str]]:
    """The driver's pipes, moved to where no trial prints to or reads from by accident."""
    asked = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return asked, answers


def _listen(asked: IO[str], tasks: SimpleQueue[dict[str, Any]]) -> None:
    """Pass on what is asked; once the driver is gone nobody wants the running trial, nor may it touch a checkpoint."""
    for line in asked:
        tasks.put(json.loads(line))
    os._exit(0)
