"""Many stacks on a few threads. NumPy lets go of the interpreter while it multiplies, so two threads keep two cores."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

import numpy as np

from normlab.processors import usable

from .stack import STOPPED, Run, Samples, Slot, Split

__all__ = ["SLOTS", "Training", "batches_of", "run_all", "run_in_turn"]

SLOTS = 8  # of a stack: more no longer save time, and their arrays leave the cache
POLL_S = 0.1


class Training(Protocol):
    """Something that is trained step by step; a stack is one."""

    runs: list[Run]
    taken: int
    look: bool
    looks: list[Run]
    split: Split

    @property
    def going(self) -> bool:
        """Whether there is a step to take."""

    def step(self) -> None:
        """Take it."""

    def finish(self, why: str) -> None:
        """Measure what it has become."""

    def evaluate(self, samples: Samples, mode: str) -> tuple[Any, Any]:
        """Loss and accuracy as it stands, of one run or of every slot; changes nothing."""


def batches_of(slots: Sequence[Slot], most: int = SLOTS) -> list[Sequence[Slot]]:
    """The slots in groups of `most`, as equal as can be."""
    groups = -(-len(slots) // most)
    return [slots[k * len(slots) // groups : (k + 1) * len(slots) // groups] for k in range(groups)]


def run_all(
    makers: Sequence[Callable[[], Training]], keep: Callable[[int, list[Run]], None], *, threads: int | None = None,
    stop: threading.Event | None = None, on_step: Callable[[int, Training], None] | None = None,
) -> None:  # fmt: skip
    """Train everything that `makers` make.

    Args:
        keep: called with a maker's number and its runs, in the makers' order, as soon as they and all before are there.
        threads: how many at a time; None: as many as this process has cores.
        stop: set from outside, it ends every training after its current step, as stopped.
        on_step: called in the caller's thread after steps of a maker's training (its number, the training).

    Raises: what a training raises; KeyboardInterrupt, after all have stopped.
    """
    stop = stop or threading.Event()
    latest: dict[int, Training] = {}
    results: list[list[Run] | None] = [None] * len(makers)

    def work(number: int) -> None:
        if stop.is_set():
            return
        with np.errstate(all="ignore"):
            training = makers[number]()
            latest[number] = training
            while training.going and not stop.is_set():
                training.step()
            if training.going:
                training.finish(STOPPED)
        results[number] = training.runs

    kept = 0
    with ThreadPoolExecutor(threads or usable(), thread_name_prefix="normlab-train") as pool:
        waiting = {pool.submit(contextvars.copy_context().run, work, number) for number in range(len(makers))}
        try:
            for _ in _until_done(waiting):
                for number, training in list(latest.items()):
                    if on_step is not None:
                        on_step(number, training)
                while kept < len(makers) and (made := results[kept]) is not None:
                    keep(kept, made)
                    kept += 1
        except BaseException:
            stop.set()
            raise


def run_in_turn(
    makers: Sequence[Callable[[], Training]], keep: Callable[[int, list[Run]], None], *, trainings: list[Training],
    on_turn: Callable[[bool], None],
) -> None:  # fmt: skip
    """Train everything that `makers` make side by side: in the caller's thread, one step of each in turn.

    Args:
        keep: called at the end with each maker's number and its runs.
        trainings: an empty list; gets what was made, for whoever looks on.
        on_turn: called before each is made and before every step of each, with whether all have come equally far. It
            may wait; what it raises ends everything at once, unmeasured.

    Raises: what a training or `on_turn` raises.
    """
    with np.errstate(all="ignore"):
        for make in makers:
            on_turn(False)
            trainings.append(make())
        while going := [one for one in trainings if one.going]:
            on_turn(True)
            for one in going:
                on_turn(False)
                one.step()
    for number, one in enumerate(trainings):
        keep(number, one.runs)


def _until_done(waiting: set[Future[None]]) -> Iterable[None]:
    """Wait until all are done; raises the first error at once."""
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()
        yield  # at the end once more, when all are done
