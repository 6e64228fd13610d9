"""Sweeps in processes of their own, so that a test can kill them, fill their disk and take away their rights."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sweep_trials
from normlab.sweep import Sweep, run_sweep
from normlab.sweep.document import read
from normlab.sweep.export import exported

TESTS = Path(__file__).parent


def spec(trials: int = 20, **fixed: Any) -> dict[str, Any]:
    """A grid of two arguments with `trials` points, an even number."""
    return {"name": "a grid", "grid": {"lr": [0.1, 0.3], "seed": list(range(trials // 2))}, "fixed": fixed}


def swept(content: Any, store: str | Path, trial: str = "noop", **more: Any) -> Sweep:
    """A sweep in this process, with one of the trials of `sweep_trials`."""
    return run_sweep(content, store, trial=f"sweep_trials:{trial}", check=sweep_trials.check, **more)


def start(content: Any, store: str | Path, trial: str = "noop", before: str = "", **more: Any) -> subprocess.Popen[str]:
    """The same in a process of its own, which first runs the line `before` and prints a line for each result."""
    code = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\nimport sweeping\n{before}\n"
        f"def said(done, total, parameters):\n    print(done, parameters['lr'], parameters['seed'], flush=True)\n"
        f"sweeping.main({content!r}, {str(store)!r}, {trial!r}, on_trial=said, **{more!r})"
    )
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def main(*arguments: Any, **more: Any) -> None:
    """What that process does: a sweep, with the command line's exit codes."""
    from normlab.errors import NormlabError

    try:
        swept(*arguments, **more)
    except NormlabError as problem:
        sys.exit(f"{problem.code} {problem}")
    except KeyboardInterrupt:
        sys.exit("130")


def run(*arguments: Any, **more: Any) -> tuple[str, str]:
    """Start one, wait for it, and return what it printed."""
    with start(*arguments, **more) as process:
        return process.communicate(timeout=120)


def table(store: str | Path) -> bytes:
    """The final table, as the bytes that are compared."""
    document = read(store)
    return exported(document, Path("table.csv")) + json.dumps(document["trials"]).encode()


def rows(store: str | Path, query: str) -> list[tuple[Any, ...]]:
    """What any tool would read in the file, or do to it."""
    connection = sqlite3.connect(store, isolation_level=None)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def acknowledged(output: str) -> set[tuple[float, int]]:
    """The trials of which a driver has said that their result is kept."""
    lines = (line.split() for line in output.splitlines(keepends=True) if line.endswith("\n"))
    return {(float(lr), int(seed)) for _, lr, seed in lines}


def opened_in_s(store: Path) -> float:
    """How long it takes until the file's results are read; what a killed driver left is rolled back by that."""
    began = time.perf_counter()
    read(store)
    return time.perf_counter() - began


def until_dead(numbers: Iterable[int], patience_s: float = 20) -> bool:
    """Whether all of these processes end in time."""
    end = time.monotonic() + patience_s
    while any(alive(one) for one in numbers):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def workers_of(store: Path) -> set[int]:
    """The processes that have sent results."""
    return {int(name.split()[1]) for (name,) in rows(store, "SELECT DISTINCT worker FROM attempts")}


def strike(process: subprocess.Popen[str], delay_s: float, how: signal.Signals) -> tuple[str, str]:
    """Let a driver run for a while, hit it, and return what it had said by then. Ctrl-C hits its workers too."""
    time.sleep(delay_s)
    with contextlib.suppress(ProcessLookupError):  # it had finished
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    with process:
        return process.communicate(timeout=60)


def alive(number: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
def descendants(root: int) -> set[int]:
    """The processes below one, from /proc."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended while we looked
    found = {root}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {root}
