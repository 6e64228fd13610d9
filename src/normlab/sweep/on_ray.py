"""The engine of many machines: Ray runs the trials, this process keeps the results. No scheduler of our own."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

from normlab.errors import MissingExtraError, missing_extra

from .attempts import DIED, Outcome, Task, attempt

__all__ = ["OnRay"]

POLL_S = 0.5
"""So often Ctrl-C gets through."""
KNOCK_S = 5.0
"""A machine that takes longer to answer is not the one that hands out the work."""


class OnRay:
    """Trials as Ray tasks of one processor each. `submit` as many as `slots`, then `next` for each."""

    def __init__(self, trial: str, workers: int | None = None, address: str | None = None) -> None:
        self._ray = _imported()
        self._trial = trial
        self._joined = not self._ray.is_initialized()
        self._stdout = sys.stdout
        sys.stdout = Aside(sys.stdout)
        try:
            if self._joined:
                _join(self._ray, address)
        except BaseException:
            sys.stdout = self._stdout
            raise
        # One more than run for each processor, so that none waits for the next.
        self.slots = workers or 2 * max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        # The driver tries again itself: it counts, and writes down, every failure.
        self._run = self._ray.remote(num_cpus=1, max_retries=0)(_attempt)
        self._running: dict[Any, int] = {}

    def submit(self, task: Task) -> None:
        """Hand the task over; Ray finds the node."""
        self._running[self._run.remote(self._trial, dict(task.parameters), task.checkpoint)] = task.trial

    def next(self) -> tuple[int, Outcome]:
        """The number of the next trial that ended, and what became of it."""
        done: list[Any] = []
        while not done:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=POLL_S)
        trial = self._running.pop(done[0])
        try:
            return trial, Outcome(**self._ray.get(done[0]))
        except self._ray.exceptions.RayTaskError as problem:  # normlab itself is not there, or not this version
            cause = problem.cause if problem.cause is not None else problem
            return trial, Outcome(None, f"{type(cause).__name__}: {cause}", str(problem))
        except self._ray.exceptions.RayError as problem:  # its process, or its whole node
            return trial, Outcome(None, DIED, f"{type(problem).__name__}: {problem}", died=True)

    def close(self) -> None:
        """Drop what is running, and leave the cluster as it was."""
        for reference in self._running:
            with contextlib.suppress(Exception):  # of a node that is gone, nothing can be dropped
                self._ray.cancel(reference, force=True)
        self._running = {}
        if self._joined:
            self._ray.shutdown()
        sys.stdout = self._stdout


class Aside:
    """A stdout for the thread that made it. Ray's own threads print notes about nodes there, where data belong."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._owner = threading.get_ident()

    def write(self, text: str) -> int:
        """Write to stdout, or another thread's notes to stderr."""
        return (self._stdout if threading.get_ident() == self._owner else sys.stderr).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)


def _attempt(trial: str, parameters: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    """One trial on a node, BLAS on one thread."""
    import ray
    from threadpoolctl import threadpool_limits

    worker = f"process {os.getpid()} on {platform.node()}, node {ray.get_runtime_context().get_node_id()}"
    with threadpool_limits(limits=1):
        return {**attempt(trial, parameters, checkpoint), "worker": worker}


def _imported() -> Any:
    # What is joined may be nobody's business: a driver reports no usage, whatever the cluster does.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # of half a minute each, for a cluster that is gone
    try:
        import ray
    except ModuleNotFoundError as problem:
        if problem.name != "ray":
            raise
        raise missing_extra("ray", "ray") from None
    return ray


def _join(ray: Any, address: str | None) -> None:
    where = address or "auto"
    try:
        _knock(where)
        ray.init(address=where, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or str(problem)
        reason = said.strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        hint = "Start it on this machine with: ray start --head"
        raise MissingExtraError(f"Ray cannot be reached at {where}: {reason}.", hint=hint) from None


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for two minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
