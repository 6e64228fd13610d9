"""Grades in a process of its own with a time limit, whatever somebody's code does: loop, exit, crash, chatter.

A file, or a function that can be imported by name, goes into a fresh process. One that cannot (a notebook's, a closure)
goes into a fork of this process, which has it already; where there is no fork, or a GPU is open, into a thread, which
can be given up but not ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import child

__all__ = ["MOST_PRINTED", "Ended", "run"]

MOST_PRINTED = 2000  # letters of what somebody's code prints: the beginning tells
MOST_READ = 1 << 16
PATIENCE_S = 0.02
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Ended:
    """What was found, and how the process ended: None in time, "timeout", or what ended it."""

    lines: list[dict[str, Any]]
    ended: str | None = None
    printed: str = ""
    letters: int = 0


@dataclass
class _Printed:
    """The first letters of a stream; the rest is read and counted, so that whoever writes it never waits."""

    text: bytearray = field(default_factory=bytearray)
    count: int = 0

    def drain(self, stream: IO[bytes]) -> None:
        """Read until the stream ends."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stream.fileno(), MOST_READ):
                self.count += len(chunk)
                self.text += chunk[: max(4 * MOST_PRINTED - len(self.text), 0)]


def run(task: Mapping[str, Any], timeout: float, target: Any = None) -> Ended:
    """Run a task to its end or to the limit of `timeout` seconds."""
    with tempfile.TemporaryDirectory(prefix="normlab-check-") as folder:
        path = os.path.join(folder, "findings.jsonl")
        Path(path).touch()
        if target is None:
            ended, printed = _fresh(task, path, folder, timeout)
        elif hasattr(os, "fork") and not _holds_a_gpu():
            ended, printed = _forked(task, path, timeout, target)
        else:
            ended, printed = _threaded(task, path, timeout, target)
        lines = list(_read(path))
    if ended is None and not any(line["kind"] == "done" for line in lines):
        ended = "exit 0"
    text = printed.text.decode("utf-8", errors="replace")[:MOST_PRINTED]
    return Ended(lines, ended, text, printed.count)


def _holds_a_gpu() -> bool:
    """Whether torch has a CUDA device open: neither it nor the gradients that run on its threads outlive a fork."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _read(path: str) -> Iterator[dict[str, Any]]:
    """The lines that are whole."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _fresh(task: Mapping[str, Any], path: str, folder: str, timeout: float) -> tuple[str | None, _Printed]:
    asked = os.path.join(folder, "task.json")
    Path(asked).write_text(json.dumps(dict(task)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {child.__name__} import main; main({[asked, path]!r})"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment(),
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    printed = _Printed()
    reader = threading.Thread(target=printed.drain, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        process.wait(timeout)
        ended = _how(process.returncode)
    except subprocess.TimeoutExpired:
        ended = "timeout"
    finally:
        _end(process.pid)
        process.kill()
        process.wait()
    reader.join(1.0)  # a grandchild may hold the stream open for ever
    process.stdout.close()
    return ended, printed


def _environment() -> dict[str, str]:
    """This process's environment, one thread, and this copy of the package."""
    own = str(Path(__file__).resolve().parents[2])
    paths = [own, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8:replace"}


def _how(code: int) -> str | None:
    """How a process ended, in words that do not differ from machine to machine; None for an ordinary end."""
    if code == 0:
        return None
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit {code}"


def _end(pid: int) -> None:
    """End a process's whole session, what it has started too."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def _forked(task: Mapping[str, Any], path: str, timeout: float, target: Any) -> tuple[str | None, _Printed]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that a fork leaves behind: the child computes on one
        pid = os.fork()
    if pid == 0:
        _in_the_fork(task, path, target, writing)
    os.close(writing)
    printed = _Printed()
    with open(reading, "rb", buffering=0) as stream:
        reader = threading.Thread(target=printed.drain, args=(stream,), daemon=True)
        reader.start()
        try:
            ended = _waited(pid, timeout)
        finally:
            _end(pid)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
        reader.join(1.0)
    return ended, printed


def _in_the_fork(task: Mapping[str, Any], path: str, target: Any, writing: int) -> None:
    """The child's part; it never returns."""
    code = 70
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((nowhere, 0), (writing, 1), (writing, 2)):
            os.dup2(old, new)
        stream = open(writing, "w", encoding="utf-8", errors="replace")  # noqa: SIM115 - to the end of the process
        sys.stdout = sys.stderr = stream
        child.grade(task, path, target)
        stream.flush()
        code = 0
    finally:
        os._exit(code)


def _waited(pid: int, timeout: float) -> str | None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return _how(os.waitstatus_to_exitcode(status))
        time.sleep(PATIENCE_S)
    return "timeout"


def _threaded(task: Mapping[str, Any], path: str, timeout: float, target: Any) -> tuple[str | None, _Printed]:
    """Without a fork: a thread, given up after the limit."""
    work: Callable[[], None] = lambda: child.grade(task, path, target)  # noqa: E731 - a thread takes a callable
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(timeout)
    return ("timeout" if worker.is_alive() else None), _Printed()
