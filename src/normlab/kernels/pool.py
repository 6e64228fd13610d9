"""A small pool of threads for kernels: the blocks of a shape, shared out among those who are free.

A kernel is `kernel(first, last, *arguments)` over a range of numbered blocks. What a block is follows from the shape
alone and no block reads what another wrote, so every number of threads gives the same bytes. Numba's own
`parallel=True` is not used: one of its layers kills a forked data-loader worker, another aborts when two threads call
at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

from ..processors import usable
from . import costs

__all__ = ["Compiled", "at_most", "compiled", "run", "set_threads", "share", "spread", "threads"]

# A hand-over costs 15 to 90 microseconds; a core goes through about ten elements a nanosecond. What takes longer
# over an element counts it several times.
WORTH_ELEMENTS = 786_432
# Ranges per thread: a thread that the system held up leaves the rest to the others.
RANGES = 4


class Compiled(NamedTuple):
    """One kernel made ready for one dtype."""

    name: str
    seconds: float
    cached: bool  # read from the disk, not compiled
    compile_seconds: float | None  # what compiling took, then or now; None where that is not known any more


def _default_threads() -> int:
    wanted = os.environ.get("NORMLAB_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return usable()


class _State:
    """What a fork leaves behind: a child starts with none of its parent's threads."""

    def __init__(self) -> None:
        self.waiting: SimpleQueue[_Job] = SimpleQueue()
        self.workers = 0
        self.starting = threading.Lock()


_state = _State()
_threads: int | None = None
_compiling = threading.RLock()
_ready: dict[tuple[Any, str], Compiled] = {}


def threads() -> int:
    """How many threads share a call: what `set_threads` said, else NORMLAB_THREADS, else the cores of this process."""
    global _threads
    if _threads is None:
        _threads = _default_threads()
    return _threads


def set_threads(count: int | None) -> None:
    """Use at most `count` threads from now on; None: as at the start."""
    global _threads
    _threads = None if count is None else max(1, int(count))


class _Here(threading.local):
    """What holds in this thread only."""

    most: int | None = None


_here = _Here()


class at_most:  # a class, for entering a generator takes as long as a small kernel
    """Within this block, in this thread, use at most `count` threads; None: as outside, and never more than there."""

    __slots__ = ("before", "count")

    def __init__(self, count: int | None) -> None:
        self.count = count

    def __enter__(self) -> None:
        self.before = _here.most
        if self.count is not None:
            most = max(1, int(self.count))
            _here.most = most if self.before is None else min(most, self.before)

    def __exit__(self, *_: object) -> None:
        _here.most = self.before


class _Job:
    """One call, in ranges of blocks; whoever is free takes the next."""

    def __init__(self, kernel: Callable[..., None], count: int, ranges: int, arguments: tuple[Any, ...]) -> None:
        self.kernel, self.arguments = kernel, arguments
        self.count, self.ranges = count, ranges
        self.next = self.finished = 0
        self.lock = threading.Lock()
        self.over = threading.Lock()
        self.over.acquire()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Take ranges until none is left."""
        while True:
            with self.lock:
                mine = self.next
                self.next += 1
            if mine >= self.ranges:
                return
            try:
                first, last = mine * self.count // self.ranges, (mine + 1) * self.count // self.ranges
                self.kernel(first, last, *self.arguments)
            except BaseException as error:  # whoever called must hear of it, whichever thread it met
                self.error = error
            with self.lock:
                self.finished += 1
                done = self.finished == self.ranges
            if done:
                self.over.release()

    def wait(self) -> None:
        """Until the last range is done; raises what a range raised."""
        self.over.acquire()
        if self.error is not None:
            raise self.error


def _serve(waiting: SimpleQueue[_Job]) -> None:
    while True:
        waiting.get().work()


def _hire(state: _State, wanted: int) -> None:
    if state.workers >= wanted:
        return
    with state.starting:
        while state.workers < wanted:
            try:
                threading.Thread(target=_serve, args=(state.waiting,), name="normlab", daemon=True).start()
            except RuntimeError:  # the interpreter is going down: the caller works alone
                return
            state.workers += 1


def run(kernel: Callable[..., None], count: int, arguments: tuple[Any, ...], *, elements: int) -> None:
    """Call `kernel(first, last, *arguments)` until blocks 0 ... count - 1 are done.

    Args:
        kernel: made by `numba.njit(nogil=True)`; the first of its arguments is an array whose dtype picks the variant.
        elements: numbers that the whole call goes through; a call too small to share stays on this thread.
    """
    spread(kernel, count, arguments, share(count, elements))


def share(count: int, elements: int) -> int:
    """How many threads work on so many blocks, that go through so many numbers, here and now."""
    if elements < 2 * WORTH_ELEMENTS:
        return 1
    return max(1, min(_here.most or threads(), count, elements // WORTH_ELEMENTS))


def spread(kernel: Callable[..., None], count: int, arguments: tuple[Any, ...], many: int) -> None:
    """`run` on so many threads; on one, all blocks are one call."""
    if (kernel, arguments[0].dtype.char) not in _ready:
        _prepare(kernel, arguments)
    if many <= 1:
        kernel(0, count, *arguments)
        return
    state = _state
    _hire(state, many - 1)
    job = _Job(kernel, count, min(count, RANGES * many), arguments)
    for _ in range(many - 1):
        state.waiting.put(job)
    job.work()
    job.wait()


def _prepare(kernel: Any, arguments: tuple[Any, ...]) -> None:
    """Compile for these arguments, or read what was compiled before, on one thread and never across a fork."""
    key = (kernel, arguments[0].dtype.char)
    with _compiling:
        if key in _ready:
            return
        start = time.perf_counter()
        kernel(0, 0, *arguments)
        seconds = time.perf_counter() - start
        hits = sum(kernel.stats.cache_hits.values()) if hasattr(kernel, "stats") else 0
        before = sum(c.cached for (k, _), c in _ready.items() if k is kernel)
        cached, dtype = hits > before, arguments[0].dtype
        if not cached:
            costs.keep(kernel, dtype, seconds)
        spent = costs.recall(kernel, dtype) if cached else seconds
        _ready[key] = Compiled(f"{getattr(kernel, '__name__', 'kernel')} {dtype}", seconds, cached, spent)


def compiled() -> list[Compiled]:
    """The kernels made ready in this process, and what that cost."""
    return list(_ready.values())


def _after_fork() -> None:
    global _state
    _state = _State()
    _compiling.release()


# A fork while a kernel is being compiled would leave the compiler's lock taken in the child for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_compiling.acquire, after_in_parent=_compiling.release, after_in_child=_after_fork)
