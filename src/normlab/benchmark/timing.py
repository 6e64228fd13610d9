"""How a contestant is timed: turns in rotation, a low percentile, and an interval by resampling.

A shared machine only ever adds time, so the 10th percentile is the figure, and two contestants are compared by the
ratio of theirs. Turns rotate because a machine drifts; a turn begins with a call that is not counted, because the one
before has filled the caches with other numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

__all__ = ["interval", "low", "rotate", "widest"]

Run = Callable[[], object]

PERCENTILE = 10
TURN_S = 0.001  # a turn shorter than this would measure the clock
WARM_CALLS, WARM_S = 3, 0.05  # compilers and caches want a few calls; a long one does not want three
FEWEST_TURNS, MOST_TURNS = 11, 400
RESAMPLES = 1000
CONFIDENCE = 95.0


def rotate(runs: Mapping[str, Run], seconds: float) -> dict[str, np.ndarray]:
    """Seconds per call of each of `runs`, a number for each turn; `seconds` is what each may take altogether."""
    calls = {name: _warm(run) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    spent, began = 0, time.perf_counter()
    while spent < FEWEST_TURNS or (spent < MOST_TURNS and time.perf_counter() - began < seconds * len(runs)):
        for name in order:
            samples[name].append(_turn(runs[name], calls[name]))
        order = [*order[1:], order[0]]
        spent += 1
        if spent >= 3 and time.perf_counter() - began > 10 * seconds * len(runs):
            break  # a case far slower than was allowed for: three turns must do
    return {name: np.array(found) for name, found in samples.items()}


def _warm(run: Run) -> int:
    """Call `run` until it is warm, and return how many calls make a turn."""
    began, done, fastest = time.perf_counter(), 0, float("inf")
    while done < WARM_CALLS or time.perf_counter() - began < WARM_S:
        start = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - start)
        done += 1
        if time.perf_counter() - began > 20 * WARM_S and done > 1:
            break
    return max(1, round(TURN_S / max(fastest, 1e-7)))


def _turn(run: Run, calls: int) -> float:
    run()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def low(samples: Sequence[float] | np.ndarray) -> float:
    """The figure of a contestant: the 10th percentile of its samples."""
    return float(np.percentile(samples, PERCENTILE))


def interval(theirs: np.ndarray, ours: np.ndarray, *, seed: int = 0) -> tuple[float, float, float]:
    """The ratio of the 10th percentiles, theirs over ours, between the ends of its bootstrap 95 % interval."""
    random = np.random.default_rng(seed)
    above = np.percentile(random.choice(theirs, (RESAMPLES, len(theirs))), PERCENTILE, axis=1)
    below = np.percentile(random.choice(ours, (RESAMPLES, len(ours))), PERCENTILE, axis=1)
    cut = (100.0 - CONFIDENCE) / 2
    ends = np.percentile(above / below, [cut, 100.0 - cut])
    return float(ends[0]), low(theirs) / low(ours), float(ends[1])


def widest(first: np.ndarray, second: np.ndarray) -> float:
    """The width of the interval of a contestant against itself: what is smaller than this says nothing."""
    below, _, above = interval(first, second)
    return above - below
